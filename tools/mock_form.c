/* mock_form.c - see mock_form.h.
 *   BEGIN BEGUN | THINK .. THOUGHT.. .. THOUGHT_END | ITEM .. SAY.. .. ITEM_END | FINISH DONE
 * THOUGHT and SAY come once a token; the steps around THOUGHT only where there is reasoning.
 * An event is composed first and framed then, so that a chunk's size is known. */
#include "tools/mock_form.h"
#include "engine/core.h"
#include "tools/mock.h"
#include "tools/mock_text.h"

static const struct form *form_of(const struct job *job)
{
    switch (job->api) {
    case API_MESSAGES: return &messages_form;
    case API_RESPONSES: return &responses_form;
    default:
        assert(job->api == API_GENERATE);
        return &gemini_form;
    }
}

static const char *name_of(const struct job *job)
{
    const struct form *form = form_of(job);
    if (job->step == STEP_FINISH && job->api == API_RESPONSES && job->length) {
        return "response.incomplete";
    }
    return words_call(job) ? form->call[job->step] : form->said[job->step];
}

/* Pass over steps that have nothing to say. */
static void next_step(struct job *job)
{
    uint32_t tokens = job->reasoning_tokens + job->text_tokens;
    for (; job->step < STEP_END; job->step++) {
        bool thinks = job->step >= STEP_THINK && job->step <= STEP_THOUGHT_END;
        if (!name_of(job)) continue;
        if (thinks && job->reasoning_tokens == 0) continue;
        if (job->step == STEP_THOUGHT && job->token >= job->reasoning_tokens) continue;
        if (job->step == STEP_SAY && job->token >= tokens) continue;
        return;
    }
}

bool form_is_token(struct job *job)
{
    next_step(job);
    return job->step == STEP_THOUGHT || job->step == STEP_SAY;
}

static void put_data(struct core *core, struct job *job, struct text *t)
{
    enum form_step step = (enum form_step)job->step;
    if (job->api == API_MESSAGES) messages_data(core, job, step, t);
    else if (job->api == API_RESPONSES) responses_data(core, job, step, t);
    else gemini_data(core, job, step, t);
}

/* An event's data, framed. Gemini without alt=sse: an entry of a JSON array. */
static void put_framed(struct job *job, struct text *t, struct text *data, const char *name)
{
    const struct form *form = form_of(job);
    struct bytes before = job->array ? (job->events ? BYTES(",\r\n") : BYTES("["))
                                     : BYTES("data: ");
    struct bytes after = form->crlf ? BYTES("\r\n\r\n") : BYTES("\n\n");
    if (job->array) after = job->step == STEP_END ? BYTES("]") : BYTES("");
    uint64_t bytes = data->to->bytes + data->len + before.len + after.len;
    if (form->named) bytes += sizeof "event: \n" - 1 + strlen(name);
    if (job->framed) {
        bool long_chunk = job->step == STEP_END && script_has(&job->script, SCRIPT_LEN);
        text_hex(t, bytes + (long_chunk ? 4096 : 0));
        TEXT(t, "\r\n");
    }
    if (form->named) {
        TEXT(t, "event: ");
        text_put(t, bytes_of(name));
        TEXT(t, "\n");
    }
    text_put(t, before);
    text_flush(data);
    text_move(t, data->to);
    text_put(t, after);
    if (job->framed) TEXT(t, "\r\n");
    if (data->failed) t->failed = true;
    job->events++;
}

static struct text data_text(struct core *core, struct chain *chain)
{
    return (struct text){.mem = &core->mem, .to = chain, .buf = core->scratch_2,
                         .room = CORE_SCRATCH};
}

void form_event(struct core *core, struct job *job, struct text *t)
{
    struct chain chain = {0};
    struct text data = data_text(core, &chain);
    next_step(job);
    assert(job->step < STEP_END);
    const char *name = name_of(job);
    put_data(core, job, &data);
    if (job->step != STEP_THOUGHT && job->step != STEP_SAY) job->step++;
    next_step(job);
    if (job->step == STEP_END) job->phase = PHASE_END;
    put_framed(job, t, &data, name);
}

void form_error(struct core *core, struct job *job, struct text *t)
{
    struct chain chain = {0};
    struct text data = data_text(core, &chain);
    switch (job->api) {
    case API_MESSAGES:
        TEXT(&data, "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
                    "\"message\":\"the script asks for an error\"},\"request_id\":null}");
        break;
    case API_RESPONSES:
        TEXT(&data, "{\"type\":\"error\",\"sequence_number\":");
        text_number(&data, job->events);
        TEXT(&data, ",\"code\":\"server_error\","
                    "\"message\":\"the script asks for an error\",\"param\":null}");
        break;
    default:
        TEXT(&data, "{\"error\":{\"code\":503,\"message\":\"the script asks for an error\","
                    "\"status\":\"UNAVAILABLE\"}}");
        break;
    }
    job->step = STEP_END;
    put_framed(job, t, &data, "error");
}

void form_garbage(struct core *core, struct job *job, struct text *t)
{
    struct chain chain = {0};
    struct text data = data_text(core, &chain);
    TEXT(&data, "{\"type\":\"garbage\",\"delta\":");
    put_framed(job, t, &data, "garbage");
}

void form_whole(struct core *core, struct job *job, struct text *t)
{
    if (job->api == API_MESSAGES) messages_whole(core, job, t);
    else if (job->api == API_RESPONSES) responses_whole(core, job, t);
    else gemini_whole(core, job, t);
}

void form_text(struct core *core, const struct job *job, struct text *t)
{
    uint32_t at = job->content.first, left = job->content.count;
    struct bytes piece;
    if (words_call(job)) {
        for (uint32_t i = 0; i < job->text_tokens; i++) text_put(t, words_argument(job, i));
    } else if (left > 0) {
        while (chain_next(&core->mem, &at, &left, &piece)) text_put(t, piece);
    } else {
        words_answer(core, job, t);
    }
}

void form_token(struct core *core, struct job *job, struct text *t)
{
    uint32_t i = job->token - job->reasoning_tokens;
    if (job->token < job->reasoning_tokens) {
        text_put(t, words_token(job->token++));
    } else if (words_call(job)) {
        text_put(t, words_argument(job, i));
        job->token++;
    } else if (job->content.count > 0) {
        form_text(core, job, t);
        job->token += job->text_tokens;
    } else {
        text_put(t, words_said(job, i));
        job->token++;
    }
}

void form_count(struct text *t, struct bytes name, uint64_t n)
{
    TEXT(t, ",\"");
    text_put(t, name);
    TEXT(t, "\":");
    text_number(t, n);
}
