/* rows.c - see rows.h. */
#include <stdio.h>

#include "tools/train/rows.h"
#include "net/json.h"

#include <openssl/sha.h>
#include <stdlib.h>

enum { POOL_MAX = 6, PAIRS = 15, DEPTH = 16 };

/* The strong and the weak model of each source, and the models that stand beside them for a
 * label with less noise: the first of each pool is the pair. */
static const struct pair {
    const char *source, *strong[POOL_MAX], *weak[POOL_MAX];
} pair_of[PAIRS] = {
    {"routellm_mmlu", {"gpt-4-1106-preview"}, {"mistralai/Mixtral-8x7B-Instruct-v0.1"}},
    {"routellm_gsm8k", {"gpt-4-1106-preview"}, {"mistralai/Mixtral-8x7B-Instruct-v0.1"}},
    {"routellm_mtbench", {"gpt-4-1106-preview"}, {"mistralai/Mixtral-8x7B-Instruct-v0.1"}},
    {"routerbench_arc_challenge", {"gpt-4-1106-preview"}, {"mistralai/mixtral-8x7b-chat"}},
    {"routerbench_mbpp", {"gpt-4-1106-preview"}, {"mistralai/mixtral-8x7b-chat"}},
    {"routerbench_winograde", {"gpt-4-1106-preview"}, {"mistralai/mixtral-8x7b-chat"}},
    {"arenabench", {"gpt-4-1106-preview", "gpt-4-0314"},
     {"mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-3.5-turbo", "claude-instant-1"}},
    {"mmlu_pro", {"gemini-1.5-pro-002", "gemini-1.5-flash-002", "Meta-Llama-3_1-70B-Instruct",
                  "DeepSeek-Coder-V2"},
     {"Meta-Llama-3_1-8B-Instruct", "Mistral-7B-Instruct-v0.2", "Qwen1.5-7B-Chat", "gemma-7b",
      "Phi-3-mini-4k-instruct", "Meta-Llama-3_1-8B"}},
    {"zeroeval_gsm", {"gpt-4o-2024-08-06", "claude-3-5-sonnet-20241022",
                      "Llama-3.1-405B-Inst@sambanova", "gpt-4o-2024-05-13", "Mistral-Large-2"},
     {"claude-3-haiku-20240307", "gpt-3.5-turbo-0125", "Mixtral-8x7B-Instruct-v0.1",
      "Meta-Llama-3-8B-Instruct", "gemma-2-2b-it"}},
    {"zeroeval_mathl5", {"claude-3-5-sonnet-20241022", "gpt-4o-2024-08-06",
                         "Qwen2.5-72B-Instruct", "gemini-1.5-pro-exp-0827"},
     {"claude-3-haiku-20240307", "gpt-3.5-turbo-0125", "Meta-Llama-3.1-8B-Instruct",
      "Meta-Llama-3-8B-Instruct"}},
    {"llmrouter", {"llama-3.1-nemotron-51b-instruct", "llama-3.3-nemotron-super-49b-v1"},
     {"mistral-7b-instruct-v0.3", "codegemma-7b", "qwen2.5-7b-instruct"}},
    {"alpacaeval2", {"gpt4_1106_preview"}, {"gpt-3.5-turbo-1106"}},
    {"alpacaeval1", {"gpt4_1106_preview", "gpt4", "mistral-medium"},
     {"llama-2-7b-chat-hf", "zephyr-7b-alpha", "gpt-3.5-turbo-1106"}},
    {"bfcl", {"claude-3-5-sonnet-20240620", "gpt-4-1106-preview", "gpt-4-0613",
              "claude-3-opus-20240229"},
     {"claude-3-haiku-20240307", "gpt-3.5-turbo-0125", "mistral-small-2402",
      "open-mixtral-8x7b"}},
    {"routerdc7", {"meta-llama/Meta-Llama-3-8B"}, {"mistralai/Mistral-7B-v0.1"}},
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

/* Mean of the first n models of a list that have a score; false where the first has none. */
static bool mean_of(const struct scores *s, const char *const *model, size_t n, float *out)
{
    float sum = 0, count = 0;
    for (size_t i = 0; i < n && model[i]; i++) {
        for (unsigned k = 0; k < s->count; k++) {
            if (!bytes_eq(s->model[k], bytes_of(model[i]))) continue;
            sum += s->score[k];
            count += 1;
        }
        if (count == 0) return false;
    }
    *out = sum / count;
    return true;
}

static void label(const struct rows *r, struct row *row, const struct scores *s)
{
    for (size_t i = 0; i < PAIRS; i++) {
        const struct pair *p = &pair_of[i];
        if (!bytes_eq(r->name[row->source], bytes_of(p->source))) continue;
        row->paired = mean_of(s, p->strong, 1, &row->strong) &&
                      mean_of(s, p->weak, 1, &row->weak) &&
                      mean_of(s, p->strong, POOL_MAX, &row->pool_strong) &&
                      mean_of(s, p->weak, POOL_MAX, &row->pool_weak);
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
