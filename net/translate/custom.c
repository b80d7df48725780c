/* custom.c - the one text in a function's arguments; see custom.h.
 * Model: bytes go through two decoders. The outer one takes the escapes off that put the
 * arguments into a string; the inner one finds the text in them, whose own escapes stay.
 * Rule: what goes out is the inside of a JSON string, whatever came in: bad escapes and raw
 * controls, which a model may write, are escaped. */
#include "net/translate/custom.h"

#include "net/json.h"

enum state { PREFIX, VALUE, OVER, PLAIN };
enum escape { NONE, BEGUN, DIGIT_1, DIGIT_2, DIGIT_3, DIGIT_4 };

static const struct bytes prefix = BYTES_INIT("{\"input\":\"");

void custom_begin(struct custom_input *c, struct pen *p)
{
    assert(c && p);
    *c = (struct custom_input){.p = p, .state = PREFIX};
}

static void flush(struct custom_input *c)
{
    pen_part(c->p, (struct bytes){c->out, c->out_len});
    c->out_len = 0;
}

static void put(struct custom_input *c, struct bytes b)
{
    assert(b.len <= sizeof c->out);
    if (b.len > sizeof c->out - c->out_len) flush(c);
    memcpy(c->out + c->out_len, b.ptr, b.len);
    c->out_len = (uint8_t)(c->out_len + b.len);
}

/* A byte of text: escaped where it must be. */
static void put_plain(struct custom_input *c, char byte)
{
    char escape[JSON_ESCAPE_MAX];
    struct bytes b = {&byte, 1};
    bool quiet = (unsigned char)byte >= 0x20 && byte != '"' && byte != '\\';
    if (!quiet) b = (struct bytes){escape, json_escape(byte, escape)};
    put(c, b);
}

/* The arguments are something else: what was held, and all that comes, is the text. */
static void give_up(struct custom_input *c)
{
    c->state = PLAIN;
    for (size_t i = 0; i < c->held_len; i++) put_plain(c, c->held[i]);
    c->held_len = 0;
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static void on_prefix(struct custom_input *c, char byte)
{
    bool between = c->matched == 0 || c->matched == 1 || c->matched >= prefix.len - 2;
    if (c->held_len == sizeof c->held) {
        give_up(c);
        put_plain(c, byte);
        return;
    }
    c->held[c->held_len++] = byte;
    if (between && is_blank(byte)) return;
    if (byte != prefix.ptr[c->matched]) {
        give_up(c);
        return;
    }
    if (++c->matched < prefix.len) return;
    c->state = VALUE;
    c->held_len = 0;
}

static void on_value(struct custom_input *c, char byte);

/* Behind a backslash in the text, or in its four digits. */
static void on_inner(struct custom_input *c, char byte)
{
    if (c->inner == BEGUN && byte != '\0' && strchr("\"\\/bfnrt", byte)) {
        char pair[2] = {'\\', byte};
        put(c, (struct bytes){pair, sizeof pair});
        c->inner = NONE;
    } else if (c->inner == BEGUN && byte == 'u') {
        c->inner = DIGIT_1;
        c->held_len = 0;
    } else if (c->inner >= DIGIT_1 && json_hex(byte) >= 0) {
        c->held[c->held_len++] = byte;
        if (c->inner++ < DIGIT_4) return;
        put(c, BYTES("\\u"));
        put(c, (struct bytes){c->held, c->held_len});
        c->inner = NONE;
    } else {  /* no escape after all */
        put(c, BYTES("\\\\"));
        if (c->inner >= DIGIT_1) {
            put(c, BYTES("u"));
            put(c, (struct bytes){c->held, c->held_len});
        }
        c->inner = NONE;
        on_value(c, byte);
    }
    if (c->inner == NONE) c->held_len = 0;
}

static void on_value(struct custom_input *c, char byte)
{
    if (c->inner != NONE) on_inner(c, byte);
    else if (byte == '"') c->state = OVER;
    else if (byte == '\\') c->inner = BEGUN;
    else put_plain(c, byte);
}

/* A byte of the arguments. */
static void on_byte(struct custom_input *c, char byte)
{
    switch ((enum state)c->state) {
    case PREFIX: on_prefix(c, byte); break;
    case VALUE: on_value(c, byte); break;
    case PLAIN: put_plain(c, byte); break;
    case OVER: break;
    }
}

void custom_feed(struct custom_input *c, struct bytes piece, bool escaped)
{
    assert(c->p);
    char out[JSON_UNESCAPED_MAX] = {0};
    for (size_t i = 0; i < piece.len; i++) {
        size_t n = 1;
        if (escaped) n = json_unescape_byte(&c->outer, piece.ptr[i], out);
        else out[0] = piece.ptr[i];
        for (size_t k = 0; k < n; k++) on_byte(c, out[k]);
    }
    explicit_bzero(out, sizeof out);
}

void custom_end(struct custom_input *c)
{
    char out[JSON_UNESCAPED_MAX];
    size_t n = json_unescape_end(&c->outer, out);
    for (size_t k = 0; k < n; k++) on_byte(c, out[k]);
    if (c->state == PREFIX) give_up(c);
    flush(c);
    assert(c->out_len == 0);
    explicit_bzero(c, sizeof *c);
}
