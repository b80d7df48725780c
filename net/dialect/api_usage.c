/* api_usage.c - usage objects as disjoint counts.
 * OpenAI: prompt_tokens includes cached and audio tokens, completion_tokens includes audio
 * and reasoning tokens; the details say how many. xAI counts reasoning on top of
 * completion_tokens, and total_tokens shows it. DeepSeek, Moonshot and Together put the
 * cached tokens elsewhere. Embeddings have no completion_tokens, Voyage's only a total; of
 * prompt, completion and total any two tell the third.
 * Rule: a provider is not believed. What cannot be is clamped and marked absurd. */
#include "net/dialect/api_part.h"

static const int64_t COUNT_MAX = INT64_C(1) << 31;  /* tokens of one kind in one answer */

enum { PROMPT = 1 << API_COUNT_PROMPT, COMPLETION = 1 << API_COUNT_COMPLETION,
       TOTAL = 1 << API_COUNT_TOTAL, THOUGHTS = 1 << API_COUNT_REASONING };

void api_fold_begin(struct api_fold *f)
{
    *f = (struct api_fold){0};
    static_assert(API_COUNTS <= COUNT(f->count), "a slot each");
    assert(f->seen == 0);
}

/* A JSON number as a count of tokens; *fair turns false where it is none. 12.0 is 12. */
static int64_t count_of(struct bytes text, bool *fair)
{
    int64_t value = 0;
    size_t i = 0;
    if (text.len > 0 && text.ptr[0] == '-') {
        *fair = bytes_eq(text, BYTES("-0"));
        return 0;
    }
    for (; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++) {
        if (value <= COUNT_MAX) value = value * 10 + (text.ptr[i] - '0');
    }
    for (; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '.' || c == '0') continue;
        *fair = false;
        if (byte_lower(c) == 'e') return 0;  /* no provider writes counts so */
    }
    if (value > COUNT_MAX) *fair = false;
    return value > COUNT_MAX ? COUNT_MAX : value;
}

void api_fold_take(struct api_fold *f, enum api_count which,
                      const struct json_token *t)
{
    assert(which < API_COUNTS);
    if (t->type == JSON_NULL) return;
    bool fair = t->type == JSON_NUMBER && t->text.len <= JSON_TEXT_MAX;  /* cut or not */
    f->count[which] = fair ? count_of(t->text, &fair) : 0;
    f->seen |= 1u << which;
    if (!fair) f->absurd = true;
}

/* Take up to want out of *left; more than there is cannot be. */
static uint32_t share(int64_t *left, int64_t want, bool *absurd)
{
    assert(*left >= 0);
    assert(want >= 0);
    if (want > *left) {
        want = *left;
        *absurd = true;
    }
    *left -= want;
    return (uint32_t)want;
}

static int64_t max_of(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* The prompt, where only what else is in the sum (0: nothing) and perhaps the sum were told. */
static int64_t missing(const struct api_fold *f, int64_t rest, bool *absurd)
{
    int64_t total = f->count[API_COUNT_TOTAL];
    assert(!(f->seen & PROMPT));
    if ((f->seen & TOTAL) && total >= rest) return total - rest;
    *absurd = true;
    return 0;
}

/* The same, where what is wanted may lie in what was taken before: cached tokens have a kind of
 * their own, images and sound or not. More than the whole cannot be. */
static uint32_t share_rest(int64_t *left, int64_t want, int64_t whole, bool *absurd)
{
    if (want > whole) *absurd = true;
    return share(left, want < *left ? want : *left, absurd);
}

static int64_t sum_of(int64_t a, int64_t b, bool *absurd)
{
    assert(a >= 0 && a <= COUNT_MAX);
    assert(b >= 0 && b <= COUNT_MAX);
    if (a + b <= COUNT_MAX) return a + b;
    *absurd = true;
    return COUNT_MAX;
}

static void settle_openai(const struct api_fold *f, struct api_usage *out)
{
    const int64_t *c = f->count;
    int64_t prompt = c[API_COUNT_PROMPT], completion = c[API_COUNT_COMPLETION];
    int64_t total = c[API_COUNT_TOTAL];
    *out = (struct api_usage){.present = f->seen & (PROMPT | COMPLETION | TOTAL),
                                .absurd = f->absurd};
    if (!out->present) return;
    if (!(f->seen & PROMPT)) prompt = missing(f, completion, &out->absurd);
    else if (!(f->seen & COMPLETION) && total > prompt) completion = total - prompt;
    int64_t whole = prompt;
    int64_t cached = max_of(max_of(c[API_COUNT_CACHED], c[API_COUNT_CACHED_ROOT]),
                            c[API_COUNT_CACHE_HIT]);
    int64_t reasoning = max_of(c[API_COUNT_REASONING], c[API_COUNT_REASONING_ROOT]);
    if (reasoning > 0 && total == prompt + completion + reasoning) {
        completion = sum_of(completion, reasoning, &out->absurd);  /* xAI */
    }
    int64_t written = completion;  /* reasoning is a part, not a kind */
    out->reasoning = share(&written, reasoning, &out->absurd);
    out->cached = share(&prompt, cached, &out->absurd);
    out->cache_write = share(&prompt, c[API_COUNT_CACHE_WRITE], &out->absurd);
    out->audio_input = share(&prompt, c[API_COUNT_AUDIO_IN], &out->absurd);
    out->image_input = share_rest(&prompt, c[API_COUNT_IMAGE_IN], whole, &out->absurd);
    out->input = (uint32_t)prompt;
    out->audio_output = share(&completion, c[API_COUNT_AUDIO_OUT], &out->absurd);
    out->output = (uint32_t)completion;
}

/* Of one modality: what is in the prompt but not in its cached part. */
static int64_t fresh(int64_t all, int64_t cached, bool *absurd)
{
    if (cached <= all) return all - cached;
    *absurd = true;
    return 0;
}

/* Gemini: promptTokenCount includes cached tokens, but not what tools put in; thoughts are not
 * in candidatesTokenCount. The details tell modalities of the whole prompt and of what of it
 * was cached. */
static void settle_generate(const struct api_fold *f, struct api_usage *out)
{
    const int64_t *c = f->count;
    int64_t prompt = c[API_COUNT_PROMPT], written = c[API_COUNT_COMPLETION];
    bool *absurd = &out->absurd;
    *out = (struct api_usage){.present = f->seen & (PROMPT | COMPLETION | THOUGHTS | TOTAL),
                              .absurd = f->absurd};
    if (!out->present) return;
    if (!(f->seen & PROMPT)) {
        int64_t rest = written + c[API_COUNT_REASONING] + c[API_COUNT_TOOL_PROMPT];
        prompt = missing(f, rest, absurd);
    }
    int64_t whole = prompt;
    int64_t audio = fresh(c[API_COUNT_AUDIO_IN], c[API_COUNT_AUDIO_CACHED], absurd);
    int64_t image = fresh(c[API_COUNT_IMAGE_IN], c[API_COUNT_IMAGE_CACHED], absurd);
    out->cached = share(&prompt, c[API_COUNT_CACHED], absurd);
    out->audio_input = share_rest(&prompt, audio, whole, absurd);
    out->image_input = share_rest(&prompt, image, whole, absurd);
    out->input = (uint32_t)sum_of(prompt, c[API_COUNT_TOOL_PROMPT], absurd);
    out->reasoning = (uint32_t)c[API_COUNT_REASONING];
    out->audio_output = share(&written, c[API_COUNT_AUDIO_OUT], absurd);
    out->output = (uint32_t)sum_of(written, c[API_COUNT_REASONING], absurd);
}

/* Bedrock: inputTokens excludes what is read from the cache and written to it, but for models
 * that have what was written in it as well; the total shows it. */
static void settle_converse(const struct api_fold *f, struct api_usage *out)
{
    const int64_t *c = f->count;
    int64_t input = c[API_COUNT_PROMPT], output = c[API_COUNT_COMPLETION];
    int64_t cached = c[API_COUNT_CACHED], write = c[API_COUNT_CACHE_WRITE];
    bool *absurd = &out->absurd;
    *out = (struct api_usage){.present = f->seen & (PROMPT | COMPLETION | TOTAL),
                              .absurd = f->absurd};
    if (!out->present) return;
    if (!(f->seen & PROMPT)) input = missing(f, output + cached + write, absurd);
    else if ((f->seen & TOTAL) && write > 0 && input >= write &&
             c[API_COUNT_TOTAL] == input + output + cached) input -= write;
    out->input = (uint32_t)input;
    out->cached = (uint32_t)cached;
    out->cache_write = (uint32_t)write;
    out->output = (uint32_t)output;
}

/* Cohere: what is paid for is billed_units, which leave out what it puts around a prompt
 * itself; what of all tokens was cached is no part of them. */
static void settle_cohere(const struct api_fold *f, struct api_usage *out)
{
    enum { BILLED_IN = 1 << API_COUNT_BILLED_IN, BILLED_OUT = 1 << API_COUNT_BILLED_OUT };
    const int64_t *c = f->count;
    bool billed = f->seen & (BILLED_IN | BILLED_OUT);
    *out = (struct api_usage){.present = billed || f->seen & (PROMPT | COMPLETION),
                              .absurd = f->absurd};
    int64_t input = c[billed ? API_COUNT_BILLED_IN : API_COUNT_PROMPT];
    if (!billed) out->cached = share(&input, c[API_COUNT_CACHED], &out->absurd);
    out->input = (uint32_t)input;
    out->output = (uint32_t)c[billed ? API_COUNT_BILLED_OUT : API_COUNT_COMPLETION];
}

/* Anthropic: input_tokens excludes what is read from the cache and written to it. */
enum { TOLD_INPUT, TOLD_CACHED, TOLD_WRITE, TOLD_WRITE_1H, TOLD_OUTPUT, TOLD_REASONING };

void api_fold_merge(const struct api_fold *f, bool fresh, struct api_stream *s)
{
    static const struct { uint8_t from, to; } told[] = {
        {API_COUNT_PROMPT, TOLD_INPUT}, {API_COUNT_CACHED, TOLD_CACHED},
        {API_COUNT_CACHE_WRITE, TOLD_WRITE}, {API_COUNT_WRITE_1H, TOLD_WRITE_1H},
        {API_COUNT_COMPLETION, TOLD_OUTPUT}, {API_COUNT_REASONING, TOLD_REASONING},
    };
    enum { PARTS = 1 << API_COUNT_WRITE_5M | 1 << API_COUNT_WRITE_1H };
    const int64_t *c = f->count;
    bool absurd = f->absurd;
    if (fresh) memset(s->count, 0, sizeof s->count);
    for (size_t i = 0; i < COUNT(told); i++) {  /* the last count that says something counts */
        int64_t count = c[told[i].from];
        assert(count >= 0 && count <= COUNT_MAX);
        if (count > 0) s->count[told[i].to] = (uint32_t)count;
    }
    int64_t parts = sum_of(c[API_COUNT_WRITE_5M], c[API_COUNT_WRITE_1H], &absurd);
    if (!(f->seen & 1u << API_COUNT_CACHE_WRITE)) {
        if (f->seen & PARTS) s->count[TOLD_WRITE] = (uint32_t)parts;
    } else if (parts > c[API_COUNT_CACHE_WRITE]) {
        absurd = true;
    }
    if (f->seen) s->flags |= API_STREAM_USAGE;
    if (f->seen & PROMPT) s->flags |= API_STREAM_INPUT;
    if (absurd) s->flags |= API_STREAM_ABSURD;
}

void api_stream_settle(const struct api_stream *s, struct api_usage *out)
{
    const uint32_t *c = s->count;
    *out = (struct api_usage){.present = s->flags & API_STREAM_USAGE,
                              .absurd = s->flags & API_STREAM_ABSURD};
    if (!out->present) return;
    if (!(s->flags & API_STREAM_INPUT)) out->absurd = true;
    out->open = !(s->flags & API_STREAM_OUTPUT);
    int64_t write = c[TOLD_WRITE], written = c[TOLD_OUTPUT];
    out->input = c[TOLD_INPUT];
    out->cached = c[TOLD_CACHED];
    out->cache_write_1h = share(&write, c[TOLD_WRITE_1H], &out->absurd);
    out->cache_write = (uint32_t)write;
    out->output = c[TOLD_OUTPUT];
    out->reasoning = share(&written, c[TOLD_REASONING], &out->absurd);
}

void api_fold_settle(const struct api_fold *f, enum api_form form, struct api_usage *out)
{
    struct api_stream one = {0};
    switch (form) {
    case API_FORM_OPENAI: case API_FORM_RESPONSES: settle_openai(f, out); return;
    case API_FORM_GENERATE: settle_generate(f, out); return;
    case API_FORM_CONVERSE: settle_converse(f, out); return;
    case API_FORM_COHERE: settle_cohere(f, out); return;
    case API_FORM_MESSAGES: break;
    }
    api_fold_merge(f, true, &one);
    one.flags |= API_STREAM_OUTPUT;
    api_stream_settle(&one, out);
}
