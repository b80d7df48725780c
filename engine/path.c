/* path.c - see path.h. Paths are one table; what contract.md names and this release does not
 * have is in it too, so that the answer says so. Gemini's paths end in a method behind a colon
 * instead, and their model may hold slashes. */
#include "engine/path.h"

struct row { struct bytes path; uint8_t target, api; bool prefix; };

static const struct row rows[] = {
    {BYTES_INIT("/v1/chat/completions"), PATH_ASK, API_CHAT, false},
    {BYTES_INIT("/v1/completions"), PATH_ASK, API_COMPLETIONS, false},
    {BYTES_INIT("/v1/embeddings"), PATH_ASK, API_EMBEDDINGS, false},
    {BYTES_INIT("/v1/moderations"), PATH_ASK, API_MODERATIONS, false},
    {BYTES_INIT("/v1/responses"), PATH_ASK, API_RESPONSES, false},
    {BYTES_INIT("/v1/responses/input_tokens"), PATH_ASK, API_RESPONSES_COUNT, false},
    {BYTES_INIT("/v1/messages"), PATH_ASK, API_MESSAGES, false},
    {BYTES_INIT("/v1/messages/count_tokens"), PATH_ASK, API_COUNT_TOKENS, false},
    {BYTES_INIT("/v1/feedback"), PATH_FEEDBACK, API_CHAT, false},
    {BYTES_INIT("/v1/models"), PATH_MODELS, API_CHAT, false},
    {BYTES_INIT("/v1/models/"), PATH_MODEL, API_CHAT, true},
    {BYTES_INIT("/v1beta/models"), PATH_MODELS, API_GENERATE, false},
    {BYTES_INIT("/v1beta/models/"), PATH_MODEL, API_GENERATE, true},
    {BYTES_INIT("/v1/key"), PATH_KEY, API_CHAT, false},
    {BYTES_INIT("/v1/credits"), PATH_CREDITS, API_CHAT, false},
    {BYTES_INIT("/healthz"), PATH_HEALTH, API_CHAT, false},
    {BYTES_INIT("/readyz"), PATH_READY, API_CHAT, false},
    {BYTES_INIT("/v1/responses/"), PATH_NOT_BUILT, API_RESPONSES, true},
    {BYTES_INIT("/v1/messages/"), PATH_NOT_BUILT, API_MESSAGES, true},
    {BYTES_INIT("/v1/images/generations"), PATH_ASK, API_IMAGES, false},
    {BYTES_INIT("/v1/audio/speech"), PATH_ASK, API_SPEECH, false},
    {BYTES_INIT("/v1/audio/transcriptions"), PATH_ASK, API_TRANSCRIPTIONS, false},
    {BYTES_INIT("/v1/audio/translations"), PATH_ASK, API_TRANSLATIONS, false},
    {BYTES_INIT("/v1/rerank"), PATH_ASK, API_RERANK, false},
    {BYTES_INIT("/v1/images/"), PATH_NOT_BUILT, API_CHAT, true},
    {BYTES_INIT("/v1/audio/"), PATH_NOT_BUILT, API_CHAT, true},
    {BYTES_INIT("/v1beta/"), PATH_NOT_BUILT, API_GENERATE, true},
};

/* What SDKs put in front: the rest begins where the prefix's last `from` bytes do. api: of an
 * error, where nothing else says it. */
static const struct { struct bytes prefix; uint8_t from, api; } bases[] = {
    {BYTES_INIT("/openai/v1/"), sizeof "/v1/" - 1, API_CHAT},
    {BYTES_INIT("/anthropic/v1/"), sizeof "/v1/" - 1, API_MESSAGES},
    {BYTES_INIT("/gemini/v1beta/"), sizeof "/v1beta/" - 1, API_GENERATE},
};

static const struct { struct bytes name; uint8_t target, api; bool stream; } methods[] = {
    {BYTES_INIT(":generateContent"), PATH_ASK, API_GENERATE, false},
    {BYTES_INIT(":streamGenerateContent"), PATH_ASK, API_GENERATE, true},
    {BYTES_INIT(":countTokens"), PATH_ASK, API_GENERATE_COUNT, false},
    {BYTES_INIT(":embedContent"), PATH_NOT_BUILT, API_GENERATE, false},
    {BYTES_INIT(":batchEmbedContents"), PATH_NOT_BUILT, API_GENERATE, false},
    {BYTES_INIT(":batchGenerateContent"), PATH_NOT_BUILT, API_GENERATE, false},
};

static bool ends(struct bytes text, struct bytes end)
{
    return text.len > end.len && bytes_ends(text, end);
}

/* /v1beta/models/{m}:method, also under /v1; without models/ where the name has a slash. */
static bool is_gemini(struct bytes text, struct path *out)
{
    struct bytes method = {0};
    if (bytes_find(text, ':') == text.len) return false;   /* nearly all */
    for (size_t i = 0; i < COUNT(methods); i++) {
        if (!ends(text, methods[i].name)) continue;
        method = methods[i].name;
        out->target = methods[i].target;
        out->api = methods[i].api;
        out->stream = methods[i].stream;
    }
    struct bytes beta = BYTES("/v1beta/"), one = BYTES("/v1/"), models = BYTES("models/");
    if (method.len == 0) return false;
    text.len -= method.len;
    if (bytes_starts(text, beta)) bytes_cut(&text, beta.len);
    else if (bytes_starts(text, one)) bytes_cut(&text, one.len);
    else return false;
    bool plain = bytes_starts(text, models);
    if (plain) bytes_cut(&text, models.len);
    if (text.len == 0 || (!plain && bytes_find(text, '/') == text.len)) return false;
    out->model = text;
    return true;
}

struct path path_read(struct bytes text)
{
    struct path out = {.target = PATH_NONE, .api = API_CHAT};
    for (size_t i = 0; i < COUNT(bases); i++) {
        if (!bytes_starts(text, bases[i].prefix)) continue;
        bytes_cut(&text, bases[i].prefix.len - bases[i].from);
        out.api = bases[i].api;
        break;
    }
    struct path gemini = out;
    if (is_gemini(text, &gemini)) return gemini;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct row *r = &rows[i];
        bool hit = r->prefix ? bytes_starts(text, r->path) : bytes_eq(text, r->path);
        if (!hit) continue;
        bool general = r->target >= PATH_MODELS && r->api == API_CHAT;
        out.target = r->target;
        if (!general) out.api = r->api;
        if (r->target == PATH_MODEL) {
            out.model = bytes_between(text.ptr + r->path.len, text.ptr + text.len);
        }
        return out;
    }
    return out;
}
