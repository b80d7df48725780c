/* test_json.c - the JSON scanner: tokens, faults and their positions, skipping, cuts at
 * every byte, limits, and the JSONTestSuite, with every implementation. Each piece lies
 * against an unreadable page. */
#include "net/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/cases.h"

enum { PAGES = 64, PAGE = 4096, LOG_MAX = 1 << 16, FILE_MAX = 1 << 18,
       CUT_FILE_MAX = 2048, SUITE = 318 };

static const char *const simds[] = {"scalar", "sse2", "avx2", "avx512"};

/* What a scan said, one line a token: "type depth start-end flags text". */
struct log {
    char text[LOG_MAX];
    size_t len;
    enum json_error error;
    uint64_t at;
    bool accepted;
};

struct scan {
    struct json json;
    struct log *log;
    const char *doc;
    bool (*pass)(const struct json_token *t);  /* values to skip; NULL: none */
};

struct wall { char *end; };   /* behind it no byte can be read */

static struct wall wall_open(void)
{
    char *p = mmap(NULL, (size_t)(PAGES + 1) * PAGE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(p != MAP_FAILED);
    assert_int_equal(mprotect(p + (size_t)PAGES * PAGE, PAGE, PROT_NONE), 0);
    return (struct wall){p + (size_t)PAGES * PAGE};
}

static void wall_close(struct wall w)
{
    munmap(w.end - (size_t)PAGES * PAGE, (size_t)(PAGES + 1) * PAGE);
}

static void log_token(struct scan *s, const struct json_token *t)
{
    static const char names[] = "-{}[]ks#tfn_";
    struct log *log = s->log;
    /* Text must be the document's own, or absent because a cut goes through a long one. */
    bool has_text = t->type == JSON_KEY || t->type == JSON_STRING || t->type == JSON_NUMBER;
    if (has_text) {
        size_t quote = t->type == JSON_NUMBER ? 0 : 1;
        assert_int_equal(t->text.len, t->end - t->start - 2 * quote);
        const char *want = s->doc + t->start + quote;
        if (t->text.ptr) assert_memory_equal(t->text.ptr, want, t->text.len);
        else assert_true(t->text.len > JSON_TEXT_MAX);
    } else {
        assert_null(t->text.ptr);
    }
    int n = snprintf(log->text + log->len, LOG_MAX - log->len, "%c%u:%llu-%llu%s%s%s ",
                     names[t->type], t->depth, (unsigned long long)t->start,
                     (unsigned long long)t->end, t->escaped ? "e" : "",
                     t->surrogate ? "u" : "", t->nul ? "0" : "");
    assert_true(n > 0 && (size_t)n < LOG_MAX - log->len);
    log->len += (size_t)n;
    if (s->pass && s->pass(t)) json_skip(&s->json);
}

/* Feed n bytes at p, laid against the wall. False: refused. */
static bool feed(struct scan *s, struct wall wall, const char *p, size_t n)
{
    assert_true(n <= (size_t)PAGES * PAGE);
    if (n) memcpy(wall.end - n, p, n);
    struct bytes in = {wall.end - n, n};
    struct json_token t;
    enum net_rc rc;
    while ((rc = json_next(&s->json, &in, &t)) == NET_OK) log_token(s, &t);
    if (rc == NET_BAD) {
        assert_int_equal(json_next(&s->json, &in, &t), NET_BAD);  /* stays bad */
        return false;
    }
    assert_int_equal(in.len, 0);
    return true;
}

/* Scan doc in pieces: cut >= 0: two, cut there; < 0: of -cut bytes each. */
static void scan_cut(struct log *log, struct wall wall, struct bytes doc, long cut,
                     unsigned depth, bool (*pass)(const struct json_token *t))
{
    struct scan s = {.log = log, .doc = doc.ptr, .pass = pass};
    log->len = 0;
    log->text[0] = '\0';
    json_init(&s.json, depth);
    size_t step = cut < 0 ? (size_t)-cut : 0;
    bool fine = true;
    if (step) {
        for (size_t i = 0; fine && i < doc.len; i += step) {
            fine = feed(&s, wall, doc.ptr + i, doc.len - i < step ? doc.len - i : step);
        }
    } else {
        fine = feed(&s, wall, doc.ptr, (size_t)cut) &&
               feed(&s, wall, doc.ptr + cut, doc.len - (size_t)cut);
    }
    struct json_token t;
    enum net_rc rc = NET_BAD;
    if (fine) {
        while ((rc = json_finish(&s.json, &t)) == NET_OK) log_token(&s, &t);
    }
    log->accepted = rc == NET_DONE;
    log->error = (enum json_error)s.json.error;
    log->at = json_at(&s.json);
    assert_int_equal(log->accepted, log->error == JSON_FINE);
    assert_true(strlen(json_why(&s.json)) > 0);
}

static struct log *log_new(void)
{
    struct log *log = calloc(1, sizeof *log);
    assert_non_null(log);
    return log;
}

/* Scan doc whole and cut everywhere, with every implementation: all must say the same,
 * which goes to *log. */
static void scan_all(struct log *log, struct bytes doc, unsigned depth,
                     bool (*pass)(const struct json_token *t))
{
    struct wall wall = wall_open();
    struct log *other = log_new();
    bool have = false;
    for (size_t i = 0; i < COUNT(simds); i++) {
        if (!json_simd_use(simds[i])) continue;
        assert_string_equal(json_simd(), simds[i]);
        struct log *whole = have ? other : log;
        scan_cut(whole, wall, doc, (long)doc.len, depth, pass);
        if (have) assert_string_equal(other->text, log->text);
        have = true;
        for (long cut = -3; cut < (long)doc.len; cut++) {
            if (doc.len > CUT_FILE_MAX && cut >= 0) break;
            scan_cut(other, wall, doc, cut, depth, pass);
            assert_string_equal(other->text, log->text);
            assert_int_equal(other->error, log->error);
            assert_int_equal(other->at, log->at);
        }
    }
    assert_true(have);
    free(other);
    wall_close(wall);
}

static void test_tokens(void **state)
{
    (void)state;
    const struct { struct bytes doc; const char *log; } cases[] = {
        {BYTES("{}"), "{0:0-1 }0:1-2 "},
        {BYTES(" [ ] "), "[0:1-2 ]0:3-4 "},
        {BYTES("{\"a\":1}"), "{0:0-1 k1:1-4 #1:5-6 }0:6-7 "},
        {BYTES("[true,false,null]"), "[0:0-1 t1:1-5 f1:6-11 n1:12-16 ]0:16-17 "},
        {BYTES("\"a\\n\""), "s0:0-5e "},
        {BYTES("\"\\ud83d\\ude00\""), "s0:0-14e "},
        {BYTES("\"\\ud83d \\ude00\""), "s0:0-15eu "},
        {BYTES("\"\\ud83d\""), "s0:0-8eu "},
        {BYTES("\"\\ude00\\ud83d\""), "s0:0-14eu "},
        {BYTES("\"\\ud83d\\ud83d\\ude00\""), "s0:0-20eu "},
        {BYTES("\"\\u0000\""), "s0:0-8e0 "},
        {BYTES("\"\\\\u0000\""), "s0:0-9e "},
        {BYTES("-0.5e+3"), "#0:0-7 "},
        {BYTES("true"), "t0:0-4 "},
        {BYTES("[[1],{\"\":[]}]"), "[0:0-1 [1:1-2 #2:2-3 ]1:3-4 {1:5-6 k2:6-8 [2:9-10 ]2:10-11 "
                                   "}1:11-12 ]0:12-13 "},
    };
    struct log *log = log_new();
    for (size_t i = 0; i < COUNT(cases); i++) {
        scan_all(log, cases[i].doc, JSON_DEPTH_MAX, NULL);
        assert_string_equal(log->text, cases[i].log);
        assert_true(log->accepted);
    }
    free(log);
}

static bool skip_all(const struct json_token *t)
{
    return t->type == JSON_OBJECT || t->type == JSON_ARRAY || t->type == JSON_KEY;
}

static bool skip_values(const struct json_token *t)
{
    return t->type == JSON_KEY;
}

static bool skip_arrays(const struct json_token *t)
{
    return t->type == JSON_ARRAY;
}

static bool skip_inner(const struct json_token *t)
{
    return skip_all(t) && t->depth > 0;
}

struct refusal { struct bytes doc; enum json_error error; uint64_t at; };

/* Each of n documents is refused as it says: walking, and skipping this and that. */
static void faults_hold(const struct refusal *cases, size_t n)
{
    struct log *log = log_new();
    for (size_t i = 0; i < n; i++) {
        static bool (*const skips[])(const struct json_token *t) =
            {NULL, skip_all, skip_values, skip_inner};
        for (size_t k = 0; k < COUNT(skips); k++) {
            scan_all(log, cases[i].doc, JSON_DEPTH_MAX, skips[k]);
            assert_int_equal(log->error, cases[i].error);
            assert_int_equal(log->at, cases[i].at);
        }
    }
    free(log);
}

/* What each document is refused for, and where. */
static void test_faults(void **state)
{
    (void)state;
    const struct refusal cases[] = {
        {BYTES(""), JSON_CUT_SHORT, 0},
        {BYTES("  "), JSON_CUT_SHORT, 2},
        {BYTES("["), JSON_CUT_SHORT, 1},
        {BYTES("[\"a"), JSON_CUT_SHORT, 3},
        {BYTES("[\"\\u12"), JSON_CUT_SHORT, 6},
        {BYTES("-"), JSON_CUT_SHORT, 1},
        {BYTES("[tru"), JSON_CUT_SHORT, 4},
        {BYTES("\xEF\xBB\xBF{}"), JSON_BAD_SYNTAX, 0},     /* BOM */
        {BYTES("[1,]"), JSON_BAD_SYNTAX, 3},
        {BYTES("[,1]"), JSON_BAD_SYNTAX, 1},
        {BYTES("[1 2]"), JSON_BAD_SYNTAX, 3},
        {BYTES("[1:2]"), JSON_BAD_SYNTAX, 2},
        {BYTES("[\"a\":2]"), JSON_BAD_SYNTAX, 4},
        {BYTES("{\"a\" 1}"), JSON_BAD_SYNTAX, 5},
        {BYTES("{\"a\"}"), JSON_BAD_SYNTAX, 4},
        {BYTES("{\"a\":}"), JSON_BAD_SYNTAX, 5},
        {BYTES("{\"a\":1,}"), JSON_BAD_SYNTAX, 7},
        {BYTES("{\"a\":1,2}"), JSON_BAD_SYNTAX, 7},
        {BYTES("{\"a\":1 \"b\":2}"), JSON_BAD_SYNTAX, 7},
        {BYTES("{1:2}"), JSON_BAD_SYNTAX, 1},
        {BYTES("{\"a\"::1}"), JSON_BAD_SYNTAX, 5},
        {BYTES("{\"a\":1:2}"), JSON_BAD_SYNTAX, 6},
        {BYTES("[[]"), JSON_CUT_SHORT, 3},
        {BYTES("[[}"), JSON_BAD_SYNTAX, 2},
        {BYTES("{\"a\":[1}"), JSON_BAD_SYNTAX, 7},
        {BYTES("[\"a\"\"b\"]"), JSON_BAD_SYNTAX, 4},
        {BYTES("[truex]"), JSON_BAD_SYNTAX, 5},
        {BYTES("[\\u0020]"), JSON_BAD_SYNTAX, 1},
        {BYTES("[\x0c]"), JSON_BAD_SYNTAX, 1},
        {BYTES("[trUe]"), JSON_BAD_LITERAL, 3},
        {BYTES("[01]"), JSON_BAD_NUMBER, 2},
        {BYTES("[1.]"), JSON_BAD_NUMBER, 3},
        {BYTES("[1.\"a\"]"), JSON_BAD_NUMBER, 3},
        {BYTES("[-]"), JSON_BAD_NUMBER, 2},
        {BYTES("[1e+]"), JSON_BAD_NUMBER, 4},
        {BYTES("[1x]"), JSON_BAD_NUMBER, 2},
    };
    faults_hold(cases, COUNT(cases));
}

static void test_faults_in_strings(void **state)
{
    (void)state;
    const struct refusal cases[] = {
        {BYTES("[\"\t\"]"), JSON_BAD_CONTROL, 2},
        {BYTES("[\"\\x\"]"), JSON_BAD_ESCAPE, 3},
        {BYTES("[\"\\u00g0\"]"), JSON_BAD_ESCAPE, 6},
        {BYTES("[\"\\u12\"]"), JSON_BAD_ESCAPE, 6},
        {BYTES("[\"\xC0\x80\"]"), JSON_BAD_UTF8, 2},
        {BYTES("[\"\xE0\x80\x80\"]"), JSON_BAD_UTF8, 3},
        {BYTES("[\"\xED\xA0\x80\"]"), JSON_BAD_UTF8, 3},
        {BYTES("[\"\xF4\x90\x80\x80\"]"), JSON_BAD_UTF8, 3},
        {BYTES("[\"\xF0\x8F\x80\x80\"]"), JSON_BAD_UTF8, 3},
        {BYTES("[\"\xF5\x80\x80\x80\"]"), JSON_BAD_UTF8, 2},
        {BYTES("[\"\x80\"]"), JSON_BAD_UTF8, 2},
        {BYTES("[\"\xE4\xBD\"]"), JSON_BAD_UTF8, 4},
        {BYTES("[\"\xE4\xBD\\n\"]"), JSON_BAD_UTF8, 4},
        {BYTES("[\"\xC3\\n\xA9\"]"), JSON_BAD_UTF8, 3},
        {BYTES("[{\"a\":\"b\",\"c\":\"\\x\"}]"), JSON_BAD_ESCAPE, 16},
        {BYTES("[{\"\t\":\"b\"}]"), JSON_BAD_CONTROL, 3},
    };
    faults_hold(cases, COUNT(cases));
}

static void test_trailing_bytes(void **state)
{
    (void)state;
    const struct refusal cases[] = {
        {BYTES("{} x"), JSON_TRAILING, 3},
        {BYTES("[]]"), JSON_TRAILING, 2},
        {BYTES("1 2"), JSON_TRAILING, 2},
        {BYTES("1x"), JSON_BAD_NUMBER, 1},
        {BYTES("truex"), JSON_TRAILING, 4},
        {BYTES("[]\0"), JSON_TRAILING, 2},
    };
    faults_hold(cases, COUNT(cases));
}

/* The same fault, pushed across block ends by blanks and by a long string before it. */
static void test_faults_at_every_place_in_a_block(void **state)
{
    (void)state;
    const struct { struct bytes doc; enum json_error error; size_t at; } cases[] = {
        {BYTES("{\"key\":[1,\"x\",]}"), JSON_BAD_SYNTAX, 14},
        {BYTES("{\"key\":{\"x\" 1}}"), JSON_BAD_SYNTAX, 12},
        {BYTES("[\"\xF0\x9F\x98\x80 \xE4\xBD\xA0 \xE4\xBD\"]"), JSON_BAD_UTF8, 13},
        {BYTES("[\"\\\\\\\\\\\"\\\\\\q\"]"), JSON_BAD_ESCAPE, 11},
        {BYTES("[-12.50e+10x]"), JSON_BAD_NUMBER, 11},
        {BYTES("{\"a\":true,\"b\":fals}"), JSON_BAD_LITERAL, 18},
        {BYTES("{\"a\":[{},{\"b\":[]}],\"c\":\"\\u00e9\"}"), JSON_FINE, 0},
    };
    static const char *const heads[] = {"[", "{\"k\":[", "[\""};
    struct log *log = log_new();
    struct wall wall = wall_open();
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t pad = 0; pad < 140 * COUNT(heads); pad++) {
            char doc[512];
            const char *head = heads[pad % COUNT(heads)];
            bool text = head[0] == '[' && head[1] == '"';
            size_t n = strlen(head);
            memcpy(doc, head, n);
            memset(doc + n, text ? 'x' : ' ', pad / COUNT(heads));
            n += pad / COUNT(heads);
            if (text) memcpy(doc + n, "\",", 2), n += 2;
            size_t base = n;
            memcpy(doc + n, cases[i].doc.ptr, cases[i].doc.len);
            n += cases[i].doc.len;
            memcpy(doc + n, "]}", 2);
            n += head[0] == '{' ? 2 : 1;
            for (size_t s = 0; s < COUNT(simds); s++) {
                if (!json_simd_use(simds[s])) continue;
                for (int skip = 0; skip < 2; skip++) {
                    scan_cut(log, wall, (struct bytes){doc, n}, skip ? -7 : (long)n / 2, 8,
                             skip ? skip_all : NULL);
                    assert_int_equal(log->error, cases[i].error);
                    if (log->error) assert_int_equal(log->at, base + cases[i].at);
                    scan_cut(log, wall, (struct bytes){doc, n}, 0, 8, skip ? skip_all : NULL);
                    assert_int_equal(log->error, cases[i].error);
                    if (log->error) assert_int_equal(log->at, base + cases[i].at);
                }
            }
        }
    }
    wall_close(wall);
    free(log);
}

static void test_skip(void **state)
{
    (void)state;
    const struct bytes doc = BYTES("{\"a\":[1,{\"b\":\"]\"}] ,\"c\": \"x\\\"\" ,\"d\":-1.5,"
                                          "\"e\":{},\"f\":[[true]]}");
    struct log *log = log_new();
    scan_all(log, doc, JSON_DEPTH_MAX, skip_values);
    assert_string_equal(log->text, "{0:0-1 k1:1-4 _1:5-18 k1:20-23 _1:25-30 k1:32-35 _1:36-40 "
                                   "k1:41-44 _1:45-47 k1:48-51 _1:52-60 }0:60-61 ");
    scan_all(log, doc, JSON_DEPTH_MAX, skip_arrays);
    assert_string_equal(log->text, "{0:0-1 k1:1-4 [1:5-6 _1:5-18 k1:20-23 s1:25-30e k1:32-35 "
                                   "#1:36-40 k1:41-44 {1:45-46 }1:46-47 k1:48-51 [1:52-53 "
                                   "_1:52-60 }0:60-61 ");
    scan_all(log, doc, JSON_DEPTH_MAX, skip_all);
    assert_string_equal(log->text, "{0:0-1 _0:0-61 ");
    free(log);
}

static void test_skip_of_the_whole_document(void **state)
{
    (void)state;
    const struct bytes docs[] = {BYTES(" [1,[2]] "), BYTES("\"x\" "), BYTES("12 ")};
    static const uint64_t starts[] = {1, 0, 0}, ends[] = {8, 3, 2};
    for (size_t i = 0; i < COUNT(docs); i++) {
        struct json j;
        struct json_token t;
        struct bytes in = docs[i];
        json_init(&j, 4);
        json_skip(&j);
        assert_int_equal(json_next(&j, &in, &t), NET_OK);
        assert_int_equal(t.type, JSON_SKIPPED);
        assert_int_equal(t.start, starts[i]);
        assert_int_equal(t.end, ends[i]);
        assert_int_equal(json_next(&j, &in, &t), NET_DONE);
        assert_int_equal(json_finish(&j, &t), NET_DONE);
    }
}

/* A root number ends only with the input (RFC 8259 section 2 lets any value be a root). */
static void test_root_number(void **state)
{
    (void)state;
    struct json j;
    struct json_token t;
    struct bytes in = BYTES("-12.5");
    json_init(&j, 1);
    assert_int_equal(json_next(&j, &in, &t), NET_MORE);
    assert_int_equal(json_finish(&j, &t), NET_OK);
    assert_int_equal(t.type, JSON_NUMBER);
    assert_true(bytes_eq(t.text, BYTES("-12.5")));
    assert_int_equal(json_finish(&j, &t), NET_DONE);
    in = BYTES(" \n");
    assert_int_equal(json_next(&j, &in, &t), NET_DONE);
    in = BYTES("x");
    assert_int_equal(json_next(&j, &in, &t), NET_BAD);
    assert_int_equal(j.error, JSON_TRAILING);
    assert_int_equal(j.at, 7);
}

/* "[[[...1...]]]" with objects in between, n containers deep. */
static size_t nest(char *out, unsigned n)
{
    size_t len = 0;
    for (unsigned i = 0; i < n; i++) {
        const char *open = i % 3 == 1 ? "{\"a\":" : "[";
        memcpy(out + len, open, strlen(open));
        len += strlen(open);
    }
    out[len++] = '1';
    for (unsigned i = n; i-- > 0;) out[len++] = i % 3 == 1 ? '}' : ']';
    return len;
}

static void test_depth_limit(void **state)
{
    (void)state;
    static const unsigned limits[] = {1, 2, 63, 64, 65, 127, 128, 129, 511, 512};
    char doc[8192];
    struct log *log = log_new();
    struct wall wall = wall_open();
    for (size_t i = 0; i < COUNT(limits) * COUNT(simds); i++) {
        unsigned limit = limits[i / COUNT(simds)];
        if (!json_simd_use(simds[i % COUNT(simds)])) continue;
        for (int skip = 0; skip < 2; skip++) {
            size_t len = nest(doc, limit);
            scan_cut(log, wall, (struct bytes){doc, len}, -5, limit, skip ? skip_all : NULL);
            assert_true(log->accepted);
            doc[len - 1 - limit / 2] ^= 0x20;   /* the wrong kind of bracket */
            scan_cut(log, wall, (struct bytes){doc, len}, 0, limit, skip ? skip_all : NULL);
            assert_int_equal(log->error, JSON_BAD_SYNTAX);
            assert_int_equal(log->at, len - 1 - limit / 2);
            len = nest(doc, limit + 1);
            scan_cut(log, wall, (struct bytes){doc, len}, 0, limit, skip ? skip_all : NULL);
            assert_int_equal(log->error, JSON_TOO_DEEP);
        }
    }
    wall_close(wall);
    free(log);
}

/* A token with a cut in it is gathered up to JSON_TEXT_MAX bytes, then its text is NULL. */
static void test_text_limit(void **state)
{
    (void)state;
    for (size_t n = JSON_TEXT_MAX - 1; n <= JSON_TEXT_MAX + 1; n++) {
        for (int kind = 0; kind < 2; kind++) {
            char doc[JSON_TEXT_MAX + 8];
            memset(doc, kind ? '7' : 'x', n + 2);
            doc[0] = doc[n + 1] = kind ? ' ' : '"';
            struct json j;
            struct json_token t;
            struct bytes first = {doc, 9}, second = {doc + 9, n + 2 - 9};
            json_init(&j, 1);
            assert_int_equal(json_next(&j, &first, &t), NET_MORE);
            assert_int_equal(json_next(&j, &second, &t), NET_OK);
            assert_int_equal(t.text.len, n);
            assert_int_equal(t.text.ptr == NULL, n > JSON_TEXT_MAX);
            if (t.text.ptr) assert_memory_equal(t.text.ptr, doc + 1, n);
            struct bytes whole = {doc, n + 2};
            json_init(&j, 1);
            assert_int_equal(json_next(&j, &whole, &t), NET_OK);
            assert_ptr_equal(t.text.ptr, doc + 1);   /* in place, however long */
        }
    }
}

/* Give the scanner a little more of doc at each call, the rest somewhere else each time.
 * Gives the tokens. */
static unsigned drip(const char *doc, size_t len, size_t step)
{
    char copy[1024];
    struct json j;
    struct json_token t;
    uint64_t done = 0;
    unsigned tokens = 0;
    assert_true(len < sizeof copy);
    json_init(&j, 4);
    for (size_t have = 1; have <= len; have += 1 + have % step) {
        if (have < done || have % 3 == 0) continue;
        memset(copy, '?', sizeof copy);
        memcpy(copy + have % 5, doc + done, have - done);
        struct bytes in = {copy + have % 5, have - (size_t)done};
        enum net_rc rc = json_next(&j, &in, &t);
        assert_int_not_equal(rc, NET_BAD);
        if (rc == NET_OK) tokens++;
        done = have - in.len;
    }
    struct bytes in = {doc + done, len - (size_t)done};
    while (json_next(&j, &in, &t) == NET_OK) tokens++;
    assert_int_equal(json_finish(&j, &t), NET_DONE);
    return tokens;
}

/* After a token the rest may lie elsewhere, with more behind it. */
static void test_rest_may_move_and_grow(void **state)
{
    (void)state;
    static const char small[] = "{\"a\":1,\"b\":[true,\"cd\"],\"e\":\"f\"}";
    char large[600] = "[[1,2],\"";
    size_t len = strlen(large);
    while (len < 500) len += (size_t)snprintf(large + len, 40, "x\\n\xC3\xA9%0*d", 19, 7);
    len += (size_t)snprintf(large + len, 40, "\",false,\"\\u00e9\",-12.5]");
    for (size_t i = 0; i < COUNT(simds); i++) {
        if (!json_simd_use(simds[i])) continue;
        for (size_t step = 1; step < 90; step++) {
            assert_int_equal(drip(small, sizeof small - 1, step), 11);
            assert_int_equal(drip(large, len, step), 10);
        }
    }
}

/* What a string holds, wherever in its blocks, with blocks of plain text around it. */
static void test_long_strings(void **state)
{
    (void)state;
    static const struct { const char *text, *flags; } cases[] = {
        {"", ""}, {"\\n", "e"}, {"\\\\\\\"\\\\\\\\", "e"}, {"\\u00e9\\b", "e"},
        {"\xE4\xBD\xA0\xF0\x9F\x98\x80", ""}, {"\\ud83d\\ude00", "e"}, {"\\ud83d", "eu"},
        {"\\ude00\xC3\xA9", "eu"}, {"\\u0000", "e0"}, {"\\\"\\", NULL}, {"\\u00g0", NULL},
        {"\xE4\xBD\\n", NULL}, {"\xC3\\u00e9", NULL},
    };
    struct log *log = log_new();
    struct wall wall = wall_open();
    for (size_t i = 0; i < COUNT(cases) * COUNT(simds); i++) {
        const char *text = cases[i / COUNT(simds)].text, *flags = cases[i / COUNT(simds)].flags;
        if (!json_simd_use(simds[i % COUNT(simds)])) continue;
        for (int pad = 0; pad < 2 * 64 + 70; pad++) {
            char doc[640], want[96];
            int n = snprintf(doc, sizeof doc, "[1,\"%0*d%s%0*d\",2]", pad + 1, 7, text, 150, 7);
            int end = n - 3;
            snprintf(want, sizeof want, "[0:0-1 #1:1-2 s1:3-%d%s #1:%d-%d ]0:%d-%d ", end,
                     flags ? flags : "", end + 1, end + 2, end + 2, end + 3);
            for (long cut = pad + 4; cut <= n; cut += cut < pad + 18 ? 1 : 9) {
                scan_cut(log, wall, (struct bytes){doc, (size_t)n}, cut, 4, NULL);
                assert_int_equal(log->accepted, flags != NULL);
                if (flags) assert_string_equal(log->text, want);
                else assert_true(log->at >= (uint64_t)pad + 5 && log->at < (uint64_t)pad + 13);
            }
        }
    }
    wall_close(wall);
    free(log);
}

/* At once, and byte by byte. */
static void test_unescape(void **state)
{
    (void)state;
    const struct { struct bytes text, want; } cases[] = {
        {BYTES(""), BYTES("")},
        {BYTES("plain"), BYTES("plain")},
        {BYTES("\\\"\\\\\\/\\b\\f\\n\\r\\t"), BYTES("\"\\/\b\f\n\r\t")},
        {BYTES("a\\u0041\\u00e9\\u20AC"), BYTES("aA\xC3\xA9\xE2\x82\xAC")},
        {BYTES("\\ud83d\\ude00!"), BYTES("\xF0\x9F\x98\x80!")},
        {BYTES("\\ud800"), BYTES("\xEF\xBF\xBD")},
        {BYTES("\\udc00x"), BYTES("\xEF\xBF\xBDx")},
        {BYTES("\\ud800\\ud83d\\ude00"), BYTES("\xEF\xBF\xBD\xF0\x9F\x98\x80")},
        {BYTES("\\ud800\\u0041"), BYTES("\xEF\xBF\xBD" "A")},
        {BYTES("\\u0000"), BYTES("\0")},
        {BYTES("\\udbff\\udfff"), BYTES("\xF4\x8F\xBF\xBF")},
        {BYTES("\\"), BYTES("\\")},          /* never from the scanner; harmless */
        {BYTES("\\u12"), BYTES("\\u12")},
    };
    enum { NEVER_SCANNED = 2 };
    struct wall wall = wall_open();
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t room = cases[i].text.len;
        char out[64];
        memcpy(wall.end - room, cases[i].text.ptr, room);
        size_t n = json_unescape((struct bytes){wall.end - room, room}, out);
        assert_int_equal(n, cases[i].want.len);
        assert_memory_equal(out, cases[i].want.ptr, n);
        if (i >= COUNT(cases) - NEVER_SCANNED) continue;
        struct json_unescaper e = {0};
        for (size_t k = n = 0; k < room; k++) {
            n += json_unescape_byte(&e, cases[i].text.ptr[k], out + n);
        }
        n += json_unescape_end(&e, out + n);
        assert_int_equal(n, cases[i].want.len);
        assert_memory_equal(out, cases[i].want.ptr, n);
    }
    wall_close(wall);
}

static void test_integer(void **state)
{
    (void)state;
    static const struct { const char *text; bool fine; int64_t value; } cases[] = {
        {"0", true, 0}, {"-0", true, 0}, {"17", true, 17}, {"-5", true, -5},
        {"9007199254740992", true, 9007199254740992}, {"9007199254740993", false, 0},
        {"-9007199254740992", true, -9007199254740992}, {"-9007199254740993", false, 0},
        {"99999999999999999999999", false, 0}, {"1.0", false, 0}, {"1e3", false, 0},
        {"18446744073709551617", false, 0}, {"", false, 0}, {"-", false, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t value = 42;
        assert_int_equal(json_integer(bytes_of(cases[i].text), &value), cases[i].fine);
        assert_int_equal(value, cases[i].fine ? cases[i].value : 42);
    }
}

static void test_unknown_implementation(void **state)
{
    (void)state;
    assert_true(json_simd_use("scalar"));
    assert_false(json_simd_use("mmx"));
    assert_string_equal(json_simd(), "scalar");
}

/* What the suite expects, and where it leaves that open, the written answer. */
static bool suite_wants(struct bytes name, const char *answers)
{
    struct bytes column[5];  /* suite, document, answer, reason, section */
    assert_true(name.len > 2 && name.ptr[1] == '_');
    if (*name.ptr != 'i') return *name.ptr == 'y';
    for (const char *at = answers; cases_answer(&at, "json", column, COUNT(column));) {
        if (!bytes_eq(column[1], name)) continue;
        assert_true(column[3].len > 0 && bytes_starts(column[4], BYTES("RFC ")));
        if (bytes_eq(column[2], BYTES("accept"))) return true;
        assert_true(bytes_eq(column[2], BYTES("refuse")));
        return false;
    }
    fail_msg("no written answer: %.*s", CASES_TEXT(name));
    return false;
}

static void suite_case(struct log *log, struct bytes name, struct bytes doc, bool want)
{
    static bool (*const skips[])(const struct json_token *t) =
        {NULL, skip_all, skip_values, skip_inner};
    for (size_t k = 0; k < COUNT(skips); k++) {
        scan_all(log, doc, JSON_DEPTH_MAX, skips[k]);
        if (log->accepted != want) {
            fail_msg("%.*s: accepted %d", CASES_TEXT(name), log->accepted);
        }
    }
    const bool deep = bytes_eq(name, BYTES("n_structure_100000_opening_arrays"));
    if (deep) assert_int_equal(log->error, JSON_TOO_DEEP);
}

/* The JSONTestSuite: y_ accepted, n_ refused, i_ as DEVIATIONS.md says, which has no row for
 * anything else; every cut. */
static void test_suite(void **state)
{
    (void)state;
    char *const text = cases_load("json.tsv"), *const answers = cases_load("DEVIATIONS.md");
    char *const doc = malloc(FILE_MAX);
    assert_non_null(doc);
    struct log *log = log_new();
    unsigned count = 0, open = 0, written = 0;
    struct bytes row[2], answer[5];  /* name, document */
    for (const char *at = text; cases_next(&at, "\t", row, COUNT(row)); count++) {
        const size_t len = cases_unescape(row[1], doc, FILE_MAX);
        open += *row[0].ptr == 'i';
        suite_case(log, row[0], (struct bytes){doc, len}, suite_wants(row[0], answers));
    }
    for (const char *at = answers; cases_answer(&at, "json", answer, COUNT(answer));) written++;
    assert_int_equal(count, SUITE);
    assert_int_equal(written, open);
    free(doc);
    free(text);
    free(answers);
    free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_faults_in_strings),
        cmocka_unit_test(test_trailing_bytes),
        cmocka_unit_test(test_faults_at_every_place_in_a_block),
        cmocka_unit_test(test_skip),
        cmocka_unit_test(test_skip_of_the_whole_document),
        cmocka_unit_test(test_root_number),
        cmocka_unit_test(test_depth_limit),
        cmocka_unit_test(test_text_limit),
        cmocka_unit_test(test_rest_may_move_and_grow),
        cmocka_unit_test(test_long_strings),
        cmocka_unit_test(test_unescape),
        cmocka_unit_test(test_integer),
        cmocka_unit_test(test_unknown_implementation),
        cmocka_unit_test(test_suite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
