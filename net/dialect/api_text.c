/* api_text.c - strings that pieces cut: the JSON scanner gathers a string up to
 * JSON_TEXT_MAX and gives only the offsets of a longer one that a cut goes through. Its
 * first bytes tell what it is ("data:image/png...") or begin an error message, so they are
 * kept here, from the raw bytes behind the last token of a piece.
 *   BETWEEN -> INSIDE (a quote came: gather)      BETWEEN -> OTHER (no string)
 * Each token leads back to BETWEEN. */
#include "net/dialect/api_part.h"

enum { BETWEEN, INSIDE, OTHER };  /* 0 is what api_head_reset leads to */

void api_head_watch(struct api_head *h, struct bytes tail)
{
    assert(h->state <= OTHER);
    while (h->state == BETWEEN && tail.len > 0) {
        char c = *bytes_cut(&tail, 1).ptr;
        if (c == '"') h->state = INSIDE;
        else if (!strchr(" \t\r\n,:", c)) h->state = OTHER;
    }
    if (h->state != INSIDE || tail.len == 0) return;
    size_t room = sizeof h->at - h->len;
    size_t n = tail.len < room ? tail.len : room;
    memcpy(h->at + h->len, tail.ptr, n);
    h->len = (uint16_t)(h->len + n);
    assert(h->len <= sizeof h->at);
}

void api_head_end(struct api_head *h, const struct json_token *t, struct bytes piece,
                     uint64_t fed)
{
    assert(t->start < fed);  /* only a cut makes the scanner give up the text */
    assert(t->end > fed);
    api_head_watch(h, (struct bytes){piece.ptr, (size_t)(t->end - 1 - fed)});
}

struct bytes api_head_text(const struct api_head *h, const struct json_token *t)
{
    struct bytes text = t->text.ptr ? t->text : (struct bytes){h->at, h->len};
    if (text.len > API_HEAD) text.len = API_HEAD;
    return text;
}

/* True for the 6 bytes of an escape \uDx.., x one of digits. */
static bool is_escaped(const char *at, const char *digits)
{
    return at[0] == '\\' && at[1] == 'u' && (at[2] | 0x20) == 'd' && at[3] != '\0' &&
           strchr(digits, at[3]);
}

/* Bytes of the character or escape that text begins with; a pair of surrogate escapes is
 * one. text is the inside of a string that the scanner accepted, maybe cut short. */
static size_t unit_len(struct bytes text)
{
    assert(text.len > 0);
    unsigned char c = (unsigned char)text.ptr[0];
    if (c == '\\') {
        if (text.len < 2 || text.ptr[1] != 'u') return 2;
        if (text.len < 6 || !is_escaped(text.ptr, "89abAB")) return 6;
        /* a pair, or maybe a pair cut short */
        bool pair = text.len < 12 || is_escaped(text.ptr + 6, "cdefCDEF");
        return pair ? 12 : 6;
    }
    return c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
}

struct bytes api_text_start(struct bytes text, size_t max)
{
    if (text.len > max) text.len = max;
    struct bytes rest = text;
    while (rest.len > 0) {
        size_t n = unit_len(rest);
        if (n > rest.len) break;
        bytes_cut(&rest, n);
    }
    assert(rest.len <= text.len);
    return (struct bytes){text.ptr, text.len - rest.len};
}
