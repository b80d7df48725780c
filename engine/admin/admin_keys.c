/* admin_keys.c - client keys: /admin/v1/keys.
 *   made (secret shown once) -> changed, rotated (another secret, shown once) -> deleted
 * Rule: a secret is in the answer that made it and nowhere else: its place there is noted, so
 * that what is kept for a repeated POST has none, and every copy of our own is wiped. */
#include "engine/admin/admin.h"
#include "engine/admin/admin_part.h"
#include "store/org.h"

#include <stdio.h>

enum { SECRET_ROOM = 64, HINT_LEN = 4 };

/* Members of a key's JSON, without its braces. */
static bool put_key(struct admin_call *call, const struct key *k)
{
    struct jsonw *w = &call->w;
    struct unit_path path;
    enum store_rc rc = org_path(call->host->db, call->txn, k->id, &path);
    if (!admin_check(call, rc, "key", NULL)) return false;
    admin_put_id(w, "member", k->member);
    jsonw_key(w, "name");
    jsonw_text(w, k->name);
    jsonw_key(w, "hint");
    jsonw_text(w, k->hint);
    jsonw_key(w, "created_at");
    admin_put_time(w, k->created_unix_ns);
    jsonw_key(w, "expires_at");
    if (k->expires_unix_ns) admin_put_time(w, k->expires_unix_ns);
    else jsonw_null(w);
    admin_put_policy(w, &k->policy);
    jsonw_key(w, "path");
    jsonw_object(w);
    for (unsigned level = 0; level < UNIT_KEY; level++) {
        admin_put_id(w, unit_kind_name((enum unit_kind)level), path.unit[level]);
    }
    jsonw_object_end(w);
    return true;
}

/* A whole key; secret: its text, or NULL for a key that was not made just now. */
static bool put_whole(struct admin_call *call, const struct key *k, const char *secret)
{
    struct jsonw *w = &call->w;
    jsonw_object(w);
    admin_put_id(w, "id", k->id);
    if (secret) {
        jsonw_key(w, "key");
        call->work->secret_at = w->len;
        jsonw_text(w, secret);
        call->work->secret_end = w->len;
    }
    if (!put_key(call, k)) return false;
    jsonw_object_end(w);
    return true;
}

/* Read the key of the path into *k. False: a fault is left. */
static bool key_read(struct admin_call *call, struct key *k)
{
    store_id id = store_id_parse(call->id.ptr, call->id.len);
    bool is_key = id != 0 && store_id_kind(id) == UNIT_KEY;
    enum store_rc rc = STORE_NOT_FOUND;
    if (is_key) rc = keys_get(call->host->db, call->txn, id, k);
    return admin_check(call, rc, "key", NULL);
}

/* Take the body's expires_at over, where it has one. */
static bool expiry_take(struct admin_call *call, struct key *k)
{
    const struct admin_value *expires = admin_body(call, "expires_at");
    if (expires->given && !expires->null && expires->number <= call->now_unix_ns) {
        admin_fault(call, 400, "invalid_request", "/expires_at", "is in the past");
        return false;
    }
    if (expires->given) k->expires_unix_ns = expires->null ? 0 : expires->number;
    return true;
}

/* Make a secret, its hash and its hint. */
static void secret_make(struct admin_call *call, char secret[SECRET_ROOM],
                        uint8_t hash[STORE_KEY_HASH], char hint[KEYS_HINT_MAX])
{
    memset(secret, 0, SECRET_ROOM);
    call->host->make_secret(call->host->arg, secret);
    size_t len = strnlen(secret, SECRET_ROOM);
    assert(len > HINT_LEN * 2);
    assert(len < SECRET_ROOM);
    keys_hash(secret, len, hash);
    snprintf(hint, KEYS_HINT_MAX, "%s", secret + len - HINT_LEN);
}

void admin_key_make(struct admin_call *call)
{
    struct db *db = call->host->db;
    struct key k = {.member = admin_body(call, "member")->number,
                    .created_unix_ns = call->now_unix_ns};
    char secret[SECRET_ROOM];
    snprintf(k.name, sizeof(k.name), "%s", admin_body(call, "name")->text);
    if (!expiry_take(call, &k) || !admin_policy_change(call, &k.policy)) return;
    secret_make(call, secret, k.hash, k.hint);
    enum store_rc rc = keys_make(db, call->txn, &k, &k.id);
    if (rc == STORE_NOT_FOUND) admin_check(call, rc, "member", "/member");
    if (admin_check(call, rc, "key", NULL)) (void)put_whole(call, &k, secret);
    explicit_bzero(secret, sizeof(secret));
}

void admin_key_rotate(struct admin_call *call)
{
    struct db *db = call->host->db;
    const struct admin_value *grace = admin_body(call, "grace");
    struct key k;
    char secret[SECRET_ROOM];
    if (!key_read(call, &k)) return;
    uint64_t old_until = grace->number ? call->now_unix_ns + grace->number : 0;
    secret_make(call, secret, k.hash, k.hint);
    enum store_rc rc = keys_rotate(db, call->txn, k.id, k.hash, k.hint, old_until);
    if (admin_check(call, rc, "key", NULL)) (void)put_whole(call, &k, secret);
    explicit_bzero(secret, sizeof(secret));
}

struct page {
    struct admin_call *call;
    uint64_t left;     /* rows that still fit */
    bool more;         /* there is one that does not */
};

static bool page_visit(const struct key *k, void *arg)
{
    struct page *page = arg;
    page->more = page->left == 0;
    if (page->more) return false;
    page->left--;
    return put_whole(page->call, k, NULL) && !page->call->w.full;
}

void admin_key_list(struct admin_call *call)
{
    struct jsonw *w = &call->w;
    struct page page = {.call = call, .left = admin_query(call, "limit")->number};
    jsonw_object(w);
    jsonw_key(w, "data");
    jsonw_array(w);
    enum store_rc rc = keys_list(call->host->db, call->txn, admin_query(call, "unit")->number,
                                 admin_query(call, "after")->number, page_visit, &page);
    if (!admin_check(call, rc, "unit", NULL) || admin_has_fault(call)) return;
    jsonw_array_end(w);
    jsonw_key(w, "has_more");
    jsonw_bool(w, page.more);
    jsonw_object_end(w);
}

void admin_key_get(struct admin_call *call)
{
    struct key k;
    if (key_read(call, &k)) (void)put_whole(call, &k, NULL);
}

void admin_key_change(struct admin_call *call)
{
    struct key k;
    const struct admin_value *name = admin_body(call, "name");
    if (!key_read(call, &k)) return;
    if (name->given) snprintf(k.name, sizeof(k.name), "%s", name->text);
    if (!expiry_take(call, &k) || !admin_policy_change(call, &k.policy)) return;
    enum store_rc rc = keys_put(call->host->db, call->txn, &k);
    if (admin_check(call, rc, "key", NULL)) (void)put_whole(call, &k, NULL);
}

void admin_key_delete(struct admin_call *call)
{
    struct key k;
    if (!key_read(call, &k)) return;
    enum store_rc rc = keys_delete(call->host->db, call->txn, k.id);
    if (!admin_check(call, rc, "key", NULL)) return;
    jsonw_object(&call->w);
    admin_put_id(&call->w, "id", k.id);
    jsonw_key(&call->w, "deleted");
    jsonw_bool(&call->w, true);
    jsonw_object_end(&call->w);
}
