/* api_field.c - the keys of requests that are read: see api_field.h.
 * Rule: in each list the shortest names come first. A name in camels and one with underscores
 * are one member to Google, whose parser takes both. */
#include "net/dialect/api_field.h"
#include "net/dialect/api.h"

enum { CHAT = 1 << API_CHAT, COMPLETIONS = 1 << API_COMPLETIONS, MESSAGES = 1 << API_MESSAGES,
       GENERATE_COUNT = 1 << API_GENERATE_COUNT, WRITING = CHAT | COMPLETIONS,
       IMAGES = 1 << API_IMAGES, RERANK = 1 << API_RERANK,
       TAKING_INPUT = 1 << API_EMBEDDINGS | 1 << API_MODERATIONS | 1 << API_SPEECH,
       OPENAI = WRITING | TAKING_INPUT | IMAGES | RERANK, ALL = (1 << APIS) - 1 };

#define ROOT_OPENAI_FIELDS(ROW, n)                                                     \
    ROW(n, "n",                     WRITING | IMAGES, WANT_COUNT, DO_N, 0)             \
    ROW(n, "top_p",                 WRITING, WANT_ANY, DO_TOP_P, 0)                    \
    ROW(n, "top_k",                 WRITING, WANT_ANY, DO_TOP_K, 0)                    \
    ROW(n, "model",                 OPENAI, WANT_NAME, DO_MODEL, 0)                    \
    ROW(n, "tools",                 CHAT, WANT_ARRAY, DO_TOOLS, TOOLS)                 \
    ROW(n, "input",                 TAKING_INPUT, WANT_ANY, DO_TEXTS, TEXTS)           \
    ROW(n, "usage",                 OPENAI, WANT_ANY, DO_USAGE, USAGE)                 \
    ROW(n, "audio",                 CHAT, WANT_ANY, DO_AUDIO, 0)                       \
    ROW(n, "stream",                WRITING, WANT_BOOL, DO_STREAM, 0)                  \
    ROW(n, "prompt",                COMPLETIONS | IMAGES, WANT_ANY, DO_TEXTS, TEXTS)   \
    ROW(n, "models",                OPENAI, WANT_ARRAY, DO_MODELS, NAMES)              \
    ROW(n, "messages",              CHAT, WANT_LIST, DO_MESSAGES, TEXTS)               \
    ROW(n, "provider",              OPENAI, WANT_OBJECT, DO_PROVIDER, PROVIDER)        \
    ROW(n, "documents",             RERANK, WANT_ANY, DO_TEXTS, TEXTS)                 \
    ROW(n, "functions",             CHAT, WANT_ARRAY, DO_FUNCTIONS, TOOLS)             \
    ROW(n, "reasoning",             CHAT, WANT_ANY, DO_REASONING, REASONING)           \
    ROW(n, "max_tokens",            WRITING, WANT_COUNT, DO_MAX_TOKENS, 0)             \
    ROW(n, "temperature",           WRITING, WANT_ANY, DO_TEMPERATURE, 0)              \
    ROW(n, "tool_choice",           CHAT, WANT_ANY, DO_CHOICE, CHOICE)                 \
    ROW(n, "service_tier",          WRITING, WANT_WORD, DO_TIER, 0)                    \
    ROW(n, "stream_options",        WRITING, WANT_OBJECT, DO_OPTIONS, STREAM_OPTIONS)  \
    ROW(n, "response_format",       CHAT, WANT_ANY, DO_FORMAT, FORMAT)                 \
    ROW(n, "reasoning_effort",      CHAT, WANT_ANY, DO_EFFORT, 0)                      \
    ROW(n, "max_completion_tokens", WRITING, WANT_COUNT, DO_MAX_COMPLETION, 0)
#define ROOT_RESPONSES_FIELDS(ROW, n)                                        \
    ROW(n, "text",                 ALL, WANT_ANY, DO_WRAP, TEXT)             \
    ROW(n, "top_p",                ALL, WANT_ANY, DO_TOP_P, 0)               \
    ROW(n, "model",                ALL, WANT_NAME, DO_MODEL, 0)              \
    ROW(n, "tools",                ALL, WANT_ARRAY, DO_TOOLS, TOOLS)         \
    ROW(n, "input",                ALL, WANT_TEXTS, DO_MESSAGES, TEXTS)      \
    ROW(n, "store",                ALL, WANT_BOOL, DO_STORE, 0)              \
    ROW(n, "stream",               ALL, WANT_BOOL, DO_STREAM, 0)             \
    ROW(n, "models",               ALL, WANT_ARRAY, DO_MODELS, NAMES)        \
    ROW(n, "provider",             ALL, WANT_OBJECT, DO_PROVIDER, PROVIDER)  \
    ROW(n, "reasoning",            ALL, WANT_ANY, DO_REASONING, REASONING)   \
    ROW(n, "background",           ALL, WANT_BOOL, DO_BACKGROUND, 0)         \
    ROW(n, "temperature",          ALL, WANT_ANY, DO_TEMPERATURE, 0)         \
    ROW(n, "tool_choice",          ALL, WANT_ANY, DO_CHOICE, CHOICE)         \
    ROW(n, "conversation",         ALL, WANT_ANY, DO_CONVERSATION, 0)        \
    ROW(n, "instructions",         ALL, WANT_TEXTS, DO_SYSTEM, TEXTS)        \
    ROW(n, "service_tier",         ALL, WANT_WORD, DO_TIER, 0)               \
    ROW(n, "max_output_tokens",    ALL, WANT_COUNT, DO_MAX_TOKENS, 0)        \
    ROW(n, "previous_response_id", ALL, WANT_WORD, DO_PREVIOUS, 0)
#define ROOT_MESSAGES_FIELDS(ROW, n)                                       \
    ROW(n, "top_p",         MESSAGES, WANT_ANY, DO_TOP_P, 0)               \
    ROW(n, "top_k",         MESSAGES, WANT_ANY, DO_TOP_K, 0)               \
    ROW(n, "model",         ALL, WANT_NAME, DO_MODEL, 0)                   \
    ROW(n, "tools",         ALL, WANT_ARRAY, DO_TOOLS, TOOLS)              \
    ROW(n, "system",        ALL, WANT_TEXTS, DO_SYSTEM, TEXTS)             \
    ROW(n, "stream",        MESSAGES, WANT_BOOL, DO_STREAM, 0)             \
    ROW(n, "models",        ALL, WANT_ARRAY, DO_MODELS, NAMES)             \
    ROW(n, "messages",      ALL, WANT_LIST, DO_MESSAGES, TEXTS)            \
    ROW(n, "provider",      ALL, WANT_OBJECT, DO_PROVIDER, PROVIDER)       \
    ROW(n, "thinking",      MESSAGES, WANT_OBJECT, DO_THINKING, THINKING)  \
    ROW(n, "max_tokens",    MESSAGES, WANT_COUNT, DO_MAX_TOKENS, 0)        \
    ROW(n, "temperature",   MESSAGES, WANT_ANY, DO_TEMPERATURE, 0)         \
    ROW(n, "tool_choice",   MESSAGES, WANT_ANY, DO_CHOICE, CHOICE)         \
    ROW(n, "service_tier",  MESSAGES, WANT_WORD, DO_TIER, 0)               \
    ROW(n, "output_config", MESSAGES, WANT_ANY, DO_OUTPUT, OUTPUT)         \
    ROW(n, "output_format", MESSAGES, WANT_ANY, DO_FORMAT, FORMAT)
#define ROOT_GENERATE_FIELDS(ROW, n)                                                  \
    ROW(n, "model",                    ALL, WANT_WORD, DO_MODEL, 0)                   \
    ROW(n, "tools",                    ALL, WANT_ARRAY, DO_TOOLS, TOOLS)              \
    ROW(n, "contents",                 ALL, WANT_ARRAY, DO_MESSAGES, TEXTS)           \
    ROW(n, "toolConfig",               ALL, WANT_ANY, DO_WRAP, TOOL_CONFIG)           \
    ROW(n, "tool_config",              ALL, WANT_ANY, DO_WRAP, TOOL_CONFIG)           \
    ROW(n, "generationConfig",         ALL, WANT_OBJECT, DO_CONFIG, CONFIG)           \
    ROW(n, "generation_config",        ALL, WANT_OBJECT, DO_CONFIG, CONFIG)           \
    ROW(n, "systemInstruction",        ALL, WANT_ANY, DO_SYSTEM, TEXTS)               \
    ROW(n, "system_instruction",       ALL, WANT_ANY, DO_SYSTEM, TEXTS)               \
    ROW(n, "generateContentRequest",   GENERATE_COUNT, WANT_OBJECT, DO_INNER, INNER)  \
    ROW(n, "generate_content_request", GENERATE_COUNT, WANT_OBJECT, DO_INNER, INNER)
#define STREAM_OPTIONS_FIELDS(ROW, n)  \
    ROW(n, "include_usage", ALL, WANT_BOOL, DO_INCLUDE_USAGE, 0)
#define PROVIDER_FIELDS(ROW, n)                                           \
    ROW(n, "zdr",             ALL, WANT_BOOL, DO_ZDR, 0)                  \
    ROW(n, "only",            ALL, WANT_ARRAY, DO_ONLY, NAMES)            \
    ROW(n, "sort",            ALL, WANT_WORD, DO_SORT, 0)                 \
    ROW(n, "order",           ALL, WANT_ARRAY, DO_ORDER, NAMES)           \
    ROW(n, "ignore",          ALL, WANT_ARRAY, DO_IGNORE, NAMES)          \
    ROW(n, "max_price",       ALL, WANT_OBJECT, DO_MAX_PRICE, MAX_PRICE)  \
    ROW(n, "allow_fallbacks", ALL, WANT_BOOL, DO_FALLBACKS, 0)            \
    ROW(n, "data_collection", ALL, WANT_WORD, DO_COLLECTION, 0)
#define MAX_PRICE_FIELDS(ROW, n)                               \
    ROW(n, "prompt",     ALL, WANT_PRICE, DO_PRICE_PROMPT, 0)  \
    ROW(n, "completion", ALL, WANT_PRICE, DO_PRICE_COMPLETION, 0)
#define USAGE_FIELDS(ROW, n)  \
    ROW(n, "include", ALL, WANT_BOOL, DO_INCLUDE, 0)
#define THINKING_FIELDS(ROW, n)                                 \
    ROW(n, "type",          ALL, WANT_ANY, DO_THOUGHT_WORD, 0)  \
    ROW(n, "budget_tokens", ALL, WANT_COUNT, DO_BUDGET, 0)
#define CONFIG_FIELDS(ROW, n)                                           \
    ROW(n, "candidateCount",       ALL, WANT_COUNT, DO_N, 0)            \
    ROW(n, "responseSchema",       ALL, WANT_ANY, DO_SCHEMA, 0)         \
    ROW(n, "thinkingConfig",       ALL, WANT_ANY, DO_THOUGHT, THOUGHT)  \
    ROW(n, "candidate_count",      ALL, WANT_COUNT, DO_N, 0)            \
    ROW(n, "maxOutputTokens",      ALL, WANT_COUNT, DO_MAX_TOKENS, 0)   \
    ROW(n, "response_schema",      ALL, WANT_ANY, DO_SCHEMA, 0)         \
    ROW(n, "thinking_config",      ALL, WANT_ANY, DO_THOUGHT, THOUGHT)  \
    ROW(n, "responseMimeType",     ALL, WANT_ANY, DO_FORMAT_TYPE, 0)    \
    ROW(n, "max_output_tokens",    ALL, WANT_COUNT, DO_MAX_TOKENS, 0)   \
    ROW(n, "response_mime_type",   ALL, WANT_ANY, DO_FORMAT_TYPE, 0)    \
    ROW(n, "responseJsonSchema",   ALL, WANT_ANY, DO_FORMAT_BODY, 0)    \
    ROW(n, "response_json_schema", ALL, WANT_ANY, DO_FORMAT_BODY, 0)
#define INNER_FIELDS(ROW, n)                                           \
    ROW(n, "model",              ALL, WANT_NAME, DO_INNER_MODEL, 0)    \
    ROW(n, "tools",              ALL, WANT_ARRAY, DO_TOOLS, TOOLS)     \
    ROW(n, "contents",           ALL, WANT_ARRAY, DO_MESSAGES, TEXTS)  \
    ROW(n, "systemInstruction",  ALL, WANT_ANY, DO_SYSTEM, TEXTS)      \
    ROW(n, "system_instruction", ALL, WANT_ANY, DO_SYSTEM, TEXTS)

#define FORMAT_FIELDS(ROW, n)                                \
    ROW(n, "type",        ALL, WANT_ANY, DO_FORMAT_TYPE, 0)  \
    ROW(n, "schema",      ALL, WANT_ANY, DO_SCHEMA, 0)       \
    ROW(n, "json_schema", CHAT, WANT_ANY, DO_FORMAT_BODY, SCHEMA)
#define SCHEMA_FIELDS(ROW, n)  \
    ROW(n, "schema", ALL, WANT_ANY, DO_SCHEMA, 0)
#define REASONING_FIELDS(ROW, n)                          \
    ROW(n, "effort",     ALL, WANT_ANY, DO_EFFORT_IN, 0)  \
    ROW(n, "max_tokens", CHAT, WANT_ANY, DO_THOUGHT_TOKENS, 0)
#define CHOICE_FIELDS(ROW, n)  \
    ROW(n, "type", ALL, WANT_ANY, DO_CHOICE_TYPE, 0)
#define TEXT_FIELDS(ROW, n)  \
    ROW(n, "format", ALL, WANT_ANY, DO_FORMAT, FORMAT)
#define OUTPUT_FIELDS(ROW, n)                         \
    ROW(n, "effort", ALL, WANT_ANY, DO_EFFORT_IN, 0)  \
    ROW(n, "format", ALL, WANT_ANY, DO_FORMAT, FORMAT)
#define THOUGHT_FIELDS(ROW, n)                                      \
    ROW(n, "thinkingLevel",   ALL, WANT_ANY, DO_THOUGHT_WORD, 0)    \
    ROW(n, "thinkingBudget",  ALL, WANT_ANY, DO_THOUGHT_TOKENS, 0)  \
    ROW(n, "thinking_level",  ALL, WANT_ANY, DO_THOUGHT_WORD, 0)    \
    ROW(n, "thinking_budget", ALL, WANT_ANY, DO_THOUGHT_TOKENS, 0)
#define TOOL_CONFIG_FIELDS(ROW, n)                                        \
    ROW(n, "functionCallingConfig",   ALL, WANT_ANY, DO_CHOICE, CALLING)  \
    ROW(n, "function_calling_config", ALL, WANT_ANY, DO_CHOICE, CALLING)
#define CALLING_FIELDS(ROW, n)  \
    ROW(n, "mode", ALL, WANT_ANY, DO_CHOICE_MODE, 0)

#define FIELD(n, text, apis, want, what, to) {{text, sizeof text - 1}, apis, want, what, to},
#define SHORTER(n, text, apis, want, what, to) + (sizeof text - 1 < (n))
#define FIRST(LIST, n) 0 LIST(SHORTER, n)
#define FIRST_13(LIST, n) \
    FIRST(LIST, n), FIRST(LIST, (n) + 1), FIRST(LIST, (n) + 2), FIRST(LIST, (n) + 3), \
    FIRST(LIST, (n) + 4), FIRST(LIST, (n) + 5), FIRST(LIST, (n) + 6), FIRST(LIST, (n) + 7), \
    FIRST(LIST, (n) + 8), FIRST(LIST, (n) + 9), FIRST(LIST, (n) + 10), \
    FIRST(LIST, (n) + 11), FIRST(LIST, (n) + 12)

static const struct api_field root_openai_fields[] = {ROOT_OPENAI_FIELDS(FIELD, 0)};
static const struct api_field root_responses_fields[] = {ROOT_RESPONSES_FIELDS(FIELD, 0)};
static const struct api_field root_messages_fields[] = {ROOT_MESSAGES_FIELDS(FIELD, 0)};
static const struct api_field root_generate_fields[] = {ROOT_GENERATE_FIELDS(FIELD, 0)};
static const struct api_field stream_options_fields[] = {STREAM_OPTIONS_FIELDS(FIELD, 0)};
static const struct api_field provider_fields[] = {PROVIDER_FIELDS(FIELD, 0)};
static const struct api_field max_price_fields[] = {MAX_PRICE_FIELDS(FIELD, 0)};
static const struct api_field usage_fields[] = {USAGE_FIELDS(FIELD, 0)};
static const struct api_field thinking_fields[] = {THINKING_FIELDS(FIELD, 0)};
static const struct api_field config_fields[] = {CONFIG_FIELDS(FIELD, 0)};
static const struct api_field format_fields[] = {FORMAT_FIELDS(FIELD, 0)};
static const struct api_field schema_fields[] = {SCHEMA_FIELDS(FIELD, 0)};
static const struct api_field reasoning_fields[] = {REASONING_FIELDS(FIELD, 0)};
static const struct api_field choice_fields[] = {CHOICE_FIELDS(FIELD, 0)};
static const struct api_field text_fields[] = {TEXT_FIELDS(FIELD, 0)};
static const struct api_field output_fields[] = {OUTPUT_FIELDS(FIELD, 0)};
static const struct api_field thought_fields[] = {THOUGHT_FIELDS(FIELD, 0)};
static const struct api_field tool_config_fields[] = {TOOL_CONFIG_FIELDS(FIELD, 0)};
static const struct api_field calling_fields[] = {CALLING_FIELDS(FIELD, 0)};
static const struct api_field inner_fields[] = {INNER_FIELDS(FIELD, 0)};

#define FIELDS_OF(list, LIST) {list, {FIRST_13(LIST, 0), FIRST_13(LIST, 13)}}

const struct api_fields api_fields[PLACES] = {
    [ROOT_OPENAI] = FIELDS_OF(root_openai_fields, ROOT_OPENAI_FIELDS),
    [ROOT_RESPONSES] = FIELDS_OF(root_responses_fields, ROOT_RESPONSES_FIELDS),
    [ROOT_MESSAGES] = FIELDS_OF(root_messages_fields, ROOT_MESSAGES_FIELDS),
    [ROOT_GENERATE] = FIELDS_OF(root_generate_fields, ROOT_GENERATE_FIELDS),
    [STREAM_OPTIONS] = FIELDS_OF(stream_options_fields, STREAM_OPTIONS_FIELDS),
    [PROVIDER] = FIELDS_OF(provider_fields, PROVIDER_FIELDS),
    [MAX_PRICE] = FIELDS_OF(max_price_fields, MAX_PRICE_FIELDS),
    [USAGE] = FIELDS_OF(usage_fields, USAGE_FIELDS),
    [THINKING] = FIELDS_OF(thinking_fields, THINKING_FIELDS),
    [CONFIG] = FIELDS_OF(config_fields, CONFIG_FIELDS),
    [FORMAT] = FIELDS_OF(format_fields, FORMAT_FIELDS),
    [SCHEMA] = FIELDS_OF(schema_fields, SCHEMA_FIELDS),
    [REASONING] = FIELDS_OF(reasoning_fields, REASONING_FIELDS),
    [CHOICE] = FIELDS_OF(choice_fields, CHOICE_FIELDS),
    [TEXT] = FIELDS_OF(text_fields, TEXT_FIELDS),
    [OUTPUT] = FIELDS_OF(output_fields, OUTPUT_FIELDS),
    [THOUGHT] = FIELDS_OF(thought_fields, THOUGHT_FIELDS),
    [TOOL_CONFIG] = FIELDS_OF(tool_config_fields, TOOL_CONFIG_FIELDS),
    [CALLING] = FIELDS_OF(calling_fields, CALLING_FIELDS),
    [INNER] = FIELDS_OF(inner_fields, INNER_FIELDS),
};
