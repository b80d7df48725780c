/* mock_text.c - see mock_text.h. */
#include "tools/mock_text.h"

void text_flush(struct text *t)
{
    assert(t->len <= t->room);
    struct bytes b = {t->buf, t->len};
    t->len = 0;
    if (b.len > 0 && !t->failed && !chain_copy(t->mem, t->to, b)) t->failed = true;
}

void text_put_large(struct text *t, struct bytes b)
{
    text_flush(t);
    assert(t->len == 0);
    while (b.len > 0) {
        struct bytes part = bytes_cut(&b, b.len < t->room ? b.len : t->room);
        memcpy(t->buf, part.ptr, part.len);
        t->len = part.len;
        if (b.len > 0) text_flush(t);
    }
}

static void put_digits(struct text *t, uint64_t value, unsigned base)
{
    assert(base == 10 || base == 16);
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value > 0);
    text_put(t, (struct bytes){digits + at, sizeof digits - at});
}

void text_number(struct text *t, uint64_t value) { put_digits(t, value, 10); }

void text_hex(struct text *t, uint64_t value) { put_digits(t, value, 16); }

static bool is_plain(char c) { return (unsigned char)c >= 0x20 && c != '"' && c != '\\'; }

/* RFC 8259 section 7: quotes, backslashes and control bytes must be escaped. */
static void escape_byte(struct text *t, char c)
{
    switch (c) {
    case '"': TEXT(t, "\\\""); break;
    case '\\': TEXT(t, "\\\\"); break;
    case '\n': TEXT(t, "\\n"); break;
    case '\r': TEXT(t, "\\r"); break;
    case '\t': TEXT(t, "\\t"); break;
    default: {
        unsigned code = (unsigned char)c;
        assert(code < 0x20);
        char text[] = {'\\', 'u', '0', '0', "01"[code >> 4], "0123456789abcdef"[code & 15]};
        text_put(t, (struct bytes){text, sizeof text});
    }
    }
}

void text_escape(struct text *t, struct bytes b)
{
    while (b.len > 0) {
        size_t n = 0;
        while (n < b.len && is_plain(b.ptr[n])) n++;
        if (n > 0) text_put(t, bytes_cut(&b, n));
        if (b.len > 0) escape_byte(t, *bytes_cut(&b, 1).ptr);
    }
}

void text_base64(struct text *t, struct bytes b)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    while (b.len > 0) {
        struct bytes in = bytes_cut(&b, b.len < 3 ? b.len : 3);
        uint32_t bits = (uint32_t)(unsigned char)in.ptr[0] << 16;
        if (in.len > 1) bits |= (uint32_t)(unsigned char)in.ptr[1] << 8;
        if (in.len > 2) bits |= (uint32_t)(unsigned char)in.ptr[2];
        char out[] = {letters[bits >> 18], letters[bits >> 12 & 63],
                      in.len > 1 ? letters[bits >> 6 & 63] : '=',
                      in.len > 2 ? letters[bits & 63] : '='};
        text_put(t, (struct bytes){out, sizeof out});
    }
}

void text_move(struct text *t, struct chain *src)
{
    text_flush(t);
    chain_move(t->mem, t->to, src);
    assert(src->count == 0);
}
