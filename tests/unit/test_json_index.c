/* test_json_index.c - the index of a document against the scanner, which has the last word:
 * documents changed in every byte, laid at every place of a block, with every implementation.
 * Each lies against an unreadable page. */
#include "net/json_index.h"
#include "wall.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { AREA = 64 * WALL_PAGE };

static const char *const simds[] = {"scalar", "sse2", "avx2", "avx512"};

static char *wall;  /* the first byte that must not be read */

static int setup(void **state)
{
    (void)state;
    wall = wall_end(AREA);
    return 0;
}

static bool scanner_accepts(struct bytes in, unsigned depth_max)
{
    struct json j;
    struct json_token t;
    enum net_rc rc;
    json_init(&j, depth_max);
    while ((rc = json_next(&j, &in, &t)) == NET_OK) continue;
    return rc == NET_DONE && json_finish(&j, &t) == NET_DONE;
}

/* What the index says, the same by every implementation. */
static bool index_accepts(struct json_index *x, struct bytes in, unsigned depth_max)
{
    static struct json_index other;
    bool good = false, have = false;
    assert_true(in.len <= AREA);
    memcpy(wall - in.len, in.ptr, in.len);
    struct bytes doc = {wall - in.len, in.len};
    for (size_t i = 0; i < COUNT(simds); i++) {
        if (!json_simd_use(simds[i])) continue;
        bool now = json_index_build(have ? &other : x, doc, depth_max);
        if (have) assert_int_equal(now, good);
        if (have && good) {
            assert_int_equal(other.count, x->count);
            assert_memory_equal(other.first, x->first, x->count);
            assert_memory_equal(other.at, x->at, x->count * sizeof x->at[0]);
        }
        good = now;
        have = true;
    }
    return good;
}

static void test_tokens(void **state)
{
    (void)state;
    static struct json_index x;
    struct bytes doc = BYTES(" {\"a\" : [1, {\"b\":null}, \"c\\\"\"] ,\"d\":{}}\r\n ");
    assert_true(index_accepts(&x, doc, 8));
    static const char firsts[] = "{\":[1,{\":n},\"],\":{}}";
    static const uint32_t ats[] = {1, 2, 6, 8, 9, 10, 12, 13, 16, 17, 21, 22, 24, 29, 31, 32,
                                   35, 36, 37, 38};
    assert_int_equal(x.count, COUNT(ats));
    assert_memory_equal(x.first, firsts, x.count);
    assert_memory_equal(x.at, ats, sizeof ats);
    assert_int_equal(x.keys[0], 1u << 1 | 1u << 7 | 1u << 15);
    assert_int_equal(x.strings[0], 1u << 12);
    assert_int_equal(x.close[0], 19);
    assert_int_equal(x.close[3], 13);
    assert_int_equal(x.close[6], 10);
    assert_int_equal(x.close[17], 18);
    assert_int_equal(json_index_behind(&x, 3), 14);
    assert_int_equal(json_index_behind(&x, 12), 13);
    assert_true(bytes_eq(json_index_text(&x, doc.ptr, 1), BYTES("a")));
    assert_true(bytes_eq(json_index_text(&x, doc.ptr, 12), BYTES("c\\\"")));
}

/* Documents that hold something of everything. */
static const char *const samples[] = {
    "{\"model\":\"m\",\"n\":-0.5e+3,\"t\":true,\"f\":[false,null,12,[],{}],\"s\":\"a\\\\\"}",
    "{\"m\":[{\"role\":\"user\",\"content\":\"\\u00e9\\n \xC3\xA9 \xE2\x82\xAC\\/ "
    "\xF0\x9F\x98\x80\"},"
    "[{\"x\":{\"y\":[0,\"z\"]}}]]}",
    "[ { \"k\" : [ ] , \"l\" : { } } , 1e5 , { \"a\" : \"b\" , \"c\" : 0 } ]}",
};

/* Every byte replaced, at every place of a block: never more than the scanner accepts, and no
 * less where the document is an object. */
static void test_every_change(void **state)
{
    (void)state;
    static const char with[] = "\"\\{}[]:,0e-.tu \n\x01\x7F\x80\xC3\xE2\xF0\xFF";
    static struct json_index x;
    unsigned accepted = 0;
    for (size_t s = 0; s < COUNT(samples); s++) {
        size_t len = strlen(samples[s]);
        for (size_t i = 0; i < len; i++) {
            for (size_t k = 0; k < sizeof with; k++) {
                char text[512];
                size_t shift = (i * 7 + k * 11) % 64;
                memset(text, ' ', shift);
                memcpy(text + shift, samples[s], len);
                text[shift + i] = with[k];
                struct bytes doc = {text, shift + len};
                bool want = scanner_accepts(doc, 16), got = index_accepts(&x, doc, 16);
                bool object = text[shift] == '{' && text[shift + len - 1] == '}';
                if (got != (want && object)) print_error("%.*s\n", (int)doc.len, text);
                assert_int_equal(got, want && object);
                accepted += got;
            }
        }
    }
    assert_true(accepted > 500);
}

/* Strings of every length, with what a string may hold at its end: blocks end in it
 * everywhere, and whole blocks of plain text follow. */
static void test_long_strings(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "", "\\\\", "\\\"", "\\n", "\\u00e9", "\\\\\\\"", "\xC3\xA9", "\xF0\x9F\x98\x80", "\\x",
        "\\u00g0", "\xC3", "\xED\xA0\x80", "\x1F", "\\",
    };
    static struct json_index x;
    for (size_t k = 0; k < COUNT(parts); k++) {
        for (int before = 0; before < 140; before++) {
            for (int after = 0; after <= 280; after += 140) {
                char text[1024];
                int n = snprintf(text, sizeof text, "{\"a\":\"%*s%s%*s\",\"b\":[\"%*s\"]}",
                                 before, "", parts[k], after, "", before % 70, "");
                struct bytes doc = {text, (size_t)n};
                bool want = scanner_accepts(doc, 4);
                assert_int_equal(want, k < 8);
                assert_int_equal(index_accepts(&x, doc, 4), want);
            }
        }
    }
}

static struct bytes repeat(char *room, const char *head, const char *part, size_t times,
                           const char *tail)
{
    size_t n = strlen(head), step = strlen(part);
    memcpy(room, head, n);
    for (size_t i = 0; i < times; i++, n += step) memcpy(room + n, part, step);
    memcpy(room + n, tail, strlen(tail));
    return (struct bytes){room, n + strlen(tail)};
}

static void test_depth(void **state)
{
    (void)state;
    static struct json_index x;
    char room[4096], *at = room;
    for (unsigned depth = 1; depth < 80; depth++) {
        struct bytes doc = repeat(room, "", "{\"a\":", depth - 1, "{}");
        for (unsigned i = 1; i < depth; i++) at[doc.len++] = '}';
        assert_int_equal(index_accepts(&x, doc, JSON_DEPTH_MAX), depth <= JSON_INDEX_DEPTH);
        assert_true(depth > JSON_INDEX_DEPTH || index_accepts(&x, doc, depth));
        if (depth > 1) assert_false(index_accepts(&x, doc, depth - 1));
    }
}

/* More tokens than the index holds are left to the scanner. */
static void test_room(void **state)
{
    (void)state;
    static struct json_index x;
    static char room[AREA];
    bool full = false;
    for (size_t times = 900; times < 1100; times++) {
        struct bytes doc = repeat(room, "{\"a\":[0", ",1", times, "]}");
        bool good = index_accepts(&x, doc, 4);
        assert_true(good || 2 * times > JSON_INDEX_TOKENS - JSON_INDEX_GROUP - 8);
        assert_false(good && full);
        if (good) assert_int_equal(x.count, 2 * times + 7);
        full = full || !good;
    }
    assert_true(full);
}

/* One root, which is a container, and nothing but a few blanks behind it. */
static void test_roots(void **state)
{
    (void)state;
    static struct json_index x;
    static const char *const bad[] = {
        "", "}", "{", "{}}", "{}{}", "{},{}", "[],{}", "{} ,\"a\":{}", "1}", "\"}", "\"a\":{}",
        "{}:{}", "1,{}", "{}\n\n\n\n\n\n\n\n\n", "[}", "{\"a\":1]}", "{\"a\":tru}",
        "{\"a\":nul", "{\"a\":truex}", "{\"a\":1x}", "{\"a\":01}", "{\"a\":\"}",
        "\xEF\xBB\xBF{}", "{\"a\":\x01}",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        char text[256];
        for (int gap = 0; gap < 130; gap++) {
            int n = snprintf(text, sizeof text, "%*s%s", gap, "", bad[i]);
            assert_false(index_accepts(&x, (struct bytes){text, (size_t)n}, 8));
        }
    }
    assert_true(index_accepts(&x, BYTES("{}\n\n\n\n\n\n\n\n"), 8));
    assert_true(index_accepts(&x, BYTES("{\"a\":null}"), 8));
    assert_true(index_accepts(&x, BYTES("{\"a\":true}"), 8));
    assert_true(index_accepts(&x, BYTES("{\"a\":1}"), 8));
}

/* A second root far behind the first, where no mask of the first block reaches. */
static void test_far_root(void **state)
{
    (void)state;
    static struct json_index x;
    static const char *const joints[] = {"", ",", ":", ",\"a\":"};
    for (size_t i = 0; i < COUNT(joints); i++) {
        for (int gap = 0; gap < 200; gap++) {
            char text[1024];
            int n = snprintf(text, sizeof text, "{\"a\":[1]}%*s%s%*s{}", gap, "", joints[i],
                             200 - gap, "");
            assert_false(index_accepts(&x, (struct bytes){text, (size_t)n}, 8));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens),       cmocka_unit_test(test_every_change),
        cmocka_unit_test(test_long_strings), cmocka_unit_test(test_depth),
        cmocka_unit_test(test_room),         cmocka_unit_test(test_roots),
        cmocka_unit_test(test_far_root),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
