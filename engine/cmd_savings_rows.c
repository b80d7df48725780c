/* cmd_savings_rows.c - prompts with outcomes: JSON Lines, one prompt a line:
 *   {"id", "source", "prompt", "tools"?, "scores": {model: 0..1}?}
 * Other members are passed over. Of the scores two count, a strong and a weak model's: which
 * these are is fixed here for each source, or said by the description, and never chosen by the
 * result. */
#include "engine/cmd_savings.h"
#include "net/json.h"
#include "net/jsonw.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FILE_MAX = 256 << 20, GROWTH = 1 << 20 };

extern char **environ;

static const char gpt4[] = "gpt-4-1106-preview";
static const char mixtral[] = "mistralai/Mixtral-8x7B-Instruct-v0.1";
static const char mixtral_chat[] = "mistralai/mixtral-8x7b-chat";

static const struct { const char *source, *strong, *weak; } pairs[] = {
    {"routellm_mmlu", gpt4, mixtral}, {"routellm_gsm8k", gpt4, mixtral},
    {"routellm_mtbench", gpt4, mixtral}, {"arenabench", gpt4, mixtral},
    {"routerbench_arc_challenge", gpt4, mixtral_chat},
    {"routerbench_mbpp", gpt4, mixtral_chat}, {"routerbench_winograde", gpt4, mixtral_chat},
    {"mmlu_pro", "gemini-1.5-pro-002", "Meta-Llama-3_1-8B-Instruct"},
    {"zeroeval_gsm", "gpt-4o-2024-08-06", "claude-3-haiku-20240307"},
    {"zeroeval_mathl5", "claude-3-5-sonnet-20241022", "claude-3-haiku-20240307"},
    {"llmrouter", "llama-3.1-nemotron-51b-instruct", "mistral-7b-instruct-v0.3"},
    {"alpacaeval1", "gpt4_1106_preview", "llama-2-7b-chat-hf"},
    {"alpacaeval2", "gpt4_1106_preview", "gpt-3.5-turbo-1106"},
    {"bfcl", "claude-3-5-sonnet-20240620", "claude-3-haiku-20240307"},
    {"routerdc7", "meta-llama/Meta-Llama-3-8B", "mistralai/Mistral-7B-v0.1"},
};

int32_t savings_score(struct bytes text)
{
    int32_t micro = 0, unit = SAVINGS_ONE;
    bool point = false, digits = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '.' && !point) {
            point = true;
        } else if (c >= '0' && c <= '9') {
            digits = true;
            if (!point) micro = micro * 10 + (c - '0') * SAVINGS_ONE;
            else micro += (c - '0') * (unit /= 10);
            if (micro >= 10 * SAVINGS_ONE) return SAVINGS_UNKNOWN;
        } else if ((c == 'e' || c == 'E') && digits && i + 1 < text.len &&
                   text.ptr[i + 1] == '-') {
            return 0;            /* Python writes less than 0.0001 like this */
        } else {
            return SAVINGS_UNKNOWN;
        }
    }
    return digits && micro <= SAVINGS_ONE ? micro : SAVINGS_UNKNOWN;
}

/* FNV-1a: equal gains are ordered by the id, so that neither the file's order nor a resample
 * decides. */
static uint64_t hash_of(struct bytes id)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < id.len; i++) hash = (hash ^ (uint8_t)id.ptr[i]) * 0x100000001b3u;
    return hash ^ hash >> 29;
}

struct line {                    /* being read */
    struct json json;
    struct bytes in;
    struct savings_row *row;
    const char *text;            /* begin of the line */
};

void savings_outcome(struct savings_row *row, struct bytes strong, struct bytes weak)
{
    struct json json;
    struct json_token t;
    struct bytes in = row->scores, key = {0};
    row->strong = row->weak = SAVINGS_UNKNOWN;
    for (size_t i = 0; i < COUNT(pairs) && !strong.len; i++) {
        if (!bytes_eq(row->source, bytes_of(pairs[i].source))) continue;
        strong = bytes_of(pairs[i].strong);
        weak = bytes_of(pairs[i].weak);
    }
    if (!strong.len || !weak.len) return;
    json_init(&json, JSON_DEPTH_MAX);
    while (json_next(&json, &in, &t) == NET_OK && t.type != JSON_OBJECT_END) {
        if (t.type == JSON_KEY) key = t.text;
        if (t.type != JSON_NUMBER) continue;
        if (bytes_eq(key, strong)) row->strong = savings_score(t.text);
        if (bytes_eq(key, weak)) row->weak = savings_score(t.text);
    }
}

/* The value of one member of the root. False: not JSON. */
static bool read_member(struct line *l, struct bytes key)
{
    struct json_token t;
    bool prompt = bytes_eq(key, BYTES("prompt")), tools = bytes_eq(key, BYTES("tools"));
    if (!prompt && !tools && !bytes_eq(key, BYTES("id")) && !bytes_eq(key, BYTES("source"))) {
        bool scores = bytes_eq(key, BYTES("scores"));
        json_skip(&l->json);
        if (json_next(&l->json, &l->in, &t) != NET_OK) return false;
        if (scores && l->text[t.start] == '{') {
            l->row->scores = (struct bytes){l->text + t.start, (size_t)(t.end - t.start)};
        }
        return true;
    }
    if (tools) json_skip(&l->json);
    if (json_next(&l->json, &l->in, &t) != NET_OK) return false;
    if (tools) {
        l->row->tools = (struct bytes){l->text + t.start, (size_t)(t.end - t.start)};
    } else if (t.type != JSON_STRING) {
        return false;
    } else if (prompt) {
        l->row->prompt = t.text;
    } else if (bytes_eq(key, BYTES("id"))) {
        l->row->tie = hash_of(t.text);
    } else {
        l->row->source = t.text;
    }
    return true;
}

static bool read_line(struct bytes line, struct savings_row *row)
{
    struct line l = {.in = line, .row = row, .text = line.ptr};
    struct json_token t;
    *row = (struct savings_row){.strong = SAVINGS_UNKNOWN, .weak = SAVINGS_UNKNOWN};
    json_init(&l.json, JSON_DEPTH_MAX);
    if (json_next(&l.json, &l.in, &t) != NET_OK || t.type != JSON_OBJECT) return false;
    for (;;) {
        if (json_next(&l.json, &l.in, &t) != NET_OK) return false;
        if (t.type == JSON_OBJECT_END) break;
        if (!read_member(&l, t.text)) return false;
    }
    savings_outcome(row, (struct bytes){0}, (struct bytes){0});
    return row->prompt.ptr != NULL && json_next(&l.json, &l.in, &t) != NET_BAD;
}

static bool add(struct savings_rows *rows, const struct savings_row *row)
{
    if (rows->count == rows->room) {
        uint32_t room = rows->room ? 2 * rows->room : 1024;
        struct savings_row *more = realloc(rows->row, room * sizeof *more);
        if (!more) return false;
        rows->row = more;
        rows->room = room;
    }
    rows->row[rows->count++] = *row;
    return true;
}

size_t savings_line(struct bytes prompt, char *out, size_t room)
{
    struct jsonw w;
    jsonw_init(&w, out, room);
    jsonw_object(&w);
    jsonw_key(&w, "prompt"), jsonw_string(&w, prompt);
    jsonw_object_end(&w);
    assert(!w.full);
    return w.len;
}

bool savings_rows_parse(char *text, size_t len, struct savings_rows **out, const char **why)
{
    struct savings_rows *rows = calloc(1, sizeof *rows);
    struct bytes left = {text, len};
    if (!rows) {
        free(text);
        *why = "out of memory";
        return false;
    }
    rows->text = text;
    while (left.len) {
        struct bytes line = bytes_cut(&left, bytes_find(left, '\n'));
        struct savings_row row;
        if (left.len) bytes_cut(&left, 1);
        if (bytes_trim(line).len == 0) continue;
        bool fine = read_line(line, &row);
        *why = fine ? "out of memory" : "a line is no object with a prompt";
        if (!fine || !add(rows, &row)) {
            savings_rows_free(rows);
            return false;
        }
    }
    *out = rows;
    return true;
}

void savings_rows_free(struct savings_rows *rows)
{
    while (rows) {
        struct savings_rows *next = rows->next;
        free(rows->row);
        free(rows->text);
        free(rows);
        rows = next;
    }
}

/* Start gzip -dc on the file behind fd, which is closed. Gives where its output is read, or
 * -errno. */
static int unzip(int fd, pid_t *child)
{
    int ends[2];
    char *args[] = {"gzip", "-dc", NULL};
    posix_spawn_file_actions_t actions;
    if (pipe2(ends, O_CLOEXEC) < 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc == 0) {
        rc = posix_spawn_file_actions_adddup2(&actions, fd, 0);
        if (rc == 0) rc = posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
        if (rc == 0) rc = posix_spawnp(child, args[0], &actions, NULL, args, environ);
        (void)posix_spawn_file_actions_destroy(&actions);
    }
    close(fd);
    close(ends[1]);
    if (rc == 0) return ends[0];
    close(ends[0]);
    return -rc;
}

/* All of fd, at most FILE_MAX bytes, into malloc's memory. NULL: *why. */
static char *slurp(int fd, size_t *len, const char **why)
{
    size_t room = 0;
    char *text = NULL;
    for (*len = 0;;) {
        if (*len == room) {
            char *more = room >= FILE_MAX ? NULL : realloc(text, room + GROWTH);
            if (!more) {
                *why = room >= FILE_MAX ? "it is larger than 256 MiB" : "out of memory";
                break;
            }
            text = more;
            room += GROWTH;
        }
        ssize_t n = read(fd, text + *len, room - *len);
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) return text;
        if (n < 0) {
            *why = strerror(errno);
            break;
        }
        *len += (size_t)n;
    }
    free(text);
    return NULL;
}

bool savings_rows_open(const char *path, struct savings_rows **out, const char **why)
{
    size_t len = 0, name = strlen(path);
    pid_t child = -1;
    int status = 0, fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        *why = strerror(errno);
        return false;
    }
    if (name > 3 && strcmp(path + name - 3, ".gz") == 0) {
        fd = unzip(fd, &child);
        if (fd < 0) {
            *why = "gzip cannot be started";
            return false;
        }
    }
    char *text = slurp(fd, &len, why);
    close(fd);
    while (child >= 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    if (text && status != 0) {
        free(text);
        text = NULL;
        *why = "gzip cannot read it";
    }
    return text && savings_rows_parse(text, len, out, why);
}
