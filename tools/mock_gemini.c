/* mock_gemini.c - Gemini generateContent, whole and as events; see mock_form.h. Every chunk
 * tells usage so far, of which the last counts; a call comes whole, in one chunk. */
#include "tools/mock.h"
#include "tools/mock_form.h"
#include "tools/mock_text.h"

const struct form gemini_form = {
    .said = {[STEP_THOUGHT] = "", [STEP_SAY] = "", [STEP_FINISH] = ""},
    .call = {[STEP_THOUGHT] = "", [STEP_SAY] = "", [STEP_FINISH] = ""},
    .crlf = true,
};

static void put_usage(const struct job *job, struct text *t, uint64_t thoughts, uint64_t said)
{
    uint64_t prompt = (uint64_t)job->prompt_tokens + job->cached;
    if (script_has(&job->script, SCRIPT_NOUSAGE)) return;
    if (script_has(&job->script, SCRIPT_BADUSAGE)) {
        TEXT(t, ",\"usageMetadata\":{\"promptTokenCount\":-7,\"candidatesTokenCount\":"
                "9223372036854775808,\"cachedContentTokenCount\":99999}");
        return;
    }
    TEXT(t, ",\"usageMetadata\":{\"promptTokenCount\":");
    text_number(t, prompt);
    if (said > 0) form_count(t, BYTES("candidatesTokenCount"), said);
    form_count(t, BYTES("totalTokenCount"), prompt + thoughts + said);
    if (job->cached > 0) form_count(t, BYTES("cachedContentTokenCount"), job->cached);
    TEXT(t, ",\"promptTokensDetails\":[{\"modality\":\"TEXT\",\"tokenCount\":");
    text_number(t, prompt);
    TEXT(t, "}]");
    if (thoughts > 0) form_count(t, BYTES("thoughtsTokenCount"), thoughts);
    TEXT(t, "}");
}

static void put_tail(const struct job *job, struct text *t)
{
    TEXT(t, ",\"modelVersion\":");
    text_put(t, (struct bytes){job->model, job->model_len});
    TEXT(t, ",\"responseId\":\"");
    text_put(t, (struct bytes){job->id, MOCK_ID});
    TEXT(t, "\"}");
}

static void put_call(struct core *core, const struct job *job, struct text *t)
{
    TEXT(t, "{\"functionCall\":{\"name\":\"");
    text_put(t, (struct bytes){job->tool, job->tool_len});
    TEXT(t, "\",\"args\":{\"text\":\"");
    words_put(core, t, job->text_tokens > 2 ? job->text_tokens - 2 : 0);
    TEXT(t, "\"}}}");
}

static void put_finish(const struct job *job, struct text *t)
{
    TEXT(t, ",\"finishReason\":");
    if (job->length) TEXT(t, "\"MAX_TOKENS\"");
    else TEXT(t, "\"STOP\"");
}

void gemini_data(struct core *core, struct job *job, enum form_step step, struct text *t)
{
    TEXT(t, "{\"candidates\":[{\"content\":{\"parts\":[");
    if (step == STEP_SAY && words_call(job)) {
        put_call(core, job, t);
        job->token = job->reasoning_tokens + job->text_tokens;
    } else {
        TEXT(t, "{\"text\":\"");
        if (step != STEP_FINISH) form_token(core, job, t);
        TEXT(t, "\"");
        if (step == STEP_THOUGHT) TEXT(t, ",\"thought\":true");
        TEXT(t, "}");
    }
    TEXT(t, "],\"role\":\"model\"}");
    if (step == STEP_FINISH) put_finish(job, t);
    TEXT(t, ",\"index\":0}]");
    uint64_t thoughts = job->token < job->reasoning_tokens ? job->token
                                                           : job->reasoning_tokens;
    put_usage(job, t, thoughts, job->token - thoughts);
    put_tail(job, t);
}

void gemini_whole(struct core *core, struct job *job, struct text *t)
{
    TEXT(t, "{\"candidates\":[{\"content\":{\"parts\":[");
    if (job->reasoning_tokens > 0) {
        TEXT(t, "{\"text\":\"");
        words_put(core, t, job->reasoning_tokens);
        TEXT(t, "\",\"thought\":true},");
    }
    if (words_call(job)) {
        put_call(core, job, t);
    } else {
        TEXT(t, "{\"text\":\"");
        form_text(core, job, t);
        TEXT(t, "\"}");
    }
    TEXT(t, "],\"role\":\"model\"}");
    put_finish(job, t);
    TEXT(t, ",\"index\":0}]");
    put_usage(job, t, job->reasoning_tokens, job->text_tokens);
    put_tail(job, t);
}
