/* look_explain.c - explain.h with the live state: the scores of all cores, the states and
 * breakers, what was learned of the key's organisation. */
#include "engine/admin/admin.h"
#include "engine/clock.h"
#include "engine/control.h"
#include "engine/engine.h"
#include "engine/explain.h"
#include "engine/learn.h"
#include "engine/look.h"
#include "engine/tables.h"
#include "route/plan.h"
#include "route/score.h"

#include <stdio.h>

enum { MERGES = 8 };               /* each takes a bounded part of what cores learned */

/* The worker's own view of the scores, brought up to date. */
static struct score *fresh_view(struct tables *t, uint32_t worker, uint64_t now_ms,
                                uint64_t now_unix_s)
{
    struct score *v = score_view(t->scores, worker);
    for (int i = 0; i < MERGES; i++) score_merge(v, now_ms, now_unix_s);
    return v;
}

static bool tell(struct engine *e, struct tables *t, const struct admin_explain *q,
                 struct jsonw *w, char *why, size_t room, char *pointer)
{
    uint32_t worker = e->core_count + PARTY_WORKER;
    uint64_t ms = clock_now_ns() / 1000000, unix_s = clock_unix_ns() / 1000000000u;
    struct control control = {0};
    struct policy_routing routing = {0};
    int mode = q->mode.len ? plan_mode_of(q->mode) : -1;
    if (mode >= 0) control.mode = (uint8_t)(1 + mode);
    control.cascade = (uint8_t)control_cascade_of(q->cascade);
    if (q->key && !keys_routing(q->key, &routing)) {
        (void)snprintf(why, room, "the key's policy cannot be read");
        return false;
    }
    struct explain_ask ask = {.body = q->body, .api = q->api, .model = q->model,
                              .conf = t->conf, .control = &control,
                              .score = fresh_view(t, worker, ms, unix_s), .key = q->key,
                              .routing = q->key ? &routing : NULL, .now_unix_s = unix_s,
                              .now_ms = ms};
    if (q->key && e->learn) {
        store_id org = q->key->path.unit[UNIT_ORGANIZATION];
        ask.tenant = learn_tenant(e->learn, e->core_count, org);
    }
    struct explain *x = explain_make(&ask);
    const char *at = "", *fault = x ? explain_fault(x, &at) : "out of memory";
    if (fault) (void)snprintf(why, room, "%s", fault);
    else explain_put(x, w);
    (void)snprintf(pointer, ADMIN_POINTER_MAX, "%s", at);
    explain_close(x);
    return !fault;
}

bool look_explain(struct engine *e, const struct admin_explain *q, struct jsonw *w, char *why,
                  size_t room, char *pointer)
{
    uint32_t worker = e->core_count + PARTY_WORKER;
    struct tables *t = atomic_load_explicit(&e->tables, memory_order_acquire);
    tables_pin(t, worker);
    bool good = tell(e, t, q, w, why, room, pointer);
    tables_unpin(t, worker);
    return good;
}
