/* admin_budgets.c - limits of units and keys: /admin/v1/budgets.
 *   PUT, DELETE -> store -> commit -> in effect -> GET's answer
 * Rule: the limits shown are those that are stored. */
#include "engine/admin/admin.h"
#include "engine/admin/admin_part.h"
#include "store/budget.h"
#include "store/org.h"
#include "store/spent.h"

static const uint64_t hour_ns = UINT64_C(3600000000000);

/* The unit or key of the path. False: a fault is left. */
static bool target_read(struct admin_call *call, store_id *id, struct unit_path *path)
{
    *id = store_id_parse(call->id.ptr, call->id.len);
    enum store_rc rc = STORE_NOT_FOUND;
    if (*id) rc = org_path(call->host->db, call->txn, *id, path);
    return admin_check(call, rc, "unit or key", NULL);
}

/* What the store says of a limit: whatever was folded, and nothing is held. */
static bool look_store(struct admin_call *call, store_id id, enum window w,
                       struct budget_look *look)
{
    struct db *db = call->host->db;
    uint32_t hour = (uint32_t)(call->now_unix_ns / hour_ns);
    uint32_t first = window_first_hour(w, hour), next = window_next_hour(w, hour);
    assert(first <= hour && hour < next);
    look->resets_unix_ns = w == WINDOW_TOTAL ? 0 : next * hour_ns;
    enum store_rc rc = w == WINDOW_TOTAL
        ? spent_total(db, call->txn, id, &look->spent_nusd)
        : spent_between(db, call->txn, id, first, next, &look->spent_nusd);
    return admin_check(call, rc, "budget", NULL);
}

/* What of a limit is left: never below nothing. */
static int64_t remaining(int64_t limit, const struct budget_look *look)
{
    assert(limit >= 0 && look->spent_nusd >= 0);
    int64_t rest = limit - look->spent_nusd;
    return look->held_nusd >= rest ? 0 : rest - look->held_nusd;
}

static void put_limit(struct jsonw *w, int64_t limit, enum window window,
                      const struct budget_look *look)
{
    jsonw_object(w);
    admin_put_money(w, "usd", limit);
    jsonw_key(w, "window");
    jsonw_text(w, window_name(window));
    admin_put_money(w, "spent", look->spent_nusd);
    admin_put_money(w, "held", look->held_nusd);
    admin_put_money(w, "remaining", remaining(limit, look));
    jsonw_key(w, "resets_at");
    if (look->resets_unix_ns) admin_put_time(w, look->resets_unix_ns);
    else jsonw_null(w);
    jsonw_object_end(w);
}

void admin_budget_get(struct admin_call *call)
{
    struct jsonw *w = &call->w;
    store_id id;
    struct unit_path path;
    struct limits limits;
    struct budget_look looks[WINDOWS] = {0};
    if (!target_read(call, &id, &path)) return;
    enum store_rc rc = limits_get(call->host->db, call->txn, id, &limits);
    if (rc != STORE_NOT_FOUND && !admin_check(call, rc, "budget", NULL)) return;
    for (unsigned i = 0; i < WINDOWS; i++) {
        bool is_set = limits.nusd[i] != LIMIT_NONE;
        if (is_set && !look_store(call, id, (enum window)i, &looks[i])) return;
    }
    jsonw_object(w);
    jsonw_key(w, "limits");
    jsonw_array(w);
    for (unsigned i = 0; i < WINDOWS; i++) {
        if (limits.nusd[i] == LIMIT_NONE) continue;
        put_limit(w, limits.nusd[i], (enum window)i, &looks[i]);
    }
    jsonw_array_end(w);
    jsonw_object_end(w);
}

void admin_budget_set(struct admin_call *call)
{
    store_id id;
    struct unit_path path;
    assert(admin_body(call, "limits")->given);
    if (!target_read(call, &id, &path)) return;
    enum store_rc rc = limits_put(call->host->db, call->txn, id, &call->work->limits);
    admin_check(call, rc, "budget", "/limits");
}

void admin_budget_delete(struct admin_call *call)
{
    store_id id;
    struct unit_path path;
    if (!target_read(call, &id, &path)) return;
    enum store_rc rc = limits_drop(call->host->db, call->txn, id);
    if (!admin_check(call, rc, "budget", NULL)) return;
    jsonw_object(&call->w);
    admin_put_id(&call->w, "id", id);
    jsonw_key(&call->w, "deleted");
    jsonw_bool(&call->w, true);
    jsonw_object_end(&call->w);
}
