/* test_http_field.c - what is done with a parsed head: walking fields, lists, hop-by-hop,
 * queries, percent-encoding; and the composer, whose output must parse back to the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "net/http.h"
#include "tests/unit/wall.h"

static struct wall wall;

static int setup(void **state)
{
    (void)state;
    wall = wall_open(WALL_PAGE);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    wall_close(&wall);
    return 0;
}

static void same(struct bytes got, const char *want)
{
    if (bytes_eq(got, bytes_of(want))) return;
    wall_row(got);
    fail_msg("wanted \"%s\"", want);
}

static void test_walk(void **state)
{
    static const char *const want[][2] = {
        {"Host", "h"}, {"A", ""}, {"b", "c : d"}, {"X_Y", "\xff"}, {"last", "x"},
    };
    (void)state;
    struct http_head head;
    const struct bytes in = wall_put(&wall, BYTES(
        "GET / HTTP/1.1\r\nHost: h\r\nA:\r\nb: \t c : d \t\r\nX_Y:\xff\r\nlast:x\r\n\r\n"));
    assert_int_equal(http_request(in, &head), NET_OK);
    assert_int_equal(head.field_count, COUNT(want));
    struct bytes at = head.fields, name, value;
    for (size_t i = 0; i < COUNT(want); i++) {
        assert_true(http_field_next(&at, &name, &value));
        same(name, want[i][0]);
        same(value, want[i][1]);
        assert_true(name.ptr >= in.ptr && value.ptr + value.len <= in.ptr + in.len);
    }
    assert_false(http_field_next(&at, &name, &value));
    assert_false(http_field_next(&at, &name, &value));
}

static void test_list(void **state)
{
    static const struct {
        const char *list, *token;
        bool has;
    } rows[] = {
        {"", "a", false},        {"a", "a", true},         {"A", "a", true},
        {"b,a", "a", true},      {" , ,\ta\t,", "a", true}, {"ab", "a", false},
        {"b a", "a", false},     {"a;q=1", "a", false},    {",,,", "a", false},
        {"aa, b", "b", true},    {"", "", false},          {",", "", false},
        {"keep-alive, Upgrade", "upgrade", true},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct bytes list = wall_put(&wall, bytes_of(rows[i].list));
        if (http_list_has(list, bytes_of(rows[i].token)) == rows[i].has) continue;
        fail_msg("\"%s\" in \"%s\"", rows[i].token, rows[i].list);
    }
}

/* RFC 9110 section 7.6.1: what stops here, also when Connection names it, on any line. */
static void test_hop(void **state)
{
    static const char *const hops[] = {
        "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate",
        "Proxy-Authorization", "TE", "Trailer", "Transfer-Encoding", "Upgrade",
    };
    static const char *const ends[] = {
        "Content-Type", "T", "Tea", "Trailers", "Upgrade-Insecure", "Connections", "X-Upgrade",
        "X-Weir", "X-Forward", "",
    };
    struct http_head head = {0};
    (void)state;
    for (size_t i = 0; i < COUNT(hops); i++) {
        const struct bytes name = wall_put(&wall, bytes_of(hops[i]));
        assert_true(http_field_stops(&head, name, HTTP_UP));
        assert_true(http_field_stops(&head, name, HTTP_DOWN));
    }
    for (size_t i = 0; i < COUNT(ends); i++) {
        const struct bytes name = wall_put(&wall, bytes_of(ends[i]));
        assert_false(http_field_stops(&head, name, HTTP_UP));
        assert_false(http_field_stops(&head, name, HTTP_DOWN));
    }
    assert_int_equal(http_request(BYTES("GET / HTTP/1.1\r\nHost: h\r\nConnection: a\r\n"
                                        "Connection: b\r\nConnection: c\r\n"
                                        "Connection: close, X-Hop\r\n\r\n"), &head), NET_OK);
    assert_true(http_field_stops(&head, BYTES("x-hop"), HTTP_UP));
    assert_true(http_field_stops(&head, BYTES("A"), HTTP_UP));
    assert_false(http_field_stops(&head, BYTES("x-ho"), HTTP_UP));
}

static void test_query(void **state)
{
    static const struct {
        const char *query, *name, *value; /* NULL: absent */
    } rows[] = {
        {"", "key", NULL},           {"key=1", "key", "1"},      {"a=b&key=1&c", "key", "1"},
        {"key", "key", ""},          {"key=", "key", ""},        {"xkey=1", "key", NULL},
        {"keyx=1", "key", NULL},     {"key=a=b", "key", "a=b"},  {"key=1&key=2", "key", "1"},
        {"&&key=%20&", "key", "%20"}, {"Key=1", "key", NULL},    {"=1", "", NULL},
        {"alt=sse&key=k", "key", "k"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bytes value = {0};
        const struct bytes query = wall_put(&wall, bytes_of(rows[i].query));
        const bool found = http_query_find(query, bytes_of(rows[i].name), &value);
        if (found != (rows[i].value != NULL)) fail_msg("\"%s\"", rows[i].query);
        if (found) same(value, rows[i].value);
    }
}

static void test_percent(void **state)
{
    static const struct {
        const char *text, *out; /* NULL: refused */
    } rows[] = {
        {"", ""},          {"abc", "abc"},       {"a%20b", "a b"},  {"%41%7a%7A", "Azz"},
        {"%c3%a4", "\xc3\xa4"}, {"a+b", "a+b"},  {"%2541", "%41"},  {"%", NULL},
        {"%4", NULL},      {"a%4", NULL},        {"%4g", NULL},     {"%g4", NULL},
        {"%00", NULL},     {"%0a", NULL},        {"%0D", NULL},     {"%09", NULL},
        {"%7f", NULL},     {"%1F", NULL},        {"%ff", "\xff"},   {"%%41", NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *out = malloc(strlen(rows[i].text) + 1);
        assert_non_null(out);
        const struct bytes text = wall_put(&wall, bytes_of(rows[i].text));
        const int64_t len = http_percent_decode(text, out);
        if (rows[i].out) same((struct bytes){out, (size_t)len}, rows[i].out);
        else assert_int_equal(len, -1);
        free(out);
    }
}

static void compose(struct http_out *o)
{
    http_out_request(o, BYTES("POST"), BYTES("/v1/x?y=z"));
    http_out_field(o, BYTES("Host"), BYTES("h:1"));
    http_out_field(o, BYTES("x-odd"), BYTES("a\tb \xff"));
    http_out_number(o, BYTES("content-length"), INT64_MAX);
    http_out_end(o);
}

/* What is written parses back; every room that is too small is told, and nothing beyond it
 * is touched. */
static void test_out(void **state)
{
    struct http_head head;
    (void)state;
    struct http_out all = {.out = wall.room, .room = wall.size};
    compose(&all);
    assert_false(all.full);
    same((struct bytes){all.out, all.len},
         "POST /v1/x?y=z HTTP/1.1\r\nHost: h:1\r\nx-odd: a\tb \xff\r\n"
         "content-length: 9223372036854775807\r\n\r\n");
    const size_t need = all.len;
    for (size_t room = 0; room <= need; room++) {
        struct http_out o = {.out = wall.room + wall.size - room, .room = room};
        compose(&o);
        assert_int_equal(o.full, room < need);
        assert_true(o.len <= room);
        if (!o.full)
            assert_int_equal(http_request((struct bytes){o.out, o.len}, &head), NET_OK);
    }
    same(head.target, "/v1/x?y=z");
    same(head.field[HTTP_HOST], "h:1");
    assert_int_equal(head.content_length, INT64_MAX);
}

static void test_out_status(void **state)
{
    (void)state;
    for (unsigned status = 100; status <= 599; status++) {
        struct http_head head;
        struct http_out o = {.out = wall.room, .room = wall.size};
        http_out_status(&o, status);
        http_out_number(&o, BYTES("content-length"), 0);
        http_out_end(&o);
        const struct bytes in = wall_put(&wall, (struct bytes){o.out, o.len});
        assert_int_equal(http_response(in, false, &head), NET_OK);
        assert_int_equal(head.status, status);
    }
    assert_string_equal(http_reason(404), "Not Found");
    assert_string_equal(http_reason(599), "Unknown");
    assert_string_equal(http_reason(0), "Unknown");
    assert_string_equal(http_reason(4000000000U), "Unknown");
}

/* RFC 9110 section 5.6.7. */
static void test_date(void **state)
{
    static const struct {
        uint64_t unix_s;
        const char *text;
    } rows[] = {
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},
        {951782399, "Mon, 28 Feb 2000 23:59:59 GMT"},
        {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
        {4107542400, "Mon, 01 Mar 2100 00:00:00 GMT"},
        {1735689599, "Tue, 31 Dec 2024 23:59:59 GMT"},
        {253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"},
    };
    static const char *const wrong[] = {
        "", "Mon, 06 Nov 1994 08:49:37 GMT", "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:60 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
        "Thu, 31 Nov 1994 08:49:37 GMT", "Thu, 29 Feb 1900 00:00:00 GMT",
        "Wed, 31 Dec 1969 23:59:59 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994", "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 06 Nov 1994 08:49:37 GM", "Sun, -6 Nov 1994 08:49:37 GMT",
    };
    char out[30];
    uint64_t back = 7;
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(http_date(rows[i].unix_s, out), 29);
        assert_string_equal(out, rows[i].text);
        assert_true(http_date_parse(wall_put(&wall, bytes_of(out)), &back));
        assert_int_equal(back, rows[i].unix_s);
    }
    for (size_t i = 0; i < COUNT(wrong); i++) {
        back = 7;
        if (http_date_parse(wall_put(&wall, bytes_of(wrong[i])), &back))
            fail_msg("%s", wrong[i]);
        assert_int_equal(back, 7);
    }
    for (uint64_t day = 0; day < 366 * 500; day++) {  /* every date of 500 years */
        const uint64_t unix_s = day * 86400 + day % 86400;
        http_date(unix_s, out);
        assert_true(http_date_parse((struct bytes){out, 29}, &back));
        assert_int_equal(back, unix_s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_walk),    cmocka_unit_test(test_list),
        cmocka_unit_test(test_hop),     cmocka_unit_test(test_query),
        cmocka_unit_test(test_percent), cmocka_unit_test(test_out),
        cmocka_unit_test(test_out_status), cmocka_unit_test(test_date),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
