/* test_compose.c - which of a client's header fields a provider gets to see (contract.md, RFC
 * 9110 section 7.6.1), and the whole request as it goes out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "engine/compose.h"
#include "engine/conf.h"
#include "engine/core.h"
#include "engine/exchange.h"
#include "engine/host.h"
#include "engine/path.h"
#include "engine/tables.h"
#include "engine/translator.h"
#include "engine/upstream.h"
#include "net/http.h"
#include "tests/unit/conf_kit.h"

static void test_what_passes(void **state)
{
    (void)state;
    static const struct { const char *name; bool passes; } cases[] = {
        /* the client's business with the provider */
        {"content-type", true}, {"user-agent", true}, {"accept", true}, {"x-request-id", true},
        {"openai-organization", true}, {"openai-beta", true}, {"anthropic-version", true},
        {"idempotency-key", true}, {"http-referer", true}, {"x-title", true},
        {"x-stainless-lang", true}, {"x-custom", true}, {"traceparent", true},
        /* credentials of ours, never a provider's */
        {"authorization", false}, {"x-api-key", false}, {"x-goog-api-key", false},
        {"api-key", false}, {"cookie", false}, {"cookie2", false},
        {"proxy-authorization", false},
        /* framing, which we write anew */
        {"host", false}, {"content-length", false}, {"transfer-encoding", false},
        {"expect", false}, {"content-encoding", false}, {"accept-encoding", false},
        {"te", false}, {"trailer", false},
        /* hop by hop */
        {"connection", false}, {"keep-alive", false}, {"proxy-connection", false},
        {"upgrade", false}, {"http2-settings", false}, {"proxy-authenticate", false},
        /* who the client is */
        {"forwarded", false}, {"via", false}, {"x-real-ip", false}, {"x-forwarded-for", false},
        {"x-forwarded-host", false}, {"x-forwarded-", false}, {"true-client-ip", false},
        {"cf-connecting-ip", false},
        /* control fields */
        {"x-weir-timeout", false}, {"x-weir-tags", false}, {"x-weir-", false},
        {"x-weir-anything-new", false},
        /* near misses */
        {"x-weirdo", true}, {"x-weir", true}, {"x-forwarded", true}, {"hosts", true},
        {"xhost", true}, {"x-api-keys", true}, {"authorization2", true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char upper[64];
        size_t len = strlen(cases[i].name);
        for (size_t k = 0; k <= len; k++) {
            char c = cases[i].name[k];
            upper[k] = c >= 'a' && c <= 'z' && k % 2 ? (char)(c - 32) : c;
        }
        static const struct http_head none;
        bool low = !http_field_stops(&none, bytes_of(cases[i].name), HTTP_UP);
        bool high = !http_field_stops(&none, bytes_of(upper), HTTP_UP);
        if (low != cases[i].passes || high != cases[i].passes) {
            fail_msg("%s: %d, %s: %d", cases[i].name, low, upper, high);
        }
    }
}

/* --- whole requests --- */

struct request {
    struct conf *conf;
    struct tables *tables;
    struct hosts *hosts;
    struct core *core;
    struct exchange *x;
    struct upstream *u;
    struct api_reader *reader;
    uint8_t peer;               /* enum api that the body was translated to; APIS: it is not */
    struct translation other;
    char wire[8192];
};

static const char yaml[] =
    "providers:\n"
    "  - name: one\n    url: http://127.0.0.1:8080/v1\n    keys: [k-one, k-two]\n"
    "    headers: {x-team: platform, user-agent: weir}\n"
    "  - name: two\n    url: \"https://[::1]/\"\n    auth: x-api-key\n    keys: [k-three]\n"
    "  - name: open\n    url: http://open.example\n    auth: none\n"
    "  - name: ant\n    url: http://ant.example/v1\n    dialect: anthropic\n"
    "    keys: [k-ant]\n"
    "  - name: old\n    url: http://old.example/v1\n    dialect: anthropic\n    auth: none\n"
    "    headers: {anthropic-version: 2023-01-01}\n"
    "  - name: gem\n    url: http://gem.example/v1beta\n    dialect: gemini\n"
    "    keys: [k-gem]\n"
    "models: [{id: one/small, upstream: small-2024}, {id: one/same}, {id: two/big},\n"
    "  {id: open/free}, {id: ant/claude}, {id: old/claude}, {id: gem/flash},\n"
    "  {id: gem/tuned, upstream: tunedModels/a b}]\n";

static struct request request_make(void)
{
    struct request r = {.hosts = calloc(1, sizeof *r.hosts), .core = calloc(1, sizeof *r.core),
                        .x = calloc(1, sizeof *r.x), .u = calloc(1, sizeof *r.u),
                        .reader = calloc(1, sizeof *r.reader),
                        .peer = APIS};
    r.conf = conf_of(yaml);
    r.tables = tables_make(r.conf, r.hosts, NULL);
    assert_non_null(r.tables);
    r.core->text = malloc(CORE_SCRATCH);
    assert_true(mem_init(&r.core->mem, NULL, 0, 0, 4 * MEM_BLOCK, 64, true));
    r.x->tables = r.tables;
    r.x->u = r.u;
    return r;
}

static void request_free(struct request *r)
{
    struct mem *m = &r->core->mem;
    chain_drop(m, &r->x->body);
    gather_drop(m, &r->x->kept);
    assert_int_equal(m->segs.used, 0);
    munmap(m->region, (size_t)m->block_count * MEM_BLOCK);
    munmap(m->segs.items, m->segs.item_bytes * m->segs.count);
    free(m->block_next);
    free(m->page_map);
    free(m->split_prev);
    free(m->split_next);
    free(r->core->text);
    tables_free(r->tables);
    for (uint32_t i = 0; i < r->hosts->count; i++) free(r->hosts->at[i]);
    free(r->hosts);
    free(r->core);
    free(r->x);
    free(r->u);
    free(r->reader);
}

/* What goes out to model for a request to target with a body and field lines. */
static const char *composed_at(struct request *r, const char *target, const char *model,
                               const char *body, const char *fields)
{
    struct mem *m = &r->core->mem;
    chain_drop(m, &r->x->body);
    int32_t idx = catalog_find(&r->conf->catalog, bytes_of(model));
    assert_true(idx >= 0);
    r->x->model = (uint32_t)idx;
    char raw[4096];
    struct http_head head;
    int n = snprintf(raw, sizeof raw, "POST %s HTTP/1.1\r\n%s%s\r\n", target,
                     strstr(fields, "Host:") ? "" : "Host: weir\r\n", fields);
    assert_int_equal(http_request((struct bytes){raw, (size_t)n}, &head), NET_OK);
    gather_drop(m, &r->x->kept);
    struct path path = path_read(head.path);
    assert_int_equal(path.target, PATH_ASK);
    r->x->api = path.api;
    r->x->translated = r->peer < APIS;
    r->x->peer = r->x->translated ? r->peer : path.api;
    r->x->path_stream = false;
    assert_true(compose_keep(r->core, r->x, &head, &path));
    api_request_begin(r->reader, (enum api)path.api);
    if (path_is_gemini((enum api)path.api)) {
        assert_true(api_request_path(r->reader, compose_path_model(r->x), path.stream));
    }
    assert_int_equal(api_request_feed(r->reader, bytes_of(body)), NET_MORE);
    if (api_request_end(r->reader) != NET_DONE) fail_msg("%s", r->reader->error);
    assert_true(exchange_keep_request(r->core, r->x, &r->reader->req));
    r->x->stream = r->reader->req.stream;
    assert_true(chain_copy(m, &r->x->body, bytes_of(body)));
    struct bytes other = BYTES("{\"other\":1}");
    r->x->other = &r->other;
    if (r->x->translated) assert_true(chain_copy(m, &r->other.wire, other));
    assert_true(compose_request(r->core, r->x));
    assert_int_equal(r->other.wire.bytes, 0);
    size_t len = r->u->out.bytes;
    assert_true(len < sizeof r->wire);
    chain_read(m, &r->u->out, 0, r->wire, len);
    r->wire[len] = 0;
    chain_drop(m, &r->u->out);
    return r->wire;
}

static const char *composed(struct request *r, const char *model, const char *body,
                            const char *fields)
{
    return composed_at(r, "/v1/chat/completions", model, body, fields);
}

/* The head and its one framing: what is declared is what follows. */
static void check_wire(const char *wire, const char *body)
{
    struct http_head head = {0};
    size_t scanned = 0;
    assert_int_equal(http_head_end(bytes_of(wire), &scanned), NET_OK);
    assert_int_equal(http_request((struct bytes){wire, scanned}, &head), NET_OK);
    assert_int_equal(head.framing, HTTP_LENGTH);
    assert_int_equal(head.content_length, strlen(wire + scanned));
    assert_string_equal(wire + scanned, body);
    assert_true(bytes_eq(head.field[HTTP_X_API_KEY], (struct bytes){0}) ||
                !strstr(wire, "k-one"));
}

static void test_the_body_with_its_edits(void **state)
{
    (void)state;
    static const struct { const char *model, *body, *sent; } cases[] = {
        {"one/same", "{\"model\":\"same\"}", "{\"model\":\"same\"}"},
        {"one/small", "{\"model\":\"x\",\"messages\":[]}",
         "{\"model\":\"small-2024\",\"messages\":[]}"},
        {"one/same", "{\"model\":\"same\",\"stream\":true}",
         "{\"model\":\"same\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}"},
        {"two/big", " {\"messages\": [ ], \"model\" : \"big\" } ",
         " {\"messages\": [ ], \"model\" : \"big\" } "},
    };
    struct request r = request_make();
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *wire = composed(&r, cases[i].model, cases[i].body, "");
        struct bytes all = bytes_of(wire);
        size_t scanned = 0;
        assert_int_equal(http_head_end(all, &scanned), NET_OK);
        struct http_head head = {0};
        assert_int_equal(http_request((struct bytes){wire, scanned}, &head), NET_OK);
        size_t len = all.len - scanned;
        assert_int_equal(head.content_length, len);
        /* Where a member is added is the dialect's choice: compare what it holds. */
        if (strcmp(cases[i].sent, wire + scanned) != 0) {
            assert_int_equal(len, strlen(cases[i].sent));
            assert_non_null(strstr(wire + scanned, "\"include_usage\":true"));
        }
    }
    request_free(&r);
}

static void test_the_head(void **state)
{
    (void)state;
    static const char plain[] = "{\"model\":\"same\"}";
    struct request r = request_make();
    const char *wire = composed(&r, "one/same", plain,
                                "Host: weir\r\nAuthorization: Bearer sk-weir-1\r\n"
                                "User-Agent: client\r\nX-Custom: kept\r\n"
                                "Content-Length: 99\r\nAccept-Encoding: gzip\r\n");
    check_wire(wire, plain);
    assert_int_equal(strncmp(wire, "POST /v1/chat/completions HTTP/1.1\r\n", 36), 0);
    static const char *const there[] = {
        "\r\nhost: 127.0.0.1:8080\r\n", "\r\nauthorization: Bearer k-one\r\n",
        "\r\naccept-encoding: identity\r\n", "\r\nx-team: platform\r\n",
        "\r\nuser-agent: weir\r\n", "\r\nX-Custom: kept\r\n",
    };
    static const char *const gone[] = {"sk-weir", "client", "gzip", ": 99", ": weir\r\nAuth"};
    for (size_t i = 0; i < COUNT(there); i++) {
        if (!strstr(wire, there[i])) fail_msg("no %s in\n%s", there[i], wire);
    }
    for (size_t i = 0; i < COUNT(gone); i++) {
        if (strstr(wire, gone[i])) fail_msg("%s in\n%s", gone[i], wire);
    }
    r.x->key = 1;
    assert_non_null(strstr(composed(&r, "one/same", plain, ""), "Bearer k-two\r\n"));
    r.x->key = 0;
    wire = composed(&r, "two/big", plain, "");
    assert_non_null(strstr(wire, "POST /chat/completions HTTP/1.1\r\nhost: [::1]\r\n"));
    assert_non_null(strstr(wire, "\r\nx-api-key: k-three\r\n"));
    assert_null(strstr(wire, "uthorization"));
    wire = composed(&r, "open/free", plain, "Authorization: Bearer sk-weir-1\r\n");
    assert_non_null(strstr(wire, "\r\nhost: open.example\r\n"));
    assert_null(strstr(wire, "uthorization"));
    request_free(&r);
}

/* Each API's path, key and own fields at the provider. */
static void test_dialects(void **state)
{
    (void)state;
    static const char contents[] = "{\"contents\":[]}";
    static const char say[] = "{\"model\":\"x\",\"max_tokens\":1,\"messages\":[]}";
    static const struct { const char *target, *model, *body, *fields, *line, *has; } cases[] = {
        {"/v1/responses", "one/same", "{\"model\":\"x\"}", "", "POST /v1/responses HTTP",
         "Bearer k-one"},
        {"/v1/messages?beta=true", "ant/claude", say, "", "POST /v1/messages?beta=true HTTP",
         "\r\nanthropic-version: 2023-06-01\r\n"},
        {"/v1/messages", "ant/claude", say, "Anthropic-Version: 2099\r\n",
         "POST /v1/messages HTTP", "\r\nAnthropic-Version: 2099\r\n"},
        {"/v1/messages", "old/claude", say, "anthropic-version: 2099\r\n",
         "POST /v1/messages HTTP", "\r\nanthropic-version: 2023-01-01\r\n"},
        {"/anthropic/v1/messages/count_tokens", "ant/claude", say, "",
         "POST /v1/messages/count_tokens HTTP", "\r\nx-api-key: k-ant\r\n"},
        {"/v1beta/models/m:generateContent", "gem/flash", contents, "",
         "POST /v1beta/models/flash:generateContent HTTP", "\r\nx-goog-api-key: k-gem\r\n"},
        {"/v1/models/m:generateContent?key=sk-weir-1", "gem/flash", contents, "",
         "POST /v1beta/models/flash:generateContent HTTP", "k-gem"},
        {"/v1beta/models/m:streamGenerateContent", "gem/flash", contents, "",
         "POST /v1beta/models/flash:streamGenerateContent?alt=sse HTTP", "k-gem"},
        {"/v1beta/a/b:streamGenerateContent?alt=json&k%65y=sk-weir-1&x=1&key=2&&y",
         "gem/flash", contents, "",
         "POST /v1beta/models/flash:streamGenerateContent?x=1&y&alt=sse HTTP", "k-gem"},
        {"/v1beta/models/m:countTokens?x=1", "gem/tuned", contents, "",
         "POST /v1beta/tunedModels/a%20b:countTokens?x=1 HTTP", "k-gem"},
        {"/v1/chat/completions?a=1&key=sk-weir-1", "one/same", "{\"model\":\"x\"}", "",
         "POST /v1/chat/completions?a=1 HTTP", "Bearer k-one"},
    };
    struct request r = request_make();
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *wire = composed_at(&r, cases[i].target, cases[i].model, cases[i].body,
                                       cases[i].fields);
        if (strncmp(wire, cases[i].line, strlen(cases[i].line)) != 0) fail_msg("%s", wire);
        if (!strstr(wire, cases[i].has)) fail_msg("no %s in\n%s", cases[i].has, wire);
        if (strstr(wire, "sk-weir")) fail_msg("the key went on:\n%s", wire);
        const char *version = strcasestr(wire, "anthropic-version:");
        if (version && strcasestr(version + 1, "anthropic-version:")) fail_msg("%s", wire);
        bool anthropic = strstr(cases[i].target, "messages") != NULL;
        assert_int_equal(version != NULL, anthropic);
    }
    request_free(&r);
}

/* A provider of another dialect: its path, none of the client's query, the translated body, and
 * none of the fields that only the client's own knows. */
static void test_another_dialect(void **state)
{
    (void)state;
    static const char say[] = "{\"model\":\"x\",\"max_tokens\":1,\"messages\":[]}";
    static const char soon[] = "{\"model\":\"x\",\"stream\":true,\"input\":\"hi\"}";
    static const char theirs[] = "Content-Type: text/json\r\nanthropic-version: 2099\r\n"
                                 "Anthropic-Beta: b\r\nopenai-organization: o\r\n"
                                 "X-Stainless-OS: l\r\nx-goog-api-client: g\r\nx-own: 1\r\n";
    static const struct {
        const char *target, *model, *body;
        enum api peer;
        const char *line;
        bool kin;
    } cases[] = {
        {"/v1/messages?beta=true", "one/same", say, API_CHAT, "POST /v1/chat/completions HTTP",
         false},
        {"/v1/messages?beta=true", "gem/flash", say, API_GENERATE,
         "POST /v1beta/models/flash:generateContent HTTP", false},
        {"/v1/responses", "gem/flash", soon, API_GENERATE,
         "POST /v1beta/models/flash:streamGenerateContent?alt=sse HTTP", false},
        {"/v1/responses", "one/same", soon, API_CHAT, "POST /v1/chat/completions HTTP", true},
        {"/v1beta/models/m:streamGenerateContent?alt=sse", "ant/claude", "{\"contents\":[]}",
         API_MESSAGES, "POST /v1/messages HTTP", false},
        {"/v1/chat/completions", "ant/claude", say, API_MESSAGES, "POST /v1/messages HTTP",
         false},
        {"/v1/messages", "ant/claude", say, API_MESSAGES, "POST /v1/messages HTTP", true},
    };
    struct request r = request_make();
    for (size_t i = 0; i < COUNT(cases); i++) {
        r.peer = (uint8_t)cases[i].peer;
        const char *wire = composed_at(&r, cases[i].target, cases[i].model, cases[i].body,
                                       theirs);
        if (strncmp(wire, cases[i].line, strlen(cases[i].line)) != 0) fail_msg("%s", wire);
        assert_string_equal(strstr(wire, "\r\n\r\n") + 4, "{\"other\":1}");
        assert_non_null(strstr(wire, "\r\nx-own: 1\r\n"));
        assert_int_equal(strcasestr(wire, "anthropic-beta") != NULL, cases[i].kin);
        assert_int_equal(strcasestr(wire, "x-stainless") != NULL, cases[i].kin);
        assert_int_equal(strcasestr(wire, "x-goog-api-client") != NULL, cases[i].kin);
        assert_int_equal(strstr(wire, "text/json") != NULL, cases[i].kin);
        if (cases[i].kin) continue;
        bool anthropic = cases[i].peer == API_MESSAGES;
        assert_int_equal(strstr(wire, "anthropic-version: 2023-06-01") != NULL, anthropic);
        assert_null(strstr(wire, "2099"));
        assert_null(strstr(wire, "openai-organization"));
        assert_non_null(strstr(wire, "\r\ncontent-type: application/json\r\n"));
    }
    request_free(&r);
}

/* What a Connection field nominates stops here, wherever it stands and however often (RFC 9110
 * section 7.6.1). */
static void test_nominated_names_stop(void **state)
{
    (void)state;
    static const struct { const char *fields; bool passes; } cases[] = {
        {"Connection: x-secret\r\nx-secret: 1\r\n", false},
        {"x-secret: 1\r\nConnection: close, X-Secret\r\n", false},
        {"Connection: close\r\nx-secret: 1\r\nconnection: x-secret\r\n", false},
        {"X-SECRET: 1\r\nCONNECTION: ,, x-secret ,\r\n", false},
        {"Connection: a\r\nConnection: b\r\nConnection: c\r\nConnection: x-secret\r\n"
         "x-secret: 1\r\n", false},
        {"Connection: x-secre\r\nx-secret: 1\r\n", true},
        {"Connection: x-secrets\r\nx-secret: 1\r\n", true},
        {"Connection: close\r\nx-secret: 1\r\n", true},
        {"X-Connection: x-secret\r\nx-secret: 1\r\n", true},
        {"Connection:\r\nx-secret: 1\r\n", true},
        {"x-secret: 1\r\n", true},
    };
    struct request r = request_make();
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *wire = composed(&r, "one/same", "{\"model\":\"same\"}", cases[i].fields);
        bool passes = strstr(wire, "x-secret: 1") || strstr(wire, "X-SECRET: 1");
        if (passes != cases[i].passes) fail_msg("%s:\n%s", cases[i].fields, wire);
        assert_null(strcasestr(wire, "\r\nconnection:"));
    }
    request_free(&r);
}

static void test_no_memory_is_an_answer(void **state)
{
    (void)state;
    struct request r = request_make();
    struct mem *m = &r.core->mem;
    (void)composed(&r, "one/small", "{\"model\":\"x\"}", "");
    uint32_t page[4 * MEM_PAGES_IN_BLOCK], count = 0;
    char *ptr;
    while (mem_page_take(m, &page[count], &ptr)) count++;
    assert_false(compose_request(r.core, r.x));
    chain_drop(m, &r.u->out);
    mem_page_give(m, page[--count], 0);
    assert_true(compose_request(r.core, r.x));
    chain_drop(m, &r.u->out);
    while (count > 0) mem_page_give(m, page[--count], 0);
    request_free(&r);
}

/* What is kept behind the request may move it, and goes with the attempt that it was for. */
static void test_kept_lines_move_the_request(void **state)
{
    (void)state;
    static const char body[] = "{\"model\":\"same\"}";
    static char lines[MEM_PAGE];
    struct request r = request_make();
    memset(lines, 'x', sizeof lines);
    (void)composed(&r, "one/same", body, "");
    const char *before = r.x->kept.ptr;
    uint32_t len = r.x->kept.len;
    for (int i = 0; i < 20; i++) {
        assert_true(gather_put(&r.core->mem, &r.x->kept, (struct bytes){lines, sizeof lines}));
        assert_ptr_not_equal(r.x->kept.ptr, before);
        const struct api_request *kept = exchange_request(r.x);
        assert_true(bytes_eq(kept->model, BYTES("same")));
        assert_true((const char *)kept >= r.x->kept.ptr && kept->model.ptr == kept->pool);
        assert_true(compose_request(r.core, r.x));
        chain_drop(&r.core->mem, &r.u->out);
        assert_int_equal(r.x->kept.len, len);
    }
    request_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_passes),
        cmocka_unit_test(test_the_body_with_its_edits),
        cmocka_unit_test(test_the_head), cmocka_unit_test(test_dialects),
        cmocka_unit_test(test_another_dialect),
        cmocka_unit_test(test_nominated_names_stop),
        cmocka_unit_test(test_no_memory_is_an_answer),
        cmocka_unit_test(test_kept_lines_move_the_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
