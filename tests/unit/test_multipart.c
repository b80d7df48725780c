/* test_multipart.c - forms with files (RFC 7578; RFC 2046 section 5.1): cut in two at every
 * byte and fed byte by byte, which must not change what is seen; what two readers could take
 * for different forms; and what the dialect reads of such a form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "net/dialect/api.h"
#include "tests/unit/wall.h"

#define TYPE "multipart/form-data; boundary=bb"
#define FIELD(name) "\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n"
#define SOUND "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a;b.mp3\"\r\n" \
              "Content-Type: audio/mpeg\r\n\r\n"

enum { ROOM = 8192, SAID = 1024 };

struct seen {
    char said[SAID];           /* "name[!][~]=value(start-end);" of each part */
    enum net_rc end;
    const char *error;
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

static void note(struct seen *s, const struct multipart_part *p, struct bytes body)
{
    size_t len = strlen(s->said);
    assert_true(p->start <= p->end && p->end <= body.len);
    struct bytes value = {body.ptr + p->start, (size_t)(p->end - p->start)};
    if (p->value.ptr) assert_true(bytes_eq(p->value, value));
    else assert_true(value.len > MULTIPART_VALUE_MAX);
    int n = snprintf(s->said + len, SAID - len, "%.*s%s%s=%.*s;", (int)p->name.len, p->name.ptr,
                     p->file ? "!" : "", p->encoded ? "~" : "",
                     (int)(value.len < 40 ? value.len : 40), value.ptr);
    assert_true(n > 0 && (size_t)n < SAID - len);
}

/* Feed a body in pieces of step bytes behind a first one. */
static void feed(const char *type, struct bytes body, size_t first, size_t step, struct seen *s)
{
    struct multipart m;
    struct multipart_part part;
    memset(s, 0, sizeof *s);
    s->end = NET_BAD;
    if (!multipart_begin(&m, bytes_of(type))) {
        s->error = m.error;
        assert_int_equal(multipart_end(&m), NET_BAD);
        return;
    }
    struct bytes rest = body;
    for (size_t n = first; rest.len > 0 || n == first; n = step) {
        struct bytes in = wall_put(&wall, bytes_cut(&rest, n < rest.len ? n : rest.len));
        enum net_rc rc;
        while ((rc = multipart_next(&m, &in, &part)) == NET_OK) note(s, &part, body);
        if (rc == NET_BAD) break;
        assert_int_equal(in.len, 0);
        if (rest.len == 0) break;
    }
    s->end = multipart_end(&m);
    s->error = m.error;
}

static void check(const char *type, struct bytes body, const char *said, const char *error)
{
    struct seen whole, cut;
    feed(type, body, body.len, 1, &whole);
    assert_string_equal(whole.error ? whole.error : "", error ? error : "");
    assert_int_equal(whole.end, error ? NET_BAD : NET_DONE);
    if (said) assert_string_equal(whole.said, said);
    for (size_t at = 0; at <= body.len; at++) {
        feed(type, body, at, at == 0 ? 1 : body.len, &cut);
        assert_string_equal(cut.said, whole.said);
        assert_int_equal(cut.end, whole.end);
        assert_true(cut.error == whole.error);
    }
}

static void test_parts(void **state)
{
    static const struct { const char *type, *body, *said; } cases[] = {
        {TYPE, "--bb" FIELD("model") "whisper-1\r\n--bb--\r\n", "model=whisper-1;"},
        {TYPE, "--bb" FIELD("model") "whisper-1\r\n--bb--", "model=whisper-1;"},
        {TYPE, "--bb" SOUND "\r\n--bb" FIELD("model") "m\r\n--bb--", "file!=;model=m;"},
        {"Multipart/Form-Data;charset=x ; BOUNDARY=\"bb\"",
         "--bb" SOUND "a\r\n-b\n--b\r\r\n--b\r\n--bb--", "file!=a\r\n-b\n--b\r\r\n--b;"},
        {TYPE, "--bb\r\ncontent-disposition:form-data;name=model\r\nX: y\r\n\r\nm\r\n--bb--",
         "model~=m;"},
        {TYPE, "--bb\r\nContent-Disposition: form-data; name=\"f\"; filename*=UTF-8''a\r\n\r\n"
         "\n\r\n\r\n--bb--", "f!=\n\r\n;"},
        {"multipart/form-data; boundary=\"a b'()+_,-./:=?\"",
         "--a b'()+_,-./:=?" FIELD("n") "v\r\n--a b'()+_,-./:=?--", "n=v;"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        check(cases[i].type, bytes_of(cases[i].body), cases[i].said, NULL);
    }
}

static void test_types(void **state)
{
    static const char one[] = "the content-type must have one boundary, of 1 to 70 characters";
    static const struct { const char *type, *error; } cases[] = {
        {"", "the content-type must be multipart/form-data"},
        {"application/json", "the content-type must be multipart/form-data"},
        {"multipart/mixed; boundary=bb", "the content-type must be multipart/form-data"},
        {"multipart/form-data", one},
        {"multipart/form-data; boundary=", one},
        {"multipart/form-data; boundary=\"\"", one},
        {"multipart/form-data; boundary=\"bb", one},
        {"multipart/form-data; boundary=b\"b", one},
        {"multipart/form-data; boundary=bb; boundary=cc", one},
        {"multipart/form-data; boundary=bb bb;x", one},
        {"multipart/form-data; boundary=b@b", one},
        {"multipart/form-data; boundary=\"bb \"", one},
        {"multipart/form-data; boundary=\"bb\"x", one},
        {"multipart/form-data; boundary=0123456789012345678901234567890123456789"
         "0123456789012345678901234567890", one},                     /* 71 */
    };
    struct multipart m;
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        check(cases[i].type, BYTES("--bb--"), "", cases[i].error);
    }
    assert_true(multipart_begin(&m, BYTES("multipart/form-data; boundary="
                "0123456789012345678901234567890123456789012345678901234567890123456789")));
}

#define NAMED(params) "--bb\r\nContent-Disposition: form-data" params "\r\n\r\nv\r\n--bb--"

static void test_refused(void **state)
{
    static const char name[] = "a part needs one name, of 1 to 64 bytes, without escapes";
    static const char disposition[] = "a part's content-disposition is malformed";
    static const char open[] = "a boundary in the form does not end";
    static const char line[] = "a header line of a part is malformed";
    static const char crlf[] = "a header line of a part must end with CRLF";
    static const char final[] = "the form has no final boundary";
    static const struct { const char *body, *error; } cases[] = {
        {"", final}, {"--b", final}, {"--bb", final}, {"--bb-", final},
        {"--bb" FIELD("a") "v\r\n--bb", final}, {"--bb" FIELD("a") "v", final},
        {"--bb" FIELD("a") "v\r\n--bb\r\n", final},
        {"x--bb--", "the body must begin with the form's boundary"},
        {"\r\n--bb--", "the body must begin with the form's boundary"},
        {"--bb--\r\nx", "something follows the form's last boundary"},
        {"--bb--x", open}, {"--bb \r\n", open}, {"--bbb" FIELD("a") "v\r\n--bbb--", open},
        {"--bb\nContent-Disposition: form-data; name=a\n\nv\n--bb--", open},
        {"--bb" FIELD("a") "v\n--bb--", "a boundary in the form is not behind CRLF"},
        {"--bb" FIELD("a") "v\r\n\n--bb--", "a boundary in the form is not behind CRLF"},
        {"--bb" FIELD("a") "--bb--", "a part has no line for its value"},
        {"--bb\r\n\r\nv\r\n--bb--", "a part of the form has no name"},
        {NAMED(""), "a part of the form has no name"},
        {NAMED("; name=\"\""), name}, {NAMED("; name=\"a\"; name=\"b\""), name},
        {NAMED("; name=\"a\\b\""), name}, {NAMED("; name=\"%6dodel\""), name},
        {NAMED("; name=\"01234567890123456789012345678901234567890123456789"
               "012345678901234\""), name},                             /* 65 */
        {NAMED("; name=\"a\\\"; filename=\"b\""), disposition},
        {NAMED("; name=\"a"), disposition}, {NAMED("; name=\"a\"b"), disposition},
        {NAMED("; name=\"a\";"), disposition}, {NAMED("; name=a\"b\""), disposition},
        {NAMED("; name*=UTF-8''model; name=a"),
         "a part's name must be given as name (RFC 7578 section 5.1)"},
        {"--bb\r\nContent-Disposition: attachment; name=a\r\n\r\nv\r\n--bb--",
         "a part's content-disposition is not form-data"},
        {NAMED("; name=a\r\nContent-Disposition: form-data; name=b"),
         "a part of the form has two content-dispositions"},
        {NAMED(";\r\n name=a"), disposition}, {NAMED("; name=a\r\n b: c"), line},
        {NAMED("; name=a\r\nX"), line}, {NAMED("; name=a\r\nX : y"), line},
        {NAMED("; name=a\r\n: y"), line}, {NAMED("; name=\"a\x01\""), line},
        {NAMED("; name=a\nX: y"), crlf}, {NAMED("; name=a\rX: y"), crlf},
        {NAMED("; name=a\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:"),
         "a part has too many header lines"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        check(TYPE, bytes_of(cases[i].body), NULL, cases[i].error);
    }
}

/* Each limit, and one more. */
static void test_limits(void **state)
{
    char body[4096], fill[MULTIPART_LINE_MAX + 1];
    (void)state;
    memset(fill, 'x', sizeof fill);
    for (int more = 0; more < 2; more++) {
        int n = snprintf(body, sizeof body, "--bb\r\nX: %.*s" FIELD("a") "v\r\n--bb--",
                         MULTIPART_LINE_MAX - 3 + more, fill);
        check(TYPE, (struct bytes){body, (size_t)n}, more ? "" : "a~=v;",
              more ? "a header line of a part is too long" : NULL);
        n = snprintf(body, sizeof body, "--bb\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:%s"
                     FIELD("a") "v\r\n--bb--", more ? "\r\na:" : "");
        check(TYPE, (struct bytes){body, (size_t)n}, more ? "" : "a~=v;",
              more ? "a part has too many header lines" : NULL);
        n = snprintf(body, sizeof body, "--bb" FIELD("b") "%.*s" "\r\n--bb" FIELD("a")
                     "%.*s\r\n--bb--", MULTIPART_LINE_MAX, fill, MULTIPART_VALUE_MAX + more,
                     fill);
        struct multipart m;
        struct multipart_part part;
        struct bytes in = {body, (size_t)n};
        assert_true(multipart_begin(&m, BYTES(TYPE)));
        assert_int_equal(multipart_next(&m, &in, &part), NET_OK);
        assert_int_equal(part.end - part.start, MULTIPART_LINE_MAX);
        assert_int_equal(multipart_next(&m, &in, &part), NET_OK);
        assert_int_equal(part.end, n - 8);
        assert_int_equal(part.end - part.start, MULTIPART_VALUE_MAX + more);
        assert_int_equal(part.value.ptr == NULL, more);
    }
}

/* --- what the dialect reads of it --- */

static void read_form(struct api_reader *r, const char *body, const char *error,
                      const char *pointer)
{
    size_t len = strlen(body);
    for (size_t at = 0; at <= len; at++) {
        api_request_begin(r, API_TRANSCRIPTIONS);
        assert_true(api_request_upload(r, BYTES(TYPE)));
        enum net_rc rc = api_request_feed(r, wall_put(&wall, (struct bytes){body, at}));
        struct bytes rest = {body + at, len - at};
        if (rc == NET_MORE) rc = api_request_feed(r, wall_put(&wall, rest));
        if (rc == NET_MORE) rc = api_request_end(r);
        assert_string_equal(r->error, error);
        assert_string_equal(r->pointer, pointer);
        assert_int_equal(rc, error[0] ? NET_BAD : NET_DONE);
    }
}

static void test_request(void **state)
{
    static const struct { const char *body, *error, *pointer; } cases[] = {
        {"--bb" SOUND "x\r\n--bb--", "the field 'model' is missing", "/model"},
        {"--bb" FIELD("model") "a\r\n--bb" FIELD("model") "a\r\n--bb--",
         "the field 'model' is repeated", "/model"},
        {"--bb" FIELD("model") "\r\n--bb--", "the field 'model' is empty", "/model"},
        {"--bb" FIELD("model") "a\x01\r\n--bb--",
         "the field 'model' must be ASCII without controls", "/model"},
        {"--bb" FIELD("Model") "a\r\n--bb--",
         "a field's name is one of the API's but for its case", ""},
        {"--bb" FIELD("STREAM") "true\r\n--bb--",
         "a field's name is one of the API's but for its case", ""},
        {"--bb\r\nContent-Disposition: form-data; name=\"model\"; filename=\"m\"\r\n\r\na"
         "\r\n--bb--", "the field 'model' must not be a file", "/model"},
        {"--bb\r\nContent-Transfer-Encoding: base64" FIELD("model") "YQ==\r\n--bb--",
         "the field 'model' must not be encoded", "/model"},
        {"--bb" FIELD("model") "a\r\n--bb" FIELD("stream") "true\r\n--bb--",
         "stream is not in this release for transcriptions", "/stream"},
        {"--bb" FIELD("model") "a\r\n", "the form has no final boundary", ""},
    };
    static struct api_reader r;
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        read_form(&r, cases[i].body, cases[i].error, cases[i].pointer);
    }
    api_request_begin(&r, API_TRANSLATIONS);
    assert_false(api_request_upload(&r, BYTES("application/json")));
    assert_string_equal(r.error, "the content-type must be multipart/form-data");
    char name[API_NAME_MAX + 2], body[1024];
    memset(name, 'm', sizeof name);
    for (int more = 0; more < 2; more++) {
        (void)snprintf(body, sizeof body, "--bb" FIELD("model") "%.*s\r\n--bb--",
                       API_NAME_MAX + more, name);
        read_form(&r, body, more ? "the field 'model' is longer than 256 bytes" : "",
                  more ? "/model" : "");
    }
}

/* The only edit is the model's, and it is no JSON string. */
static void test_edits(void **state)
{
    static const char body[] = "--bb" SOUND "xyz\r\n--bb" FIELD("model") "acme/whisper\r\n--bb"
                               FIELD("prompt") "say\r\n--bb" FIELD("stream") "false\r\n--bb--";
    static struct api_reader r;
    struct api_edit edits[API_EDITS_MAX];
    struct api_change change = {.model = BYTES("wh\"1"), .output_max = 5, .want_usage = true,
                                .no_sampling = true};
    char scratch[12 * API_NAME_MAX + 384];
    (void)state;
    read_form(&r, body, "", "");
    assert_int_equal(r.req.prompt_bytes, 3);
    assert_int_equal(r.req.body_bytes, sizeof body - 1);
    assert_int_equal(api_request_edits(&r.req, &change, edits, scratch, sizeof scratch), 1);
    assert_memory_equal(body + edits[0].at, "acme/whisper", 12);
    assert_int_equal(edits[0].del, 12);
    assert_true(bytes_eq(edits[0].put, change.model));
    change.model = BYTES("acme/whisper");
    assert_int_equal(api_request_edits(&r.req, &change, edits, scratch, sizeof scratch), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),   cmocka_unit_test(test_types),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_request), cmocka_unit_test(test_edits),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
