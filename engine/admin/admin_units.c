/* admin_units.c - organizations, departments, teams and members: /admin/v1/units.
 * Rule: what store/org.h would refuse without saying why is refused here first, with a
 * pointer to the member at fault. */
#include "engine/admin/admin.h"
#include "engine/admin/admin_part.h"
#include "store/org.h"

#include <stdio.h>


static void put_unit(struct jsonw *w, const struct unit *u)
{
    assert(store_id_kind(u->id) < UNIT_KEY);
    jsonw_object(w);
    admin_put_id(w, "id", u->id);
    jsonw_key(w, "kind");
    jsonw_text(w, unit_kind_name(store_id_kind(u->id)));
    admin_put_id(w, "parent", u->parent);
    jsonw_key(w, "name");
    jsonw_text(w, u->name);
    if (u->email[0]) {
        jsonw_key(w, "email");
        jsonw_text(w, u->email);
    }
    admin_put_policy(w, &u->policy);
    jsonw_key(w, "created_at");
    admin_put_time(w, u->created_unix_ns);
    jsonw_object_end(w);
}

/* Read the unit of the path into *u. False: a fault is left. */
static bool unit_read(struct admin_call *call, struct unit *u)
{
    store_id id = store_id_parse(call->id.ptr, call->id.len);
    bool is_unit = id != 0 && store_id_kind(id) < UNIT_KEY;
    enum store_rc rc = STORE_NOT_FOUND;
    if (is_unit) rc = org_get(call->host->db, call->txn, id, u);
    return admin_check(call, rc, "unit", NULL);
}

/* May a unit of this kind stand below that parent? */
static void parent_check(struct admin_call *call, enum unit_kind kind, store_id parent)
{
    if (kind == UNIT_ORGANIZATION && parent) {
        admin_fault(call, 400, "invalid_request", "/parent", "an organization has no parent");
    } else if (kind != UNIT_ORGANIZATION && !parent) {
        admin_fault(call, 400, "invalid_request", "/parent", "a %s needs a parent",
                    unit_kind_name(kind));
    } else if (parent && store_id_kind(parent) >= kind) {
        admin_fault(call, 400, "invalid_request", "/parent",
                    "a %s cannot stand below a %s: a level may be skipped, never reversed",
                    unit_kind_name(kind), unit_kind_name(store_id_kind(parent)));
    }
}

static void email_check(struct admin_call *call, enum unit_kind kind,
                        const struct admin_value *email)
{
    if (email->given && !email->null && kind != UNIT_MEMBER) {
        admin_fault(call, 400, "invalid_request", "/email", "only a member has an e-mail");
    }
}

void admin_unit_make(struct admin_call *call)
{
    struct db *db = call->host->db;
    enum unit_kind kind = (enum unit_kind)admin_body(call, "kind")->number;
    store_id parent = admin_body(call, "parent")->number, id = 0;
    const struct admin_value *email = admin_body(call, "email");
    struct unit u;
    assert(kind < UNIT_KEY);
    parent_check(call, kind, parent);
    email_check(call, kind, email);
    if (admin_has_fault(call)) return;
    enum store_rc rc = org_make(db, call->txn, kind, parent, admin_body(call, "name")->text,
                                email->text, call->now_unix_ns, &id);
    if (!admin_check(call, rc, "unit", "/parent")) return;
    if (!admin_check(call, org_get(db, call->txn, id, &u), "unit", NULL)) return;
    if (!admin_policy_change(call, &u.policy)) return;
    rc = u.policy.len ? org_put(db, call->txn, &u) : STORE_OK;
    if (admin_check(call, rc, "unit", NULL)) put_unit(&call->w, &u);
}

struct page {
    struct jsonw *w;
    uint64_t left;     /* rows that still fit */
    bool more;         /* there is one that does not */
};

static bool page_visit(const struct unit *u, void *arg)
{
    struct page *page = arg;
    page->more = page->left == 0;
    if (page->more) return false;
    page->left--;
    put_unit(page->w, u);
    return !page->w->full;
}

void admin_unit_list(struct admin_call *call)
{
    struct jsonw *w = &call->w;
    struct page page = {.w = w, .left = admin_query(call, "limit")->number};
    jsonw_object(w);
    jsonw_key(w, "data");
    jsonw_array(w);
    enum store_rc rc = org_list(call->host->db, call->txn, admin_query(call, "parent")->number,
                                admin_query(call, "after")->number, page_visit, &page);
    if (!admin_check(call, rc, "parent", NULL)) return;
    jsonw_array_end(w);
    jsonw_key(w, "has_more");
    jsonw_bool(w, page.more);
    jsonw_object_end(w);
}

void admin_unit_get(struct admin_call *call)
{
    struct unit u;
    if (unit_read(call, &u)) put_unit(&call->w, &u);
}

void admin_unit_change(struct admin_call *call)
{
    struct unit u;
    const struct admin_value *name = admin_body(call, "name");
    const struct admin_value *email = admin_body(call, "email");
    if (!unit_read(call, &u)) return;
    email_check(call, store_id_kind(u.id), email);
    if (name->given) snprintf(u.name, sizeof(u.name), "%s", name->text);
    if (email->given) snprintf(u.email, sizeof(u.email), "%s", email->text);
    if (admin_has_fault(call) || !admin_policy_change(call, &u.policy)) return;
    enum store_rc rc = org_put(call->host->db, call->txn, &u);
    if (admin_check(call, rc, "unit", NULL)) put_unit(&call->w, &u);
}

void admin_unit_delete(struct admin_call *call)
{
    struct unit u;
    if (!unit_read(call, &u)) return;
    bool recursive = admin_query(call, "recursive")->number != 0;
    enum store_rc rc = org_delete(call->host->db, call->txn, u.id, recursive);
    if (rc == STORE_CONFLICT) {
        admin_fault(call, 409, "conflict", NULL, "units or keys are below this %s: delete them "
                    "first, or ask with ?recursive=1", unit_kind_name(store_id_kind(u.id)));
    }
    if (!admin_check(call, rc, "unit", NULL)) return;
    jsonw_object(&call->w);
    admin_put_id(&call->w, "id", u.id);
    jsonw_key(&call->w, "deleted");
    jsonw_bool(&call->w, true);
    jsonw_object_end(&call->w);
}
