/* mock_data.c - embeddings and moderations, and what they need of a request that the engine
 * has no reason to read: inputs, dimensions, encoding, a tool's name. See mock.h.
 * A vector is drawn from a hash of its input's bytes as written and scaled to length 1: the
 * same text always gets the same vector, and other texts point elsewhere. */
#include "engine/conn.h"
#include "engine/core.h"
#include "tools/mock.h"
#include "tools/mock_text.h"

#include <math.h>

enum {
    DIMENSIONS = 1536,         /* where the request names none */
    DIMENSIONS_MAX = 8192,
    INPUTS_MAX = 2048,         /* OpenAI's own limit */
    DIGITS = 8,                /* behind the point of a component */
    SCALE = 100000000,         /* 10^DIGITS */
};

struct inputs {                /* what a body says besides api.h's */
    uint64_t dimensions;
    bool base64;
    uint32_t count;
    struct api_span at[INPUTS_MAX];
};

static enum member member_of(struct bytes key)
{
    if (bytes_eq(key, BYTES("input"))) return MEMBER_INPUT;
    if (bytes_eq(key, BYTES("dimensions"))) return MEMBER_DIMENSIONS;
    if (bytes_eq(key, BYTES("encoding_format"))) return MEMBER_ENCODING;
    if (bytes_eq(key, BYTES("tools"))) return MEMBER_TOOLS;
    if (bytes_eq(key, BYTES("messages"))) return MEMBER_TURNS;
    if (bytes_eq(key, BYTES("contents"))) return MEMBER_TURNS;
    return MEMBER_OTHER;
}

void data_scan(struct core *core, const struct chain *body, data_scan_fn *on_token, void *arg)
{
    struct json json;
    struct json_token t;
    struct bytes in;
    enum member member = MEMBER_OTHER;
    uint32_t at = body->first, left = body->count;
    json_init(&json, API_REQUEST_DEPTH_MAX);
    while (chain_next(&core->mem, &at, &left, &in)) {
        while (json_next(&json, &in, &t) == NET_OK) {
            if (t.type == JSON_KEY && t.depth == 1) {
                member = t.text.ptr ? member_of(t.text) : MEMBER_OTHER;
                if (member == MEMBER_OTHER) json_skip(&json);
            } else if (!on_token(member, &t, arg)) {
                return;
            }
        }
    }
}

static void add_input(struct inputs *in, uint64_t start, uint64_t end)
{
    if (in->count < INPUTS_MAX) in->at[in->count++] = (struct api_span){start, end};
}

/* input: a string; token ids; an array of strings; an array of arrays of token ids. */
static void input_token(struct inputs *in, const struct json_token *t)
{
    if (t->type == JSON_STRING && t->depth <= 2) {
        add_input(in, t->start, t->end);
    } else if (t->depth == 2 && t->type == JSON_NUMBER) {
        if (in->count == 0) add_input(in, t->start, t->end);
        else in->at[0].end = t->end;
    } else if (t->depth == 2 && (t->type == JSON_ARRAY || t->type == JSON_OBJECT)) {
        add_input(in, t->start, t->end);
    } else if (t->depth == 2 && in->count > 0) {
        in->at[in->count - 1].end = t->end;  /* its closing bracket */
    }
}

static bool on_token(enum member member, const struct json_token *t, void *arg)
{
    struct inputs *in = arg;
    int64_t n;
    if (member == MEMBER_INPUT) input_token(in, t);
    if (member == MEMBER_DIMENSIONS && t->type == JSON_NUMBER && t->text.ptr &&
        json_integer(t->text, &n) && n > 0) {
        in->dimensions = n < DIMENSIONS_MAX ? (uint64_t)n : DIMENSIONS_MAX;
    }
    if (member == MEMBER_ENCODING && t->text.ptr) {
        in->base64 = bytes_eq(t->text, BYTES("base64"));
    }
    return true;
}

/* The inputs live in the core's second scratch while one answer is composed. */
static struct inputs *read_inputs(struct core *core, const struct chain *body)
{
    static_assert(sizeof(struct inputs) <= CORE_SCRATCH, "inputs fit the scratch");
    struct inputs *in = (struct inputs *)(void *)core->scratch_2;
    in->dimensions = DIMENSIONS;
    in->base64 = false;
    in->count = 0;
    data_scan(core, body, on_token, in);
    return in;
}

uint64_t data_mix(uint64_t seed)
{
    uint64_t z = seed + 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t hash_of(const struct core *core, const struct chain *body,
                        struct api_span span)
{
    uint64_t hash = 1469598103934665603u, from = span.start;
    char part[4096];
    while (from < span.end) {
        size_t n = span.end - from < sizeof part ? (size_t)(span.end - from) : sizeof part;
        chain_read(&core->mem, body, from, part, n);
        for (size_t i = 0; i < n; i++) {  /* FNV-1a */
            hash = (hash ^ (unsigned char)part[i]) * 1099511628211u;
        }
        from += n;
    }
    return hash;
}

/* Component i before scaling: -1..1. */
static double component(uint64_t hash, uint64_t i)
{
    return (double)(int64_t)(data_mix(hash + i) >> 11) / 4503599627370496.0 - 1.0;
}

static void put_decimal(struct text *t, double value)
{
    int64_t scaled = (int64_t)llround(value * SCALE);
    char text[DIGITS + 3];
    uint64_t left = (uint64_t)(scaled < 0 ? -scaled : scaled);
    for (size_t at = sizeof text; at > 3; left /= 10) text[--at] = (char)('0' + left % 10);
    text[0] = '-';
    text[1] = (char)('0' + left);
    text[2] = '.';
    size_t skip = scaled >= 0;
    text_put(t, (struct bytes){text + skip, sizeof text - skip});
}

static void put_vector(struct text *t, uint64_t hash, const struct inputs *in)
{
    double sum = 0;
    for (uint64_t i = 0; i < in->dimensions; i++) {
        double x = component(hash, i);
        sum += x * x;
    }
    double scale = sum > 0 ? 1 / sqrt(sum) : 0;
    if (in->base64) {  /* little-endian 32 bit floats, 3 of them a piece so that no pad comes */
        float some[3];
        TEXT(t, "\"");
        for (uint64_t i = 0; i < in->dimensions; i += COUNT(some)) {
            uint64_t n = in->dimensions - i < COUNT(some) ? in->dimensions - i : COUNT(some);
            for (uint64_t k = 0; k < n; k++) some[k] = (float)(component(hash, i + k) * scale);
            text_base64(t, (struct bytes){(const char *)some, (size_t)n * sizeof some[0]});
        }
        TEXT(t, "\"");
        return;
    }
    TEXT(t, "[");
    for (uint64_t i = 0; i < in->dimensions; i++) {
        if (i > 0) TEXT(t, ",");
        put_decimal(t, component(hash, i) * scale);
    }
    TEXT(t, "]");
}

void data_embeddings(struct core *core, struct job *job, struct text *t)
{
    const struct chain *body = &job->c->body;
    const struct inputs *in = read_inputs(core, body);
    TEXT(t, "{\"object\":\"list\",\"data\":[");
    for (uint32_t i = 0; i < in->count; i++) {
        if (i > 0) TEXT(t, ",");
        TEXT(t, "{\"object\":\"embedding\",\"index\":");
        text_number(t, i);
        TEXT(t, ",\"embedding\":");
        put_vector(t, hash_of(core, body, in->at[i]), in);
        TEXT(t, "}");
    }
    TEXT(t, "],\"model\":");
    text_put(t, (struct bytes){job->model, job->model_len});
    if (script_has(&job->script, SCRIPT_BADUSAGE)) {
        TEXT(t, ",\"usage\":{\"prompt_tokens\":-7,\"total_tokens\":1e300}");
    } else if (!script_has(&job->script, SCRIPT_NOUSAGE)) {
        TEXT(t, ",\"usage\":{\"prompt_tokens\":");
        text_number(t, job->prompt_tokens);
        TEXT(t, ",\"total_tokens\":");
        text_number(t, job->prompt_tokens);
        TEXT(t, "}");
    }
    TEXT(t, "}");
}

static const struct bytes categories[] = {
    BYTES_INIT("harassment"), BYTES_INIT("harassment/threatening"), BYTES_INIT("hate"),
    BYTES_INIT("hate/threatening"), BYTES_INIT("illicit"), BYTES_INIT("illicit/violent"),
    BYTES_INIT("self-harm"), BYTES_INIT("self-harm/instructions"),
    BYTES_INIT("self-harm/intent"), BYTES_INIT("sexual"), BYTES_INIT("sexual/minors"),
    BYTES_INIT("violence"), BYTES_INIT("violence/graphic"),
};

static void put_categories(struct text *t, struct bytes value)
{
    for (size_t i = 0; i < COUNT(categories); i++) {
        text_put(t, i > 0 ? BYTES(",\"") : BYTES("\""));
        text_put(t, categories[i]);
        TEXT(t, "\":");
        text_put(t, value);
    }
}

void data_moderations(struct core *core, struct job *job, struct text *t)
{
    const struct inputs *in = read_inputs(core, &job->c->body);
    TEXT(t, "{\"id\":\"modr-");
    text_put(t, (struct bytes){job->id, MOCK_ID});
    TEXT(t, "\",\"model\":");
    text_put(t, (struct bytes){job->model, job->model_len});
    TEXT(t, ",\"results\":[");
    for (uint32_t i = 0; i < in->count; i++) {
        TEXT(t, "{\"flagged\":false,\"categories\":{");
        put_categories(t, BYTES("false"));
        TEXT(t, "},\"category_scores\":{");
        put_categories(t, BYTES("0.0001"));
        text_put(t, i + 1 < in->count ? BYTES("}},") : BYTES("}}"));
    }
    TEXT(t, "]}");
}

void data_count(const struct job *job, struct text *t)
{
    if (job->api == API_COUNT_TOKENS) {
        TEXT(t, "{\"input_tokens\":");
        text_number(t, job->prompt_tokens);
        TEXT(t, "}");
        return;
    }
    TEXT(t, "{\"totalTokens\":");
    text_number(t, job->prompt_tokens);
    TEXT(t, ",\"promptTokensDetails\":[{\"modality\":\"TEXT\",\"tokenCount\":");
    text_number(t, job->prompt_tokens);
    TEXT(t, "}]}");
}

/* Where the first tool's name stands, as the depth of its key: tools[0].function.name,
 * tools[0].name, tools[0].functionDeclarations[0].name. */
static unsigned tool_depth(const struct job *job)
{
    return job->api == API_CHAT ? 4 : job->api == API_GENERATE ? 5 : 3;
}

struct tool { struct job *job; bool name; };

static bool on_tool(enum member member, const struct json_token *t, void *arg)
{
    struct tool *tool = arg;
    if (member != MEMBER_TOOLS || t->depth != tool_depth(tool->job)) return true;
    if (t->type == JSON_KEY) {
        tool->name = t->text.ptr && bytes_eq(t->text, BYTES("name"));
    } else if (t->type == JSON_STRING && tool->name) {
        if (!t->text.ptr || t->text.len > MOCK_TOOL_MAX) return false;
        memcpy(tool->job->tool, t->text.ptr, t->text.len);
        tool->job->tool_len = (uint16_t)t->text.len;
        return false;
    }
    return true;
}

void data_tool(struct core *core, struct job *job)
{
    struct tool tool = {.job = job};
    struct bytes unnamed = BYTES("function");
    memcpy(job->tool, unnamed.ptr, unnamed.len);
    job->tool_len = (uint16_t)unnamed.len;
    data_scan(core, &job->c->body, on_tool, &tool);
}

bool data_model(struct bytes piece, char model[API_NAME_MAX], size_t *len)
{
    struct json json;
    struct json_token t;
    bool next = false;
    json_init(&json, API_REQUEST_DEPTH_MAX);
    while (json_next(&json, &piece, &t) == NET_OK) {
        if (next) {
            if (t.type != JSON_STRING || !t.text.ptr || t.text.len > API_NAME_MAX) {
                return false;
            }
            *len = json_unescape(t.text, model);
            return true;
        }
        if (t.type != JSON_KEY || t.depth != 1) continue;
        next = t.text.ptr && bytes_eq(t.text, BYTES("model"));
        if (!next) json_skip(&json);
    }
    return false;
}
