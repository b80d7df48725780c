/* observe.c - see observe.h.
 * Rule: score_begin() and score_end() come in pairs on the view that the exchange's tables
 * have, whatever happens in between: x->scored says which is due. */
#include "engine/observe.h"
#include "engine/conf.h"
#include "engine/core.h"
#include "engine/engine.h"
#include "engine/exchange.h"
#include "engine/sticky.h"
#include "engine/tables.h"
#include "route/expect.h"
#include "route/score.h"

enum {
    CACHED_MIN = 1024,             /* tokens: providers cache no shorter prefix by themselves */
    SILENCE_NS_MIN = 250000000,    /* nobody is slow below that */
    SILENCE_TIMES = 3,             /* so many times the usual is as bad as a failure */
};

static struct score *view_of(const struct core *core, const struct exchange *x)
{
    return x->tables->scores ? score_view(x->tables->scores, core->idx) : NULL;
}

static uint64_t now_ms(const struct core *core) { return core->now_ns / 1000000; }

void observe_begin(struct core *core, struct exchange *x)
{
    struct score *v = view_of(core, x);
    observe_end(core, x);
    x->first_ns = 0;
    if (!v) return;
    x->score_row = score_row(x->tables->scores, x->model, x->key);
    score_begin(v, x->score_row);
    x->scored = true;
}

void observe_first(struct core *core, struct exchange *x)
{
    struct score *v = view_of(core, x);
    if (x->first_ns) return;
    x->first_ns = core->now_ns;
    assert(x->attempt_ns > 0 && x->first_ns >= x->attempt_ns);
    /* A whole answer's first content comes with its last: see_times() takes them apart. */
    if (!v || !x->scored || !x->is_sse) return;
    score_learn_ttft(v, x->score_row, now_ms(core), x->first_ns - x->attempt_ns);
}

void observe_failed(struct core *core, struct exchange *x)
{
    struct score *v = view_of(core, x);
    if (v && x->scored) score_learn_end(v, x->score_row, now_ms(core), false);
}

void observe_silence(struct core *core, struct exchange *x, uint64_t waited_ns)
{
    struct score *v = view_of(core, x);
    struct score_look known;
    if (!v || !x->scored || x->first_ns || waited_ns == 0) return;
    score_look(x->tables->scores, x->score_row, now_ms(core), &known);
    uint64_t usual_ns = (uint64_t)known.ttft_us * 1000;
    bool whole = !x->stream && known.speed;   /* comes only when all of it is written */
    if (whole) usual_ns += EXPECT_TOKENS_FIRST * UINT64_C(1000000000000) / known.speed;
    if (usual_ns < SILENCE_NS_MIN) usual_ns = SILENCE_NS_MIN;
    if (waited_ns / SILENCE_TIMES < usual_ns) return;
    score_learn_end(v, x->score_row, now_ms(core), false);
}

void observe_room(struct core *core, struct exchange *x, uint32_t room, uint32_t reset_ms)
{
    struct score *v = view_of(core, x);
    assert(room <= SCORE_ONE);
    if (v && x->scored) score_learn_room(v, x->score_row, now_ms(core), room, reset_ms);
}

void observe_end(struct core *core, struct exchange *x)
{
    struct score *v = view_of(core, x);
    if (!x->scored) return;
    assert(v);
    score_end(v, x->score_row);
    x->scored = false;
}

/* Time and tokens of an answer that ended well. A stream shows both times; of a whole answer
 * only the sum is seen, and is taken apart by the speed that is known already. */
static void see_times(struct core *core, const struct exchange *x, struct score *v)
{
    uint64_t tokens = x->rec.tokens[TOKEN_OUTPUT], all = core->now_ns - x->attempt_ns;
    uint64_t ms = now_ms(core);
    if (x->is_sse) {
        score_learn_speed(v, x->score_row, ms, tokens, core->now_ns - x->first_ns);
        return;
    }
    struct score_look known;
    score_look(x->tables->scores, x->score_row, ms, &known);
    uint64_t writing = known.speed ? tokens * 1000000000000u / known.speed : 0;
    uint64_t first = writing < all - all / 4 ? all - writing : all / 4;
    score_learn_ttft(v, x->score_row, ms, first);
    score_learn_speed(v, x->score_row, ms, tokens, all - first);
}

/* Another candidate was faster: this one would have taken at least so long. Only what is beyond
 * the percentile that made it a race says something true of that percentile, whatever it would
 * have been; left out, the percentile would fall, and ever more would be raced (hedge.h). */
static void see_late(struct core *core, const struct exchange *x, struct score *v)
{
    uint32_t weight;
    uint64_t ms = now_ms(core), waited_ns = core->now_ns - x->attempt_ns;
    uint32_t us = score_ttft_at(x->tables->scores, x->score_row, ms,
                                (enum score_percentile)x->tables->conf->hedge_after, &weight);
    assert(x->attempt_ns > 0 && !x->first_ns);
    if (weight == 0 || waited_ns / 1000 < us) return;
    score_learn_ttft(v, x->score_row, ms, waited_ns);
}

/* What the last attempt says of its endpoint. */
static void see_last(struct core *core, struct exchange *x, enum close_why why)
{
    struct score *v = view_of(core, x);
    if (!v || !x->scored) return;
    if (!x->first_ns) {
        if (!x->attempt_ns) return;
        if (why == CLOSE_CLIENT_GONE) observe_silence(core, x, core->now_ns - x->attempt_ns);
        if (why == CLOSE_HEDGE_LOST) see_late(core, x, v);
        return;
    }
    switch (why) {
    case CLOSE_DONE: case CLOSE_ESCALATED: case CLOSE_OUTVOTED:
        score_learn_end(v, x->score_row, now_ms(core), true);
        see_times(core, x, v);
        break;
    case CLOSE_BUDGET_STOPPED:
        score_learn_end(v, x->score_row, now_ms(core), true);
        break;
    case CLOSE_UPSTREAM_BROKE: case CLOSE_UPSTREAM_STALLED: case CLOSE_UPSTREAM_ERROR_EVENT:
        score_learn_end(v, x->score_row, now_ms(core), false);
        break;
    default: break;                /* the client's or our own affair */
    }
}

/* How much of the conversation's next prompt the provider will probably have cached: what it
 * says is, or was just written to, its cache; providers that cache by themselves also keep what
 * was fresh now. */
static uint32_t cached_tokens(const struct exchange *x)
{
    const uint32_t *t = x->rec.tokens;
    const struct catalog *c = x->tables->catalog;
    uint64_t sum = (uint64_t)t[TOKEN_CACHED] + t[TOKEN_CACHE_WRITE] + t[TOKEN_CACHE_WRITE_1H];
    bool by_itself = c->provider[c->model[x->model].provider].dialect != DIALECT_ANTHROPIC;
    if (by_itself) sum += t[TOKEN_INPUT];
    if (sum < CACHED_MIN) return 0;
    return sum > UINT32_MAX ? UINT32_MAX : (uint32_t)sum;
}

void observe_booked(struct core *core, struct exchange *x, enum close_why why)
{
    bool answered = why == CLOSE_DONE || why == CLOSE_BUDGET_STOPPED;
    see_last(core, x, why);
    observe_end(core, x);
    if (!answered || !x->session || !core->engine->sticky || !x->tables->model_tag) return;
    sticky_note(core->engine->sticky, x->session, core->unix_ns / 1000000000u,
                (struct sticky_last){x->tables->model_tag[x->model], cached_tokens(x)});
}
