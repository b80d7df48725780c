/* api_table.c - what is read of answers and events, place by place: see api_table.h.
 *   chat        LIST -> ROOT -> CHOICES -> CHOICE -> SAID (delta, message)
 *                            -> USAGE -> IN_DETAILS | OUT_DETAILS  -> PARTS | CALLS | AUDIO
 *                            -> GROQ -> USAGE         -> ERROR     -> LOT (anything counts)
 *   Anthropic   A_ROOT (event, answer) -> A_MESSAGE -> A_BLOCKS -> A_BLOCK
 *                                      -> A_DELTA | A_BLOCK | A_USAGE | A_ERROR
 *   Responses   R_ROOT (event) -> R_RESPONSE (answer) -> R_ITEMS -> R_ITEM -> R_PARTS -> R_PART
 *                              -> R_ITEM | R_PART     -> USAGE | R_ERROR
 *   Gemini      G_ROOT -> G_CANDIDATES -> G_CANDIDATE -> G_CONTENT -> G_PARTS -> G_PART
 *                      -> G_USAGE -> G_DETAILS -> G_DETAIL
 *   Converse    B_ROOT (event) -> B_BLOCK (delta, start) -> B_CALL | B_THOUGHT
 *               B_ROOT (answer) -> B_OUTPUT -> B_MESSAGE -> B_BLOCKS -> B_BLOCK | B_USAGE
 *   Cohere      C_ROOT (event) -> C_DELTA -> C_MESSAGE -> C_CONTENT | CALLS
 *               C_ROOT (answer) -> C_MESSAGE -> C_CONTENTS -> C_CONTENT
 *                               -> C_USAGE -> C_TOKENS | C_BILLED
 * Rule: in each list the shortest names come first. */
#include "net/dialect/api_part.h"
#include "net/dialect/api_table.h"

#define ROOT_PARTS(ROW, n)                                         \
    ROW(n, "id",         DO_NOTE, NOTE_ID, NOWHERE, NOWHERE)       \
    ROW(n, "code",       DO_ROOT_STATUS, 0, NOWHERE, NOWHERE)      \
    ROW(n, "meta",       DO_NOTHING, 0, META, NOWHERE)             \
    ROW(n, "usage",      DO_USAGE, 0, USAGE, NOWHERE)              \
    ROW(n, "error",      DO_ERROR, 0, ERROR, NOWHERE)              \
    ROW(n, "model",      DO_NOTE, NOTE_MODEL, NOWHERE, NOWHERE)    \
    ROW(n, "object",     DO_OBJECT_NAME, 0, NOWHERE, NOWHERE)      \
    ROW(n, "x_groq",     DO_NOTHING, 0, GROQ, NOWHERE)             \
    ROW(n, "choices",    DO_NOTHING, 0, NOWHERE, CHOICES)          \
    ROW(n, "message",    DO_ROOT_TEXT, 0, NOWHERE, NOWHERE)        \
    ROW(n, "created",    DO_NOTE, NOTE_CREATED, NOWHERE, NOWHERE)  \
    ROW(n, "statusCode", DO_ROOT_STATUS, 1, NOWHERE, NOWHERE)
#define META_PARTS(ROW, n)                          \
    ROW(n, "tokens", DO_USAGE, 0, C_TOKENS, NOWHERE)  /* Cohere's rerank */
#define CHOICE_PARTS(ROW, n)                                      \
    ROW(n, "text",          DO_LEGACY_TEXT, 0, NOWHERE, NOWHERE)  \
    ROW(n, "delta",         DO_SIDE, DELTA, SAID, NOWHERE)        \
    ROW(n, "error",         DO_ERROR, 0, ERROR, NOWHERE)          \
    ROW(n, "message",       DO_SIDE, MESSAGE, SAID, NOWHERE)      \
    ROW(n, "finish_reason", DO_FINISH, FINISH_CHAT, NOWHERE, NOWHERE)
#define SAID_PARTS(ROW, n)                                                \
    ROW(n, "audio",             DO_NOTHING, 0, AUDIO, LOT)                \
    ROW(n, "images",            DO_NOTHING, 0, LOT, LOT)                  \
    ROW(n, "content",           DO_TEXT, SAYS_ANSWER, PARTS, PARTS)       \
    ROW(n, "refusal",           DO_TEXT, SAYS_REFUSAL, NOWHERE, NOWHERE)  \
    ROW(n, "reasoning",         DO_REASONING, 0, PARTS, PARTS)            \
    ROW(n, "tool_calls",        DO_NOTHING, 0, CALLS, CALLS)              \
    ROW(n, "annotations",       DO_NOTHING, 0, LOT, LOT)                  \
    ROW(n, "function_call",     DO_NOTHING, 0, CALLS, CALLS)              \
    ROW(n, "reasoning_content", DO_REASONING, 0, PARTS, PARTS)            \
    ROW(n, "reasoning_details", DO_NOTHING, 0, LOT, LOT)
#define AUDIO_PARTS(ROW, n)                             \
    ROW(n, "transcript", DO_TEXT, 0, NOWHERE, NOWHERE)
#define USAGE_PARTS(ROW, n)                                                                 \
    ROW(n, "total_tokens",              DO_COUNT, API_COUNT_TOTAL, 0, 0)                 \
    ROW(n, "input_tokens",              DO_COUNT, API_COUNT_PROMPT, 0, 0)  /* images */  \
    ROW(n, "prompt_tokens",             DO_COUNT, API_COUNT_PROMPT, 0, 0)                \
    ROW(n, "cached_tokens",             DO_COUNT, API_COUNT_CACHED_ROOT, 0, 0)           \
    ROW(n, "output_tokens",             DO_COUNT, API_COUNT_COMPLETION, 0, 0)            \
    ROW(n, "reasoning_tokens",          DO_COUNT, API_COUNT_REASONING_ROOT, 0, 0)        \
    ROW(n, "completion_tokens",         DO_COUNT, API_COUNT_COMPLETION, 0, 0)            \
    ROW(n, "input_token_details",       DO_NOTHING, 0, IN_DETAILS, NOWHERE)  /* audio */    \
    ROW(n, "prompt_token_details",      DO_NOTHING, 0, IN_DETAILS, NOWHERE)  /* Writer */   \
    ROW(n, "input_tokens_details",      DO_NOTHING, 0, IN_DETAILS, NOWHERE)                 \
    ROW(n, "prompt_tokens_details",     DO_NOTHING, 0, IN_DETAILS, NOWHERE)                 \
    ROW(n, "output_tokens_details",     DO_NOTHING, 0, OUT_DETAILS, NOWHERE)                \
    ROW(n, "prompt_cache_hit_tokens",   DO_COUNT, API_COUNT_CACHE_HIT, 0, 0)             \
    ROW(n, "completion_token_details",  DO_NOTHING, 0, OUT_DETAILS, NOWHERE)                \
    ROW(n, "completion_tokens_details", DO_NOTHING, 0, OUT_DETAILS, NOWHERE)
#define IN_PARTS(ROW, n)                                                    \
    ROW(n, "audio_tokens",       DO_COUNT, API_COUNT_AUDIO_IN, 0, 0)     \
    ROW(n, "image_tokens",       DO_COUNT, API_COUNT_IMAGE_IN, 0, 0)     \
    ROW(n, "cached_tokens",      DO_COUNT, API_COUNT_CACHED, 0, 0)       \
    ROW(n, "cache_write_tokens", DO_COUNT, API_COUNT_CACHE_WRITE, 0, 0)
#define OUT_PARTS(ROW, n)                                               \
    ROW(n, "audio_tokens",     DO_COUNT, API_COUNT_AUDIO_OUT, 0, 0)  \
    ROW(n, "reasoning_tokens", DO_COUNT, API_COUNT_REASONING, 0, 0)
#define GROQ_PARTS(ROW, n)                        \
    ROW(n, "usage", DO_USAGE, 0, USAGE, NOWHERE)  \
    ROW(n, "error", DO_ERROR, 0, ERROR, NOWHERE)
#define ERROR_PARTS(ROW, n)                                  \
    ROW(n, "code",    DO_ERROR_STATUS, 0, NOWHERE, NOWHERE)  \
    ROW(n, "status",  DO_ERROR_STATUS, 0, NOWHERE, NOWHERE)  \
    ROW(n, "message", DO_ERROR_TEXT, 0, NOWHERE, NOWHERE)


/* Anthropic. */
#define A_ROOT_PARTS(ROW, n)                                              \
    ROW(n, "id",            DO_NOTE, NOTE_ID, NOWHERE, NOWHERE)           \
    ROW(n, "type",          DO_TYPE, 0, NOWHERE, NOWHERE)                 \
    ROW(n, "model",         DO_NOTE, NOTE_MODEL, NOWHERE, NOWHERE)        \
    ROW(n, "index",         DO_NOTE, NOTE_INDEX, NOWHERE, NOWHERE)        \
    ROW(n, "usage",         DO_USAGE, 0, A_USAGE, NOWHERE)                \
    ROW(n, "error",         DO_ERROR, 0, A_ERROR, NOWHERE)                \
    ROW(n, "delta",         DO_SAID, 0, A_DELTA, NOWHERE)                 \
    ROW(n, "content",       DO_SAID, 0, NOWHERE, A_BLOCKS)                \
    ROW(n, "message",       DO_ROOT_TEXT, 0, A_MESSAGE, NOWHERE)          \
    ROW(n, "stop_reason",   DO_FINISH, FINISH_MESSAGES, NOWHERE, NOWHERE)  \
    ROW(n, "content_block", DO_SAID, 0, A_BLOCK, NOWHERE)
#define A_MESSAGE_PARTS(ROW, n)                               \
    ROW(n, "id",      DO_NOTE, NOTE_ID, NOWHERE, NOWHERE)     \
    ROW(n, "model",   DO_NOTE, NOTE_MODEL, NOWHERE, NOWHERE)  \
    ROW(n, "usage",   DO_USAGE, 0, A_USAGE, NOWHERE)          \
    ROW(n, "content", DO_SAID, 0, NOWHERE, A_BLOCKS)
#define A_BLOCK_PARTS(ROW, n)                                      \
    ROW(n, "text",        DO_TEXT, SAYS_ANSWER, NOWHERE, NOWHERE)  \
    ROW(n, "data",        DO_MARK, 0, NOWHERE, NOWHERE)            \
    ROW(n, "name",        DO_MARK, 0, NOWHERE, NOWHERE)            \
    ROW(n, "input",       DO_EXTENT, 0, NOWHERE, NOWHERE)          \
    ROW(n, "content",     DO_TEXT, 0, LOT, LOT)                    \
    ROW(n, "thinking",    DO_TEXT, 0, NOWHERE, NOWHERE)            \
    ROW(n, "tool_use_id", DO_MARK, 0, NOWHERE, NOWHERE)
#define A_DELTA_PARTS(ROW, n)                                             \
    ROW(n, "text",         DO_TEXT, SAYS_ANSWER, NOWHERE, NOWHERE)        \
    ROW(n, "content",      DO_TEXT, 0, NOWHERE, NOWHERE)                  \
    ROW(n, "citation",     DO_NOTHING, 0, LOT, NOWHERE)                   \
    ROW(n, "thinking",     DO_TEXT, 0, NOWHERE, NOWHERE)                  \
    ROW(n, "stop_reason",  DO_FINISH, FINISH_MESSAGES, NOWHERE, NOWHERE)  \
    ROW(n, "partial_json", DO_TEXT, SAYS_ARGUMENTS, NOWHERE, NOWHERE)
#define A_USAGE_PARTS(ROW, n)                                                                 \
    ROW(n, "input_tokens",                DO_COUNT, API_COUNT_PROMPT, NOWHERE, NOWHERE)       \
    ROW(n, "output_tokens",               DO_COUNT, API_COUNT_COMPLETION, NOWHERE, NOWHERE)   \
    ROW(n, "cache_creation",              DO_NOTHING, 0, A_CREATION, NOWHERE)                 \
    ROW(n, "output_tokens_details",       DO_NOTHING, 0, A_OUT_DETAILS, NOWHERE)              \
    ROW(n, "cache_read_input_tokens",     DO_COUNT, API_COUNT_CACHED, NOWHERE, NOWHERE)       \
    ROW(n, "cache_creation_input_tokens", DO_COUNT, API_COUNT_CACHE_WRITE, NOWHERE, NOWHERE)
#define A_CREATION_PARTS(ROW, n)                                                         \
    ROW(n, "ephemeral_1h_input_tokens", DO_COUNT, API_COUNT_WRITE_1H, NOWHERE, NOWHERE)  \
    ROW(n, "ephemeral_5m_input_tokens", DO_COUNT, API_COUNT_WRITE_5M, NOWHERE, NOWHERE)
#define A_OUT_DETAILS_PARTS(ROW, n)                                             \
    ROW(n, "thinking_tokens", DO_COUNT, API_COUNT_REASONING, NOWHERE, NOWHERE)
#define A_ERROR_PARTS(ROW, n)                              \
    ROW(n, "type",    DO_ERROR_WORD, 0, NOWHERE, NOWHERE)  \
    ROW(n, "message", DO_ERROR_TEXT, 0, NOWHERE, NOWHERE)

/* Responses. */
#define R_ROOT_PARTS(ROW, n)                                               \
    ROW(n, "type",              DO_TYPE, 0, NOWHERE, NOWHERE)              \
    ROW(n, "code",              DO_ERROR_WORD, 0, NOWHERE, NOWHERE)        \
    ROW(n, "item",              DO_SAID, 0, R_ITEM, NOWHERE)               \
    ROW(n, "part",              DO_SAID, 0, R_PART, NOWHERE)               \
    ROW(n, "text",              DO_REPEAT, 0, NOWHERE, NOWHERE)            \
    ROW(n, "delta",             DO_TEXT, 0, LOT, NOWHERE)                  \
    ROW(n, "input",             DO_REPEAT, 0, NOWHERE, NOWHERE)            \
    ROW(n, "error",             DO_ERROR, 0, R_ERROR, NOWHERE)             \
    ROW(n, "message",           DO_ROOT_TEXT, 0, NOWHERE, NOWHERE)         \
    ROW(n, "refusal",           DO_REPEAT, 0, NOWHERE, NOWHERE)            \
    ROW(n, "response",          DO_NOTHING, 0, R_RESPONSE, NOWHERE)        \
    ROW(n, "arguments",         DO_REPEAT, 0, NOWHERE, NOWHERE)            \
    ROW(n, "annotation",        DO_NOTHING, 0, LOT, NOWHERE)               \
    ROW(n, "transcript",        DO_REPEAT, 0, NOWHERE, NOWHERE)            \
    ROW(n, "output_index",      DO_NOTE, NOTE_INDEX, NOWHERE, NOWHERE)     \
    ROW(n, "sequence_number",   DO_NOTE, NOTE_SEQUENCE, NOWHERE, NOWHERE)  \
    ROW(n, "partial_image_b64", DO_MARK, 0, NOWHERE, NOWHERE)
#define R_RESPONSE_PARTS(ROW, n)                                           \
    ROW(n, "id",                 DO_NOTE, NOTE_ID, NOWHERE, NOWHERE)       \
    ROW(n, "model",              DO_NOTE, NOTE_MODEL, NOWHERE, NOWHERE)    \
    ROW(n, "error",              DO_ERROR, 0, R_ERROR, NOWHERE)            \
    ROW(n, "usage",              DO_USAGE, 0, USAGE, NOWHERE)              \
    ROW(n, "output",             DO_SAID, 0, NOWHERE, R_ITEMS)             \
    ROW(n, "created_at",         DO_NOTE, NOTE_CREATED, NOWHERE, NOWHERE)  \
    ROW(n, "incomplete_details", DO_NOTHING, 0, R_INCOMPLETE, NOWHERE)
#define R_ITEM_PARTS(ROW, n)                                          \
    ROW(n, "type",      DO_ITEM_TYPE, 0, NOWHERE, NOWHERE)            \
    ROW(n, "code",      DO_REPEAT, 0, NOWHERE, NOWHERE)               \
    ROW(n, "input",     DO_REPEAT, 0, NOWHERE, NOWHERE)               \
    ROW(n, "result",    DO_MARK, 0, NOWHERE, NOWHERE)                 \
    ROW(n, "action",    DO_EXTENT, 0, NOWHERE, NOWHERE)               \
    ROW(n, "content",   DO_REPEAT, 0, NOWHERE, R_PARTS)               \
    ROW(n, "summary",   DO_NOTHING, 0, NOWHERE, R_PARTS)              \
    ROW(n, "arguments", DO_REPEAT, SAYS_ARGUMENTS, NOWHERE, NOWHERE)  \
    ROW(n, "operation", DO_EXTENT, 0, NOWHERE, NOWHERE)
#define R_PART_PARTS(ROW, n)                                         \
    ROW(n, "text",       DO_REPEAT, SAYS_ANSWER, NOWHERE, NOWHERE)   \
    ROW(n, "type",       DO_PART_TYPE, 0, NOWHERE, NOWHERE)          \
    ROW(n, "refusal",    DO_REPEAT, SAYS_REFUSAL, NOWHERE, NOWHERE)  \
    ROW(n, "transcript", DO_REPEAT, 0, NOWHERE, NOWHERE)
#define R_INCOMPLETE_PARTS(ROW, n)                                  \
    ROW(n, "reason", DO_FINISH, FINISH_RESPONSES, NOWHERE, NOWHERE)
#define R_ERROR_PARTS(ROW, n)                              \
    ROW(n, "code",    DO_ERROR_WORD, 0, NOWHERE, NOWHERE)  \
    ROW(n, "type",    DO_ERROR_WORD, 0, NOWHERE, NOWHERE)  \
    ROW(n, "message", DO_ERROR_TEXT, 0, NOWHERE, NOWHERE)

/* Gemini. */
#define G_ROOT_PARTS(ROW, n)                                         \
    ROW(n, "error",          DO_ERROR, 0, ERROR, NOWHERE)            \
    ROW(n, "candidates",     DO_NOTHING, 0, NOWHERE, G_CANDIDATES)   \
    ROW(n, "responseId",     DO_NOTE, NOTE_ID, NOWHERE, NOWHERE)     \
    ROW(n, "modelVersion",   DO_NOTE, NOTE_MODEL, NOWHERE, NOWHERE)  \
    ROW(n, "usageMetadata",  DO_USAGE, 0, G_USAGE, NOWHERE)          \
    ROW(n, "promptFeedback", DO_NOTHING, 0, G_FEEDBACK, NOWHERE)
#define G_FEEDBACK_PARTS(ROW, n)                                        \
    ROW(n, "blockReason", DO_FINISH, FINISH_GENERATE, NOWHERE, NOWHERE)
#define G_CANDIDATE_PARTS(ROW, n)                                        \
    ROW(n, "content",      DO_SAID, 0, G_CONTENT, NOWHERE)               \
    ROW(n, "finishReason", DO_FINISH, FINISH_GENERATE, NOWHERE, NOWHERE)
#define G_CONTENT_PARTS(ROW, n)                       \
    ROW(n, "parts", DO_NOTHING, 0, NOWHERE, G_PARTS)
#define G_PART_PARTS(ROW, n)                                               \
    ROW(n, "text",                DO_TEXT, SAYS_ANSWER, NOWHERE, NOWHERE)  \
    ROW(n, "thought",             DO_THOUGHT, 0, NOWHERE, NOWHERE)         \
    ROW(n, "fileData",            DO_NOTHING, 0, LOT, NOWHERE)             \
    ROW(n, "inlineData",          DO_NOTHING, 0, LOT, NOWHERE)             \
    ROW(n, "functionCall",        DO_NOTHING, 0, G_CALL, NOWHERE)          \
    ROW(n, "executableCode",      DO_NOTHING, 0, G_CODE, NOWHERE)          \
    ROW(n, "codeExecutionResult", DO_NOTHING, 0, LOT, NOWHERE)
#define G_CALL_PARTS(ROW, n)                               \
    ROW(n, "args",        DO_EXTENT, 0, NOWHERE, NOWHERE)  \
    ROW(n, "name",        DO_MARK, 0, NOWHERE, NOWHERE)    \
    ROW(n, "partialArgs", DO_NOTHING, 0, NOWHERE, LOT)
#define G_CODE_PARTS(ROW, n)                      \
    ROW(n, "code", DO_TEXT, 0, NOWHERE, NOWHERE)
#define G_USAGE_PARTS(ROW, n)                                                             \
    ROW(n, "totalTokenCount",         DO_COUNT, API_COUNT_TOTAL, NOWHERE, NOWHERE)        \
    ROW(n, "promptTokenCount",        DO_COUNT, API_COUNT_PROMPT, NOWHERE, NOWHERE)       \
    ROW(n, "thoughtsTokenCount",      DO_COUNT, API_COUNT_REASONING, NOWHERE, NOWHERE)    \
    ROW(n, "cacheTokensDetails",      DO_DETAILS, DETAILS_CACHE, NOWHERE, G_DETAILS)      \
    ROW(n, "promptTokensDetails",     DO_DETAILS, DETAILS_PROMPT, NOWHERE, G_DETAILS)     \
    ROW(n, "candidatesTokenCount",    DO_COUNT, API_COUNT_COMPLETION, NOWHERE, NOWHERE)   \
    ROW(n, "toolUsePromptTokenCount", DO_COUNT, API_COUNT_TOOL_PROMPT, NOWHERE, NOWHERE)  \
    ROW(n, "cachedContentTokenCount", DO_COUNT, API_COUNT_CACHED, NOWHERE, NOWHERE)       \
    ROW(n, "candidatesTokensDetails", DO_DETAILS, DETAILS_OUTPUT, NOWHERE, G_DETAILS)
#define G_DETAIL_PARTS(ROW, n)                                 \
    ROW(n, "modality",   DO_MODALITY, 0, NOWHERE, NOWHERE)     \
    ROW(n, "tokenCount", DO_MODAL_COUNT, 0, NOWHERE, NOWHERE)

/* Bedrock. An event has no type in its data; a block's start, its deltas and the block of a
 * whole answer have the same members. A call's input is text in deltas, an object at last. */
#define B_ROOT_PARTS(ROW, n)                                             \
    ROW(n, "delta",      DO_SAID, 0, B_BLOCK, NOWHERE)                   \
    ROW(n, "start",      DO_SAID, 0, B_BLOCK, NOWHERE)                   \
    ROW(n, "usage",      DO_USAGE, 0, B_USAGE, NOWHERE)                  \
    ROW(n, "output",     DO_SAID, 0, B_OUTPUT, NOWHERE)                  \
    ROW(n, "message",    DO_FAULT, 0, NOWHERE, NOWHERE)                  \
    ROW(n, "Message",    DO_FAULT, 0, NOWHERE, NOWHERE)                  \
    ROW(n, "stopReason", DO_FINISH, FINISH_CONVERSE, NOWHERE, NOWHERE)
#define B_OUTPUT_PARTS(ROW, n)                           \
    ROW(n, "message", DO_NOTHING, 0, B_MESSAGE, NOWHERE)
#define B_MESSAGE_PARTS(ROW, n)                         \
    ROW(n, "content", DO_NOTHING, 0, NOWHERE, B_BLOCKS)
#define B_BLOCK_PARTS(ROW, n)                                           \
    ROW(n, "text",             DO_TEXT, SAYS_ANSWER, NOWHERE, NOWHERE)  \
    ROW(n, "image",            DO_NOTHING, 0, LOT, NOWHERE)             \
    ROW(n, "toolUse",          DO_NOTHING, 0, B_CALL, NOWHERE)          \
    ROW(n, "citation",         DO_NOTHING, 0, LOT, NOWHERE)             \
    ROW(n, "toolResult",       DO_NOTHING, 0, LOT, LOT)                 \
    ROW(n, "citationsContent", DO_NOTHING, 0, B_CITED, NOWHERE)         \
    ROW(n, "reasoningContent", DO_NOTHING, 0, B_THOUGHT, NOWHERE)
#define B_CITED_PARTS(ROW, n)                           \
    ROW(n, "content", DO_NOTHING, 0, NOWHERE, B_BLOCKS)
#define B_CALL_PARTS(ROW, n)                                       \
    ROW(n, "name",      DO_MARK, 0, NOWHERE, NOWHERE)              \
    ROW(n, "input",     DO_REPEAT, SAYS_ARGUMENTS, NOWHERE, NOWHERE)  \
    ROW(n, "toolUseId", DO_MARK, 0, NOWHERE, NOWHERE)
#define B_THOUGHT_PARTS(ROW, n)                                  \
    ROW(n, "text",            DO_TEXT, 0, NOWHERE, NOWHERE)      \
    ROW(n, "signature",       DO_MARK, 0, NOWHERE, NOWHERE)      \
    ROW(n, "reasoningText",   DO_NOTHING, 0, B_THOUGHT_TEXT, NOWHERE)  \
    ROW(n, "redactedContent", DO_MARK, 0, NOWHERE, NOWHERE)
#define B_THOUGHT_TEXT_PARTS(ROW, n)                  \
    ROW(n, "text",      DO_TEXT, 0, NOWHERE, NOWHERE)  \
    ROW(n, "signature", DO_MARK, 0, NOWHERE, NOWHERE)
#define B_USAGE_PARTS(ROW, n)                                                            \
    ROW(n, "inputTokens",           DO_COUNT, API_COUNT_PROMPT, NOWHERE, NOWHERE)        \
    ROW(n, "totalTokens",           DO_COUNT, API_COUNT_TOTAL, NOWHERE, NOWHERE)         \
    ROW(n, "outputTokens",          DO_COUNT, API_COUNT_COMPLETION, NOWHERE, NOWHERE)    \
    ROW(n, "cacheReadInputTokens",  DO_COUNT, API_COUNT_CACHED, NOWHERE, NOWHERE)        \
    ROW(n, "cacheWriteInputTokens", DO_COUNT, API_COUNT_CACHE_WRITE, NOWHERE, NOWHERE)

/* Cohere. A message that is a text is an error's. */
#define C_ROOT_PARTS(ROW, n)                                             \
    ROW(n, "id",            DO_NOTE, NOTE_ID, NOWHERE, NOWHERE)          \
    ROW(n, "type",          DO_TYPE, 0, NOWHERE, NOWHERE)                \
    ROW(n, "delta",         DO_SAID, 0, C_DELTA, NOWHERE)                \
    ROW(n, "usage",         DO_USAGE, 0, C_USAGE, NOWHERE)               \
    ROW(n, "message",       DO_FAULT, 0, C_MESSAGE, NOWHERE)             \
    ROW(n, "finish_reason", DO_FINISH, FINISH_COHERE, NOWHERE, NOWHERE)
#define C_DELTA_PARTS(ROW, n)                                            \
    ROW(n, "error",         DO_FAULT, 0, NOWHERE, NOWHERE)               \
    ROW(n, "usage",         DO_USAGE, 0, C_USAGE, NOWHERE)               \
    ROW(n, "message",       DO_NOTHING, 0, C_MESSAGE, NOWHERE)           \
    ROW(n, "finish_reason", DO_FINISH, FINISH_COHERE, NOWHERE, NOWHERE)
#define C_MESSAGE_PARTS(ROW, n)                                \
    ROW(n, "content",    DO_SAID, 0, C_CONTENT, C_CONTENTS)  \
    ROW(n, "citations",  DO_SAID, 0, LOT, LOT)               \
    ROW(n, "tool_plan",  DO_TEXT, 0, NOWHERE, NOWHERE)       \
    ROW(n, "tool_calls", DO_SAID, 0, CALLS, CALLS)
#define C_CONTENT_PARTS(ROW, n)                                 \
    ROW(n, "text",     DO_TEXT, SAYS_ANSWER, NOWHERE, NOWHERE)  \
    ROW(n, "thinking", DO_TEXT, 0, NOWHERE, NOWHERE)
#define C_USAGE_PARTS(ROW, n)                                               \
    ROW(n, "tokens",        DO_NOTHING, 0, C_TOKENS, NOWHERE)               \
    ROW(n, "billed_units",  DO_NOTHING, 0, C_BILLED, NOWHERE)               \
    ROW(n, "cached_tokens", DO_COUNT, API_COUNT_CACHED, NOWHERE, NOWHERE)
#define C_TOKENS_PARTS(ROW, n)                                               \
    ROW(n, "input_tokens",  DO_COUNT, API_COUNT_PROMPT, NOWHERE, NOWHERE)    \
    ROW(n, "output_tokens", DO_COUNT, API_COUNT_COMPLETION, NOWHERE, NOWHERE)
#define C_BILLED_PARTS(ROW, n)                                                 \
    ROW(n, "input_tokens",  DO_COUNT, API_COUNT_BILLED_IN, NOWHERE, NOWHERE)   \
    ROW(n, "output_tokens", DO_COUNT, API_COUNT_BILLED_OUT, NOWHERE, NOWHERE)

#define PART(n, text, what, data, object, array) \
    {{text, sizeof text - 1}, what, data, object, array},
#define SHORTER(n, text, what, data, object, array) + (sizeof text - 1 < (n))
#define FIRST(LIST, n) 0 LIST(SHORTER, n)
#define FIRST_8(LIST, n) \
    FIRST(LIST, n), FIRST(LIST, (n) + 1), FIRST(LIST, (n) + 2), FIRST(LIST, (n) + 3), \
    FIRST(LIST, (n) + 4), FIRST(LIST, (n) + 5), FIRST(LIST, (n) + 6), FIRST(LIST, (n) + 7)

static const struct api_part root_parts[] = {ROOT_PARTS(PART, 0)};
static const struct api_part meta_parts[] = {META_PARTS(PART, 0)};
static const struct api_part choice_parts[] = {CHOICE_PARTS(PART, 0)};
static const struct api_part said_parts[] = {SAID_PARTS(PART, 0)};
static const struct api_part audio_parts[] = {AUDIO_PARTS(PART, 0)};
static const struct api_part usage_parts[] = {USAGE_PARTS(PART, 0)};
static const struct api_part in_parts[] = {IN_PARTS(PART, 0)};
static const struct api_part out_parts[] = {OUT_PARTS(PART, 0)};
static const struct api_part groq_parts[] = {GROQ_PARTS(PART, 0)};
static const struct api_part error_parts[] = {ERROR_PARTS(PART, 0)};
static const struct api_part a_root_parts[] = {A_ROOT_PARTS(PART, 0)};
static const struct api_part a_message_parts[] = {A_MESSAGE_PARTS(PART, 0)};
static const struct api_part a_block_parts[] = {A_BLOCK_PARTS(PART, 0)};
static const struct api_part a_delta_parts[] = {A_DELTA_PARTS(PART, 0)};
static const struct api_part a_usage_parts[] = {A_USAGE_PARTS(PART, 0)};
static const struct api_part a_creation_parts[] = {A_CREATION_PARTS(PART, 0)};
static const struct api_part a_out_details_parts[] = {A_OUT_DETAILS_PARTS(PART, 0)};
static const struct api_part a_error_parts[] = {A_ERROR_PARTS(PART, 0)};
static const struct api_part r_root_parts[] = {R_ROOT_PARTS(PART, 0)};
static const struct api_part r_response_parts[] = {R_RESPONSE_PARTS(PART, 0)};
static const struct api_part r_item_parts[] = {R_ITEM_PARTS(PART, 0)};
static const struct api_part r_part_parts[] = {R_PART_PARTS(PART, 0)};
static const struct api_part r_incomplete_parts[] = {R_INCOMPLETE_PARTS(PART, 0)};
static const struct api_part r_error_parts[] = {R_ERROR_PARTS(PART, 0)};
static const struct api_part g_root_parts[] = {G_ROOT_PARTS(PART, 0)};
static const struct api_part g_feedback_parts[] = {G_FEEDBACK_PARTS(PART, 0)};
static const struct api_part g_candidate_parts[] = {G_CANDIDATE_PARTS(PART, 0)};
static const struct api_part g_content_parts[] = {G_CONTENT_PARTS(PART, 0)};
static const struct api_part g_part_parts[] = {G_PART_PARTS(PART, 0)};
static const struct api_part g_call_parts[] = {G_CALL_PARTS(PART, 0)};
static const struct api_part g_code_parts[] = {G_CODE_PARTS(PART, 0)};
static const struct api_part g_usage_parts[] = {G_USAGE_PARTS(PART, 0)};
static const struct api_part g_detail_parts[] = {G_DETAIL_PARTS(PART, 0)};
static const struct api_part b_root_parts[] = {B_ROOT_PARTS(PART, 0)};
static const struct api_part b_output_parts[] = {B_OUTPUT_PARTS(PART, 0)};
static const struct api_part b_message_parts[] = {B_MESSAGE_PARTS(PART, 0)};
static const struct api_part b_block_parts[] = {B_BLOCK_PARTS(PART, 0)};
static const struct api_part b_cited_parts[] = {B_CITED_PARTS(PART, 0)};
static const struct api_part b_call_parts[] = {B_CALL_PARTS(PART, 0)};
static const struct api_part b_thought_parts[] = {B_THOUGHT_PARTS(PART, 0)};
static const struct api_part b_thought_text_parts[] = {B_THOUGHT_TEXT_PARTS(PART, 0)};
static const struct api_part b_usage_parts[] = {B_USAGE_PARTS(PART, 0)};
static const struct api_part c_root_parts[] = {C_ROOT_PARTS(PART, 0)};
static const struct api_part c_delta_parts[] = {C_DELTA_PARTS(PART, 0)};
static const struct api_part c_message_parts[] = {C_MESSAGE_PARTS(PART, 0)};
static const struct api_part c_content_parts[] = {C_CONTENT_PARTS(PART, 0)};
static const struct api_part c_usage_parts[] = {C_USAGE_PARTS(PART, 0)};
static const struct api_part c_tokens_parts[] = {C_TOKENS_PARTS(PART, 0)};
static const struct api_part c_billed_parts[] = {C_BILLED_PARTS(PART, 0)};

#define PARTS_OF(list, LIST) \
    {list, {FIRST_8(LIST, 0), FIRST_8(LIST, 8), FIRST_8(LIST, 16), FIRST_8(LIST, 24)}}

const struct api_table api_tables[PLACES] = {
    [ROOT] = PARTS_OF(root_parts, ROOT_PARTS),
    [META] = PARTS_OF(meta_parts, META_PARTS),
    [CHOICE] = PARTS_OF(choice_parts, CHOICE_PARTS),
    [SAID] = PARTS_OF(said_parts, SAID_PARTS),
    [AUDIO] = PARTS_OF(audio_parts, AUDIO_PARTS),
    [USAGE] = PARTS_OF(usage_parts, USAGE_PARTS),
    [IN_DETAILS] = PARTS_OF(in_parts, IN_PARTS),
    [OUT_DETAILS] = PARTS_OF(out_parts, OUT_PARTS),
    [GROQ] = PARTS_OF(groq_parts, GROQ_PARTS),
    [ERROR] = PARTS_OF(error_parts, ERROR_PARTS),
    [A_ROOT] = PARTS_OF(a_root_parts, A_ROOT_PARTS),
    [A_MESSAGE] = PARTS_OF(a_message_parts, A_MESSAGE_PARTS),
    [A_BLOCK] = PARTS_OF(a_block_parts, A_BLOCK_PARTS),
    [A_DELTA] = PARTS_OF(a_delta_parts, A_DELTA_PARTS),
    [A_USAGE] = PARTS_OF(a_usage_parts, A_USAGE_PARTS),
    [A_CREATION] = PARTS_OF(a_creation_parts, A_CREATION_PARTS),
    [A_OUT_DETAILS] = PARTS_OF(a_out_details_parts, A_OUT_DETAILS_PARTS),
    [A_ERROR] = PARTS_OF(a_error_parts, A_ERROR_PARTS),
    [R_ROOT] = PARTS_OF(r_root_parts, R_ROOT_PARTS),
    [R_RESPONSE] = PARTS_OF(r_response_parts, R_RESPONSE_PARTS),
    [R_ITEM] = PARTS_OF(r_item_parts, R_ITEM_PARTS),
    [R_PART] = PARTS_OF(r_part_parts, R_PART_PARTS),
    [R_INCOMPLETE] = PARTS_OF(r_incomplete_parts, R_INCOMPLETE_PARTS),
    [R_ERROR] = PARTS_OF(r_error_parts, R_ERROR_PARTS),
    [G_ROOT] = PARTS_OF(g_root_parts, G_ROOT_PARTS),
    [G_FEEDBACK] = PARTS_OF(g_feedback_parts, G_FEEDBACK_PARTS),
    [G_CANDIDATE] = PARTS_OF(g_candidate_parts, G_CANDIDATE_PARTS),
    [G_CONTENT] = PARTS_OF(g_content_parts, G_CONTENT_PARTS),
    [G_PART] = PARTS_OF(g_part_parts, G_PART_PARTS),
    [G_CALL] = PARTS_OF(g_call_parts, G_CALL_PARTS),
    [G_CODE] = PARTS_OF(g_code_parts, G_CODE_PARTS),
    [G_USAGE] = PARTS_OF(g_usage_parts, G_USAGE_PARTS),
    [G_DETAIL] = PARTS_OF(g_detail_parts, G_DETAIL_PARTS),
    [B_ROOT] = PARTS_OF(b_root_parts, B_ROOT_PARTS),
    [B_OUTPUT] = PARTS_OF(b_output_parts, B_OUTPUT_PARTS),
    [B_MESSAGE] = PARTS_OF(b_message_parts, B_MESSAGE_PARTS),
    [B_BLOCK] = PARTS_OF(b_block_parts, B_BLOCK_PARTS),
    [B_CITED] = PARTS_OF(b_cited_parts, B_CITED_PARTS),
    [B_CALL] = PARTS_OF(b_call_parts, B_CALL_PARTS),
    [B_THOUGHT] = PARTS_OF(b_thought_parts, B_THOUGHT_PARTS),
    [B_THOUGHT_TEXT] = PARTS_OF(b_thought_text_parts, B_THOUGHT_TEXT_PARTS),
    [B_USAGE] = PARTS_OF(b_usage_parts, B_USAGE_PARTS),
    [C_ROOT] = PARTS_OF(c_root_parts, C_ROOT_PARTS),
    [C_DELTA] = PARTS_OF(c_delta_parts, C_DELTA_PARTS),
    [C_MESSAGE] = PARTS_OF(c_message_parts, C_MESSAGE_PARTS),
    [C_CONTENT] = PARTS_OF(c_content_parts, C_CONTENT_PARTS),
    [C_USAGE] = PARTS_OF(c_usage_parts, C_USAGE_PARTS),
    [C_TOKENS] = PARTS_OF(c_tokens_parts, C_TOKENS_PARTS),
    [C_BILLED] = PARTS_OF(c_billed_parts, C_BILLED_PARTS),
};
