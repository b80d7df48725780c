/* messages_media.c - images and documents as Anthropic has them.
 * Model: bytes are base64 where they are an image of four kinds or a PDF; what is text is given
 * as text, and so decoded where it comes in base64; an address stays one.
 * Rule: the type is the client's word, but where it says nothing; then the first bytes tell. */
#include "net/translate/ask.h"
#include "net/translate/messages.h"

enum { DECODED_MAX = 512 };     /* bytes that are decoded together */

struct kind { struct bytes starts, mime; };

/* The kind of file that base64 begins with, where nobody says it. */
static struct bytes mime_of(const struct walk *w, struct walk_span data)
{
    static const struct kind kinds[] = {
        {BYTES_INIT("iVBOR"), BYTES_INIT("image/png")},
        {BYTES_INIT("/9j/"), BYTES_INIT("image/jpeg")},
        {BYTES_INIT("R0lG"), BYTES_INIT("image/gif")},
        {BYTES_INIT("UklG"), BYTES_INIT("image/webp")},
        {BYTES_INIT("JVBER"), BYTES_INIT("application/pdf")},
    };
    char room[8];
    struct walk_span head = {data.start, data.end < data.start + sizeof room
                                             ? data.end : data.start + sizeof room};
    struct bytes b = walk_bytes(w, head, room, sizeof room), mime = {0};
    for (size_t i = 0; i < COUNT(kinds) && b.ptr; i++) {
        if (bytes_starts(b, kinds[i].starts)) mime = kinds[i].mime;
    }
    explicit_bzero(room, sizeof room);
    return mime;
}

/* Bytes that are text, whatever their coding? */
static bool is_text(const struct walk *w, struct walk_span mime)
{
    const struct bytes text = BYTES("text/");
    struct walk_span head = {mime.start, mime.start + text.len};
    return (mime.end - mime.start > text.len && walk_is(w, head, text)) ||
           walk_is(w, mime, BYTES("application/json"));
}

/* The MIME type of a part's bytes in Anthropic's words; empty: it takes no such thing. */
static struct bytes mime_for(const struct walk *w, const struct ask_part *part)
{
    static const struct bytes words[] = {
        BYTES_INIT("image/png"), BYTES_INIT("image/jpeg"), BYTES_INIT("image/gif"),
        BYTES_INIT("image/webp"), BYTES_INIT("image/jpg"), BYTES_INIT("application/pdf"),
        BYTES_INIT("image/*"), BYTES_INIT("application/octet-stream"),
    };
    enum { JPEG = 1, JPG = 4, KNOWN = 6 };
    size_t i = 0;
    while (i < COUNT(words) && !walk_is(w, part->mime, words[i])) i++;
    if (i == JPG) return words[JPEG];
    if (i < KNOWN) return words[i];
    return i < COUNT(words) || !walk_has(part->mime) ? mime_of(w, part->data)
                                                     : (struct bytes){0};
}

const char *messages_media_fault(const struct walk *w, const struct ask_part *part)
{
    bool image = part->kind == ASK_IMAGE;
    if (!walk_has(part->data)) {
        if (walk_has(part->text) || walk_has(part->url)) return NULL;
        return image ? "an image by file id" : "a document by file id";
    }
    if (!image && is_text(w, part->mime)) return NULL;
    struct bytes mime = mime_for(w, part);
    bool fits = image ? bytes_starts(mime, BYTES("image/"))
                      : bytes_eq(mime, BYTES("application/pdf"));
    if (fits) return NULL;
    return image ? "images but JPEG, PNG, GIF and WebP" : "documents but PDF and plain text";
}

/* What a letter of base64 stands for (RFC 4648 sections 4 and 5); -1: none. */
static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+' || c == '-') return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

/* Bytes of text up to a letter at its end that is not all there. */
static size_t letters(const char *text, size_t n)
{
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        unsigned char c = (unsigned char)text[n - back];
        if ((c & 0xC0) == 0x80) continue;
        size_t need = c < 0xC0 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
        return need > back ? n - back : n;
    }
    return n;
}

/* The text that is in base64, as part of a string. */
static void put_decoded(struct pen *p, const struct walk *w, struct walk_span data)
{
    char out[DECODED_MAX];
    uint32_t bits = 0;
    unsigned count = 0;
    size_t n = 0;
    while (data.start < data.end && !p->full) {
        struct bytes piece = walk_piece(w, data.start, data.end);
        data.start += piece.len;
        while (piece.len > 0) {
            int value = value_of(*bytes_cut(&piece, 1).ptr);
            if (value < 0) continue;    /* padding, and the escape of a slash */
            bits = bits << 6 | (uint32_t)value;
            count += 6;
            if (count < 8) continue;
            count -= 8;
            out[n++] = (char)(bits >> count & 0xFF);
            if (n < sizeof out) continue;
            size_t whole = letters(out, n);
            pen_part_text(p, (struct bytes){out, whole});
            n -= whole;
            memmove(out, out + whole, n);
        }
    }
    pen_part_text(p, (struct bytes){out, n});
    explicit_bzero(out, sizeof out);
}

void messages_put_source(struct pen *p, const struct walk *w, const struct ask_part *part)
{
    bool data = walk_has(part->data), document = part->kind == ASK_DOCUMENT;
    bool decoded = data && document && is_text(w, part->mime);
    bool plain = decoded || (!data && walk_has(part->text));
    pen_key(p, BYTES("source")), pen_object(p);
    messages_put_word(p, BYTES("type"), plain ? BYTES("text")
                                        : data ? BYTES("base64") : BYTES("url"));
    if (plain) {
        messages_put_word(p, BYTES("media_type"), BYTES("text/plain"));
        pen_key(p, BYTES("data"));
        pen_begin(p);
        if (decoded) put_decoded(p, w, part->data);
        else pen_part_span(p, w, part->text);
        pen_end(p);
    } else if (data) {
        messages_put_word(p, BYTES("media_type"), mime_for(w, part));
        pen_key(p, BYTES("data"));
        pen_begin(p);
        ask_base64(p, w, part->data);
        pen_end(p);
    } else {
        pen_key(p, BYTES("url"));
        pen_span(p, w, part->url);
    }
    pen_object_end(p);
}
