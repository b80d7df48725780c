/* tr_note.c - see tr_note.h. */
#include "tr_note.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tr_kit.h"

void note_add(struct note *n, const char *form, ...)
{
    va_list args;
    va_start(args, form);
    int len = vsnprintf(NULL, 0, form, args);
    va_end(args);
    assert_true(len >= 0);
    if (n->len + (size_t)len + 1 > n->room) {
        n->room = 2 * (n->len + (size_t)len) + 256;
        n->at = realloc(n->at, n->room);
        assert_non_null(n->at);
    }
    va_start(args, form);
    (void)vsnprintf(n->at + n->len, n->room - n->len, form, args);
    va_end(args);
    n->len += (size_t)len;
}

void note_free(struct note *n)
{
    free(n->at);
    *n = (struct note){0};
}

void note_is(const struct note *n, const char *text)
{
    assert_string_equal(n->at ? n->at : "", text);
}

static void add_bytes(struct note *n, const char *name, struct bytes b)
{
    if (b.len > 0) note_add(n, " %s=%.*s", name, (int)b.len, b.ptr);
}

static void add_span(struct note *n, const struct walk *w, const char *name, struct walk_span s)
{
    if (!walk_has(s)) return;
    note_add(n, " %s=", name);
    while (s.start < s.end) {
        struct bytes b = walk_piece(w, s.start, s.end);
        note_add(n, "%.*s", (int)b.len, b.ptr);
        s.start += b.len;
    }
}

static void add_node(struct note *n, const struct walk *w, const char *name, struct node v)
{
    if (v.type != JSON_NONE) add_span(n, w, name, walk_all(v));
}

/* A text as a writer writes it. */
static void add_text(struct note *n, const struct walk *w, const struct ask_part *part)
{
    struct kit_pen k;
    if (!ask_has_text(part)) return;
    kit_pen(&k, 0, NULL);
    pen_begin(&k.pen);
    ask_text(&k.pen, w, part);
    pen_end(&k.pen);
    struct bytes out = kit_pen_text(&k);
    note_add(n, " text=%.*s", (int)out.len, out.ptr);
    kit_pen_free(&k);
}

static void add_id(struct note *n, const struct walk *w, const struct ask_part *part)
{
    struct kit_pen k;
    kit_pen(&k, 0, NULL);
    ask_put_id(&k.pen, w, part->id, ID_GEMINI);
    struct bytes out = kit_pen_text(&k);
    note_add(n, " id=%.*s", (int)out.len, out.ptr);
    kit_pen_free(&k);
}

static const char *const roles[] = {"system", "developer", "user", "model", "tool"};
static const char *const makers[] = {"none", "chat", "responses", "messages", "gemini",
                                     "converse"};

static void add_part(struct note *n, const struct walk *w, const struct ask_part *part)
{
    static const char *const kinds[] = {"end", "turn", "text", "refusal", "image", "document",
        "audio", "video", "thinking", "call", "result", "result-end", "other"};
    if (part->kind == ASK_END) return;
    note_add(n, "%s%s", part->inside ? "  " : "", kinds[part->kind]);
    if (part->kind == ASK_TURN) note_add(n, " %s", roles[part->role]);
    if (part->kind == ASK_CALL || part->kind == ASK_RESULT) add_id(n, w, part);
    if (part->custom) note_add(n, " custom");
    add_span(n, w, "space", part->space);
    add_span(n, w, "name", part->name);
    add_text(n, w, part);
    add_node(n, w, "args", part->arguments);
    add_span(n, w, "mime", part->mime);
    add_span(n, w, "data", part->data);
    add_span(n, w, "url", part->url);
    add_span(n, w, "file", part->file);
    add_span(n, w, "detail", part->detail);
    if (walk_has(part->signature)) note_add(n, " maker=%s", makers[part->maker]);
    add_span(n, w, "sig", part->signature);
    add_node(n, w, "cache", part->cache);
    if (part->kind == ASK_OTHER) add_node(n, w, "raw", part->raw);
    if (part->is_error) note_add(n, " error");
    note_add(n, "\n");
}

void note_parts(struct note *n, struct ask *a)
{
    struct ask_part part = {0};
    ask_rewind(a);
    do {
        if (!ask_next(a, &part)) {
            note_add(n, "%s %s: %s\n", a->unsayable ? "unsayable" : "wrong", a->pointer,
                     a->error);
            return;
        }
        add_part(n, &a->walk, &part);
    } while (part.kind != ASK_END);
}

void note_tools(struct note *n, struct ask *a)
{
    static const char *const kinds[] = {"function", "custom", "hosted"};
    struct ask_tool tool;
    ask_tools(a);
    while (ask_tool(a, &tool)) {
        note_add(n, "tool %s", kinds[tool.kind]);
        add_span(n, &a->walk, "space", tool.space);
        add_span(n, &a->walk, "name", tool.name);
        add_span(n, &a->walk, "about", tool.description);
        add_node(n, &a->walk, tool.gemini ? "gemini" : "schema", tool.schema);
        add_node(n, &a->walk, "format", tool.format);
        if (tool.strict >= 0) note_add(n, " strict=%d", tool.strict);
        note_add(n, "\n");
    }
}

static void note_settings(struct note *n, const struct ask *a)
{
    const struct ask_settings *s = &a->settings;
    const struct { const char *name; struct node node; } nodes[] = {
        {"temperature", s->temperature}, {"top_p", s->top_p}, {"top_k", s->top_k},
        {"seed", s->seed}, {"presence", s->presence}, {"frequency", s->frequency},
        {"bias", s->bias}, {"stop", s->stop}, {"user", s->user}, {"metadata", s->metadata},
        {"tier", s->tier}, {"safety", s->safety}, {"cache_key", s->cache_key},
        {"verbosity", s->verbosity}, {"audio", s->audio}, {"schema", s->schema},
    };
    const struct { const char *name; int64_t value, unsaid; } words[] = {
        {"max", s->max_tokens, -1}, {"n", s->n, -1}, {"budget", s->budget, -1},
        {"top_logprobs", s->top_logprobs, -1}, {"effort", s->effort, 0},
        {"thinking", s->thinking, 0}, {"format", s->format, 0}, {"choice", s->choice, 0},
        {"strict", s->strict, -1}, {"parallel", s->parallel, -1},
        {"thoughts", s->thoughts, -1}, {"said", s->choice_said, 0}, {"gemini", s->gemini, 0},
        {"stream", s->stream, 0}, {"logprobs", s->logprobs, 0}, {"store", s->store, 0},
        {"encrypted", s->encrypted, 0},
    };
    note_add(n, "set");
    for (size_t i = 0; i < COUNT(nodes); i++) {
        add_node(n, &a->walk, nodes[i].name, nodes[i].node);
    }
    for (size_t i = 0; i < COUNT(words); i++) {
        if (words[i].value == words[i].unsaid) continue;
        note_add(n, " %s=%lld", words[i].name, (long long)words[i].value);
    }
    add_span(n, &a->walk, "schema_name", s->schema_name);
    add_span(n, &a->walk, "schema_text", s->schema_text);
    add_span(n, &a->walk, "choice_name", s->choice_name);
    if (a->unsayable) note_add(n, " unsayable %s: %s", a->pointer, a->error);
    note_add(n, "\n");
}

void note_ask(struct note *n, struct ask *a)
{
    note_settings(n, a);
    note_parts(n, a);
    note_tools(n, a);
}

static void add_usage(struct note *n, const struct api_usage *u)
{
    note_add(n, " in=%u cached=%u out=%u reasoning=%u", u->input, u->cached, u->output,
             u->reasoning);
}

bool note_tell(void *arg, const struct tell *t)
{
    static const char *const kinds[] = {"start", "open", "more", "sign", "cite", "close",
                                        "logprobs", "finish", "usage", "end"};
    static const char *const blocks[] = {"text", "refusal", "thinking", "call", "image",
                                         "audio", "transcript"};
    static const char *const finishes[] = {"stop", "stop-sequence", "length", "context",
        "calls", "filter", "refused", "pause", "other"};
    struct note *n = arg;
    bool block = t->kind >= TELL_OPEN && t->kind <= TELL_CLOSE;
    char begins[32], *last = n->at ? strrchr(n->at, '\n') : NULL;
    (void)snprintf(begins, sizeof begins, "%s %u ", kinds[t->kind], t->item);
    if ((t->kind == TELL_MORE || t->kind == TELL_SIGN) && last) {  /* the text goes on */
        *last = '\0';
        char *line = strrchr(n->at, '\n');
        line = line ? line + 1 : n->at;
        bool on = strncmp(line, begins, strlen(begins)) == 0;
        *last = '\n';
        if (on) {
            n->len = (size_t)(last - n->at);
            note_add(n, "%.*s\n", (int)t->text.len, t->text.ptr);
            return true;
        }
    }
    note_add(n, "%s", kinds[t->kind]);
    if (block) note_add(n, " %u", t->item);
    if (t->kind == TELL_OPEN || t->kind == TELL_CLOSE) note_add(n, " %s", blocks[t->block]);
    if (t->choice > 0) note_add(n, " choice=%u", t->choice);
    if (t->kind == TELL_FINISH) note_add(n, " %s", finishes[t->finish]);
    if (t->kind == TELL_SIGN) note_add(n, " %s", makers[t->maker]);
    if (t->kind == TELL_USAGE) add_usage(n, &t->usage);
    if (t->custom && t->kind == TELL_OPEN) note_add(n, " custom");
    add_bytes(n, "id", t->id);
    add_bytes(n, "name", t->name);
    add_bytes(n, "url", t->url);
    if (t->text.len > 0) note_add(n, " %.*s", (int)t->text.len, t->text.ptr);
    note_add(n, "\n");
    return true;
}
