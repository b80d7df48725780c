/* spend.c - see spend.h. Integers only; nothing here waits. */
#include "engine/spend.h"
#include "engine/book.h"
#include "engine/conf.h"
#include "engine/core.h"
#include "engine/dialect.h"
#include "engine/engine.h"
#include "engine/exchange.h"
#include "engine/tables.h"
#include "route/expect.h"
#include "store/budget.h"
#include "store/maybe.h"

#include <stdio.h>

enum {
    AMPLE = 16384,                  /* worst cases that fit: nobody can promise that much */
    ROOMY = 4,                      /* times the usual length */
    SLICE_TOKENS = 128,             /* architecture.md section 5 */
    CHOICES_MAX = 1 << 20,          /* of a request: products of tokens stay in 64 bits */
    OUTPUT_UNKNOWN = 131072,        /* tokens: worst case of a model that states no limit */
    ROUNDS = 3,                     /* of reading the room and reserving */
    TEXT_MAX = 320,
};

/* ---- admission */

bool spend_admit(struct core *core, struct exchange *x, const struct budget_path *path)
{
    struct budget *b = core->engine->budget;
    struct spend *s = &x->spend;
    if (!b) return true;
    uint64_t at = budget_time(b, path, x->rec.admitted_unix_ns);
    if (!PLANT(no_floor)) x->rec.admitted_unix_ns = at;
    x->rec.budget_version = path->version;
    if (path->limit_count == 0 && path->rate_count == 0) return true;
    budget_begin(b, core->idx, path, at, &s->hold);
    if (s->hold.prepaid && !PLANT(lost_prepaid)) x->rec.flags |= RECORD_PREPAID;
    s->limits = path->rate_count > 0;
    struct rate_refusal why;
    if (budget_rates_begin(b, path, core->now_ns, &s->hold, &why)) return true;
    s->layer = why.layer;
    s->kind = why.kind;
    s->retry_s = why.wait_ns ? (why.wait_ns + 999999999) / 1000000000u : 1;
    stat_add(&core->stats.refusals[why.layer][REFUSAL_RATE], 1);
    return false;
}

void spend_refuse(struct core *core, struct exchange *x)
{
    static const char *const what[RATE_KINDS] = {
        [RATE_REQUESTS] = "requests a minute", [RATE_TOKENS] = "tokens a minute",
        [RATE_RUNNING] = "concurrent requests",
    };
    char text[TEXT_MAX];
    (void)snprintf(text, sizeof text, "the limit of %s of this request's %s is reached",
                   what[x->spend.kind], spend_layer_name(x->spend.layer));
    exchange_fail(core, x, CLOSE_RATE_LIMITED, text, NULL);
}

/* ---- what a candidate costs */

struct need {
    int64_t prompt;                 /* nano-dollars, with the price per request */
    int64_t output_pico;            /* of one token of output */
    int64_t expected, worst;        /* of all */
    int64_t least;                  /* the least that makes sense: some tokens of output */
    int64_t roomy;                  /* enough for most answers */
    uint64_t choices;
};

static int64_t times(int64_t pico, uint64_t tokens)
{
    __extension__ unsigned __int128 wide = (unsigned __int128)(uint64_t)pico * tokens;
    wide = (wide + 999) / 1000;
    return wide > INT64_MAX / 4 ? INT64_MAX / 4 : (int64_t)wide;
}

int64_t spend_prompt_nusd(const struct exchange *x, uint32_t model)
{
    const struct catalog_model *m = &x->tables->catalog->model[model];
    const struct price *p = price_at(&m->price, x->rec.admitted_unix_ns / 1000000000u);
    uint64_t prompt = book_prompt_tokens(x);
    if (!p || !p->known) return 0;
    return times(price_kinds(p, prompt)[PRICE_INPUT], prompt) + (p->request + 999) / 1000;
}

static struct need need_of(const struct core *core, const struct exchange *x)
{
    const struct catalog_model *m = &x->tables->catalog->model[x->model];
    const struct api_request *r = exchange_request(x);
    const struct price *p = price_at(&m->price, x->rec.admitted_unix_ns / 1000000000u);
    struct need n = {.choices = r->n > 1 ? (uint64_t)r->n : 1};
    if (n.choices > CHOICES_MAX) n.choices = CHOICES_MAX;
    if (!p || !p->known) return n;
    uint64_t prompt = book_prompt_tokens(x);
    const int64_t *kinds = price_kinds(p, prompt);
    n.prompt = spend_prompt_nusd(x, x->model);
    bool answers = !api_is_textless((enum api)x->api) || x->api == API_IMAGES ||
                   api_is_upload((enum api)x->api);
    n.output_pico = answers ? kinds[PRICE_OUTPUT] : 0;
    uint64_t name = expect_name(x->rec.path[UNIT_KEY], bytes_of(m->id));
    uint64_t usual = expect_tokens(core->expect, name);
    uint64_t most = m->max_output ? m->max_output : OUTPUT_UNKNOWN;
    bool other = (x->routed || x->translated || x->model != x->plan[0].model) && m->max_output;
    if (r->max_tokens >= 0 && (!other || r->max_tokens < (int64_t)most)) {
        most = (uint64_t)r->max_tokens;
    }
    if (most > UINT32_MAX) most = UINT32_MAX;
    if (usual > most) usual = most;
    n.expected = n.prompt + times(n.output_pico, usual * n.choices);
    n.worst = n.prompt + times(n.output_pico, most * n.choices);
    uint64_t some = !x->stream && r->output_min > 1 ? (uint64_t)r->output_min : 1;
    if (some > most) some = most;
    uint64_t roomy = ROOMY * usual > EXPECT_TOKENS_FIRST ? ROOMY * usual : EXPECT_TOKENS_FIRST;
    if (roomy < some) roomy = some;
    n.least = n.prompt + times(n.output_pico, some * n.choices);
    n.roomy = n.prompt + times(n.output_pico, roomy * n.choices);
    return n;
}

/* ---- reservation */

/* The narrowest cell that has less left than `least`, or cell number lack, as the one that
 * refuses. */
static void name_refuser(const struct budget *b, struct spend *s, int64_t least, int lack)
{
    struct budget_look look = {0};
    for (int i = 0; i < s->hold.count; i++) {
        budget_cell_look(b, s->hold.cell[i], &look);
        int64_t left = look.limit_nusd - look.spent_nusd - look.held_nusd;
        if (left < least || i == lack) break;
    }
    s->layer = look.layer;
    s->resets_unix_ns = look.resets_unix_ns;
}

/* The output limit of a whole answer, and what it may cost then beyond `hold`: all of its worst
 * case where that is free; else what is free, or the least that lets it through. */
static int64_t to_promise(const struct need *n, int64_t hold, int64_t room, int64_t free,
                          uint32_t *output_max)
{
    int64_t most = free > n->roomy ? free : n->roomy;
    if (most > room) most = room;
    *output_max = 0;
    if (n->worst <= most) return n->worst - hold;
    __extension__ unsigned __int128 tokens = (uint64_t)(most - n->prompt);
    tokens = tokens * 1000 / (uint64_t)n->output_pico / n->choices;
    assert(tokens >= 1 && tokens <= UINT32_MAX);   /* least <= most < worst */
    *output_max = (uint32_t)tokens;
    return most > hold ? most - hold : 0;
}

/* What the hold pays for: the bytes of text at which the next slice is due. */
static void set_slices(struct exchange *x, const struct need *n)
{
    struct spend *s = &x->spend;
    s->slice_nusd = times(n->output_pico, SLICE_TOKENS);
    s->text_max = UINT64_MAX;
    if (!x->stream || n->output_pico == 0) return;
    int64_t over = s->hold.nusd > n->prompt ? s->hold.nusd - n->prompt : 0;
    __extension__ unsigned __int128 tokens = (unsigned __int128)(uint64_t)over * 1000;
    tokens /= (uint64_t)n->output_pico;
    s->text_max = book_text_bytes(x, tokens < UINT64_MAX ? (uint64_t)tokens : UINT64_MAX);
}

/* Another model than the one that was named may be asked for no more than it can give, and who
 * speaks another dialect does not know what that is. */
static void bound_by_model(struct exchange *x)
{
    const struct catalog_model *m = &x->tables->catalog->model[x->model];
    const struct api_request *r = exchange_request(x);
    struct spend *s = &x->spend;
    s->model_max = false;
    bool named = x->model == x->plan[0].model && !x->routed && !x->translated;
    if (named || m->max_output == 0) return;
    if (r->max_tokens <= (int64_t)m->max_output) return;
    if (s->output_max && s->output_max <= m->max_output) return;
    s->output_max = m->max_output;
    s->model_max = true;
}

bool spend_reserve(struct core *core, struct exchange *x)
{
    struct budget *b = core->engine->budget;
    struct spend *s = &x->spend;
    s->output_max = 0;
    if (dialect_counts((enum api)x->api)) return true;
    if (s->hold.count == 0) {
        bound_by_model(x);
        return true;
    }
    struct need n = need_of(core, x);
    if (n.least == 0) {     /* it costs nothing, or nobody knows what */
        budget_release(b, &s->hold, s->hold.nusd);
        bool none = budget_promise(b, &s->hold, 0, 0);
        assert(none);
        set_slices(x, &n);
        bound_by_model(x);
        return none;
    }
    int lack = BUDGET_FREE;
    for (unsigned i = 0; i < ROUNDS; i++) {
        int64_t room = budget_room(b, &s->hold, NULL) + s->hold.nusd, promise = 0;
        int64_t free = budget_free(b, &s->hold) + s->hold.nusd;
        if (room < n.least) break;
        int64_t want = n.expected < room ? n.expected : room;
        s->output_max = 0;
        if (!x->stream && n.worst > free / AMPLE) {
            promise = to_promise(&n, want, room, free, &s->output_max);
        }
        lack = BUDGET_FREE;
        if (want <= s->hold.nusd) budget_release(b, &s->hold, s->hold.nusd - want);
        else lack = budget_reserve(b, &s->hold, want - s->hold.nusd);
        if (lack != BUDGET_FREE) continue;      /* others were faster: read the room again */
        int64_t sure = i + 1 < ROUNDS ? free - want : INT64_MIN;    /* at last, as it is */
        if (!budget_promise(b, &s->hold, promise, sure)) continue;
        if (s->output_max) (void)budget_room(b, &s->hold, &s->layer);
        set_slices(x, &n);
        bound_by_model(x);
        return true;
    }
    name_refuser(b, s, n.least - s->hold.nusd, lack);
    return false;
}

void spend_fail(struct core *core, struct exchange *x)
{
    struct spend *s = &x->spend;
    bool pool = s->layer == BUDGET_LAYER_POOL;
    uint64_t end = s->resets_unix_ns, now = core->unix_ns;
    s->retry_s = end > now ? (end - now + 999999999) / 1000000000u : 0;
    stat_add(&core->stats.refusals[s->layer][pool ? REFUSAL_CREDITS : REFUSAL_BUDGET], 1);
    char text[TEXT_MAX];
    if (pool) {
        (void)snprintf(text, sizeof text, "the organization's credit pool is empty");
    } else {
        (void)snprintf(text, sizeof text, "the budget of this request's %s is spent",
                       spend_layer_name(s->layer));
    }
    exchange_fail(core, x, pool ? CLOSE_CREDITS_EMPTY : CLOSE_BUDGET_EXCEEDED, text, NULL);
}

bool spend_widen(struct core *core, struct exchange *x)
{
    struct budget *b = core->engine->budget;
    struct spend *s = &x->spend;
    assert(s->hold.count > 0 && s->slice_nusd > 0);
    while (SPEND_IS_DUE(x)) {
        int64_t token = s->slice_nusd / SLICE_TOKENS + 1, room = budget_room(b, &s->hold, NULL);
        int64_t want = s->slice_nusd < room ? s->slice_nusd : room;
        int lack = want < token ? 0 : budget_reserve(b, &s->hold, want);
        if (want < token || lack >= 0) {
            name_refuser(b, s, token, want < token ? -1 : lack);
            stat_add(&core->stats.refusals[s->layer][REFUSAL_STOPPED], 1);
            return false;
        }
        s->text_max += book_text_bytes(x, (uint64_t)(want / token));
    }
    return true;
}

/* ---- the end */

/* Also without limits: those that are set later know what is usual. */
static void learn(struct core *core, const struct record *r)
{
    if (!core->expect || r->tokens[TOKEN_OUTPUT] == 0) return;
    struct bytes model = {r->model, strnlen(r->model, sizeof r->model)};
    expect_learn(core->expect, expect_name(r->path[UNIT_KEY], model), r->tokens[TOKEN_OUTPUT]);
}

/* Was all of the answer there? */
static bool is_whole(enum close_why why)
{
    return why == CLOSE_DONE || why == CLOSE_ESCALATED || why == CLOSE_OUTVOTED;
}

void spend_pay(struct core *core, struct exchange *x, enum close_why why)
{
    assert(!x->booked && x->rec.cost_nusd >= 0);
    if (is_whole(why)) learn(core, &x->rec);
    if (!x->spend.hold.map) return;
    budget_pay(core->engine->budget, core->idx, &x->spend.hold, x->rec.cost_nusd);
}

void spend_join(const struct core *core, const struct exchange *x, struct exchange *twin)
{
    assert(!twin->spend.hold.map);
    twin->spend = (struct spend){.limits = x->spend.limits};
    budget_join(core->idx, &x->spend.hold, &twin->spend.hold);
}

void spend_pass_on(struct exchange *from, struct exchange *to)
{
    assert(!to->spend.hold.rated);
    assert(from->spend.hold.map == to->spend.hold.map);
    to->spend.hold.rated = from->spend.hold.rated;
    from->spend.hold.rated = false;
}

void spend_settle(struct core *core, struct exchange *x, enum close_why why)
{
    struct spend *s = &x->spend;
    const struct record *r = &x->rec;
    if (is_whole(why)) learn(core, r);
    if (!s->hold.map || (why != CLOSE_DONE && PLANT(forgotten_settle))) return;
    struct budget *b = core->engine->budget;
    if (s->hold.rated) {
        struct unit_path path;
        memcpy(path.unit, r->path, sizeof path.unit);
        budget_rates_end(b, &s->hold, &path, core->now_ns, book_tokens(r) + x->billed.tokens);
    }
    struct budget_hold again = s->hold;
    if (PLANT(settle_twice)) budget_settle(b, core->idx, &again, r->cost_nusd);
    budget_settle(b, core->idx, &s->hold, r->cost_nusd);
}
