/* test_jsonw.c - the JSON writer: every kind of item, escaping, room at every size up to an
 * unwritable page, nesting limits, and that what it writes the scanner reads back. */
#include "net/json.h"
#include "net/jsonw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h>

enum { PAGE = 4096 };

/* The last n bytes before a page that cannot be touched. */
static char *wall(size_t n)
{
    char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(p != MAP_FAILED);
    assert_int_equal(mprotect(p + PAGE, PAGE, PROT_NONE), 0);
    return p + PAGE - n;
}

static void wall_free(char *p, size_t n)
{
    munmap(p + n - PAGE, 2 * PAGE);
}

/* Everything at once. */
static void document(struct jsonw *w)
{
    jsonw_object(w);
    jsonw_key(w, "text");
    jsonw_text(w, "a\"b\\c\n");
    jsonw_key(w, "list");
    jsonw_array(w);
    jsonw_int(w, -1);
    jsonw_uint(w, UINT64_MAX);
    jsonw_bool(w, true);
    jsonw_bool(w, false);
    jsonw_null(w);
    jsonw_text(w, NULL);
    jsonw_object(w);
    jsonw_object_end(w);
    jsonw_array(w);
    jsonw_array_end(w);
    jsonw_array_end(w);
    jsonw_key(w, "k\"ey");
    jsonw_fixed(w, 1500, 3);
    jsonw_key(w, "money");
    jsonw_fixed_text(w, -25, 9);
    jsonw_key(w, "raw");
    jsonw_raw(w, BYTES("{\"x\": 1}"));
    jsonw_key(w, "bytes");
    jsonw_string(w, BYTES("\xFFz"));
    jsonw_object_end(w);
}

static const char document_text[] =
    "{\"text\":\"a\\\"b\\\\c\\n\",\"list\":[-1,"
    "18446744073709551615,true,false,null,null,{},[]],"
    "\"k\\\"ey\":1.5,\"money\":\"-0.000000025\",\"raw\":{\"x\": 1},"
    "\"bytes\":\"\xEF\xBF\xBDz\"}";

static void test_document(void **state)
{
    (void)state;
    char out[512];
    struct jsonw w;
    jsonw_init(&w, out, sizeof out);
    document(&w);
    assert_false(w.full);
    assert_int_equal(w.len, sizeof document_text - 1);
    assert_memory_equal(out, document_text, w.len);
}

/* With any room: all or full, never a byte behind it, and no change once full. */
static void test_room(void **state)
{
    (void)state;
    size_t whole = sizeof document_text - 1;
    for (size_t room = 0; room <= whole + 1; room++) {
        char *out = wall(room);
        struct jsonw w;
        jsonw_init(&w, out, room);
        document(&w);
        assert_int_equal(w.full, room < whole);
        assert_true(w.len <= room);
        assert_memory_equal(out, document_text, w.len);
        size_t len = w.len;
        if (w.full) jsonw_null(&w);
        if (w.full) assert_int_equal(w.len, len);
        wall_free(out, room);
    }
}

/* Moves what was written to a page's end, with exactly the room that is needed. */
static bool move_out(struct jsonw *w, size_t need)
{
    assert_true(need > w->room);
    if (need > sizeof document_text - 1 - 8) return false;
    char *bigger = wall(need);
    if (w->len) memcpy(bigger, w->out, w->len);
    if (w->room) wall_free(w->out, w->room);
    w->out = bigger;
    w->room = need;
    return true;
}

/* Room that comes when it is asked for, byte by byte; when none comes, nothing follows. */
static void test_growing_room(void **state)
{
    (void)state;
    const size_t whole = sizeof document_text - 1;
    struct jsonw w;
    jsonw_init(&w, NULL, 0);
    w.grow = move_out;
    document(&w);
    assert_true(w.full);
    assert_true(w.len <= whole - 8 && w.len > whole - 16);
    assert_memory_equal(w.out, document_text, w.len);
    size_t len = w.len;
    w.grow = NULL;
    jsonw_init(&w, w.out, w.room);
    assert_null(w.grow);
    document(&w);
    assert_true(w.full);
    assert_int_equal(w.len, len);
    wall_free(w.out, w.room);
}

static void test_strings(void **state)
{
    (void)state;
    const struct { struct bytes in, want; } cases[] = {
        {BYTES(""), BYTES("\"\"")},
        {BYTES("\"\\/"), BYTES("\"\\\"\\\\/\"")},
        {BYTES("\b\f\n\r\t"), BYTES("\"\\b\\f\\n\\r\\t\"")},
        {BYTES("\0\x01\x1f\x7f"), BYTES("\"\\u0000\\u0001\\u001f\x7f\"")},
        {BYTES("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"),
         BYTES("\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"")},
        {BYTES("\xC0\x80"), BYTES("\"\xEF\xBF\xBD\xEF\xBF\xBD\"")},       /* overlong */
        {BYTES("\xE0\x9F\x80"), BYTES("\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"")},
        {BYTES("\xED\xA0\x80"), BYTES("\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"")},
        {BYTES("\xF4\x90"), BYTES("\"\xEF\xBF\xBD\xEF\xBF\xBD\"")},
        {BYTES("\xF0\x8F"), BYTES("\"\xEF\xBF\xBD\xEF\xBF\xBD\"")},
        {BYTES("\xF5\x80"), BYTES("\"\xEF\xBF\xBD\xEF\xBF\xBD\"")},
        {BYTES("\xE2\x82"), BYTES("\"\xEF\xBF\xBD\"")},                   /* cut off */
        {BYTES("\xE2\x82\n"), BYTES("\"\xEF\xBF\xBD\\n\"")},
        {BYTES("\xF0\x9F\x98" "a"), BYTES("\"\xEF\xBF\xBD" "a\"")},
        {BYTES("\x80" "a"), BYTES("\"\xEF\xBF\xBD" "a\"")},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t n = cases[i].in.len;
        char out[64], *in = wall(n);
        memcpy(in, cases[i].in.ptr, n);
        struct jsonw w;
        jsonw_init(&w, out, sizeof out);
        jsonw_string(&w, (struct bytes){in, n});
        assert_false(w.full);
        assert_int_equal(w.len, cases[i].want.len);
        assert_memory_equal(out, cases[i].want.ptr, w.len);
        wall_free(in, n);
    }
}

static void test_decimals(void **state)
{
    (void)state;
    static const struct { int64_t value; unsigned digits; const char *want; } cases[] = {
        {0, 0, "0"}, {0, 9, "0"}, {1500, 3, "1.5"}, {1000, 3, "1"}, {1, 9, "0.000000001"},
        {-5, 3, "-0.005"}, {-1050, 2, "-10.5"}, {123, 0, "123"}, {100, 0, "100"},
        {100, 1, "10"}, {INT64_MAX, 9, "9223372036.854775807"},
        {INT64_MIN, 9, "-9223372036.854775808"}, {INT64_MIN, 0, "-9223372036854775808"},
        {INT64_MIN, 18, "-9.223372036854775808"}, {INT64_MIN, 19, "-0.9223372036854775808"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char out[64];
        struct jsonw w;
        jsonw_init(&w, out, sizeof out);
        jsonw_fixed(&w, cases[i].value, cases[i].digits);
        assert_int_equal(w.len, strlen(cases[i].want));
        assert_memory_equal(out, cases[i].want, w.len);
        jsonw_init(&w, out, sizeof out);
        jsonw_fixed_text(&w, cases[i].value, cases[i].digits);
        assert_int_equal(w.len, strlen(cases[i].want) + 2);
        assert_memory_equal(out + 1, cases[i].want, w.len - 2);
    }
}

static void test_depth(void **state)
{
    (void)state;
    char out[1024];
    struct jsonw w;
    jsonw_init(&w, out, sizeof out);
    for (unsigned i = 0; i < JSONW_DEPTH_MAX; i++) {
        if (i % 2) jsonw_object(&w), jsonw_key(&w, "a");
        else jsonw_array(&w), jsonw_int(&w, 1);
        if (i == JSONW_DEPTH_MAX - 1) jsonw_null(&w);
    }
    for (unsigned i = JSONW_DEPTH_MAX; i-- > 0;) {
        if (i % 2) jsonw_object_end(&w);
        else jsonw_array_end(&w);
    }
    assert_false(w.full);
    struct json j;
    struct json_token t;
    struct bytes in = {out, w.len};
    json_init(&j, JSONW_DEPTH_MAX);
    enum net_rc rc;
    while ((rc = json_next(&j, &in, &t)) == NET_OK) assert_true(t.depth <= JSONW_DEPTH_MAX);
    assert_int_equal(rc, NET_DONE);
}

/* Any bytes written as a string are read back: the scanner accepts, unescape gives them. */
static void test_written_is_read_back(void **state)
{
    (void)state;
    uint32_t seed = 7;
    for (unsigned round = 0; round < 20000; round++) {
        char text[40], out[512], back[512];
        size_t n = round % sizeof text;
        bool ascii = round % 2;
        for (size_t i = 0; i < n; i++) {
            seed = seed * 1664525 + 1013904223;
            text[i] = (char)(ascii ? seed >> 25 : seed >> 24);
        }
        struct jsonw w;
        jsonw_init(&w, out, sizeof out);
        jsonw_string(&w, (struct bytes){text, n});
        assert_false(w.full);
        struct json j;
        struct json_token t;
        struct bytes in = {out, w.len};
        json_init(&j, 1);
        assert_int_equal(json_next(&j, &in, &t), NET_OK);
        assert_int_equal(t.type, JSON_STRING);
        size_t len = json_unescape(t.text, back);
        if (ascii) assert_int_equal(len, n);
        if (ascii) assert_memory_equal(back, text, n);
        assert_int_equal(json_next(&j, &in, &t), NET_DONE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_document),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_growing_room),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_decimals),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_written_is_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
