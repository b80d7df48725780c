/* fuzz_onward.c - an answer that breaks anywhere, and whatever goes on with it. An input: who
 * reads it, and whether as the provider wrote it; how it is gone on with; the size of pieces;
 * then the events of the first provider, a line each, a line "-", and those of the second
 * (chat's, or Anthropic's). What must hold: what the client reads is events of JSON, with one
 * finish, and its text is what was kept of it; however the documents lie. */
#include "fuzz.h"
#include "net/sse.h"
#include "net/translate/letter.h"
#include "net/translate/translate.h"
#include "net/translate/walk.h"
#include "tests/unit/tr_kit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LOG_MAX = 1 << 18 };

struct log {
    struct walk_source source;
    size_t step;
    char at[LOG_MAX];
};

struct reader {              /* what a client hears */
    struct log text;
    unsigned finishes;
    bool other;              /* something that is no text of the first choice */
};

struct play {
    struct translate t;
    struct tell_facts facts;
    struct log keep, said;
    struct kit_pen pen;
    struct reader client;
};

static struct bytes log_piece(void *arg, uint64_t at)
{
    struct log *l = arg;
    must(at < l->source.size);
    uint64_t left = l->source.size - at, most = l->step - at % l->step;
    return (struct bytes){l->at + at, (size_t)(left < most ? left : most)};
}

static bool log_put(struct log *l, struct bytes b)
{
    if (b.len > LOG_MAX - l->source.size) return false;
    if (b.len > 0) memcpy(l->at + l->source.size, b.ptr, b.len);
    l->source.size += b.len;
    return true;
}

static bool keep_put(void *arg, struct bytes b)
{
    struct play *p = arg;
    bool put = log_put(&p->keep, b);
    p->t.keep.source.size = p->keep.source.size;
    return put;
}

static bool said_put(void *arg, struct bytes b)
{
    struct play *p = arg;
    return log_put(&p->said, b);
}

static void log_begin(struct log *l, size_t step)
{
    l->step = step;
    l->source = (struct walk_source){log_piece, l, 0};
}

/* ---- the client ---- */

static bool hear(void *arg, const struct tell *t)
{
    struct reader *c = arg;
    bool text = t->block == TELL_TEXT && t->choice == 0;
    if (t->kind == TELL_FINISH) c->finishes++;
    if (t->kind == TELL_OPEN && !text && t->block != TELL_THINKING && t->block != TELL_CALL) {
        c->other = true;
    }
    if (t->kind == TELL_MORE && text) (void)log_put(&c->text, t->text);
    return true;
}

/* Read what was written. Gives how many events there were. */
static unsigned read_written(struct play *p, enum api api)
{
    struct bytes stream = kit_pen_text(&p->pen);
    struct tell_reader r;
    struct sse sse = {0};
    struct sse_event ev;
    unsigned count = 0;
    tell_begin(&r, api, 7, hear, &p->client);
    while (sse_next(&sse, &stream, &ev) == NET_OK) {
        struct bytes data = ev.data;
        struct walk_source source;
        struct walk w;
        struct node root;
        if (ev.data_lines == 0 || bytes_eq(data, BYTES("[DONE]"))) continue;
        must(ev.data_lines == 1);
        walk_source_of(&source, &data);
        must(walk_open(&w, &source, NULL, &root));
        must(tell_event(&r, ev.event, &w, root));
        count++;
    }
    must(stream.len == 0 && tell_end(&r));
    return count;
}

static void same_text(const struct log *a, const struct log *b)
{
    struct letters x = {&a->source, 0, a->source.size}, y = {&b->source, 0, b->source.size};
    struct letter m, n;
    for (;;) {
        bool more = letters_next(&x, &m), other = letters_next(&y, &n);
        must(more == other);
        if (!more) return;
        must(m.code == n.code);
    }
}

/* ---- the providers ---- */

static bool event(struct play *p, struct bytes line, size_t step, bool fold)
{
    struct kit_pieces pieces;
    struct walk_source source = kit_pieces(&pieces, line, step);
    struct bytes none = {0};
    bool fine = fold ? translate_fold(&p->t, none, &source, NULL, NULL)
                     : translate_event(&p->t, none, &source, NULL, NULL, &p->pen.pen);
    kit_pieces_free(&pieces);
    return fine;
}

/* Tell lines up to "-", or all. False: no room. */
static bool events(struct play *p, struct bytes *lines, size_t step, bool fold)
{
    while (lines->len > 0) {
        struct bytes line = bytes_cut(lines, bytes_find(*lines, '\n'));
        if (lines->len > 0) bytes_cut(lines, 1);
        if (bytes_eq(line, BYTES("-"))) break;
        if (!event(p, line, step, fold)) return false;
        must(p->pen.pen.depth == 0);
    }
    return true;
}

struct how { enum api client, second; bool theirs; enum ask_continues continues; size_t step; };

static bool play(struct play *p, const struct how *h, struct bytes lines, size_t step)
{
    static const struct api_usage used = {.present = true, .input = 3, .output = 4};
    log_begin(&p->keep, step ? step : LOG_MAX);
    log_begin(&p->said, step ? step : LOG_MAX);
    log_begin(&p->client.text, LOG_MAX);
    p->client.finishes = 0;
    p->client.other = false;
    p->facts = (struct tell_facts){.api = h->client, .seed = {1, 2}, .created = 17,
        .model = "m", .cost_nusd = -1, .want_usage = true, .want_thoughts = true,
        .theirs = h->theirs};
    memset(&p->t, 0xA5, sizeof p->t);
    p->t.facts = &p->facts;
    p->t.keep = (struct tell_keep){.put = keep_put, .arg = p, .source = p->keep.source};
    p->t.said = (struct translate_said){.put = said_put, .arg = p};
    kit_pen(&p->pen, 0, NULL);
    translate_begin(&p->t, h->theirs ? h->client : h->second);
    if (!events(p, &lines, step, h->theirs)) return false;
    if (h->theirs) translate_folded(&p->t, 9);
    if (p->t.said.lacks == 0) {
        translate_onward(&p->t, h->second, h->continues, &p->said.source);
        if (!events(p, &lines, step, false)) return false;
    }
    return p->t.onward.failed || translate_end(&p->t, &used, &p->pen.pen);
}

static void check(struct play *p, const struct how *h)
{
    unsigned lacks = p->t.said.lacks & ~(unsigned)(LACK_FINISHED | LACK_CALL | LACK_THOUGHT);
    unsigned count = read_written(p, h->client);
    if (p->t.onward.failed || h->theirs) return;
    must(count > 0 && p->client.finishes == 1);
    if (lacks == 0 && !p->client.other) same_text(&p->said, &p->client.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum api clients[] = {API_CHAT, API_RESPONSES, API_MESSAGES, API_GENERATE};
    static struct play one, cut;
    if (size < 3) return 0;
    struct bytes lines = {(const char *)data + 3, size - 3};
    struct how h = {
        .client = clients[data[0] & 3], .theirs = data[0] & 4,
        .second = data[0] & 8 ? API_MESSAGES : API_CHAT,
        .continues = (enum ask_continues)(ASK_CONTINUES_PREFILL + data[1] %
                                          ASK_CONTINUES_INSTRUCT),
        .step = data[2] % 64 + 1u};
    bool told = play(&one, &h, lines, 0), again = play(&cut, &h, lines, h.step);
    must(told == again);
    if (told) {
        must(one.t.onward.failed == cut.t.onward.failed);
        must(one.t.said.lacks == cut.t.said.lacks);
        same_text(&one.said, &cut.said);
        check(&one, &h);
        check(&cut, &h);
    }
    kit_pen_free(&one.pen);
    kit_pen_free(&cut.pen);
    return 0;
}
