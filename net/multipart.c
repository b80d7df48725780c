/* multipart.c - see multipart.h.
 *
 *   body = mark part* ;  part = CRLF lines CRLF value CRLF mark ;  last: mark "--" [CRLF]
 *
 *   VALUE -mark-> MARKED -CR-> MARKED_CR -LF-> LINE -empty line-> VALUE
 *                 MARKED -'-'-> HYPHEN -'-'-> LAST -CR-> LAST_CR -LF-> OVER
 *
 * A boundary is looked for as LF, two hyphens and its bytes, of which only the first can be an
 * LF: after a mismatch the search goes on at the byte that did not match. The CR in front is
 * then asked for, and where it is missing the form is refused, for some readers take a bare LF.
 * The search begins behind an LF, so that a boundary at the very beginning of a value, which
 * some readers accept, is seen as well. */
#include "net/multipart.h"

enum state { VALUE, MARKED, MARKED_CR, LINE, HYPHEN, LAST, LAST_CR, OVER, BAD };

static enum net_rc refuse(struct multipart *m, const char *error)
{
    assert(error);
    m->error = error;
    m->state = BAD;
    return NET_BAD;
}

/* What RFC 2046 section 5.1.1 lets a boundary be made of. */
static bool is_boundary(struct bytes text)
{
    static const char others[] = "'()+_,-./:=? ";
    if (text.len < 1 || text.len > MULTIPART_BOUNDARY_MAX) return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i], low = byte_lower(c);
        bool plain = (low >= 'a' && low <= 'z') || (c >= '0' && c <= '9');
        if (!plain && !memchr(others, c, sizeof others - 1)) return false;
    }
    return text.ptr[text.len - 1] != ' ';
}

/* The next of a list of parameters (RFC 2045 section 5.1): ";" name "=" token or quoted string.
 * The value is given as written, without its quotes. False: at is empty, or malformed and not
 * empty. A backslash in front of a quote is malformed: not everyone reads it as an escape. */
static bool next_param(struct bytes *at, struct bytes *name, struct bytes *value)
{
    struct bytes rest = bytes_trim(*at);
    *at = rest;
    if (rest.len == 0 || *rest.ptr != ';') return false;
    bytes_cut(&rest, 1);
    rest = bytes_trim(rest);
    *name = bytes_cut(&rest, bytes_find(rest, '='));
    if (name->len == 0 || rest.len < 2) return false;
    bytes_cut(&rest, 1);
    bool quoted = *rest.ptr == '"';
    if (quoted) bytes_cut(&rest, 1);
    size_t len = bytes_find(rest, quoted ? '"' : ';');
    if (quoted && len == rest.len) return false;
    *value = bytes_cut(&rest, len);
    if (quoted) bytes_cut(&rest, 1);
    else *value = bytes_trim(*value);
    if (value->len > 0 && quoted && value->ptr[value->len - 1] == '\\') return false;
    if (!quoted && bytes_find(*value, '"') < value->len) return false;
    *at = rest;
    return true;
}

bool multipart_begin(struct multipart *m, struct bytes type)
{
    struct bytes name, value, boundary = {0};
    memset(m, 0, sizeof *m);
    struct bytes kind = bytes_trim(bytes_cut(&type, bytes_find(type, ';')));
    bool good = bytes_ieq(kind, BYTES("multipart/form-data"));
    if (!good) (void)refuse(m, "the content-type must be multipart/form-data");
    while (good && next_param(&type, &name, &value)) {
        if (!bytes_ieq(name, BYTES("boundary"))) continue;
        good = boundary.len == 0 && is_boundary(value);
        boundary = value;
    }
    if (m->state == BAD) return false;
    if (!good || boundary.len == 0 || type.len > 0) {
        (void)refuse(m, "the content-type must have one boundary, of 1 to 70 characters");
        return false;
    }
    memcpy(m->mark, "\n--", 3);
    memcpy(m->mark + 3, boundary.ptr, boundary.len);
    m->mark_len = (uint8_t)(3 + boundary.len);
    m->first = m->cr = true;
    m->matched = 1;
    return true;
}

/* The parameters of a part's Content-Disposition (RFC 7578 section 4.2). */
static enum net_rc take_disposition(struct multipart *m, struct bytes text)
{
    struct bytes name, value, kind = bytes_cut(&text, bytes_find(text, ';'));
    if (m->typed) return refuse(m, "a part of the form has two content-dispositions");
    m->typed = true;
    if (!bytes_ieq(bytes_trim(kind), BYTES("form-data"))) {
        return refuse(m, "a part's content-disposition is not form-data");
    }
    while (next_param(&text, &name, &value)) {
        bool file = bytes_ieq(name, BYTES("filename")) || bytes_ieq(name, BYTES("filename*"));
        bool named = bytes_ieq(name, BYTES("name"));
        if (bytes_ieq(name, BYTES("name*"))) {
            return refuse(m, "a part's name must be given as name (RFC 7578 section 5.1)");
        }
        m->file = m->file || file;
        if (!named) continue;
        if (m->name_len > 0 || value.len == 0 || value.len > sizeof m->name ||
            memchr(value.ptr, '\\', value.len) || memchr(value.ptr, '%', value.len)) {
            return refuse(m, "a part needs one name, of 1 to 64 bytes, without escapes");
        }
        memcpy(m->name, value.ptr, value.len);
        m->name_len = (uint8_t)value.len;
    }
    if (text.len > 0) return refuse(m, "a part's content-disposition is malformed");
    return NET_MORE;
}

static bool is_token(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        char low = byte_lower(text.ptr[i]);
        bool plain = (low >= 'a' && low <= 'z') || (low >= '0' && low <= '9');
        if (!plain && low != '-' && low != '_') return false;
    }
    return text.len > 0;
}

/* A header line of a part, without its end. */
static enum net_rc take_line(struct multipart *m)
{
    struct bytes line = {m->line, m->line_len};
    m->line_len = 0;
    if (line.len == 0) {
        if (m->name_len == 0) return refuse(m, "a part of the form has no name");
        m->state = VALUE;
        m->start = m->at;
        m->matched = 1;
        m->cr = true;
        return NET_MORE;
    }
    if (m->lines++ == MULTIPART_LINES_MAX) return refuse(m, "a part has too many header lines");
    struct bytes name = bytes_cut(&line, bytes_find(line, ':'));
    if (line.len == 0 || !is_token(name)) {
        return refuse(m, "a header line of a part is malformed");
    }
    bytes_cut(&line, 1);
    if (bytes_ieq(name, BYTES("content-disposition"))) return take_disposition(m, line);
    m->encoded = m->encoded || !bytes_ieq(name, BYTES("content-type"));
    return NET_MORE;
}

/* A byte of a header line. CR must be followed by LF, and neither stands alone. */
static enum net_rc line_byte(struct multipart *m, char c)
{
    if (m->cr != (c == '\n')) return refuse(m, "a header line of a part must end with CRLF");
    m->cr = c == '\r';
    if (c == '\n') return take_line(m);
    if (m->cr) return NET_MORE;
    if ((uint8_t)c < ' ' && c != '\t') return refuse(m, "a header line of a part is malformed");
    if (m->line_len == sizeof m->line) return refuse(m, "a header line of a part is too long");
    m->line[m->line_len++] = c;
    return NET_MORE;
}

/* A boundary ended: what was a value is a part. */
static enum net_rc take_mark(struct multipart *m, struct multipart_part *part)
{
    bool first = m->first;
    assert(m->matched == m->mark_len);
    m->matched = 0;
    m->first = false;
    m->state = MARKED;
    if (first) return NET_MORE;
    uint64_t length = m->at - m->start, tail = (uint64_t)m->mark_len + 1;
    if (!m->cr) return refuse(m, "a boundary in the form is not behind CRLF");
    if (length < tail) return refuse(m, "a part has no line for its value");
    *part = (struct multipart_part){
        .name = {m->name, m->name_len}, .start = m->start, .end = m->at - tail,
        .file = m->file, .encoded = m->encoded,
    };
    length -= tail;
    if (length <= MULTIPART_VALUE_MAX) {
        assert(m->value_len >= length);
        part->value = (struct bytes){m->value, (size_t)length};
    }
    return NET_OK;
}

static void keep(struct multipart *m, struct bytes text)
{
    size_t room = sizeof m->value - m->value_len, n = text.len < room ? text.len : room;
    if (n == 0) return;
    memcpy(m->value + m->value_len, text.ptr, n);
    m->value_len = (uint16_t)(m->value_len + n);
}

/* Go through a value up to a boundary, by whole lines where nothing matches. */
static enum net_rc read_value(struct multipart *m, struct bytes *in,
                              struct multipart_part *part)
{
    while (in->len > 0) {
        if (m->matched == 0) {
            struct bytes run = bytes_cut(in, bytes_find(*in, '\n'));
            keep(m, run);
            m->at += run.len;
            if (run.len > 0) m->cr = run.ptr[run.len - 1] == '\r';
            if (in->len == 0) return NET_MORE;
        }
        if (*in->ptr == m->mark[m->matched]) {
            keep(m, bytes_cut(in, 1));
            m->at++;
            if (++m->matched == m->mark_len) return take_mark(m, part);
            continue;
        }
        if (m->first) return refuse(m, "the body must begin with the form's boundary");
        m->matched = 0;
        /* what matched was no CR, and without more of it the LF itself is what went before */
        m->cr = false;
    }
    return NET_MORE;
}

/* A byte behind a boundary. Blanks there (RFC 2046 section 5.1.1) are refused on purpose. */
static enum net_rc marked_byte(struct multipart *m, char c)
{
    static const struct { char want; uint8_t next; } steps[] = {
        [MARKED_CR] = {'\n', LINE}, [HYPHEN] = {'-', LAST}, [LAST] = {'\r', LAST_CR},
        [LAST_CR] = {'\n', OVER},
    };
    if (m->state == OVER) return refuse(m, "something follows the form's last boundary");
    if (m->state == MARKED) {
        if (c != '\r' && c != '-') return refuse(m, "a boundary in the form does not end");
        m->state = c == '-' ? HYPHEN : MARKED_CR;
        return NET_MORE;
    }
    assert(m->state < COUNT(steps) && steps[m->state].want);
    if (c != steps[m->state].want) return refuse(m, "a boundary in the form does not end");
    m->state = steps[m->state].next;
    if (m->state != LINE) return NET_MORE;
    m->cr = m->file = m->typed = m->encoded = false;
    m->name_len = m->lines = 0;
    m->line_len = m->value_len = 0;
    return NET_MORE;
}

enum net_rc multipart_next(struct multipart *m, struct bytes *in, struct multipart_part *part)
{
    while (in->len > 0) {
        enum net_rc rc;
        if (m->state == BAD) return NET_BAD;
        if (m->state == VALUE) {
            rc = read_value(m, in, part);
        } else {
            char c = *bytes_cut(in, 1).ptr;
            m->at++;
            rc = m->state == LINE ? line_byte(m, c) : marked_byte(m, c);
        }
        if (rc != NET_MORE) return rc;
    }
    return m->state == BAD ? NET_BAD : NET_MORE;
}

enum net_rc multipart_end(struct multipart *m)
{
    if (m->state == BAD) return NET_BAD;
    if (m->state == LAST || m->state == OVER) return NET_DONE;
    return refuse(m, "the form has no final boundary");
}
