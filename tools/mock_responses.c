/* mock_responses.c - OpenAI Responses, whole and as events; see mock_form.h. What was said in
 * pieces is said again when its part, its item and the response are done, as the real one
 * does. */
#include "tools/mock.h"
#include "tools/mock_form.h"
#include "tools/mock_text.h"

#define THINKS \
    [STEP_THINK] = "response.output_item.added", \
    [STEP_THINK_PART] = "response.reasoning_summary_part.added", \
    [STEP_THOUGHT] = "response.reasoning_summary_text.delta", \
    [STEP_THOUGHT_SAID] = "response.reasoning_summary_text.done", \
    [STEP_THOUGHT_PART] = "response.reasoning_summary_part.done", \
    [STEP_THOUGHT_END] = "response.output_item.done"

const struct form responses_form = {
    .said = {[STEP_BEGIN] = "response.created", [STEP_BEGUN] = "response.in_progress", THINKS,
             [STEP_ITEM] = "response.output_item.added",
             [STEP_PART] = "response.content_part.added",
             [STEP_SAY] = "response.output_text.delta",
             [STEP_SAID] = "response.output_text.done",
             [STEP_SAID_PART] = "response.content_part.done",
             [STEP_ITEM_END] = "response.output_item.done",
             [STEP_FINISH] = "response.completed"},
    .call = {[STEP_BEGIN] = "response.created", [STEP_BEGUN] = "response.in_progress", THINKS,
             [STEP_ITEM] = "response.output_item.added",
             [STEP_SAY] = "response.function_call_arguments.delta",
             [STEP_SAID] = "response.function_call_arguments.done",
             [STEP_ITEM_END] = "response.output_item.done",
             [STEP_FINISH] = "response.completed"},
    .named = true,
};

static void put_id(const struct job *job, struct text *t, struct bytes prefix)
{
    TEXT(t, "\"");
    text_put(t, prefix);
    text_put(t, (struct bytes){job->id, MOCK_ID});
    TEXT(t, "\"");
}

static void put_item_id(const struct job *job, struct text *t, bool thinks)
{
    put_id(job, t, thinks ? BYTES("rs_") : words_call(job) ? BYTES("fc_") : BYTES("msg_"));
}

static void put_summary(struct core *core, const struct job *job, struct text *t)
{
    TEXT(t, "{\"type\":\"summary_text\",\"text\":\"");
    words_put(core, t, job->reasoning_tokens);
    TEXT(t, "\"}");
}

static void put_part(struct core *core, const struct job *job, struct text *t)
{
    TEXT(t, "{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":\"");
    if (job) form_text(core, job, t);
    TEXT(t, "\"}");
}

/* An item of the output; done: with what it holds. */
static void put_item(struct core *core, const struct job *job, struct text *t, bool thinks,
                     bool done)
{
    TEXT(t, "{\"id\":");
    put_item_id(job, t, thinks);
    if (thinks) {
        TEXT(t, ",\"type\":\"reasoning\",\"summary\":[");
        if (done) put_summary(core, job, t);
        TEXT(t, "]}");
        return;
    }
    text_put(t, words_call(job) ? BYTES(",\"type\":\"function_call\"")
                                : BYTES(",\"type\":\"message\",\"role\":\"assistant\""));
    text_put(t, !done ? BYTES(",\"status\":\"in_progress\"")
                      : job->length ? BYTES(",\"status\":\"incomplete\"")
                                    : BYTES(",\"status\":\"completed\""));
    if (words_call(job)) {
        TEXT(t, ",\"call_id\":");
        put_id(job, t, BYTES("call_"));
        TEXT(t, ",\"name\":\"");
        text_put(t, (struct bytes){job->tool, job->tool_len});
        TEXT(t, "\",\"arguments\":\"");
        if (done) form_text(core, job, t);
        TEXT(t, "\"}");
    } else {
        TEXT(t, ",\"content\":[");
        if (done) put_part(core, job, t);
        TEXT(t, "]}");
    }
}

static void put_usage(const struct job *job, struct text *t)
{
    uint64_t writes = (uint64_t)job->cache_write + job->cache_write_1h;
    uint64_t input = job->prompt_tokens + job->cached + writes;
    uint64_t output = (uint64_t)job->reasoning_tokens + job->text_tokens;
    if (script_has(&job->script, SCRIPT_BADUSAGE)) {
        TEXT(t, "{\"input_tokens\":-7,\"output_tokens\":9223372036854775808,"
                "\"total_tokens\":1e300,\"input_tokens_details\":{\"cached_tokens\":99999}}");
        return;
    }
    TEXT(t, "{\"input_tokens\":");
    text_number(t, input);
    TEXT(t, ",\"input_tokens_details\":{\"cached_tokens\":");
    text_number(t, job->cached);
    if (writes > 0) form_count(t, BYTES("cache_write_tokens"), writes);
    TEXT(t, "}");
    form_count(t, BYTES("output_tokens"), output);
    TEXT(t, ",\"output_tokens_details\":{\"reasoning_tokens\":");
    text_number(t, job->reasoning_tokens);
    TEXT(t, "}");
    form_count(t, BYTES("total_tokens"), input + output);
    TEXT(t, "}");
}

/* The response itself; done: with its output and usage. */
static void put_response(struct core *core, const struct job *job, struct text *t, bool done)
{
    TEXT(t, "{\"id\":");
    put_id(job, t, BYTES("resp_"));
    TEXT(t, ",\"object\":\"response\"");
    form_count(t, BYTES("created_at"), job->created_s);
    TEXT(t, ",\"status\":");
    text_put(t, !done ? BYTES("\"in_progress\"")
                      : job->length ? BYTES("\"incomplete\"") : BYTES("\"completed\""));
    TEXT(t, ",\"error\":null,\"incomplete_details\":");
    text_put(t, done && job->length ? BYTES("{\"reason\":\"max_output_tokens\"}")
                                    : BYTES("null"));
    TEXT(t, ",\"instructions\":null,\"max_output_tokens\":null,\"model\":");
    text_put(t, (struct bytes){job->model, job->model_len});
    TEXT(t, ",\"output\":[");
    if (done && job->reasoning_tokens > 0) {
        put_item(core, job, t, true, true);
        TEXT(t, ",");
    }
    if (done) put_item(core, job, t, false, true);
    TEXT(t, "],\"parallel_tool_calls\":true,\"previous_response_id\":null,"
            "\"store\":false,\"temperature\":1,\"text\":{\"format\":{\"type\":\"text\"}},"
            "\"tool_choice\":\"auto\",\"tools\":[],\"top_p\":1,\"truncation\":\"disabled\","
            "\"usage\":");
    if (done && !script_has(&job->script, SCRIPT_NOUSAGE)) put_usage(job, t);
    else TEXT(t, "null");
    TEXT(t, ",\"user\":null,\"metadata\":{}}");
}

/* Where in the output, and in the item, an event is. */
static void put_place(const struct job *job, enum form_step step, struct text *t)
{
    bool thinks = step < STEP_ITEM;
    form_count(t, BYTES("output_index"), job->reasoning_tokens > 0 && !thinks);
    if (step == STEP_ITEM || step == STEP_ITEM_END || step == STEP_THINK ||
        step == STEP_THOUGHT_END) {
        TEXT(t, ",\"item\":");
        return;
    }
    TEXT(t, ",\"item_id\":");
    put_item_id(job, t, thinks);
    if (thinks) TEXT(t, ",\"summary_index\":0");
    else if (!words_call(job)) TEXT(t, ",\"content_index\":0");
}

/* What an event of an item says, behind its place. */
static void put_inside(struct core *core, struct job *job, enum form_step step, struct text *t)
{
    switch (step) {
    case STEP_THINK: put_item(core, job, t, true, false); break;
    case STEP_THOUGHT_END: put_item(core, job, t, true, true); break;
    case STEP_ITEM: put_item(core, job, t, false, false); break;
    case STEP_ITEM_END: put_item(core, job, t, false, true); break;
    case STEP_THINK_PART:
        TEXT(t, ",\"part\":{\"type\":\"summary_text\",\"text\":\"\"}");
        break;
    case STEP_THOUGHT_PART: TEXT(t, ",\"part\":"), put_summary(core, job, t); break;
    case STEP_PART: TEXT(t, ",\"part\":"), put_part(core, NULL, t); break;
    case STEP_SAID_PART: TEXT(t, ",\"part\":"), put_part(core, job, t); break;
    case STEP_THOUGHT_SAID:
        TEXT(t, ",\"text\":\"");
        words_put(core, t, job->reasoning_tokens);
        TEXT(t, "\"");
        break;
    case STEP_SAID:
        text_put(t, words_call(job) ? BYTES(",\"arguments\":\"") : BYTES(",\"text\":\""));
        form_text(core, job, t);
        TEXT(t, "\"");
        break;
    default:
        assert(step == STEP_THOUGHT || step == STEP_SAY);
        TEXT(t, ",\"delta\":\"");
        form_token(core, job, t);
        TEXT(t, "\"");
        break;
    }
}

void responses_data(struct core *core, struct job *job, enum form_step step, struct text *t)
{
    const struct form *form = &responses_form;
    const char *name = words_call(job) ? form->call[step] : form->said[step];
    if (step == STEP_FINISH && job->length) name = "response.incomplete";
    TEXT(t, "{\"type\":\"");
    text_put(t, bytes_of(name));
    TEXT(t, "\",\"sequence_number\":");
    text_number(t, job->events);
    if (step == STEP_BEGIN || step == STEP_BEGUN || step == STEP_FINISH) {
        TEXT(t, ",\"response\":");
        put_response(core, job, t, step == STEP_FINISH);
    } else {
        put_place(job, step, t);
        put_inside(core, job, step, t);
    }
    TEXT(t, "}");
}

void responses_whole(struct core *core, struct job *job, struct text *t)
{
    put_response(core, job, t, true);
}
