/* admin_calls.h - calls to the admin API for its tests: an engine that stands behind it, calls
 * by text, answers looked into by JSON pointer. Every body ends at an unreadable page.
 * Whoever includes it has included engine/admin/admin.h and store/fold.h. */
#ifndef TESTS_UNIT_ADMIN_CALLS_H
#define TESTS_UNIT_ADMIN_CALLS_H

#include "tests/unit/data_dir.h"
#include "tests/unit/wall.h"

#define S_NS UINT64_C(1000000000)
/* 2026-01-30T00:00:00Z */
#define EPOCH (UINT64_C(1769731200) * S_NS)

enum { TEXT_MAX = 1024 };

/* ---- the engine that stands behind the API */

struct engine {
    struct admin_host host;
    unsigned secrets, reloads, commits, models;   /* how often it was asked */
    bool stuck;                  /* what is committed does not get into effect */
    const char *diagnostics;     /* NULL: reloads are good */
    size_t pad;                  /* bytes of text in put_models */
    uint64_t now;
    char secret[64];             /* the newest one */
    struct wall wall;
};

/* The host's functions. */
static inline void make_secret(void *arg, char *out)
{
    struct engine *e = arg;
    snprintf(e->secret, sizeof(e->secret), "sk-weir-%032u", ++e->secrets);
    memcpy(out, e->secret, strlen(e->secret) + 1);
}

/* A reload that is counted, and refused when there are diagnostics. */
static inline bool reload(void *arg, char *text, size_t room)
{
    struct engine *e = arg;
    e->reloads++;
    if (e->diagnostics) snprintf(text, room, "%s", e->diagnostics);
    return e->diagnostics == NULL;
}

/* A change that is counted, and does not get into effect where the engine is stuck. */
static inline bool committed(void *arg)
{
    struct engine *e = arg;
    e->commits++;
    return !e->stuck;
}

/* One provider and one model of it. */
static inline bool find(void *arg, enum rotation_of of, struct bytes name,
                        char near[CATALOG_NAME_MAX + 1])
{
    const char *known = of == ROTATION_PROVIDER ? "mock" : "mock/one";
    (void)arg;
    snprintf(near, CATALOG_NAME_MAX + 1, "%s", name.len > 2 ? known : "");
    return bytes_eq(name, bytes_of(known));
}

/* What was asked for. */
static inline void put_routes(void *arg, struct bytes provider, struct bytes model,
                              store_id tenant, struct jsonw *w)
{
    (void)arg;
    jsonw_object(w);
    jsonw_key(w, "data"), jsonw_array(w);
    jsonw_string(w, provider), jsonw_string(w, model), jsonw_bool(w, tenant != 0);
    jsonw_array_end(w);
    jsonw_object_end(w);
}

/* One provider. */
static inline void put_providers(void *arg, struct jsonw *w)
{
    (void)arg;
    jsonw_raw(w, BYTES("{\"data\":[{\"name\":\"mock\"}]}"));
}

/* A list of e->pad texts. */
static inline void put_models(void *arg, struct jsonw *w)
{
    struct engine *e = arg;
    e->models++;
    jsonw_object(w);
    jsonw_key(w, "data");
    jsonw_array(w);
    for (size_t i = 0; i < e->pad; i++) jsonw_text(w, "0123456789");
    jsonw_array_end(w);
    jsonw_object_end(w);
}

/* far/plain costs 10 dollars per 1M tokens of each kind, and a thousandth a request; far/tiers
 * 1, above 20 prompt tokens 100, since the 31st of January 2026; far/unknown nobody knows. */
static inline bool find_price(void *arg, struct bytes model, struct price_list *out,
                              char near[CATALOG_NAME_MAX + 1])
{
    struct price p = {.known = true, .request = 1000000000};
    (void)arg;
    for (int k = 0; k < PRICE_KINDS; k++) {
        p.kind[k] = 10000000;
        p.tier[0].kind[k] = 100000000;
    }
    snprintf(near, CATALOG_NAME_MAX + 1, "%s", model.len > 8 ? "" : "far/plain");
    *out = (struct price_list){.count = 1, .at = {p}};
    if (bytes_eq(model, BYTES("far/plain"))) return true;
    for (int k = 0; k < PRICE_KINDS; k++) p.kind[k] /= 10;
    p.from_unix_s = EPOCH / S_NS + 86400;
    p.tier_count = 1;
    p.tier[0].above = 20;
    out->at[0] = p;
    if (bytes_eq(model, BYTES("far/tiers"))) return true;
    out->at[0] = (struct price){.known = false};
    return bytes_eq(model, BYTES("far/unknown"));
}

/* Names of two reasons. */
static inline const char *close_name(uint16_t why)
{
    return why == RECORD_CLOSE_DONE ? "done" : "upstream_failed";
}

/* Names of two modes. */
static inline const char *mode_name(uint8_t mode)
{
    return mode == 0 ? "balanced" : "cost";
}

/* Says what it was asked. */
static inline bool explain(void *arg, const struct admin_explain *q, struct jsonw *w, char *why,
                           size_t room, char pointer[ADMIN_POINTER_MAX])
{
    (void)arg;
    if (q->body.len == 0) {
        (void)snprintf(why, room, "no body");
        (void)snprintf(pointer, ADMIN_POINTER_MAX, "/x");
        return false;
    }
    jsonw_object(w);
    jsonw_key(w, "body"), jsonw_raw(w, q->body);
    jsonw_key(w, "mode"), jsonw_string(w, q->mode);
    jsonw_key(w, "api"), jsonw_string(w, q->api);
    jsonw_key(w, "key"), jsonw_bool(w, q->key != NULL);
    jsonw_object_end(w);
    return true;
}

/* Two of the reasons have words. */
static inline const char *reason_name(unsigned place, uint8_t code)
{
    static const char *const names[] = {"named", "topic"};
    return code && place < COUNT(names) ? names[place] : NULL;
}

/* An engine on the test's store, at EPOCH. */
static inline struct engine *engine_open(struct data_dir *d)
{
    struct engine *e = calloc(1, sizeof(*e));
    assert_non_null(e);
    e->host = (struct admin_host){
        .db = data_dir_open(d), .arg = e, .make_secret = make_secret, .reload = reload,
        .put_providers = put_providers, .put_models = put_models, .find_price = find_price,
        .close_name = close_name, .mode_name = mode_name,
        .reason_name = reason_name, .committed = committed, .find = find,
        .put_routes = put_routes, .explain = explain,
    };
    e->now = EPOCH;
    e->wall = wall_open(1 << 16);
    return e;
}

/* takes e. */
static inline void engine_close(struct engine *e)
{
    wall_close(&e->wall);
    free(e);
}

/* ---- calls */

struct answer {
    unsigned status;
    char *text;
    size_t len;
    char allow[64];
    char value[TEXT_MAX];    /* what pick() found last */
};

/* "GET" as HTTP_GET; unknown ones are HTTP_OTHER. */
static inline enum http_method method_of(const char *name)
{
    static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};
    static const enum http_method methods[] = {HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT,
                                               HTTP_PATCH, HTTP_DELETE};
    for (size_t i = 0; i < COUNT(names); i++) {
        if (strcmp(names[i], name) == 0) return methods[i];
    }
    return HTTP_OTHER;
}

/* Free an answer; *a is empty again. */
static inline void drop(struct answer *a)
{
    free(a->text);
    *a = (struct answer){0};
}

/* Run "METHOD path?query" below /admin/v1/ into *a, which is dropped first. The body ends at
 * an unreadable page. */
static inline void ask_once(struct engine *e, struct answer *a, const char *what,
                            struct bytes body, const char *idempotency_key)
{
    char method[16], target[TEXT_MAX] = "/admin/v1/";
    drop(a);
    size_t space = strcspn(what, " ");
    snprintf(method, sizeof(method), "%.*s", (int)space, what);
    snprintf(target + 10, sizeof(target) - 10, "%s", what + space + 1);
    char *query = strchr(target, '?');
    if (query) *query++ = '\0';
    struct admin_call call = {
        .method = method_of(method), .path = bytes_of(target), .query = bytes_of(query),
        .body = wall_put(&e->wall, body), .idempotency_key = bytes_of(idempotency_key),
        .host = &e->host, .now_unix_ns = e->now,
    };
    admin_run(&call);
    assert_non_null(call.answer);
    *a = (struct answer){.status = call.status, .text = call.answer, .len = call.answer_len};
    memcpy(a->allow, call.allow, sizeof(a->allow));
}

/* The same without an Idempotency-Key; body may be NULL. */
static inline void ask(struct engine *e, struct answer *a, const char *what, const char *body)
{
    ask_once(e, a, what, bytes_of(body), NULL);
}

/* As ask(), and the status must be so. */
static inline void want(struct engine *e, struct answer *a, unsigned status, const char *what,
                        const char *body)
{
    ask(e, a, what, body);
    if (a->status != status) {
        fail_msg("%s %s: %u: %.*s", what, body ? body : "", a->status, (int)a->len, a->text);
    }
}

struct place {               /* where a walk through JSON stands */
    char step[16][128];
    bool is_array[16];
    unsigned idx[16];
};

/* Enter a value at its depth; its pointer into out. */
static inline void place_enter(struct place *p, const struct json_token *t, char out[TEXT_MAX])
{
    assert_true(t->depth < 15);
    if (t->depth > 0 && p->is_array[t->depth - 1]) {
        snprintf(p->step[t->depth], sizeof(p->step[0]), "%u", p->idx[t->depth - 1]++);
    }
    p->is_array[t->depth] = t->type == JSON_ARRAY;
    p->idx[t->depth] = 0;
    size_t len = 0;
    out[0] = '\0';
    for (unsigned d = 1; d <= t->depth; d++) {
        len += (size_t)snprintf(out + len, TEXT_MAX - len, "/%s", p->step[d]);
        assert_true(len < TEXT_MAX);
    }
}

/* The value at a pointer (names unescaped) into a->value: a text resolved, a number or word as
 * it stands, "{" or "[". NULL: there is none. The whole answer is checked to be JSON. Counts
 * members or elements of it in *count (may be NULL). */
static inline const char *pick(struct answer *a, const char *pointer, unsigned *count)
{
    struct json json;
    struct json_token t;
    struct place p = {0};
    struct bytes in = {a->text, a->len};
    bool found = false;
    enum net_rc rc;
    unsigned below = 0;
    char where[TEXT_MAX];
    size_t len = strlen(pointer);
    json_init(&json, 16);
    while ((rc = json_next(&json, &in, &t)) == NET_OK) {
        if (t.type == JSON_OBJECT_END || t.type == JSON_ARRAY_END) continue;
        if (t.type == JSON_KEY) {
            assert_true(t.text.len < sizeof(p.step[0]));
            p.step[t.depth][json_unescape(t.text, p.step[t.depth])] = '\0';
            continue;
        }
        place_enter(&p, &t, where);
        bool is_below = strncmp(where, pointer, len) == 0 && where[len] == '/';
        if (is_below && !strchr(where + len + 1, '/')) below++;
        if (strcmp(where, pointer) != 0) continue;
        assert_false(found);
        found = true;
        struct bytes text = {a->text + t.start, t.end - t.start};
        if (t.type == JSON_OBJECT || t.type == JSON_ARRAY) text.len = 1;
        assert_true(t.text.len < TEXT_MAX);
        if (t.type == JSON_STRING) text.len = json_unescape(t.text, a->value);
        else memcpy(a->value, text.ptr, text.len);
        a->value[text.len] = '\0';
    }
    if (rc != NET_DONE) fail_msg("not JSON: %.*s", (int)a->len, a->text);
    if (count) *count = below;
    return found ? a->value : NULL;
}

/* The value at a pointer must be so; NULL: there must be none. */
static inline void check_value(struct answer *a, const char *pointer, const char *value)
{
    const char *found = pick(a, pointer, NULL);
    bool same = found && value ? strcmp(found, value) == 0 : found == value;
    if (!same) {
        fail_msg("%s is %s, not %s: %.*s", pointer, found ? found : "(absent)",
                 value ? value : "(absent)", (int)a->len, a->text);
    }
}

/* Members or elements of what must stand at a pointer. */
static inline unsigned count_of(struct answer *a, const char *pointer)
{
    unsigned count;
    assert_non_null(pick(a, pointer, &count));
    return count;
}

/* Make a unit; its id into out. */
static inline void make_unit(struct engine *e, const char *kind, const char *parent,
                             char out[32])
{
    struct answer a = {0};
    char body[TEXT_MAX];
    snprintf(body, sizeof(body), "{\"kind\":\"%s\",\"name\":\"%s's name\"%s%s%s}", kind, kind,
             parent ? ",\"parent\":\"" : "", parent ? parent : "", parent ? "\"" : "");
    want(e, &a, 201, "POST units", body);
    snprintf(out, 32, "%s", pick(&a, "/id", NULL));
    drop(&a);
}

struct lineage { char org[32], dep[32], team[32], member[32]; };

/* One unit of each kind, below each other. */
static inline struct lineage make_family(struct engine *e)
{
    struct lineage f;
    make_unit(e, "organization", NULL, f.org);
    make_unit(e, "department", f.org, f.dep);
    make_unit(e, "team", f.dep, f.team);
    make_unit(e, "member", f.team, f.member);
    return f;
}

/* Make a key of a member; its id into out. */
static inline void make_key(struct engine *e, const char *member, char out[32])
{
    struct answer a = {0};
    char body[TEXT_MAX];
    snprintf(body, sizeof(body), "{\"member\":\"%s\",\"name\":\"k\"}", member);
    want(e, &a, 201, "POST keys", body);
    snprintf(out, 32, "%s", pick(&a, "/id", NULL));
    drop(&a);
}

/* "METHOD resource/id tail". */
static inline const char *call_of(const char *head, const char *id, const char *tail)
{
    static _Thread_local char text[2][TEXT_MAX];
    static _Thread_local unsigned turn;
    char *out = text[turn++ % 2];
    snprintf(out, TEXT_MAX, "%s%s%s", head, id, tail);
    return out;
}

/* A good request of that key, `exchange` minutes after EPOCH. */
static inline struct record make_record(const struct lineage *f, const char *key,
                                        uint64_t exchange)
{
    struct record r = {
        .exchange_id = exchange, .admitted_unix_ns = EPOCH + exchange * 60 * S_NS,
        .cost_nusd = 1234567, .price_request = 1000000000, .reasoning_tokens = 3,
        .ttft_us = 1500, .duration_us = 2001500, .status = 200, .close = RECORD_CLOSE_DONE,
        .gain = 2500, .attempts = 2, .fallbacks = 1, .flags = RECORD_STREAM,
    };
    const char *ids[UNIT_KINDS] = {f->org, f->dep, f->team, f->member, key};
    for (int k = 0; k < UNIT_KINDS; k++) r.path[k] = store_id_parse(ids[k], strlen(ids[k]));
    r.tokens[TOKEN_INPUT] = 10;
    r.tokens[TOKEN_AUDIO_INPUT] = 1;
    r.tokens[TOKEN_CACHED] = 4;
    r.tokens[TOKEN_CACHE_WRITE] = 5;
    r.tokens[TOKEN_CACHE_WRITE_1H] = 6;
    r.tokens[TOKEN_OUTPUT] = 100;
    r.price[TOKEN_INPUT] = 100000;
    r.price[TOKEN_OUTPUT] = 1;
    snprintf(r.model, sizeof(r.model), "openai/gpt-%u", (unsigned)(exchange % 2));
    snprintf(r.request_id, sizeof(r.request_id), "client-%u", (unsigned)exchange);
    snprintf(r.tags, sizeof(r.tags), "a=1,b=x=y,a=2,flag");
    return r;
}

/* Take finished requests through a journal into the store. */
static inline void fold(struct data_dir *d, const struct record *records, size_t count)
{
    char why[JOURNAL_WHY_MAX];
    struct journal *j = NULL;
    uint64_t folded;
    if (journal_open(d->path, 0, 16, 256, &j, why) != STORE_OK) fail_msg("%s", why);
    for (size_t i = 0; i < count; i++) {
        assert_true(journal_has_room(j));
        uint32_t slot = journal_begin(j, &records[i]);
        if (records[i].kind == RECORD_ATTEMPT) journal_twin_end(j, slot, &records[i]);
        else journal_end(j, slot, &records[i]);
    }
    assert_int_equal(fold_step(d->db, &j, 1, 100, NULL, NULL, &folded), STORE_OK);
    assert_int_equal(folded, count);
    journal_close(j);
}

/* The body of a budget: LIMITS(LIMIT("\"1\"", "\"day\"")). */
#define LIMIT(usd, window) "{\"usd\":" usd ",\"window\":" window "}"
#define LIMITS(list) "{\"limits\":[" list "]}"

/* "METHOD organizations/{id}/creditsTAIL"; good until the next one. */
static inline char *credits(const struct lineage *f, const char *head, const char *tail)
{
    static _Thread_local char text[TEXT_MAX];
    snprintf(text, sizeof(text), "%s organizations/%s/credits%s", head, f->org, tail);
    return text;
}

/* The body of an entry; good until the next one. */
static inline char *entry(const char *usd, const char *reference, const char *kind)
{
    static _Thread_local char text[TEXT_MAX];
    snprintf(text, sizeof(text), "{\"usd\":\"%s\",\"reference\":\"%s\",\"kind\":\"%s\"}", usd,
             reference, kind);
    return text;
}

#endif
