/* cmd_score.c - see cmd_score.h.
 * Model: all lines are read and made features of, by the reader and the code that the gateway
 * uses: a prompt becomes the body of a chat request. Then labels are learned, each by the
 * tenant it names; then each line is scored as its tenant's: that of its member "tenant", else
 * the one its own id is labelled with, else the only one there is, else nobody's.
 * Rule: a wrong line is told with its number, and nothing is printed. */
#include "engine/cmd_score.h"
#include "engine/ask.h"
#include "net/dialect/api.h"
#include "route/gain.h"

#include <stdio.h>
#include <stdlib.h>

enum { NAME_BYTES = 256, NO_TENANT = INT32_MAX };

struct request {
    char *id;
    uint32_t tenant;            /* index, or NO_TENANT */
    struct features features;
};

struct tenant {
    char *name;
    struct gain_tenant learned;
};

struct score {
    struct request *request;
    size_t count, room;
    struct tenant *tenant;
    uint32_t tenant_count, tenant_room;
    struct request **by_id;     /* sorted */
    struct api_reader *reader;
    char why[200];
};

/* The members of one line, raw; ptr is NULL where there is none. */
struct line { struct bytes id, prompt, messages, body, tools, tenant; };

static void *grow(void *old, size_t count, size_t bytes)
{
    void *p = realloc(old, count * bytes);
    if (!p) {
        (void)fputs("error: not enough memory\n", stderr);
        exit(1);
    }
    return p;
}

static bool refuse(struct score *s, const char *why)
{
    (void)snprintf(s->why, sizeof s->why, "%s", why);
    return false;
}

/* A copy with an end, escapes resolved where it is a string. NULL: longer than a name may be,
 * or it would not be one field of one line. */
static char *name_of(struct bytes raw)
{
    char text[NAME_BYTES];
    if (raw.len >= 2 && raw.ptr[0] == '"') raw = (struct bytes){raw.ptr + 1, raw.len - 2};
    if (raw.len == 0 || raw.len >= sizeof text) return NULL;
    size_t len = json_unescape(raw, text);
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x20) return NULL;
    }
    char *copy = grow(NULL, len + 1, 1);
    memcpy(copy, text, len);
    copy[len] = 0;
    return copy;
}

/* Index of the tenant of this name, which it takes. */
static uint32_t tenant_take(struct score *s, char *name)
{
    for (uint32_t i = 0; i < s->tenant_count; i++) {
        if (strcmp(s->tenant[i].name, name) == 0) {
            free(name);
            return i;
        }
    }
    if (s->tenant_count == s->tenant_room) {
        s->tenant_room = s->tenant_room ? s->tenant_room * 2 : 16;
        s->tenant = grow(s->tenant, s->tenant_room, sizeof *s->tenant);
    }
    s->tenant[s->tenant_count] = (struct tenant){.name = name};
    return s->tenant_count++;
}

/* --- a line of requests */

static struct bytes *member_of(struct line *line, struct bytes key)
{
    if (bytes_eq(key, BYTES("id"))) return &line->id;
    if (bytes_eq(key, BYTES("prompt"))) return &line->prompt;
    if (bytes_eq(key, BYTES("messages"))) return &line->messages;
    if (bytes_eq(key, BYTES("body"))) return &line->body;
    if (bytes_eq(key, BYTES("tools"))) return &line->tools;
    if (bytes_eq(key, BYTES("tenant"))) return &line->tenant;
    return NULL;
}

/* Find the members. False: s->why. */
static bool line_read(struct score *s, struct bytes text, struct line *out)
{
    struct json json;
    struct json_token t;
    struct bytes rest = text, *member = NULL;
    enum net_rc rc;
    json_init(&json, JSON_DEPTH_MAX);
    while ((rc = json_next(&json, &rest, &t)) == NET_OK) {
        struct bytes raw = {text.ptr + t.start, (size_t)(t.end - t.start)};
        if (t.depth == 0 && t.type != JSON_OBJECT && t.type != JSON_OBJECT_END) {
            return refuse(s, "not an object");
        }
        if (t.type == JSON_KEY) {
            member = member_of(out, t.text);
            if (member && member->ptr) return refuse(s, "a member that stands there twice");
            bool nested = member == &out->messages || member == &out->body ||
                          member == &out->tools;
            if (!member || nested) json_skip(&json);
        } else if (t.depth == 1 && member) {
            *member = raw;
            member = NULL;
        }
    }
    if (rc == NET_MORE) rc = json_finish(&json, &t);
    return rc == NET_DONE ? true : refuse(s, json_why(&json));
}

static bool is_string(struct bytes a) { return a.len >= 2 && a.ptr[0] == '"'; }

static bool line_check(struct score *s, const struct line *line)
{
    int texts = (line->prompt.ptr != NULL) + (line->messages.ptr != NULL) +
                (line->body.ptr != NULL);
    if (!line->id.ptr) return refuse(s, "no \"id\"");
    if (texts != 1) return refuse(s, "not one of \"prompt\", \"messages\" and \"body\"");
    if (line->prompt.ptr && !is_string(line->prompt)) return refuse(s, "prompt: no string");
    if (line->tenant.ptr && !is_string(line->tenant)) return refuse(s, "tenant: no string");
    if (line->tools.ptr && line->body.ptr) return refuse(s, "\"tools\" beside \"body\"");
    return true;
}

static size_t add(char *out, size_t len, struct bytes text)
{
    memcpy(out + len, text.ptr, text.len);
    return len + text.len;
}

/* The body of the request: gives its length; out has room for the line and 128 bytes. */
static size_t body_make(const struct line *line, char *out)
{
    struct bytes tools = line->tools;
    if (is_string(line->body)) {
        return json_unescape((struct bytes){line->body.ptr + 1, line->body.len - 2}, out);
    }
    if (line->body.ptr) return add(out, 0, line->body);
    size_t len = add(out, 0, BYTES("{\"model\":\"auto\",\"messages\":"));
    if (line->messages.ptr) {
        len = add(out, len, line->messages);
    } else {
        len = add(out, len, BYTES("[{\"role\":\"user\",\"content\":"));
        len = add(out, len, line->prompt);
        len = add(out, len, BYTES("}]"));
    }
    if (is_string(tools) && tools.len > 2) {
        len = add(out, len, BYTES(",\"tools\":"));
        len += json_unescape((struct bytes){tools.ptr + 1, tools.len - 2}, out + len);
    } else if (tools.ptr && tools.ptr[0] == '[') {
        len = add(out, len, BYTES(",\"tools\":"));
        len = add(out, len, tools);
    } else if (tools.ptr && !is_string(tools) && !bytes_eq(tools, BYTES("null"))) {
        return 0;
    }
    return add(out, len, BYTES("}"));
}

static void read_body(void *arg, uint64_t from, char *out, size_t len)
{
    const struct bytes *body = arg;
    assert(from <= body->len && len <= body->len - from);
    memcpy(out, body->ptr + from, len);
}

static bool body_read(struct score *s, struct bytes body, struct features *out)
{
    struct features_ask ask;
    struct ask_room room;
    api_request_begin(s->reader, API_CHAT);
    enum net_rc rc = api_request_feed(s->reader, body);
    if (rc != NET_BAD) rc = api_request_end(s->reader);
    if (rc == NET_BAD) return refuse(s, s->reader->error);
    ask_make(&s->reader->req, read_body, &body, &room, &ask);
    features_make(&ask, out);
    return true;
}

static bool line_take(struct score *s, struct bytes text)
{
    struct line line = {.id = {0}};
    if (s->count == s->room) {
        s->room = s->room ? s->room * 2 : 1024;
        s->request = grow(s->request, s->room, sizeof *s->request);
    }
    struct request *r = &s->request[s->count];
    *r = (struct request){.tenant = NO_TENANT};
    if (!line_read(s, text, &line) || !line_check(s, &line)) return false;
    char *body = grow(NULL, text.len + 128, 1);
    size_t len = body_make(&line, body);
    bool good = len > 0 ? body_read(s, (struct bytes){body, len}, &r->features)
                        : refuse(s, "tools: no array, nor a string that holds one");
    free(body);
    if (!good) return false;
    r->id = name_of(line.id);
    if (!r->id) return refuse(s, "id: empty, too long, or with control characters");
    s->count++;
    if (!line.tenant.ptr) return true;
    char *tenant = name_of(line.tenant);
    if (!tenant) return refuse(s, "tenant: empty, too long, or with control characters");
    r->tenant = tenant_take(s, tenant);
    return true;
}

/* --- labels */

static int by_id(const void *a, const void *b)
{
    const struct request *const *left = a, *const *right = b;
    return strcmp((*left)->id, (*right)->id);
}

static struct request *find(const struct score *s, const char *id)
{
    struct request wanted = {.id = (char *)(uintptr_t)id}, *key = &wanted;
    struct request **at = bsearch(&key, s->by_id, s->count, sizeof *at, by_id);
    return at ? *at : NULL;
}

static bool label_take(struct score *s, struct bytes text)
{
    char field[3][NAME_BYTES] = {{0}}, *end;
    for (int i = 0; i < 3; i++) {
        struct bytes part = bytes_cut(&text, bytes_find(text, '\t'));
        if (part.len == 0 || part.len >= NAME_BYTES || (i < 2) != (text.len > 0)) {
            return refuse(s, "not id, tab, tenant, tab, score");
        }
        memcpy(field[i], part.ptr, part.len);
        if (text.len > 0) bytes_cut(&text, 1);
    }
    float score = strtof(field[2], &end);
    if (*end || end == field[2] || !(score >= -1 && score <= 1)) {
        return refuse(s, "the score is no number from -1 to 1");
    }
    struct request *r = find(s, field[0]);
    if (!r) return refuse(s, "no request has this id");
    char *name = grow(NULL, strlen(field[1]) + 1, 1);
    memcpy(name, field[1], strlen(field[1]) + 1);
    uint32_t tenant = tenant_take(s, name);
    struct features_kept kept;
    gain_keep(gain_builtin(), &r->features, &kept);
    gain_learn_label(&s->tenant[tenant].learned, gain_builtin(), &kept, score, 1);
    if (r->tenant == NO_TENANT) r->tenant = tenant;
    return true;
}

/* --- files */

/* Everything in a file, with an end. NULL: it cannot be read, which was said. */
static char *file_read(const char *name, size_t *len)
{
    FILE *in = strcmp(name, "-") == 0 ? stdin : fopen(name, "rb");
    size_t room = 1 << 16, n;
    char *text = grow(NULL, room, 1);
    *len = 0;
    while (in && (n = fread(text + *len, 1, room - *len, in)) > 0) {
        *len += n;
        if (*len == room) text = grow(text, room *= 2, 1);
    }
    bool bad = !in || ferror(in);
    if (in && in != stdin) (void)fclose(in);
    if (!bad) return text;
    (void)fprintf(stderr, "error: %s: cannot be read\n", name);
    free(text);
    return NULL;
}

/* Take every line of a file that is not empty; false at the first wrong one, which was told. */
static bool lines_take(struct score *s, const char *name,
                       bool (*take)(struct score *s, struct bytes text))
{
    size_t len, number = 0;
    bool good = true;
    char *text = file_read(name, &len);
    if (!text) return false;
    for (struct bytes rest = {text, len}; good && rest.len > 0;) {
        struct bytes line = bytes_cut(&rest, bytes_find(rest, '\n'));
        if (rest.len > 0) bytes_cut(&rest, 1);
        number++;
        if (line.len > 0 && line.ptr[line.len - 1] == '\r') line.len--;
        if (bytes_trim(line).len == 0) continue;
        good = take(s, line);
        if (!good) (void)fprintf(stderr, "%s:%zu: error: %s\n", name, number, s->why);
    }
    free(text);
    return good;
}

static bool labels_learn(struct score *s, const char *labels)
{
    s->by_id = grow(NULL, s->count + 1, sizeof(struct request *));
    for (size_t i = 0; i < s->count; i++) s->by_id[i] = &s->request[i];
    qsort(s->by_id, s->count, sizeof(struct request *), by_id);
    return lines_take(s, labels, label_take);
}

static void print(const struct score *s)
{
    uint32_t only = s->tenant_count == 1 ? 0 : NO_TENANT;
    for (size_t i = 0; i < s->count; i++) {
        const struct request *r = &s->request[i];
        uint32_t tenant = r->tenant != NO_TENANT ? r->tenant : only;
        struct gain gain;
        gain_score(gain_builtin(), tenant == NO_TENANT ? NULL : &s->tenant[tenant].learned,
                   &r->features, &gain);
        (void)printf("%s\t%.6f\n", r->id, (double)gain.exact);
    }
}

int cmd_score(const char *file, const char *labels)
{
    struct score *s = grow(NULL, 1, sizeof *s);
    memset(s, 0, sizeof *s);
    s->reader = grow(NULL, 1, sizeof *s->reader);
    bool good = lines_take(s, file, line_take) && (!labels || labels_learn(s, labels));
    if (good) print(s);
    for (size_t i = 0; i < s->count; i++) free(s->request[i].id);
    for (uint32_t i = 0; i < s->tenant_count; i++) free(s->tenant[i].name);
    free(s->request), free(s->tenant), free(s->by_id), free(s->reader), free(s);
    return good && fflush(stdout) == 0 ? 0 : 1;
}
