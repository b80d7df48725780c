/* mock_messages.c - Anthropic Messages, whole and as events; see mock_form.h. The input is told
 * when the message starts, the output when it ends, as the real one does. */
#include "tools/mock.h"
#include "tools/mock_form.h"
#include "tools/mock_text.h"

const struct form messages_form = {
    .said = {[STEP_BEGIN] = "message_start", [STEP_BEGUN] = "ping",
             [STEP_THINK] = "content_block_start", [STEP_THOUGHT] = "content_block_delta",
             [STEP_THOUGHT_SAID] = "content_block_delta",
             [STEP_THOUGHT_END] = "content_block_stop",
             [STEP_ITEM] = "content_block_start", [STEP_SAY] = "content_block_delta",
             [STEP_ITEM_END] = "content_block_stop", [STEP_FINISH] = "message_delta",
             [STEP_DONE] = "message_stop"},
    .call = {[STEP_BEGIN] = "message_start", [STEP_BEGUN] = "ping",
             [STEP_THINK] = "content_block_start", [STEP_THOUGHT] = "content_block_delta",
             [STEP_THOUGHT_SAID] = "content_block_delta",
             [STEP_THOUGHT_END] = "content_block_stop",
             [STEP_ITEM] = "content_block_start", [STEP_SAY] = "content_block_delta",
             [STEP_ITEM_END] = "content_block_stop", [STEP_FINISH] = "message_delta",
             [STEP_DONE] = "message_stop"},
    .named = true,
};

static void put_reason(const struct job *job, struct text *t)
{
    TEXT(t, "\"stop_reason\":");
    if (job->length) TEXT(t, "\"max_tokens\"");
    else if (words_call(job)) TEXT(t, "\"tool_use\"");
    else TEXT(t, "\"end_turn\"");
    TEXT(t, ",\"stop_sequence\":null");
}

/* What the prompt cost; output: as far as it is known. */
static void put_usage(const struct job *job, struct text *t, uint64_t output)
{
    if (script_has(&job->script, SCRIPT_BADUSAGE)) {
        TEXT(t, ",\"usage\":{\"input_tokens\":-7,\"cache_read_input_tokens\":1.5,"
                "\"output_tokens\":9223372036854775808}");
        return;
    }
    TEXT(t, ",\"usage\":{\"input_tokens\":");
    text_number(t, job->prompt_tokens);
    form_count(t, BYTES("cache_creation_input_tokens"),
               (uint64_t)job->cache_write + job->cache_write_1h);
    form_count(t, BYTES("cache_read_input_tokens"), job->cached);
    TEXT(t, ",\"cache_creation\":{\"ephemeral_5m_input_tokens\":");
    text_number(t, job->cache_write);
    form_count(t, BYTES("ephemeral_1h_input_tokens"), job->cache_write_1h);
    TEXT(t, "}");
    form_count(t, BYTES("output_tokens"), output);
    TEXT(t, ",\"service_tier\":\"standard\"}");
}

static void put_lead(const struct job *job, struct text *t)
{
    TEXT(t, "{\"id\":\"msg_");
    text_put(t, (struct bytes){job->id, MOCK_ID});
    TEXT(t, "\",\"type\":\"message\",\"role\":\"assistant\",\"model\":");
    text_put(t, (struct bytes){job->model, job->model_len});
    TEXT(t, ",\"content\":[");
}

/* The members of a call up to its input. */
static void put_call(const struct job *job, struct text *t)
{
    TEXT(t, "{\"type\":\"tool_use\",\"id\":\"toolu_");
    text_put(t, (struct bytes){job->id, MOCK_ID});
    TEXT(t, "\",\"name\":\"");
    text_put(t, (struct bytes){job->tool, job->tool_len});
    TEXT(t, "\",\"input\":");
}

static void put_index(const struct job *job, struct text *t, bool thinks)
{
    TEXT(t, ",\"index\":");
    text_number(t, job->reasoning_tokens > 0 && !thinks);
}

/* A delta of this block. */
static void put_delta(struct core *core, struct job *job, enum form_step step, struct text *t)
{
    put_index(job, t, step < STEP_ITEM);
    if (step == STEP_THOUGHT_SAID) {
        TEXT(t, ",\"delta\":{\"type\":\"signature_delta\",\"signature\":\"bW9jaw==\"}}");
        return;
    }
    if (step == STEP_THOUGHT) {
        TEXT(t, ",\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"");
    } else if (words_call(job)) {
        TEXT(t, ",\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"");
    } else {
        TEXT(t, ",\"delta\":{\"type\":\"text_delta\",\"text\":\"");
    }
    form_token(core, job, t);
    TEXT(t, "\"}}");
}

void messages_data(struct core *core, struct job *job, enum form_step step, struct text *t)
{
    bool usage = !script_has(&job->script, SCRIPT_NOUSAGE);
    TEXT(t, "{\"type\":\"");
    text_put(t, bytes_of(messages_form.said[step]));
    TEXT(t, "\"");
    switch (step) {
    case STEP_BEGIN:
        TEXT(t, ",\"message\":");
        put_lead(job, t);
        TEXT(t, "],\"stop_reason\":null,\"stop_sequence\":null");
        if (usage) put_usage(job, t, 1);
        TEXT(t, "}}");
        break;
    case STEP_THINK:
        put_index(job, t, true);
        TEXT(t, ",\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\","
                "\"signature\":\"\"}}");
        break;
    case STEP_ITEM:
        put_index(job, t, false);
        TEXT(t, ",\"content_block\":");
        if (words_call(job)) put_call(job, t), TEXT(t, "{}}}");
        else TEXT(t, "{\"type\":\"text\",\"text\":\"\"}}");
        break;
    case STEP_THOUGHT: case STEP_THOUGHT_SAID: case STEP_SAY:
        put_delta(core, job, step, t);
        break;
    case STEP_THOUGHT_END: case STEP_ITEM_END:
        put_index(job, t, step == STEP_THOUGHT_END);
        TEXT(t, "}");
        break;
    case STEP_FINISH:
        TEXT(t, ",\"delta\":{");
        put_reason(job, t);
        TEXT(t, "},\"usage\":{\"output_tokens\":");
        if (script_has(&job->script, SCRIPT_BADUSAGE)) TEXT(t, "-");
        text_number(t, usage ? (uint64_t)job->reasoning_tokens + job->text_tokens : 0);
        TEXT(t, "}}");
        break;
    default: TEXT(t, "}"); break;
    }
}

void messages_whole(struct core *core, struct job *job, struct text *t)
{
    put_lead(job, t);
    if (job->reasoning_tokens > 0) {
        TEXT(t, "{\"type\":\"thinking\",\"thinking\":\"");
        words_put(core, t, job->reasoning_tokens);
        TEXT(t, "\",\"signature\":\"bW9jaw==\"},");
    }
    if (words_call(job)) {
        put_call(job, t);
        TEXT(t, "{\"text\":\"");
        words_put(core, t, job->text_tokens > 2 ? job->text_tokens - 2 : 0);
        TEXT(t, "\"}}],");
    } else {
        TEXT(t, "{\"type\":\"text\",\"text\":\"");
        form_text(core, job, t);
        TEXT(t, "\"}],");
    }
    put_reason(job, t);
    if (!script_has(&job->script, SCRIPT_NOUSAGE)) {
        put_usage(job, t, (uint64_t)job->reasoning_tokens + job->text_tokens);
    }
    TEXT(t, "}");
}
