/* foreign.c - see foreign.h. Anthropic's Messages and Gemini's generateContent, as far as a
 * text, its usage and its ends go: what their words become is net/translate's own tests'. */
#include "tests/sim/foreign.h"
#include "tests/sim/machine.h"
#include "tests/sim/money.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGES = 1, GENERATE = 3 };     /* who speaks what */

bool foreign_is(uint32_t provider) { return provider == MESSAGES || provider == GENERATE; }

const char *foreign_dialect(uint32_t provider)
{
    return provider == MESSAGES ? "anthropic" : provider == GENERATE ? "gemini" : "openai";
}

const char *foreign_key_field(uint32_t provider, const char **before)
{
    *before = foreign_is(provider) ? "" : "Bearer ";
    return provider == MESSAGES ? "x-api-key: " : provider == GENERATE ? "x-goog-api-key: "
                                                                       : "authorization: ";
}

/* --- what it answers */

/* A piece of its text; the first begins with the answer's name. */
static void put_piece(struct text *words, struct reply *p, const char *name, uint32_t len,
                      bool last)
{
    if (name && !p->onward) text_put(words, "%s|", name);
    if (name && !p->onward) text_bytes(&p->said, words->at, words->len);
    model_piece(p, words, len, last);
    text_bytes(&p->expect, words->at, words->len);
    if (words->len > p->event_max) p->event_max = (uint32_t)words->len;
}

static void put_messages_usage(struct text *t, const struct reply *p, bool end)
{
    if (!p->usage) return;
    text_put(t, end ? ",\"usage\":{\"output_tokens\":%u}" :
             ",\"usage\":{\"output_tokens\":%u,\"input_tokens\":%u,"
             "\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":%u}",
             end ? p->output : 1, p->input, p->cached);
}

static void put_event(struct text *t, const char *type, const char *end, const char *more,
                      const struct text *words)
{
    text_put(t, "event: %s%.*sdata: {\"type\":\"%s\"%s", type, (int)strlen(end) / 2, end, type,
             more);
    if (words) text_bytes(t, words->at, words->len);
    text_put(t, "%s}%s", words ? "\"}" : "", end);
}

static void put_messages(struct text *t, struct reply *p, const char *name, uint32_t events,
                         uint32_t size)
{
    const char *end = draw_maybe(150) ? "\r\n\r\n" : "\n\n";
    struct text start = {0}, stop = {0};
    text_put(&start, ",\"message\":{\"id\":\"msg_1\",\"type\":\"message\","
             "\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"stop_reason\":null");
    put_messages_usage(&start, p, false);
    text_put(&start, "}%c", 0);
    put_event(t, "message_start", end, start.at, NULL);
    free(start.at);
    if (p->kind == REPLY_EMPTY) return;
    put_event(t, "content_block_start", end,
              ",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}", NULL);
    for (uint32_t i = 0; i < events; i++) {
        struct text words = {0};
        put_piece(&words, p, i == 0 ? name : NULL, draw_range(1, size), i + 1 == events);
        put_event(t, "content_block_delta", end,
                  ",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"", &words);
        free(words.at);
        if (draw_maybe(50)) put_event(t, "ping", end, "", NULL);
    }
    if (p->kind == REPLY_ERROR) {
        put_event(t, "error", end, ",\"error\":{\"type\":\"api_error\",\"message\":\"broke\"}",
                  NULL);
        return;
    }
    if (p->kind == REPLY_NOT_JSON) {
        put_event(t, "message_delta", end, ",\"delta\":[}", NULL);
        return;
    }
    put_event(t, "content_block_stop", end, ",\"index\":0", NULL);
    text_put(&stop, ",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null}");
    put_messages_usage(&stop, p, true);
    text_put(&stop, "%c", 0);
    put_event(t, "message_delta", end, stop.at, NULL);
    free(stop.at);
    if (p->kind != REPLY_NO_DONE) put_event(t, "message_stop", end, "", NULL);
}

static void put_gemini_end(struct text *t, const struct reply *p)
{
    text_put(t, "\"finishReason\":\"STOP\"}]");
    if (!p->usage) return;
    text_put(t, ",\"usageMetadata\":{\"promptTokenCount\":%u,\"cachedContentTokenCount\":%u,"
             "\"candidatesTokenCount\":%u,\"totalTokenCount\":%u}", p->input + p->cached,
             p->cached, p->output, p->input + p->cached + p->output);
}

static void put_gemini(struct text *t, struct reply *p, const char *name, uint32_t events,
                       uint32_t size)
{
    static const char begin[] = "data: {\"candidates\":[{\"index\":0,\"content\":{\"role\":"
                                "\"model\",\"parts\":[{\"text\":\"";
    for (uint32_t i = 0; i < events && p->kind != REPLY_EMPTY; i++) {
        struct text words = {0};
        put_piece(&words, p, i == 0 ? name : NULL, draw_range(1, size), i + 1 == events);
        text_put(t, "%s", begin);
        text_bytes(t, words.at, words.len);
        text_put(t, "\"}]}}]}\r\n\r\n");
        free(words.at);
    }
    if (p->kind == REPLY_EMPTY) return;
    if (p->kind == REPLY_ERROR) {
        text_put(t, "data: {\"error\":{\"code\":500,\"message\":\"broke\",\"status\":"
                 "\"INTERNAL\"}}\r\n\r\n");
    } else if (p->kind == REPLY_NOT_JSON) {
        text_put(t, "data: {\"candidates\":[}\r\n\r\n");
    } else {
        text_put(t, "%s\"}]},", begin);
        put_gemini_end(t, p);
        text_put(t, "}\r\n\r\n");
    }
}

static void put_whole(struct text *t, struct reply *p, const char *name)
{
    struct text words = {0};
    bool messages = p->provider == MESSAGES;
    if (p->kind == REPLY_EMPTY) return;
    if (p->kind == REPLY_ERROR) {
        text_put(t, "{\"error\":{\"message\":\"no %s\",\"code\":500}}", name);
        return;
    }
    put_piece(&words, p, name, model_answer_size(), true);
    text_put(t, messages ? "{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\","
                           "\"model\":\"m\",\"content\":[{\"type\":\"text\",\"text\":\""
                         : "{\"candidates\":[{\"index\":0,\"content\":{\"role\":\"model\","
                           "\"parts\":[{\"text\":\"");
    text_bytes(t, words.at, words.len);
    free(words.at);
    if (messages) {
        text_put(t, "\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null");
        if (p->usage) {
            text_put(t, ",\"usage\":{\"input_tokens\":%u,\"cache_read_input_tokens\":%u,"
                     "\"output_tokens\":%u}", p->input, p->cached, p->output);
        }
    } else {
        text_put(t, "\"}]},");
        put_gemini_end(t, p);
    }
    text_put(t, p->kind == REPLY_NOT_JSON ? ",,}" : "}");
}

void foreign_answer(struct text *body, struct reply *p, const char *name)
{
    assert(foreign_is(p->provider) && p->expect.len == 0);
    uint32_t events = draw_range(1, 12), size = model_answer_size() / events + 1;
    if (draw_maybe(80)) size = 150000, events = 2;     /* more than is held in one piece */
    if (!p->sse) put_whole(body, p, name);
    else if (p->provider == MESSAGES) put_messages(body, p, name, events, size);
    else put_gemini(body, p, name, events, size);
}

/* --- what it is asked */

static bool holds(const char *at, size_t len, const char *what)
{
    return memmem(at, len, what, strlen(what)) != NULL;
}

void foreign_request(const struct ask *a, uint32_t provider, const char *path, const char *body,
                     size_t len)
{
    bool stream = a->kind == ASK_STREAM, messages = provider == MESSAGES;
    const char *want = messages ? "/v1/messages "
                       : stream ? "/v1/models/m:streamGenerateContent?alt=sse "
                                : "/v1/models/m:generateContent ";
    bool whole = memmem(body, len, a->prompt.at, a->prompt.len) != NULL;
    bool asked = !messages || holds(body, len, "\"stream\":true") == stream;
    bool named = !messages || (holds(body, len, "\"model\":\"m\"") &&
                               holds(body, len, "\"max_tokens\":"));
    if (whole && asked && named && strstr(path, want)) return;
    violated("request", "provider %u got %s: %.200s", provider, path, body);
}

/* The string that begins at `at`, up to its closing quote. */
static struct text string_at(const char *at, const char *end)
{
    struct text out = {0};
    const char *from = at;
    while (at < end && *at != '"') at += *at == '\\' ? 2 : 1;
    text_bytes(&out, from, (size_t)(at - from));
    return out;
}

struct text foreign_before(uint32_t provider, const char *body, size_t len)
{
    const char *role = provider == GENERATE ? "\"role\":\"model\"" : "\"role\":\"assistant\"";
    const char *end = body + len, *turn = NULL, *at = body;
    while ((at = memmem(at, (size_t)(end - at), role, strlen(role))) != NULL) turn = at++;
    if (!turn) return (struct text){0};
    const char *text = memmem(turn, (size_t)(end - turn), "\"text\":\"", 8);
    const char *content = memmem(turn, (size_t)(end - turn), "\"content\":\"", 11);
    if (content && (!text || content < text)) return string_at(content + 11, end);
    return text ? string_at(text + 8, end) : (struct text){0};
}

/* --- what its client sees */

struct text foreign_texts(const char *at, size_t len)
{
    static const char key[] = "\"content\":\"";
    struct text out = {0};
    const char *end = at + len;
    while (at && at < end) {
        at = memmem(at, (size_t)(end - at), key, sizeof key - 1);
        if (!at) break;
        const char *from = at += sizeof key - 1;
        /* a raw line end: the event was cut off where memory ran out, an error follows */
        while (at < end && *at != '"' && *at != '\n') {
            at += *at == '\\' && at + 1 < end && at[1] != '\n' ? 2 : 1;
        }
        if (at > end) at = end;
        text_bytes(&out, from, (size_t)(at - from));
    }
    return out;
}

static bool ends(const struct text *t, const char *with)
{
    size_t len = strlen(with);
    return t->len >= len && memcmp(t->at + t->len - len, with, len) == 0;
}

void foreign_done(struct ask *a)
{
    const struct text *want = &a->from->expect;
    struct text got = foreign_texts(a->body.at, a->body.len);
    unsigned n = (unsigned)(a - model()->ask);
    bool stream = a->kind == ASK_STREAM;
    bool done = !stream || ends(&a->body, "data: [DONE]\n\n");
    bool length = memmem(a->body.at, a->body.len, "\"length\"", 8) != NULL;
    a->broken = !done;
    a->stopped = done && length && money()->binds;
    size_t common = got.len < want->len ? got.len : want->len;
    bool same = memcmp(got.at ? got.at : "", want->at ? want->at : "", common) == 0 &&
                got.len <= want->len;
    bool all = got.len == want->len;
    if (!same || (!all && !a->broken && !a->stopped)) {
        size_t at = 0;
        while (at < common && got.at[at] == want->at[at]) at++;
        size_t from = at < 60 ? 0 : at - 60;
        violated("bytes", "sim-%u: %zu of %zu bytes of text, broken %d, from %zu on other.\n"
                 " got: %.*s\nsent: %.*s", n, got.len, want->len, a->broken, at,
                 (int)(got.len - from < 200 ? got.len - from : 200), got.at + from,
                 (int)(want->len - from < 200 ? want->len - from : 200), want->at + from);
    }
    bool error = memmem(a->body.at, a->body.len, "data: {\"error\":", 15) != NULL;
    if (a->broken && !error) violated("bytes", "sim-%u has neither [DONE] nor error", n);
    bool usage = memmem(a->body.at, a->body.len, "\"prompt_tokens\":", 16) != NULL;
    bool expect = a->want_usage || !stream;
    if (done && usage != expect) violated("bytes", "sim-%u: usage is told: %d", n, usage);
    free(got.at);
}

bool foreign_nothing(struct ask *a)
{
    static const char error[] = "data: {\"error\":{\"message\":\"p";
    char why[MODEL_ID_MAX + 16];
    if (a->kind != ASK_STREAM || model()->calm || a->body.len == 0) return false;
    bool asked = false;
    for (uint32_t i = 0; i < a->reply_count; i++) {
        const struct reply *p = &a->reply[i];
        asked = asked || (foreign_is(p->provider) && p->status == 200);
    }
    const char *end = a->body.at + a->body.len;
    const char *at = memmem(a->body.at, a->body.len, error, sizeof error - 1);
    if (!asked || !at) return false;
    size_t left = (size_t)(end - at);
    const char *event_end = memmem(at, left, "\n\n", 2);
    unsigned who = left > sizeof error ? (unsigned)(at[sizeof error - 1] - '0') : 0;
    model_id(who, why);
    (void)snprintf(why + strlen(why), 16, ": no room left");
    bool room = memmem(at, left, why, strlen(why)) == at + sizeof error - 2;
    struct text got = foreign_texts(a->body.at, a->body.len);
    a->broken = room && event_end && event_end + 2 == end && got.len == 0;
    free(got.at);
    return a->broken;
}
