/* calls.c - see calls.h. A call is a reply of the model: its provider read the whole request.
 * Where something fails, it may be that nobody owes for it, or that a provider never read what
 * was sent; where nothing does, each call is one record. */
#include "tests/sim/calls.h"
#include "engine/stats.h"
#include "tests/sim/machine.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static unsigned number_of(const struct ask *a) { return (unsigned)(a - model()->ask); }

static bool told(const struct ask *a, const struct record *r)
{
    char id[MODEL_ID_MAX];
    for (uint32_t i = 0; i < a->reply_count; i++) {
        const struct reply *p = &a->reply[i];
        model_id(p->provider, id);
        bool same = r->tokens[TOKEN_INPUT] == p->input &&
                    r->tokens[TOKEN_CACHED] == p->cached &&
                    r->tokens[TOKEN_OUTPUT] == p->output;
        if (same && p->usage && strcmp(id, r->model) == 0) return true;
    }
    return false;
}

/* What answered, and was not taken, said what it used; what was cut short could not. */
static void check_attempt(const struct ask *a, const struct record *r)
{
    bool whole = r->close == CLOSE_ESCALATED || r->close == CLOSE_OUTVOTED;
    bool own = (r->flags & RECORD_ESTIMATED) != 0;
    if (model_cost(r) != r->cost_nusd) {
        violated("calls", "sim-%u: %.40s cost %" PRId64 ", by its tokens %" PRId64,
                 number_of(a), r->model, r->cost_nusd, model_cost(r));
    }
    if (whole && !own && !told(a, r)) {
        violated("calls", "sim-%u: %.40s is booked with tokens that it did not tell",
                 number_of(a), r->model);
    }
    if (r->close == CLOSE_HEDGE_LOST && !own) {
        violated("calls", "sim-%u: %.40s was cut short, and knows its tokens", number_of(a),
                 r->model);
    }
}

static unsigned count_records(const struct ask *a, const char *id)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < a->booked_count; i++) {
        count += strcmp(a->booked[i].r.model, id) == 0;
    }
    return count;
}

static void check_each_once(const struct ask *a)
{
    for (uint32_t p = 0; p < MODEL_PROVIDERS; p++) {
        char id[MODEL_ID_MAX];
        unsigned asked = 0;
        model_id(p, id);
        for (uint32_t i = 0; i < a->reply_count; i++) asked += a->reply[i].provider == p;
        unsigned booked = count_records(a, id);
        if (asked == booked) continue;
        violated("calls", "sim-%u: %s was asked %u times, and is booked %u times", number_of(a),
                 id, asked, booked);
    }
}

void calls_settle(const struct ask *a)
{
    for (uint32_t i = 0; i < a->booked_count; i++) {
        const struct record *r = &a->booked[i].r;
        if (r->kind == RECORD_ATTEMPT) check_attempt(a, r);
    }
    if (model()->calm && a->complete && a->status == 200) check_each_once(a);
}
