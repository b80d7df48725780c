/* dialect.c - see dialect.h. */
#include "engine/dialect.h"
#include "route/catalog.h"

unsigned dialect_bits(enum api api)
{
    switch (api) {
    case API_RESPONSES: return 1u << DIALECT_OPENAI | 1u << DIALECT_RESPONSES;
    case API_MESSAGES: case API_COUNT_TOKENS: return 1u << DIALECT_ANTHROPIC;
    case API_GENERATE: case API_GENERATE_COUNT: return 1u << DIALECT_GEMINI;
    default: return 1u << DIALECT_OPENAI;
    }
}

struct dialect_words dialect_words(unsigned dialect)
{
    static const struct dialect_words words[] = {
        [DIALECT_OPENAI] = {"openai", "OpenAI's", "/v1/chat/completions"},
        [DIALECT_RESPONSES] = {"responses", "OpenAI's Responses", "/v1/responses"},
        [DIALECT_ANTHROPIC] = {"anthropic", "Anthropic's", "/v1/messages"},
        [DIALECT_GEMINI] = {"gemini", "Gemini's", "/v1beta/models/{model}:generateContent"},
    };
    assert(dialect < COUNT(words));
    return words[dialect];
}

struct bytes dialect_good_end(enum api api)
{
    switch (api) {
    case API_CHAT: case API_COMPLETIONS: return BYTES("data: [DONE]\n\n");
    case API_MESSAGES:
        return BYTES("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    default: return (struct bytes){0};
    }
}

bool dialect_takes_comments(enum api api) { return api != API_GENERATE; }
