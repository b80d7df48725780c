/* mock_chat.c - chats and completions, whole and as events; see mock.h.
 *   ROLE -> REASONING -> CALL or TEXT -> FINISH -> USAGE -> DONE -> END
 * A phase with nothing to say is passed over. */
#include "engine/conn.h"
#include "engine/core.h"
#include "tools/mock.h"
#include "tools/mock_text.h"

/* --- usage --- */

static void put_usage(const struct job *job, struct text *t)
{
    uint32_t output = job->reasoning_tokens + job->text_tokens;
    uint64_t writes = (uint64_t)job->cache_write + job->cache_write_1h;
    uint64_t prompt = job->prompt_tokens + job->cached + writes;
    if (script_has(&job->script, SCRIPT_BADUSAGE)) {
        TEXT(t, "{\"prompt_tokens\":-7,\"completion_tokens\":9223372036854775808,"
                "\"total_tokens\":1e300,\"prompt_tokens_details\":{\"cached_tokens\":99999}}");
        return;
    }
    TEXT(t, "{\"prompt_tokens\":");
    text_number(t, prompt);
    TEXT(t, ",\"completion_tokens\":");
    text_number(t, output);
    TEXT(t, ",\"total_tokens\":");
    text_number(t, prompt + output);
    TEXT(t, ",\"prompt_tokens_details\":{\"cached_tokens\":");
    text_number(t, job->cached);
    if (writes > 0) {
        TEXT(t, ",\"cache_write_tokens\":");
        text_number(t, writes);
    }
    TEXT(t, "},\"completion_tokens_details\":{\"reasoning_tokens\":");
    text_number(t, job->reasoning_tokens);
    TEXT(t, "}}");
}

static struct bytes finish_reason(const struct job *job)
{
    if (job->length) return BYTES("\"length\"");
    return words_call(job) ? BYTES("\"tool_calls\"") : BYTES("\"stop\"");
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
    else words_answer(core, job, t);
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
        words_put(core, t, job->reasoning_tokens);
        TEXT(t, "\",");
    }
    if (words_call(job)) {
        TEXT(t, "\"content\":null,\"tool_calls\":[{");
        put_call(job, t);
        for (uint32_t i = 0; i < job->text_tokens; i++) text_put(t, words_argument(job, i));
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
    if (job->phase == PHASE_CALL && !words_call(job)) job->phase = PHASE_TEXT;
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
    else if (words_call(job)) {
        part(e, BYTES("\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,"
                      "\"function\":{\"arguments\":\""));
        part(e, words_argument(job, i));
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
        part(e, words_said(job, i));
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
        part(e, words_token(job->token++));
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
