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
