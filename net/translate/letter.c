/* letter.c - see letter.h. Rule: nothing is expected of the bytes; what is no letter stands for
 * itself, one byte long. */
#include "net/translate/letter.h"

#include "net/json.h"
#include "net/translate/walk.h"

enum { NONE = 0x110000,      /* and the byte */
       PLAIN_RUN = 16,       /* bytes without a backslash, behind which no escape goes on */
       LOOK_BACK = 4096 };   /* bytes in which such a run is looked for */

/* The four digits behind "\u"; -1: there are none. */
static int32_t unit_of(struct bytes b)
{
    int32_t unit = 0;
    if (b.len < 6 || b.ptr[0] != '\\' || b.ptr[1] != 'u') return -1;
    for (size_t i = 2; i < 6; i++) {
        int digit = json_hex(b.ptr[i]);
        if (digit < 0) return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static size_t escape_read(struct bytes b, uint32_t *code)
{
    static const char words[] = "\"\\/bfnrt", are[] = "\"\\/\b\f\n\r\t";
    const char *word = b.len > 1 && b.ptr[1] ? strchr(words, b.ptr[1]) : NULL;
    int32_t unit = unit_of(b);
    if (word) {
        *code = (unsigned char)are[word - words];
        return 2;
    }
    if (unit < 0) {
        *code = NONE + '\\';
        return 1;
    }
    int32_t low = letter_is_high((uint32_t)unit) && b.len > 6
                      ? unit_of((struct bytes){b.ptr + 6, b.len - 6}) : -1;
    *code = (uint32_t)unit;
    if (low < 0 || !letter_is_low((uint32_t)low)) return 6;
    *code = 0x10000 + (((uint32_t)unit - 0xD800) << 10) + ((uint32_t)low - 0xDC00);
    return LETTER_MAX;
}

size_t letter_read(struct bytes b, uint32_t *code)
{
    assert(b.len > 0);
    unsigned char c = (unsigned char)b.ptr[0];
    if (c == '\\') return escape_read(b, code);
    size_t n = c < 0x80 ? 1 : c < 0xC2 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0;
    uint32_t value = n < 2 ? c : c & (0x7Fu >> n);
    for (size_t i = 1; i < n && i < b.len; i++) {
        if ((b.ptr[i] & 0xC0) != 0x80) n = 0;
        value = value << 6 | (b.ptr[i] & 0x3F);
    }
    if (n == 0 || n > b.len) {
        *code = (uint32_t)NONE + c;
        return 1;
    }
    *code = value;
    return n;
}

bool letters_next(struct letters *l, struct letter *out)
{
    char room[LETTER_MAX];
    struct walk w = {.source = l->source};
    assert(l->end <= l->source->size);
    if (l->at >= l->end) return false;
    struct walk_span s = {l->at, l->end - l->at < LETTER_MAX ? l->end : l->at + LETTER_MAX};
    out->from = l->at;
    l->at += letter_read(walk_bytes(&w, s, room, sizeof room), &out->code);
    out->to = l->at;
    explicit_bzero(room, sizeof room);
    assert(out->to > out->from && out->to <= l->end);
    return true;
}

uint64_t letters_seam(const struct walk_source *source, uint64_t at)
{
    struct walk w = {.source = source};
    uint64_t run = 0;
    assert(at <= source->size);
    if (at == 0) return 0;
    while (at < source->size) {
        struct bytes b = walk_piece(&w, at, source->size);
        for (size_t i = 0; i < b.len; i++, at++) {
            /* Nothing of a letter in UTF-8 is left but at its first byte. */
            if (run >= PLAIN_RUN && (b.ptr[i] & 0xC0) != 0x80) return at;
            run = b.ptr[i] == '\\' ? 0 : run + 1;
        }
    }
    return source->size;
}

/* The end as letters_end() has it, of what begins there; from: all of it is left out. */
static uint64_t end_behind(const struct walk_source *source, uint64_t from)
{
    struct letters l = {source, from, source->size};
    struct letter letter;
    uint64_t end = from;
    while (letters_next(&l, &letter)) {
        if (!letter_is_blank(letter.code) && !letter_is_high(letter.code)) end = letter.to;
    }
    return end;
}

uint64_t letters_end(const struct walk_source *source)
{
    uint64_t far = source->size > LOOK_BACK ? source->size - LOOK_BACK : 0;
    uint64_t from = letters_seam(source, far), end = end_behind(source, from);
    /* Escapes alone, or blanks alone: it is looked at from its start. */
    return end > from || from == 0 ? end : end_behind(source, 0);
}

bool letter_is_blank(uint32_t code)
{
    static const struct { uint16_t from, to; } blanks[] = {
        {0x09, 0x0D}, {0x1C, 0x20}, {0x85, 0x85}, {0xA0, 0xA0}, {0x1680, 0x1680},
        {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F},
        {0x3000, 0x3000},
    };
    for (size_t i = 0; i < COUNT(blanks); i++) {
        if (code >= blanks[i].from && code <= blanks[i].to) return true;
    }
    return false;
}
