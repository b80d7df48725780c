/* test_twin.c - one request at several providers, on a real core with real connections: who
 * wins has the client, all others are closed in that turn and booked; who fails leaves the
 * request to the others; every exchange ends once, and every pool is full again. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>

#include "engine/attempt.h"
#include "engine/book.h"
#include "engine/clock.h"
#include "engine/compose.h"
#include "engine/conf.h"
#include "engine/conn.h"
#include "engine/core.h"
#include "engine/engine.h"
#include "engine/exchange.h"
#include "engine/hedge.h"
#include "engine/path.h"
#include "engine/serve.h"
#include "engine/tables.h"
#include "engine/twin.h"
#include "engine/upstream.h"
#include "net/http.h"
#include "route/allowance.h"
#include "route/score.h"
#include "tests/unit/conf_kit.h"
#include "tests/unit/data_dir.h"
#include "tests/unit/rig.h"
#include "tests/unit/serve_rest.h"

enum { PROVIDERS = 3, GOT_MAX = 65536, WAITS = 400, SECOND = 1000000000, ORG = 77 };

struct provider { int listener, fd; uint16_t port; };

static struct rig rig;
static struct data_dir *dir;
static struct tables *tables;
static struct provider provider[PROVIDERS];
static struct exchange *lead, *twin;    /* as they were made */
static int client;
static bool below_floor;            /* the plan's second candidate is below the floor */
static char got[GOT_MAX];

static const char request[] =
    "POST /v1/chat/completions HTTP/1.1\r\nhost: weir\r\nx-app: a\r\n"
    "content-type: application/json\r\ncontent-length: 78\r\n\r\n"
    "{\"model\":\"m\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":"
    "\"hello you\"}]}";

/* ---- serve.h: a gateway that knows everybody, and plans all there are in their order ---- */

bool serve_trusts(const struct core *core, struct conn *c)
{
    (void)core, (void)c;
    return false;
}

bool serve_head(struct core *core, struct conn *c, const struct http_head *head)
{
    struct path path = path_read(head->path);
    c->api = path.api;
    struct exchange *x = exchange_open(core, c, head, &path);
    assert_non_null(x);
    memcpy(x->rec.request_id, "the-request", 11);
    assert_true(book_begin(core, x));
    c->x = x;
    c->body_max = 4 << 20;
    hold_drop(&core->mem, &c->hold);
    c->fields = (struct bytes){0};
    lead = x;
    return true;
}

bool serve_piece(struct core *core, struct conn *c, struct bytes piece)
{
    (void)core, (void)c, (void)piece;
    return true;
}

void serve_body(struct core *core, struct conn *c)
{
    struct exchange *x = c->x;
    struct api_reader *r = calloc(1, sizeof *r);
    uint32_t at = c->body.first, left = c->body.count;
    struct bytes piece;
    api_request_begin(r, (enum api)x->api);
    while (chain_next(&core->mem, &at, &left, &piece)) {
        assert_int_equal(api_request_feed(r, piece), NET_MORE);
    }
    if (api_request_end(r) != NET_DONE) fail_msg("%s", r->error);
    chain_move(&core->mem, &x->body, &c->body);
    assert_true(exchange_keep_request(core, x, &r->req));
    x->stream = r->req.stream;
    x->choices = 1;
    x->tokens = (struct tokens_kept){.prompt = 1000, .answer_ratio = TOKENS_RATIO_USUAL};
    for (uint32_t i = 0; i < PROVIDERS; i++) x->plan[i].model = i;
    x->plan[1].reason = below_floor ? PLAN_BELOW_FLOOR : PLAN_LISTED;
    x->rec.mode = MODE_LATENCY;
    x->rec.path[0] = ORG;
    x->plan_count = PROVIDERS;
    free(r);
    attempt_next(core, x);
}

void serve_refuse(struct core *core, struct conn *c, enum close_why why, const char *detail)
{
    exchange_fail(core, c->x, why, detail, NULL);
}

void serve_gone(struct core *core, struct conn *c, enum close_why why)
{
    if (c->x) exchange_gone(core, c->x, why);
    c->x = NULL;
}

void serve_drained(struct core *core, struct conn *c, uint64_t left)
{
    (void)core, (void)c, (void)left;
}

struct serve_times serve_times(const struct core *core)
{
    (void)core;
    uint64_t long_ns = UINT64_C(3600) * SECOND;
    return (struct serve_times){long_ns, long_ns, long_ns, long_ns, MEM_BLOCK};
}

/* ---- the world ---- */

static void listen_at(struct provider *p)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    p->fd = -1;
    assert_int_equal(bind(p->listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(p->listener, 8), 0);
    assert_int_equal(getsockname(p->listener, (struct sockaddr *)&at, &len), 0);
    p->port = ntohs(at.sin_port);
}

static void load_tables(void)
{
    char yaml[2048];
    int n = snprintf(yaml, sizeof yaml, "providers:\n");
    for (int i = 0; i < PROVIDERS; i++) {
        n += snprintf(yaml + n, sizeof yaml - (size_t)n,
                      "  - {name: p%d, url: \"http://127.0.0.1:%u/v1\", keys: [k%d], "
                      "concurrency: 2, queue: 5s}\n", i, provider[i].port, i);
    }
    n += snprintf(yaml + n, sizeof yaml - (size_t)n, "models:\n");
    for (int i = 0; i < PROVIDERS; i++) {
        n += snprintf(yaml + n, sizeof yaml - (size_t)n,
                      "  - {id: p%d/m, upstream: the-model-number-%d, "
                      "price: {input: %d, output: 2}}\n", i, i, i + 1);
    }
    tables = tables_load(&rig.engine->hosts, yaml);
    assert_int_equal(tables->catalog->model_count, PROVIDERS);
    assert_true(tables_score(tables, NULL, 1));
    rig.core->tables = tables;
}

static int setup(void **state)
{
    char why[JOURNAL_WHY_MAX];
    if (data_dir_setup(state) != 0) return -1;
    dir = *state;
    (void)data_dir_open(dir);
    rig_skipped_ns = 0;
    struct core_limits limits = rig_limits();
    limits.region_bytes = 128 * MEM_BLOCK;
    rig = rig_open(limits);
    rig.engine->db = dir->db;
    for (int i = 0; i < PROVIDERS; i++) listen_at(&provider[i]);
    load_tables();
    if (journal_open(dir->path, 0, 8, 64, &rig.core->journal, why) != STORE_OK) {
        print_error("%s\n", why);
        return -1;
    }
    lead = twin = NULL;
    below_floor = false;
    client = -1;
    return 0;
}

static int teardown(void **state)
{
    if (client >= 0) (void)close(client);
    upstream_close_idle(rig.core);
    rig_turn(&rig);
    assert_int_equal(rig.core->exchanges.used, 0);
    assert_int_equal(stat_get(&rig.core->stats.count[STAT_EXCHANGES_OPEN]), 0);
    assert_int_equal(atomic_load(&tables->pins[0]), 0);
    journal_close(rig.core->journal);
    for (int i = 0; i < PROVIDERS; i++) {
        (void)close(provider[i].listener);
        if (provider[i].fd >= 0) (void)close(provider[i].fd);
    }
    rig_close(&rig);
    tables_free(tables);
    return data_dir_teardown(state);
}

/* Turn until the condition holds. It is asked again only while it does not. */
#define UNTIL(condition)                                                                     \
    do {                                                                                     \
        bool holds = false;                                                                  \
        for (int i_ = 0; i_ < WAITS && !(holds = (condition)); i_++) rig_turn(&rig);          \
        if (!holds) fail_msg("never: %s", #condition);                                       \
    } while (0)

/* ---- what people do ---- */

static void come_with(const char *text)
{
    client = rig_dial(&rig, 0);
    assert_int_equal(write(client, text, strlen(text)), (ssize_t)strlen(text));
    UNTIL(lead && lead->state == X_ASK);
}

static bool accepted(struct provider *p)
{
    p->fd = accept4(p->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return p->fd >= 0;
}

/* All that lies in a socket behind what was got of it before. */
static size_t got_more(int fd, size_t before)
{
    ssize_t n = read(fd, got + before, GOT_MAX - 1 - before);
    size_t len = n > 0 ? before + (size_t)n : before;
    got[len] = 0;
    return len;
}

static bool has(int fd, size_t *len, const char *text)
{
    *len = got_more(fd, *len);
    return strstr(got, text) != NULL;
}

/* The provider gets the request whole, with its model's name, and nothing else was changed. */
static void asked(int i)
{
    char body[256];
    size_t len = 0;
    struct provider *p = &provider[i];
    (void)snprintf(body, sizeof body, "\r\n\r\n{\"stream_options\":{\"include_usage\":true},"
                   "\"model\":\"the-model-number-%d\",\"stream\":true,"
                   "\"messages\":[{\"role\":\"user\",\"content\":\"hello you\"}]}", i);
    UNTIL(p->fd >= 0 || accepted(p));
    UNTIL(has(p->fd, &len, body));
    assert_true(len > strlen(body) && !strcmp(got + len - strlen(body), body));
    assert_non_null(strstr(got, "\r\nx-app: a\r\n"));
    assert_null(strstr(got, "\r\nhost: weir"));
}

static void say(int i, const char *text)
{
    assert_int_equal(write(provider[i].fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void say_stream(int i, const char *text)
{
    char all[1024], events[800];
    int n = snprintf(events, sizeof events,
                     "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%s\"}}]}\n\n"
                     "data: {\"choices\":[{\"index\":0,\"delta\":{},"
                     "\"finish_reason\":\"stop\"}]}\n\n"
                     "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":900,"
                     "\"completion_tokens\":5,\"total_tokens\":905}}\n\n"
                     "data: [DONE]\n\n", text);
    (void)snprintf(all, sizeof all, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
                   "transfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", n, events);
    say(i, all);
}

/* The client's answer, up to its end. */
static void answered(const char *end)
{
    size_t len = 0;
    UNTIL(has(client, &len, end));
    size_t heads = 0;
    for (const char *at = got; (at = strstr(at, "HTTP/1.1 ")); at++) heads++;
    assert_int_equal(heads, 1);
}

/* Our side of the connection to it is closed. */
static bool is_closed(int i)
{
    char byte;
    return read(provider[i].fd, &byte, 1) == 0;
}

/* Make a twin for [from, from + count), and ask. */
static void ask_too(unsigned from, unsigned count)
{
    twin = twin_make(rig.core, lead, from, count);
    assert_non_null(twin);
    assert_ptr_equal(twin->lead, lead);
    attempt_next(rig.core, twin);
}

struct row { uint8_t kind; enum close_why why; int model; bool cost; uint8_t attempts; };

/* The records, in order, are these. */
static void booked(const struct row *rows, size_t count)
{
    const struct record *r[8];
    size_t n = 0;
    UNTIL((n = journal_peek(rig.core->journal, r, COUNT(r))) >= count);
    assert_int_equal(n, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(r[i]->kind, rows[i].kind);
        assert_int_equal(r[i]->close, rows[i].why);
        assert_string_equal(r[i]->model, rows[i].model < 0 ? ""
                            : tables->catalog->model[rows[i].model].id);
        assert_int_equal(r[i]->cost_nusd > 0, rows[i].cost);
        assert_int_equal(r[i]->exchange_id, r[0]->exchange_id);
        assert_string_equal(r[i]->request_id, "the-request");
        if (r[i]->kind != RECORD_REQUEST) continue;
        assert_int_equal(r[i]->attempts, rows[i].attempts);
    }
}

/* ---- tests ---- */

static void test_the_twin_wins(void **state)
{
    (void)state;
    come_with(request);
    asked(0);
    assert_true(lead->was_bytes > 0);           /* edited where the body lies */
    ask_too(1, 1);
    assert_int_equal(lead->plan_count, 2);      /* it keeps the third */
    assert_int_equal(lead->plan[1].model, 2);
    asked(1);
    say_stream(1, "of the twin");
    answered("0\r\n\r\n");
    assert_non_null(strstr(got, "of the twin"));
    assert_non_null(strstr(got, "x-weir-attempts: 2"));
    assert_non_null(strstr(got, "x-weir-model: p1/m"));
    UNTIL(is_closed(0));
    booked((struct row[]){{RECORD_ATTEMPT, CLOSE_HEDGE_LOST, 0, true, 0},
                          {RECORD_REQUEST, CLOSE_DONE, 1, true, 2}}, 2);
}

/* In the same turn: nothing but the winner's first event has to happen. */
static void test_the_loser_is_closed_at_once(void **state)
{
    (void)state;
    come_with(request);
    asked(0);
    ask_too(1, 1);
    asked(1);
    struct upstream *u = lead->u;
    assert_int_equal(u->state, UP_BUSY);
    twin->state = X_WAIT;                       /* as at its first content */
    twin->status = 200;
    twin_wins(rig.core, twin, CLOSE_HEDGE_LOST);
    assert_int_equal(u->state, UP_CLOSING);
    assert_int_equal(lead->state, X_DONE);
    assert_null(lead->c);
    assert_null(twin->lead);
    assert_null(twin->twins);
    assert_ptr_equal(twin->c->x, twin);
    assert_int_equal(twin->plan_count, twin->plan_next + 1);    /* the lead's third: its own */
    assert_int_equal(twin->plan[twin->plan_next].model, 2);
    exchange_fail(rig.core, twin, CLOSE_UPSTREAM_FAILED, NULL, NULL);
    booked((struct row[]){{RECORD_ATTEMPT, CLOSE_HEDGE_LOST, 0, true, 0},
                          {RECORD_REQUEST, CLOSE_UPSTREAM_FAILED, 1, false, 2}}, 2);
}

static void test_the_lead_wins(void **state)
{
    (void)state;
    come_with(request);
    asked(0);
    ask_too(1, 1);
    asked(1);
    say_stream(0, "of the lead");
    answered("0\r\n\r\n");
    assert_non_null(strstr(got, "of the lead"));
    assert_non_null(strstr(got, "x-weir-attempts: 2"));
    UNTIL(is_closed(1));
    booked((struct row[]){{RECORD_ATTEMPT, CLOSE_HEDGE_LOST, 1, true, 0},
                          {RECORD_REQUEST, CLOSE_DONE, 0, true, 2}}, 2);
}

/* Whoever was not asked yet owes nothing. */
static void test_a_twin_that_dials_costs_nothing(void **state)
{
    (void)state;
    come_with(request);
    asked(0);
    ask_too(1, 1);
    say_stream(0, "of the lead");
    twin_end_all(rig.core, lead, CLOSE_HEDGE_LOST);
    answered("0\r\n\r\n");
    booked((struct row[]){{RECORD_REQUEST, CLOSE_DONE, 0, true, 2}}, 1);
}

static void test_a_twin_fails(void **state)
{
    (void)state;
    come_with(request);
    asked(0);
    ask_too(1, 1);
    asked(1);
    say(1, "HTTP/1.1 500 Oh\r\ncontent-length: 2\r\n\r\n{}");
    UNTIL(!lead->twins);
    assert_int_equal(lead->state, X_ASK);
    assert_int_equal(lead->note_count, 1);
    say_stream(0, "of the lead");
    answered("0\r\n\r\n");
    assert_non_null(strstr(got, "x-weir-attempts: 2"));
    booked((struct row[]){{RECORD_REQUEST, CLOSE_DONE, 0, true, 2}}, 1);
}

/* The lead asks its other candidate beside the twin; then it has none, and the twin goes on. */
static void test_the_lead_fails(void **state)
{
    (void)state;
    come_with(request);
    asked(0);
    ask_too(1, 1);
    asked(1);
    say(0, "HTTP/1.1 500 Oh\r\ncontent-length: 2\r\n\r\n{}");
    asked(2);
    assert_ptr_equal(twin->lead, lead);
    say(2, "HTTP/1.1 429 Oh\r\ncontent-length: 2\r\n\r\n{}");
    UNTIL(twin->c != NULL);
    assert_null(twin->lead);
    assert_int_equal(lead->state, X_DONE);
    say_stream(1, "of the twin");
    answered("0\r\n\r\n");
    assert_non_null(strstr(got, "x-weir-attempts: 3"));
    booked((struct row[]){{RECORD_REQUEST, CLOSE_DONE, 1, true, 3}}, 1);
}

static void test_all_fail(void **state)
{
    (void)state;
    come_with(request);
    asked(0);
    ask_too(1, 2);
    asked(1);
    say(1, "HTTP/1.1 500 Oh\r\ncontent-length: 2\r\n\r\n{}");
    asked(2);
    say(0, "HTTP/1.1 501 Oh\r\ncontent-length: 2\r\n\r\n{}");
    UNTIL(twin->c != NULL);
    say(2, "HTTP/1.1 502 Oh\r\ncontent-length: 2\r\n\r\n{}");
    answered("}}");
    assert_non_null(strstr(got, "HTTP/1.1 502 "));
    assert_non_null(strstr(got, "p0/m: status 501"));
    assert_non_null(strstr(got, "p1/m: status 500"));
    assert_non_null(strstr(got, "p2/m: status 502"));
    booked((struct row[]){{RECORD_REQUEST, CLOSE_UPSTREAM_FAILED, 2, false, 3}}, 1);
}

/* A twin's refusal is no answer while the lead may have one; the lead's is. */
static void test_refusals(void **state)
{
    (void)state;
    static const char refusal[] = "HTTP/1.1 400 No\r\ncontent-type: application/json\r\n"
                                  "content-length: 29\r\n\r\n"
                                  "{\"error\":{\"message\":\"no way\"}}";
    come_with(request);
    asked(0);
    ask_too(1, 1);
    asked(1);
    say(1, refusal);
    UNTIL(!lead->twins);
    assert_int_equal(lead->state, X_ASK);
    ask_too(1, 1);
    asked(2);
    say(0, refusal);
    answered("no way\"}");
    UNTIL(is_closed(2));
    booked((struct row[]){{RECORD_ATTEMPT, CLOSE_NOT_NEEDED, 2, true, 0},
                          {RECORD_REQUEST, CLOSE_UPSTREAM_REFUSED, 0, false, 3}}, 2);
}

static void test_the_client_leaves(void **state)
{
    (void)state;
    come_with(request);
    asked(0);
    ask_too(1, 1);
    asked(1);
    (void)close(client);
    client = -1;
    UNTIL(is_closed(0));
    UNTIL(is_closed(1));
    booked((struct row[]){{RECORD_ATTEMPT, CLOSE_CLIENT_GONE, 1, true, 0},
                          {RECORD_REQUEST, CLOSE_CLIENT_GONE, 0, true, 2}}, 2);
}

static void test_told_to_end(void **state)
{
    (void)state;
    come_with(request);
    asked(0);
    ask_too(1, 1);
    asked(1);
    exchange_end_all(rig.core);
    answered("}}");
    assert_non_null(strstr(got, "HTTP/1.1 503 "));
    booked((struct row[]){{RECORD_ATTEMPT, CLOSE_NOT_NEEDED, 1, true, 0},
                          {RECORD_REQUEST, CLOSE_KILLED, 0, false, 2}}, 2);
}

/* The lead kept the client awake: the winner goes on behind that head. */
static void test_a_client_that_was_kept_awake(void **state)
{
    (void)state;
    come_with(request);
    asked(0);
    ask_too(1, 1);
    asked(1);
    UNTIL(lead->sent && twin->sent);
    assert_true(lead->ping_ns && !twin->ping_ns);
    rig_skip(&rig, UINT64_C(16) * SECOND);
    assert_true(lead->head_sent && twin_head_sent(twin) && !twin->head_sent);
    say_stream(1, "of the twin");
    answered("0\r\n\r\n");
    const char *awake = strstr(got, ": waiting"), *text = strstr(got, "of the twin");
    assert_true(awake && text && awake < text);
}

/* And no whole answer stands behind it. */
static void test_a_whole_answer_comes_too_late(void **state)
{
    (void)state;
    come_with(request);
    asked(0);
    ask_too(1, 1);
    asked(1);
    say(1, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 53\r\n\r\n{");
    UNTIL(twin->state == X_HOLD);
    rig_skip(&rig, UINT64_C(16) * SECOND);
    assert_true(lead->head_sent);
    say(1, "\"choices\":[{\"message\":{\"content\":\"whole\"}}],\"a\":123}");
    UNTIL(!lead->twins);
    assert_int_equal(lead->state, X_ASK);
    say_stream(0, "of the lead");
    answered("0\r\n\r\n");
    assert_non_null(strstr(got, "of the lead"));
}

/* Who cannot be asked just now, and does not wait, leaves its candidate to the lead. */
static void test_a_candidate_is_given_back(void **state)
{
    (void)state;
    come_with(request);
    asked(0);
    atomic_store(&tables->model_word[1 * CATALOG_KEYS_MAX], 0);
    breaker_cool(&tables->model_word[1 * CATALOG_KEYS_MAX], rig.core->now_ns / 1000000, 5000);
    ask_too(1, 1);
    assert_int_equal(twin->state, X_DONE);
    assert_int_equal(lead->plan_count, 3);
    assert_int_equal(lead->plan[2].model, 1);
    assert_int_equal(lead->note_count, 0);
    say_stream(0, "of the lead");
    answered("0\r\n\r\n");
    booked((struct row[]){{RECORD_REQUEST, CLOSE_DONE, 0, true, 1}}, 1);
}

static void test_all_of_a_family_is_bounded(void **state)
{
    (void)state;
    tables->conf->max_attempts = 2;
    come_with(request);
    asked(0);
    ask_too(1, 2);
    asked(1);
    say(1, "HTTP/1.1 500 Oh\r\ncontent-length: 2\r\n\r\n{}");
    UNTIL(!lead->twins);
    rig_turn(&rig);
    assert_false(accepted(&provider[2]));
    say_stream(0, "of the lead");
    answered("0\r\n\r\n");
    assert_non_null(strstr(got, "x-weir-attempts: 2"));
}

/* Three at once; the second twin wins. */
static void test_two_twins(void **state)
{
    (void)state;
    come_with(request);
    asked(0);
    ask_too(1, 1);
    asked(1);
    ask_too(1, 1);
    asked(2);
    assert_int_equal(twin_attempts(twin), 3);
    say_stream(2, "of the second");
    answered("0\r\n\r\n");
    UNTIL(is_closed(0));
    UNTIL(is_closed(1));
    booked((struct row[]){{RECORD_ATTEMPT, CLOSE_HEDGE_LOST, 0, true, 0},
                          {RECORD_ATTEMPT, CLOSE_HEDGE_LOST, 1, true, 0},
                          {RECORD_REQUEST, CLOSE_DONE, 2, true, 3}}, 3);
}

/* Nothing is changed where there is no room. */
static void test_no_room(void **state)
{
    (void)state;
    struct exchange *others[2];
    come_with(request);
    asked(0);
    for (int i = 0; i < 2; i++) others[i] = slab_take(&rig.core->exchanges);
    ask_too(1, 1);
    assert_null(twin_make(rig.core, lead, 1, 1));
    assert_int_equal(lead->plan_count, 2);
    for (int i = 0; i < 2; i++) slab_give(&rig.core->exchanges, others[i]);
    uint64_t used = rig.core->mem.bytes_used;
    uint64_t bytes = lead->body.bytes;
    lead->body.bytes = TWIN_BODY_MAX + 1;
    assert_null(twin_make(rig.core, lead, 1, 1));
    lead->body.bytes = bytes;
    assert_int_equal(rig.core->mem.bytes_used, used);
    say_stream(0, "of the lead");
    answered("0\r\n\r\n");
}

/* Everything that is asked of a provider is the twin's own: also a large body. */
static void test_a_large_body(void **state)
{
    (void)state;
    enum { PAD = 200000 };
    static char text[PAD + 512], want[PAD];
    memset(want, 'x', sizeof want);
    int n = snprintf(text, sizeof text,
                     "POST /v1/chat/completions HTTP/1.1\r\nhost: weir\r\nx-app: a\r\n"
                     "content-length: %d\r\n\r\n{\"model\":\"m\",\"stream\":true,\"pad\":\"",
                     PAD + 87);
    memcpy(text + n, want, PAD);
    (void)snprintf(text + n + PAD, sizeof text - (size_t)n - PAD, "\",\"messages\":[{\"role\":"
                   "\"user\",\"content\":\"hello you\"}]}");
    client = rig_dial(&rig, 0);
    for (size_t at = 0, len = strlen(text); at < len;) {
        ssize_t w = write(client, text + at, len - at);
        if (w > 0) at += (size_t)w;
        rig_turn(&rig);
    }
    UNTIL(lead && lead->state == X_ASK);
    ask_too(1, 1);
    twin_end_all(rig.core, twin->lead, CLOSE_NOT_NEEDED);
    UNTIL(accepted(&provider[0]));
    ask_too(1, 1);
    static char body[2 * PAD];
    assert_true(twin->body.bytes == lead->body.bytes && twin->body.bytes < sizeof body);
    chain_read(&rig.core->mem, &twin->body, 0, body, (size_t)twin->body.bytes);
    assert_memory_equal(body, strstr(text, "\r\n\r\n") + 4, (size_t)twin->body.bytes);
    twin_end_all(rig.core, lead, CLOSE_NOT_NEEDED);
    exchange_end_all(rig.core);
}

/* ---- hedging ---- */

enum { LATE_NS = 150000000 };      /* later than what the endpoint of p0 is known for */

/* What is known of p0: so many streams that began within 100 ms. And what may be spent. */
static void know(unsigned answers, unsigned requests)
{
    struct score *v = score_view(tables->scores, 0);
    for (unsigned i = 0; i < answers; i++) {
        score_learn_ttft(v, score_row(tables->scores, 0, 0), rig.core->now_ns / 1000000,
                         i % 8 ? 80000000 : 100000000);
    }
    for (unsigned i = 0; i < requests; i++) {
        allowance_pay(rig.core->allowances, ORG, 1000000, 50000);
    }
}

static uint32_t p95_of_first(void)
{
    uint32_t weight;
    return score_ttft_at(tables->scores, score_row(tables->scores, 0, 0),
                         rig.core->now_ns / 1000000, SCORE_P95, &weight);
}

static uint64_t count_of(enum stat_id id) { return stat_get(&rig.core->stats.count[id]); }

/* A late stream is asked twice; the second candidate's first content wins. */
static void test_a_hedge_wins(void **state)
{
    (void)state;
    know(HEDGE_EVIDENCE, 60);
    come_with(request);
    asked(0);
    assert_true(lead->hedge_ns > lead->attempt_ns + 60000000);
    assert_true(lead->hedge_ns < lead->attempt_ns + LATE_NS);
    assert_null(lead->twins);
    rig_skip(&rig, LATE_NS);
    assert_non_null(lead->twins);
    asked(1);
    assert_int_equal(count_of(STAT_HEDGES), 1);
    uint32_t before = p95_of_first();
    say_stream(1, "of the second");
    answered("0\r\n\r\n");
    assert_true(p95_of_first() > before + before / 8);     /* its lateness is not forgotten */
    assert_non_null(strstr(got, "of the second"));
    UNTIL(is_closed(0));
    assert_int_equal(count_of(STAT_HEDGES_WON), 1);
    booked((struct row[]){{RECORD_ATTEMPT, CLOSE_HEDGE_LOST, 0, true, 0},
                          {RECORD_REQUEST, CLOSE_DONE, 1, true, 2}}, 2);
    /* 60 requests of 0.001 dollars at 5 %, less a prompt of some 1000 tokens at a dollar a
     * million, and a twentieth of what was answered: 5 tokens at 2, 900 at 2 */
    enum { LEFT = 3000000 - 1006000 + 90500 };
    assert_false(allowance_take(rig.core->allowances, ORG, LEFT + 1));
    assert_true(allowance_take(rig.core->allowances, ORG, LEFT));
}

static void test_the_first_wins_all_the_same(void **state)
{
    (void)state;
    know(HEDGE_EVIDENCE, 60);
    come_with(request);
    asked(0);
    rig_skip(&rig, LATE_NS);
    asked(1);
    say_stream(0, "of the first");
    answered("0\r\n\r\n");
    UNTIL(is_closed(1));
    assert_int_equal(count_of(STAT_HEDGES), 1);
    assert_int_equal(count_of(STAT_HEDGES_WON), 0);
    booked((struct row[]){{RECORD_ATTEMPT, CLOSE_HEDGE_LOST, 1, true, 0},
                          {RECORD_REQUEST, CLOSE_DONE, 0, true, 2}}, 2);
}

/* Who keeps the quality that was asked for, and nobody else; twice as dear is no reason. */
static void test_whom_a_hedge_asks(void **state)
{
    (void)state;
    below_floor = true;
    know(HEDGE_EVIDENCE, 80);
    come_with(request);
    asked(0);
    rig_skip(&rig, LATE_NS);
    asked(2);
    assert_int_equal(lead->plan_count, 2);
    assert_int_equal(lead->plan[1].model, 1);
    say_stream(2, "of the third");
    answered("0\r\n\r\n");
}

/* Content, or an event without any, in time: nothing is asked twice. */
static void test_in_time(void **state)
{
    (void)state;
    know(HEDGE_EVIDENCE, 60);
    come_with(request);
    asked(0);
    say(0, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
           "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"soon\"}}]}\n\n");
    UNTIL(lead->state == X_RELAY);
    assert_int_equal(lead->hedge_ns, 0);
    rig_skip(&rig, LATE_NS);
    assert_null(lead->twins);
    exchange_end_all(rig.core);
}

/* The head alone, or a role, is no content. */
static void test_a_head_is_no_content(void **state)
{
    (void)state;
    know(HEDGE_EVIDENCE, 60);
    come_with(request);
    asked(0);
    say(0, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
           "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"}}]}\n\n");
    UNTIL(lead->state == X_WAIT);
    rig_skip(&rig, LATE_NS);
    asked(1);
    say_stream(1, "of the second");
    answered("0\r\n\r\n");
    assert_null(strstr(got, "role"));
}

enum lack { TOO_LITTLE_KNOWN, NO_ALLOWANCE, NO_MONEY, MODE, NEVER, NO_SHARE, KEPT, WHOLE,
            NO_OTHER, LACKS };

/* Where one thing is missing nobody else is asked. */
static void check_lack(enum lack lack)
{
    char text[512];
    const char *more = lack == KEPT ? "\"store\":true" : "\"kept\":true", *at = request;
    know(lack == TOO_LITTLE_KNOWN ? HEDGE_EVIDENCE - 2 : HEDGE_EVIDENCE,
         lack == NO_ALLOWANCE ? 19 : lack == NO_MONEY ? 30 : 60);
    if (lack == NEVER) tables->conf->hedge_mode = HEDGE_NEVER;
    if (lack == NO_SHARE) tables->conf->hedge_share = 0;
    at = strstr(request, "\r\n\r\n{");
    (void)snprintf(text, sizeof text, "POST /v1/chat/completions HTTP/1.1\r\nhost: weir\r\n"
                   "content-length: %zu\r\n\r\n{%s,%s%s",
                   strlen(at) - 4 + strlen(more) + 1 + (lack == WHOLE ? 1 : 0), more,
                   lack == WHOLE ? "\"model\":\"m\",\"stream\":false,\"messages\":" : "",
                   lack == WHOLE ? strstr(at, "[{") : at + 5);
    client = rig_dial(&rig, 0);
    assert_int_equal(write(client, text, strlen(text)), (ssize_t)strlen(text));
    UNTIL(lead && lead->state == X_ASK);
    if (lack == MODE || lack == NO_OTHER) {     /* as if it had been planned so */
        if (lack == MODE) lead->rec.mode = MODE_BALANCED;
        else lead->plan_count = 1;
        hedge_arm(rig.core, lead);
    }
    rig_skip(&rig, LATE_NS);
    assert_null(lead->twins);
    assert_int_equal(count_of(STAT_HEDGES), 0);
    exchange_end_all(rig.core);
}

static void test_who_is_not_asked_twice(void **state)
{
    for (int lack = 0; lack < LACKS; lack++) {
        if (lack > 0) assert_int_equal(setup(state), 0);
        check_lack((enum lack)lack);
        if (lack + 1 < LACKS) assert_int_equal(teardown(state), 0);
    }
}

#define TWIN_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TWIN_TEST(test_the_twin_wins),
        TWIN_TEST(test_the_loser_is_closed_at_once),
        TWIN_TEST(test_the_lead_wins),
        TWIN_TEST(test_a_twin_that_dials_costs_nothing),
        TWIN_TEST(test_a_twin_fails),
        TWIN_TEST(test_the_lead_fails),
        TWIN_TEST(test_all_fail),
        TWIN_TEST(test_refusals),
        TWIN_TEST(test_the_client_leaves),
        TWIN_TEST(test_told_to_end),
        TWIN_TEST(test_a_client_that_was_kept_awake),
        TWIN_TEST(test_a_whole_answer_comes_too_late),
        TWIN_TEST(test_a_candidate_is_given_back),
        TWIN_TEST(test_all_of_a_family_is_bounded),
        TWIN_TEST(test_two_twins),
        TWIN_TEST(test_no_room),
        TWIN_TEST(test_a_large_body),
        TWIN_TEST(test_a_hedge_wins),
        TWIN_TEST(test_the_first_wins_all_the_same),
        TWIN_TEST(test_whom_a_hedge_asks),
        TWIN_TEST(test_in_time),
        TWIN_TEST(test_a_head_is_no_content),
        TWIN_TEST(test_who_is_not_asked_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
