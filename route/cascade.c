/* cascade.c - see cascade.h. Pure; what is read of a view are masks, costs and abilities. */
#include "route/cascade.h"
#include "route/catalog.h"
#include "route/pass.h"
#include "route/score_part.h"

unsigned cascade_need(unsigned cheap)
{
    assert(cheap <= CASCADE_CHEAP_MAX);
    return cheap < 2 ? 0 : cheap;
}

const char *cascade_why_text(enum cascade_why why)
{
    static const char *const texts[CASCADE_WHYS] = {
        [CASCADE_FINE] = "cheap first",
        [CASCADE_NEVER] = "routing.cascade.mode is never",
        [CASCADE_DENIED] = "the request says never",
        [CASCADE_MODE] = "the mode is not cost",
        [CASCADE_API] = "only one answer in text can be checked",
        [CASCADE_KEPT] = "the provider keeps something of the request, or acts on it",
        [CASCADE_LARGE] = "the request is larger than 1 MiB",
        [CASCADE_ALONE] = "no fall-backs are allowed",
        [CASCADE_ATTEMPTS] = "routing.max_attempts leaves no place for the strong model",
        [CASCADE_NAMED] = "a model is named",
        [CASCADE_EFFORT] = "the request says how much to think",
        [CASCADE_ORDER] = "the request says which providers come first",
        [CASCADE_STICKY] = "the conversation stays where it is cached",
        [CASCADE_EXPLORED] = "another model is tried to learn of it",
        [CASCADE_NOBODY] = "there is nobody to choose from",
        [CASCADE_UNPRICED] = "the strong model costs nothing that is known",
        [CASCADE_FEW] = "too few others are cheaper and good enough",
        [CASCADE_DEAR] = "it is not expected to cost much less",
    };
    assert(why < CASCADE_WHYS && texts[why]);
    return texts[why];
}

/* ---- what is expected ---- */

/* Of two or three answers: the share of which all are right, and the share of which all say the
 * same wrong thing. */
static void votes(const struct cascade_one *m, unsigned count, float same, float *right,
                  float *wrong)
{
    *right = m[0].success;
    *wrong = 1 - m[0].success;
    for (unsigned i = 1; i < count; i++) {
        *right *= m[i].success;
        *wrong *= (1 - m[i].success) * same;
    }
}

void cascade_expect(const struct cascade_one *cheap, unsigned count, struct cascade_one strong,
                    float comparable, float same, struct cascade *out)
{
    assert(count > 0 && count <= CASCADE_CHEAP_MAX && comparable >= 0 && comparable <= 1);
    float right = cheap[0].success, shown = CASCADE_SHOWN * (1 - right), escalates = shown;
    if (count > 1) {
        float wrong;
        votes(cheap, count, same, &right, &wrong);
        right *= comparable;
        escalates = 1 - right - wrong * comparable;
    }
    out->quality = right + escalates * strong.success;
    out->escalates = escalates > CASCADE_ESCALATES_LEAST ? escalates : CASCADE_ESCALATES_LEAST;
    out->alone = strong.cost;
    out->cost = out->escalates * strong.cost;
    for (unsigned i = 0; i < count; i++) out->cost += cheap[i].cost;
}

/* ---- whom to ask ---- */

struct search {
    const struct pass *p;
    const struct catalog *c;
    struct cascade_one strong;
    uint32_t strong_model;
    uint32_t taken[CASCADE_CHEAP_MAX];       /* arms */
    unsigned count, found;
    float comparable;
    float need;              /* the least share that must be answered well */
};

static uint32_t model_of(const struct search *s, uint32_t arm)
{
    return s->p->v->all->model[arm];
}

/* Who trained it, as far as ids say: "maker/model" behind a provider's name, else the provider
 * itself. */
static struct bytes maker_of(const struct search *s, uint32_t model)
{
    struct bytes bare = bytes_of(s->c->model[model].bare);
    size_t slash = bytes_find(bare, '/');
    if (slash < bare.len) return (struct bytes){bare.ptr, slash};
    return bytes_of(s->c->provider[s->c->model[model].provider].name);
}

/* What it is called, whoever offers it. */
static struct bytes name_of(const struct search *s, uint32_t model)
{
    struct bytes name = bytes_of(s->c->model[model].bare);
    for (size_t slash = bytes_find(name, '/'); slash < name.len;
         slash = bytes_find(name, '/')) {
        bytes_cut(&name, slash + 1);
    }
    return name;
}

/* Another model than the strong one and those that were taken; of another maker, too? */
static bool is_other(const struct search *s, uint32_t model, bool maker)
{
    if (bytes_ieq(name_of(s, model), name_of(s, s->strong_model))) return false;
    for (unsigned i = 0; i < s->found; i++) {
        uint32_t it = model_of(s, s->taken[i]);
        if (bytes_ieq(name_of(s, model), name_of(s, it))) return false;
        if (maker && bytes_ieq(maker_of(s, model), maker_of(s, it))) return false;
    }
    return true;
}

/* Would as many of its kind keep to the floor? More ability never answers less well, so any
 * that would, do together. */
static bool keeps_floor(const struct search *s, struct cascade_one one)
{
    struct cascade_one same[CASCADE_CHEAP_MAX] = {one, one, one};
    struct cascade e;
    cascade_expect(same, s->count, s->strong, s->comparable, CASCADE_SAME, &e);
    return e.quality >= s->need;
}

/* The arm that costs least with what its failures cost at the strong one; arms: none. */
static uint32_t find_cheap(const struct search *s, bool maker)
{
    const struct pass *p = s->p;
    const struct score *v = p->v;
    uint32_t best = p->arms;
    float least = s->strong.cost;
    for (uint32_t a = 0; a < p->arms; a++) {
        if (!v->mask[a] || v->price_in[a] < 0 || v->cost[a] >= s->strong.cost) continue;
        struct cascade_one one = {pass_success(p, a), v->cost[a]};
        float merit = one.cost + (1 - one.success) * s->strong.cost;
        if (merit >= least || !keeps_floor(s, one)) continue;
        if (!is_other(s, model_of(s, a), maker)) continue;
        best = a;
        least = merit;
    }
    return best;
}

void cascade_choose(const struct pass *p, const struct catalog *c, uint32_t strong,
                    unsigned count, float comparable, bool (*may)(void *arg, uint32_t arm),
                    void *arg, uint32_t out_arm[CASCADE_CHEAP_MAX], struct cascade *out)
{
    const struct score *v = p->v;
    struct cascade_one cheap[CASCADE_CHEAP_MAX];
    struct search s = {.p = p, .c = c, .count = count, .comparable = comparable,
                       .strong = {pass_success(p, strong), v->cost[strong]},
                       .strong_model = v->all->model[strong],
                       .need = p->floor * pass_success_best(p)};
    assert(count > 0 && count <= CASCADE_CHEAP_MAX && strong < p->arms);
    *out = (struct cascade){.why = CASCADE_UNPRICED};
    if (v->price_in[strong] < 0 || v->cost[strong] <= PASS_COST_LEAST) return;
    out->why = CASCADE_FEW;
    while (s.found < count) {
        uint32_t arm = find_cheap(&s, true);
        if (arm == p->arms) arm = find_cheap(&s, false);
        if (arm == p->arms) return;
        if (!may(arg, arm)) continue;
        cheap[s.found] = (struct cascade_one){pass_success(p, arm), v->cost[arm]};
        s.taken[s.found++] = arm;
    }
    cascade_expect(cheap, count, s.strong, comparable, CASCADE_SAME, out);
    out->quality /= pass_success_best(p);
    out->why = out->cost < CASCADE_COST_MOST * out->alone ? CASCADE_FINE : CASCADE_DEAR;
    if (out->why != CASCADE_FINE) return;
    out->cheap = (uint8_t)count;
    out->need = (uint8_t)cascade_need(count);
    memcpy(out_arm, s.taken, sizeof s.taken);
}
