/* json_text.c - what a token's text means: strings with their escapes resolved (RFC 8259
 * section 7), and the other way; numbers as integers (section 6). A token's text passed the
 * scanner, but nothing here depends on that to stay within its memory. */
#include "net/json_simd.h"

/* The escape \uXXXX at a.ptr; -1 where it is not one. */
static int32_t code_at(struct bytes a)
{
    if (a.len < 6 || a.ptr[0] != '\\' || a.ptr[1] != 'u') return -1;
    int32_t code = 0;
    for (size_t i = 2; i < 6; i++) {
        int digit = json_hex(a.ptr[i]);
        if (digit < 0) return -1;
        code = code * 16 + digit;
    }
    return code;
}

/* Write code in UTF-8 (RFC 3629 section 3); gives its length, 1..4. */
static size_t utf8_put(int32_t code, char *out)
{
    assert(code >= 0 && code <= 0x10FFFF);
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code & 0x3F));
        code >>= 6;
    }
    static const uint8_t lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    out[0] = (char)(lead[n] | code);
    return n;
}

/* What the letter behind a backslash stands for; NULL: it is none of these. */
static const char *letter_value(char c)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const char *name = memchr(names, c, sizeof names - 1);
    return name ? &values[name - names] : NULL;
}

/* Resolve the escape that *in begins with into out; gives the bytes written. */
static size_t escape_put(struct bytes *in, char *out)
{
    assert(in->len > 0 && in->ptr[0] == '\\');
    int32_t code = code_at(*in);
    if (code < 0) {
        const char *value = in->len > 1 ? letter_value(in->ptr[1]) : NULL;
        out[0] = value ? *value : '\\';
        bytes_cut(in, value ? 2 : 1);
        return 1;
    }
    bytes_cut(in, 6);
    if ((code & 0xF800) == 0xD800) {
        int32_t low = code_at(*in);
        if (code < 0xDC00 && low >= 0xDC00 && low <= 0xDFFF) {
            bytes_cut(in, 6);
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        } else {
            code = 0xFFFD;
        }
    }
    return utf8_put(code, out);
}

size_t json_unescape(struct bytes text, char *out)
{
    size_t room = text.len, n = 0;
    while (text.len > 0) {
        struct bytes plain = bytes_cut(&text, bytes_find(text, '\\'));
        if (plain.len) memcpy(out + n, plain.ptr, plain.len);
        n += plain.len;
        if (text.len > 0) n += escape_put(&text, out + n);
    }
    assert(n <= room);
    return n;
}

enum { ALONE = 0xFFFD };         /* stands for half of a pair */

/* Four digits are there. */
static size_t unit_put(struct json_unescaper *e, char *out)
{
    size_t n = 0;
    uint16_t unit = e->unit, high = e->high;
    bool low = (unit & 0xFC00) == 0xDC00;
    e->unit = e->high = 0;
    if (high && low) return utf8_put(0x10000 + ((high & 0x3FF) << 10) + (unit & 0x3FF), out);
    if (high) n = utf8_put(ALONE, out);
    if ((unit & 0xFC00) == 0xD800) e->high = unit;
    else n += utf8_put(low ? ALONE : unit, out + n);
    return n;
}

size_t json_unescape_byte(struct json_unescaper *e, char c, char *out)
{
    assert(e->due <= 5);
    if (e->due > 1) {
        int digit = json_hex(c);
        e->unit = (uint16_t)(e->unit << 4 | (digit < 0 ? 0 : digit));
        if (--e->due > 1) return 0;
        e->due = 0;
        return unit_put(e, out);
    }
    if (e->due == 1) {
        e->due = c == 'u' ? 5 : 0;
        if (c == 'u') return 0;
        const char *value = letter_value(c);
        if (value) c = *value;
    } else if (c == '\\') {
        e->due = 1;
        return 0;
    }
    size_t n = json_unescape_end(e, out);
    out[n++] = c;
    return n;
}

size_t json_unescape_end(struct json_unescaper *e, char *out)
{
    size_t n = e->high ? utf8_put(ALONE, out) : 0;
    e->high = 0;
    return n;
}

/* Bytes of the UTF-8 sequence at a.ptr, or 0; then *bad is the length of the part that one
 * U+FFFD stands for: the longest beginning of a sequence, at least one byte (Unicode 15,
 * section 3.9, "U+FFFD substitution of maximal subparts"). RFC 3629 section 4. */
static size_t utf8_length(struct bytes a, size_t *bad)
{
    const unsigned char *p = (const unsigned char *)a.ptr;
    unsigned char lead = p[0], low = 0x80, high = 0xBF;
    if (lead < 0x80) return 1;
    size_t need = lead >= 0xC2 && lead <= 0xDF ? 2 : (lead & 0xF0) == 0xE0 ? 3
                : lead >= 0xF0 && lead <= 0xF4 ? 4 : 0;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
    *bad = 1;
    if (need == 0) return 0;
    for (size_t i = 1; i < need; i++) {
        if (i == a.len || p[i] < low || p[i] > high) return 0;
        low = 0x80;
        high = 0xBF;
        *bad = i + 1;
    }
    return need;
}

size_t json_plain(struct bytes a, size_t *bad)
{
    size_t n = 0;
    *bad = 0;
    while (n < a.len) {
        unsigned char c = (unsigned char)a.ptr[n];
        if (c < 0x20 || c == '"' || c == '\\') break;
        size_t step = 1;
        if (c >= 0x80) step = utf8_length((struct bytes){a.ptr + n, a.len - n}, bad);
        if (step == 0) break;
        *bad = 0;
        n += step;
    }
    return n;
}

size_t json_escape(char c, char *out)
{
    static const char names[] = "\"\\bfnrt", values[] = "\"\\\b\f\n\r\t";
    static const char digits[] = "0123456789abcdef";
    const char *value = memchr(values, c, sizeof values - 1);
    out[0] = '\\';
    if (value) {
        out[1] = names[value - values];
        return 2;
    }
    unsigned char byte = (unsigned char)c;
    assert(byte < 0x20);
    memcpy(out + 1, "u00", 3);
    out[4] = digits[byte >> 4];
    out[5] = digits[byte & 15];
    return JSON_ESCAPE_MAX;
}

bool json_integer(struct bytes text, int64_t *out)
{
    assert(out);
    bool minus = text.len > 0 && text.ptr[0] == '-';
    if (minus) bytes_cut(&text, 1);
    uint64_t value;
    /* 2^53 has 16 digits; the scanner lets no leading zeros pass. */
    if (text.len > 16 || !bytes_u64(text, &value)) return false;
    if (value > UINT64_C(1) << 53) return false;
    *out = minus ? -(int64_t)value : (int64_t)value;
    return true;
}
