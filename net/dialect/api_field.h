/* api_field.h - which keys of a request are read, in which object, and what their value must
 * be: a list for each place. */
#ifndef NET_DIALECT_API_FIELD_H
#define NET_DIALECT_API_FIELD_H

#include "net/bytes.h"

enum place {
    ROOT_OPENAI, ROOT_RESPONSES, ROOT_MESSAGES, ROOT_GENERATE,
    STREAM_OPTIONS, PROVIDER, MAX_PRICE, USAGE,
    FORMAT, SCHEMA,     /* response_format; its json_schema */
    REASONING, CHOICE,  /* reasoning; tool_choice, where it is an object */
    TEXT,               /* Responses */
    THINKING, OUTPUT,   /* Anthropic: thinking; output_config */
    CONFIG, INNER,      /* Gemini: generationConfig; countTokens' generateContentRequest */
    THOUGHT, TOOL_CONFIG, CALLING,      /* thinkingConfig; toolConfig; what is in that */
    PLACES,             /* those before have keys */
    NAMES, TOOLS, TEXTS
};

enum want { WANT_ANY, WANT_BOOL, WANT_NAME, WANT_WORD, WANT_COUNT, WANT_PRICE, WANT_OBJECT,
            WANT_ARRAY, WANT_LIST, WANT_TEXTS };

/* What a value is for. An object may have each only once, under whatever name. */
enum what { DO_MODEL, DO_MODELS, DO_ORDER, DO_ONLY, DO_IGNORE, DO_STREAM, DO_OPTIONS,
            DO_INCLUDE_USAGE, DO_MAX_TOKENS, DO_MAX_COMPLETION, DO_N, DO_PROVIDER,
            DO_FALLBACKS, DO_SORT, DO_COLLECTION, DO_ZDR, DO_MAX_PRICE, DO_PRICE_PROMPT,
            DO_PRICE_COMPLETION, DO_USAGE, DO_INCLUDE, DO_TEXTS, DO_MESSAGES, DO_SYSTEM,
            DO_TOOLS, DO_FUNCTIONS, DO_TIER, DO_PREVIOUS, DO_STORE, DO_BACKGROUND,
            DO_CONVERSATION, DO_THINKING, DO_BUDGET, DO_CONFIG, DO_INNER, DO_INNER_MODEL,
            DO_FORMAT, DO_FORMAT_TYPE, DO_FORMAT_BODY, DO_SCHEMA, DO_EFFORT, DO_EFFORT_IN,
            DO_REASONING, DO_THOUGHT, DO_THOUGHT_TOKENS, DO_THOUGHT_WORD, DO_CHOICE,
            DO_CHOICE_TYPE, DO_CHOICE_MODE, DO_WRAP, DO_OUTPUT, DO_AUDIO,
            DO_TEMPERATURE, DO_TOP_P, DO_TOP_K, DOINGS };
static_assert(DOINGS <= 64, "a bit each in api_reader.seen");

struct api_field {
    struct bytes name;
    uint32_t apis;  /* a bit per api that reads it */
    uint8_t want;
    uint8_t what;
    uint8_t to;     /* enum place of the container it opens */
};

enum { API_FIELD_NAME_MAX = 24 };   /* bytes of the longest name */

struct api_fields {
    const struct api_field *at;
    uint8_t first[API_FIELD_NAME_MAX + 2];  /* by length: the first row whose name has it, or
                                               more */
};
extern const struct api_fields api_fields[PLACES];

#endif
