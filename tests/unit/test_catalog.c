/* test_catalog.c - sorting, every look-up, globs and the nearest name. Globs are compared with
 * a slow, obvious matcher; names end at an unreadable page. */
#include "route/catalog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <cmocka.h>

enum { PAGE = 4096, SOME = 60 };

static char *wall;               /* the first byte that must not be read */

static int setup(void **state)
{
    (void)state;
    char *map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                     0);
    if (map == MAP_FAILED || mprotect(map + PAGE, PAGE, PROT_NONE) != 0) return -1;
    wall = map + PAGE;
    return 0;
}

static struct bytes at_wall(const char *text)
{
    size_t len = strlen(text);
    assert_true(len <= PAGE);
    memcpy(wall - len, text, len);
    return (struct bytes){wall - len, len};
}

/* The same catalogue for most tests, in the order of a configuration. */
struct world {
    struct catalog_provider provider[4];
    struct catalog_model model[10];
    struct catalog_alias alias[5];
    struct catalog c;
};

enum { ANTHROPIC, OPENAI, ROUTER, LOCAL };

static void build(struct world *w)
{
    static const struct catalog_model models[] = {
        {.id = "local/shared", .provider = LOCAL, .configured = true},
        {.id = "openai/shared", .provider = OPENAI, .configured = true},
        {.id = "router/shared", .provider = ROUTER},
        {.id = "openai/gpt-5.4", .provider = OPENAI},
        {.id = "anthropic/shared", .provider = ANTHROPIC},
        {.id = "router/openai/gpt-5.4", .provider = ROUTER},
        {.id = "router/qwen/qwen3-32b", .provider = ROUTER},
        {.id = "openai/gpt-5.4-mini", .provider = OPENAI},
        {.id = "anthropic/claude-opus-4-7", .provider = ANTHROPIC},
        {.id = "anthropic/a", .provider = ANTHROPIC},
    };
    static const char *const target[] = {"openai/gpt-5.4"};
    static const struct catalog_alias aliases[] = {
        {"gpt-4*", target, 1, false}, {"gpt-4o", target, 1, false}, {"fast", target, 1, false},
        {"*", target, 1, false}, {"assistant", target, 1, false},
    };
    static const struct catalog_provider providers[] = {
        {.name = "anthropic"}, {.name = "openai"}, {.name = "router"}, {.name = "local"},
    };
    memcpy(w->provider, providers, sizeof providers);
    memcpy(w->model, models, sizeof models);
    memcpy(w->alias, aliases, sizeof aliases);
    w->c = (struct catalog){w->provider, w->model, w->alias, NULL, COUNT(providers),
                            COUNT(models), COUNT(aliases)};
    assert_true(catalog_index(&w->c));
}

static void test_find(void **state)
{
    (void)state;
    struct world w;
    build(&w);
    for (uint32_t i = 0; i < w.c.model_count; i++) {
        assert_int_equal(catalog_find(&w.c, at_wall(w.model[i].id)), i);
        assert_string_equal(w.model[i].bare, strchr(w.model[i].id, '/') + 1);
        if (i > 0) assert_true(strcmp(w.model[i - 1].id, w.model[i].id) < 0);
    }
    static const char *const none[] = {
        "", "a", "anthropic/", "anthropic", "anthropic/aa", "openai/gpt-5.", "openai/gpt-5.4-",
        "OPENAI/gpt-5.4", "zzz/z", "\xff", "router/qwen",
    };
    for (size_t i = 0; i < COUNT(none); i++) {
        assert_int_equal(catalog_find(&w.c, at_wall(none[i])), -1);
    }
    /* A NUL inside a name is a byte like any other. */
    assert_int_equal(catalog_find(&w.c, (struct bytes){"anthropic/a\0", 12}), -1);
    free(w.c.by_bare);
}

/* Configured ones first, as written; then built-in ones in their providers' order. */
static void test_bare(void **state)
{
    (void)state;
    struct world w;
    build(&w);
    static const char *const shared[] = {
        "local/shared", "openai/shared", "anthropic/shared", "router/shared",
    };
    uint32_t first = 0, count = 0;
    assert_true(catalog_bare(&w.c, at_wall("shared"), &first, &count));
    assert_int_equal(count, COUNT(shared));
    for (uint32_t i = 0; i < count; i++) {
        assert_string_equal(w.model[w.c.by_bare[first + i]].id, shared[i]);
    }
    assert_true(catalog_bare(&w.c, at_wall("openai/gpt-5.4"), &first, &count));
    assert_int_equal(count, 1);
    assert_string_equal(w.model[w.c.by_bare[first]].id, "router/openai/gpt-5.4");
    first = 77;
    assert_false(catalog_bare(&w.c, at_wall("share"), &first, &count));
    assert_false(catalog_bare(&w.c, at_wall(""), &first, &count));
    assert_false(catalog_bare(&w.c, at_wall("zzz"), &first, &count));
    assert_int_equal(first, 77);
    free(w.c.by_bare);
}

static void test_empty(void **state)
{
    (void)state;
    struct catalog c = {0};
    uint32_t first, count;
    assert_true(catalog_index(&c));
    assert_int_equal(catalog_find(&c, BYTES("a/b")), -1);
    assert_false(catalog_bare(&c, BYTES("b"), &first, &count));
    assert_int_equal(catalog_provider_find(&c, BYTES("a")), -1);
    assert_int_equal(catalog_alias_find(&c, BYTES("a")), -1);
    assert_null(catalog_nearest(&c, BYTES("a")));
    free(c.by_bare);
}

/* Any order of input gives the same sorted table, and nothing is lost in the permutation. */
static void test_index_of_shuffled_models(void **state)
{
    (void)state;
    static char names[SOME][16];
    struct catalog_provider provider = {.name = "p"};
    for (unsigned seed = 1; seed <= 50; seed++) {
        struct catalog_model model[SOME] = {{.id = NULL}};
        unsigned random = seed;
        for (unsigned i = 0; i < SOME; i++) {
            snprintf(names[i], sizeof names[i], "p/%03u", i);
            model[i].id = names[i];
            model[i].context = i;
        }
        for (unsigned i = SOME - 1; i > 0; i--) {
            random = random * 1103515245 + 12345;
            unsigned j = (random >> 16) % (i + 1);
            struct catalog_model swap = model[i];
            model[i] = model[j];
            model[j] = swap;
        }
        struct catalog c = {.provider = &provider, .model = model, .provider_count = 1,
                            .model_count = SOME};
        assert_true(catalog_index(&c));
        for (uint32_t i = 0; i < SOME; i++) {
            assert_int_equal(model[i].context, i);
            assert_ptr_equal(model[i].id, names[i]);
            assert_int_equal(c.by_bare[i], i);
        }
        free(c.by_bare);
    }
}

static void test_provider_find(void **state)
{
    (void)state;
    struct world w;
    build(&w);
    assert_int_equal(catalog_provider_find(&w.c, at_wall("local")), LOCAL);
    assert_int_equal(catalog_provider_find(&w.c, at_wall("anthropic")), ANTHROPIC);
    assert_int_equal(catalog_provider_find(&w.c, at_wall("Local")), -1);
    assert_int_equal(catalog_provider_find(&w.c, at_wall("loca")), -1);
    assert_int_equal(catalog_provider_find(&w.c, at_wall("")), -1);
    free(w.c.by_bare);
}

static void test_aliases(void **state)
{
    (void)state;
    struct world w;
    build(&w);
    assert_int_equal(catalog_alias_find(&w.c, at_wall("gpt-4o")), 1);   /* exact before glob */
    assert_int_equal(catalog_alias_find(&w.c, at_wall("gpt-4o-mini")), 0);
    assert_int_equal(catalog_alias_find(&w.c, at_wall("other")), 3);
    assert_int_equal(catalog_alias_find(&w.c, at_wall("gpt-4*")), 0);
    assert_int_equal(catalog_alias_exact(&w.c, at_wall("fast")), 2);
    assert_int_equal(catalog_alias_exact(&w.c, at_wall("gpt-4o-mini")), -1);
    w.c.alias_count = 3;
    assert_int_equal(catalog_alias_find(&w.c, at_wall("other")), -1);
    free(w.c.by_bare);
}

/* The definition of a glob, as slow as it is plain. */
static bool slow_match(struct bytes p, struct bytes t)
{
    if (p.len == 0) return t.len == 0;
    struct bytes p1 = {p.ptr + 1, p.len - 1};
    if (*p.ptr == '*') {
        return slow_match(p1, t)
               || (t.len > 0 && slow_match(p, (struct bytes){t.ptr + 1, t.len - 1}));
    }
    return t.len > 0 && (*p.ptr == '?' || *p.ptr == *t.ptr)
           && slow_match(p1, (struct bytes){t.ptr + 1, t.len - 1});
}

/* Word number n over an alphabet. */
static struct bytes word(const char *alphabet, unsigned n, char out[8])
{
    unsigned base = (unsigned)strlen(alphabet);
    size_t len = 0;
    for (; n > 0; n = (n - 1) / base) out[len++] = alphabet[(n - 1) % base];
    return (struct bytes){out, len};
}

static void test_glob_agrees_with_the_definition(void **state)
{
    (void)state;
    for (unsigned p = 0; p < 1365; p++) {           /* all patterns of up to 5 of ab*? */
        char pattern_text[8];
        struct bytes pattern = word("ab*?", p, pattern_text);
        for (unsigned t = 0; t < 127; t++) {        /* all texts of up to 6 of ab */
            char text_text[8];
            struct bytes text = word("ab", t, text_text);
            bool want = slow_match(pattern, text);
            if (glob_match(pattern, text) != want) {
                fail_msg("'%.*s' '%.*s'", (int)pattern.len, pattern.ptr, (int)text.len,
                         text.ptr);
            }
        }
    }
}

static void test_glob_at_the_edges(void **state)
{
    (void)state;
    assert_true(glob_match(BYTES("gpt-4o*"), at_wall("gpt-4o")));
    assert_false(glob_match(BYTES("gpt-4o*"), at_wall("xgpt-4o")));
    assert_false(glob_match(BYTES("GPT*"), at_wall("gpt")));
    assert_false(glob_match(BYTES("a"), (struct bytes){"a\0", 2}));
    assert_true(glob_match(at_wall("a*"), BYTES("aaa")));
    /* What makes a backtracking matcher run for ever. */
    char text[PAGE];
    memset(text, 'a', sizeof text);
    struct bytes many = {text, sizeof text};
    assert_false(glob_match(BYTES("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b"), many));
}

static void test_comma_list(void **state)
{
    (void)state;
    static const struct { const char *list, *name; bool has; } cases[] = {
        {"a,bc", "a", true}, {"a,bc", "BC", true}, {"a, bc ,d", "bc", true},
        {"a,bc", "b", false},
        {"a,bc", "a,bc", false}, {"", "", false}, {"a,,b", "", false}, {",", "", false},
        {"a,", "a", true}, {",a", "a", true}, {"abc", "ab", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(comma_list_has(at_wall(cases[i].list), bytes_of(cases[i].name)),
                         cases[i].has);
    }
    assert_false(comma_list_has((struct bytes){NULL, 0}, BYTES("a")));
}

static void test_nearest(void **state)
{
    (void)state;
    struct world w;
    build(&w);
    static const struct { const char *name, *near; } cases[] = {
        {"gpt-5.4-mni", "gpt-5.4-mini"}, {"GPT-5.4-MINI", "openai/gpt-5.4-mini"},
        {"claude-opus-4.7", "claude-opus-4-7"}, {"anthropic/claude-opus-47",
         "anthropic/claude-opus-4-7"}, {"asistant", "assistant"}, {"fsat", "fast"},
        {"azure/gpt-5.4", "openai/gpt-5.4"}, {"openrouter/openai/gpt-5.4", "openai/gpt-5.4"},
        {"qwen3-32b", "router/qwen/qwen3-32b"}, {"together/qwen3-32b", "router/qwen/qwen3-32b"},
        {"shard", "shared"}, {"completely-different", NULL}, {"", NULL}, {"/", NULL},
        {"x", NULL}, {"A", "anthropic/a"}, {"xyz", NULL}, {"gpt-5.4-mini-turbo-2099", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *near = catalog_nearest(&w.c, at_wall(cases[i].name));
        if (!cases[i].near) {
            if (near) fail_msg("'%s': %s", cases[i].name, near);
        } else {
            if (!near) fail_msg("'%s': nothing", cases[i].name);
            assert_string_equal(near, cases[i].near);
        }
    }
    free(w.c.by_bare);
}

/* Edit distance by its definition, the whole matrix. */
static unsigned whole_distance(struct bytes a, struct bytes b)
{
    unsigned d[24][24];
    assert_true(a.len < COUNT(d) && b.len < COUNT(d[0]));
    for (unsigned i = 0; i <= a.len; i++) {
        for (unsigned j = 0; j <= b.len; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = i + j;
                continue;
            }
            unsigned best = d[i - 1][j - 1] + (a.ptr[i - 1] != b.ptr[j - 1]);
            if (d[i - 1][j] + 1 < best) best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best) best = d[i][j - 1] + 1;
            d[i][j] = best;
        }
    }
    return d[a.len][b.len];
}

/* A random text of min to max letters out of two. */
static struct bytes babble(unsigned *random, unsigned min, unsigned max, char *out)
{
    *random = *random * 1103515245 + 12345;
    unsigned len = min + (*random >> 16) % (max - min + 1);
    for (unsigned i = 0; i < len; i++) {
        *random = *random * 1103515245 + 12345;
        out[i] = *random >> 20 & 1 ? 'a' : 'b';
    }
    return (struct bytes){out, len};
}

/* The band gives what the whole matrix would. */
static void test_nearest_agrees_with_the_definition(void **state)
{
    (void)state;
    struct catalog_provider provider = {.name = "p"};
    unsigned random = 1, near_count = 0;
    for (unsigned round = 0; round < 20000; round++) {
        char id[32] = "p/", text[32];
        struct bytes bare = babble(&random, 1, 18, id + 2);
        struct bytes name = babble(&random, 1, 18, text);
        struct catalog_model model = {.id = id};
        struct catalog c = {.provider = &provider, .model = &model, .provider_count = 1,
                            .model_count = 1};
        assert_true(catalog_index(&c));
        unsigned limit = name.len > 1 ? 1 + (unsigned)name.len / 4 : 0;
        if (limit > 4) limit = 4;
        bool want = whole_distance(name, bare) <= limit
                    || whole_distance(name, (struct bytes){id, bare.len + 2}) <= limit;
        if ((catalog_nearest(&c, name) != NULL) != want) {
            fail_msg("'%.*s' '%s'", (int)name.len, name.ptr, id);
        }
        near_count += want;
        free(c.by_bare);
    }
    assert_true(near_count > 1000 && near_count < 19000);
}

/* The longest names, up to one edit too many. */
static void test_nearest_at_its_limit(void **state)
{
    (void)state;
    char id[8 + 100] = "p/";
    struct catalog_provider provider = {.name = "p"};
    for (size_t len = 94; len <= 95; len++) {
        memset(id + 2, 'm', len);
        id[2 + len] = '\0';
        struct catalog_model model = {.id = id};
        struct catalog c = {.provider = &provider, .model = &model, .provider_count = 1,
                            .model_count = 1};
        assert_true(catalog_index(&c));
        char name[CATALOG_NAME_MAX + 1];
        for (size_t edits = 0; edits <= 5; edits++) {
            memset(name, 'm', len);
            for (size_t i = 0; i < edits; i++) name[i * 7] = 'x';
            const char *near = catalog_nearest(&c, (struct bytes){name, len});
            assert_int_equal(near != NULL, edits <= 4);
            memset(name, 'm', len);
            near = catalog_nearest(&c, (struct bytes){name, len - edits});
            assert_int_equal(near != NULL, edits <= 4);
        }
        free(c.by_bare);
    }
    struct catalog none = {0};
    static const char long_name[CATALOG_NAME_MAX + 1];
    assert_true(catalog_index(&none));
    assert_null(catalog_nearest(&none, (struct bytes){long_name, sizeof long_name}));
    free(none.by_bare);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find), cmocka_unit_test(test_bare), cmocka_unit_test(test_empty),
        cmocka_unit_test(test_index_of_shuffled_models), cmocka_unit_test(test_provider_find),
        cmocka_unit_test(test_aliases), cmocka_unit_test(test_glob_agrees_with_the_definition),
        cmocka_unit_test(test_glob_at_the_edges), cmocka_unit_test(test_comma_list),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_nearest_agrees_with_the_definition),
        cmocka_unit_test(test_nearest_at_its_limit),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
