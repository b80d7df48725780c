/* test_plan.c - names, order, filters, policy, and the reason an empty plan gives.
 * A case is a question and the candidates expected, written as "id:reason id:reason". */
#include "route/catalog.h"
#include "route/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { MANY = 12 };

static const char reason_letter[] = {
    [PLAN_NAMED] = 'n', [PLAN_BARE] = 'b', [PLAN_ALIAS] = 'a', [PLAN_LISTED] = 'l',
};

struct world {
    struct catalog_provider provider[5];
    struct catalog_model model[16];
    struct catalog_alias alias[8];
    struct catalog c;
};

static struct price_list costs(int64_t input, int64_t output)
{
    struct price_list list = {.count = 1};
    list.at[0].known = true;
    list.at[0].kind[PRICE_INPUT] = input;
    list.at[0].kind[PRICE_OUTPUT] = output;
    return list;
}

static int build(void **state)
{
    static const char *const to_mini[] = {"openai/gpt-mini"};
    static const char *const to_smart[] = {"anthropic/claude", "nowhere/x", "shared", "gpt"};
    static const char *const to_lost[] = {"nowhere/x", "fast"};
    static const char *const to_shared[] = {"shared"};
    static const struct catalog_alias aliases[] = {
        {"gpt-4*", to_mini, 1, false}, {"smart", to_smart, 4, true}, {"lost", to_lost, 2, true},
        {"fast", to_mini, 1, false}, {"openai/gpt", to_shared, 1, false},
        {"any", to_shared, 1, false}, {"auto:own", to_mini, 1, false},
    };
    static const struct catalog_provider providers[] = {
        {.name = "openai", .dialect = DIALECT_OPENAI},
        {.name = "anthropic", .dialect = DIALECT_ANTHROPIC, .zero_retention = true},
        {.name = "router", .also = "openrouter, open-router", .dialect = DIALECT_OPENAI},
        {.name = "google", .also = "", .dialect = DIALECT_GEMINI},
        {.name = "local", .dialect = DIALECT_OPENAI, .zero_retention = true},
    };
    const struct catalog_model models[] = {
        {.id = "local/shared", .provider = 4, .configured = true, .price = costs(1, 9)},
        {.id = "openai/gpt", .provider = 0, .price = costs(5, 50)},
        {.id = "openai/gpt-mini", .provider = 0, .price = costs(1, 10),
         .abilities = ABILITY_TOOLS, .lacks = ABILITY_VISION},
        {.id = "openai/shared", .provider = 0, .price = costs(3, 30)},
        {.id = "anthropic/claude", .provider = 1, .price = costs(5, 25)},
        {.id = "anthropic/shared", .provider = 1, .price = costs(4, 20)},
        {.id = "router/anthropic/claude-x", .provider = 2, .price = costs(6, 60)},
        {.id = "router/shared", .provider = 2, .price = {.count = 1}},   /* price not known */
        {.id = "google/gemini", .provider = 3, .price = costs(2, 20)},
        {.id = "google/gpt:floor", .provider = 3},
        {.id = "router/openrouter/auto", .provider = 2},
        {.id = "google/auto", .provider = 3},
    };
    struct world *w = calloc(1, sizeof *w);
    if (!w) return -1;
    memcpy(w->provider, providers, sizeof providers);
    memcpy(w->model, models, sizeof models);
    memcpy(w->alias, aliases, sizeof aliases);
    w->c = (struct catalog){w->provider, w->model, w->alias, NULL, COUNT(providers),
                            COUNT(models), COUNT(aliases)};
    *state = w;
    return catalog_index(&w->c) ? 0 : -1;
}

static int unbuild(void **state)
{
    struct world *w = *state;
    free(w->c.by_bare);
    free(w);
    return 0;
}

/* Fill a list of slices from words separated by blanks. */
static uint8_t words(const char *text, struct bytes list[PLAN_NAMES_MAX])
{
    uint8_t count = 0;
    struct bytes rest = bytes_of(text);
    while (rest.len > 0) {
        assert_true(count < PLAN_NAMES_MAX);
        list[count++] = bytes_cut(&rest, bytes_find(rest, ' '));
        if (rest.len > 0) bytes_cut(&rest, 1);
    }
    return count;
}

/* Ask, and compare with "id:letter id:letter", or where that is empty with reason. */
static void check(struct world *w, const struct plan_ask *ask, const char *want,
                  enum plan_reason reason)
{
    struct plan p;
    memset(&p, 0xff, sizeof p);
    plan_make(&w->c, ask, &p);
    char got[1024] = "";
    size_t len = 0;
    for (uint8_t i = 0; i < p.count; i++) {
        assert_true(p.at[i].model < w->c.model_count && p.at[i].reason < COUNT(reason_letter));
        len += (size_t)snprintf(got + len, sizeof got - len, "%s%s:%c", i ? " " : "",
                                w->model[p.at[i].model].id, reason_letter[p.at[i].reason]);
    }
    if (strcmp(got, want) != 0) {
        fail_msg("'%.*s': %s, not %s", (int)ask->name[0].len, ask->name[0].ptr, got, want);
    }
    assert_int_equal(p.reason, reason);
    if (ask->name_count > 0) assert_true(bytes_eq(p.name, ask->name[0]));
}

#define SHARED "local/shared:b openai/shared:b anthropic/shared:b router/shared:b"

static void test_names(void **state)
{
    static const struct { const char *names, *want; enum plan_reason reason; } cases[] = {
        {"openai/gpt-mini", "openai/gpt-mini:n", PLAN_FINE},
        {"gpt-mini", "openai/gpt-mini:b", PLAN_FINE},
        {"shared", SHARED, PLAN_FINE},
        {"anthropic/claude-x", "router/anthropic/claude-x:b", PLAN_FINE},
        {"router/anthropic/claude-x", "router/anthropic/claude-x:n", PLAN_FINE},
        {"openai/nothing", "", PLAN_UNKNOWN_MODEL}, {"nowhere/gpt", "", PLAN_UNKNOWN_MODEL},
        {"nothing", "", PLAN_UNKNOWN_MODEL}, {"OpenAI/gpt-mini", "", PLAN_UNKNOWN_MODEL},
        {"openai/", "", PLAN_UNKNOWN_MODEL}, {"/", "", PLAN_UNKNOWN_MODEL},
        {"fast", "openai/gpt-mini:a", PLAN_FINE}, {"gpt-4o", "openai/gpt-mini:a", PLAN_FINE},
        {"openai/gpt", "local/shared:a openai/shared:a anthropic/shared:a router/shared:a",
         PLAN_FINE},                                /* an alias overrules an id */
        {"gpt", "openai/gpt:b", PLAN_FINE},
        {"smart", "anthropic/claude:a local/shared:l openai/shared:l anthropic/shared:l "
                  "router/shared:l openai/gpt:l", PLAN_FINE},
        {"lost", "", PLAN_UNKNOWN_MODEL},           /* a target is no alias */
        {"auto", "", PLAN_UNKNOWN_MODEL}, {"auto:cost", "", PLAN_UNKNOWN_MODEL},
        {"openrouter/auto", "", PLAN_UNKNOWN_MODEL}, {"gpt:floor", "", PLAN_UNKNOWN_MODEL},
        {"gpt-4o:nitro", "", PLAN_UNKNOWN_MODEL},   /* not through the glob */
        {"auto:own", "openai/gpt-mini:a", PLAN_FINE},
        {"google/auto", "google/auto:n", PLAN_FINE}, {"automatic", "", PLAN_UNKNOWN_MODEL},
        {":floor", "", PLAN_UNKNOWN_MODEL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (int first = 0; first < 2; first++) {
            struct plan_ask ask = {.first_is_model = first};
            ask.name_count = words(cases[i].names, ask.name);
            check(*state, &ask, cases[i].want, cases[i].reason);
        }
    }
}

static void test_lists_of_names(void **state)
{
    static const struct { const char *names; bool model; const char *want; } cases[] = {
        {"gpt-mini google/gemini", true, "openai/gpt-mini:b google/gemini:l"},
        {"gpt-mini nothing google/gemini", true, "openai/gpt-mini:b google/gemini:l"},
        {"nothing google/gemini", true, ""},
        {"nothing google/gemini", false, "google/gemini:l"},
        {"nothing none", false, ""},
        {"openai/shared shared openai/shared", true,
         "openai/shared:n local/shared:l anthropic/shared:l router/shared:l"},
        {"gpt-mini smart", true,
         "openai/gpt-mini:b anthropic/claude:l local/shared:l openai/shared:l "
         "anthropic/shared:l router/shared:l openai/gpt:l"},
        {"shared gpt-mini claude gemini gpt anthropic/claude-x", true,
         SHARED " openai/gpt-mini:l anthropic/claude:l google/gemini:l openai/gpt:l"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct plan_ask ask = {.first_is_model = cases[i].model};
        ask.name_count = words(cases[i].names, ask.name);
        check(*state, &ask, cases[i].want, *cases[i].want ? PLAN_FINE : PLAN_UNKNOWN_MODEL);
    }
    struct plan_ask empty = {.name_count = 1, .first_is_model = true};
    check(*state, &empty, "", PLAN_UNKNOWN_MODEL);
    empty.name_count = 0;
    check(*state, &empty, "", PLAN_UNKNOWN_MODEL);
}

static void test_provider_preferences(void **state)
{
    static const struct {
        const char *names, *order, *only, *ignore;
        bool one_only;
        const char *want;
    } cases[] = {
        {"shared", "router anthropic", "", "", false,
         "router/shared:b anthropic/shared:b local/shared:b openai/shared:b"},
        {"shared", "unheard-of Anthropic", "", "", false,
         "anthropic/shared:b local/shared:b openai/shared:b router/shared:b"},
        {"shared", "", "OpenAI router", "", false, "openai/shared:b router/shared:b"},
        {"shared", "router", "OpenAI OpenRouter", "", false, "router/shared:b openai/shared:b"},
        {"shared", "", "", "open-router local", false, "openai/shared:b anthropic/shared:b"},
        {"shared", "", "openai local", "openai", false, "local/shared:b"},
        {"shared", "", "google", "", false, ""},
        {"shared", "", "open", "", false, ""},
        {"shared", "", "", "local openai anthropic router", false, ""},
        {"shared", "", "", "", true, "local/shared:b"},
        {"shared", "anthropic", "", "", true, "anthropic/shared:b"},
        {"shared", "google anthropic", "", "", true, "anthropic/shared:b"},
        {"shared", "google", "", "", true, ""},   /* any other would be a fall-back */
        {"shared", "google", "", "", false, SHARED},
        {"smart", "openai", "", "", false,
         "openai/shared:l openai/gpt:l anthropic/claude:a local/shared:l anthropic/shared:l "
         "router/shared:l"},
        {"gpt-mini google/gemini claude", "anthropic google", "", "", false,
         "openai/gpt-mini:b google/gemini:l anthropic/claude:l"},   /* names come first */
        {"gpt-mini google/gemini", "", "", "openai", true, "google/gemini:l"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct plan_ask ask = {.first_is_model = true, .one_only = cases[i].one_only};
        ask.name_count = words(cases[i].names, ask.name);
        ask.order_count = words(cases[i].order, ask.order);
        ask.only_count = words(cases[i].only, ask.only);
        ask.ignore_count = words(cases[i].ignore, ask.ignore);
        check(*state, &ask, cases[i].want, *cases[i].want ? PLAN_FINE : PLAN_FILTERED);
    }
}

static void test_prices_retention_dialects(void **state)
{
    static const struct {
        int64_t prompt, completion;
        bool zdr;
        unsigned dialects;
        const char *want;
        enum plan_reason reason;
    } cases[] = {
        {3, 0, false, 0, "local/shared:b openai/shared:b", PLAN_FINE},
        {2, 0, false, 0, "local/shared:b", PLAN_FINE},
        {0, 20, false, 0, "local/shared:b anthropic/shared:b", PLAN_FINE},
        {3, 20, false, 0, "local/shared:b", PLAN_FINE},
        {0, 8, false, 0, "", PLAN_PRICE},
        {INT64_MAX, 0, false, 0, "local/shared:b openai/shared:b anthropic/shared:b",
         PLAN_FINE},
        {0, 0, true, 0, "local/shared:b anthropic/shared:b", PLAN_FINE},
        {0, 0, false, 1u << DIALECT_ANTHROPIC, "anthropic/shared:b", PLAN_FINE},
        {0, 0, false, 1u << DIALECT_OPENAI | 1u << DIALECT_ANTHROPIC, SHARED, PLAN_FINE},
        {0, 0, false, 1u << DIALECT_GEMINI, "", PLAN_WRONG_DIALECT},
        {2, 0, false, 1u << DIALECT_ANTHROPIC, "", PLAN_WRONG_DIALECT},
        {0, 8, false, 1u << DIALECT_GEMINI, "", PLAN_PRICE},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct plan_ask ask = {
            .name = {BYTES("shared")}, .name_count = 1, .first_is_model = true,
            .max_prompt = cases[i].prompt, .max_completion = cases[i].completion,
            .zdr = cases[i].zdr, .dialects = cases[i].dialects,
        };
        check(*state, &ask, cases[i].want, cases[i].reason);
    }
}

/* The price that holds when the request is made decides. */
static void test_max_price_follows_dates(void **state)
{
    struct world *w = *state;
    struct catalog_model *m = &w->model[catalog_find(&w->c, BYTES("google/gemini"))];
    m->price.at[1] = m->price.at[0];
    m->price.at[1].from_unix_s = 1000;
    m->price.at[1].kind[PRICE_INPUT] = 9;
    m->price.count = 2;
    struct plan_ask ask = {.name = {BYTES("gemini")}, .name_count = 1, .max_prompt = 2,
                           .now_unix_s = 999};
    check(w, &ask, "google/gemini:b", PLAN_FINE);
    ask.now_unix_s = 1000;
    check(w, &ask, "", PLAN_PRICE);
    m->price.count = 1;
    m->price.at[0].from_unix_s = 500;
    ask.now_unix_s = 499;                           /* no price yet: not known to be cheap */
    check(w, &ask, "", PLAN_PRICE);
    m->price.at[0].from_unix_s = 0;
}

static bool allow_matching(void *arg, struct bytes id)
{
    return glob_match(bytes_of(arg), id);
}

static void test_policy(void **state)
{
    static const struct {
        const char *names, *allow;
        bool zdr;
        const char *want;
        enum plan_reason reason;
    } cases[] = {
        {"shared", "*", false, SHARED, PLAN_FINE},
        {"shared", "openai/*", false, "openai/shared:b", PLAN_FINE},
        {"shared", "none/*", false, "", PLAN_NOT_ALLOWED},
        {"shared", "openai/*", true, "", PLAN_RETENTION},
        {"nothing", "none/*", false, "", PLAN_UNKNOWN_MODEL},
        {"gpt-mini google/gemini", "google/*", false, "google/gemini:l", PLAN_FINE},
        {"fast", "anthropic/*", false, "", PLAN_NOT_ALLOWED},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char allow[32];
        snprintf(allow, sizeof allow, "%s", cases[i].allow);
        struct plan_ask ask = {.first_is_model = true, .zdr = cases[i].zdr,
                               .allow = allow_matching, .allow_arg = allow};
        ask.name_count = words(cases[i].names, ask.name);
        check(*state, &ask, cases[i].want, cases[i].reason);
    }
}

/* More providers than a plan holds: the first PLAN_MAX stay; an order still finds the last. */
static void test_more_candidates_than_fit(void **state)
{
    (void)state;
    static char names[MANY][8], ids[MANY][16];
    struct catalog_provider provider[MANY] = {{.name = NULL}};
    struct catalog_model model[MANY] = {{.id = NULL}};
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "p%02u", i);
        snprintf(ids[i], sizeof ids[i], "p%02u/m", i);
        provider[i].name = names[i];
        model[i] = (struct catalog_model){.id = ids[i], .provider = (uint16_t)i};
    }
    struct catalog c = {.provider = provider, .model = model, .provider_count = MANY,
                        .model_count = MANY};
    assert_true(catalog_index(&c));
    for (unsigned count = PLAN_MAX - 1; count <= MANY; count++) {
        struct plan p;
        struct plan_ask ask = {.name = {BYTES("m")}, .name_count = 1,
                               .order = {BYTES("p06"), BYTES("p11")}, .order_count = 2};
        for (unsigned i = count; i < MANY; i++) {
            ask.ignore[ask.ignore_count++] = bytes_of(names[i]);
        }
        plan_make(&c, &ask, &p);
        assert_int_equal(p.count, count < PLAN_MAX ? count : PLAN_MAX);
        assert_int_equal(p.at[0].model, 6);
        unsigned behind = count == MANY ? 2 : 1;
        if (count == MANY) assert_int_equal(p.at[1].model, 11);
        for (unsigned i = behind, want = 0; i < p.count; i++, want++) {
            if (want == 6) want++;
            assert_int_equal(p.at[i].model, want);
        }
    }
    free(c.by_bare);
}

/* A model that was named is refused what it is known not to have, never what nobody says. */
static void test_abilities_of_named_models(void **state)
{
    static const struct { const char *names; unsigned needs; const char *want; } cases[] = {
        {"openai/gpt-mini", ABILITY_TOOLS, "openai/gpt-mini:n"},
        {"openai/gpt-mini", ABILITY_JSON_SCHEMA, "openai/gpt-mini:n"},
        {"openai/gpt-mini", ABILITY_VISION, ""},
        {"openai/gpt-mini", ABILITY_VISION | ABILITY_TOOLS, ""},
        {"anthropic/claude", ABILITY_VISION | ABILITY_TOOLS, "anthropic/claude:n"},
        {"gpt-mini anthropic/claude", ABILITY_VISION, "anthropic/claude:l"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct plan_ask ask = {.first_is_model = true, .needs = (uint8_t)cases[i].needs};
        ask.name_count = words(cases[i].names, ask.name);
        check(*state, &ask, cases[i].want, cases[i].want[0] ? PLAN_FINE : PLAN_ABILITY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names), cmocka_unit_test(test_lists_of_names),
        cmocka_unit_test(test_provider_preferences),
        cmocka_unit_test(test_prices_retention_dialects),
        cmocka_unit_test(test_max_price_follows_dates), cmocka_unit_test(test_policy),
        cmocka_unit_test(test_more_candidates_than_fit),
        cmocka_unit_test(test_abilities_of_named_models),
    };
    return cmocka_run_group_tests(tests, build, unbuild);
}
