/* front.c - see front.h. A job owns copies of everything it needs: the connection may be gone
 * when it is done. */
#include "engine/front.h"
#include "engine/admin/admin.h"
#include "engine/book.h"
#include "engine/clock.h"
#include "engine/conn.h"
#include "engine/core.h"
#include "engine/cors.h"
#include "engine/engine.h"
#include "engine/gateway.h"
#include "engine/look.h"
#include "engine/reply.h"
#include "engine/vault.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    BODY_MAX = 1 << 20,
    PATH_MAX_BYTES = 1024,
    QUERY_MAX = 4096,
    EVENT_MAX = 16384,                 /* a row with REQUEST_BILLED_MAX attempts fits */
    RATE_NS = 1000000000,
};

enum job_kind { JOB_ADMIN, JOB_METRICS };

struct job {
    struct mail mail;
    struct admin_call call;
    uint32_t slot, generation;         /* of the connection */
    uint8_t kind;                      /* enum job_kind */
    char path[PATH_MAX_BYTES], query[QUERY_MAX], idem[256];
    char *body;                        /* malloc'ed */
    char id[65];                       /* request id */
};

struct event { struct mail mail; size_t len; char text[EVENT_MAX]; };

struct front_state {                   /* core->serve of the admin core */
    struct timer timer;
    struct conn *listener[64];
    uint32_t listener_count;
    uint64_t last_requests;
    char id[65];                       /* request id of the head in hand */
};

extern const char console_html[];
extern const size_t console_html_len;

struct admin_front *front_make(struct engine *engine)
{
    struct admin_front *f = calloc(1, sizeof *f);
    if (!f) return NULL;
    f->change.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    f->look.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    f->host = look_host(engine);
    if (f->change.fd >= 0 && f->look.fd >= 0 && f->host) return f;
    free(f);
    return NULL;
}

void front_poke(struct front_queue *q)
{
    uint64_t one = 1;
    ssize_t n = write(q->fd, &one, sizeof one);
    (void)n;
}

void front_wait(struct front_queue *q, int timeout_ms)
{
    struct pollfd p = {.fd = q->fd, .events = POLLIN};
    if (poll(&p, 1, timeout_ms) <= 0) return;
    uint64_t count;
    ssize_t n = read(q->fd, &count, sizeof count);
    (void)n;
}

void front_run(struct engine *engine, struct front_queue *q)
{
    struct mail *m = mailbox_take(&q->box);
    while (m) {
        struct mail *next = m->next;
        struct job *job = (struct job *)(void *)m;
        if (job->kind == JOB_METRICS) {
            look_metrics(engine, &job->call.answer, &job->call.answer_len);
            job->call.status = job->call.answer ? 200 : 503;
        } else {
            job->call.now_unix_ns = clock_unix_ns();
            admin_run(&job->call);
        }
        mailbox_post(&engine->front->done, &job->mail);
        core_wake(engine->admin);
        vault_forget();           /* bodies and new keys have been there */
        m = next;
    }
}

/* The row of a record that was just folded; with the attempts that were billed besides, which
 * were folded before it or with it. */
static void row_of(struct db *db, const struct record *r, struct request_row *row)
{
    struct request_mark of = {r->admitted_unix_ns, r->exchange_id};
    enum store_rc rc = STORE_NOT_FOUND;
    MDB_txn *txn;
    if ((r->flags & RECORD_MORE) && db_begin(db, false, &txn) == STORE_OK) {
        rc = usage_request(db, txn, &of, row);
        db_abort(txn);
    }
    if (rc != STORE_OK) *row = (struct request_row){.end = *r};
}

void front_row(struct engine *engine, const struct record *r)
{
    struct admin_front *f = engine->front;
    if (r->kind != RECORD_REQUEST) return;
    if (atomic_load_explicit(&f->listeners, memory_order_relaxed) == 0) return;
    struct event *e = calloc(1, sizeof *e);
    struct request_row *row = calloc(1, sizeof *row);
    if (!e || !row) {
        free(e);
        free(row);
        return;
    }
    struct jsonw w;
    memcpy(e->text, "data: ", 6);
    jsonw_init(&w, e->text + 6, sizeof e->text - 8);
    row_of(engine->db, r, row);
    admin_put_request(&w, row, f->host);
    free(row);
    memcpy(e->text + 6 + w.len, "\n\n", 2);
    e->len = w.len + 8;
    if (w.full) {
        free(e);
        return;
    }
    mailbox_post(&f->events, &e->mail);
    core_wake(engine->admin);
}

/* --- requests --- */

static struct front_state *state(struct core *core) { return core->serve; }

static bool answer(struct core *core, struct conn *c, unsigned status, struct bytes type,
                   struct bytes body)
{
    struct bytes extra = status == 401 ? BYTES("www-authenticate: Bearer\r\n")
                                       : (struct bytes){0};
    reply_body(core, c, NULL, state(core)->id, status, type, body, extra);
    conn_answered(core, c);
    return false;
}

/* The answer of a finished job; without one memory has run out. */
static void answer_job(struct core *core, struct conn *c, const struct job *job)
{
    struct bytes type = job->kind == JOB_METRICS ? BYTES("text/plain; version=0.0.4")
                                                 : BYTES("application/json");
    struct bytes body = {job->call.answer, job->call.answer_len};
    char allow[96];
    int n = 0;
    if (!body.ptr) {
        front_refuse(core, c, CLOSE_OVERLOADED, NULL);
        conn_answered(core, c);
        return;
    }
    if (job->call.status == 405) {
        n = snprintf(allow, sizeof allow, "allow: %s\r\n", job->call.allow);
    }
    reply_body(core, c, NULL, state(core)->id, job->call.status, type, body,
               (struct bytes){allow, (size_t)n});
    conn_answered(core, c);
}

static size_t error_json(char *out, size_t room, const char *code, const char *text)
{
    struct jsonw w;
    jsonw_init(&w, out, room);
    jsonw_object(&w);
    jsonw_key(&w, "error");
    jsonw_object(&w);
    jsonw_key(&w, "code"), jsonw_text(&w, code);
    jsonw_key(&w, "message"), jsonw_text(&w, text);
    jsonw_object_end(&w);
    jsonw_object_end(&w);
    return w.len;
}

static bool refuse(struct core *core, struct conn *c, unsigned status, const char *code,
                   const char *text)
{
    char body[1024];
    size_t n = error_json(body, sizeof body, code, text);
    return answer(core, c, status, BYTES("application/json"), (struct bytes){body, n});
}

void front_refuse(struct core *core, struct conn *c, enum close_why why, const char *detail)
{
    char body[1024];
    size_t n = error_json(body, sizeof body, close_code(why),
                          detail ? detail : close_sentence(why));
    const struct job *job = c->job;
    const char *id = job ? job->id : state(core)->id;
    book_refused(core, c, id, why);
    reply_body(core, c, NULL, id, close_status(why), BYTES("application/json"),
               (struct bytes){body, n}, (struct bytes){0});
    if (c->job) free(((struct job *)c->job)->body);
    free(c->job);
    c->job = NULL;
}

/* Compared by hash, in constant time. */
static bool token_fits(const struct engine *e, struct bytes value)
{
    uint8_t hash[32];
    struct bytes prefix = BYTES("bearer ");
    if (value.len <= prefix.len || !bytes_ieq((struct bytes){value.ptr, prefix.len}, prefix)) {
        return false;
    }
    bytes_cut(&value, prefix.len);
    value = bytes_trim(value);
    (void)SHA256((const uint8_t *)value.ptr, value.len, hash);
    return CRYPTO_memcmp(hash, e->admin_token_hash, sizeof hash) == 0;
}

static void begin_events(struct core *core, struct conn *c)
{
    struct front_state *s = state(core);
    if (s->listener_count == COUNT(s->listener)) {
        free(c->job);
        c->job = NULL;
        (void)refuse(core, c, 503, "overloaded", "too many listeners on /admin/v1/events");
        return;
    }
    char head[512 + CORS_FIELDS_MAX];
    struct http_out o = {.out = head, .room = sizeof head};
    http_out_status(&o, 200);
    http_out_field(&o, BYTES("content-type"), BYTES("text/event-stream"));
    http_out_field(&o, BYTES("cache-control"), BYTES("no-store"));
    http_out_field(&o, BYTES("x-request-id"), bytes_of(s->id));
    cors_put(&o, core, c, NULL);
    http_out_field(&o, BYTES("connection"), BYTES("close"));
    http_out_end(&o);
    c->keep_alive = false;
    if (!chain_copy(&core->mem, &c->out, (struct bytes){head, o.len})) {
        conn_close(core, c, CLOSE_OVERLOADED);
        return;
    }
    s->listener[s->listener_count++] = c;
    atomic_store_explicit(&core->engine->front->listeners, s->listener_count,
                          memory_order_relaxed);
    conn_dirty(core, c);
}

static struct job *job_make(struct conn *c, const struct http_head *head, const char **why)
{
    struct job *job = calloc(1, sizeof *job);
    struct bytes idem = head->field[HTTP_IDEMPOTENCY_KEY];
    int64_t len = -1;
    *why = "the path or query is too long or malformed";
    if (job && head->path.len < sizeof job->path) {
        len = http_percent_decode(head->path, job->path);
    }
    if (len < 0 || head->query.len >= sizeof job->query || idem.len >= sizeof job->idem) {
        free(job);
        return NULL;
    }
    if (head->query.len) memcpy(job->query, head->query.ptr, head->query.len);
    if (idem.len) memcpy(job->idem, idem.ptr, idem.len);
    job->slot = c->head.slot;
    job->generation = c->head.generation;
    job->call.method = head->method;
    job->call.path = (struct bytes){job->path, (size_t)len};
    job->call.query = (struct bytes){job->query, head->query.len};
    job->call.idempotency_key = (struct bytes){job->idem, idem.len};
    return job;
}

static void deny(struct core *core, struct conn *c, enum close_why why)
{
    front_refuse(core, c, why, NULL);
    conn_answered(core, c);
}

static bool open_path(struct core *core, struct conn *c, const struct http_head *head)
{
    if (bytes_eq(head->path, BYTES("/healthz")) || bytes_eq(head->path, BYTES("/readyz"))) {
        gateway_health(core, c, head->path.ptr[1] == 'r', state(core)->id);
        conn_answered(core, c);
        return true;
    }
    if (!bytes_eq(head->path, BYTES("/"))) return false;
    (void)answer(core, c, 200, BYTES("text/html; charset=utf-8"),
                 (struct bytes){console_html, console_html_len});
    return true;
}

bool front_head(struct core *core, struct conn *c, const struct http_head *head)
{
    const char *why;
    bool metrics = bytes_eq(head->path, BYTES("/metrics"));
    gateway_request_id(core, head, state(core)->id);
    if (head->method == HTTP_OPTIONS) {
        enum cors_verdict verdict = cors_preflight(core, c, head, state(core)->id);
        if (verdict == CORS_ANSWERED) conn_answered(core, c);
        if (verdict == CORS_DENIED) deny(core, c, CLOSE_ORIGIN_DENIED);
        if (verdict != CORS_NONE) return false;
    }
    bool reads = head->method == HTTP_GET || head->method == HTTP_HEAD;
    if (reads && open_path(core, c, head)) return false;
    if (!metrics && !bytes_starts(head->path, BYTES("/admin/v1/"))) {
        return refuse(core, c, 404, "not_found", "no such path at the admin address");
    }
    if (!metrics && !token_fits(core->engine, head->field[HTTP_AUTHORIZATION])) {
        return refuse(core, c, 401, "unauthorized",
                      "the admin token is missing or wrong: send 'Authorization: Bearer ...'");
    }
    struct job *job = job_make(c, head, &why);
    if (!job) return refuse(core, c, 400, "invalid_request", why);
    job->kind = metrics ? JOB_METRICS : JOB_ADMIN;
    memcpy(job->id, state(core)->id, sizeof job->id);
    c->job = job;
    c->body_max = BODY_MAX;
    return true;
}

void front_body(struct core *core, struct conn *c)
{
    struct admin_front *f = core->engine->front;
    struct job *job = c->job;
    memcpy(state(core)->id, job->id, sizeof job->id);
    if (bytes_eq(job->call.path, BYTES("/admin/v1/events")) && job->call.method == HTTP_GET) {
        begin_events(core, c);
        return;
    }
    size_t len = (size_t)c->body.bytes;
    job->body = malloc(len + 1);
    if (!job->body) {
        front_refuse(core, c, CLOSE_OVERLOADED, NULL);
        conn_answered(core, c);
        return;
    }
    chain_read(&core->mem, &c->body, 0, job->body, len);
    job->call.body = (struct bytes){job->body, len};
    job->call.host = f->host;
    bool change = job->kind == JOB_ADMIN && admin_writes(job->call.method, job->call.path);
    struct front_queue *q = change ? &f->change : &f->look;
    mailbox_post(&q->box, &job->mail);
    front_poke(q);
}

static void drop_listener(struct core *core, const struct conn *c)
{
    struct front_state *s = state(core);
    for (uint32_t i = 0; i < s->listener_count; i++) {
        if (s->listener[i] != c) continue;
        s->listener[i] = s->listener[--s->listener_count];
        atomic_store_explicit(&core->engine->front->listeners, s->listener_count,
                              memory_order_relaxed);
        return;
    }
}

void front_gone(struct core *core, struct conn *c)
{
    struct job *job = c->job;
    c->job = NULL;
    drop_listener(core, c);
    bool ours = job && (c->state != CONN_BUSY || !job->body);
    if (ours && !job->body) free(job);  /* with a body it is under way: front_wake frees it */
}

/* --- what comes back --- */

static void job_done(struct core *core, struct job *job)
{
    struct conn *c = slab_find(&core->conns, job->slot, job->generation);
    if (c && c->job == job) {
        c->job = NULL;
        memcpy(state(core)->id, job->id, sizeof job->id);
        answer_job(core, c, job);
    }
    if (job->call.answer) {               /* may hold a new key's secret */
        explicit_bzero(job->call.answer, job->call.answer_len);
    }
    free(job->call.answer);
    free(job->body);
    free(job);
}

static void tell(struct core *core, struct bytes event)
{
    struct front_state *s = state(core);
    for (uint32_t i = 0; i < s->listener_count; i++) {
        struct conn *c = s->listener[i];
        if (c->out.bytes > CORE_HELD_MAX) continue;  /* who reads slowly misses rows */
        if (chain_copy(&core->mem, &c->out, event)) conn_dirty(core, c);
    }
}

void front_wake(struct core *core)
{
    struct admin_front *f = core->engine->front;
    for (struct mail *m = mailbox_take(&f->done), *next; m; m = next) {
        next = m->next;
        job_done(core, (struct job *)(void *)m);
    }
    for (struct mail *m = mailbox_take(&f->events), *next; m; m = next) {
        next = m->next;
        struct event *e = (struct event *)(void *)m;
        tell(core, (struct bytes){e->text, e->len});
        free(e);
    }
}

void front_timer(struct core *core, struct timer *t)
{
    struct front_state *s = state(core);
    struct engine *e = core->engine;
    uint64_t requests = 0, running = 0, open = 0;
    for (uint32_t i = 0; i < e->core_count; i++) {
        const struct stats *st = &e->core[i]->stats;
        requests += stat_get(&st->count[STAT_EXCHANGES]);
        running += stat_get(&st->count[STAT_EXCHANGES_OPEN]);
        open += stat_get(&st->count[STAT_CONNECTIONS_OPEN]);
    }
    char text[256];
    int n = snprintf(text, sizeof text,
                     "event: rates\ndata: {\"requests_per_s\":%llu,\"requests\":%llu,"
                     "\"open_exchanges\":%llu,\"open_connections\":%llu}\n\n",
                     (unsigned long long)(requests - s->last_requests),
                     (unsigned long long)requests, (unsigned long long)running,
                     (unsigned long long)open);
    s->last_requests = requests;
    tell(core, (struct bytes){text, (size_t)n});
    timer_arm(&core->timers, t, core->now_ns + RATE_NS);
}

bool front_boot(struct core *core)
{
    struct front_state *s = calloc(1, sizeof *s);
    if (!s) return false;
    core->serve = s;
    s->timer.kind = TIMER_SERVE;
    timer_arm(&core->timers, &s->timer, core->now_ns + RATE_NS);
    return true;
}
