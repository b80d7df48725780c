/* money.c - see money.h: who there is, what was set, the administrator.
 *   organisation - department - team - member b - keys 1, 2
 *        |              '------------ member c - key 3
 *        '--------------------------- member a - key 0 */
#include "tests/sim/money.h"
#include "engine/clock.h"
#include "engine/engine.h"
#include "store/budget.h"
#include "store/credits.h"
#include "store/keys.h"
#include "store/maybe.h"
#include "store/org.h"
#include "tests/sim/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AT_ORG, AT_DEPARTMENT, AT_TEAM, AT_MEMBER_A, AT_MEMBER_B, AT_MEMBER_C, AT_KEY };

#define S INT64_C(1000000000)
#define HOUR_S INT64_C(3600)
#define PLENTY_NUSD INT64_C(1000000000000000)      /* never reached */

static struct money the;

struct money *money(void) { return &the; }

static void no_limits(struct limits *l)
{
    for (int w = 0; w < WINDOWS; w++) l->nusd[w] = LIMIT_NONE;
}

void money_begin(bool calm)
{
    memset(&the, 0, sizeof the);
    for (int i = 0; i < MONEY_TARGETS; i++) no_limits(&the.mirror.limits[i]);
    the.on = draw_maybe(750) && model()->world != WORLD_AVAILABLE;
    the.binds = !calm && the.on && draw_maybe(600);
    the.busy = draw_maybe(600);
    if (draw_maybe(400)) the.flat_nusd = draw_range(1, 5000) * 1000;
    /* or nobody were cheap, and nothing lost */
    bool flat = model()->world != WORLD_CHEAP && model()->world != WORLD_AVAILABLE;
    if (!flat) the.flat_nusd = 0;
    model()->flat_nusd = the.flat_nusd;
    if (!draw_maybe(500)) return;
    uint32_t hour = (uint32_t)(machine()->wall_ns / S / HOUR_S);
    int64_t edge = window_next_hour((enum window)draw(WINDOW_TOTAL), hour) * HOUR_S * S;
    machine()->wall_ns = edge - (int64_t)machine()->now_ns -
                         draw(draw_maybe(700) ? 5000 : 40000) * (S / 1000);
}

/* --- what is set */

static int64_t some_amount(void)
{
    int64_t unit = the.flat_nusd ? the.flat_nusd : 4000000;
    if (!the.binds || draw_maybe(300)) return PLENTY_NUSD + draw(1000);
    if (draw_maybe(100)) return 0;
    int64_t odd = draw_maybe(300) ? draw((uint32_t)unit) : 0;
    return odd + unit * (draw_maybe(500) ? draw_range(1, 6) : draw_range(7, 60));
}

static void draw_limits(struct limits *l, uint32_t per_mille)
{
    for (int w = 0; w < WINDOWS; w++) {
        if (draw_maybe(per_mille)) l->nusd[w] = some_amount();
    }
}

static void draw_rates(struct rates *r)
{
    *r = (struct rates){0};
    if (!the.binds) return;
    if (draw_maybe(300)) r->rpm = draw_maybe(500) ? draw_range(1, 8) : draw_range(20, 600);
    if (draw_maybe(300)) r->tpm = draw_maybe(500) ? draw_range(100, 5000) : 1000000;
    if (draw_maybe(300)) r->concurrency = draw_maybe(500) ? draw_range(1, 4) : 100;
}

/* As a policy has it: 'r', 't' and 'c' with their numbers. */
static void policy_of(const struct rates *r, struct policy *p)
{
    const uint32_t number[] = {r->rpm, r->tpm, r->concurrency};
    p->len = 0;
    for (int i = 0; i < 3; i++) {
        if (!number[i]) continue;
        int n = snprintf(p->blob + p->len, sizeof p->blob - p->len, "%c%u", "rtc"[i],
                         number[i]);
        p->len = (uint16_t)(p->len + n + 1);       /* with its NUL */
    }
}

static enum store_rc put_rates(struct db *db, MDB_txn *txn, store_id id, const struct rates *r)
{
    enum store_rc rc;
    if (store_id_kind(id) == UNIT_KEY) {
        struct key k;
        rc = keys_get(db, txn, id, &k);
        policy_of(r, &k.policy);
        return rc == STORE_OK ? keys_put(db, txn, &k) : rc;
    }
    struct unit u;
    rc = org_get(db, txn, id, &u);
    policy_of(r, &u.policy);
    return rc == STORE_OK ? org_put(db, txn, &u) : rc;
}

static enum store_rc put_credit(struct db *db, MDB_txn *txn, struct mirror *m)
{
    int64_t amount = some_amount() + 1;
    /* where nothing binds, what a refund leaves does not either */
    bool out = draw_maybe(200) && m->entries_nusd - amount > (the.binds ? 0 : PLENTY_NUSD);
    struct credit c = {.made_unix_ns = clock_unix_ns(), .nusd = out ? -amount : amount,
                       .kind = out ? CREDIT_REFUND : CREDIT_TOP_UP};
    if (m->entries_nusd > 100 * PLENTY_NUSD) return STORE_OK;
    (void)snprintf(c.reference, sizeof c.reference, "sim-%u", m->references++);
    m->entries_nusd += c.nusd;
    return credits_add(db, txn, the.target[AT_ORG], &c);
}

/* --- the first start */

static bool first_key(const struct key *k, void *arg)
{
    *(store_id *)arg = k->id;
    return false;
}

static store_id make_unit(struct db *db, MDB_txn *txn, enum unit_kind kind, int parent)
{
    store_id id = 0;
    if (org_make(db, txn, kind, the.target[parent], "u", NULL, clock_unix_ns(), &id)) {
        violated("store", "a unit cannot be made: %s", db->why);
    }
    return id;
}

static void make_key(struct db *db, MDB_txn *txn, int i, int member)
{
    struct key k = {.member = the.target[member], .name = "k", .hint = "sims"};
    (void)snprintf(the.secret[i], sizeof the.secret[i], "sk-weir-simulated-key-%d", i);
    keys_hash(the.secret[i], strlen(the.secret[i]), k.hash);
    if (keys_make(db, txn, &k, &the.target[AT_KEY + i]) != STORE_OK) {
        violated("store", "a key cannot be made: %s", db->why);
    }
}

static void make_units(struct db *db, MDB_txn *txn)
{
    if (keys_list(db, txn, 0, 0, first_key, &the.target[AT_KEY]) != STORE_OK ||
        org_path(db, txn, the.target[AT_KEY], &the.path[0]) != STORE_OK) {
        violated("store", "the first key is not there: %s", db->why);
    }
    the.target[AT_ORG] = the.path[0].unit[UNIT_ORGANIZATION];
    the.target[AT_MEMBER_A] = the.path[0].unit[UNIT_MEMBER];
    the.target[AT_DEPARTMENT] = make_unit(db, txn, UNIT_DEPARTMENT, AT_ORG);
    the.target[AT_TEAM] = make_unit(db, txn, UNIT_TEAM, AT_DEPARTMENT);
    the.target[AT_MEMBER_B] = make_unit(db, txn, UNIT_MEMBER, AT_TEAM);
    the.target[AT_MEMBER_C] = make_unit(db, txn, UNIT_MEMBER, AT_DEPARTMENT);
    make_key(db, txn, 1, AT_MEMBER_B);
    make_key(db, txn, 2, AT_MEMBER_B);
    make_key(db, txn, 3, AT_MEMBER_C);
    for (int i = 1; i < MONEY_KEYS; i++) {
        if (org_path(db, txn, the.target[AT_KEY + i], &the.path[i]) != STORE_OK) {
            violated("store", "a key has no path: %s", db->why);
        }
    }
}

static enum store_rc set_all(struct db *db, MDB_txn *txn, struct mirror *m)
{
    enum store_rc rc = STORE_OK;
    for (int i = 0; rc == STORE_OK && i < MONEY_TARGETS; i++) {
        draw_limits(&m->limits[i], 200);
        if (draw_maybe(250)) draw_rates(&m->rates[i]);
        rc = limits_put(db, txn, the.target[i], &m->limits[i]);
        if (rc == STORE_OK) rc = put_rates(db, txn, the.target[i], &m->rates[i]);
    }
    if (rc != STORE_OK || !draw_maybe(400)) return rc;
    m->prepaid = true;
    rc = put_credit(db, txn, m);
    return rc == STORE_OK ? credits_mode(db, txn, the.target[AT_ORG], true) : rc;
}

void money_found(struct engine *e, const char *secret)
{
    struct db *db = e->db;
    MDB_txn *txn;
    (void)snprintf(the.secret[0], sizeof the.secret[0], "%s", secret);
    if (db_begin(db, true, &txn) != STORE_OK) violated("store", "%s", db->why);
    make_units(db, txn);
    if (the.on && set_all(db, txn, &the.mirror) != STORE_OK) violated("store", "%s", db->why);
    if (db_commit(db, txn) != STORE_OK) violated("store", "%s", db->why);
    if (budget_refresh(e->budget) != STORE_OK) {
        note("not-refreshed", 0, 0, 0);
    }
}

/* --- the administrator */

/* Limits of somebody: one more or less, others, or all of them lower. */
static enum store_rc change_limits(struct db *db, MDB_txn *txn, struct mirror *m)
{
    uint32_t at = draw(MONEY_TARGETS), window = draw(WINDOWS), way = draw(5);
    struct limits *l = &m->limits[at];
    if (way == 0) l->nusd[window] = LIMIT_NONE;
    if (way == 1) no_limits(l);
    if (way == 2) draw_limits(l, 600);
    for (int w = 0; way == 3 && the.binds && w < WINDOWS; w++) {
        if (l->nusd[w] > 0) l->nusd[w] /= 2;
    }
    if (way == 4) l->nusd[window] = some_amount();
    note("limits", at, window, way);
    return limits_put(db, txn, the.target[at], l);
}

static enum store_rc change_one(struct db *db, MDB_txn *txn, struct mirror *m)
{
    uint32_t at = draw(MONEY_TARGETS), kind = draw(8);
    if (kind < 5) return change_limits(db, txn, m);
    if (kind == 5) {
        draw_rates(&m->rates[at]);
        the.rate_changes++;
        note("rates", at, m->rates[at].rpm, m->rates[at].concurrency);
        return put_rates(db, txn, the.target[at], &m->rates[at]);
    }
    if (kind == 6) {
        note("credit", m->references, 0, 0);
        return put_credit(db, txn, m);
    }
    /* A pool with nothing in it ends everything; there is one where limits may bind. */
    m->prepaid = !m->prepaid && (the.binds || m->entries_nusd >= PLENTY_NUSD);
    note("pool", m->prepaid, 0, 0);
    return credits_mode(db, txn, the.target[AT_ORG], m->prepaid);
}

void money_change(struct engine *e)
{
    struct db *db = e->db;
    MDB_txn *txn;
    if (!the.on || !the.busy || !draw_maybe(30)) return;
    struct mirror next = the.mirror;
    if (db_begin(db, true, &txn) != STORE_OK) violated("store", "%s", db->why);
    enum store_rc rc = STORE_OK;
    for (uint32_t n = draw_range(1, 3); rc == STORE_OK && n > 0; n--) {
        rc = change_one(db, txn, &next);
    }
    if (rc != STORE_OK) violated("store", "a change failed (%d): %s", rc, db->why);
    if (MAYBE(change_fails)) {
        db_abort(txn);                  /* the disk is full: nothing of it was done */
        return;
    }
    if (db_commit(db, txn) != STORE_OK) violated("store", "%s", db->why);
    the.mirror = next;
    the.changes++;
    DEATH(change_committed);
    if (budget_refresh(e->budget) != STORE_OK) {
        note("not-refreshed", 0, 0, 0);
    }
}
