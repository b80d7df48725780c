/* table.c - the one table of the admin API: it routes, it says what each call may hold, and
 * OpenAPI is written from it (admin_openapi.c).
 *
 *   path, method -> route -> query -> body -> [transaction] -> handler -> commit
 *                     |        |       |                          |         -> in effect
 *                     +--------+-------+------ a fault -----------+         -> answer
 *                                                 +--> error answer
 * Rule: a handler sees only values that the table has checked, and whoever leaves a fault has
 * changed nothing, because the transaction is dropped. */
#include "engine/admin/admin.h"
#include "engine/admin/admin_part.h"
#include "store/credits.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { ANSWER_ROOM = 64 << 10 };   /* bytes an answer begins with; more than any write's */

/* ---- what calls may hold ---- */

#define KIND(k) (1u << UNIT_##k)
#define KINDS_UNITS (KIND(ORGANIZATION) | KIND(DEPARTMENT) | KIND(TEAM) | KIND(MEMBER))

static const char *const kind_words[] = {"organization", "department", "team", "member", NULL};
static const char *const format_words[] = {"json", "csv", "pdf", NULL};

#define LIMIT(usual) \
    {"limit", .about = "rows of the page", .type = ADMIN_COUNT, .high = ADMIN_PAGE_MAX, \
     .otherwise = (usual)}

static const struct admin_field unit_make_body[] = {
    {"kind", .about = "level", .type = ADMIN_WORD, .words = kind_words, .required = true},
    {"parent", .about = "the unit above; only an organization has none", .type = ADMIN_ID,
     .kinds = KINDS_UNITS, .nullable = true},
    {"name", .about = "for people", .type = ADMIN_NAME, .required = true},
    {"email", .about = "members only", .type = ADMIN_EMAIL, .nullable = true},
    {"policy", .about = "limits of everything below", .type = ADMIN_POLICY, .nullable = true},
    {0},
};
static const struct admin_field unit_change_body[] = {
    {"name", .about = "for people", .type = ADMIN_NAME},
    {"email", .about = "members only; null takes it back", .type = ADMIN_EMAIL,
     .nullable = true},
    {"policy", .about = "absent members stay, null takes one back", .type = ADMIN_POLICY,
     .nullable = true},
    {"parent", .refused = "units do not move"},
    {"kind", .refused = "a unit keeps its kind"},
    {0},
};
static const struct admin_field unit_list_query[] = {
    {"parent", .about = "only its children", .type = ADMIN_ID, .kinds = KINDS_UNITS},
    LIMIT(ADMIN_PAGE_MAX),
    {"after", .about = "id of the last row seen", .type = ADMIN_ID, .kinds = KINDS_UNITS},
    {0},
};
static const struct admin_field unit_delete_query[] = {
    {"recursive", .about = "with everything below it", .type = ADMIN_FLAG},
    {0},
};
static const struct admin_field key_make_body[] = {
    {"member", .about = "whose key it is", .type = ADMIN_ID, .kinds = KIND(MEMBER),
     .required = true},
    {"name", .about = "for people", .type = ADMIN_NAME, .required = true},
    {"expires_at", .about = "it works before then; null: for ever", .type = ADMIN_TIME,
     .nullable = true},
    {"policy", .about = "limits of this key", .type = ADMIN_POLICY, .nullable = true},
    {0},
};
static const struct admin_field key_change_body[] = {
    {"name", .about = "for people", .type = ADMIN_NAME},
    {"expires_at", .about = "it works before then; null: for ever", .type = ADMIN_TIME,
     .nullable = true},
    {"policy", .about = "absent members stay, null takes one back", .type = ADMIN_POLICY,
     .nullable = true},
    {"member", .refused = "keys do not move"},
    {0},
};
static const struct admin_field key_list_query[] = {
    {"unit", .about = "only keys below it", .type = ADMIN_ID,
     .kinds = KINDS_UNITS | KIND(KEY)},
    LIMIT(ADMIN_PAGE_MAX),
    {"after", .about = "id of the last row seen", .type = ADMIN_ID, .kinds = KIND(KEY)},
    {0},
};
static const struct admin_field key_rotate_body[] = {
    {"grace", .about = "how long the old secret works on; absent: not at all",
     .type = ADMIN_SPAN, .nullable = true},
    {0},
};
static const struct admin_field usage_query_list[] = {
    {"unit", .about = "a unit or key; absent: everything", .type = ADMIN_ID,
     .kinds = KINDS_UNITS | KIND(KEY)},
    {"from", .about = "admitted at or after", .type = ADMIN_TIME},
    {"to", .about = "admitted before", .type = ADMIN_TIME},
    {"group_by", .about = "columns of the groups", .type = ADMIN_GROUPS},
    {"format", .about = "json in this release", .type = ADMIN_WORD, .words = format_words},
    {"baseline", .about = "provider/model: the same tokens at its price",
     .type = ADMIN_NAME},
    {0},
};
static const struct admin_field requests_query[] = {
    {"unit", .about = "a unit or key; absent: everything", .type = ADMIN_ID,
     .kinds = KINDS_UNITS | KIND(KEY)},
    {"from", .about = "admitted at or after", .type = ADMIN_TIME},
    {"to", .about = "admitted before", .type = ADMIN_TIME},
    LIMIT(100),
    {"after", .about = "id of the last row seen", .type = ADMIN_ROW},
    {0},
};

static const struct admin_field routes_query[] = {
    {"provider", .about = "only its rows", .type = ADMIN_NAME},
    {"model", .about = "only its rows: provider/model, or a bare id", .type = ADMIN_NAME},
    {"tenant", .about = "an organization: what was learned of its requests, too",
     .type = ADMIN_ID, .kinds = KIND(ORGANIZATION)},
    {0},
};

static const char *const mode_words[] = {"balanced", "cost", "latency", "availability", NULL};
static const char *const api_words[] = {"chat", "responses", "messages", "generate",
                                        "completions", "embeddings", NULL};
static const char *const cascade_words[] = {"never", "check", "agree=2", "agree=3", NULL};
static const struct admin_field explain_query[] = {
    {"api", .about = "whose form the body has; absent: told by its members",
     .type = ADMIN_WORD, .words = api_words},
    {"mode", .about = "as x-weir-mode would say", .type = ADMIN_WORD, .words = mode_words},
    {"cascade", .about = "as x-weir-cascade would say", .type = ADMIN_WORD,
     .words = cascade_words},
    {"model", .about = "of a Gemini request, whose path has it", .type = ADMIN_NAME},
    {"key", .about = "under this key's policies; absent: nobody's", .type = ADMIN_ID,
     .kinds = KIND(KEY)},
    {0},
};

static const char *const credit_words[] = {"top_up", "grant", "refund", "correction", NULL};
static_assert(CREDIT_CORRECTION == 3 && CREDIT_KINDS == 4, "a word for each");
static const char *const pool_words[] = {"unlimited", "prepaid", NULL};

static const struct admin_field budget_body[] = {
    {"limits", .about = "all of them: what is absent is taken away", .type = ADMIN_LIMITS,
     .required = true},
    {0},
};
static const struct admin_field credit_body[] = {
    {"usd", .about = "above 0; a refund takes it out, only a correction may be negative",
     .type = ADMIN_MONEY, .is_signed = true, .required = true},
    {"reference", .about = "of the payment: the same again is not entered again",
     .type = ADMIN_NAME, .required = true},
    {"kind", .about = "what it is", .type = ADMIN_WORD, .words = credit_words,
     .required = true},
    {0},
};
static const struct admin_field credits_query[] = {
    LIMIT(100),
    {"after", .about = "id of the last entry seen", .type = ADMIN_CREDIT},
    {0},
};
static const char *const state_words[] = {"on", "drain", "off", NULL};
static_assert(ROTATION_OFF == 2 && ROTATIONS == 3, "a word for each");

static const struct admin_field state_body[] = {
    {"state", .about = "drain: no new requests, running ones end; off: nor are connections "
     "kept", .type = ADMIN_WORD, .words = state_words, .required = true},
    {0},
};
static const struct admin_field pool_body[] = {
    {"pool", .about = "prepaid: requests are paid from it, and refused where it is empty",
     .type = ADMIN_WORD, .words = pool_words, .required = true},
    {0},
};

/* ---- the table ---- */

#define A "/admin/v1/"
#define LATER(path) {HTTP_OTHER, A path, .state = ROUTE_LATER}

const struct admin_route admin_routes[] = {
    {HTTP_POST, A "units", ROUTE_HERE, NEEDS_WRITE, admin_unit_make, unit_make_body, NULL, 201,
     "Unit",
     .summary = "Make an organization, department, team or member"},
    {HTTP_GET, A "units", ROUTE_HERE, NEEDS_READ, admin_unit_list, NULL, unit_list_query, 200,
     "[Unit]",
     .summary = "List units"},
    {HTTP_GET, A "units/{id}", ROUTE_HERE, NEEDS_READ, admin_unit_get, NULL, NULL, 200, "Unit",
     .summary = "Show a unit"},
    {HTTP_PATCH, A "units/{id}", ROUTE_HERE, NEEDS_WRITE, admin_unit_change, unit_change_body,
     NULL, 200, "Unit",
     .summary = "Change name, e-mail or policy of a unit"},
    {HTTP_DELETE, A "units/{id}", ROUTE_HERE, NEEDS_WRITE, admin_unit_delete, NULL,
     unit_delete_query, 200, "Deleted",
     .summary = "Delete a unit"},
    {HTTP_POST, A "keys", ROUTE_HERE, NEEDS_WRITE, admin_key_make, key_make_body, NULL, 201,
     "NewKey",
     .summary = "Make a client key; its secret is shown once"},
    {HTTP_GET, A "keys", ROUTE_HERE, NEEDS_READ, admin_key_list, NULL, key_list_query, 200,
     "[Key]",
     .summary = "List client keys"},
    {HTTP_GET, A "keys/{id}", ROUTE_HERE, NEEDS_READ, admin_key_get, NULL, NULL, 200, "Key",
     .summary = "Show a client key"},
    {HTTP_PATCH, A "keys/{id}", ROUTE_HERE, NEEDS_WRITE, admin_key_change, key_change_body,
     NULL, 200, "Key",
     .summary = "Change name, expiry or policy of a client key"},
    {HTTP_DELETE, A "keys/{id}", ROUTE_HERE, NEEDS_WRITE, admin_key_delete, NULL, NULL, 200,
     "Deleted",
     .summary = "Delete a client key"},
    {HTTP_POST, A "keys/{id}/rotate", ROUTE_HERE, NEEDS_WRITE, admin_key_rotate,
     key_rotate_body, NULL, 200, "NewKey",
     .summary = "Replace the secret; the new one is shown once"},
    {HTTP_GET, A "usage", ROUTE_HERE, NEEDS_READ, admin_usage_get, NULL, usage_query_list, 200,
     "{Usage}",
     .summary = "Usage and cost, grouped"},
    {HTTP_GET, A "requests", ROUTE_HERE, NEEDS_READ, admin_requests_get, NULL, requests_query,
     200, "[Request]",
     .summary = "Finished requests, newest first"},
    {HTTP_GET, A "providers", ROUTE_HERE, NEEDS_NOTHING, admin_providers_get, NULL, NULL, 200,
     "Live",
     .summary = "Providers and their live state"},
    {HTTP_GET, A "models", ROUTE_HERE, NEEDS_NOTHING, admin_models_get, NULL, NULL, 200, "Live",
     .summary = "The catalogue of models"},
    {HTTP_GET, A "routes", ROUTE_HERE, NEEDS_READ, admin_routes_get, NULL, routes_query, 200,
     "Routes",
     .summary = "The live score table, a row for each model and key of its provider"},
    {HTTP_PATCH, A "providers/{name}", ROUTE_HERE, NEEDS_WRITE, admin_provider_change,
     state_body, NULL, 200, "ProviderState",
     .summary = "Take a provider out of rotation, or back"},
    {HTTP_PATCH, A "models/{id*}", ROUTE_HERE, NEEDS_WRITE, admin_model_change, state_body,
     NULL, 200, "ModelState",
     .summary = "Take a model out of rotation, or back"},
    {HTTP_POST, A "explain", ROUTE_HERE, NEEDS_READ, admin_explain_run, NULL, explain_query,
     200, "Explained", .whole = true,
     .summary = "What the router would do now with the request in the body"},
    {HTTP_POST, A "reload", ROUTE_HERE, NEEDS_NOTHING, admin_reload_run, NULL, NULL, 200,
     "Reloaded",
     .summary = "Read the configuration again"},
    {HTTP_GET, A "openapi.json", ROUTE_HERE, NEEDS_NOTHING, admin_openapi_get, NULL, NULL, 200,
     "Live",
     .summary = "This description"},
    {HTTP_GET, A "events", ROUTE_ENGINE, NEEDS_NOTHING, NULL, NULL, NULL, 200, "-",
     .summary = "Live server-sent events: finished requests, and rates each second"},
    {HTTP_PUT, A "budgets/{id}", ROUTE_HERE, NEEDS_WRITE, admin_budget_set, budget_body, NULL,
     200, "Budget",
     .summary = "Set the limits of a unit or key, all of them anew", .show = admin_budget_get},
    {HTTP_GET, A "budgets/{id}", ROUTE_HERE, NEEDS_READ, admin_budget_get, NULL, NULL, 200,
     "Budget",
     .summary = "Limits of a unit or key, and what is left of them now"},
    {HTTP_DELETE, A "budgets/{id}", ROUTE_HERE, NEEDS_WRITE, admin_budget_delete, NULL, NULL,
     200, "Deleted",
     .summary = "Take all limits of a unit or key away"},
    {HTTP_POST, A "organizations/{id}/credits", ROUTE_HERE, NEEDS_WRITE, admin_credit_make,
     credit_body, NULL, 201, "Credit",
     .summary = "Enter a payment, grant, refund or correction", .again = 200},
    {HTTP_GET, A "organizations/{id}/credits", ROUTE_HERE, NEEDS_READ, admin_credits_get, NULL,
     credits_query, 200, "Credits",
     .summary = "The shared pool and its entries, newest first"},
    {HTTP_PATCH, A "organizations/{id}/credits", ROUTE_HERE, NEEDS_WRITE, admin_pool_change,
     pool_body, NULL, 200, "Pool",
     .summary = "Make the pool prepaid or unlimited", .show = admin_pool_get},
    LATER("units/{id}/roles"), LATER("units/{id}/roles/{member}"),
    LATER("members/{id}/tokens"), LATER("members/{id}/tokens/{token}"),
    LATER("alerts"), LATER("alerts/{id*}"), LATER("approvals"), LATER("approvals/{id*}"),
    LATER("audit"),
};
const size_t admin_route_count = COUNT(admin_routes);

/* ---- faults ---- */

void admin_fault(struct admin_call *call, unsigned status, const char *code,
                 const char *pointer, const char *format, ...)
{
    assert(status >= 400);
    assert(code);
    struct admin_fault *f = &call->work->fault;
    if (f->status != 0) return;
    f->status = status;
    f->code = code;
    snprintf(f->pointer, sizeof(f->pointer), "%s", pointer ? pointer : "");
    va_list args;
    va_start(args, format);
    vsnprintf(f->message, sizeof(f->message), format, args);
    va_end(args);
}

bool admin_has_fault(const struct admin_call *call)
{
    return call->work->fault.status != 0;
}

bool admin_check(struct admin_call *call, enum store_rc rc, const char *what,
                 const char *pointer)
{
    switch (rc) {
    case STORE_OK:
        return true;
    case STORE_NOT_FOUND:
        admin_fault(call, 404, "not_found", pointer, "no such %s", what);
        return false;
    case STORE_CONFLICT:
        admin_fault(call, 409, "conflict", pointer, "this %s exists already", what);
        return false;
    case STORE_REFUSED:
        admin_fault(call, 400, "invalid_request", pointer, "this %s is not possible", what);
        return false;
    default:
        admin_fault(call, 503, "store_unavailable", NULL, "%s", call->host->db->why);
        return false;
    }
}

/* ---- routing ---- */

/* Does path fit the pattern? *id: what stands for its first parameter. */
static bool pattern_fits(const char *pattern, struct bytes path, struct bytes *id)
{
    struct bytes want = bytes_of(pattern);
    bool has_id = false;
    *id = (struct bytes){0};
    for (;;) {
        struct bytes segment = bytes_cut(&want, bytes_find(want, '/'));
        struct bytes given = bytes_cut(&path, bytes_find(path, '/'));
        bool is_name = segment.len > 0 && segment.ptr[0] == '{';
        if (is_name && segment.ptr[segment.len - 2] == '*') {
            given.len += path.len;
            path = (struct bytes){0};
        }
        if (is_name ? given.len == 0 : !bytes_eq(segment, given)) return false;
        if (is_name && !has_id) *id = given;
        has_id = has_id || is_name;
        if (want.len == 0 || path.len == 0) return want.len == path.len;
        bytes_cut(&want, 1);
        bytes_cut(&path, 1);
    }
}

/* RFC 9110 section 9.1: HEAD is where GET is. */
static bool method_fits(const struct admin_route *r, enum http_method method)
{
    return r->method == method || (method == HTTP_HEAD && r->method == HTTP_GET);
}

/* The route of a method and path. NULL: none has both; *later: it is one not in this
 * release. */
static const struct admin_route *route_find(enum http_method method, struct bytes path,
                                            struct bytes *id, bool *later)
{
    *later = false;
    for (size_t i = 0; i < admin_route_count; i++) {
        const struct admin_route *r = &admin_routes[i];
        if (r->state != ROUTE_LATER && !method_fits(r, method)) continue;
        if (!pattern_fits(r->pattern, path, id)) continue;
        if (r->state != ROUTE_LATER) return r;
        *later = true;
    }
    return NULL;
}

bool admin_writes(enum http_method method, struct bytes path)
{
    struct bytes id;
    bool later;
    const struct admin_route *r = route_find(method, path, &id, &later);
    return r && r->needs == NEEDS_WRITE;
}

static const char *method_name(enum http_method method)
{
    switch (method) {
    case HTTP_GET: return "GET, HEAD";
    case HTTP_POST: return "POST";
    case HTTP_PATCH: return "PATCH";
    case HTTP_DELETE: return "DELETE";
    case HTTP_PUT: return "PUT";
    default: return "";
    }
}

/* What the path takes, into call->allow. False: nothing, for it is no path of ours. */
static bool allow_find(struct admin_call *call)
{
    size_t len = 0;
    for (size_t i = 0; i < admin_route_count; i++) {
        const struct admin_route *r = &admin_routes[i];
        struct bytes id;
        if (r->state == ROUTE_LATER || !pattern_fits(r->pattern, call->path, &id)) continue;
        int n = snprintf(call->allow + len, sizeof(call->allow) - len, "%s%s",
                         len ? ", " : "", method_name(r->method));
        assert(n > 0 && (size_t)n < sizeof(call->allow) - len);
        len += (size_t)n;
    }
    return len > 0;
}

static void route_take(struct admin_call *call)
{
    bool later;
    call->work->route = route_find(call->method, call->path, &call->id, &later);
    const struct admin_route *r = call->work->route;
    int len = (int)(call->path.len < 200 ? call->path.len : 200);
    if (r && r->state == ROUTE_HERE) return;
    if (later) {
        admin_fault(call, 404, "not_in_this_release", NULL, "%.*s is not in this release", len,
                    call->path.ptr);
    } else if (!r && allow_find(call)) {
        admin_fault(call, 405, "method_not_allowed", NULL, "this path takes %s", call->allow);
    } else {
        admin_fault(call, 404, "not_found", NULL, "no such path: %.*s", len, call->path.ptr);
    }
}

/* ---- answering ---- */

static void fault_put(struct admin_call *call)
{
    const struct admin_fault *f = &call->work->fault;
    struct jsonw *w = &call->w;
    jsonw_object(w);
    jsonw_key(w, "error");
    jsonw_object(w);
    jsonw_key(w, "code");
    jsonw_text(w, f->code);
    jsonw_key(w, "message");
    jsonw_text(w, f->message);
    if (f->pointer[0]) {
        jsonw_key(w, "pointer");
        jsonw_text(w, f->pointer);
    }
    jsonw_object_end(w);
    jsonw_object_end(w);
}

/* Twice the room of an answer, as often as it takes. */
static bool answer_grow(struct jsonw *w, size_t need)
{
    struct admin_call *call = (void *)((char *)w - offsetof(struct admin_call, w));
    size_t room = w->room;
    assert(call->answer == w->out);
    while (room < need && room <= ADMIN_ANSWER_MAX / 2) room *= 2;
    if (room < need) return false;
    char *grown = realloc(call->answer, room);
    if (!grown) return false;
    call->answer = w->out = grown;
    w->room = room;
    return true;
}

/* Let put write the answer; grows: into as much room as it takes, by realloc, which leaves a
 * copy behind: not for secrets. False: it would be larger than ADMIN_ANSWER_MAX, or there is no
 * memory; then a fault is left. */
static bool answer_write(struct admin_call *call, void (*put)(struct admin_call *call),
                         bool grows)
{
    free(call->answer);
    call->answer = malloc(ANSWER_ROOM);
    if (!call->answer) {
        admin_fault(call, 503, "overloaded", NULL, "out of memory");
        return false;
    }
    jsonw_init(&call->w, call->answer, ANSWER_ROOM);
    if (grows) call->w.grow = answer_grow;
    put(call);
    call->answer_len = call->w.len;
    if (!call->w.full) return true;
    if (call->w.room <= ADMIN_ANSWER_MAX / 2) {
        admin_fault(call, 503, "overloaded", NULL, "out of memory");
        return false;
    }
    admin_fault(call, 400, "answer_too_large", NULL, "the answer would be larger than %d MiB: "
                "ask for less", ADMIN_ANSWER_MAX >> 20);
    return false;
}

/* Answer by put, in a read transaction where it needs one. */
static void run_read(struct admin_call *call, void (*put)(struct admin_call *call), bool reads)
{
    struct db *db = call->host->db;
    if (reads && !admin_check(call, db_begin(db, false, &call->txn), "store", NULL)) return;
    (void)answer_write(call, put, true);
    if (reads) db_abort(call->txn);
}

/* Commit, and let it be in effect everywhere. What fails behind the commit is said: the change
 * is there. */
static void finish_write(struct admin_call *call, const struct admin_route *r)
{
    const struct admin_host *host = call->host;
    if (!admin_check(call, db_commit(host->db, call->txn), "change", NULL)) {
        admin_refund_undo(call);
        return;
    }
    if (host->committed && !host->committed(host->arg)) {
        admin_fault(call, 503, "store_unavailable", NULL, "the change is stored, but is not in "
                    "effect yet: %s", host->db->why);
        return;
    }
    if (r->show) run_read(call, r->show, true);
}

/* ANSWER_ROOM is more than a write can need. */
static void run_write(struct admin_call *call, const struct admin_route *r)
{
    struct db *db = call->host->db;
    bool once = call->method == HTTP_POST && call->idempotency_key.len > 0;
    assert(!once || !r->show);  /* what is shown later cannot be kept with the change */
    if (!admin_check(call, db_begin(db, true, &call->txn), "store", NULL)) return;
    if (once && admin_idem_find(call)) {
        db_abort(call->txn);
        return;
    }
    if (r->show) r->run(call);
    else (void)answer_write(call, r->run, false);
    if (once && !admin_has_fault(call)) admin_idem_put(call);
    if (admin_has_fault(call)) {
        db_abort(call->txn);
        admin_refund_undo(call);
        return;
    }
    assert(call->answer_len <= ANSWER_ROOM);
    finish_write(call, r);
}

/* Answer with the fault. What a handler wrote before it is thrown away, and wiped: it may hold
 * the secret of a key that was not made after all. */
static void answer_fault(struct admin_call *call)
{
    if (call->answer) explicit_bzero(call->answer, call->answer_len);
    call->answer_len = 0;
    call->status = call->work->fault.status;
    bool written = answer_write(call, fault_put, false);
    assert(written || !call->answer);
}

void admin_run(struct admin_call *call)
{
    assert(call->host && call->host->db);
    call->status = 503;
    call->answer = NULL;
    call->answer_len = 0;
    call->allow[0] = '\0';
    call->txn = NULL;
    call->work = calloc(1, sizeof(*call->work));
    if (!call->work) return;
    route_take(call);
    if (!admin_has_fault(call)) admin_query_read(call);
    if (!admin_has_fault(call)) admin_body_read(call);
    if (!admin_has_fault(call)) {
        const struct admin_route *r = call->work->route;
        call->status = r->success;
        if (r->needs == NEEDS_WRITE) run_write(call, r);
        else run_read(call, r->run, r->needs == NEEDS_READ);
    }
    if (admin_has_fault(call)) answer_fault(call);
    free(call->work);
    call->work = NULL;
    assert(call->status >= 200);
}
