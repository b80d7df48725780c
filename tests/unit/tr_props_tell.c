/* tr_props_tell.c - what must hold of answers: see tr_props.h. Model: what is told is noted as
 * text by block, and must be in order; texts are compared: all of them, where only cuts differ;
 * what every dialect can say, where it was written anew. */
#include "tr_props.h"
#include "net/sse.h"
#include "tr_kit.h"
#include "tr_text.h"

#include <stdio.h>
#include <stdlib.h>

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
        text_put(t, (struct bytes){plain ? &c : escape, plain ? 1 : json_escape(c, escape)});
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
    text_put(&i->id, t->id);
    text_put(&i->name, t->name);
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
        text_put(&doc, BYTES("[\""));
        text_put(&doc, t->text);
        text_put(&doc, BYTES("\",\""));
        text_put(&doc, t->id);
        text_put(&doc, BYTES("\",\""));
        text_put(&doc, t->name);
        text_put(&doc, BYTES("\",\""));
        text_put(&doc, t->url);
        text_put(&doc, BYTES("\"]"));
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
        else text_put(&i->text, t->text);
    } else if (t->kind == TELL_SIGN) {
        MUST(t->maker > MAKER_NONE && t->maker < MAKERS);
        text_put(&item_of(h, t)->sign, t->text);
    } else if (t->kind == TELL_CITE) {
        struct item *i = item_of(h, t);
        text_putf(&h->rest, "cite %u ", t->item);
        text_put(&h->rest, t->url);
        text_put(&h->rest, t->name);
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
        text_putf(t, "%u %u@%u%s ", i, at->block, at->choice, at->custom ? " custom" : "");
        text_put(t, text_of(&at->id));
        text_putf(t, " ");
        text_put(t, text_of(&at->name));
        text_putf(t, " '");
        text_put(t, text_of(&at->text));
        text_putf(t, "' ");
        text_put(t, text_of(&at->sign));
        text_putf(t, "\n");
    }
    for (unsigned i = 0; i < CHOICES; i++) {
        if (h->finished >> i & 1) text_putf(t, "finish %u@%u\n", h->finish[i], i);
    }
    text_put(t, text_of(&h->rest));
}

/* Texts of one kind, together: not every dialect knows where a block ends. */
static void dump_block(const struct heard *h, enum tell_block block, struct text *t)
{
    text_putf(t, "%u '", block);
    for (uint32_t i = 0; i < h->items; i++) {
        if (h->item[i].block == block) text_put_plain(t, text_of(&h->item[i].text));
    }
    text_putf(t, "'\n");
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
        text_putf(&call[calls], "call ");
        text_put_plain(&call[calls], text_of(&at->name));
        text_putf(&call[calls], " ");
        text_put_plain(&call[calls], at->text.len ? text_of(&at->text) : BYTES("{}"));
        text_putf(&call[calls++], "\n");
    }
    qsort(call, calls, sizeof *call, by_text);
    for (size_t i = 0; i < calls; i++) {
        text_put(t, text_of(&call[i]));
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
        text_put_plain(&plain, text_of(&at->text));
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
    bool right = walk_open(&w, &source, scratch ? props_index(0) : NULL, &root);
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
    text_put(&l->text, b);
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
        text_put(&lines, ev.data);
        text_put(&lines, BYTES("\n"));
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
    /* Chat has no word for a stop sequence; vLLM, which does, says it beside its "stop". */
    other |= told->finish[0] == TELL_STOP_SEQUENCE && to == API_CHAT;
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
            text_same("an answer and the stream made of it", &first, &back);
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
    for (size_t i = 0; i < PROPS_APIS; i++) {
        struct writing w;
        if (!tell_writes(props_apis[i])) continue;
        writing_begin(&w, props_apis[i]);
        tell_lines(api, lines, 0, write_told, &w, 0);
        check_stream(told, api, &w);
        writing_free(&w);
        /* Stopped in the middle, it is a stream all the same. */
        for (size_t most = 1; most < 4; most++) {
            writing_begin(&w, props_apis[i]);
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
        text_same("streams whole and cut", &first, &other);
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
            text_same("an answer and what is made of it", &first, &back);
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
    struct kit_pieces pieces;
    struct walk walk;
    struct node root;
    struct heard whole = {0}, cut = {0};
    struct text first = {0}, other = {0};
    struct walk_source source = kit_pieces(&pieces, answer, 0);
    bool right = walk_open(&walk, &source, NULL, &root);
    if (right) {
        struct tell_story story = tell_story(api, 7, &walk, root);
        tell_document(&story, &whole);
        dump_heard(&whole, &first);
        for (size_t i = 0; i < PROPS_APIS; i++) {
            if (!tell_writes(props_apis[i])) continue;
            struct writing w;
            check_whole(&story, &whole, props_apis[i]);
            writing_begin(&w, props_apis[i]);
            MUST(story.again(&story, write_told, &w));
            check_stream(&whole, api, &w);
            writing_free(&w);
        }
    }
    kit_pieces_free(&pieces);
    if (right && step > 0) {
        source = kit_pieces(&pieces, answer, step);
        MUST(walk_open(&walk, &source, NULL, &root));
        struct tell_story story = tell_story(api, 7, &walk, root);
        tell_document(&story, &cut);
        dump_heard(&cut, &other);
        text_same("answers whole and cut", &first, &other);
        kit_pieces_free(&pieces);
    }
    heard_free(&whole);
    heard_free(&cut);
    text_free(&first);
    text_free(&other);
    return right;
}
