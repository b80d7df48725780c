/* test_book.c - what a request cost: token kinds, prices and tiers to the nano-dollar, own
 * estimates where a provider says nothing, and the record and log line of its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/book.h"
#include "engine/conf.h"
#include "engine/core.h"
#include "engine/exchange.h"
#include "engine/host.h"
#include "engine/log.h"
#include "engine/tables.h"
#include "net/json.h"
#include "tests/unit/conf_kit.h"
#include "tests/unit/data_dir.h"

enum { RECORDS = 64, RUNNING = 4 };

struct desk {
    struct core *core;
    struct exchange *x;
    struct hosts *hosts;
    struct data_dir *dir;
};

static const char yaml[] =
    "log: {format: text}\n"
    "providers: [{name: a, url: \"http://a.example\", auth: none}]\n"
    "models:\n"
    "  - {id: a/plain, price: {input: 1, cached: \"0.1\", output: 2, request: \"0.001\"}}\n"
    "  - {id: a/tiers, price: {input: 1, output: 2,"
    " tiers: [{above: 100, input: 10, output: 20}]}}\n"
    "  - {id: a/dated, price: [{input: 1, output: 1},"
    " {from: 2026-01-01, input: 5, output: 5}]}\n"
    "  - {id: a/unknown}\n"
    "unknown_price: allow\n";

static int setup(void **state)
{
    static struct desk d;
    void *dir = NULL;
    if (data_dir_setup(&dir) != 0) return -1;
    d = (struct desk){calloc(1, sizeof *d.core), calloc(1, sizeof *d.x),
                      calloc(1, sizeof *d.hosts), dir};
    (void)data_dir_open(d.dir);
    char why[JOURNAL_WHY_MAX];
    if (journal_open(d.dir->path, 0, RUNNING, RECORDS, &d.core->journal, why) != STORE_OK) {
        print_error("%s\n", why);
        return -1;
    }
    d.core->log = log_ring_make();
    d.x->tables = tables_load(d.hosts, yaml);
    d.core->now_ns = d.x->admitted_ns = 1000000000;
    d.x->rec.admitted_unix_ns = 1763750400ull * 1000000000;   /* 2025-11-21 18:40 UTC */
    d.x->rec.path[UNIT_KEY] = store_id_make(UNIT_KEY, 7);
    d.x->tokens.answer_ratio = TOKENS_RATIO_USUAL;
    *state = &d;
    return 0;
}

static int teardown(void **state)
{
    struct desk *d = *state;
    journal_close(d->core->journal);
    free(d->core->log);
    tables_free(d->x->tables);
    for (uint32_t i = 0; i < d->hosts->count; i++) free(d->hosts->at[i]);
    free(d->hosts);
    free(d->core);
    free(d->x);
    void *dir = d->dir;
    return data_dir_teardown(&dir);
}

static void use_model(struct desk *d, const char *id)
{
    int32_t i = catalog_find(d->x->tables->catalog, bytes_of(id));
    assert_true(i >= 0);
    d->x->model = (uint32_t)i;
}

/* Copy the oldest record that is not folded. Gives how many there are: 0 or 1. */
static size_t peek(const struct desk *d, struct record *out)
{
    const struct record *r;
    size_t n = journal_peek(d->core->journal, &r, 1);
    if (n > 0) *out = *r;
    return n;
}

static void test_cost_text(void **state)
{
    (void)state;
    static const struct { int64_t nusd; const char *text; } cases[] = {
        {0, "0"}, {1, "0.000000001"}, {10, "0.00000001"}, {123000, "0.000123"},
        {100000000, "0.1"}, {999999999, "0.999999999"}, {1000000000, "1"},
        {10000000000, "10"}, {1000000001, "1.000000001"}, {1500000000, "1.5"},
        {100000000000000000, "100000000"}, {INT64_MAX, "9223372036.854775807"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[32];
        memset(text, 'x', sizeof text);
        assert_int_equal(book_cost_text(cases[i].nusd, text), strlen(cases[i].text));
        assert_string_equal(text, cases[i].text);
    }
}

static void test_prices(void **state)
{
    struct desk *d = *state;
    static const struct {
        const char *model;
        struct api_usage usage;
        int64_t nusd;
    } cases[] = {
        /* 1 USD per 1M is 1,000 nano-dollars a token; 0.001 USD a request is 1,000,000 */
        {"a/plain", {.present = true, .input = 1000, .output = 500}, 1000000 + 2000000},
        {"a/plain", {.present = true, .input = 10, .cached = 1000}, 1000000 + 10000 + 100000},
        {"a/plain", {.present = true, .cache_write = 100}, 1000000 + 125000},
        {"a/plain", {.present = true, .audio_input = 3, .audio_output = 4},
         1000000 + 3000 + 8000},
        {"a/plain", {.present = true, .cache_write_1h = 100}, 1000000 + 200000},
        {"a/plain", {.present = true, .image_input = 100}, 1000000 + 100000},
        {"a/plain", {.present = true, .nothing = true}, 1000000},
        {"a/plain", {.present = true}, 1000000},
        {"a/plain", {.present = true, .output = 7, .reasoning = 5}, 1000000 + 14000},
        {"a/tiers", {.present = true, .input = 100, .output = 1}, 100000 + 2000},
        {"a/tiers", {.present = true, .input = 101, .output = 1}, 1010000 + 20000},
        {"a/tiers", {.present = true, .input = 51, .cached = 50}, 510000 + 500000},
        {"a/tiers", {.present = true, .input = 1, .output = 200}, 1000 + 400000},
        {"a/dated", {.present = true, .input = 1, .output = 1}, 2000},
        {"a/plain", {.present = true, .output = UINT32_MAX}, 1000000 + 2000ll * UINT32_MAX},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        use_model(d, cases[i].model);
        d->x->usage = cases[i].usage;
        book_price(d->core, d->x);
        if (d->x->rec.cost_nusd != cases[i].nusd) print_error("row %zu\n", i);
        assert_int_equal(d->x->rec.cost_nusd, cases[i].nusd);
        assert_int_equal(d->x->rec.flags, 0);
        assert_int_equal(d->x->rec.reasoning_tokens, cases[i].usage.reasoning);
    }
    use_model(d, "a/dated");
    d->x->usage = (struct api_usage){.present = true, .input = 1};
    d->x->rec.admitted_unix_ns = 1767225599ull * 1000000000;       /* the year's last second */
    book_price(d->core, d->x);
    assert_int_equal(d->x->rec.cost_nusd, 1000);
    d->x->rec.admitted_unix_ns += 1000000000;
    book_price(d->core, d->x);
    assert_int_equal(d->x->rec.cost_nusd, 5000);
    assert_int_equal(d->x->rec.price[TOKEN_INPUT], 5000000);       /* as used, in the record */
}

static void test_no_price_and_no_usage(void **state)
{
    struct desk *d = *state;
    static const struct { uint64_t bytes; uint32_t tokens; } cases[] = {
        {0, 0}, {1, 1}, {4, 1}, {5, 2}, {4000, 1000}, {4ull * UINT32_MAX, UINT32_MAX},
        {4ull * UINT32_MAX + 1, UINT32_MAX}, {UINT64_MAX / 2, UINT32_MAX},
    };
    use_model(d, "a/plain");
    d->x->api = API_COMPLETIONS;
    for (size_t i = 0; i < COUNT(cases); i++) {
        d->x->tokens.prompt = tokens_of(cases[i].bytes, TOKENS_RATIO_USUAL);
        d->x->text_bytes = cases[i].bytes;
        book_price(d->core, d->x);
        assert_int_equal(d->x->rec.tokens[TOKEN_INPUT], cases[i].tokens);
        assert_int_equal(d->x->rec.tokens[TOKEN_OUTPUT], cases[i].tokens);
        assert_int_equal(d->x->rec.cost_nusd, 1000000 + 3000ll * cases[i].tokens);
        assert_int_equal(d->x->rec.flags, RECORD_ESTIMATED);
    }
    /* it came after all */
    d->x->usage = (struct api_usage){.present = true, .input = 1, .output = 2};
    book_price(d->core, d->x);
    assert_int_equal(d->x->rec.flags, 0);
    assert_int_equal(d->x->rec.tokens[TOKEN_OUTPUT], 2);
    d->x->usage.absurd = true;
    book_price(d->core, d->x);
    assert_int_equal(d->x->rec.flags, RECORD_ESTIMATED);
    d->x->usage.absurd = false;
    use_model(d, "a/unknown");
    book_price(d->core, d->x);
    assert_int_equal(d->x->rec.flags, RECORD_FREE_PRICE);
    assert_int_equal(d->x->rec.cost_nusd, 0);
    assert_int_equal(d->x->rec.tokens[TOKEN_INPUT], 1);
    assert_int_equal(d->x->rec.price[TOKEN_INPUT], 0);     /* nothing of a/plain stays */
    assert_int_equal(d->x->rec.price_request, 0);
    use_model(d, "a/plain");
    book_price(d->core, d->x);
    assert_int_equal(d->x->rec.flags, 0);
}

/* A stream that told its input and broke off: the output is what was told, or our own count. */
static void test_output_that_is_open(void **state)
{
    struct desk *d = *state;
    static const struct { uint32_t told; uint64_t text_bytes; uint32_t want; } cases[] = {
        {1, 400, 100}, {100, 400, 100}, {101, 400, 101}, {0, 0, 0}, {0, 400, 100},
    };
    use_model(d, "a/plain");
    for (size_t i = 0; i < COUNT(cases); i++) {
        d->x->tokens.prompt = 1000;
        d->x->text_bytes = cases[i].text_bytes;
        d->x->usage = (struct api_usage){.present = true, .open = true, .input = 7,
                                         .cached = 3, .output = cases[i].told};
        book_price(d->core, d->x);
        assert_int_equal(d->x->rec.tokens[TOKEN_INPUT], 7);
        assert_int_equal(d->x->rec.tokens[TOKEN_CACHED], 3);
        assert_int_equal(d->x->rec.tokens[TOKEN_OUTPUT], cases[i].want);
        assert_int_equal(d->x->rec.flags, RECORD_ESTIMATED);
    }
}

/* What is told stands only if it tells of what was seen; else all of it is our own count. */
static void test_usage_that_stands(void **state)
{
    struct desk *d = *state;
    static const struct {
        struct api_usage usage;
        uint32_t prompt;
        uint64_t text_bytes;
        bool stands;
    } cases[] = {
        {{.present = true, .input = 9, .output = 8, .reasoning = 7}, 40, 80, true},
        {{.present = true, .input = 9}, 40, 0, true},           /* no text: embeddings */
        {{.present = true, .input = 9}, 40, 80, false},
        {{.present = true, .output = 8}, 40, 80, false},
        {{.present = true, .output = 8}, 0, 80, true},          /* an empty prompt */
        {{.present = true, .cached = 9, .audio_output = 8}, 40, 80, true},
        {{.present = true, .cache_write = 9, .output = 8}, 40, 80, true},
        {{.present = true, .audio_input = 9, .output = 8}, 40, 80, true},
        {{.present = true, .cache_write_1h = 9, .output = 8}, 40, 80, true},
        {{.present = true, .image_input = 9, .output = 8}, 40, 80, true},
        {{.present = true, .nothing = true}, 40, 80, true},     /* tokens were counted */
        {{.present = true}, 0, 0, true}, {{.present = true}, 40, 80, false},
        {{.present = true, .absurd = true, .input = 9, .output = 8}, 40, 80, false},
        {{.input = 9, .output = 8}, 40, 80, false}, {{.input = 9, .output = 8}, 0, 80, false},
    };
    use_model(d, "a/plain");
    for (size_t i = 0; i < COUNT(cases); i++) {
        d->x->usage = cases[i].usage;
        d->x->tokens.prompt = cases[i].prompt;
        d->x->text_bytes = cases[i].text_bytes;
        assert_int_equal(book_usage_stands(d->x), cases[i].stands);
        d->x->rec.reasoning_tokens = 99;
        book_price(d->core, d->x);
        assert_int_equal(d->x->rec.flags, cases[i].stands ? 0 : RECORD_ESTIMATED);
        assert_int_equal(d->x->rec.reasoning_tokens,
                         cases[i].stands ? cases[i].usage.reasoning : 0);
        if (cases[i].stands) continue;
        uint32_t around = cases[i].prompt ? 6 : 0;      /* it is a chat */
        assert_int_equal(d->x->rec.tokens[TOKEN_INPUT], cases[i].prompt + around);
        assert_int_equal(d->x->rec.tokens[TOKEN_OUTPUT], cases[i].text_bytes / 4);
    }
}

static void test_progress_is_at_most_each_100_ms(void **state)
{
    struct desk *d = *state;
    use_model(d, "a/plain");
    assert_true(book_begin(d->core, d->x));
    struct record now;
    d->x->text_bytes = 400;
    book_progress(d->core, d->x);
    assert_int_equal(d->x->rec.tokens[TOKEN_OUTPUT], 100);
    d->x->text_bytes = 800;
    d->core->now_ns += 99999999;
    book_progress(d->core, d->x);
    assert_int_equal(d->x->rec.tokens[TOKEN_OUTPUT], 100);
    d->core->now_ns += 1;
    book_progress(d->core, d->x);
    assert_int_equal(d->x->rec.tokens[TOKEN_OUTPUT], 200);
    book_end(d->core, d->x, CLOSE_DONE, 200);
    assert_int_equal(peek(d, &now), 1);
    assert_int_equal(now.tokens[TOKEN_OUTPUT], 200);
}

static void test_a_full_journal_refuses(void **state)
{
    struct desk *d = *state;
    uint32_t count = 0;
    while (book_begin(d->core, d->x)) count++;
    assert_true(count > 0 && count <= RUNNING);
}

static char *log_text(struct desk *d)
{
    static char text[4096];
    int fd = memfd_create("log", MFD_CLOEXEC);
    size_t n = log_drain(d->core->log, fd);
    assert_true(n < sizeof text);
    assert_int_equal(pread(fd, text, n, 0), n);
    text[n] = 0;
    (void)close(fd);
    return text;
}

static void fill(struct exchange *x)
{
    x->rec.flags = RECORD_STREAM;
    x->attempts = 3;
    x->usage = (struct api_usage){.present = true, .input = 11, .cached = 5, .output = 22};
    x->rec.ttft_us = 42000;
    memcpy(x->rec.model, "a/plain", 7);
    x->client = (struct addr){.kind = ADDR_V4, .at = {192, 0, 2, 7}};
    memset(x->rec.request_id, 'r', sizeof x->rec.request_id);   /* full: no end mark */
}

static void test_the_end(void **state)
{
    struct desk *d = *state;
    struct record r;
    use_model(d, "a/plain");
    fill(d->x);
    assert_true(book_begin(d->core, d->x));
    book_price(d->core, d->x);
    d->core->now_ns += 1234567890;
    book_end(d->core, d->x, CLOSE_CLIENT_GONE, 499);
    assert_true(d->x->booked);
    assert_int_equal(stat_get(&d->core->stats.closes[CLOSE_CLIENT_GONE]), 1);
    assert_int_equal(peek(d, &r), 1);
    assert_int_equal(r.kind, RECORD_REQUEST);
    assert_int_equal(r.status, 499);
    assert_int_equal(r.close, CLOSE_CLIENT_GONE);
    assert_int_equal(r.attempts, 3);
    assert_int_equal(r.fallbacks, 2);
    assert_int_equal(r.duration_us, 1234567);
    assert_int_equal(r.cost_nusd, 1000000 + 11000 + 500 + 44000);
    char want[512], id[STORE_ID_TEXT_MAX];
    store_id_text(d->x->rec.path[UNIT_KEY], id);
    (void)snprintf(want, sizeof want,
                   "2025-11-21T18:40:00.000Z %.64s 499 client_gone key=%s model=a/plain "
                   "stream=1 attempts=3 in=11 cached=5 out=22 cost=0.0010555 ttft_ms=42 "
                   "duration_ms=1234 client=192.0.2.7\n",
                   d->x->rec.request_id, id);
    assert_string_equal(log_text(d), want);
}

static void test_the_end_as_json(void **state)
{
    struct desk *d = *state;
    tables_free(d->x->tables);
    char text[1024];
    (void)snprintf(text, sizeof text, "log: {format: json}\n%s", strchr(yaml, '\n') + 1);
    d->x->tables = tables_load(d->hosts, text);
    use_model(d, "a/plain");
    fill(d->x);
    memcpy(d->x->rec.request_id, "a\"b\\c", 5);      /* must not break out of its quotes */
    assert_true(book_begin(d->core, d->x));
    book_price(d->core, d->x);
    book_end(d->core, d->x, CLOSE_DONE, 200);
    char *line = log_text(d);
    assert_int_equal(line[strlen(line) - 1], '\n');
    assert_null(memchr(line, '\n', strlen(line) - 1));
    struct json j;
    json_init(&j, 4);
    struct json_token t;
    struct bytes in = bytes_of(line);
    enum net_rc rc;
    while ((rc = json_next(&j, &in, &t)) == NET_OK) {
    }
    assert_int_equal(rc == NET_MORE ? json_finish(&j, &t) : rc, NET_DONE);
    assert_non_null(strstr(line, "a\\\"b\\\\c"));
    assert_non_null(strstr(line, "\"status\":200,\"close\":\"done\""));
    assert_non_null(strstr(line, "\"cost_usd\":\"0.0010555\""));
}

/* The records that are not folded, oldest first. */
static size_t peek_all(const struct desk *d, struct record *out, size_t max)
{
    const struct record *r[RECORDS];
    size_t n = journal_peek(d->core->journal, r, max);
    for (size_t i = 0; i < n; i++) out[i] = *r[i];
    return n;
}

/* Two attempts that were billed, then the end: a record each, and the client hears the sums. */
static void test_attempts_that_are_billed(void **state)
{
    struct desk *d = *state;
    struct exchange *x = d->x;
    struct record r[8];
    use_model(d, "a/plain");
    fill(x);
    assert_true(book_begin(d->core, x));
    x->state = X_RELAY;
    x->status = 200;
    x->attempt_ns = d->core->now_ns + 1000000;
    x->first_ns = d->core->now_ns + 3000000;
    d->core->now_ns += 9000000;
    assert_true(book_attempt_fits(d->core));
    assert_true(book_attempt(d->core, x, CLOSE_UPSTREAM_BROKE));
    assert_int_equal(x->rec.cost_nusd, 0);
    assert_int_equal(book_all_cost(x), 1055500);
    assert_int_equal(book_all_usage(x).output, 22);
    use_model(d, "a/tiers");
    memcpy(x->rec.model, "a/tiers", 7);
    x->state = X_WAIT;
    x->status = 201;
    x->usage = (struct api_usage){0};           /* nothing was told: our own count */
    x->tokens.prompt = 10;
    x->text_bytes = 40;
    x->first_ns = 0;
    assert_true(book_attempt(d->core, x, CLOSE_ESCALATED));
    use_model(d, "a/dated");
    memcpy(x->rec.model, "a/dated", 7);
    x->usage = (struct api_usage){.present = true, .input = 1, .output = 2};
    x->text_bytes = 0;
    book_price(d->core, x);
    assert_int_equal(book_all_cost(x), 1055500 + 36000 + 3000);
    assert_int_equal(book_all_usage(x).input, 11 + 1);      /* of a/tiers the client has none */
    assert_int_equal(book_all_usage(x).cached, 5);
    assert_int_equal(book_all_usage(x).output, 22 + 2);
    book_end(d->core, x, CLOSE_DONE, 200);
    static const struct {
        int kind, close, status, flags, nth;
        const char *model;
        int64_t cost;
    } want[] = {
        {RECORD_ATTEMPT, CLOSE_UPSTREAM_BROKE, 200, RECORD_STREAM | RECORD_BEGAN, 0, "a/plain",
         1055500},
        {RECORD_ATTEMPT, CLOSE_ESCALATED, 201, RECORD_STREAM | RECORD_ESTIMATED, 1, "a/tiers",
         36000},
        {RECORD_REQUEST, CLOSE_DONE, 200, RECORD_STREAM | RECORD_MORE, 2, "a/dated", 3000},
    };
    assert_int_equal(peek_all(d, r, 8), COUNT(want));
    for (size_t i = 0; i < COUNT(want); i++) {
        assert_int_equal(r[i].kind, want[i].kind);
        assert_int_equal(r[i].close, want[i].close);
        assert_int_equal(r[i].status, want[i].status);
        assert_int_equal(r[i].flags, want[i].flags);
        assert_int_equal(r[i].nth, want[i].nth);
        assert_string_equal(r[i].model, want[i].model);
        assert_int_equal(r[i].cost_nusd, want[i].cost);
        assert_int_equal(r[i].exchange_id, x->rec.exchange_id);
    }
    assert_int_equal(r[0].ttft_us, 2000);       /* its own times */
    assert_int_equal(r[0].duration_us, 8000);
    assert_int_equal(r[1].ttft_us, 0);
    assert_int_equal(r[2].ttft_us, 42000);      /* the request's */
    assert_int_equal(stat_get(&d->core->stats.closes[CLOSE_UPSTREAM_BROKE]), 0);
    assert_non_null(strstr(log_text(d), " in=28 cached=5 out=34 cost=0.0010945 "));
}

/* A twin takes over; the old lead is cut short, and a third one owes nothing. */
static void test_twins(void **state)
{
    struct desk *d = *state;
    struct exchange *lead = d->x, *twin = calloc(2, sizeof *twin);
    struct record r[8], run;
    assert_non_null(twin);
    use_model(d, "a/plain");
    fill(lead);
    assert_true(book_begin(d->core, lead));
    for (int i = 0; i < 2; i++) {
        twin[i] = *lead;
        twin[i].lead = lead;
        assert_true(book_begin(d->core, &twin[i]));
        assert_int_equal(journal_running(d->core->journal, twin[i].journal_slot, &run),
                         SLOT_RUNNING);
        assert_int_equal(run.kind, RECORD_ATTEMPT);
        assert_int_equal(run.nth, i + 1);
    }
    book_twin(d->core, &twin[1], CLOSE_NOT_NEEDED, false);
    assert_true(twin[1].booked);
    assert_int_equal(peek_all(d, r, 8), 0);
    lead->spend.hold.rated = true;              /* the family counts as one request */
    book_promote(d->core, lead, &twin[0]);
    assert_true(twin[0].spend.hold.rated && !lead->spend.hold.rated);
    twin[0].spend.hold.rated = false;
    lead->lead = &twin[0];
    twin[0].lead = NULL;
    (void)journal_running(d->core->journal, twin[0].journal_slot, &run);
    assert_int_equal(run.kind, RECORD_REQUEST);
    (void)journal_running(d->core->journal, lead->journal_slot, &run);
    assert_int_equal(run.kind, RECORD_ATTEMPT);
    book_twin(d->core, lead, CLOSE_HEDGE_LOST, true);
    assert_int_equal(twin[0].billed.count, 1);
    assert_int_equal(book_all_cost(&twin[0]), 1055500);
    book_price(d->core, &twin[0]);
    book_end(d->core, &twin[0], CLOSE_DONE, 200);
    assert_int_equal(peek_all(d, r, 8), 2);
    assert_int_equal(r[0].kind, RECORD_ATTEMPT);
    assert_int_equal(r[0].close, CLOSE_HEDGE_LOST);
    assert_int_equal(r[0].nth, 0);
    assert_int_equal(r[0].flags, RECORD_STREAM | RECORD_ESTIMATED);     /* cut short */
    assert_int_equal(r[1].kind, RECORD_REQUEST);
    assert_int_equal(r[1].nth, 1);
    assert_int_equal(r[1].flags, RECORD_STREAM | RECORD_MORE);
    free(twin);
}

/* No room for a record more: nothing is changed, and the end still has its place. */
static void test_an_attempt_without_room(void **state)
{
    struct desk *d = *state;
    struct record before;
    use_model(d, "a/plain");
    fill(d->x);
    assert_true(book_begin(d->core, d->x));
    while (book_attempt_fits(d->core)) journal_attempt(d->core->journal, &d->x->rec);
    book_price(d->core, d->x);
    before = d->x->rec;
    assert_false(book_attempt(d->core, d->x, CLOSE_UPSTREAM_BROKE));
    assert_memory_equal(&before, &d->x->rec, sizeof before);
    assert_int_equal(d->x->billed.count, 0);
    book_end(d->core, d->x, CLOSE_UPSTREAM_BROKE, 200);
    assert_int_equal(journal_lag(d->core->journal), RECORDS);
}

static void test_no_row_no_record(void **state)
{
    struct desk *d = *state;
    struct record r;
    d->x->no_row = true;
    book_end(d->core, d->x, CLOSE_DONE, 200);
    assert_int_equal(peek(d, &r), 0);
    assert_int_equal(stat_get(&d->core->stats.closes[CLOSE_DONE]), 1);
}

/* A full log loses a line and counts it; the record is in the journal all the same. */
static void test_a_full_log(void **state)
{
    struct desk *d = *state;
    struct record r;
    while (log_put(d->core->log, BYTES("........................................"))) {
    }
    assert_true(book_begin(d->core, d->x));
    book_end(d->core, d->x, CLOSE_DONE, 200);
    assert_int_equal(stat_get(&d->core->stats.count[STAT_LOG_LOST]), 1);
    assert_int_equal(peek(d, &r), 1);
}

#define AT_DESK(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cost_text),
        AT_DESK(test_prices),
        AT_DESK(test_no_price_and_no_usage),
        AT_DESK(test_usage_that_stands),
        AT_DESK(test_output_that_is_open),
        AT_DESK(test_progress_is_at_most_each_100_ms),
        AT_DESK(test_a_full_journal_refuses),
        AT_DESK(test_the_end),
        AT_DESK(test_the_end_as_json),
        AT_DESK(test_attempts_that_are_billed),
        AT_DESK(test_twins),
        AT_DESK(test_an_attempt_without_room),
        AT_DESK(test_no_row_no_record),
        AT_DESK(test_a_full_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
