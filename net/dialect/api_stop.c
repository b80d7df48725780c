/* api_stop.c - the proper end of a stream that Weir stops because no more may be spent: what an
 * SDK reads as an answer that its output limit has cut, with the usage that is booked.
 *   chat        {finish_reason: length} | {usage} | [DONE]
 *   Anthropic   content_block_stop | message_delta (max_tokens, usage) | message_stop
 *   Responses   response.incomplete (max_output_tokens, usage); its output is empty: the texts
 *               are what the deltas said, and nobody kept them
 *   Gemini      a chunk (MAX_TOKENS, usage)
 * Rule: ids and names are as the stream wrote them, which the scanner took for strings. */
#include "net/dialect/api_part.h"
#include "net/dialect/api_write.h"
#include "net/jsonw.h"

enum { CHOICES_MAX = 128 };     /* OpenAI's most */

struct events {                 /* written one behind the other */
    char *out;                  /* borrows: the caller's */
    size_t room, len;
    bool full;
};

static void put_text(struct events *e, struct bytes text)
{
    if (text.len > e->room - e->len) e->full = true;
    if (e->full) return;
    memcpy(e->out + e->len, text.ptr, text.len);
    e->len += text.len;
}

/* Begin an event's data. */
static void data_begin(struct events *e, struct jsonw *w)
{
    put_text(e, BYTES("data: "));
    assert(e->len <= e->room);
    jsonw_init(w, e->out + e->len, e->room - e->len);
}

static void data_end(struct events *e, const struct jsonw *w, struct bytes line_ends)
{
    if (w->full) e->full = true;
    if (!e->full) e->len += w->len;
    put_text(e, line_ends);
}

/* A string of the stream, as it was written there. */
static void put_written(struct jsonw *w, const char *text, size_t len)
{
    char quoted[sizeof ((struct api_stream *)0)->text + 2];
    assert(len + 2 <= sizeof quoted);
    quoted[0] = '"';
    memcpy(quoted + 1, text, len);
    quoted[len + 1] = '"';
    jsonw_raw(w, (struct bytes){quoted, len + 2});
}

static void put_id(struct jsonw *w, const char *key, const struct api_stream *s,
                   const char *otherwise)
{
    jsonw_key(w, key);
    if (s->id_len > 0) put_written(w, s->text, s->id_len);
    else jsonw_text(w, otherwise);
}

static void put_model(struct jsonw *w, const char *key, const struct api_stream *s,
                      const struct api_stop *stop)
{
    jsonw_key(w, key);
    if (s->model_len > 0) put_written(w, s->text + sizeof s->text - s->model_len, s->model_len);
    else jsonw_string(w, stop->model);
}

static void put_count(struct jsonw *w, const char *name, uint64_t count)
{
    jsonw_key(w, name);
    jsonw_uint(w, count);
}

static uint64_t prompt_of(const struct api_usage *u)
{
    return (uint64_t)u->input + u->cached + u->cache_write + u->cache_write_1h +
           u->audio_input + u->image_input;
}

static uint64_t output_of(const struct api_usage *u)
{
    return (uint64_t)u->output + u->audio_output;
}

/* cost_nusd -1: none. */
static void put_chat_usage(struct jsonw *w, const struct api_usage *u, int64_t cost_nusd)
{
    uint64_t prompt = prompt_of(u), output = output_of(u);
    jsonw_object(w);
    put_count(w, "prompt_tokens", prompt);
    put_count(w, "completion_tokens", output);
    put_count(w, "total_tokens", prompt + output);
    jsonw_key(w, "prompt_tokens_details"), jsonw_object(w);
    put_count(w, "cached_tokens", u->cached);
    put_count(w, "audio_tokens", u->audio_input);
    uint64_t write = (uint64_t)u->cache_write + u->cache_write_1h;
    if (write > 0) put_count(w, "cache_write_tokens", write);
    if (u->image_input > 0) put_count(w, "image_tokens", u->image_input);
    jsonw_object_end(w);
    jsonw_key(w, "completion_tokens_details"), jsonw_object(w);
    put_count(w, "reasoning_tokens", u->reasoning);
    put_count(w, "audio_tokens", u->audio_output);
    jsonw_object_end(w);
    if (cost_nusd >= 0) jsonw_key(w, "cost"), jsonw_fixed(w, cost_nusd, 9);
    jsonw_object_end(w);
}

static void put_responses_usage(struct jsonw *w, const struct api_usage *u)
{
    uint64_t prompt = prompt_of(u), output = output_of(u);
    uint64_t write = (uint64_t)u->cache_write + u->cache_write_1h;
    jsonw_object(w);
    put_count(w, "input_tokens", prompt);
    jsonw_key(w, "input_tokens_details"), jsonw_object(w);
    put_count(w, "cached_tokens", u->cached);
    if (write > 0) put_count(w, "cache_write_tokens", write);
    jsonw_object_end(w);
    put_count(w, "output_tokens", output);
    jsonw_key(w, "output_tokens_details"), jsonw_object(w);
    put_count(w, "reasoning_tokens", u->reasoning);
    jsonw_object_end(w);
    put_count(w, "total_tokens", prompt + output);
    jsonw_object_end(w);
}

static void put_messages_usage(struct jsonw *w, const struct api_usage *u)
{
    jsonw_object(w);
    put_count(w, "input_tokens", (uint64_t)u->input + u->audio_input + u->image_input);
    put_count(w, "cache_creation_input_tokens", (uint64_t)u->cache_write + u->cache_write_1h);
    put_count(w, "cache_read_input_tokens", u->cached);
    jsonw_key(w, "cache_creation"), jsonw_object(w);
    put_count(w, "ephemeral_5m_input_tokens", u->cache_write);
    put_count(w, "ephemeral_1h_input_tokens", u->cache_write_1h);
    jsonw_object_end(w);
    put_count(w, "output_tokens", output_of(u));
    jsonw_object_end(w);
}

static void put_detail(struct jsonw *w, const char *modality, uint32_t count)
{
    if (count == 0) return;
    jsonw_object(w);
    jsonw_key(w, "modality"), jsonw_text(w, modality);
    put_count(w, "tokenCount", count);
    jsonw_object_end(w);
}

static void put_generate_usage(struct jsonw *w, const struct api_usage *u)
{
    uint64_t prompt = prompt_of(u), output = output_of(u);
    uint64_t thought = u->reasoning < output ? u->reasoning : output;
    jsonw_object(w);
    put_count(w, "promptTokenCount", prompt);
    put_count(w, "candidatesTokenCount", output - thought);
    put_count(w, "totalTokenCount", prompt + output);
    if (u->cached > 0) put_count(w, "cachedContentTokenCount", u->cached);
    if (thought > 0) put_count(w, "thoughtsTokenCount", thought);
    if (u->audio_input > 0 || u->image_input > 0) {
        jsonw_key(w, "promptTokensDetails"), jsonw_array(w);
        put_detail(w, "AUDIO", u->audio_input);
        put_detail(w, "IMAGE", u->image_input);
        jsonw_array_end(w);
    }
    if (u->audio_output > 0) {
        jsonw_key(w, "candidatesTokensDetails"), jsonw_array(w);
        put_detail(w, "AUDIO", u->audio_output);
        jsonw_array_end(w);
    }
    jsonw_object_end(w);
}

static unsigned choices_of(const struct api_stop *stop)
{
    if (stop->choices == 0) return 1;
    return stop->choices < CHOICES_MAX ? stop->choices : CHOICES_MAX;
}

static void chunk_begin(struct jsonw *w, enum api api, const struct api_stream *s,
                        const struct api_stop *stop)
{
    bool chat = api == API_CHAT;
    jsonw_object(w);
    put_id(w, "id", s, chat ? "chatcmpl-stopped" : "cmpl-stopped");
    jsonw_key(w, "object");
    jsonw_text(w, chat ? "chat.completion.chunk" : "text_completion");
    jsonw_key(w, "created"), jsonw_int(w, s->created);
    put_model(w, "model", s, stop);
    jsonw_key(w, "choices"), jsonw_array(w);
}

static void stop_chat(struct events *e, enum api api, const struct api_stream *s,
                      const struct api_stop *stop)
{
    struct jsonw w;
    data_begin(e, &w);
    chunk_begin(&w, api, s, stop);
    for (unsigned i = 0; i < choices_of(stop); i++) {
        jsonw_object(&w);
        put_count(&w, "index", i);
        if (api == API_CHAT) jsonw_key(&w, "delta"), jsonw_object(&w), jsonw_object_end(&w);
        else jsonw_key(&w, "text"), jsonw_text(&w, "");
        jsonw_key(&w, "logprobs"), jsonw_null(&w);
        jsonw_key(&w, "finish_reason"), jsonw_text(&w, "length");
        jsonw_object_end(&w);
    }
    jsonw_array_end(&w), jsonw_object_end(&w);
    data_end(e, &w, BYTES("\n\n"));
    if (stop->want_usage) {
        data_begin(e, &w);
        chunk_begin(&w, api, s, stop);
        jsonw_array_end(&w);
        jsonw_key(&w, "usage"), put_chat_usage(&w, &stop->usage, stop->cost_nusd);
        jsonw_object_end(&w);
        data_end(e, &w, BYTES("\n\n"));
    }
    put_text(e, BYTES("data: [DONE]\n\n"));
}

static void stop_messages(struct events *e, const struct api_stream *s,
                          const struct api_stop *stop)
{
    struct jsonw w;
    if (s->flags & API_STREAM_OPEN) {
        put_text(e, BYTES("event: content_block_stop\n"));
        data_begin(e, &w);
        jsonw_object(&w);
        jsonw_key(&w, "type"), jsonw_text(&w, "content_block_stop");
        put_count(&w, "index", s->block);
        jsonw_object_end(&w);
        data_end(e, &w, BYTES("\n\n"));
    }
    put_text(e, BYTES("event: message_delta\n"));
    data_begin(e, &w);
    jsonw_object(&w);
    jsonw_key(&w, "type"), jsonw_text(&w, "message_delta");
    jsonw_key(&w, "delta"), jsonw_object(&w);
    jsonw_key(&w, "stop_reason"), jsonw_text(&w, "max_tokens");
    jsonw_key(&w, "stop_sequence"), jsonw_null(&w);
    jsonw_object_end(&w);
    jsonw_key(&w, "usage"), put_messages_usage(&w, &stop->usage);
    jsonw_object_end(&w);
    data_end(e, &w, BYTES("\n\n"));
    put_text(e, BYTES("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"));
}

static void stop_responses(struct events *e, const struct api_stream *s,
                           const struct api_stop *stop)
{
    struct jsonw w;
    put_text(e, BYTES("event: response.incomplete\n"));
    data_begin(e, &w);
    jsonw_object(&w);
    jsonw_key(&w, "type"), jsonw_text(&w, "response.incomplete");
    if (s->flags & API_STREAM_NUMBERED) put_count(&w, "sequence_number", s->sequence);
    jsonw_key(&w, "response"), jsonw_object(&w);
    put_id(&w, "id", s, "resp_stopped");
    jsonw_key(&w, "object"), jsonw_text(&w, "response");
    jsonw_key(&w, "created_at"), jsonw_int(&w, s->created);
    jsonw_key(&w, "status"), jsonw_text(&w, "incomplete");
    jsonw_key(&w, "error"), jsonw_null(&w);
    jsonw_key(&w, "incomplete_details"), jsonw_object(&w);
    jsonw_key(&w, "reason"), jsonw_text(&w, "max_output_tokens");
    jsonw_object_end(&w);
    jsonw_key(&w, "instructions"), jsonw_null(&w);
    jsonw_key(&w, "metadata"), jsonw_object(&w), jsonw_object_end(&w);
    put_model(&w, "model", s, stop);
    jsonw_key(&w, "output"), jsonw_array(&w), jsonw_array_end(&w);
    jsonw_key(&w, "parallel_tool_calls"), jsonw_bool(&w, true);
    jsonw_key(&w, "tool_choice"), jsonw_text(&w, "auto");
    jsonw_key(&w, "tools"), jsonw_array(&w), jsonw_array_end(&w);
    jsonw_key(&w, "usage"), put_responses_usage(&w, &stop->usage);
    jsonw_object_end(&w), jsonw_object_end(&w);
    data_end(e, &w, BYTES("\n\n"));
}

static void stop_generate(struct events *e, const struct api_stream *s,
                          const struct api_stop *stop)
{
    struct jsonw w;
    data_begin(e, &w);
    jsonw_object(&w);
    jsonw_key(&w, "candidates"), jsonw_array(&w);
    for (unsigned i = 0; i < choices_of(stop); i++) {
        jsonw_object(&w);
        jsonw_key(&w, "content"), jsonw_object(&w);
        jsonw_key(&w, "parts"), jsonw_array(&w), jsonw_object(&w);
        jsonw_key(&w, "text"), jsonw_text(&w, "");
        jsonw_object_end(&w), jsonw_array_end(&w);
        jsonw_key(&w, "role"), jsonw_text(&w, "model");
        jsonw_object_end(&w);
        jsonw_key(&w, "finishReason"), jsonw_text(&w, "MAX_TOKENS");
        put_count(&w, "index", i);
        jsonw_object_end(&w);
    }
    jsonw_array_end(&w);
    jsonw_key(&w, "usageMetadata"), put_generate_usage(&w, &stop->usage);
    put_model(&w, "modelVersion", s, stop);
    if (s->id_len > 0) put_id(&w, "responseId", s, "");
    jsonw_object_end(&w);
    data_end(e, &w, BYTES("\r\n\r\n"));  /* as Google ends its lines */
}

size_t api_stream_stop(enum api api, const struct api_stream *s, const struct api_stop *stop,
                       char *out, size_t room)
{
    struct events e = {.out = out, .room = room};
    assert(!api_is_textless(api));
    assert(api != API_COUNT_TOKENS && api < API_GENERATE_COUNT);
    switch (api_form(api)) {
    case API_FORM_OPENAI: stop_chat(&e, api, s, stop); break;
    case API_FORM_RESPONSES: stop_responses(&e, s, stop); break;
    case API_FORM_MESSAGES: stop_messages(&e, s, stop); break;
    case API_FORM_GENERATE: stop_generate(&e, s, stop); break;
    case API_FORM_CONVERSE: case API_FORM_COHERE: break;    /* no client's */
    }
    assert(e.len <= room);
    return e.full ? 0 : e.len;
}

size_t api_usage_json(enum api api, const struct api_usage *usage, char *out, size_t room)
{
    struct jsonw w;
    jsonw_init(&w, out, room);
    switch (api_form(api)) {
    case API_FORM_OPENAI: put_chat_usage(&w, usage, -1); break;
    case API_FORM_RESPONSES: put_responses_usage(&w, usage); break;
    case API_FORM_MESSAGES: put_messages_usage(&w, usage); break;
    case API_FORM_GENERATE: put_generate_usage(&w, usage); break;
    case API_FORM_CONVERSE: case API_FORM_COHERE: return 0;     /* no client's */
    }
    assert(w.full || w.len > 2);
    return w.full ? 0 : w.len;
}
