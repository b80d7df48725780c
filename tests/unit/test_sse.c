/* test_sse.c - server-sent events (WHATWG HTML section 9.2.6): line ends mixed, cut at every
 * byte, compared with a slow reference that knows one line at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "net/sse.h"
#include "tests/unit/wall.h"

enum { ROOM = 256 * 1024, EVENTS_MAX = 16 };

struct seen {
    size_t count;
    enum net_rc end;  /* what sse_finish said */
    struct {
        char raw[64], data[64], event[16];
        uint32_t lines;
    } ev[EVENTS_MAX];
};

static struct wall wall;

static int setup(void **state)
{
    (void)state;
    wall = wall_open(ROOM);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    wall_close(&wall);
    return 0;
}

static void text_of(struct bytes a, char *out, size_t room)
{
    assert_true(a.len < room);
    if (a.len > 0) memcpy(out, a.ptr, a.len);
    out[a.len] = '\0';
}

static void keep(struct seen *seen, const struct sse_event *ev)
{
    char joined[64];
    assert_true(seen->count < EVENTS_MAX);
    text_of(ev->raw, seen->ev[seen->count].raw, 64);
    text_of(ev->event, seen->ev[seen->count].event, 16);
    assert_true(ev->raw.len < sizeof(joined));
    const size_t len = sse_join(ev, joined);
    text_of((struct bytes){joined, len}, seen->ev[seen->count].data, 64);
    if (ev->data_lines <= 1) assert_true(bytes_eq(ev->data, (struct bytes){joined, len}));
    seen->ev[seen->count].lines = ev->data_lines;
    seen->count++;
}

/* Feed text in pieces that end at the given cuts; the kept rest moves between calls. */
static void run(struct bytes text, size_t cut, size_t step, struct seen *seen)
{
    struct sse s = {0};
    struct sse_event ev;
    size_t done = 0, have = cut;
    *seen = (struct seen){0};
    for (;;) {
        struct bytes in = wall_put(&wall, (struct bytes){text.ptr + done, have - done});
        const size_t whole = in.len;
        enum net_rc rc;
        size_t last = whole;
        while ((rc = sse_next(&s, &in, &ev)) == NET_OK) {
            last = in.len;
            keep(seen, &ev);
        }
        assert_int_equal(rc, NET_MORE);
        assert_int_equal(in.len, last);  /* NET_MORE consumes nothing */
        done += whole - in.len;
        if (have == text.len) {
            seen->end = sse_finish(&s, in, &ev);
            if (seen->end == NET_OK) keep(seen, &ev);
            return;
        }
        have = have + step < text.len ? have + step : text.len;
    }
}

struct want {
    const char *raw, *data, *event;
    uint32_t lines;
};

static void check_text(struct bytes text, const struct want *want, size_t count,
                       enum net_rc end)
{
    struct seen seen;
    for (size_t cut = 0; cut <= text.len + 3; cut++) {
        if (cut <= text.len) run(text, cut, text.len + 1, &seen);
        else run(text, 0, cut - text.len, &seen);  /* in steps of 1, 2 and 3 bytes */
        bool good = seen.count == count && seen.end == end;
        for (size_t i = 0; i < count && good; i++) {
            good = !strcmp(seen.ev[i].raw, want[i].raw) &&
                   !strcmp(seen.ev[i].data, want[i].data) &&
                   !strcmp(seen.ev[i].event, want[i].event) &&
                   seen.ev[i].lines == want[i].lines;
        }
        if (good) continue;
        wall_row(text);
        fail_msg("cut %zu: %zu events, end %d", cut, seen.count, (int)seen.end);
    }
}

static void test_events(void **state)
{
    static const struct {
        const char *text;
        struct want want[4];
        enum net_rc end;
    } rows[] = {
        {"", {{0}}, NET_DONE},
        {"data: x\n\n", {{"data: x\n\n", "x", "", 1}}, NET_DONE},
        {"data: x\r\n\r\n", {{"data: x\r\n\r\n", "x", "", 1}}, NET_DONE},
        {"data: x\r\rdata: y\n\n", {{"data: x\r\r", "x", "", 1}, {"data: y\n\n", "y", "", 1}},
         NET_DONE},
        {"data: x\r\n\rdata: y\n\r\n",
         {{"data: x\r\n\r", "x", "", 1}, {"data: y\n\r\n", "y", "", 1}}, NET_DONE},
        {"data: x\n\r", {{"data: x\n\r", "x", "", 1}}, NET_OK},  /* the last CR is the end */
        {"data: x\n", {{"data: x\n", "x", "", 1}}, NET_OK},
        {"data: x\r", {{"data: x\r", "x", "", 1}}, NET_OK},
        {"data: x\r\n", {{"data: x\r\n", "x", "", 1}}, NET_OK},
        {"data: x", {{0}}, NET_BAD},
        {"data: x\n\ndata: y", {{"data: x\n\n", "x", "", 1}}, NET_BAD},
        {"data: x\n\n  ", {{"data: x\n\n", "x", "", 1}}, NET_DONE},
        {"data: x\n ", {{0}}, NET_BAD},
        {"\n", {{"\n", "", "", 0}}, NET_DONE},
        {"\n\n\r\n", {{"\n", "", "", 0}, {"\n", "", "", 0}, {"\r\n", "", "", 0}}, NET_DONE},
        {": ping\n\n", {{": ping\n\n", "", "", 0}}, NET_DONE},
        {"data\n\n", {{"data\n\n", "", "", 1}}, NET_DONE},
        {"data:\n\n", {{"data:\n\n", "", "", 1}}, NET_DONE},
        {"data:x\n\n", {{"data:x\n\n", "x", "", 1}}, NET_DONE},
        {"data:  x \n\n", {{"data:  x \n\n", " x ", "", 1}}, NET_DONE},
        {"data:\tx\n\n", {{"data:\tx\n\n", "\tx", "", 1}}, NET_DONE},
        {"datax: y\nDATA: z\n data: q\n\n", {{"datax: y\nDATA: z\n data: q\n\n", "", "", 0}},
         NET_DONE},
        {"data: a\ndata:b\r\ndata\rdata: c:d\n\n",
         {{"data: a\ndata:b\r\ndata\rdata: c:d\n\n", "a\nb\n\nc:d", "", 4}}, NET_DONE},
        {"event: e\ndata: x\nid: 1\nretry: 5\n\n",
         {{"event: e\ndata: x\nid: 1\nretry: 5\n\n", "x", "e", 1}}, NET_DONE},
        {"event: a\nevent: b\ndata: x\n\ndata: y\n\n",
         {{"event: a\nevent: b\ndata: x\n\n", "x", "b", 1}, {"data: y\n\n", "y", "", 1}},
         NET_DONE},
        {"event\ndata: x\nevents: q\n\n", {{"event\ndata: x\nevents: q\n\n", "x", "", 1}},
         NET_DONE},
        {"\xEF\xBB\xBF" "data: x\n\n", {{"data: x\n\n", "x", "", 1}}, NET_DONE},
        {"\xEF\xBB\xBF", {{0}}, NET_DONE},
        {"\xEF\xBB", {{0}}, NET_BAD},
        {"\xEF\xBB\xBF" "data: x\n", {{"data: x\n", "x", "", 1}}, NET_OK},
        {"\xEF\xBB\xBF\xEF\xBB\xBF" "data: x\n\n",
         {{"\xEF\xBB\xBF" "data: x\n\n", "", "", 0}}, NET_DONE},
        {"\n\xEF\xBB\xBF" "data: x\n\n",
         {{"\n", "", "", 0}, {"\xEF\xBB\xBF" "data: x\n\n", "", "", 0}}, NET_DONE},
        {"data: {\"a\":\"0123456789012345678901234567890\"}\n\ndata: [DONE]\n\n",
         {{"data: {\"a\":\"0123456789012345678901234567890\"}\n\n",
           "{\"a\":\"0123456789012345678901234567890\"}", "", 1},
          {"data: [DONE]\n\n", "[DONE]", "", 1}}, NET_DONE},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t count = 0;
        while (count < COUNT(rows[i].want) && rows[i].want[count].raw) count++;
        check_text(bytes_of(rows[i].text), rows[i].want, count, rows[i].end);
    }
}

/* A line end at every distance from the wall: the scan finds it and reads nothing behind. */
static void test_every_length(void **state)
{
    char text[200];
    (void)state;
    for (size_t len = 0; len < 100; len++) {
        for (unsigned end = 0; end < 3; end++) {
            static const char *const ends[] = {"\n\n", "\r\r", "\r\n\r\n"};
            memcpy(text, "data:", 5);
            memset(text + 5, 'x', len);
            const size_t tail = strlen(ends[end]);
            memcpy(text + 5 + len, ends[end], tail + 1);
            struct bytes in = wall_put(&wall, (struct bytes){text, 5 + len + tail});
            struct sse s = {0};
            struct sse_event ev;
            const enum net_rc rc = sse_next(&s, &in, &ev);
            if (end == 1) {
                assert_int_equal(rc, NET_MORE);  /* an LF may follow */
                assert_int_equal(sse_finish(&s, in, &ev), NET_OK);
            } else {
                assert_int_equal(rc, NET_OK);
                assert_int_equal(in.len, 0);
            }
            assert_int_equal(ev.data.len, len);
            assert_int_equal(ev.raw.len, 5 + len + tail);
        }
    }
}

/* One line of 200 KiB byte by byte must not be scanned again and again: 200 K calls that each
 * looked at all of it would take minutes. */
static void test_resumes(void **state)
{
    static char text[ROOM - 1024];
    struct sse s = {0};
    struct sse_event ev;
    (void)state;
    memset(text, 'x', sizeof(text));
    memcpy(text, "data: ", 6);
    memcpy(text + sizeof(text) - 2, "\n\n", 2);
    for (size_t len = 0; len < sizeof(text); len++) {
        struct bytes in = {text, len};
        if (sse_next(&s, &in, &ev) != NET_MORE) fail_msg("ended at %zu", len);
    }
    struct bytes in = {text, sizeof(text)};
    assert_int_equal(sse_next(&s, &in, &ev), NET_OK);
    assert_int_equal(ev.data.len, sizeof(text) - 8);
    assert_ptr_equal(ev.data.ptr, text + 6);
}

/* NUL and other bytes are content like any other. */
static void test_bytes(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        char text[] = "data: a?b\n\n";
        struct sse s = {0};
        struct sse_event ev;
        if (byte == '\n' || byte == '\r') continue;
        text[7] = (char)byte;
        struct bytes in = wall_put(&wall, (struct bytes){text, sizeof(text) - 1});
        assert_int_equal(sse_next(&s, &in, &ev), NET_OK);
        assert_int_equal(ev.data.len, 3);
        assert_int_equal(ev.data.ptr[1], (char)byte);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_resumes),
        cmocka_unit_test(test_bytes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
