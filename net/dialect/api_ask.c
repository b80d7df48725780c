/* api_ask.c - the words by which a request says what its answer is to be: format, effort,
 * which tools must be used; and what a model must be able to do for it.
 * Rule: as in api_turn.c. A word that is not known here may be known to the provider, so it
 * says nothing and is no fault. Sources: the API references of OpenAI, Anthropic, Google;
 * OpenRouter's `reasoning`. */
#include "net/dialect/api_part.h"

struct word { struct bytes text; uint8_t is; };

/* What a word stands for; none where the list, which ends with the empty word, has it not. */
static uint8_t find(const struct word *list, const struct json_token *t, uint8_t none)
{
    if (t->type != JSON_STRING || !t->text.ptr) return none;
    for (; list->text.len > 0; list++) {
        if (bytes_eq(list->text, t->text)) return list->is;
    }
    return none;
}

void api_ask_format(struct api_request *q, const struct json_token *t)
{
    static const struct word words[] = {
        {BYTES_INIT("json_object"), API_FORMAT_JSON},
        {BYTES_INIT("json_schema"), API_FORMAT_SCHEMA},
        {BYTES_INIT("application/json"), API_FORMAT_JSON}, {{0}, 0},
    };
    uint8_t format = find(words, t, API_FORMAT_TEXT);
    if (format > q->format) q->format = format;
    assert(q->format <= API_FORMAT_SCHEMA);
}

/* Anthropic's and Google's words beside OpenAI's. */
static const struct word efforts[] = {
    {BYTES_INIT("none"), API_EFFORT_NONE}, {BYTES_INIT("minimal"), API_EFFORT_MINIMAL},
    {BYTES_INIT("low"), API_EFFORT_LOW}, {BYTES_INIT("medium"), API_EFFORT_MEDIUM},
    {BYTES_INIT("high"), API_EFFORT_HIGH}, {BYTES_INIT("xhigh"), API_EFFORT_XHIGH},
    {BYTES_INIT("max"), API_EFFORT_XHIGH}, {BYTES_INIT("disabled"), API_EFFORT_NONE},
    {BYTES_INIT("MINIMAL"), API_EFFORT_MINIMAL}, {BYTES_INIT("LOW"), API_EFFORT_LOW},
    {BYTES_INIT("MEDIUM"), API_EFFORT_MEDIUM}, {BYTES_INIT("HIGH"), API_EFFORT_HIGH},
    {{0}, 0},
};

uint8_t api_ask_effort(const struct json_token *t)
{
    return find(efforts, t, API_EFFORT_UNSET);
}

uint8_t api_ask_budget(const struct json_token *t)
{
    int64_t tokens;
    if (t->type != JSON_NUMBER || !t->text.ptr || !json_integer(t->text, &tokens)) {
        return API_EFFORT_UNSET;
    }
    if (tokens < 0) return API_EFFORT_UNSET;  /* Gemini: -1 leaves it to the model */
    if (tokens == 0) return API_EFFORT_NONE;
    if (tokens <= API_BUDGET_MINIMAL) return API_EFFORT_MINIMAL;
    if (tokens <= API_BUDGET_LOW) return API_EFFORT_LOW;
    return tokens <= API_BUDGET_MEDIUM ? API_EFFORT_MEDIUM : API_EFFORT_HIGH;
}

void api_ask_choice(struct api_request *q, const struct json_token *t, bool type)
{
    static const struct word words[] = {
        {BYTES_INIT("auto"), API_CHOICE_AUTO}, {BYTES_INIT("allowed_tools"), API_CHOICE_AUTO},
        {BYTES_INIT("none"), API_CHOICE_NONE}, {BYTES_INIT("NONE"), API_CHOICE_NONE},
        {BYTES_INIT("required"), API_CHOICE_REQUIRED},
        {BYTES_INIT("any"), API_CHOICE_REQUIRED}, {BYTES_INIT("ANY"), API_CHOICE_REQUIRED},
        {{0}, 0},
    };
    bool named = type && t->type == JSON_STRING;
    q->choice = find(words, t, named ? API_CHOICE_NAMED : API_CHOICE_AUTO);
    assert(q->choice <= API_CHOICE_NAMED);
}

unsigned api_request_needs(const struct api_request *q)
{
    unsigned needs = 0;
    assert(q->api < APIS);
    if (q->tool_count > 0) needs |= API_NEED_TOOLS;
    if (q->image_count > 0) needs |= API_NEED_VISION;
    if (q->format == API_FORMAT_SCHEMA) needs |= API_NEED_SCHEMA;
    if (q->audio_count > 0 || q->audio_out) needs |= API_NEED_AUDIO;
    if (q->document_count > 0) needs |= API_NEED_DOCUMENT;
    return needs;
}
