/* ask_text.c - texts of a request that are not one string: a JSON value that is to be text, and
 * a text in pieces. Clients of Gemini's keep a streamed answer as it came, one content a chunk:
 *   ... "text":"Hel"}]},{"role":"model","parts":[{"text":"lo"}]} ...
 * For everybody else that is one text. Model: all from the first piece's first byte to the last
 * one's last; from one piece to the next the strings between are read, up to a key "text".
 * Rule: the reader has looked at what is between, and found nothing else called so. */
#include "net/translate/ask.h"

enum { PIECES = JSON_KEY };  /* type of a value that is a text in pieces: no value has it */

struct node ask_pieces(struct walk_span first, struct walk_span last)
{
    assert(first.end <= last.start);
    return (struct node){.start = first.start, .end = last.end, .type = PIECES};
}

static char byte_at(const struct walk *w, uint64_t at)
{
    return *walk_piece(w, at, at + 1).ptr;
}

/* From at < end on: where the next unescaped quote is, or end. */
static uint64_t find_quote(const struct walk *w, uint64_t at, uint64_t end)
{
    bool escaped = false;
    while (at < end) {
        struct bytes b = walk_piece(w, at, end);
        for (size_t i = 0; i < b.len; i++) {
            if (b.ptr[i] == '"' && !escaped) return at + i;
            escaped = !escaped && b.ptr[i] == '\\';
        }
        at += b.len;
    }
    return end;
}

/* Where the string value of the next key "text" begins, behind its quote; end: nowhere. */
static uint64_t find_piece(const struct walk *w, uint64_t at, uint64_t end)
{
    while ((at = find_quote(w, at, end)) < end) {
        struct walk_span s = {at + 1, find_quote(w, at + 1, end)};
        if (s.end == end) return end;  /* the last piece has its end there: not behind a key */
        bool text = walk_is(w, s, BYTES("text"));
        at = s.end + 1;
        while (at < end && strchr(" \t\r\n", byte_at(w, at))) at++;
        if (!text || at == end || byte_at(w, at) != ':') continue;
        at = find_quote(w, at, end);
        return at < end ? at + 1 : end;
    }
    return end;
}

void ask_text(struct pen *p, const struct walk *w, const struct ask_part *part)
{
    struct node v = part->value;
    if (v.type == JSON_NONE) {
        pen_part_span(p, w, part->text);
        return;
    }
    if (v.type != PIECES) {
        pen_part_node(p, w, v);
        return;
    }
    while (v.start < v.end) {
        uint64_t quote = find_quote(w, v.start, v.end);
        pen_part_span(p, w, (struct walk_span){v.start, quote});
        v.start = find_piece(w, quote + (quote < v.end), v.end);
    }
}

static uint64_t find_for_urls(const struct walk *w, struct walk_span data)
{
    while (data.start < data.end) {
        struct bytes b = walk_piece(w, data.start, data.end);
        const char *minus = memchr(b.ptr, '-', b.len);
        size_t n = minus ? (size_t)(minus - b.ptr) : b.len;
        const char *line = memchr(b.ptr, '_', n);
        if (line) n = (size_t)(line - b.ptr);
        data.start += n;
        if (n < b.len) break;
    }
    return data.start;
}

void ask_base64(struct pen *p, const struct walk *w, struct walk_span data)
{
    uint64_t letters = data.end - data.start;   /* none is escaped where it is of URLs */
    bool urls = find_for_urls(w, data) < data.end;
    while (data.start < data.end) {
        uint64_t at = find_for_urls(w, data);
        pen_part_span(p, w, (struct walk_span){data.start, at});
        if (at < data.end) pen_part(p, byte_at(w, at) == '-' ? BYTES("+") : BYTES("/"));
        data.start = at + 1;
    }
    for (; urls && letters % 4 != 0; letters++) pen_part(p, BYTES("="));
}
