/* onward.c - an answer that another provider goes on with; see translate_onward().
 * Model: its text passes two sieves, letter by letter, until they let something through:
 *   REPEATS  what it may be repeating of what was said is held back: no copy of it, since it is
 *            what was said from `from` to `matched`. A letter that differs makes it a
 *            repetition of something shorter, or new text, and then it is let go
 *   BLANKS   what was said ended in blanks (or half a letter) that the provider was not shown,
 *            and may well write again
 *   FREE     all of it is new
 * Rule: letters are compared, never what is written for them. */
#include "net/translate/onward.h"

#include "net/translate/letter.h"
#include "net/translate/translate.h"
#include "net/translate/walk.h"

enum stage { FREE, BLANKS, REPEATS };
enum {
    TAIL = 1024,             /* bytes of what was said in which a repetition may begin */
    OVERLAP_MIN = 8,         /* bytes of text that are no chance */
    ANEW_MIN = 64,           /* bytes of its beginning: who repeats so many begins anew */
};
static const uint32_t no_letter = UINT32_MAX;

struct speech {              /* new text on its way to the writer, in few events */
    struct translate *t;
    size_t len;
    char room[512];
};

/* ---- the block that its text goes to ---- */

/* Close what the first provider left open, and text of the second. Calls go on. */
static bool close_open(struct translate *t)
{
    struct tell_writer *w = &t->writer;
    t->onward.open = false;
    for (unsigned i = 0; i < w->live_count;) {
        struct tell over = {.kind = TELL_CLOSE, .block = w->live[i].block,
                            .item = w->live[i].item, .choice = w->live[i].choice};
        if (over.block == TELL_CALL) i++;
        else if (!translate_tell(t, &over)) return false;
    }
    return true;
}

/* Have a text open: the one that broke off, if it still is. */
static bool have_text(struct translate *t)
{
    struct translate_onward *o = &t->onward;
    const struct tell_writer *w = &t->writer;
    if (o->open) return true;
    for (unsigned i = 0; i < w->live_count && !o->open; i++) {
        o->open = w->live[i].block == TELL_TEXT && w->live[i].choice == 0;
        o->as = w->live[i].item;
    }
    if (o->open) return true;
    if (!close_open(t)) return false;
    o->as = o->item + o->shift;
    o->open = true;
    struct tell opens = {.kind = TELL_OPEN, .block = TELL_TEXT, .item = o->as};
    return translate_tell(t, &opens);
}

static bool say(struct translate *t, struct bytes text)
{
    if (text.len == 0) return true;
    if (!have_text(t)) return false;
    t->onward.began = true;
    struct tell more = {.kind = TELL_MORE, .block = TELL_TEXT, .item = t->onward.as,
                        .text = text};
    return translate_tell(t, &more);
}

static bool speech_say(struct speech *s)
{
    bool said = say(s->t, (struct bytes){s->room, s->len});
    s->len = 0;
    return said;
}

static bool speech_put(struct speech *s, struct bytes text)
{
    assert(text.len <= LETTER_MAX);
    if (text.len > sizeof s->room - s->len && !speech_say(s)) return false;
    memcpy(s->room + s->len, text.ptr, text.len);
    s->len += text.len;
    return true;
}

/* ---- blanks ---- */

/* "\ud83d", as written. */
static struct bytes unit_write(uint32_t unit, char room[6])
{
    static const char digits[] = "0123456789abcdef";
    memcpy(room, "\\u", 2);
    for (unsigned i = 0; i < 4; i++) room[2 + i] = digits[unit >> (12 - 4 * i) & 15];
    return (struct bytes){room, 6};
}

/* A letter that is no repetition, unless it is one of the blanks. */
static bool fresh(struct speech *s, uint32_t code, struct bytes text)
{
    struct translate_onward *o = &s->t->onward;
    struct letters left = {o->said, o->matched, o->size};
    struct letter was;
    char room[6];
    if (o->stage == BLANKS) {
        bool any = letters_next(&left, &was);
        if (any && was.code == code) {
            o->matched = was.to;
            return true;
        }
        o->stage = FREE;
        /* The first half of a pair stands there: the other one makes it whole. */
        uint32_t high = code >= 0x10000 ? 0xD800 + ((code - 0x10000) >> 10) : 0;
        if (any && high == was.code) text = unit_write(0xDC00 + (code & 0x3FF), room);
    }
    return speech_put(s, text);
}

/* ---- repetitions ---- */

/* What was sent was repeated to its end. */
static void all_repeated(struct translate_onward *o)
{
    assert(o->matched == o->end);
    o->stage = BLANKS;
}

/* What was held back is new text after all. */
static bool let_go(struct speech *s)
{
    struct translate_onward *o = &s->t->onward;
    struct walk w = {.source = o->said};
    struct letters held = {o->said, o->from, o->matched};
    struct letter letter;
    char room[LETTER_MAX];
    bool fine = true;
    assert(o->stage == REPEATS);
    o->stage = BLANKS;
    o->matched = o->end;
    while (fine && letters_next(&held, &letter)) {
        struct walk_span at = {letter.from, letter.to};
        fine = fresh(s, letter.code, walk_bytes(&w, at, room, sizeof room));
    }
    explicit_bzero(room, sizeof room);
    return fine;
}

struct tail {                /* letters near the end of what was said, and those held back */
    uint32_t code[TAIL], held[TAIL + 1];
    uint16_t at[TAIL + 1];   /* where each is written, behind onward.tail */
    uint32_t count, held_count;
};

static void tail_read(struct tail *t, const struct translate_onward *o)
{
    struct letters l = {o->said, o->tail, o->end};
    struct letter letter;
    t->count = t->held_count = 0;
    t->at[0] = 0;
    while (t->count < TAIL && letters_next(&l, &letter)) {
        t->code[t->count++] = letter.code;
        t->at[t->count] = (uint16_t)(letter.to - o->tail);
    }
    l = (struct letters){o->said, o->from, o->matched};
    while (t->held_count < TAIL && letters_next(&l, &letter)) {
        t->held[t->held_count++] = letter.code;
    }
}

/* The first so many letters of what is held repeat the end of what was said: the rest stays. */
static void take_off(struct translate_onward *o, uint32_t count)
{
    struct letters l = {o->said, o->from, o->matched};
    struct letter letter;
    for (; count > 0 && letters_next(&l, &letter); count--) o->from = letter.to;
    assert(count == 0);
}

/* What is held goes on otherwise than what it began to repeat: with that letter, or ends
 * (no_letter). The longest of its other repetitions of the end counts: one that goes on with
 * that letter (true), or one that was whole before, which is taken off. */
static bool shorter(struct translate_onward *o, uint32_t code)
{
    struct tail t;
    size_t bytes = 0;
    bool found = false, goes_on = false;
    tail_read(&t, o);
    if (code != no_letter) t.held[t.held_count++] = code;
    uint32_t last = t.count;    /* the last one where enough is left */
    while (last > 0 && bytes < OVERLAP_MIN) bytes += letter_bytes(t.code[--last]);
    for (uint32_t i = 0; bytes >= OVERLAP_MIN && i <= last && !found; i++) {
        uint32_t left = t.count - i;
        bool longer = code != no_letter && left >= t.held_count;
        if (o->tail + t.at[i] <= o->from || (!longer && left > t.held_count)) continue;
        uint32_t same = longer ? t.held_count : left;
        found = memcmp(t.code + i, t.held, same * sizeof t.held[0]) == 0;
        if (!found) continue;
        goes_on = longer;
        if (!longer) take_off(o, same);
        if (longer) o->from = o->tail + t.at[i];
        if (longer) o->matched = o->tail + t.at[i + same];
    }
    explicit_bzero(&t, sizeof t);
    return goes_on;
}

/* Does that letter go on with a repetition, or begin one? */
static bool repeats(struct translate_onward *o, uint32_t code)
{
    struct letters l = {o->said, o->matched, o->end};
    struct letter was;
    bool same = letters_next(&l, &was) && was.code == code;
    if (same) {
        o->matched = was.to;
    } else if (o->how == ASK_CONTINUES_PREFIX_ECHO) {
        o->failed = true;
        return true;
    } else if (!shorter(o, code)) {
        o->failed = o->from == 0 && o->matched >= ANEW_MIN;
        return o->failed;
    }
    if (o->matched == o->end) all_repeated(o);
    return true;
}

/* ---- text ---- */

static bool sift(struct speech *s, uint32_t code, struct bytes text)
{
    struct translate_onward *o = &s->t->onward;
    if (o->stage == REPEATS) {
        if (repeats(o, code)) return true;
        if (!let_go(s)) return false;
    }
    return fresh(s, code, text);
}

/* The half of a pair that waited, and its other half where text begins with that. */
static bool sift_half(struct speech *s, struct bytes *text)
{
    struct translate_onward *o = &s->t->onward;
    char room[LETTER_MAX];
    uint32_t code = o->half, low = 0;
    size_t n = text->len > 0 ? letter_read(*text, &low) : 0;
    size_t len = unit_write(code, room).len;
    o->half = 0;
    if (letter_is_low(low)) {
        memcpy(room + len, text->ptr, n);
        (void)bytes_cut(text, n);
        len += n;
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    bool fine = sift(s, code, (struct bytes){room, len});
    explicit_bzero(room, sizeof room);
    return fine;
}

static bool more(struct translate *t, struct bytes text)
{
    struct translate_onward *o = &t->onward;
    if (o->stage == FREE && o->half == 0) return say(t, text);
    struct speech s;
    s.t = t;
    s.len = 0;
    bool fine = o->half == 0 || text.len == 0 || sift_half(&s, &text);
    while (fine && text.len > 0 && o->stage != FREE && !o->failed) {
        uint32_t code;
        struct bytes letter = bytes_cut(&text, letter_read(text, &code));
        if (letter_is_high(code) && text.len == 0) o->half = (uint16_t)code;
        else fine = sift(&s, code, letter);
    }
    fine = fine && (o->failed || speech_say(&s));
    explicit_bzero(s.room, sizeof s.room);
    return fine && (o->failed || say(t, text));
}

/* No more text comes, or something else before it: what is held back is no repetition. */
static bool flush(struct translate *t)
{
    struct translate_onward *o = &t->onward;
    struct speech s = {.t = t};
    struct bytes none = {0};
    bool fine = o->half == 0 || sift_half(&s, &none);
    if (fine && o->stage == REPEATS && !o->failed) {
        bool echo = o->how == ASK_CONTINUES_PREFIX_ECHO;
        if (!echo) (void)shorter(o, no_letter);
        if (o->from == 0 && o->matched >= (echo ? 1 : ANEW_MIN)) o->failed = true;
        else fine = let_go(&s);
    }
    o->stage = FREE;
    fine = fine && (o->failed || speech_say(&s));
    explicit_bzero(s.room, sizeof s.room);
    return fine;
}

static bool take_text(struct translate *t, const struct tell *tell)
{
    struct translate_onward *o = &t->onward;
    struct tell as = *tell;
    switch ((enum tell_kind)tell->kind) {
    case TELL_OPEN:
        o->item = tell->item;
        return true;
    case TELL_MORE: return more(t, tell->text);
    case TELL_CITE: case TELL_CLOSE:
        if (tell->kind == TELL_CLOSE && !o->open) return true;
        if (!have_text(t)) return false;
        as.item = o->as;
        if (tell->kind == TELL_CLOSE) o->open = false;
        return translate_tell(t, &as);
    default: return true;    /* a signature of a text that another one began */
    }
}

/* ---- all else ---- */

static bool take_block(struct translate *t, const struct tell *tell)
{
    struct tell as = *tell;
    if (tell->kind == TELL_OPEN) {
        if (!flush(t)) return false;
        if (t->onward.failed) return true;
        if (!close_open(t)) return false;
        t->onward.began = true;
    }
    as.item += t->onward.shift;
    return translate_tell(t, &as);
}

bool onward_take(struct translate *t, const struct tell *tell)
{
    struct translate_onward *o = &t->onward;
    if (o->failed || tell->choice > 0) return true;
    switch ((enum tell_kind)tell->kind) {
    case TELL_START: case TELL_LOGPROBS: case TELL_STEP: return true;
    case TELL_USAGE: case TELL_END: return translate_tell(t, tell);
    case TELL_FINISH:
        if (!flush(t)) return false;
        return o->failed || (close_open(t) && translate_tell(t, tell));
    default: break;
    }
    if (tell->block == TELL_THINKING) return true;
    return tell->block == TELL_TEXT ? take_text(t, tell) : take_block(t, tell);
}

void onward_begin(struct translate *t, enum ask_continues how, const struct walk_source *said)
{
    struct translate_onward *o = &t->onward;
    uint32_t shift = o->shift + t->reader.items;
    *o = (struct translate_onward){.said = said, .size = said->size, .how = (uint8_t)how,
                                   .shift = shift, .end = letters_end(said)};
    bool sieve = how == ASK_CONTINUES_PREFIX_ECHO || how == ASK_CONTINUES_INSTRUCT;
    o->stage = sieve && o->end > 0 ? REPEATS : BLANKS;
    if (o->stage == BLANKS) o->matched = o->end;
    o->tail = letters_seam(said, o->end > TAIL ? o->end - TAIL : 0);
    if (o->tail > o->end) o->tail = o->end;
    assert(o->end <= o->size);
}
