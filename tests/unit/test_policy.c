/* test_policy.c - policy blobs: what is well-formed, and what is read from one, and from the
 * levels of a path together. */
#include "store/keys.h"
#include "tests/unit/data_dir.h"

#define BLOB(text) text, sizeof(text) - 1

static void test_rates_of_a_policy(void **state)
{
    (void)state;
    static const char blob[] = "aopenai/*\0r60\0A\0t1000\0c4294967295\0";
    struct rates rates;
    assert_true(policy_rates(blob, sizeof(blob) - 1, &rates));
    assert_int_equal(rates.rpm, 60);
    assert_int_equal(rates.tpm, 1000);
    assert_true(rates.concurrency == UINT32_MAX);
    assert_true(policy_rates("", 0, &rates));
    assert_int_equal(rates.rpm | rates.tpm | rates.concurrency, 0);
    assert_false(policy_rates(blob, sizeof(blob) - 2, &rates));
}

static void test_policy_soundness(void **state)
{
    (void)state;
    static const struct { const char *blob; size_t len; bool sound; } cases[] = {
        {BLOB(""), true},           {BLOB("a*\0"), true},       {BLOB("dx\0"), true},
        {BLOB("A\0"), true},        {BLOB("ax\0dy\0A\0"), true}, {BLOB("A"), false},
        {BLOB("a*"), false},        {BLOB("a\0"), false},       {BLOB("d\0"), false},
        {BLOB("\0"), false},        {BLOB("Ax\0"), false},      {BLOB("D*\0"), false},
        {BLOB("x*\0"), false},      {BLOB("a*\0\0"), false},    {BLOB("a*\0d"), false},
        {BLOB("r1\0t20\0c4294967295\0"), true},               {BLOB("r\0"), false},
        {BLOB("r0\0"), false},      {BLOB("c4294967296\0"), false}, {BLOB("t-1\0"), false},
        {BLOB("r1\0r1\0"), false}, {BLOB("r00000000001\0"), false}, {BLOB("r1"), false},
        {BLOB("mcost\0geu\0gus-east-1\0z\0q0.95\0"), true},  {BLOB("G\0"), true},
        {BLOB("m\0"), false},      {BLOB("mCost\0"), false},  {BLOB("mcost-first\0"), false},
        {BLOB("ma\0mb\0"), false}, {BLOB("g\0"), false},      {BLOB("Geu\0"), false},
        {BLOB("z1\0"), false},     {BLOB("z\0z\0"), false},   {BLOB("q\0"), false},
        {BLOB("q0\0"), true},      {BLOB("q1\0"), true},      {BLOB("q2\0"), false},
        {BLOB("q0.\0"), false},    {BLOB("q0.10\0"), false},  {BLOB("q1.000001\0"), false},
        {BLOB("q0.000001\0"), true}, {BLOB("q0.0000001\0"), false}, {BLOB("q.5\0"), false},
        {BLOB("q0.5\0q0.5\0"), false}, {BLOB("q00\0"), false}, {BLOB("q-0\0"), false},
        {BLOB("q0,5\0"), false},   {BLOB("q0.5.5\0"), false}, {BLOB("q0\0q0\0"), false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct policy policy = {.len = (uint16_t)cases[i].len};
        memset(policy.blob, 0, sizeof(policy.blob));
        memcpy(policy.blob, cases[i].blob, cases[i].len);
        assert_int_equal(policy_is_sound(&policy), cases[i].sound);
    }
    struct policy policy = {.len = STORE_POLICY_MAX};
    memset(policy.blob, 'a', sizeof(policy.blob));
    assert_false(policy_is_sound(&policy));
    policy.blob[STORE_POLICY_MAX - 1] = '\0';
    assert_true(policy_is_sound(&policy));
    policy.len = STORE_POLICY_MAX + 1;
    assert_false(policy_is_sound(&policy));
}

/* The bounds of words, at their most and one more. */
static void test_lengths(void **state)
{
    (void)state;
    static const struct { char kind; size_t max; } cases[] = {
        {'m', POLICY_WORD_MAX - 1}, {'g', POLICY_REGION_MAX - 1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct policy p = {.len = (uint16_t)(cases[i].max + 2)};
        p.blob[0] = cases[i].kind;
        memset(p.blob + 1, 'x', cases[i].max + 1);
        p.blob[cases[i].max + 1] = '\0';
        assert_true(policy_is_sound(&p));
        p.blob[cases[i].max + 1] = 'x';
        p.len++;
        assert_false(policy_is_sound(&p));
    }
}

static void test_one_level(void **state)
{
    (void)state;
    static const char blob[] = "aopenai/*\0q0.95\0z\0mlatency\0geu\0r7\0";
    struct policy_level l;
    assert_true(policy_read(blob, sizeof(blob) - 1, &l));
    assert_string_equal(l.mode, "latency");
    assert_true(l.has_floor && l.has_regions && l.zero_retention_only);
    assert_int_equal(l.floor, 950000);
    assert_int_equal(l.rates.rpm, 7);
    assert_true(policy_read("", 0, &l));
    assert_false(l.has_floor || l.has_regions || l.zero_retention_only || l.mode);
}

static void test_regions_of_a_level(void **state)
{
    (void)state;
    static const struct {
        const char *blob;
        size_t len;
        const char *region;
        bool ok;
    } cases[] = {
        {BLOB(""), "", true},            {BLOB(""), "eu", true},
        {BLOB("geu\0"), "eu", true},     {BLOB("geu\0"), "EU", true},
        {BLOB("geu\0"), "", false},      {BLOB("geu\0"), "eu-1", false},
        {BLOB("geu-1\0"), "eu", false},  {BLOB("geu\0gus\0"), "us", true},
        {BLOB("G\0"), "eu", false},      {BLOB("G\0"), "", false},
        {BLOB("aeu\0"), "us", true},     {BLOB("geu\0deu\0"), "eu", true},
        {BLOB("dus\0geu\0"), "us", false},
        {BLOB("geu"), "eu", false},      {BLOB("geu\0x\0"), "eu", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        bool ok = policy_region(cases[i].blob, cases[i].len, cases[i].region,
                                strlen(cases[i].region));
        if (ok != cases[i].ok) fail_msg("case %zu", i);
    }
}

/* ---- all levels of a path */

/* Put one blob behind those of the levels above. */
static void view_add(struct key_view *v, enum unit_kind level, const char *blob, size_t len)
{
    size_t at = 0;
    for (unsigned kind = 0; kind < UNIT_KINDS; kind++) at += v->policy_len[kind];
    memcpy(v->policy + at, blob, len);
    v->policy_len[level] = (uint16_t)len;
}

static void test_levels_together(void **state)
{
    (void)state;
    static struct key_view v;
    struct policy_routing r;
    enum unit_kind level = UNIT_KINDS;
    assert_true(keys_routing(&v, &r));
    static const struct policy_routing none;
    assert_memory_equal(&r, &none, sizeof(r));
    assert_true(keys_region(&v, "", 0, &level));
    view_add(&v, UNIT_ORGANIZATION, BLOB("mavailability\0q0.9\0geu\0gus\0z\0"));
    view_add(&v, UNIT_TEAM, BLOB("mcost\0q0.8\0geu\0"));
    view_add(&v, UNIT_KEY, BLOB("r1\0"));
    assert_true(keys_routing(&v, &r));
    assert_string_equal(r.mode, "cost");            /* of the narrowest that has one */
    assert_int_equal(r.mode_level, UNIT_TEAM);
    assert_true(r.has_floor);
    assert_int_equal(r.floor, 900000);              /* the highest */
    assert_int_equal(r.floor_level, UNIT_ORGANIZATION);
    assert_true(r.has_regions && r.zero_retention_only);
    assert_int_equal(r.regions_level, UNIT_TEAM);
    assert_int_equal(r.zero_level, UNIT_ORGANIZATION);
    assert_true(keys_region(&v, "eu", 2, &level));
    assert_int_equal(level, UNIT_KINDS);
    assert_false(keys_region(&v, "us", 2, &level));
    assert_int_equal(level, UNIT_TEAM);
    assert_false(keys_region(&v, "asia", 4, &level));
    assert_int_equal(level, UNIT_TEAM);             /* both refuse: the narrowest is named */
    memset(&v, 0, sizeof(v));
    view_add(&v, UNIT_DEPARTMENT, BLOB("geu\0"));
    assert_true(keys_routing(&v, &r));
    assert_false(r.has_floor);
    memset(&v, 0, sizeof(v));
    view_add(&v, UNIT_DEPARTMENT, BLOB("geu\0q0\0"));
    assert_true(keys_routing(&v, &r));
    assert_true(r.has_floor && r.floor == 0);       /* stated: the file's does not hold */
    assert_false(keys_region(&v, "us", 2, &level));
    assert_int_equal(level, UNIT_DEPARTMENT);
    view_add(&v, UNIT_MEMBER, BLOB("q0.5"));        /* cannot be read: nothing is allowed */
    assert_false(keys_routing(&v, &r));
    assert_false(keys_region(&v, "eu", 2, &level));
    assert_int_equal(level, UNIT_MEMBER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rates_of_a_policy),
        cmocka_unit_test(test_policy_soundness),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_one_level),
        cmocka_unit_test(test_regions_of_a_level),
        cmocka_unit_test(test_levels_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
