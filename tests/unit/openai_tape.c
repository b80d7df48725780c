/* openai_tape.c - loads recorded exchanges. Model: a file is one JSON object; values are
 * found by walking down, one name at a time. Rule: slow and plain, it judges the others. */
#include "openai_tape.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

/* The value of one member of an object, as written. */
static bool member(struct bytes doc, const char *name, size_t len, struct bytes *out)
{
    struct json j;
    struct json_token t;
    struct bytes rest = doc;
    bool wanted = false;
    json_init(&j, JSON_DEPTH_MAX);
    while (json_next(&j, &rest, &t) == NET_OK) {
        if (t.type == JSON_KEY && t.depth == 1) {
            wanted = bytes_eq(t.text, (struct bytes){name, len});
            json_skip(&j);
        } else if (wanted) {
            *out = (struct bytes){doc.ptr + t.start, (size_t)(t.end - t.start)};
            return !bytes_eq(*out, BYTES("null"));
        }
    }
    return false;
}

bool tape_path(struct bytes doc, const char *path, struct bytes *out)
{
    *out = doc;
    while (*path) {
        size_t len = strcspn(path, ".");
        if (out->len == 0 || *out->ptr != '{' || !member(*out, path, len, out)) return false;
        path += len + (path[len] == '.');
    }
    return true;
}

/* The whole of a file; the caller frees. */
static struct bytes slurp(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0) abort();
    long size = ftell(f);
    char *text = malloc((size_t)size + 1);
    rewind(f);
    if (!text || fread(text, 1, (size_t)size, f) != (size_t)size) abort();
    (void)fclose(f);
    return (struct bytes){text, (size_t)size};
}

/* Decode base64 (RFC 4648 section 4) in place; gives the length. */
static size_t unbase(char *text, size_t len)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned value = 0, bits = 0;
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        const char *at = text[i] ? strchr(digits, text[i]) : NULL;
        if (!at) continue;
        value = value << 6 | (unsigned)(at - digits);
        bits += 6;
        if (bits < 8) continue;
        bits -= 8;
        text[n++] = (char)(value >> bits);
        value &= (1u << bits) - 1;
    }
    return n;
}

static void play(const char *path, const char *name, const char *dialect,
                 void (*f)(const struct tape *tape, void *arg), void *arg)
{
    struct tape tape = {.name = name, .dialect = dialect};
    struct bytes file = slurp(path), events;
    char *text = NULL;
    if (!tape_path(file, "request.body", &tape.request)) tape.request = (struct bytes){0};
    if (!tape_path(file, "response.body", &tape.answer)) tape.answer = (struct bytes){0};
    bool binary = tape_path(file, "response.body_base64", &events);
    if ((binary || tape_path(file, "response.sse", &events)) && *events.ptr == '"') {
        text = malloc(events.len);
        if (!text) abort();
        tape.events.len = json_unescape((struct bytes){events.ptr + 1, events.len - 2}, text);
        tape.binary = binary;
        if (binary) tape.events.len = unbase(text, tape.events.len);
        tape.events.ptr = text;
    }
    f(&tape, arg);
    free(text);
    free((void *)(uintptr_t)file.ptr);
}

/* Those of a folder whose names hold the dialect's. False: there is no such folder. */
static bool play_folder(const char *folder, const char *dialect,
                        void (*f)(const struct tape *tape, void *arg), void *arg)
{
    char path[1024], part[64];
    DIR *dir = opendir(folder);
    if (!dir) return false;
    (void)snprintf(part, sizeof part, ".%s.", dialect);
    for (struct dirent *e; (e = readdir(dir));) {
        if (e->d_name[0] == '.' || !strstr(e->d_name, part)) continue;
        (void)snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        play(path, e->d_name, dialect, f, arg);
    }
    (void)closedir(dir);
    return true;
}

bool tapes_each(const char *dialect, void (*f)(const struct tape *tape, void *arg), void *arg)
{
    char root[512], folder[1024];
    const char *shared = getenv("WEIR_SHARED");
    (void)snprintf(root, sizeof root, "%s/data/cassettes", shared ? shared : "../shared");
    (void)snprintf(folder, sizeof folder, "%s/recorded/%s", root, dialect);
    if (!play_folder(folder, dialect, f, arg)) return false;
    (void)snprintf(folder, sizeof folder, "%s/parallel", root);
    DIR *dir = opendir(folder);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        if (e->d_name[0] == '.') continue;
        (void)snprintf(folder, sizeof folder, "%s/parallel/%s", root, e->d_name);
        (void)play_folder(folder, dialect, f, arg);
    }
    if (dir) (void)closedir(dir);
    return true;
}
