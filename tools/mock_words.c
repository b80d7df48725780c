/* mock_words.c - what every answer says, in whatever form; see mock.h. Token i is word i of the
 * list, which begins again at its end, so that the text of n tokens is a prefix of one long
 * text, of which a conversation may have a part already (mock_past.c). A script may ask for
 * other content: the request itself, or a lot. */
#include "engine/conn.h"
#include "engine/core.h"
#include "net/http.h"
#include "tools/mock.h"
#include "tools/mock_text.h"

/* None needs an escape in JSON. */
static const struct bytes words[] = {
    BYTES_INIT(" Water"), BYTES_INIT(" runs"), BYTES_INIT(" over"), BYTES_INIT(" the"),
    BYTES_INIT(" weir"), BYTES_INIT(" at"), BYTES_INIT(" an"), BYTES_INIT(" even"),
    BYTES_INIT(" height,"), BYTES_INIT(" and"), BYTES_INIT(" what"), BYTES_INIT(" the"),
    BYTES_INIT(" river"), BYTES_INIT(" brings"), BYTES_INIT(" in"), BYTES_INIT(" spring"),
    BYTES_INIT(" is"), BYTES_INIT(" shared"), BYTES_INIT(" among"), BYTES_INIT(" its"),
    BYTES_INIT(" channels."), BYTES_INIT(" A"), BYTES_INIT(" miller"), BYTES_INIT(" reads"),
    BYTES_INIT(" the"), BYTES_INIT(" gauge,"), BYTES_INIT(" opens"), BYTES_INIT(" one"),
    BYTES_INIT(" gate,"), BYTES_INIT(" closes"), BYTES_INIT(" another,"), BYTES_INIT(" then"),
    BYTES_INIT(" writes"), BYTES_INIT(" the"), BYTES_INIT(" day's"), BYTES_INIT(" flow"),
    BYTES_INIT(" into"), BYTES_INIT(" his"), BYTES_INIT(" book;"), BYTES_INIT(" no"),
    BYTES_INIT(" drop"), BYTES_INIT(" goes"), BYTES_INIT(" by"), BYTES_INIT(" uncounted."),
    BYTES_INIT(" So"), BYTES_INIT(" it"), BYTES_INIT(" goes"), BYTES_INIT(" on."),
};

void words_fill(struct mock_shared *shared)
{
    uint32_t round = 0;
    for (size_t i = 0; i < COUNT(words); i++) round += (uint32_t)words[i].len;
    assert(round < MOCK_FILLER);
    shared->round_len = round;
    for (uint32_t at = 0; at + round <= MOCK_FILLER; at += round) {
        uint32_t to = at;
        for (size_t i = 0; i < COUNT(words); i++) {
            memcpy(shared->filler + to, words[i].ptr, words[i].len);
            to += (uint32_t)words[i].len;
        }
        shared->filler_len = to;
    }
}

struct bytes words_token(uint32_t i)
{
    struct bytes word = words[i % COUNT(words)];
    if (i == 0) bytes_cut(&word, 1);
    return word;
}

void words_put(struct core *core, struct text *t, uint32_t count)
{
    const struct mock *mock = core->serve;
    const struct mock_shared *s = mock->shared;
    uint64_t len = (uint64_t)s->round_len * (count / COUNT(words));
    for (uint32_t i = 0; i < count % COUNT(words); i++) len += words[i].len;
    uint64_t skip = len > 0;  /* the blank before the first */
    while (len > 0) {
        uint64_t n = len < s->filler_len ? len : s->filler_len;
        text_put(t, (struct bytes){s->filler + skip, (size_t)(n - skip)});
        len -= n;
        skip = 0;
    }
}

uint32_t words_count(void) { return COUNT(words); }

struct bytes words_said(const struct job *job, uint32_t i)
{
    uint32_t at = i + job->said_tokens;
    struct bytes word = words[(at + job->turn) % COUNT(words)];
    if (at == 0) bytes_cut(&word, 1);
    if (i == 0) bytes_cut(&word, job->said_bytes);
    return word;
}

void words_answer(struct core *core, const struct job *job, struct text *t)
{
    if (job->turn + job->said_tokens + job->said_bytes == 0) {
        words_put(core, t, job->text_tokens);
        return;
    }
    for (uint32_t i = 0; i < job->text_tokens; i++) text_put(t, words_said(job, i));
}

bool words_call(const struct job *job)
{
    return job->tools && script_has(&job->script, SCRIPT_TOOL);
}

struct bytes words_argument(const struct job *job, uint32_t i)
{
    if (i == 0) return BYTES("{\\\"text\\\":\\\"");
    if (i + 1 == job->text_tokens && !job->length) return BYTES("\\\"}");
    return words_token(i - 1);
}

/* --- content in place of words --- */

static bool header_seen(struct bytes before, struct bytes name)
{
    struct bytes other, value;
    while (http_field_next(&before, &other, &value)) {
        if (bytes_ieq(other, name)) return true;
    }
    return false;
}

/* As the inside of a JSON string inside a JSON string. */
static void escape_twice(struct text *t, struct bytes b)
{
    char text[1024];
    while (b.len > 0) {
        struct bytes some = bytes_cut(&b, b.len < 128 ? b.len : 128);
        struct text inner = {.buf = text, .room = sizeof text};
        text_escape(&inner, some);
        text_escape(t, (struct bytes){text, inner.len});
    }
}

/* Lines of one name are one value (RFC 9110 section 5.3). */
static void header_value(struct text *t, struct bytes fields, struct bytes name)
{
    struct bytes other, value;
    bool more = false;
    while (http_field_next(&fields, &other, &value)) {
        if (!bytes_ieq(other, name)) continue;
        if (more) TEXT(t, ", ");
        more = true;
        escape_twice(t, value);
    }
}

static void header_member(struct text *t, struct bytes name, struct bytes value, bool first)
{
    if (!first) TEXT(t, ",");
    TEXT(t, "\\\"");
    for (size_t i = 0; i < name.len; i++) {
        char c = byte_lower(name.ptr[i]);
        text_put(t, (struct bytes){&c, 1});
    }
    TEXT(t, "\\\":\\\"");
    escape_twice(t, value);
}

static void put_headers(const struct job *job, struct text *t)
{
    struct bytes fields = job->c->fields, at = fields, name, value;
    TEXT(t, "{");
    header_member(t, BYTES(":method"), job->method, true);
    TEXT(t, "\\\"");
    header_member(t, BYTES(":target"), job->target, false);
    TEXT(t, "\\\"");
    while (http_field_next(&at, &name, &value)) {
        struct bytes before = bytes_between(fields.ptr, name.ptr);
        if (header_seen(before, name)) continue;
        header_member(t, name, (struct bytes){0}, false);
        header_value(t, fields, name);
        TEXT(t, "\\\"");
    }
    TEXT(t, "}");
}

static void put_body(struct core *core, const struct chain *body, struct text *t)
{
    uint32_t at = body->first, left = body->count;
    struct bytes piece;
    while (chain_next(&core->mem, &at, &left, &piece)) text_escape(t, piece);
}

static bool borrow_filler(struct core *core, struct job *job)
{
    const struct mock *mock = core->serve;
    uint64_t left = (uint64_t)job->script.value[SCRIPT_BIG] << 10;
    while (left > 0) {
        uint64_t n = left < MOCK_FILLER / 2 ? left : MOCK_FILLER / 2;
        if (!chain_borrow(&core->mem, &job->content,
                          (struct bytes){mock->shared->filler, (size_t)n})) {
            return false;
        }
        left -= n;
    }
    return true;
}

void words_content(struct core *core, struct job *job)
{
    assert(job->content.count == 0);
    struct text t = {.mem = &core->mem, .to = &job->content, .buf = core->scratch,
                     .room = CORE_SCRATCH};
    if (script_has(&job->script, SCRIPT_ECHOHEADERS)) put_headers(job, &t);
    else if (script_has(&job->script, SCRIPT_ECHOBODY)) put_body(core, &job->c->body, &t);
    else if (!script_has(&job->script, SCRIPT_BIG)) return;
    else if (!borrow_filler(core, job)) t.failed = true;
    text_flush(&t);
    if (t.failed) {  /* no room: the words will do, and the client sees that it is short */
        chain_drop(&core->mem, &job->content);
        return;
    }
    uint64_t tokens = job->content.bytes / API_TOKEN_BYTES + 1;
    job->text_tokens = tokens < UINT32_MAX / 4 ? (uint32_t)tokens : UINT32_MAX / 4;
    job->length = false;
}
