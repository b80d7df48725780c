/* mock_chat.c - the words of chats and completions, whole and as events; see mock.h.
 *   ROLE -> REASONING -> CALL or TEXT -> FINISH -> USAGE -> DONE -> END
 * A phase with nothing to say is passed over. Token i is word i of the list, which begins
 * again at its end, so that the text of n tokens is a prefix of one long text. */
#include "engine/conn.h"
#include "engine/core.h"
#include "net/http.h"
#include "net/jsonw.h"
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

void chat_words(struct mock_shared *shared)
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

/* Token i of an answer or of its reasoning; the first has no blank before it. */
static struct bytes token_text(uint32_t i)
{
    struct bytes word = words[i % COUNT(words)];
    if (i == 0) bytes_cut(&word, 1);
    return word;
}

/* Tokens [0, count) as one text. */
static void put_tokens(struct core *core, struct text *t, uint32_t count)
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

static bool calls_tool(const struct job *job)
{
    return job->tools && script_has(&job->script, SCRIPT_TOOL);
}

/* Piece i of a call's arguments: {"text":"words ..."}, escaped once. An answer that is cut at
 * its length never comes to the closing piece. */
static struct bytes argument_text(const struct job *job, uint32_t i)
{
    if (i == 0) return BYTES("{\\\"text\\\":\\\"");
    if (i + 1 == job->text_tokens && !job->length) return BYTES("\\\"}");
    return token_text(i - 1);
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

void chat_content(struct core *core, struct job *job)
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

/* --- usage --- */

static void put_usage(const struct job *job, struct text *t)
{
    uint32_t output = job->reasoning_tokens + job->text_tokens;
    if (script_has(&job->script, SCRIPT_BADUSAGE)) {
        TEXT(t, "{\"prompt_tokens\":-7,\"completion_tokens\":9223372036854775808,"
                "\"total_tokens\":1e300,\"prompt_tokens_details\":{\"cached_tokens\":99999}}");
        return;
    }
    TEXT(t, "{\"prompt_tokens\":");
    text_number(t, job->prompt_tokens);
    TEXT(t, ",\"completion_tokens\":");
    text_number(t, output);
    TEXT(t, ",\"total_tokens\":");
    text_number(t, (uint64_t)job->prompt_tokens + output);
    TEXT(t, ",\"prompt_tokens_details\":{\"cached_tokens\":0},"
            "\"completion_tokens_details\":{\"reasoning_tokens\":");
    text_number(t, job->reasoning_tokens);
    TEXT(t, "}}");
}

static struct bytes finish_reason(const struct job *job)
{
    if (job->length) return BYTES("\"length\"");
    return calls_tool(job) ? BYTES("\"tool_calls\"") : BYTES("\"stop\"");
}

/* --- whole --- */

/* {"id":...,"created":..., up to and with the comma behind the model. */
static void put_lead(const struct job *job, struct text *t, struct bytes object)
{
    if (job->api == API_CHAT) TEXT(t, "{\"id\":\"chatcmpl-");
    else TEXT(t, "{\"id\":\"cmpl-");
    text_put(t, (struct bytes){job->id, MOCK_ID});
    TEXT(t, "\",\"object\":\"");
    text_put(t, object);
    TEXT(t, "\",\"created\":");
    text_number(t, job->created_s);
    TEXT(t, ",\"model\":");
    text_put(t, (struct bytes){job->model, job->model_len});
    TEXT(t, ",\"system_fingerprint\":\"fp_mock\",");
}

static void put_text(struct core *core, struct job *job, struct text *t)
{
    if (job->content.count > 0) text_move(t, &job->content);
    else put_tokens(core, t, job->text_tokens);
}

/* The members of a call up to its arguments, which are left open. */
static void put_call(const struct job *job, struct text *t)
{
    TEXT(t, "\"id\":\"call_");
    text_put(t, (struct bytes){job->id, MOCK_ID});
    TEXT(t, "\",\"type\":\"function\",\"function\":{\"name\":\"");
    text_put(t, (struct bytes){job->tool, job->tool_len});
    TEXT(t, "\",\"arguments\":\"");
}

static void put_message(struct core *core, struct job *job, struct text *t)
{
    TEXT(t, "{\"index\":0,\"message\":{\"role\":\"assistant\",");
    if (job->reasoning_tokens > 0) {
        TEXT(t, "\"reasoning_content\":\"");
        put_tokens(core, t, job->reasoning_tokens);
        TEXT(t, "\",");
    }
    if (calls_tool(job)) {
        TEXT(t, "\"content\":null,\"tool_calls\":[{");
        put_call(job, t);
        for (uint32_t i = 0; i < job->text_tokens; i++) text_put(t, argument_text(job, i));
        TEXT(t, "\"}}]");
    } else {
        TEXT(t, "\"content\":\"");
        put_text(core, job, t);
        TEXT(t, "\"");
    }
    TEXT(t, ",\"refusal\":null}");
}

void chat_whole(struct core *core, struct job *job, struct text *t)
{
    bool chat = job->api == API_CHAT;
    put_lead(job, t, chat ? BYTES("chat.completion") : BYTES("text_completion"));
    TEXT(t, "\"choices\":[");
    if (chat) {
        put_message(core, job, t);
    } else {
        TEXT(t, "{\"index\":0,\"text\":\"");
        put_text(core, job, t);
        TEXT(t, "\"");
    }
    TEXT(t, ",\"logprobs\":null,\"finish_reason\":");
    text_put(t, finish_reason(job));
    TEXT(t, "}]");
    if (!script_has(&job->script, SCRIPT_NOUSAGE)) {
        TEXT(t, ",\"usage\":");
        put_usage(job, t);
    }
    TEXT(t, "}");
}

/* --- events --- */

enum { EVENT_PARTS = 8 };

struct event {                 /* the data of one, in order; chain goes before part `at` */
    struct bytes part[EVENT_PARTS];
    size_t count;
    size_t chain_at;
    struct chain *chain;
};

static void part(struct event *e, struct bytes b)
{
    assert(e->count < EVENT_PARTS);
    e->part[e->count++] = b;
}

/* As one chunk, as providers send them; in HTTP/1.0 without. */
static void put_event(struct job *job, struct text *t, const struct event *e)
{
    uint64_t bytes = e->chain ? e->chain->bytes : 0;
    for (size_t i = 0; i < e->count; i++) bytes += e->part[i].len;
    if (job->framed) {
        bool long_chunk = job->phase == PHASE_DONE && script_has(&job->script, SCRIPT_LEN);
        text_hex(t, bytes + 8 + (long_chunk ? 4096 : 0));
        TEXT(t, "\r\n");
    }
    TEXT(t, "data: ");
    for (size_t i = 0; i < e->count; i++) {
        if (e->chain && e->chain_at == i) text_move(t, e->chain);
        text_put(t, e->part[i]);
    }
    TEXT(t, "\n\n");
    if (job->framed) TEXT(t, "\r\n");
    job->events++;
}

void chat_data(struct job *job, struct text *t, struct bytes data)
{
    struct event e = {.part = {data}, .count = 1};
    put_event(job, t, &e);
}

/* Pass over phases that have nothing to say. */
static void next_phase(struct job *job)
{
    bool chat = job->api == API_CHAT;
    if (job->phase == PHASE_ROLE && (!chat || script_has(&job->script, SCRIPT_NOROLE))) {
        job->phase = PHASE_REASONING;
    }
    if (job->phase == PHASE_REASONING && job->token >= job->reasoning_tokens) {
        job->phase = PHASE_CALL;
    }
    if (job->phase == PHASE_CALL && !calls_tool(job)) job->phase = PHASE_TEXT;
    if (job->phase == PHASE_TEXT &&
        job->token >= job->reasoning_tokens + job->text_tokens) {
        job->phase = PHASE_FINISH;
    }
    if (job->phase == PHASE_USAGE && !job->usage) job->phase = PHASE_DONE;
}

bool chat_is_token(struct job *job)
{
    next_phase(job);
    return job->phase >= PHASE_REASONING && job->phase <= PHASE_TEXT;
}

/* The text of the token that is next, between what opens and what closes its delta. */
static void token_event(struct job *job, struct event *e)
{
    uint32_t i = job->token - job->reasoning_tokens;
    if (job->api == API_COMPLETIONS) part(e, BYTES("\"choices\":[{\"text\":\""));
    else if (calls_tool(job)) {
        part(e, BYTES("\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,"
                      "\"function\":{\"arguments\":\""));
        part(e, argument_text(job, i));
        part(e, BYTES("\"}}]}"));
        return;
    } else {
        part(e, BYTES("\"choices\":[{\"index\":0,\"delta\":{\"content\":\""));
    }
    if (job->content.count > 0) {
        e->chain = &job->content;
        e->chain_at = e->count;
        job->token += job->text_tokens - 1;
    } else {
        part(e, token_text(i));
    }
    part(e, job->api == API_COMPLETIONS ? BYTES("\",\"index\":0") : BYTES("\"}"));
}

/* One delta, up to its logprobs. Gives where the phase goes from here. */
static enum job_phase delta_event(struct job *job, struct event *e, struct text *call)
{
    switch ((enum job_phase)job->phase) {
    case PHASE_ROLE:
        part(e, BYTES("\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\","
                      "\"content\":\"\",\"refusal\":null}"));
        return PHASE_REASONING;
    case PHASE_REASONING:
        part(e, BYTES("\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\""));
        part(e, token_text(job->token++));
        part(e, BYTES("\"}"));
        return PHASE_REASONING;
    case PHASE_CALL:
        TEXT(call, "\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,");
        put_call(job, call);
        TEXT(call, "\"}}]}");
        part(e, (struct bytes){call->buf, call->len});
        return PHASE_TEXT;
    case PHASE_TEXT:
        token_event(job, e);
        job->token++;
        return PHASE_TEXT;
    default:
        assert(job->phase == PHASE_FINISH);
        if (job->api == API_COMPLETIONS) {
            part(e, BYTES("\"choices\":[{\"text\":\"\",\"index\":0"));
        } else {
            part(e, BYTES("\"choices\":[{\"index\":0,\"delta\":{}"));
        }
        return PHASE_USAGE;
    }
}

struct bytes chat_lead(const struct job *job, char *out)
{
    struct text t = {.buf = out, .room = CHAT_LEAD};
    bool chat = job->api == API_CHAT;
    put_lead(job, &t, chat ? BYTES("chat.completion.chunk") : BYTES("text_completion"));
    return (struct bytes){out, t.len};
}

void chat_event(struct job *job, struct bytes lead, struct text *t)
{
    char more_text[1024];
    struct text more = {.buf = more_text, .room = sizeof more_text};
    struct event e = {.part = {lead}, .count = 1};
    next_phase(job);
    assert(job->phase < PHASE_END);
    if (job->phase == PHASE_DONE) {
        chat_data(job, t, BYTES("[DONE]"));
        job->phase = PHASE_END;
        return;
    }
    uint8_t next = PHASE_DONE;
    if (job->phase == PHASE_USAGE) {
        TEXT(&more, "\"choices\":[],\"usage\":");
        put_usage(job, &more);
        TEXT(&more, "}");
        part(&e, (struct bytes){more_text, more.len});
    } else {
        bool finish = job->phase == PHASE_FINISH;
        next = (uint8_t)delta_event(job, &e, &more);
        part(&e, BYTES(",\"logprobs\":null,\"finish_reason\":"));
        part(&e, finish ? finish_reason(job) : BYTES("null"));
        part(&e, job->usage ? BYTES("}],\"usage\":null}") : BYTES("}]}"));
    }
    put_event(job, t, &e);
    job->phase = next;
    next_phase(job);
}
