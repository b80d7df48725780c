/* tr_props.c - see tr_props.h. Model: what was read is dumped as text, and texts are compared:
 * by place, where only cuts differ; by what it says, where it was written anew. */
#include "tr_props.h"
#include "net/json_index.h"
#include "net/sse.h"
#include "tr_kit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define MUST(truth) must(truth, #truth, __LINE__)

static void must(bool truth, const char *what, int line)
{
    if (truth) return;
    (void)fprintf(stderr, "tr_props.c:%d: does not hold: %s\n", line, what);
    abort();
}

/* ---- text that grows ---- */

struct text {
    char *at;
    size_t len, room;
};

static void put(struct text *t, struct bytes b)
{
    if (t->len + b.len + 1 > t->room) {
        t->room = (t->len + b.len + 1) * 2;
        t->at = realloc(t->at, t->room);
        if (!t->at) abort();
    }
    if (b.len > 0) memcpy(t->at + t->len, b.ptr, b.len);
    t->len += b.len;
    t->at[t->len] = '\0';
}

__attribute__((format(printf, 2, 3)))
static void putf(struct text *t, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    put(t, bytes_of(line));
}

static struct bytes text_of(const struct text *t)
{
    return (struct bytes){t->at, t->len};
}

static void text_free(struct text *t)
{
    free(t->at);
    *t = (struct text){0};
}

/* Both must be the same; if not, both are shown. */
static void same(const char *what, const struct text *a, const struct text *b)
{
    if (bytes_eq(text_of(a), text_of(b))) return;
    (void)fprintf(stderr, "%s differ:\n--- %.*s\n+++ %.*s\n", what, (int)a->len,
                  a->at ? a->at : "", (int)b->len, b->at ? b->at : "");
    abort();
}

/* ---- documents ---- */

struct doc {
    struct kit_pieces pieces;
    struct walk_source source;
};

/* Each document that is looked into at one time has a room of its own. */
static struct json_index *index_room(unsigned which)
{
    static struct json_index *room[2];
    if (!room[which]) room[which] = malloc(sizeof *room[which]);
    if (!room[which]) abort();
    return room[which];
}

static struct ask *ask_room(unsigned which)
{
    static struct ask *room[2];
    if (!room[which]) room[which] = malloc(sizeof **room);
    if (!room[which]) abort();
    return room[which];
}

/* ---- requests ---- */

static void put_span(struct text *t, struct walk_span s)
{
    putf(t, " %llu-%llu", (unsigned long long)s.start, (unsigned long long)s.end);
}

static void put_node(struct text *t, struct node n)
{
    putf(t, " %u", n.type);
    put_span(t, walk_all(n));
}

static void put_settings(struct text *t, const struct ask_settings *s)
{
    const struct node nodes[] = {s->temperature, s->top_p, s->top_k, s->seed, s->presence,
        s->frequency, s->bias, s->stop, s->user, s->metadata, s->tier, s->safety, s->cache_key,
        s->verbosity, s->audio, s->schema};
    for (size_t i = 0; i < COUNT(nodes); i++) put_node(t, nodes[i]);
    put_span(t, s->schema_name);
    put_span(t, s->schema_text);
    put_span(t, s->choice_name);
    putf(t, " %lld %lld %lld %lld", (long long)s->max_tokens, (long long)s->n,
         (long long)s->budget, (long long)s->top_logprobs);
    putf(t, " %u %u %u %u %d %d %d", s->effort, s->thinking, s->format, s->choice, s->strict,
         s->parallel, s->thoughts);
    putf(t, " %d%d%d%d%d%d%d\n", s->choice_said, s->gemini, s->stream, s->include_usage,
         s->logprobs, s->store, s->encrypted);
}

static void put_part(struct text *t, const struct ask_part *p)
{
    const struct walk_span spans[] = {p->text, p->id, p->name, p->space, p->signature, p->data,
                                      p->url, p->file, p->mime, p->detail};
    putf(t, "part %u %u %u %d%d%d", p->kind, p->role, p->maker, p->inside, p->custom,
         p->is_error);
    for (size_t i = 0; i < COUNT(spans); i++) put_span(t, spans[i]);
    put_node(t, p->value);
    put_node(t, p->arguments);
    put_node(t, p->cache);
    put_node(t, p->raw);
    putf(t, "\n");
}

static void put_tool(struct text *t, const struct ask_tool *p)
{
    putf(t, "tool %u %d %d", p->kind, p->strict, p->gemini);
    put_span(t, p->name);
    put_span(t, p->description);
    put_span(t, p->space);
    put_node(t, p->schema);
    put_node(t, p->format);
    put_node(t, p->cache);
    put_node(t, p->raw);
    putf(t, "\n");
}

enum { PARTS_MAX = 100000 };  /* more than any document here has */

/* All that is read of a request, by place. False: it is wrong; why is dumped. */
static bool dump_places(struct ask *a, struct text *t)
{
    struct ask_part part;
    struct ask_tool tool;
    size_t count = 0;
    put_settings(t, &a->settings);
    ask_rewind(a);
    do {
        MUST(++count < PARTS_MAX);
        if (!ask_next(a, &part)) {
            putf(t, "wrong %s %s\n", a->pointer, a->error);
            return false;
        }
        put_part(t, &part);
    } while (part.kind != ASK_END);
    ask_tools(a);
    while (ask_tool(a, &tool)) {
        MUST(++count < PARTS_MAX);
        put_tool(t, &tool);
    }
    putf(t, "unsayable %d %s %s\n", a->unsayable, a->pointer, a->error);
    return true;
}

/* Open a request in pieces, dump it twice: it can be begun again. */
static bool open_places(struct ask *a, enum api api, struct doc *d, struct bytes body,
                        size_t step, struct text *t)
{
    bool back = a == ask_room(1);
    struct text again = {0};
    d->source = kit_pieces(&d->pieces, body, step);
    memset(a, 0xA5, sizeof *a);  /* nothing of before is to be read */
    if (!ask_open(a, api, &d->source, index_room(back))) {
        MUST(a->error[0] != '\0');
        putf(t, "not opened %s %s\n", a->pointer, a->error);
        return false;
    }
    bool right = dump_places(a, t);
    if (right) {
        MUST(dump_places(a, &again));
        same("two readings", t, &again);
    } else {
        MUST(a->error[0] != '\0');
    }
    text_free(&again);
    return right;
}

static enum ask_id rule_of(enum api api)
{
    return api == API_MESSAGES ? ID_MESSAGES : api == API_RESPONSES ? ID_RESPONSES
         : api == API_GENERATE ? ID_GEMINI : ID_CHAT;
}

/* A string's text, escapes resolved, line ends as blanks. */
static void put_plain(struct text *t, struct bytes inside)
{
    char *room = malloc(inside.len + 1);
    if (!room) abort();
    size_t n = json_unescape(inside, room);
    for (size_t i = 0; i < n; i++) if (room[i] == '\n' || room[i] == '\r') room[i] = ' ';
    put(t, (struct bytes){room, n});
    free(room);
}

/* Has it a signature of the API's own maker? */
static bool is_own(const struct ask_part *p, enum api api)
{
    static const uint8_t makers[APIS] = {
        [API_CHAT] = MAKER_CHAT, [API_RESPONSES] = MAKER_RESPONSES,
        [API_MESSAGES] = MAKER_MESSAGES, [API_GENERATE] = MAKER_GEMINI,
    };
    return p->maker == makers[api] && walk_has(p->signature);
}

/* What a part says, whatever places it stands at. */
static void put_said(struct text *t, struct ask *a, const struct ask_part *p)
{
    const struct walk_span signature = is_own(p, a->api) ? p->signature : (struct walk_span){0};
    /* A document's type may be told by its name's end. */
    const struct walk_span mime = p->kind != ASK_DOCUMENT ? p->mime : (struct walk_span){0};
    /* A result's name is its call's; chat writes it for functions of old alone. */
    const struct walk_span name = p->kind != ASK_RESULT ? p->name : (struct walk_span){0};
    /* A file that comes with the request must have a name: OpenAI's writers give it one. */
    bool named = p->kind == ASK_DOCUMENT && !walk_has(p->name) &&
                 ((a->api == API_CHAT && !walk_has(p->file)) ||
                  (a->api == API_RESPONSES && walk_has(p->data)));
    const struct walk_span spans[] = {name, signature, p->data, p->url, p->file, mime};
    static const char *const types[] = {[ASK_IMAGE] = "image/png", [ASK_DOCUMENT] = "",
                                        [ASK_AUDIO] = "wav", [ASK_VIDEO] = "video/mp4"};
    struct kit_pen k;
    kit_pen(&k, 0, NULL);
    pen_begin(&k.pen);
    if (p->kind == ASK_TEXT || p->kind == ASK_THINKING) ask_text(&k.pen, &a->walk, p);
    else pen_part_span(&k.pen, &a->walk, p->text);
    pen_end(&k.pen);
    for (size_t i = 0; i < COUNT(spans); i++) {
        pen_put(&k.pen, BYTES(" "));
        pen_put(&k.pen, BYTES("'"));
        if (i == 0 && named) pen_part(&k.pen, BYTES("document.pdf"));
        /* A type that is not said is what chat's writer takes it for. */
        bool typed = i + 1 == COUNT(spans) && a->api == API_CHAT && walk_has(p->data);
        if (typed && !walk_has(mime)) pen_part(&k.pen, bytes_of(types[p->kind]));
        pen_part_span(&k.pen, &a->walk, spans[i]);
    }
    bool called = p->kind == ASK_CALL || p->kind == ASK_RESULT;
    if (called) ask_put_id(&k.pen, &a->walk, p->id, rule_of(a->api));
    struct bytes out = kit_pen_text(&k);
    putf(t, "%u %u%s%s ", p->kind, p->role, p->inside ? " in" : "",
         p->is_error ? " error" : "");
    put_plain(t, out);
    kit_pen_free(&k);
    if (p->kind == ASK_CALL) {
        kit_pen(&k, 0, NULL);
        ask_put_arguments_text(a, &k.pen, p);
        out = kit_pen_text(&k);
        put_plain(t, (struct bytes){out.ptr + 1, out.len - 2});
        kit_pen_free(&k);
    }
    putf(t, "\n");
}

/* Says it nothing, or what only its maker may be told again? */
static bool is_silent(const struct ask_part *p, enum api api)
{
    if (p->kind == ASK_THINKING && !is_own(p, api)) return true;
    if (p->kind == ASK_TURN || p->kind == ASK_END || p->kind == ASK_RESULT_END) return true;
    /* Chat has a refusal beside the content, in no order with its texts. */
    return p->kind == ASK_REFUSAL || (p->kind == ASK_TEXT && !ask_has_text(p));
}

/* What all of a request says. False: chat's writer moves some of it, what is no text from a
 * result to a message of the user's behind it. */
static bool dump_said(struct ask *a, struct text *t)
{
    struct ask_part part;
    struct ask_tool tool;
    bool moved = false;
    ask_rewind(a);
    do {
        MUST(ask_next(a, &part));
        moved |= a->api == API_CHAT && part.inside && part.kind != ASK_TEXT;
        if (!is_silent(&part, a->api)) put_said(t, a, &part);
    } while (part.kind != ASK_END);
    ask_tools(a);
    while (ask_tool(a, &tool)) {
        struct kit_pen k;
        kit_pen(&k, 0, NULL);
        ask_put_name(&k.pen, &a->walk, tool.space, tool.name);
        struct bytes out = kit_pen_text(&k);
        putf(t, "tool %u ", tool.kind);
        put_plain(t, out);
        putf(t, "\n");
        kit_pen_free(&k);
    }
    return !moved;
}

static const enum api apis[] = {API_CHAT, API_RESPONSES, API_MESSAGES, API_GENERATE,
                                API_CONVERSE, API_COHERE};

static struct ask_target target_of(enum api api)
{
    return (struct ask_target){.api = api, .model = BYTES("m-1"), .output_default = 4096,
                               .stream = true, .thinks = true, .official = true,
                               .thoughts = THOUGHTS_REASONING_CONTENT};
}

/* Write it for a provider. Gives the body, which the caller frees; len 0: it cannot be said. */
static struct text written(struct ask *a, enum api to, size_t window)
{
    struct ask_target target = target_of(to);
    struct text out = {0};
    struct kit_pen k;
    char before = a->error[0];
    kit_pen(&k, window, a->walk.source);
    enum ask_rc rc = ask_write(a, &target, &k.pen);
    MUST(rc != ASK_NO_ROOM);
    if (rc == ASK_WRITTEN) {
        struct bytes b = kit_pen_text(&k);
        put(&out, b);
        if (!kit_is_json(b)) (void)fprintf(stderr, "%.*s\n", (int)b.len, b.ptr);
        MUST(kit_is_json(b));
    } else {
        MUST(a->error[0] != '\0');
    }
    if (before == '\0') a->error[0] = '\0';
    kit_pen_free(&k);
    return out;
}

/* The provider's body, read again, must be a request; of its own dialect, the same one. */
static void check_back(struct ask *a, enum api to, const struct text *body)
{
    struct ask *b = ask_room(1);
    struct text places = {0}, said = {0}, again = {0};
    struct doc d;
    bool right = open_places(b, to, &d, text_of(body), 0, &places);
    /* A result without its call is what no provider takes; only Gemini's reader says so. */
    bool alone = !right && strstr(places.at, "functionResponse without");
    if (!right && !alone) (void)fprintf(stderr, "%s\n%s\n", body->at, places.at);
    MUST(right || alone);
    if (right && a->api == to) {
        if (dump_said(a, &said)) {
            (void)dump_said(b, &again);
            same("what is said, written and read back", &said, &again);
        }
        struct text twice = written(b, to, 0);
        same("bodies written twice", body, &twice);
        text_free(&twice);
    }
    kit_pieces_free(&d.pieces);
    text_free(&places);
    text_free(&said);
    text_free(&again);
}

bool props_ask(enum api api, struct bytes body, size_t step)
{
    struct ask *a = ask_room(0);
    struct text whole = {0}, cut = {0};
    struct doc d;
    bool right = open_places(a, api, &d, body, 0, &whole);
    for (size_t i = 0; right && i < COUNT(apis); i++) {
        if (!ask_writes(apis[i])) continue;
        struct text out = written(a, apis[i], body.len);
        if (out.len > 0 && ask_reads(apis[i])) check_back(a, apis[i], &out);
        text_free(&out);
    }
    kit_pieces_free(&d.pieces);
    if (step > 0) {
        a = ask_room(0);
        bool cut_right = open_places(a, api, &d, body, step, &cut);
        same("readings whole and cut", &whole, &cut);
        MUST(right == cut_right);
        kit_pieces_free(&d.pieces);
    }
    text_free(&whole);
    text_free(&cut);
    return right;
}

/* ---- answers ---- */

enum { ITEMS_MAX = 4096, CHOICES = 64 };

struct item {                /* a block */
    uint8_t block;
    bool custom, open;
    uint32_t choice;
    struct text id, name, text, sign;
};

struct heard {               /* what was told; it must be told in order */
    struct item *item;
    uint32_t items;
    struct text rest;
    uint8_t finish[CHOICES];
    uint64_t finished, choices;
    bool started, ended;
    unsigned plain_open;     /* open blocks that are no calls */
};

/* The text of a value, as the inside of a string. */
static void put_escaped(struct text *t, struct bytes value)
{
    char escape[JSON_ESCAPE_MAX];
    while (value.len > 0) {
        char c = *bytes_cut(&value, 1).ptr;
        bool plain = (unsigned char)c >= 0x20 && c != '"' && c != '\\';
        put(t, (struct bytes){plain ? &c : escape, plain ? 1 : json_escape(c, escape)});
    }
}

static struct item *item_of(struct heard *h, const struct tell *t)
{
    MUST(t->item < h->items);
    struct item *i = &h->item[t->item];
    MUST(i->open && i->block == t->block && i->choice == t->choice);
    return i;
}

static void hear_open(struct heard *h, const struct tell *t)
{
    MUST(t->item == h->items && h->items < ITEMS_MAX);
    h->item = realloc(h->item, (h->items + 1) * sizeof *h->item);
    if (!h->item) abort();
    struct item *i = &h->item[h->items++];
    *i = (struct item){.block = t->block, .custom = t->custom, .open = true,
                       .choice = t->choice};
    put(&i->id, t->id);
    put(&i->name, t->name);
    if (t->block == TELL_CALL) {
        MUST(t->id.len > 0);
    } else {
        MUST(h->plain_open == 0);
        h->plain_open++;
    }
}

/* struct tell must be right by itself: what it holds is JSON. */
static void check_told(const struct tell *t)
{
    struct text doc = {0};
    if (t->kind == TELL_MORE && t->value) {
        MUST(t->block == TELL_CALL && t->text.len > 0 && *t->text.ptr == '{');
        MUST(kit_is_json(t->text));
    } else if (t->kind == TELL_LOGPROBS) {
        MUST(kit_is_json(t->text));
    } else {
        put(&doc, BYTES("[\""));
        put(&doc, t->text);
        put(&doc, BYTES("\",\""));
        put(&doc, t->id);
        put(&doc, BYTES("\",\""));
        put(&doc, t->name);
        put(&doc, BYTES("\",\""));
        put(&doc, t->url);
        put(&doc, BYTES("\"]"));
        if (!kit_is_json(text_of(&doc))) (void)fprintf(stderr, "%s\n", doc.at);
        MUST(kit_is_json(text_of(&doc)));
    }
    text_free(&doc);
}

static bool hear(void *arg, const struct tell *t)
{
    struct heard *h = arg;
    MUST(!h->ended && (t->kind == TELL_START) == !h->started);
    MUST(t->choice < CHOICES);
    check_told(t);
    h->started = true;
    if (t->kind >= TELL_OPEN && t->kind <= TELL_CLOSE) {
        MUST(!(h->finished >> t->choice & 1));
        h->choices |= UINT64_C(1) << t->choice;
    }
    if (t->kind == TELL_OPEN) {
        hear_open(h, t);
    } else if (t->kind == TELL_MORE) {
        struct item *i = item_of(h, t);
        MUST(t->text.len > 0 && (!t->value || i->text.len == 0));
        if (t->value) put_escaped(&i->text, t->text);
        else put(&i->text, t->text);
    } else if (t->kind == TELL_SIGN) {
        MUST(t->maker > MAKER_NONE && t->maker < MAKERS);
        put(&item_of(h, t)->sign, t->text);
    } else if (t->kind == TELL_CITE) {
        struct item *i = item_of(h, t);
        putf(&h->rest, "cite %u ", t->item);
        put(&h->rest, t->url);
        put(&h->rest, t->name);
        MUST(i->block == TELL_TEXT);
    } else if (t->kind == TELL_CLOSE) {
        item_of(h, t)->open = false;
        if (t->block != TELL_CALL) h->plain_open--;
    } else if (t->kind == TELL_LOGPROBS) {
        MUST(t->text.len > 0);  /* told only where they lie together */
    } else if (t->kind == TELL_FINISH) {
        MUST(!(h->finished >> t->choice & 1));
        h->finished |= UINT64_C(1) << t->choice;
        h->finish[t->choice] = t->finish;
        for (uint32_t i = 0; i < h->items; i++) {
            MUST(!h->item[i].open || h->item[i].choice != t->choice);
        }
    } else if (t->kind == TELL_END) {
        h->ended = true;
        MUST(h->finished != 0 && (h->choices & ~h->finished) == 0);
    }
    return true;
}

static void heard_free(struct heard *h)
{
    for (uint32_t i = 0; i < h->items; i++) {
        text_free(&h->item[i].id);
        text_free(&h->item[i].name);
        text_free(&h->item[i].text);
        text_free(&h->item[i].sign);
    }
    free(h->item);
    text_free(&h->rest);
    *h = (struct heard){0};
}

/* All that was told. */
static void dump_heard(const struct heard *h, struct text *t)
{
    for (uint32_t i = 0; i < h->items; i++) {
        const struct item *at = &h->item[i];
        putf(t, "%u %u@%u%s ", i, at->block, at->choice, at->custom ? " custom" : "");
        put(t, text_of(&at->id));
        putf(t, " ");
        put(t, text_of(&at->name));
        putf(t, " '");
        put(t, text_of(&at->text));
        putf(t, "' ");
        put(t, text_of(&at->sign));
        putf(t, "\n");
    }
    for (unsigned i = 0; i < CHOICES; i++) {
        if (h->finished >> i & 1) putf(t, "finish %u@%u\n", h->finish[i], i);
    }
    put(t, text_of(&h->rest));
}

/* Texts of one kind, together: not every dialect knows where a block ends. */
static void dump_block(const struct heard *h, enum tell_block block, struct text *t)
{
    putf(t, "%u '", block);
    for (uint32_t i = 0; i < h->items; i++) {
        if (h->item[i].block == block) put_plain(t, text_of(&h->item[i].text));
    }
    putf(t, "'\n");
}

static int by_text(const void *a, const void *b)
{
    const struct text *x = a, *y = b;
    return strcmp(x->at, y->at);
}

/* What of an answer every dialect can say. Calls in no order: a writer may wait until it has
 * all of one, and clients know them by their number, or id. */
static void dump_common(const struct heard *h, struct text *t)
{
    struct text *call = calloc(h->items + 1, sizeof *call);
    size_t calls = 0;
    if (!call) abort();
    dump_block(h, TELL_TEXT, t);
    for (uint32_t i = 0; i < h->items; i++) {
        const struct item *at = &h->item[i];
        if (at->block != TELL_CALL) continue;
        putf(&call[calls], "call ");
        put_plain(&call[calls], text_of(&at->name));
        putf(&call[calls], " ");
        put_plain(&call[calls], at->text.len ? text_of(&at->text) : BYTES("{}"));
        putf(&call[calls++], "\n");
    }
    qsort(call, calls, sizeof *call, by_text);
    for (size_t i = 0; i < calls; i++) {
        put(t, text_of(&call[i]));
        text_free(&call[i]);
    }
    free(call);
}

/* Can every dialect say it? One choice; calls with names, and arguments that are an object. */
static bool is_common(const struct heard *h)
{
    if (h->choices != 1) return false;
    for (uint32_t i = 0; i < h->items; i++) {
        const struct item *at = &h->item[i];
        if (at->block == TELL_REFUSAL || at->block > TELL_CALL || at->custom) return false;
        if (at->block != TELL_CALL) continue;
        struct text plain = {0};
        put_plain(&plain, text_of(&at->text));
        bool object = plain.len == 0 || (memchr("{ ", *plain.at, 2) &&
                                         kit_is_json(text_of(&plain)));
        text_free(&plain);
        if (!object || at->name.len == 0) return false;
    }
    return true;
}

/* ---- streams ---- */

/* The event's name, as its data has it. */
static struct bytes name_of(const struct walk *w, struct node root, char *room, size_t max)
{
    struct walk_span s = walk_inside(walk_member(w, root, BYTES("type")));
    struct bytes b = walk_bytes(w, s, room, max);
    return b.ptr ? b : (struct bytes){0};
}

/* One event's data. False: it is no JSON object. */
static bool tell_line(struct tell_reader *r, struct bytes line, size_t step, bool scratch)
{
    struct kit_pieces pieces;
    struct walk_source source = kit_pieces(&pieces, line, step);
    struct walk w;
    struct node root;
    char room[64];
    bool right = walk_open(&w, &source, scratch ? index_room(0) : NULL, &root);
    if (right) {
        MUST(tell_event(r, name_of(&w, root, room, sizeof room), &w, root));
    }
    kit_pieces_free(&pieces);
    return right;
}

/* Tell a stream, its events in pieces of step bytes; every: only so many of them, 0: all and
 * the end. */
static void tell_lines(enum api api, struct bytes lines, size_t step, tell_take take, void *arg,
                       size_t most)
{
    struct tell_reader r;
    size_t count = 0;
    memset(&r, 0xA5, sizeof r);
    tell_begin(&r, api, 7, take, arg);
    while (lines.len > 0) {
        struct bytes line = bytes_cut(&lines, bytes_find(lines, '\n'));
        if (lines.len > 0) bytes_cut(&lines, 1);
        if (most > 0 && ++count > most) return;
        (void)tell_line(&r, line, step, step != 1);
    }
    if (most == 0) MUST(tell_end(&r));
}

struct log {                 /* a writer's keep */
    struct text text;
    struct tell_keep keep;
};

static struct bytes log_piece(void *arg, uint64_t at)
{
    const struct log *l = arg;
    MUST(at < l->text.len);
    uint64_t left = l->text.len - at, most = 64 - at % 64;
    return (struct bytes){l->text.at + at, (size_t)(left < most ? left : most)};
}

static bool log_put(void *arg, struct bytes b)
{
    struct log *l = arg;
    put(&l->text, b);
    l->keep.source.size += b.len;
    return true;
}

struct writing {             /* a client's stream that is being written */
    struct tell_writer writer;
    struct tell_facts facts;
    struct log log;
    struct kit_pen pen;
};

static void writing_begin(struct writing *w, enum api api)
{
    memset(w, 0, sizeof *w);
    w->facts = (struct tell_facts){.api = api, .seed = {1, 2}, .created = 1700000000,
        .model = "m/1", .cost_nusd = 1500, .want_usage = true, .want_thoughts = true,
        .encrypted = true, .parallel = true,
        .usage = {.present = true, .input = 11, .output = 5, .cached = 3, .reasoning = 2}};
    w->log.keep = (struct tell_keep){.put = log_put, .arg = &w->log,
                                     .source = {.piece = log_piece, .arg = &w->log}};
    kit_pen(&w->pen, 0, NULL);
    tell_write_begin(&w->writer, &w->facts, &w->log.keep);
}

static bool write_told(void *arg, const struct tell *t)
{
    struct writing *w = arg;
    if (t->kind == TELL_FINISH) {
        struct tell usage = {.kind = TELL_USAGE, .usage = w->facts.usage};
        MUST(tell_write(&w->writer, &usage, &w->pen.pen));
    }
    MUST(tell_write(&w->writer, t, &w->pen.pen));
    MUST(w->pen.pen.depth == 0);
    return true;
}

static void writing_free(struct writing *w)
{
    kit_pen_free(&w->pen);
    text_free(&w->log.text);
}

/* A client's stream must be events of JSON, but for chat's last. Gives their data, a line
 * each. */
static struct text lines_of(struct bytes stream)
{
    struct sse sse = {0};
    struct sse_event ev;
    struct text lines = {0};
    enum net_rc rc;
    while ((rc = sse_next(&sse, &stream, &ev)) == NET_OK) {
        if (ev.data_lines == 0) continue;
        MUST(ev.data_lines == 1);
        if (bytes_eq(ev.data, BYTES("[DONE]"))) continue;
        if (!kit_is_json(ev.data)) {
            (void)fprintf(stderr, "%.*s\n", (int)ev.data.len, ev.data.ptr);
        }
        MUST(kit_is_json(ev.data));
        put(&lines, ev.data);
        put(&lines, BYTES("\n"));
    }
    MUST(rc == NET_MORE && stream.len == 0);
    return lines;
}

/* Its own dialect can say why an answer ended. */
static void check_finish(const struct heard *told, const struct heard *again, enum api own,
                         enum api to)
{
    bool called = false;
    for (uint32_t i = 0; i < told->items; i++) called |= told->item[i].block == TELL_CALL;
    /* "For calls", and there are none: a writer says that it was all. */
    if (told->finish[0] == TELL_CALLS && !called) return;
    if (own != to || told->finish[0] == again->finish[0]) return;
    /* Why nobody knows: only Gemini has a word for that; elsewhere it is an end like any. */
    uint8_t plain = called ? TELL_CALLS : TELL_STOP;
    bool other = told->finish[0] == TELL_OTHER && to != API_GENERATE;
    if (other && again->finish[0] == plain) return;
    (void)fprintf(stderr, "%d: finish %u becomes %u\n", own, told->finish[0],
                  again->finish[0]);
    abort();
}

/* What a stream of the client's says must be what was told. */
static void check_stream(const struct heard *told, enum api own, struct writing *w)
{
    struct bytes out = kit_pen_text(&w->pen);
    struct text lines = lines_of(out), first = {0}, back = {0};
    struct heard again = {0};
    enum api to = w->facts.api;
    if (tell_reads(to)) {
        tell_lines(to, text_of(&lines), 0, hear, &again, 0);
        if (is_common(told)) {
            dump_common(told, &first);
            dump_common(&again, &back);
            if (!bytes_eq(text_of(&first), text_of(&back))) {
                (void)fprintf(stderr, "%d as %d: %.*s\n", own, to, (int)out.len, out.ptr);
            }
            same("an answer and the stream made of it", &first, &back);
            check_finish(told, &again, own, to);
        }
    }
    heard_free(&again);
    text_free(&lines);
    text_free(&first);
    text_free(&back);
}

static void check_streams(enum api api, struct bytes lines, const struct heard *told)
{
    for (size_t i = 0; i < COUNT(apis); i++) {
        struct writing w;
        if (!tell_writes(apis[i])) continue;
        writing_begin(&w, apis[i]);
        tell_lines(api, lines, 0, write_told, &w, 0);
        check_stream(told, api, &w);
        writing_free(&w);
        /* Stopped in the middle, it is a stream all the same. */
        for (size_t most = 1; most < 4; most++) {
            writing_begin(&w, apis[i]);
            tell_lines(api, lines, 0, write_told, &w, most);
            MUST(tell_write_stop(&w.writer, &w.facts.usage, &w.pen.pen));
            struct text stopped = lines_of(kit_pen_text(&w.pen));
            MUST(stopped.len > 0);
            text_free(&stopped);
            writing_free(&w);
        }
    }
}

void props_tell_stream(enum api api, struct bytes lines, size_t step)
{
    struct heard whole = {0}, cut = {0};
    struct text first = {0}, other = {0};
    tell_lines(api, lines, 0, hear, &whole, 0);
    MUST(whole.ended);
    dump_heard(&whole, &first);
    if (step > 0) {
        tell_lines(api, lines, step, hear, &cut, 0);
        dump_heard(&cut, &other);
        same("streams whole and cut", &first, &other);
    }
    check_streams(api, lines, &whole);
    heard_free(&whole);
    heard_free(&cut);
    text_free(&first);
    text_free(&other);
}

/* ---- whole answers ---- */

static bool tell_document(const struct tell_story *story, struct heard *h)
{
    MUST(story->again(story, hear, h));
    MUST(h->ended);
    return true;
}

/* Written whole for a client, it must say the same. */
static void check_whole(const struct tell_story *story, const struct heard *told, enum api to)
{
    struct writing w;
    struct heard again = {0};
    struct text first = {0}, back = {0};
    writing_begin(&w, to);
    MUST(tell_write_whole(&w.facts, story, &w.pen.pen));
    MUST(w.pen.pen.depth == 0);
    struct bytes out = kit_pen_text(&w.pen), one = out;
    if (!kit_is_json(out)) (void)fprintf(stderr, "%.*s\n", (int)out.len, out.ptr);
    MUST(kit_is_json(out));
    struct walk_source source;
    struct walk walk;
    struct node root;
    walk_source_of(&source, &one);
    MUST(walk_open(&walk, &source, NULL, &root));
    if (tell_reads(to)) {
        struct tell_story back_story = tell_story(to, 7, &walk, root);
        tell_document(&back_story, &again);
        if (is_common(told)) {
            dump_common(told, &first);
            dump_common(&again, &back);
            if (!bytes_eq(text_of(&first), text_of(&back))) {
                (void)fprintf(stderr, "%d as %d: %.*s\n", story->api, to, (int)out.len,
                              out.ptr);
            }
            same("an answer and what is made of it", &first, &back);
            check_finish(told, &again, story->api, to);
        }
    }
    heard_free(&again);
    text_free(&first);
    text_free(&back);
    writing_free(&w);
}

bool props_tell_whole(enum api api, struct bytes answer, size_t step)
{
    struct doc d;
    struct walk walk;
    struct node root;
    struct heard whole = {0}, cut = {0};
    struct text first = {0}, other = {0};
    d.source = kit_pieces(&d.pieces, answer, 0);
    bool right = walk_open(&walk, &d.source, NULL, &root);
    if (right) {
        struct tell_story story = tell_story(api, 7, &walk, root);
        tell_document(&story, &whole);
        dump_heard(&whole, &first);
        for (size_t i = 0; i < COUNT(apis); i++) {
            if (!tell_writes(apis[i])) continue;
            struct writing w;
            check_whole(&story, &whole, apis[i]);
            writing_begin(&w, apis[i]);
            MUST(story.again(&story, write_told, &w));
            check_stream(&whole, api, &w);
            writing_free(&w);
        }
    }
    kit_pieces_free(&d.pieces);
    if (right && step > 0) {
        d.source = kit_pieces(&d.pieces, answer, step);
        MUST(walk_open(&walk, &d.source, NULL, &root));
        struct tell_story story = tell_story(api, 7, &walk, root);
        tell_document(&story, &cut);
        dump_heard(&cut, &other);
        same("answers whole and cut", &first, &other);
        kit_pieces_free(&d.pieces);
    }
    heard_free(&whole);
    heard_free(&cut);
    text_free(&first);
    text_free(&other);
    return right;
}
