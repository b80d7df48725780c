/* chunk.c - chunked transfer coding, decode side (RFC 9112 section 7.1).
 *
 *   SIZE -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE ...
 *    | ^ EXT_*          (size 0) |
 *    +--> extensions    FIELD_START -> NAME -> VALUE -> VALUE_LF -> FIELD_START
 *                            +-> END_LF -> DONE
 *
 * Framing is read byte by byte, data is handed out in whole slices. Trailer fields obey the
 * grammar of header fields and are dropped (section 7.1.2 allows it): nobody behind us may
 * merge them into a head. */
#include "net/chunk.h"
#include "net/octet.h"

enum chunk_state {
    SIZE,        /* a digit, or what ends the digits */
    EXT_NAME_0,  /* behind ';' */
    EXT_NAME,
    EXT_VALUE_0, /* behind '=' */
    EXT_VALUE,
    EXT_QUOTED,
    EXT_ESCAPE,  /* behind a backslash */
    EXT_END,     /* behind the closing quote */
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    FIELD_START,
    FIELD_NAME,
    FIELD_VALUE,
    FIELD_LF,
    END_LF,
    DONE,
    BAD,
};

static_assert(sizeof(struct chunk) == 16, "a decoder lies in every connection");

/* Behind an extension or the size: another extension, or the end of the line. */
static enum chunk_state line_goes_on(char byte)
{
    return byte == ';' ? EXT_NAME_0 : byte == '\r' ? SIZE_LF : BAD;
}

static enum chunk_state size_byte(struct chunk *c, char byte)
{
    if (!octet_is(byte, OCTET_HEX)) return c->digits > 0 ? line_goes_on(byte) : BAD;
    if (c->digits == CHUNK_DIGITS_MAX) return BAD;
    c->digits++;
    c->left = c->left << 4 | octet_hex(byte);
    assert(c->left <= UINT32_MAX);
    return SIZE;
}

/* chunk-ext (RFC 9112 section 7.1.1) without its BWS; values are tokens or quoted strings
 * (RFC 9110 section 5.6.4). */
static enum chunk_state extension_byte(enum chunk_state state, char byte)
{
    const bool token = octet_is(byte, OCTET_TOKEN);
    switch (state) {
    case EXT_NAME_0: return token ? EXT_NAME : BAD;
    case EXT_NAME: return token ? EXT_NAME : byte == '=' ? EXT_VALUE_0 : line_goes_on(byte);
    case EXT_VALUE_0: return token ? EXT_VALUE : byte == '"' ? EXT_QUOTED : BAD;
    case EXT_VALUE: return token ? EXT_VALUE : line_goes_on(byte);
    case EXT_QUOTED:
        if (octet_is(byte, OCTET_CONTROL)) return BAD;
        return byte == '"' ? EXT_END : byte == '\\' ? EXT_ESCAPE : EXT_QUOTED;
    case EXT_ESCAPE: return octet_is(byte, OCTET_CONTROL) ? BAD : EXT_QUOTED;
    default: assert(state == EXT_END); return line_goes_on(byte);
    }
}

/* A line ended: the budget of framing bytes starts again. */
static enum chunk_state size_line_end(struct chunk *c, char byte)
{
    if (byte != '\n') return BAD;
    c->digits = 0;
    c->framing = 0;
    return c->left > 0 ? DATA : FIELD_START;
}

/* A byte that is not data: gives the next state. */
static enum chunk_state framing_byte(struct chunk *c, enum chunk_state state, char byte)
{
    const bool token = octet_is(byte, OCTET_TOKEN);
    const bool control = octet_is(byte, OCTET_CONTROL);
    switch (state) {
    case SIZE: return size_byte(c, byte);
    case SIZE_LF: return size_line_end(c, byte);
    case DATA_CR: return byte == '\r' ? DATA_LF : BAD;
    case DATA_LF: return byte == '\n' ? SIZE : BAD;
    case FIELD_START: return token ? FIELD_NAME : byte == '\r' ? END_LF : BAD;
    case FIELD_NAME: return token ? FIELD_NAME : byte == ':' ? FIELD_VALUE : BAD;
    case FIELD_VALUE: return byte == '\r' ? FIELD_LF : control ? BAD : FIELD_VALUE;
    case FIELD_LF: return byte == '\n' ? FIELD_START : BAD;
    case END_LF: return byte == '\n' ? DONE : BAD;
    default: return extension_byte(state, byte);
    }
}

/* Count a framing byte against its limits before it is looked at. */
static bool within_limits(struct chunk *c)
{
    if (c->state == DATA_CR || c->state == DATA_LF) return true;
    if (c->framing == CHUNK_FRAMING_MAX) return false;
    c->framing++;
    if (c->state < EXT_NAME_0 || c->state > EXT_END) return true;
    return ++c->extra <= CHUNK_EXTRA_MAX;
}

enum net_rc chunk_next(struct chunk *c, struct bytes *in, struct bytes *body)
{
    assert(c->state <= BAD);
    while (c->state < DONE && in->len > 0) {
        if (c->state == DATA) {
            const size_t n = in->len < c->left ? in->len : (size_t)c->left;
            *body = bytes_cut(in, n);
            c->left -= n;
            if (c->left == 0) c->state = DATA_CR;
            assert(body->len > 0);
            return NET_OK;
        }
        const enum chunk_state state = (enum chunk_state)c->state;
        const char byte = *bytes_cut(in, 1).ptr;
        c->state = (uint8_t)(within_limits(c) ? framing_byte(c, state, byte) : BAD);
    }
    if (c->state == BAD) return NET_BAD;
    return c->state == DONE ? NET_DONE : NET_MORE;
}

size_t chunk_line(uint64_t data_bytes, char out[CHUNK_LINE_MAX])
{
    static_assert(CHUNK_DIGITS_MAX + 2 <= CHUNK_LINE_MAX, "digits and CRLF fit");
    assert(data_bytes > 0);  /* a zero would end the body */
    assert(data_bytes <= UINT32_MAX);
    size_t len = 0;
    unsigned shift = 4 * CHUNK_DIGITS_MAX;
    while (data_bytes >> (shift - 4) == 0) shift -= 4;
    for (; shift > 0; shift -= 4)
        out[len++] = "0123456789abcdef"[data_bytes >> (shift - 4) & 15];
    out[len++] = '\r';
    out[len++] = '\n';
    return len;
}
