/* cmd_savings_ask.c - what the router says of each prompt of a description. The catalogue is
 * that of weir.yaml's reader for a configuration with just the providers that the description
 * names, keys of no meaning, and its settings of auto; nothing is learned, nothing explored, no
 * provider is ever asked. All of them are said to speak OpenAI's dialect: which of them a
 * client of one dialect can reach is not what the question is about. */
#include "engine/cmd_savings.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/choose.h"
#include "engine/cmd_import.h"
#include "engine/conf.h"
#include "engine/control.h"
#include "net/dialect/api.h"
#include "route/gain.h"
#include "route/score.h"

/* Is this name's provider in the list that is being written already? */
static bool is_listed(const struct import_text *t, struct bytes provider)
{
    char entry[CATALOG_NAME_MAX + 16];
    (void)snprintf(entry, sizeof entry, "name: \"%.*s\"", (int)provider.len, provider.ptr);
    return t->ptr && strstr(t->ptr, entry) != NULL;
}

static void put_provider(struct import_text *t, struct bytes id)
{
    struct bytes provider = {id.ptr, bytes_find(id, '/')};
    if (!is_listed(t, provider)) {
        import_put(t, "  - {name: \"%.*s\", dialect: openai, url: \"http://savings.invalid\", "
                   "keys: [none]}\n", (int)provider.len, provider.ptr);
    }
}

static void put_conf(const struct savings *s, struct import_text *t)
{
    import_put(t, "providers:\n");
    for (uint32_t i = 0; i < s->flagship_count; i++) put_provider(t, bytes_of(s->flagship[i]));
    for (uint32_t i = 0; i < s->cheap_count; i++) put_provider(t, bytes_of(s->cheap[i]));
    for (uint32_t i = 0; i < s->candidate_count; i++) put_provider(t, s->candidates[i]);
    import_put(t, "routing:\n  explore: 0\n");
    if (s->mode.len) {
        import_put(t, "  mode: ");
        import_put_quoted(t, s->mode);
    }
    if (s->floor.len) {
        import_put(t, "\n  quality_floor: %.*s", (int)s->floor.len, s->floor.ptr);
    }
    import_put(t, "\n  auto: [");
    for (uint32_t i = 0; i < s->candidate_count; i++) {
        if (i) import_put(t, ", ");
        import_put_quoted(t, s->candidates[i]);
    }
    import_put(t, "%s]\n", s->candidate_count ? "" : "\"*\"");
}

/* A model that is named must be one the catalogue has. */
static bool is_there(struct savings *s, const char *id)
{
    if (catalog_find(s->catalog, bytes_of(id)) >= 0) return true;
    const char *near = catalog_nearest(s->catalog, bytes_of(id));
    char hint[CONF_QUOTE_MAX];
    (void)fprintf(stderr, "error: no model is called '%s'%s\n", id, conf_hint(near, hint));
    return false;
}

bool savings_open(struct savings *s)
{
    struct import_text t = {0};
    struct conf_report *report = calloc(1, sizeof *report);
    put_conf(s, &t);
    bool fine = report && !t.full &&
                conf_parse(t.ptr, t.len, "the description's models", NULL, &s->conf, report);
    if (report && !fine) (void)fputs(report->text, stderr);
    free(report);
    free(t.ptr);
    if (!fine) return false;
    s->catalog = &s->conf->catalog;
    for (uint32_t i = 0; i < s->flagship_count; i++) fine &= is_there(s, s->flagship[i]);
    for (uint32_t i = 0; i < s->cheap_count; i++) fine &= is_there(s, s->cheap[i]);
    struct score_setup setup = {.catalog = s->catalog, .auto_glob = s->conf->auto_globs,
                                .auto_count = s->conf->auto_count, .views = 1,
                                .now_unix_s = s->now_unix_s};
    s->scores = score_make(&setup);
    return fine && s->scores;
}

void savings_close(struct savings *s)
{
    score_close(s->scores);
    conf_free(s->conf);
}

/* A prompt as the chat request that a client would send: the contents of its JSON strings go
 * in as they are written. False: out of memory. */
static bool put_body(struct import_text *t, const struct savings_row *row, char *tools)
{
    t->len = 0;
    import_put(t, "{\"model\":\"auto\",\"messages\":[{\"role\":\"user\",\"content\":\"%.*s\"}]",
               (int)row->prompt.len, row->prompt.ptr);
    if (row->tools.len > 2 && *row->tools.ptr == '"') {
        struct bytes inner = {row->tools.ptr + 1, row->tools.len - 2};
        size_t len = json_unescape(inner, tools);
        import_put(t, ",\"tools\":%.*s", (int)len, tools);
    } else if (row->tools.len && *row->tools.ptr == '[') {
        import_put(t, ",\"tools\":%.*s", (int)row->tools.len, row->tools.ptr);
    }
    import_put(t, "}");
    return !t->full;
}

static void read_body(void *arg, uint64_t from, char *out, size_t len)
{
    const struct import_text *t = arg;
    assert(from <= t->len && len <= t->len - from);
    memcpy(out, t->ptr + from, len);
}

/* Ask about one body. What cannot be read as a request, or leaves no candidate, has no model;
 * its gain is 0 where it has none. */
static void ask_one(struct savings *s, struct api_reader *reader, struct import_text *body,
                    struct savings_row *row)
{
    struct control control = {0};
    struct features f;
    struct gain g;
    struct choose chosen;
    struct bytes whole = {body->ptr, body->len};
    api_request_begin(reader, API_CHAT);
    if (api_request_feed(reader, whole) == NET_BAD) return;
    if (api_request_end(reader) != NET_DONE) return;
    struct choose_ask ask = {
        .conf = s->conf, .score = score_view(s->scores, 0), .req = &reader->req,
        .control = &control, .read = read_body, .read_arg = body, .api = API_CHAT,
        .body_bytes = whole.len, .now_unix_s = s->now_unix_s,
    };
    row->chosen = choose_make(&ask, &chosen, &f, &g);
    row->gain = chosen.scored ? g.gain : 0;
    if (row->chosen) row->model = chosen.plan.at[0].model;
}

void savings_ask(struct savings *s, struct savings_mix *mix)
{
    struct import_text body = {0};
    struct api_reader *reader = malloc(sizeof *reader);
    size_t longest = 0;
    for (uint32_t i = 0; i < mix->row_count; i++) {
        if (mix->row[i].tools.len > longest) longest = mix->row[i].tools.len;
    }
    char *tools = malloc(longest + 1);
    for (uint32_t i = 0; reader && tools && i < mix->row_count; i++) {
        if (put_body(&body, &mix->row[i], tools)) ask_one(s, reader, &body, &mix->row[i]);
    }
    free(tools);
    free(reader);
    free(body.ptr);
}
