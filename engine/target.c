/* target.c - see target.h.
 *   usual        BASE/chat/completions ...  BASE/models/M:generateContent
 *   Azure, old   BASE/deployments/M/chat/completions?api-version=V
 *   Vertex       BASE/models/M:rawPredict, :streamRawPredict (Claude)
 *   Bedrock      BASE/model/M/converse, /converse-stream */
#include "engine/target.h"
#include "engine/exchange.h"
#include "engine/path.h"
#include "engine/tables.h"
#include "net/http.h"

static const struct bytes suffixes[] = {
    [API_CHAT] = BYTES_INIT("/chat/completions"),
    [API_COMPLETIONS] = BYTES_INIT("/completions"),
    [API_EMBEDDINGS] = BYTES_INIT("/embeddings"),
    [API_MODERATIONS] = BYTES_INIT("/moderations"),
    [API_RESPONSES] = BYTES_INIT("/responses"),
    [API_MESSAGES] = BYTES_INIT("/messages"),
    [API_COUNT_TOKENS] = BYTES_INIT("/messages/count_tokens"),
    [API_GENERATE] = BYTES_INIT(":generateContent"),
    [API_GENERATE_COUNT] = BYTES_INIT(":countTokens"),
    [API_COHERE] = BYTES_INIT("/chat"),
    [API_RESPONSES_COUNT] = BYTES_INIT("/responses/input_tokens"),
    [API_IMAGES] = BYTES_INIT("/images/generations"),
    [API_SPEECH] = BYTES_INIT("/audio/speech"), [API_RERANK] = BYTES_INIT("/rerank"),
    [API_TRANSCRIPTIONS] = BYTES_INIT("/audio/transcriptions"),
    [API_TRANSLATIONS] = BYTES_INIT("/audio/translations"),
};

/* A segment of a path: what RFC 3986 section 3.3 lets stand there as it is, and of `more`; the
 * rest escaped. */
static void put_segment(struct http_out *o, struct bytes name, const char *more)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                     (c >= 'A' && c <= 'Z') || (c && strchr("-._~", c)) ||
                     (c && strchr(more, c));
        char hex[3] = {'%', digits[c >> 4], digits[c & 15]};
        http_out_text(o, plain ? (struct bytes){name.ptr + i, 1} : (struct bytes){hex, 3});
    }
}

/* A model of Gemini's. A name that is a resource's already ("tunedModels/x") stays one. */
static void put_model(struct http_out *o, struct bytes name)
{
    bool whole = bytes_starts(name, BYTES("models/")) ||
                 bytes_starts(name, BYTES("tunedModels/"));
    http_out_text(o, whole ? BYTES("/") : BYTES("/models/"));
    put_segment(o, name, "/:@");
}

/* Claude on Vertex AI; tokens are counted by a model of its own. */
static void put_vertex(struct http_out *o, const struct exchange *x, struct bytes name)
{
    bool counts = x->peer == API_COUNT_TOKENS;
    http_out_text(o, BYTES("/models/"));
    put_segment(o, counts ? BYTES("count-tokens") : name, "@");
    http_out_text(o, x->stream && !counts ? BYTES(":streamRawPredict") : BYTES(":rawPredict"));
}

/* In an id of Bedrock's colons are escaped, and the slashes of an ARN. */
static void put_bedrock(struct http_out *o, const struct exchange *x, struct bytes name)
{
    http_out_text(o, BYTES("/model/"));
    put_segment(o, name, "");
    http_out_text(o, x->stream ? BYTES("/converse-stream") : BYTES("/converse"));
}

static void put_path(struct http_out *o, const struct exchange *x,
                     const struct catalog_provider *p, bool events)
{
    struct bytes name = bytes_of(x->tables->catalog->model[x->model].upstream);
    bool gemini = path_is_gemini((enum api)x->peer);
    http_out_text(o, bytes_of(p->base_path));
    if (x->peer == API_CONVERSE) {
        put_bedrock(o, x, name);
    } else if (p->form == FORM_VERTEX) {
        put_vertex(o, x, name);
    } else {
        if (p->form == FORM_DEPLOYMENT && x->peer != API_RESPONSES) {
            http_out_text(o, BYTES("/deployments/"));
            put_segment(o, name, "");
        }
        if (gemini) put_model(o, name);
        http_out_text(o, events ? BYTES(":streamGenerateContent") : suffixes[x->peer]);
    }
}

static void put_parameter(struct http_out *o, bool *any, struct bytes parameter)
{
    if (parameter.len == 0) return;
    http_out_text(o, *any ? BYTES("&") : BYTES("?"));
    http_out_text(o, parameter);
    *any = true;
}

struct bytes target_put(struct http_out *o, const struct exchange *x,
                        const struct catalog_provider *p)
{
    struct bytes query = {x->kept.ptr + x->lines_bytes, x->query_bytes};
    bool events = path_is_gemini((enum api)x->peer) && x->stream, any = false;
    size_t from = o->len;
    put_path(o, x, p, events);
    struct bytes path = {o->out + from, o->len - from};
    /* the query belongs to the client's API */
    if (x->peer != x->api) query = events ? BYTES("alt=sse") : (struct bytes){0};
    put_parameter(o, &any, query);
    if (*p->api_version) {
        put_parameter(o, &any, BYTES("api-version="));
        http_out_text(o, bytes_of(p->api_version));
    }
    return path;
}
