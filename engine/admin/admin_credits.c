/* admin_credits.c - the credit pool of an organization: /admin/v1/organizations/{id}/credits.
 *   entries (payments, grants, refunds, corrections) - what prepaid requests cost
 *       = balance + held by running requests
 * An entry stays for ever; what was wrong is put right by another one. Its reference makes it
 * safe to send again: the same again is answered, not entered.
 * Rule: a refused entry leaves nothing: its transaction is dropped. */
#include "engine/admin/admin.h"
#include "engine/admin/admin_part.h"
#include "store/budget.h"
#include "store/credits.h"

#include <stdio.h>

struct balance { int64_t nusd, held; };

/* The organization of the path; 0 where its id has another form: nobody has that. */
static store_id org_of(const struct admin_call *call)
{
    store_id id = store_id_parse(call->id.ptr, call->id.len);
    return id && store_id_kind(id) == UNIT_ORGANIZATION ? id : 0;
}

/* The organization of the path, and its pool. False: a fault is left. */
static bool pool_read(struct admin_call *call, store_id *org, struct pool *pool)
{
    *org = org_of(call);
    enum store_rc rc = STORE_NOT_FOUND;
    if (*org) rc = credits_pool(call->host->db, call->txn, *org, pool);
    return admin_check(call, rc, "organization", NULL);
}

/* What is in the pool now. Cells, where the pool has one, know running requests and records
 * that are not folded yet; the store knows the rest. */
static struct balance balance_see(const struct admin_call *call, store_id org,
                                  const struct pool *pool)
{
    struct budget *b = call->host->budget;
    struct balance balance = {.nusd = pool->entries_nusd - pool->spent_nusd};
    struct unit_path path = {.unit = {[UNIT_ORGANIZATION] = org}};
    struct budget_path found;
    if (!b || !pool->prepaid) return balance;
    budget_enter(b, admin_party(call));
    budget_find(b, &path, &found);
    for (unsigned i = 0; i < found.limit_count; i++) {
        struct budget_look look;
        if (found.limit[i].layer != BUDGET_LAYER_POOL) continue;
        budget_see(b, &found, i, call->now_unix_ns, &look);
        balance.held = look.held_nusd;
        balance.nusd = look.limit_nusd - look.spent_nusd - look.held_nusd;
    }
    budget_leave(b, admin_party(call));
    return balance;
}

/* ---- the pool ---- */

/* Members of a pool, without braces. */
static void put_pool(struct admin_call *call, store_id org, const struct pool *pool)
{
    struct balance balance = balance_see(call, org, pool);
    admin_put_money(&call->w, "balance", balance.nusd);
    admin_put_money(&call->w, "held", balance.held);
    jsonw_key(&call->w, "pool");
    jsonw_text(&call->w, pool->prepaid ? "prepaid" : "unlimited");
}

void admin_pool_get(struct admin_call *call)
{
    store_id org;
    struct pool pool;
    if (!pool_read(call, &org, &pool)) return;
    jsonw_object(&call->w);
    put_pool(call, org, &pool);
    jsonw_object_end(&call->w);
}

void admin_pool_change(struct admin_call *call)
{
    store_id org;
    struct pool pool;
    bool prepaid = admin_body(call, "pool")->number != 0;
    if (!pool_read(call, &org, &pool)) return;
    enum store_rc rc = credits_mode(call->host->db, call->txn, org, prepaid);
    admin_check(call, rc, "pool", "/pool");
}

/* ---- entries ---- */

static void put_credit(struct jsonw *w, const struct credit *c)
{
    char id[ADMIN_CREDIT_MAX];
    assert(c->kind < CREDIT_KINDS);
    admin_credit_text(c->serial, id);
    jsonw_object(w);
    jsonw_key(w, "id");
    jsonw_text(w, id);
    /* As it was sent, and as it counts. */
    admin_put_money(w, "usd", c->kind == CREDIT_REFUND ? -c->nusd : c->nusd);
    jsonw_key(w, "kind");
    jsonw_text(w, credit_kind_name((enum credit_kind)c->kind));
    jsonw_key(w, "reference");
    jsonw_text(w, c->reference);
    admin_put_money(w, "balance_change", c->nusd);
    jsonw_key(w, "created_at");
    admin_put_time(w, c->made_unix_ns);
    jsonw_object_end(w);
}

struct page {
    struct jsonw *w;
    uint64_t left;     /* entries that still fit */
    bool more;         /* there is one that does not */
};

static bool page_visit(const struct credit *c, void *arg)
{
    struct page *page = arg;
    page->more = page->left == 0;
    if (page->more) return false;
    page->left--;
    put_credit(page->w, c);
    return !page->w->full;
}

void admin_credits_get(struct admin_call *call)
{
    struct jsonw *w = &call->w;
    struct page page = {.w = w, .left = admin_query(call, "limit")->number};
    store_id org;
    struct pool pool;
    if (!pool_read(call, &org, &pool)) return;
    jsonw_object(w);
    put_pool(call, org, &pool);
    jsonw_key(w, "entries");
    jsonw_array(w);
    enum store_rc rc = credits_each(call->host->db, call->txn, org,
                                    admin_query(call, "after")->number, page_visit, &page);
    if (!admin_check(call, rc, "organization", NULL)) return;
    jsonw_array_end(w);
    jsonw_key(w, "has_more");
    jsonw_bool(w, page.more);
    jsonw_object_end(w);
}

/* Is the amount one that its kind may have? */
static bool amount_check(struct admin_call *call, enum credit_kind kind, int64_t nusd)
{
    if (kind == CREDIT_CORRECTION ? nusd != 0 : nusd > 0) return true;
    admin_fault(call, 400, "invalid_request", "/usd", kind == CREDIT_CORRECTION
                ? "a correction of nothing corrects nothing"
                : "'usd' must be above 0: a refund takes its amount out, only a correction may "
                  "be negative");
    return false;
}

/* Enter c, which is *c then. False: a fault is left, or it was there before and is answered. */
static bool credit_enter(struct admin_call *call, store_id org, struct credit *c)
{
    struct credit wanted = *c;
    enum store_rc rc = credits_add(call->host->db, call->txn, org, c);
    if (rc == STORE_REFUSED) {
        admin_fault(call, 400, "invalid_request", "/usd", "'usd' takes the sum of all entries "
                    "beyond 1000000000 dollars");
        return false;
    }
    if (rc != STORE_CONFLICT) return admin_check(call, rc, "credit", NULL);
    if (c->nusd != wanted.nusd || c->kind != wanted.kind) {
        admin_fault(call, 409, "conflict", "/reference", "this reference is that of another "
                    "entry, with another amount or kind");
        return false;
    }
    call->status = call->work->route->again;
    put_credit(&call->w, c);
    return false;
}

/* A refund takes from the pool as a request does: what one of them gets, the other does not.
 * False: a fault is left. */
static bool refund_take(struct admin_call *call, store_id org, const struct pool *pool,
                        int64_t nusd)
{
    struct budget *b = call->host->budget;
    enum store_rc rc = b ? budget_pool_take(b, org, nusd) : STORE_NOT_FOUND;
    if (rc == STORE_OK) {
        call->work->refund_org = org;
        call->work->refund_nusd = nusd;
        return true;
    }
    if (rc == STORE_NOT_FOUND && nusd <= pool->entries_nusd - pool->spent_nusd) return true;
    admin_fault(call, 409, "conflict", "/usd", "the refund is more than the balance");
    return false;
}

void admin_refund_undo(struct admin_call *call)
{
    struct admin_work *work = call->work;
    if (!work->refund_org) return;
    assert(work->refund_nusd > 0);
    budget_pool_give(call->host->budget, work->refund_org, work->refund_nusd);
    work->refund_org = 0;
}

/* The balance is asked behind the reference: a refund that is sent again is no new one. */
void admin_credit_make(struct admin_call *call)
{
    store_id org;
    struct pool pool;
    enum credit_kind kind = (enum credit_kind)admin_body(call, "kind")->number;
    int64_t nusd = (int64_t)admin_body(call, "usd")->number;
    struct credit c = {.kind = (uint8_t)kind, .made_unix_ns = call->now_unix_ns};
    assert(kind < CREDIT_KINDS);
    if (!amount_check(call, kind, nusd) || !pool_read(call, &org, &pool)) return;
    c.nusd = kind == CREDIT_REFUND ? -nusd : nusd;
    snprintf(c.reference, sizeof(c.reference), "%s", admin_body(call, "reference")->text);
    if (!credit_enter(call, org, &c)) return;
    if (kind == CREDIT_REFUND && !refund_take(call, org, &pool, nusd)) return;
    put_credit(&call->w, &c);
}
