/* test_llhttp.c - 251 messages with the verdict of another parser, llhttp (tests/cases). Each
 * difference must stand in DEVIATIONS.md with its reason, and each row there must still be a
 * difference. Where both accept, both must count the same messages. The cases' last line end
 * was lost when they were collected, so a message that lacks nothing else is completed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "net/chunk.h"
#include "net/http.h"
#include "tests/unit/cases.h"
#include "tests/unit/wall.h"

enum { CASES = 251, WITHOUT_HOST = 71, RAW_MAX = 4096, ANSWERS_MAX = 128,
       READ_MAX = 1 << 16 };

enum column { KIND, MODE, EXPECT, MESSAGES, FILE_NAME, NAME, WHY, RAW, COLUMNS };

struct verdict {
    bool accept;
    unsigned messages;  /* ended, as far as accepted */
    unsigned hosts;     /* requests that only lacked Host */
    const char *why;
};

/* A row of DEVIATIONS.md: what differs on purpose. */
struct answer {
    struct bytes column[5];  /* kind, mode, name, reason, section */
    bool used;
};

static struct wall wall;

static int setup(void **state)
{
    (void)state;
    wall = wall_open(2 * RAW_MAX);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    wall_close(&wall);
    return 0;
}

/* --- our verdict on a sequence of messages */

/* Parse the head at the start of in. A request that only lacks Host gets one, is counted and
 * parsed again, so that the rest of it is compared too. *bytes: of the head as it was sent. */
static enum http_error head_parse(bool request, struct bytes in, struct http_head *head,
                                  size_t *bytes, unsigned *hosts)
{
    static const char host[] = "Host: inserted\r\n";
    static char text[2 * RAW_MAX];
    *bytes = 0;
    const enum net_rc rc = request ? http_request(in, head) : http_response(in, false, head);
    *bytes = head->bytes;
    if (rc == NET_OK || head->error != HTTP_BAD_HOST || head->field[HTTP_HOST].ptr)
        return head->error;
    const size_t line = bytes_find(in, '\n') + 1, more = sizeof(host) - 1;
    memcpy(text, in.ptr, line);
    memcpy(text + line, host, more);
    memcpy(text + line + more, in.ptr + line, in.len - line);
    (*hosts)++;
    const struct bytes again = wall_put(&wall, (struct bytes){text, in.len + more});
    if (http_request(again, head) == NET_OK) *bytes = head->bytes - more;
    return head->error;
}

/* Pass over the body. False for a framing error. *whole: its end is told, and is here. */
static bool body_skip(const struct http_head *head, struct bytes *in, bool *whole)
{
    struct chunk c = {0};
    struct bytes body;
    enum net_rc rc = NET_DONE;
    *whole = head->framing != HTTP_UNTIL_CLOSE && head->content_length <= in->len;
    if (head->framing == HTTP_LENGTH)
        bytes_cut(in, head->content_length < in->len ? (size_t)head->content_length : in->len);
    if (head->framing == HTTP_UNTIL_CLOSE) bytes_cut(in, in->len);
    if (head->framing == HTTP_CHUNKED) {
        do rc = chunk_next(&c, in, &body);
        while (rc == NET_OK);
        *whole = rc == NET_DONE;
    }
    return rc != NET_BAD;
}

/* Judge text, which has room for what is missing at its end. */
static struct verdict judge(bool request, char *text, size_t len)
{
    struct verdict v = {.why = "fine"};
    struct bytes rest = {text, len};
    if (rest.len >= 2 && !memcmp(text + rest.len - 2, "\r\n", 2)) {
        memcpy(text + rest.len, "\r\n", 2);
        rest.len += 2;
    }
    for (bool keep = true;;) {
        bytes_cut(&rest, rest.len && (request || rest.len == 2) ? http_blank_lines(rest) : 0);
        if (rest.len == 0) break;
        v.why = "bytes behind the last message";
        if (!keep) return v;
        size_t scanned = 0, bytes = 0;
        if (http_head_end(rest, &scanned) == NET_MORE) {
            memcpy(text + (rest.ptr - text) + rest.len, "\r\n\r\n", 4);
            rest.len += 4;
        }
        struct http_head head;
        const struct bytes in = wall_put(&wall, rest);
        const enum http_error error = head_parse(request, in, &head, &bytes, &v.hosts);
        v.why = http_why(error);
        if (error != HTTP_FINE) return v;
        bytes_cut(&rest, bytes);
        v.why = "chunk framing";
        bool whole = true;
        if (!body_skip(&head, &rest, &whole)) return v;
        v.messages += whole;
        keep = head.keep_alive;
        if (head.status == 101) break;  /* what follows is another protocol */
    }
    v.accept = true;
    return v;
}

static struct answer *find(struct answer *answers, size_t count, const struct bytes *row)
{
    for (size_t i = 0; i < count; i++) {
        const struct bytes *const column = answers[i].column;
        if (bytes_eq(column[0], row[KIND]) && bytes_eq(column[1], row[MODE]) &&
            bytes_eq(column[2], row[NAME])) return &answers[i];
    }
    return NULL;
}

static size_t answers_load(const char *text, struct answer *answers)
{
    static const char *const kinds[] = {"request", "response"};
    size_t count = 0;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        const char *at = text;
        while (cases_answer(&at, kinds[i], answers[count].column, 5)) {
            assert_true(++count < ANSWERS_MAX);
            const struct bytes section = answers[count - 1].column[4];
            assert_true(bytes_starts(section, BYTES("RFC ")));
        }
    }
    return count;
}

/* Both count the same messages, or DEVIATIONS.md has our count and llhttp has another. */
static bool count_explained(const struct bytes *row, unsigned messages, const char *written)
{
    struct bytes column[5];  /* "messages", kind, name, count, reason */
    uint64_t theirs = 0, ours = 0;
    assert_true(bytes_u64(row[MESSAGES], &theirs));
    for (const char *at = written; cases_answer(&at, "messages", column, COUNT(column));) {
        if (!bytes_eq(column[1], row[KIND]) || !bytes_eq(column[2], row[NAME])) continue;
        assert_true(bytes_u64(column[3], &ours));
        return ours == messages && ours != theirs;
    }
    return theirs == messages;
}

/* Compare one case; true: alike, or different as it is written. */
static bool one_case(const struct bytes *row, struct answer *answers, size_t count,
                     const char *written, unsigned *hosts)
{
    static char raw[RAW_MAX + 8];
    const size_t len = cases_unescape(row[RAW], raw, RAW_MAX);
    const struct verdict v = judge(bytes_eq(row[KIND], BYTES("request")), raw, len);
    const bool alike = v.accept == bytes_eq(row[EXPECT], BYTES("accept"));
    struct answer *const answer = find(answers, count, row);
    uint64_t messages = 0;
    *hosts += v.hosts;
    assert_true(bytes_u64(row[MESSAGES], &messages));
    if (alike && v.accept && messages > 0 && !count_explained(row, v.messages, written)) {
        print_message("%.*s: %u messages\n", CASES_TEXT(row[NAME]), v.messages);
        return false;
    }
    if (alike != (answer == NULL)) {
        print_message("%s: | %.*s | %.*s | %.*s |, we: %s\n",
                      answer ? "no deviation any more" : "no written answer",
                      CASES_TEXT(row[KIND]), CASES_TEXT(row[MODE]), CASES_TEXT(row[NAME]),
                      v.accept ? "accept" : v.why);
        return false;
    }
    if (!answer) return true;
    answer->used = true;
    print_message("  %-8.*s %-50.*s we: %s (%.*s, %.*s)\n", CASES_TEXT(row[KIND]),
                  CASES_TEXT(row[NAME]), v.accept ? "accept" : v.why,
                  CASES_TEXT(answer->column[3]), CASES_TEXT(answer->column[4]));
    return true;
}

static void test_cases(void **state)
{
    static struct answer answers[ANSWERS_MAX];
    (void)state;
    char *const text = cases_load("llhttp.tsv"), *const written = cases_load("DEVIATIONS.md");
    const size_t count = answers_load(written, answers);
    unsigned cases = 0, wrong = 0, hosts = 0;
    struct bytes row[COLUMNS];
    for (const char *at = text; cases_next(&at, "\t", row, COLUMNS); cases++)
        wrong += !one_case(row, answers, count, written, &hosts);
    for (size_t i = 0; i < count; i++) {
        if (answers[i].used) continue;
        print_message("no such case: %.*s\n", CASES_TEXT(answers[i].column[2]));
        wrong++;
    }
    print_message("%u cases, %zu different on purpose, %u requests without Host\n", cases,
                  count, hosts);
    free(text);
    free(written);
    assert_int_equal(cases, CASES);
    assert_int_equal(wrong, 0);
    assert_int_equal(hosts, WITHOUT_HOST);
}

/* --- for tests/box/differential.test.mjs, which compares with yet another parser */

static void say_hex(struct bytes text)
{
    putchar(' ');
    for (size_t i = 0; i < text.len; i++) printf("%02x", (unsigned char)text.ptr[i]);
    if (text.len == 0) putchar('-');
}

/* Say a message; *rest begins with its body, or a part. False: its framing is bad. */
static bool say_message(const struct http_head *head, struct bytes *rest, bool *whole)
{
    static char body[READ_MAX];
    size_t len = 0;
    enum net_rc rc = NET_DONE;
    struct chunk c = {0};
    struct bytes piece = {0};
    if (head->framing == HTTP_CHUNKED) {
        while ((rc = chunk_next(&c, rest, &piece)) == NET_OK) {
            memcpy(body + len, piece.ptr, piece.len);
            len += piece.len;
        }
    } else if (head->framing != HTTP_NO_BODY) {
        const bool some = head->framing == HTTP_LENGTH && head->content_length < rest->len;
        piece = bytes_cut(rest, some ? (size_t)head->content_length : rest->len);
        memcpy(body, piece.ptr, piece.len);
        len = piece.len;
        if (head->framing == HTTP_LENGTH && len < head->content_length) rc = NET_MORE;
    }
    *whole = rc == NET_DONE;
    printf("message %u %d", head->status, *whole);
    say_hex(head->method_text);
    say_hex(head->target);
    say_hex(head->fields);
    say_hex((struct bytes){body, len});
    putchar('\n');
    return rc != NET_BAD;
}

static void say_messages(bool request, struct bytes rest)
{
    const char *end = "all";
    for (bool keep = true, whole = true; whole && rest.len > 0;) {
        struct http_head head;
        size_t scanned = 0;
        if (request) bytes_cut(&rest, http_blank_lines(rest));
        if (!keep || rest.len == 0) break;
        if (http_head_end(rest, &scanned) == NET_MORE) break;
        const struct bytes raw = {rest.ptr, scanned};
        end = "bad";
        if ((request ? http_request(raw, &head) : http_response(raw, false, &head)) != NET_OK)
            break;
        bytes_cut(&rest, head.bytes);
        if (!say_message(&head, &rest, &whole)) break;
        end = "all";
        keep = head.keep_alive && head.status != 101;
    }
    puts(end);
}

/* Read "request LENGTH\n" or "response LENGTH\n" and so many bytes, again and again; say
 * every message and a last line for each. */
static int read_stdin(void)
{
    static char text[READ_MAX];
    char kind[16];
    size_t len;
    while (scanf("%15s %zu", kind, &len) == 2 && getchar() == '\n') {
        if (len > READ_MAX || fread(text, 1, len, stdin) != len) return 1;
        say_messages(!strcmp(kind, "request"), (struct bytes){text, len});
    }
    return ferror(stdin) || fflush(stdout) != 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--read") == 0) return read_stdin();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
