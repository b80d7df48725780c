/* test_plan_auto.c - what each mode, filter, suffix and hint does to a plan, on four models of
 * four providers that differ in one thing each:
 *   dear/best     the strongest, and dear
 *   cheap/weak    cheap, and much weaker
 *   fast/good     nearly as strong, fast
 *   sure/good     nearly as strong, never fails */
#include "route/catalog.h"
#include "route/gain.h"
#include "route/plan.h"
#include "route/score.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { DEAR, CHEAP, FAST, SURE, MODELS = 8, PROVIDERS = 4, NOW_MS = 1000000 };

struct world {
    struct catalog_provider provider[PROVIDERS];
    struct catalog_model model[MODELS];
    struct catalog c;
    breaker_word key_word[PROVIDERS * CATALOG_KEYS_MAX], model_word[MODELS * CATALOG_KEYS_MAX];
    struct scores *s;
    struct score *v;
    struct plan_ask ask;         /* of auto, without anything special */
};

static const char *const to_pair[] = {"sure/good", "cheap/weak"};
static const struct catalog_alias aliases[] = {{"pair", to_pair, 2, true}};

static struct catalog_model model(const char *id, unsigned provider, int64_t input, float t)
{
    struct catalog_model m = {.id = id, .provider = (uint16_t)provider, .context = 100000,
                              .abilities = ABILITY_TOOLS};
    m.price.count = 1;
    m.price.at[0].known = true;
    m.price.at[0].kind[PRICE_INPUT] = input;
    m.price.at[0].kind[PRICE_CACHED] = input / 10;
    m.price.at[0].kind[PRICE_OUTPUT] = input * 4;
    for (int f = 0; f < FAMILIES; f++) {
        m.quality.t[f] = t;
        m.quality.width[f] = 0.15f;
    }
    return m;
}

static void learn(struct world *w, uint32_t m, uint64_t ttft_ms, unsigned bad)
{
    uint32_t row = score_row(w->s, m, 0);
    for (unsigned i = 0; i < 20; i++) {
        score_learn_ttft(w->v, row, NOW_MS, ttft_ms * 1000000);
        score_learn_speed(w->v, row, NOW_MS, 100, ttft_ms * 4000000);
        score_learn_end(w->v, row, NOW_MS, i >= bad);
    }
}

static void rescore(struct world *w)
{
    score_close(w->s);
    struct score_setup setup = {.catalog = &w->c, .views = 1, .key_word = w->key_word,
                                .model_word = w->model_word};
    w->s = score_make(&setup);
    assert_non_null(w->s);
    w->v = w->ask.score = score_view(w->s, 0);
    learn(w, (uint32_t)catalog_find(&w->c, BYTES("dear/best")), 1000, 1);
    learn(w, (uint32_t)catalog_find(&w->c, BYTES("cheap/weak")), 1000, 1);
    learn(w, (uint32_t)catalog_find(&w->c, BYTES("fast/good")), 100, 6);
    learn(w, (uint32_t)catalog_find(&w->c, BYTES("sure/good")), 1000, 0);
}

static int build(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    if (!w) return -1;
    w->provider[DEAR] = (struct catalog_provider){.name = "dear", .region = "us", .weight = 1};
    w->provider[CHEAP] = (struct catalog_provider){.name = "cheap", .region = "eu", .weight = 1,
                                                   .zero_retention = true};
    w->provider[FAST] = (struct catalog_provider){.name = "fast", .region = "", .weight = 1};
    w->provider[SURE] = (struct catalog_provider){.name = "sure", .region = "eu", .weight = 1,
                                                  .dialect = DIALECT_ANTHROPIC};
    w->model[0] = model("cheap/weak", CHEAP, 100000, -1.5f);
    w->model[1] = model("dear/best", DEAR, 10000000, 1.5f);
    w->model[2] = model("fast/good", FAST, 3000000, 1.4f);
    w->model[3] = model("sure/good", SURE, 3100000, 1.4f);
    w->model[1].abilities |= ABILITY_VISION;
    w->c = (struct catalog){w->provider, w->model, (struct catalog_alias *)aliases, NULL,
                            PROVIDERS, 4, 1};
    w->ask = (struct plan_ask){
        .name = {BYTES("auto")}, .name_count = 1, .first_is_model = true, .now_ms = NOW_MS,
        .gain = 2000, .gain_width = 300, .tokens_in = 1000, .tokens_out = 300,
        .floor = 950000, .cost_power = 500000, .time_power = 500000};
    if (!catalog_index(&w->c)) return -1;
    rescore(w);
    *state = w;
    return 0;
}

static int unbuild(void **state)
{
    struct world *w = *state;
    score_close(w->s);
    free(w->c.by_bare);
    free(w);
    return 0;
}

/* Reasons as letters: named, bare, alias, listed, chosen, sticky, explored, Below, cooling. */
static const char letters[] = "?nbalcseBo";

static void check(struct world *w, const struct plan_ask *ask, const char *want,
                  enum plan_reason reason)
{
    struct plan p;
    char got[512] = "";
    size_t len = 0;
    plan_make(&w->c, ask, &p);
    for (uint8_t i = 0; i < p.count; i++) {
        assert_in_range(p.at[i].reason, PLAN_NAMED, PLAN_COOLING);
        len += (size_t)snprintf(got + len, sizeof got - len, "%s%s:%c", i ? " " : "",
                                w->model[p.at[i].model].id, letters[p.at[i].reason]);
    }
    if (strcmp(got, want) != 0) {
        fail_msg("%.*s, mode %u: %s, not %s", (int)ask->name[0].len, ask->name[0].ptr,
                 ask->mode, got, want);
    }
    assert_int_equal(p.reason, reason);
}

static void named(struct world *w, const char *name, enum plan_mode mode, const char *want)
{
    struct plan_ask ask = w->ask;
    ask.name[0] = bytes_of(name);
    ask.mode = (uint8_t)mode;
    check(w, &ask, want, *want ? PLAN_FINE : PLAN_UNKNOWN_MODEL);
}

#define BY_COST "fast/good:c sure/good:c dear/best:c cheap/weak:B"
#define BY_TIME "fast/good:c sure/good:c dear/best:c cheap/weak:B"
/* dear and cheap fail alike: the one that keeps to the floor comes first. */
#define BY_CHANCE "sure/good:c dear/best:c cheap/weak:c fast/good:c"

static void test_modes(void **state)
{
    struct world *w = *state;
    named(w, "auto", PLAN_COST, BY_COST);
    named(w, "auto", PLAN_LATENCY, BY_TIME);
    named(w, "auto", PLAN_AVAILABILITY, BY_CHANCE);
    named(w, "auto", PLAN_BALANCED, BY_COST);
    struct plan_ask ask = w->ask;
    ask.floor = 600000;                            /* now the weak one is good enough */
    ask.mode = PLAN_COST;
    check(w, &ask, "cheap/weak:c fast/good:c sure/good:c dear/best:c", PLAN_FINE);
    ask.mode = PLAN_LATENCY;
    check(w, &ask, "fast/good:c cheap/weak:c sure/good:c dear/best:c", PLAN_FINE);
    ask.floor = 1000000;                           /* and now the best alone is */
    ask.mode = PLAN_COST;
    check(w, &ask, "dear/best:c fast/good:B sure/good:B cheap/weak:B", PLAN_FINE);
    ask.gain = ask.gain_width = 0;                 /* unless a stronger one gains nothing */
    check(w, &ask, "cheap/weak:c fast/good:c sure/good:c dear/best:c", PLAN_FINE);
}

/* The balance follows its powers. */
static void test_balance(void **state)
{
    struct world *w = *state;
    struct plan_ask ask = w->ask;
    ask.floor = 0;
    ask.cost_power = 900000;
    ask.time_power = 100000;
    check(w, &ask, "cheap/weak:c fast/good:c sure/good:c dear/best:c", PLAN_FINE);
    ask.cost_power = 100000;
    ask.time_power = 900000;
    check(w, &ask, "fast/good:c cheap/weak:c sure/good:c dear/best:c", PLAN_FINE);
}

static void test_names_of_modes(void **state)
{
    struct world *w = *state;
    named(w, "auto:cost", PLAN_AVAILABILITY, BY_COST);
    named(w, "auto:cost-first", PLAN_AVAILABILITY, BY_COST);
    named(w, "auto:availability", PLAN_COST, BY_CHANCE);
    named(w, "auto:balanced", PLAN_AVAILABILITY, BY_COST);
    named(w, "openrouter/auto", PLAN_AVAILABILITY, BY_CHANCE);
    named(w, "auto:floor", PLAN_AVAILABILITY, BY_COST);
    named(w, "auto:nitro", PLAN_AVAILABILITY, BY_TIME);
    named(w, "good:nitro", PLAN_AVAILABILITY, "fast/good:b sure/good:b");
    named(w, "good:floor", PLAN_AVAILABILITY, "fast/good:b sure/good:b");
    named(w, "good", PLAN_AVAILABILITY, "sure/good:b fast/good:b");
    named(w, "sure/good:nitro", PLAN_COST, "sure/good:n");
    named(w, "pair:nitro", PLAN_COST, "sure/good:a cheap/weak:l");
    named(w, "nothing:nitro", PLAN_COST, "");
    named(w, "autos", PLAN_COST, "");
    struct plan_ask ask = w->ask;
    ask.name[0] = BYTES("auto:best");
    check(w, &ask, "", PLAN_UNKNOWN_MODE);
    ask.name[0] = BYTES("auto:availability");
    ask.mode = PLAN_COST;
    ask.mode_forced = true;                        /* x-weir-mode goes before a suffix */
    check(w, &ask, BY_COST, PLAN_FINE);
    ask.name[0] = BYTES("cheap/weak");
    ask.name[ask.name_count++] = BYTES("auto");    /* a list of OpenRouter's */
    check(w, &ask, "cheap/weak:n fast/good:c sure/good:c dear/best:c", PLAN_FINE);
    ask.score = NULL;
    ask.name[0] = BYTES("auto");
    check(w, &ask, "", PLAN_UNKNOWN_MODEL);
}

static bool eu(void *arg, struct bytes region)
{
    (void)arg;
    return bytes_eq(region, BYTES("eu"));
}

static bool not_good(void *arg, struct bytes id)
{
    (void)arg;
    return !bytes_eq((struct bytes){id.ptr + id.len - 4, 4}, BYTES("good"));
}

/* Each filter: whom it leaves to auto, and what it says of a name it leaves nobody of. */
static void test_filters(void **state)
{
    struct world *w = *state;
    struct plan_ask none = w->ask;
    none.mode = PLAN_COST;
    struct { struct plan_ask ask; const char *want, *model; enum plan_reason reason; } c[] = {
        {none, "dear/best:c cheap/weak:B", "sure/good", PLAN_NOT_ALLOWED},
        {none, "sure/good:c cheap/weak:B", "dear/best", PLAN_REGION},
        {none, "cheap/weak:c", "dear/best", PLAN_RETENTION},
        {none, "sure/good:c cheap/weak:B", "fast/good", PLAN_FILTERED},
        {none, "fast/good:c dear/best:c cheap/weak:B", "sure/good", PLAN_FILTERED},
        {none, "fast/good:c cheap/weak:B", "sure/good", PLAN_PRICE},
        {none, "cheap/weak:c", "fast/good", PLAN_PRICE},
        {none, "sure/good:c", "fast/good", PLAN_WRONG_DIALECT},
        {none, "dear/best:c", "fast/good", PLAN_ABILITY},
        {none, "fast/good:c", "sure/good", PLAN_SLOW},
        {none, "", "fast/good", PLAN_CONTEXT},
    };
    c[0].ask.allow = not_good;
    c[1].ask.region = eu;
    c[2].ask.zdr = true;
    c[3].ask.only[0] = BYTES("sure"), c[3].ask.only[1] = BYTES("cheap");
    c[3].ask.only_count = 2;
    c[4].ask.ignore[0] = BYTES("sure"), c[4].ask.ignore_count = 1;
    c[5].ask.max_prompt = 3000000;
    c[6].ask.max_completion = 400000;
    c[7].ask.dialects = 1u << DIALECT_ANTHROPIC;
    c[8].ask.needs = ABILITY_VISION;
    c[9].ask.max_ttft_ns = 500000000;
    c[10].ask.tokens_in = 200000;
    for (uint32_t m = 0; m < 4; m++) w->model[m].lacks = (uint8_t)~w->model[m].abilities & 15;
    for (size_t i = 0; i < COUNT(c); i++) {
        check(w, &c[i].ask, c[i].want, *c[i].want ? PLAN_FINE : c[i].reason);
        c[i].ask.name[0] = bytes_of(c[i].model);
        check(w, &c[i].ask, "", c[i].reason);
    }
}

/* Of a named model the doubt is in its favour; auto takes only what is known. */
static void test_doubts(void **state)
{
    struct world *w = *state;
    struct plan_ask ask = w->ask;
    ask.needs = ABILITY_JSON_SCHEMA;
    check(w, &ask, "", PLAN_ABILITY);
    ask.name[0] = BYTES("sure/good");
    check(w, &ask, "sure/good:n", PLAN_FINE);
    ask.needs = 0;
    ask.tokens_in = 105000;                        /* our count is an estimate */
    check(w, &ask, "sure/good:n", PLAN_FINE);
    ask.tokens_in = 90000;
    ask.tokens_max = 20000;
    check(w, &ask, "sure/good:n", PLAN_FINE);
    ask.name[0] = BYTES("auto");
    check(w, &ask, "", PLAN_CONTEXT);
    ask.tokens_max = 10000;
    check(w, &ask, BY_COST, PLAN_FINE);
}

static void test_out_of_rotation_and_cooling(void **state)
{
    struct world *w = *state;
    struct plan_ask ask = w->ask;
    score_set_model(w->s, 2, SCORE_DRAIN);
    check(w, &ask, "sure/good:c dear/best:c cheap/weak:B", PLAN_FINE);
    ask.name[0] = BYTES("fast/good");
    check(w, &ask, "", PLAN_OFF);
    score_set_model(w->s, 2, SCORE_ON);
    score_set_provider(w->s, DEAR, SCORE_OFF);     /* then the next one is the strongest */
    ask.name[0] = BYTES("auto");
    ask.floor = 999999;
    check(w, &ask, "fast/good:c sure/good:c cheap/weak:B", PLAN_FINE);
    score_set_provider(w->s, DEAR, SCORE_ON);
    breaker_cool(&w->model_word[1 * CATALOG_KEYS_MAX], NOW_MS, 5000);
    check(w, &ask, "fast/good:c sure/good:c cheap/weak:B dear/best:o", PLAN_FINE);
    breaker_cool(&w->key_word[FAST * CATALOG_KEYS_MAX], NOW_MS, 5000);
    ask.floor = 0;
    check(w, &ask, "cheap/weak:c sure/good:c dear/best:o fast/good:o", PLAN_FINE);
    ask.name[0] = BYTES("good");
    check(w, &ask, "sure/good:b fast/good:o", PLAN_FINE);
    ask.now_ms += 6000;                            /* it may be asked again */
    check(w, &ask, "fast/good:b sure/good:b", PLAN_FINE);
    for (uint32_t p = 0; p < PROVIDERS; p++) {
        breaker_cool(&w->key_word[p * CATALOG_KEYS_MAX], NOW_MS, 9000);
    }
    ask.name[0] = BYTES("auto");                   /* the answer says for how long */
    struct plan p;
    plan_make(&w->c, &ask, &p);
    assert_int_equal(p.count, 4);
    for (uint8_t i = 0; i < p.count; i++) assert_int_equal(p.at[i].reason, PLAN_COOLING);
}

static void test_order_and_fallbacks(void **state)
{
    struct world *w = *state;
    struct plan_ask ask = w->ask;
    ask.order[0] = BYTES("cheap"), ask.order[1] = BYTES("dear");
    ask.order_count = 2;
    check(w, &ask, "cheap/weak:B dear/best:c fast/good:c sure/good:c", PLAN_FINE);
    ask.one_only = true;
    check(w, &ask, "cheap/weak:B", PLAN_FINE);     /* who orders providers, wants that one */
    ask.order_count = 0;
    check(w, &ask, "fast/good:c", PLAN_FINE);
    ask.order[0] = BYTES("sure"), ask.order_count = 1;
    ask.one_only = false;
    ask.name[0] = BYTES("good");
    check(w, &ask, "sure/good:b fast/good:b", PLAN_FINE);
}

/* A conversation's provider has its prompt in the cache; x-weir-session insists on it. */
static void test_sticky(void **state)
{
    struct world *w = *state;
    struct plan_ask ask = w->ask;
    ask.mode = PLAN_COST;
    ask.sticky = 1 + 3;                            /* sure/good, a little dearer */
    check(w, &ask, BY_COST, PLAN_FINE);
    ask.sticky_cached = 900;
    check(w, &ask, "sure/good:c fast/good:c dear/best:c cheap/weak:B", PLAN_FINE);
    ask.sticky = 1 + 0;
    ask.sticky_cached = 0;
    ask.sticky_first = true;
    check(w, &ask, "cheap/weak:s fast/good:c sure/good:c dear/best:c", PLAN_FINE);
    ask.needs = ABILITY_VISION;                    /* it cannot: the session moves on */
    check(w, &ask, "dear/best:c", PLAN_FINE);
    ask.needs = 0;
    breaker_cool(&w->key_word[CHEAP * CATALOG_KEYS_MAX], NOW_MS, 5000);
    check(w, &ask, "fast/good:c sure/good:c dear/best:c cheap/weak:o", PLAN_FINE);
    ask.sticky = 1 + 3;
    ask.name[0] = BYTES("good");
    check(w, &ask, "sure/good:s fast/good:b", PLAN_FINE);
    ask.sticky = 1 + 77;                           /* a model of another catalogue */
    check(w, &ask, "fast/good:b sure/good:b", PLAN_FINE);
}

/* A share of requests tries what little is known of: not what is known well, what is dearer
 * than the strongest, or what is expected below the floor. */
static void test_explore(void **state)
{
    struct world *w = *state;
    struct plan_ask known = w->ask;
    known.explore = 1000000;
    check(w, &known, BY_COST, PLAN_FINE);          /* enough is known of all */
    w->model[4] = model("cheap/new", CHEAP, 500000, 1.3f);
    w->model[5] = model("cheap/new-dear", CHEAP, 90000000, 1.45f);
    w->model[6] = model("cheap/new-weak", CHEAP, 100000, -1.4f);
    w->c.model_count = 7;
    free(w->c.by_bare);
    w->c.by_bare = NULL;
    assert_true(catalog_index(&w->c));
    rescore(w);
    struct plan_ask ask = w->ask;
    ask.mode = PLAN_LATENCY;
    ask.explore = 20000;
    uint32_t tried = 0;
    for (uint64_t i = 0; i < 10000; i++) {
        struct plan p;
        ask.draw = i * UINT64_C(0x9e3779b97f4a7c15);
        plan_make(&w->c, &ask, &p);
        const char *first = w->model[p.at[0].model].id;
        if (p.at[0].reason == PLAN_EXPLORED) {
            assert_string_equal(first, "cheap/new");
            tried++;
        } else {
            assert_string_equal(first, "fast/good");
        }
    }
    assert_in_range(tried, 150, 250);
    ask.explore = 1000000;
    check(w, &ask, "cheap/new:e fast/good:c cheap/new-dear:c sure/good:c dear/best:c "
                   "cheap/new-weak:B cheap/weak:B", PLAN_FINE);
    ask.name[0] = BYTES("good");                   /* never where a model is named */
    check(w, &ask, "fast/good:b sure/good:b", PLAN_FINE);
}

/* Providers of one model that are as good as equal share it by their weights. */
static void test_weights(void **state)
{
    struct world *w = *state;
    w->model[4] = model("dear/twin", DEAR, 1000000, 0);
    w->model[5] = model("sure/twin", SURE, 1000000, 0);
    w->model[6] = model("fast/twin", FAST, 2000000, 0);
    w->c.model_count = 7;
    free(w->c.by_bare);
    w->c.by_bare = NULL;
    assert_true(catalog_index(&w->c));
    rescore(w);
    named(w, "twin", PLAN_COST, "dear/twin:b sure/twin:b fast/twin:b");
    w->provider[SURE].weight = 3;
    w->provider[FAST].weight = 1000;               /* not equal: dearer */
    uint32_t sure = 0;
    for (uint64_t i = 0; i < 4000; i++) {
        struct plan_ask ask = w->ask;
        struct plan p;
        ask.mode = PLAN_COST;
        ask.name[0] = BYTES("twin");
        ask.draw = i * UINT64_C(0x9e3779b97f4a7c15);
        plan_make(&w->c, &ask, &p);
        assert_int_equal(p.count, 3);
        assert_string_equal(w->model[p.at[2].model].id, "fast/twin");
        sure += w->model[p.at[0].model].provider == SURE;
    }
    assert_in_range(sure, 2850, 3150);
}

/* Where the request states no effort, auto may choose one with the model; else that holds. */
static void test_efforts(void **state)
{
    struct world *w = *state;
    struct quality *q = &w->model[1].quality;      /* dear/best thinks */
    q->efforts = 1u << EFFORT_LOW | 1u << EFFORT_MEDIUM | 1u << EFFORT_HIGH;
    q->effort[EFFORT_LOW] = -0.1f;
    q->effort[EFFORT_MEDIUM] = q->effort[EFFORT_UNSET] = -0.05f;
    rescore(w);
    struct plan_ask ask = w->ask;
    struct plan p;
    ask.only[0] = BYTES("dear"), ask.only_count = 1;
    ask.mode = PLAN_COST;
    plan_make(&w->c, &ask, &p);
    assert_int_equal(p.count, 1);                  /* distinct models, not arms */
    assert_int_equal(p.at[0].effort, EFFORT_LOW);  /* cheaper, and as good as that */
    ask.floor = 999000;
    ask.gain = GAIN_ONE;
    plan_make(&w->c, &ask, &p);
    assert_int_equal(p.at[0].effort, EFFORT_HIGH);
    ask.effort = EFFORT_MEDIUM;
    plan_make(&w->c, &ask, &p);
    assert_int_equal(p.at[0].effort, EFFORT_UNSET);
    ask.effort = EFFORT_UNSET;
    ask.name[0] = BYTES("dear/best");
    plan_make(&w->c, &ask, &p);
    assert_int_equal(p.at[0].effort, EFFORT_UNSET);
}

/* A prompt above a tier's threshold pays the tier, cached tokens included. */
static void test_tiers(void **state)
{
    struct world *w = *state;
    struct price *p = &w->model[2].price.at[0];    /* fast/good doubles above 5000 */
    p->tier_count = 1;
    p->tier[0].above = 5000;
    for (int k = 0; k < PRICE_KINDS; k++) p->tier[0].kind[k] = p->kind[k] * 2;
    rescore(w);
    struct plan_ask ask = w->ask;
    ask.mode = PLAN_COST;
    ask.tokens_in = 5000;
    check(w, &ask, BY_COST, PLAN_FINE);
    ask.tokens_in = 5001;
    check(w, &ask, "sure/good:c fast/good:c dear/best:c cheap/weak:B", PLAN_FINE);
    ask.name[0] = BYTES("good");
    check(w, &ask, "sure/good:b fast/good:b", PLAN_FINE);
}

static void test_words(void **state)
{
    (void)state;
    assert_int_equal(plan_mode_of(BYTES("cost")), PLAN_COST);
    assert_int_equal(plan_mode_of(BYTES("latency-first")), PLAN_LATENCY);
    assert_int_equal(plan_mode_of(BYTES("-first")), -1);
    assert_int_equal(plan_mode_of(BYTES("Cost")), -1);
    for (int i = 0; i < PLAN_MODES; i++) {
        assert_int_equal(plan_mode_of(bytes_of(plan_mode_name((enum plan_mode)i))), i);
    }
    for (int i = 0; i < PLAN_REASONS; i++) {
        assert_true(strlen(plan_reason_text((enum plan_reason)i)) > 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_modes, build, unbuild),
        cmocka_unit_test_setup_teardown(test_balance, build, unbuild),
        cmocka_unit_test_setup_teardown(test_names_of_modes, build, unbuild),
        cmocka_unit_test_setup_teardown(test_filters, build, unbuild),
        cmocka_unit_test_setup_teardown(test_doubts, build, unbuild),
        cmocka_unit_test_setup_teardown(test_out_of_rotation_and_cooling, build, unbuild),
        cmocka_unit_test_setup_teardown(test_order_and_fallbacks, build, unbuild),
        cmocka_unit_test_setup_teardown(test_sticky, build, unbuild),
        cmocka_unit_test_setup_teardown(test_explore, build, unbuild),
        cmocka_unit_test_setup_teardown(test_weights, build, unbuild),
        cmocka_unit_test_setup_teardown(test_efforts, build, unbuild),
        cmocka_unit_test_setup_teardown(test_tiers, build, unbuild),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
