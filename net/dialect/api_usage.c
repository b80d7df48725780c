/* api_usage.c - usage objects of OpenAI and those who imitate it, as disjoint counts.
 * OpenAI: prompt_tokens includes cached and audio tokens, completion_tokens includes audio
 * and reasoning tokens; the details say how many. xAI counts reasoning on top of
 * completion_tokens, and total_tokens shows it. DeepSeek, Moonshot and Together put the
 * cached tokens elsewhere. Embeddings have no completion_tokens, Voyage's only a total; of
 * prompt, completion and total any two tell the third.
 * Rule: a provider is not believed. What cannot be is clamped and marked absurd. */
#include "net/dialect/api_part.h"

static const int64_t COUNT_MAX = INT64_C(1) << 31;  /* tokens of one kind in one answer */

enum { PROMPT = 1 << API_COUNT_PROMPT, COMPLETION = 1 << API_COUNT_COMPLETION,
       TOTAL = 1 << API_COUNT_TOTAL };

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
    bool fair = t->type == JSON_NUMBER && t->text.ptr != NULL;
    f->count[which] = fair ? count_of(t->text, &fair) : 0;
    f->seen |= (uint16_t)(1u << which);
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

/* The prompt, where only the completion (or nothing, 0) and perhaps the sum were told. */
static int64_t missing(const struct api_fold *f, int64_t completion, bool *absurd)
{
    int64_t total = f->count[API_COUNT_TOTAL];
    assert(!(f->seen & PROMPT));
    if ((f->seen & TOTAL) && total >= completion) return total - completion;
    *absurd = true;
    return 0;
}

void api_fold_settle(const struct api_fold *f, struct api_usage *out)
{
    const int64_t *c = f->count;
    int64_t prompt = c[API_COUNT_PROMPT], completion = c[API_COUNT_COMPLETION];
    int64_t total = c[API_COUNT_TOTAL];
    *out = (struct api_usage){.present = f->seen & (PROMPT | COMPLETION | TOTAL),
                                .absurd = f->absurd};
    if (!out->present) return;
    if (!(f->seen & PROMPT)) prompt = missing(f, completion, &out->absurd);
    else if (!(f->seen & COMPLETION) && total > prompt) completion = total - prompt;
    int64_t cached = max_of(max_of(c[API_COUNT_CACHED], c[API_COUNT_CACHED_ROOT]),
                            c[API_COUNT_CACHE_HIT]);
    int64_t reasoning = max_of(c[API_COUNT_REASONING], c[API_COUNT_REASONING_ROOT]);
    if (reasoning > 0 && total == prompt + completion + reasoning) {
        completion += reasoning;  /* xAI */
        if (completion > COUNT_MAX) {
            completion = COUNT_MAX;
            out->absurd = true;
        }
    }
    int64_t written = completion;  /* reasoning is a part, not a kind */
    out->reasoning = share(&written, reasoning, &out->absurd);
    out->cached = share(&prompt, cached, &out->absurd);
    out->cache_write = share(&prompt, c[API_COUNT_CACHE_WRITE], &out->absurd);
    out->audio_input = share(&prompt, c[API_COUNT_AUDIO_IN], &out->absurd);
    out->input = (uint32_t)prompt;
    out->audio_output = share(&completion, c[API_COUNT_AUDIO_OUT], &out->absurd);
    out->output = (uint32_t)completion;
}
