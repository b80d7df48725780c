/* admin_budgets.c - limits of units and keys: /admin/v1/budgets.
 *   PUT, DELETE -> store -> commit -> cells (budget.h) -> GET's answer
 * What is spent and held is what the cells say: records that are not folded yet and running
 * requests included. Cells are read, never written, and their readers wait for nobody: a look
 * takes nothing from a core.
 * Rule: the limits shown are those that are stored. */
#include "engine/admin/admin.h"
#include "engine/admin/admin_part.h"
#include "engine/show.h"
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

unsigned admin_party(const struct admin_call *call)
{
    const struct admin_host *host = call->host;
    bool writes = call->work->route->needs == NEEDS_WRITE;
    return writes ? host->change_party : host->look_party;
}

/* What the store says of a limit: whatever was folded, and nothing is held. */
static bool look_store(struct admin_call *call, store_id id, enum window w,
                       struct budget_look *look)
{
    struct db *db = call->host->db;
    uint32_t hour = (uint32_t)(call->now_unix_ns / hour_ns);
    uint32_t first = window_first_hour(w, hour), next = window_next_hour(w, hour);
    assert(first <= hour && hour < next);
    look->window = (uint8_t)w;
    look->resets_unix_ns = w == WINDOW_TOTAL ? 0 : next * hour_ns;
    enum store_rc rc = w == WINDOW_TOTAL
        ? spent_total(db, call->txn, id, &look->spent_nusd)
        : spent_between(db, call->txn, id, first, next, &look->spent_nusd);
    return admin_check(call, rc, "budget", NULL);
}

/* What the cells say, where the target has any, over what the store said. */
static void look_cells(const struct admin_call *call, store_id id, const struct unit_path *path,
                       struct budget_look looks[WINDOWS])
{
    struct budget *b = call->host->budget;
    struct budget_path found;
    if (!b) return;
    budget_enter(b, admin_party(call));
    budget_find(b, path, &found);
    for (unsigned i = 0; i < found.limit_count; i++) {
        if (found.limit[i].layer != store_id_kind(id)) continue;
        budget_see(b, &found, i, call->now_unix_ns, &looks[found.limit[i].window]);
    }
    budget_leave(b, admin_party(call));
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
    look_cells(call, id, &path, looks);
    jsonw_object(w);
    jsonw_key(w, "limits");
    jsonw_array(w);
    for (unsigned i = 0; i < WINDOWS; i++) {
        if (limits.nusd[i] == LIMIT_NONE) continue;
        looks[i].limit_nusd = limits.nusd[i];
        jsonw_object(w);
        show_limit(w, &looks[i]);
        jsonw_object_end(w);
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
