/* dialect.c - see dialect.h. */
#include "engine/dialect.h"
#include "net/translate/translate.h"
#include "route/catalog.h"

enum { ALL = (1 << DIALECT_OTHER) - 1 };

/* A dialect's own form of what generates text; APIS: it has none. */
static enum api native(unsigned dialect)
{
    static const uint8_t forms[] = {
        [DIALECT_OPENAI] = API_CHAT, [DIALECT_RESPONSES] = API_RESPONSES,
        [DIALECT_ANTHROPIC] = API_MESSAGES, [DIALECT_GEMINI] = API_GENERATE,
        [DIALECT_BEDROCK] = API_CONVERSE, [DIALECT_COHERE] = API_COHERE,
    };
    return dialect < COUNT(forms) ? (enum api)forms[dialect] : APIS;
}

static bool generates(enum api api)
{
    return api == API_CHAT || api == API_RESPONSES || api == API_MESSAGES ||
           api == API_GENERATE;
}

unsigned dialect_bits(enum api api)
{
    if (!generates(api) && !dialect_counts(api)) return 1u << DIALECT_OPENAI;
    return ALL;
}

enum api dialect_peer(enum api api, const struct catalog_provider *p)
{
    assert(p->dialect < DIALECT_OTHER);
    bool responses = p->speaks & 1u << DIALECT_RESPONSES;
    if (api == API_RESPONSES && responses) return api;
    if (generates(api)) return native(p->dialect);
    if (!dialect_counts(api)) return api;
    responses |= p->dialect == DIALECT_RESPONSES;
    enum api peer = p->dialect == DIALECT_ANTHROPIC ? API_COUNT_TOKENS
                    : p->dialect == DIALECT_GEMINI  ? API_GENERATE_COUNT
                    : responses                     ? API_RESPONSES_COUNT : APIS;
    return peer == api || (peer != APIS && translate_can(api, peer)) ? peer : APIS;
}

enum api dialect_native(const struct catalog_provider *p)
{
    assert(p->dialect < DIALECT_OTHER);
    return native(p->dialect);
}

bool dialect_is_kin(enum api a, enum api b)
{
    enum { OPENAI, ANTHROPIC, GOOGLE, AMAZON, COHERE };
    static const uint8_t makers[APIS] = {
        [API_MESSAGES] = ANTHROPIC, [API_COUNT_TOKENS] = ANTHROPIC,
        [API_GENERATE] = GOOGLE, [API_GENERATE_COUNT] = GOOGLE,
        [API_CONVERSE] = AMAZON, [API_COHERE] = COHERE,
    };
    assert(a < APIS && b < APIS);
    return makers[a] == makers[b];
}

struct dialect_words dialect_words(unsigned dialect)
{
    static const struct dialect_words words[] = {
        [DIALECT_OPENAI] = {"openai", "OpenAI's", "/v1/chat/completions"},
        [DIALECT_RESPONSES] = {"responses", "OpenAI's Responses", "/v1/responses"},
        [DIALECT_ANTHROPIC] = {"anthropic", "Anthropic's", "/v1/messages"},
        [DIALECT_GEMINI] = {"gemini", "Gemini's", "/v1beta/models/{model}:generateContent"},
        [DIALECT_BEDROCK] = {"bedrock", "Bedrock's", "/v1/chat/completions"},
        [DIALECT_COHERE] = {"cohere", "Cohere's", "/v1/chat/completions"},
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
