/* rows.c - see rows.h. */
#include <stdio.h>

#include "tools/train/rows.h"
#include "net/json.h"

#include <openssl/sha.h>
#include <stdlib.h>

enum { DEPTH = 16 };

#define GPT4 "gpt-4-1106-preview"
#define MIXTRAL "mistralai/Mixtral-8x7B-Instruct-v0.1"

/* The strong and the weak model of each source, as the data's pairs.py has them, and what a
 * row of it weighs: many rows of one benchmark must not drown a few of another. */
static const struct pair { const char *source, *strong, *weak; float weight; } pair_of[] = {
    {"routellm_mmlu", GPT4, MIXTRAL, 1},
    {"routellm_gsm8k", GPT4, MIXTRAL, 3},
    {"routellm_mtbench", GPT4, MIXTRAL, 1},
    {"routerbench_arc_challenge", GPT4, "mistralai/mixtral-8x7b-chat", 1},
    {"routerbench_mbpp", GPT4, "mistralai/mixtral-8x7b-chat", 1},
    {"routerbench_winograde", GPT4, "mistralai/mixtral-8x7b-chat", 1},
    {"arenabench", GPT4, MIXTRAL, 1},
    {"mmlu_pro", "gemini-1.5-pro-002", "Meta-Llama-3_1-8B-Instruct", 0.3f},
    {"zeroeval_gsm", "gpt-4o-2024-08-06", "claude-3-haiku-20240307", 1},
    {"zeroeval_mathl5", "claude-3-5-sonnet-20241022", "claude-3-haiku-20240307", 1},
    {"llmrouter", "llama-3.1-nemotron-51b-instruct", "mistral-7b-instruct-v0.3", 1},
    {"alpacaeval2", "gpt4_1106_preview", "gpt-3.5-turbo-1106", 1},
    {"alpacaeval1", "gpt4_1106_preview", "llama-2-7b-chat-hf", 1},
    {"bfcl", "claude-3-5-sonnet-20240620", "claude-3-haiku-20240307", 1},
    {"routerdc7", "meta-llama/Meta-Llama-3-8B", "mistralai/Mistral-7B-v0.1", 1},
};

struct scores {
    struct bytes model[128];
    float score[128];
    unsigned count;
};

static void fail(const char *what, size_t line)
{
    (void)fprintf(stderr, "rows: line %zu: %s\n", line, what);
    exit(1);
}

static void *take(void *old, size_t bytes)
{
    void *p = realloc(old, bytes);
    if (!p) fail("no memory", 0);
    return p;
}

static uint16_t name_take(struct rows *r, struct bytes name)
{
    uint16_t i = rows_name(r, name);
    if (i < ROWS_NAMES_MAX) return i;
    if (r->name_count == ROWS_NAMES_MAX) fail("too many names", 0);
    r->name[r->name_count] = name;
    return r->name_count++;
}

uint16_t rows_name(const struct rows *r, struct bytes name)
{
    for (uint16_t i = 0; i < r->name_count; i++) {
        if (bytes_eq(r->name[i], name)) return i;
    }
    return ROWS_NAMES_MAX;
}

/* The score of a model; false where it has none. */
static bool score_of(const struct scores *s, const char *model, float *out)
{
    for (unsigned i = 0; i < s->count; i++) {
        if (!bytes_eq(s->model[i], bytes_of(model))) continue;
        *out = s->score[i];
        return true;
    }
    return false;
}

static void label(const struct rows *r, struct row *row, const struct scores *s)
{
    for (size_t i = 0; i < COUNT(pair_of); i++) {
        const struct pair *p = &pair_of[i];
        if (!bytes_eq(r->name[row->source], bytes_of(p->source))) continue;
        row->weight = p->weight;
        row->paired = score_of(s, p->strong, &row->strong) && score_of(s, p->weak, &row->weak);
    }
}

static uint32_t tie_of(struct bytes id)
{
    unsigned char text[300] = "tie:", sum[SHA_DIGEST_LENGTH];
    size_t len = id.len < sizeof text - 4 ? id.len : sizeof text - 4;
    memcpy(text + 4, id.ptr, len);
    SHA1(text, 4 + len, sum);
    return (uint32_t)sum[0] << 24 | (uint32_t)sum[1] << 16 | (uint32_t)sum[2] << 8 | sum[3];
}

static uint64_t key_of(struct bytes key)
{
    uint64_t value = 0;
    for (size_t i = 0; i < key.len; i++) value = value * 131 + (unsigned char)key.ptr[i];
    return value;
}

static float number_of(struct bytes text)
{
    char copy[40] = {0};
    memcpy(copy, text.ptr, text.len < sizeof copy - 1 ? text.len : sizeof copy - 1);
    return strtof(copy, NULL);
}

/* A member of the root object of which only strings are read. */
static void root_member(struct rows *r, struct row *row, struct bytes key, struct bytes value)
{
    if (bytes_eq(key, BYTES("id"))) row->id = value, row->tie = tie_of(value);
    else if (bytes_eq(key, BYTES("source"))) row->source = name_take(r, value);
    else if (bytes_eq(key, BYTES("family"))) row->family = name_take(r, value);
    else if (bytes_eq(key, BYTES("group"))) row->group = name_take(r, value);
    else if (bytes_eq(key, BYTES("key"))) row->key = key_of(value);
    else if (bytes_eq(key, BYTES("split"))) row->split = bytes_eq(value, BYTES("dev"));
    else if (bytes_eq(key, BYTES("use"))) row->may_train = bytes_eq(value, BYTES("train"));
    else if (bytes_eq(key, BYTES("prompt"))) row->prompt = value;
    else if (bytes_eq(key, BYTES("tools"))) {
        char *plain = take(NULL, value.len + 1);
        row->tools = (struct bytes){plain, json_unescape(value, plain)};
    }
}

static void read_row(struct rows *r, struct row *row, struct bytes line, size_t number)
{
    struct json j;
    struct json_token t;
    struct bytes in = line, key = {0};
    struct scores scores = {.count = 0};
    bool in_scores = false;
    json_init(&j, DEPTH);
    while (json_next(&j, &in, &t) == NET_OK) {
        struct bytes text = {line.ptr + t.start + 1, t.end - t.start - 2};
        if (t.type == JSON_KEY) {
            key = text;
            if (t.depth == 1 && bytes_eq(key, BYTES("scores"))) in_scores = true;
        } else if (t.type == JSON_OBJECT_END && t.depth == 1) {
            in_scores = false;
        } else if (t.depth == 1 && t.type == JSON_STRING) {
            root_member(r, row, key, text);
        } else if (in_scores && t.type == JSON_NUMBER && scores.count < COUNT(scores.model)) {
            scores.model[scores.count] = key;
            scores.score[scores.count++] =
                number_of((struct bytes){line.ptr + t.start, t.end - t.start});
        }
    }
    if (j.error || row->id.len == 0 || row->prompt.ptr == NULL) fail("not such a row", number);
    label(r, row, &scores);
    struct features_ask ask;
    rows_ask(row->prompt, row->tools, &ask);
    features_make(&ask, &row->features);
}

static uint32_t count_tools(struct bytes tools)
{
    struct json j;
    struct json_token t;
    uint32_t count = 0;
    json_init(&j, 64);
    while (json_next(&j, &tools, &t) == NET_OK) count += t.depth == 1 && t.type == JSON_OBJECT;
    return count;
}

void rows_ask(struct bytes prompt, struct bytes tools, struct features_ask *out)
{
    *out = (struct features_ask){.message_count = 1, .user_turns = 1, .max_tokens = -1};
    out->prompt_bytes = out->last_bytes = prompt.len;
    out->text[TEXT_LAST] = prompt;
    out->tool_bytes = tools.len;
    out->text[TEXT_TOOLS] = tools;
    out->tool_count = count_tools(tools);
}

void rows_read(struct rows *r, FILE *in)
{
    size_t room = (size_t)1 << 24, len = 0, rows_room = 0, number = 0;
    char *text = take(NULL, room);
    for (size_t n; (n = fread(text + len, 1, room - len, in)) > 0;) {
        len += n;
        if (len == room) text = take(text, room *= 2);
    }
    memset(r, 0, sizeof *r);
    for (struct bytes rest = {text, len}; rest.len > 0;) {
        struct bytes line = bytes_cut(&rest, bytes_find(rest, '\n'));
        if (rest.len > 0) bytes_cut(&rest, 1);
        number++;
        if (r->count == rows_room) {
            rows_room = rows_room ? rows_room * 2 : 4096;
            r->at = take(r->at, rows_room * sizeof *r->at);
        }
        r->at[r->count] = (struct row){.paired = false};
        read_row(r, &r->at[r->count++], line, number);
    }
}
