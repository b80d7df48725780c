/* api_kind.h - the APIs there are, and tokens as all of them are counted: what others need of
 * the dialects who read nothing of them. */
#ifndef NET_DIALECT_API_KIND_H
#define NET_DIALECT_API_KIND_H

#include <stdbool.h>
#include <stdint.h>

enum api {
    API_CHAT, API_COMPLETIONS, API_EMBEDDINGS, API_MODERATIONS,
    API_RESPONSES,              /* OpenAI: POST responses */
    API_MESSAGES,               /* Anthropic: POST messages */
    API_COUNT_TOKENS,           /* Anthropic: POST messages/count_tokens */
    API_GENERATE,               /* Gemini: models/{m}:generateContent, :streamGenerateContent;
                                   model and streaming stand in the path: api_request_path */
    API_GENERATE_COUNT,         /* Gemini: models/{m}:countTokens */
    API_RESPONSES_COUNT,        /* OpenAI: POST responses/input_tokens */
    API_IMAGES,                 /* OpenAI: POST images/generations */
    API_SPEECH,                 /* OpenAI: POST audio/speech: the answer is sound */
    API_RERANK,                 /* Cohere's and Jina's: POST rerank */
    API_TRANSCRIPTIONS,         /* OpenAI: POST audio/transcriptions: a form with a file */
    API_TRANSLATIONS,           /* OpenAI: POST audio/translations: the same */
    /* what only providers speak: no client's path leads here */
    API_CONVERSE,               /* Amazon Bedrock: model/{m}/converse, /converse-stream */
    API_COHERE,                 /* Cohere: POST v2/chat */
    APIS
};

/* APIs whose requests are forms with a file, and whose answers may be no JSON. */
static inline bool api_is_upload(enum api api)
{
    return api == API_TRANSCRIPTIONS || api == API_TRANSLATIONS;
}

/* APIs whose answers are no text of a model's: relayed as they are, and never asked of auto. */
static inline bool api_is_textless(enum api api)
{
    return api == API_EMBEDDINGS || api == API_MODERATIONS || api == API_IMAGES ||
           api == API_SPEECH || api == API_RERANK || api_is_upload(api);
}

struct api_usage {           /* disjoint kinds, as store/journal.h counts them */
    bool present;
    bool absurd;                /* a count was negative, fractional, beyond 2^31, or did not
                                   add up: clamped, and the record is marked estimated */
    bool open;                  /* Anthropic: the output is not all told yet */
    bool nothing;               /* tokens were counted, none were used */
    uint32_t input, cached, output, audio_input, audio_output, reasoning;
    uint32_t cache_write;       /* for five minutes, or for as long as nobody says */
    uint32_t cache_write_1h;    /* Anthropic: cache_creation.ephemeral_1h_input_tokens */
    uint32_t image_input;
};

#endif
