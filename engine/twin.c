/* twin.c - see twin.h. A family is a lead and a list of twins through it; it has no other
 * memory. What belongs to the client moves between exchanges by twin_promote() alone. What a
 * twin that is over leaves to the others (notes for the final error, the count of attempts)
 * goes to its lead. Nothing of one exchange is borrowed by another: each may end first. */
#include "engine/twin.h"
#include "engine/book.h"
#include "engine/cascade.h"
#include "engine/compose.h"
#include "engine/conn.h"
#include "engine/core.h"
#include "engine/endpoint.h"
#include "engine/exchange.h"
#include "engine/hedge.h"
#include "engine/tables.h"
#include "store/maybe.h"

/* ---- the copy of a request ---- */

/* The field lines, the query, and struct api_request behind them; without what was kept of the
 * body's beginning, and the provider's lines. */
static bool copy_kept(struct core *core, const struct exchange *x, struct exchange *twin)
{
    assert(x->theirs_at > x->was_bytes && x->req_at < x->theirs_at);
    struct bytes all = {x->kept.ptr, x->theirs_at - x->was_bytes};
    if (!gather_put(&core->mem, &twin->kept, all)) return false;
    twin->lines_bytes = x->lines_bytes;
    twin->query_bytes = x->query_bytes;
    twin->path_bytes = x->path_bytes;
    twin->req_at = x->req_at;
    twin->model_at = x->model_at;
    twin->theirs_at = twin->kept.len;
    return true;
}

struct copy { struct mem *mem; struct chain *to; };

/* compose_original's visit. */
static bool copy_piece(void *arg, struct bytes piece)
{
    const struct copy *copy = arg;
    return chain_copy(copy->mem, copy->to, piece);
}

/* What the request is, however often it is asked. */
static void copy_facts(const struct exchange *x, struct exchange *twin)
{
    twin->api = twin->peer = x->api;
    twin->marks = x->marks;
    twin->choices = x->choices;
    twin->priority = x->priority;
    twin->deadline_ns = x->deadline_ns;
    twin->timeout_ns = x->timeout_ns;
    twin->admitted_ns = x->admitted_ns;
    twin->tokens = x->tokens;
    twin->stream = x->stream;
    twin->path_stream = x->path_stream;
    twin->array = x->array;
    twin->versioned = x->versioned;
    twin->want_usage = x->want_usage;
    twin->want_cost = x->want_cost;
    twin->http10 = x->http10;
    twin->cors = x->cors;
    twin->control = x->control;
    twin->session = x->session;
    twin->routed = x->routed;
    twin->client = x->client;
    twin->check = x->check;
    memcpy(twin->key_hash, x->key_hash, sizeof twin->key_hash);
    memcpy(twin->lesson, x->lesson, sizeof twin->lesson);
    twin->has_lesson = x->has_lesson;
    twin->rec = x->rec;
    book_clear(twin);
}

/* All of the plan, so that its first candidate stays the one that was named. */
static void share_plan(struct exchange *x, struct exchange *twin, unsigned from, unsigned count)
{
    memcpy(twin->plan, x->plan, sizeof twin->plan);
    twin->plan_next = (uint8_t)from;
    twin->plan_count = (uint8_t)(from + count);
    twin->lent = (uint8_t)count;
    memmove(&x->plan[from], &x->plan[from + count],
            (x->plan_count - from - count) * sizeof x->plan[0]);
    x->plan_count = (uint8_t)(x->plan_count - count);
}

struct exchange *twin_make(struct core *core, struct exchange *x, unsigned from,
                           unsigned count)
{
    assert(!x->lead && x->c && !x->no_row && !x->booked && x->state != X_RELAY);
    assert(from >= x->plan_next && count > 0 && from + count <= x->plan_count);
    if (x->body.bytes > TWIN_BODY_MAX || mem_is_tight(&core->mem)) return NULL;
    struct exchange *twin = slab_take(&core->exchanges);
    if (!twin) return NULL;
    copy_facts(x, twin);
    twin->lead = x;
    struct copy body = {&core->mem, &twin->body};
    bool copied = copy_kept(core, x, twin) && compose_original(core, x, copy_piece, &body);
    if (!copied || !book_begin(core, twin)) {
        gather_drop(&core->mem, &twin->kept);
        chain_drop(&core->mem, &twin->body);
        slab_give(&core->exchanges, twin);
        return NULL;
    }
    assert(twin->body.bytes == x->body.bytes);
    twin->timer.kind = TIMER_EXCHANGE;
    twin->state = X_READ;
    twin->tables = x->tables;
    tables_pin(twin->tables, core->idx);
    spend_join(core, x, twin);
    share_plan(x, twin, from, count);
    twin->next_twin = x->twins;
    x->twins = twin;
    core_count(core, STAT_EXCHANGES_OPEN);
    return twin;
}

/* ---- who is the lead ---- */

struct exchange *twin_lead(struct exchange *x)
{
    assert(!x->lead || !x->lead->lead);
    return x->lead ? x->lead : x;
}

static void unlink_twin(struct exchange *twin)
{
    struct exchange **at = &twin->lead->twins;
    while (*at != twin) {
        assert(*at);
        at = &(*at)->next_twin;
    }
    *at = twin->next_twin;
    twin->next_twin = NULL;
}

void twin_promote(struct core *core, struct exchange *twin)
{
    struct exchange *old = twin->lead;
    assert(old && !old->lead && old->c && !twin->c && old->c->x == old);
    book_promote(core, old, twin);
    unlink_twin(twin);
    twin->twins = old->twins;
    for (struct exchange *t = twin->twins; t; t = t->next_twin) t->lead = twin;
    twin->lead = NULL;
    old->twins = NULL;
    old->lead = twin;
    old->next_twin = twin->twins;
    twin->twins = old;
    twin->c = old->c;
    twin->c->x = twin;
    old->c = NULL;
    twin->head_sent = old->head_sent;
    twin->sse_head = old->sse_head;
    twin->shown = old->shown;
    twin->ping_ns = old->ping_ns;
    hedge_swap(twin, old);
    if (!twin->ping_ns) exchange_keep_awake(core, twin);
    old->head_sent = old->sse_head = false;
    old->shown = 0;
    old->ping_ns = 0;
    exchange_set_timer(core, twin);
}

/* ---- ends ---- */

/* What the final error says of a twin that failed. */
static void leave_notes(struct exchange *twin)
{
    struct exchange *lead = twin->lead;
    for (unsigned i = 0; i < twin->note_count; i++) {
        if (lead->note_count == EXCHANGE_PLAN_MAX) break;
        lead->note[lead->note_count++] = twin->note[i];
    }
    if (twin->shed) lead->shed = true;
    if (twin->quiet_s && (!lead->quiet_s || twin->quiet_s < lead->quiet_s)) {
        lead->quiet_s = twin->quiet_s;
    }
}

static void finish(struct core *core, struct exchange *twin, enum close_why why, bool owes)
{
    unsigned sum = (unsigned)twin->lead->attempts + twin->attempts;
    twin->lead->attempts = (uint8_t)(sum < UINT8_MAX ? sum : UINT8_MAX);
    endpoint_void(core, twin);
    book_twin(core, twin, why, owes);
    hedge_over(core, twin);
    unlink_twin(twin);
    twin->lead = NULL;
    exchange_retire(core, twin);
}

void twin_end(struct core *core, struct exchange *twin, enum close_why why)
{
    assert(twin->lead && !twin->c && !twin->twins);
    bool owes = exchange_owes(twin) && !PLANT(loser_unpaid);     /* as where a client leaves */
    finish(core, twin, cascade_reason(twin, why), owes);
}

void twin_end_all(struct core *core, struct exchange *lead, enum close_why why)
{
    while (lead->twins) twin_end(core, lead->twins, why);
}

unsigned twin_inherit(struct exchange *x, const struct exchange *loser)
{
    assert(x->plan_next <= x->plan_count && loser->plan_next <= loser->plan_count);
    unsigned had = x->plan_count;
    for (unsigned i = loser->plan_next; i < loser->plan_count; i++) {
        if (x->plan_count == EXCHANGE_PLAN_MAX) break;
        x->plan[x->plan_count++] = loser->plan[i];
    }
    return x->plan_count - had;
}

void twin_wins(struct core *core, struct exchange *x, enum close_why others)
{
    if (!x->lead && !x->twins) return;
    assert(x->state != X_RELAY && x->state != X_DONE);
    if (x->lead && x->hurried) core_count(core, STAT_HEDGES_WON);
    if (x->lead) twin_promote(core, x);
    for (const struct exchange *t = x->twins; t; t = t->next_twin) {
        (void)twin_inherit(x, t);      /* who answers may need them yet (resume.h) */
    }
    if (!PLANT(loser_runs)) twin_end_all(core, x, others);
}

/* It never asked anybody: its candidates are as good as before, should the lead need them. */
static bool give_back(struct exchange *twin)
{
    struct exchange *lead = twin->lead;
    unsigned from = (unsigned)twin->plan_count - twin->lent;
    bool fits = lead->plan_count + twin->lent <= EXCHANGE_PLAN_MAX;
    if (twin->attempts > 0 || !fits) return false;
    struct plan_candidate *end = &lead->plan[lead->plan_count];
    memcpy(end, &twin->plan[from], twin->lent * sizeof *end);
    lead->plan_count = (uint8_t)(lead->plan_count + twin->lent);
    return true;
}

bool twin_fails(struct core *core, struct exchange *x)
{
    if (!x->lead && !x->twins) return false;
    bool led = !x->lead;
    if (led) twin_promote(core, x->twins);
    if (led || !give_back(x)) leave_notes(x);
    finish(core, x, CLOSE_UPSTREAM_FAILED, false);
    return true;
}

/* ---- what they have together ---- */

unsigned twin_attempts(const struct exchange *x)
{
    const struct exchange *lead = x->lead ? x->lead : x;
    unsigned sum = lead->attempts;
    for (const struct exchange *t = lead->twins; t; t = t->next_twin) sum += t->attempts;
    return sum;
}

bool twin_head_sent(const struct exchange *x)
{
    return x->lead ? x->lead->head_sent : x->head_sent;
}
