/* tell_write.c - an answer in the client's form: which dialect writes it, and what the writers
 * share: ids, the log of what was said, an end before the end. See tell.h.
 * Model: tell_write() follows what is open, so that it can tell the rest of any answer itself.
 * The log is a row of pieces: block, what it is, length, bytes. */
#include "net/translate/tell.h"

#include "net/translate/ask.h"

struct piece {               /* in front of the bytes of a piece of the log */
    uint32_t item, len;
    uint8_t what;
};
enum { PIECE = 9 };          /* bytes of it as written */

void tell_write_begin(struct tell_writer *s, const struct tell_facts *facts,
                      struct tell_keep *keep)
{
    assert(tell_writes(facts->api));
    *s = (struct tell_writer){.facts = facts, .keep = keep};
}

/* Follow what is open. */
static void follow(struct tell_writer *s, const struct tell *t)
{
    assert(t->choice < 64);
    if (t->kind == TELL_START) s->told_start = true;
    if (t->kind == TELL_END) s->told_end = true;
    if (t->kind == TELL_FINISH) s->finishes |= UINT64_C(1) << t->choice;
    if (t->kind == TELL_OPEN) {
        assert(s->live_count < COUNT(s->live));
        s->choices |= UINT64_C(1) << t->choice;
        s->live[s->live_count].item = t->item;
        s->live[s->live_count].block = t->block;
        s->live[s->live_count++].choice = (uint8_t)t->choice;
    }
    if (t->kind == TELL_CLOSE) {
        unsigned i = 0;
        while (i < s->live_count && s->live[i].item != t->item) i++;
        assert(i < s->live_count);
        s->live_count--;
        for (; i < s->live_count; i++) s->live[i] = s->live[i + 1];
    }
}

bool tell_write(struct tell_writer *s, const struct tell *t, struct pen *p)
{
    assert(!s->told_end);
    follow(s, t);
    return tell_dialect_of(s->facts->api)->write(s, t, p) && !p->full;
}

bool tell_write_stop(struct tell_writer *s, const struct api_usage *usage, struct pen *p)
{
    if (s->told_end) return true;
    if (!s->told_start && !tell_write(s, &(struct tell){.kind = TELL_START}, p)) return false;
    while (s->live_count > 0) {
        struct tell t = {.kind = TELL_CLOSE, .block = s->live[0].block,
                         .item = s->live[0].item, .choice = s->live[0].choice};
        if (!tell_write(s, &t, p)) return false;
    }
    uint64_t left = (s->choices ? s->choices : 1) & ~s->finishes;
    for (uint32_t i = 0; i < 64; i++) {
        struct tell t = {.kind = TELL_FINISH, .choice = i, .finish = TELL_LENGTH};
        if (left >> i & 1 && !tell_write(s, &t, p)) return false;
    }
    struct tell t = {.kind = TELL_USAGE, .usage = *usage};
    return tell_write(s, &t, p) && tell_write(s, &(struct tell){.kind = TELL_END}, p);
}

/* ---- ids ---- */

static uint64_t mixed(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);  /* splitmix64 */
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

void tell_put_id(struct pen *p, const struct tell_facts *facts, struct bytes prefix,
                 uint32_t nth)
{
    static const char letters[] =
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    char id[24];  /* 62^12 > 2^64 */
    if (nth == 0 && facts->id_len > 0) {
        assert(facts->theirs && facts->id_len <= sizeof facts->id);
        pen_string(p, (struct bytes){facts->id, facts->id_len});
        return;
    }
    uint64_t half[2] = {mixed(facts->seed[0] ^ mixed(nth + UINT64_C(0x9E3779B97F4A7C15))), 0};
    half[1] = mixed(facts->seed[1] ^ half[0]);
    for (unsigned i = 0; i < sizeof id; i++) {
        id[i] = letters[half[i / 12] % 62];
        half[i / 12] /= 62;
    }
    pen_begin(p);
    pen_part(p, prefix);
    pen_part(p, (struct bytes){id, sizeof id});
    pen_end(p);
}

/* ---- the log ---- */

bool tell_keep_put(struct tell_keep *k, uint32_t item, uint8_t what, struct bytes b)
{
    char head[PIECE];
    assert(b.len <= UINT32_MAX);
    if (b.len == 0) return true;
    uint32_t len = (uint32_t)b.len;
    memcpy(head, &item, 4);
    memcpy(head + 4, &len, 4);
    head[8] = (char)what;
    uint64_t before = k->source.size;
    if (!k->put(k->arg, (struct bytes){head, sizeof head}) || !k->put(k->arg, b)) return false;
    assert(k->source.size == before + PIECE + b.len);
    return true;
}

/* The next piece of item and what, at or behind *at; *at is behind it then. end 0: none. */
static struct walk_span piece_next(const struct walk *w, uint64_t *at, uint32_t item,
                                   uint8_t what)
{
    char room[PIECE];
    struct piece h;
    while (*at < w->source->size) {
        struct bytes b = walk_bytes(w, (struct walk_span){*at, *at + PIECE}, room, PIECE);
        memcpy(&h.item, b.ptr, 4);
        memcpy(&h.len, b.ptr + 4, 4);
        h.what = (uint8_t)b.ptr[8];
        struct walk_span s = {*at + PIECE, *at + PIECE + h.len};
        *at = s.end;
        if (h.item == item && h.what == what) return s;
    }
    return (struct walk_span){0};
}

void tell_keep_parts(const struct tell_keep *k, uint64_t from, uint32_t item, uint8_t what,
                     struct pen *p)
{
    struct walk w = {.source = &k->source};
    struct walk_span s;
    while ((s = piece_next(&w, &from, item, what)).end > 0) pen_part_span(p, &w, s);
}

bool tell_keep_value(const struct tell_keep *k, uint64_t from, uint32_t item, uint8_t what,
                     struct pen *p)
{
    struct walk w = {.source = &k->source};
    struct walk_span s;
    struct pen_check c;
    uint64_t at = from;
    pen_check_begin(&c);
    while ((s = piece_next(&w, &at, item, what)).end > 0) pen_check_part(&c, &w, s);
    if (!pen_check_end(&c)) return false;
    pen_inner_begin(p, &c);
    while ((s = piece_next(&w, &from, item, what)).end > 0) pen_inner_part(p, &w, s);
    return true;
}
