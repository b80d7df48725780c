/* http.h - HTTP/1.1 message heads, both roles (RFC 9112, RFC 9110), as pure functions over
 * contiguous memory: nothing is copied, results are slices of the head. Strict wherever two
 * parsers could disagree on where a message ends (hostile.md): CRLF only, no folding, no
 * blank before a colon, no control bytes, one Host, one framing. */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include "net/bytes.h"

enum {
    HTTP_FIELDS_MAX = 256,      /* fields in one head; more is HTTP_TOO_MANY */
    HTTP_TARGET_MAX = 8192,     /* bytes of a request target */
    HTTP_CONNECTIONS_MAX = 4,   /* Connection lines in one head; more is HTTP_TOO_MANY */
    HTTP_PASS_MAX = 6,          /* runs of field lines that go on; more are walked for */
};

enum http_field {
#define X(id, name, stops) HTTP_##id,
#define Y(id, name, stops)
#include "net/http.def"
#undef Y
    HTTP_FIELD_COUNT,           /* those above have their value in the head */
    HTTP_BEFORE_NAMED = HTTP_FIELD_COUNT - 1,
#undef X
#define X(id, name, stops)
#define Y(id, name, stops) HTTP_##id,
#include "net/http.def"
#undef Y
#undef X
    HTTP_NAME_COUNT,            /* also: a name that http.def has not */
};

/* The two ways past a proxy: to the provider, back to the client. */
enum http_way { HTTP_UP = 1, HTTP_DOWN = 2 };

enum http_method {
    HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE, HTTP_OPTIONS,
    HTTP_OTHER,                 /* well-formed, not one of ours */
};

/* How the body is delimited (RFC 9112 section 6.3). */
enum http_framing {
    HTTP_NO_BODY,
    HTTP_LENGTH,                /* content_length bytes follow */
    HTTP_CHUNKED,
    HTTP_UNTIL_CLOSE,           /* responses only */
};

enum http_error {
    HTTP_FINE,
    HTTP_BAD_LINE,              /* request or status line */
    HTTP_BAD_VERSION,           /* not HTTP/1.0 or HTTP/1.1: answer 505 */
    HTTP_BAD_METHOD,
    HTTP_BAD_TARGET,
    HTTP_BAD_STATUS,            /* not three digits, 100..599 */
    HTTP_BAD_FIELD,             /* name, colon, control byte, folding, bare LF or CR */
    HTTP_BAD_HOST,              /* missing, repeated or malformed */
    HTTP_BAD_LENGTH,            /* repeated, not decimal, beyond 2^63 */
    HTTP_BAD_CODING,            /* a transfer coding that is not exactly "chunked" */
    HTTP_TWO_FRAMINGS,          /* Content-Length with Transfer-Encoding */
    HTTP_REPEATED,              /* a field of http.def that must be single is repeated */
    HTTP_TOO_MANY,              /* more than HTTP_FIELDS_MAX fields, or more Connection
                                   lines than HTTP_CONNECTIONS_MAX: answer 431 */
    HTTP_TARGET_LONG,           /* answer 414 */
};

struct http_head {
    /* request */
    struct bytes method_text;
    struct bytes target;        /* as sent: "/path?query" (or "*", or absolute form) */
    struct bytes path;          /* of the target, without query, still percent-encoded */
    struct bytes query;         /* behind '?', or empty */
    struct bytes authority;     /* of a target in absolute form, then field[HTTP_HOST] too
                                   (RFC 9112 section 3.2.2); otherwise empty */
    enum http_method method;
    /* response */
    uint16_t status;            /* 100..599 */
    /* both */
    struct bytes fields;        /* the field lines, for http_field_next, without the
                                   CRLF of the empty line */
    struct bytes field[HTTP_FIELD_COUNT];  /* trimmed value; ptr NULL where absent. Of a
                                   repeated one the first, but of Content-Encoding the
                                   first that is not identity */
    struct bytes connection[HTTP_CONNECTIONS_MAX];  /* values of all Connection lines */
    struct bytes pass[HTTP_PASS_MAX];  /* private: see http_out_pass */
    uint64_t content_length;    /* bytes; 0 unless framing is HTTP_LENGTH */
    enum http_framing framing;
    size_t bytes;               /* of the whole head, with the empty line */
    uint16_t field_count;
    uint8_t connection_count;   /* of connection[], 0..HTTP_CONNECTIONS_MAX */
    uint8_t pass_count;         /* private */
    bool pass_walk;             /* private: pass does not tell all */
    uint8_t minor;              /* HTTP/1.minor: 0 or 1 */
    bool keep_alive;            /* RFC 9112 section 9.3: version and Connection together */
    bool expect_continue;       /* Expect: 100-continue (RFC 9110 section 10.1.1); not in
                                   HTTP/1.0, where it is to be ignored */
    bool upgrade_websocket;     /* an Upgrade lists websocket; not in HTTP/1.0 (section 7.8) */
    enum http_error error;      /* after NET_BAD */
};

/* Find the end of a head that arrives in pieces.
 *   in       borrows: all bytes of the head so far, from its first byte
 *   scanned  in/out: how much an earlier call has looked at; begin with 0
 * Empty lines before a request line are NOT skipped here (see http_blank_lines).
 * NET_OK   the head with its empty line is in; *scanned is its length
 * NET_MORE not yet. A bare LF does not end a line but is refused by the parser. */
MUST_USE enum net_rc http_head_end(struct bytes in, size_t *scanned);

/* How many leading bytes of in are CRLF pairs that may precede a request line (RFC 9112
 * section 2.2: at least one is to be ignored); at most 2 pairs are taken. */
size_t http_blank_lines(struct bytes in);

/* Parse a whole request head; in starts with the request line, and may go on behind the head.
 * *head borrows from in. NET_OK, or NET_BAD with head->error (other fields then hold what
 * was understood so far: method, minor); of a head that is not whole, as of a bad one, it is
 * NET_BAD: http_head_end tells them apart. */
MUST_USE enum net_rc http_request(struct bytes in, struct http_head *head);

/* Parse a whole response head, else as http_request. head_request: the request was HEAD, so
 * no body follows whatever the fields say. 1xx, 204 and 304 have no body; a 1xx or 204 with a
 * non-zero length or a transfer coding is NET_BAD. Transfer-Encoding in an HTTP/1.0 answer is
 * NET_BAD. Repeated fields are tolerated, but for those that delimit the body. */
MUST_USE enum net_rc http_response(struct bytes in, bool head_request, struct http_head *head);

/* What was wrong, as a clause for an error text ("repeated Content-Length"). Static. */
const char *http_why(enum http_error error);

/* Walk the fields: *at starts as head.fields; each call cuts one line off and gives its
 * trimmed value. False at the end. All slices borrow from the head. */
bool http_field_next(struct bytes *at, struct bytes *name, struct bytes *value);

/* Which field of http.def this name is, in any case; HTTP_NAME_COUNT where none. */
enum http_field http_field_find(struct bytes name);

/* True for a field of this head that stops here on its way: what belongs to one hop (RFC 9110
 * section 7.6.1: Connection, Keep-Alive, Proxy-Connection, Proxy-Authenticate,
 * Proxy-Authorization, TE, Trailer, Transfer-Encoding, Upgrade, and every name that a
 * Connection line lists), framing, credentials, cookies, and what http.def says besides. */
bool http_field_stops(const struct http_head *head, struct bytes name, enum http_way way);

/* True when a comma list (RFC 9110 section 5.6.1) has the token, ASCII case ignored. */
bool http_list_has(struct bytes list, struct bytes token);

/* The value of a query parameter, still percent-encoded; false where absent. Borrows. */
bool http_query_find(struct bytes query, struct bytes name, struct bytes *value);

/* Resolve %XX in text into out (room >= text.len). Gives the length, or -1 for a malformed
 * escape or one that decodes to a control byte. */
int64_t http_percent_decode(struct bytes text, char *out);

/* The reason phrase usual for a status ("Not Found"); "Unknown" for others. Static. */
const char *http_reason(unsigned status);

struct http_out {    /* composes a head into caller's memory; sticky when full */
    char *out;       /* borrows */
    size_t room, len;
    bool full;
};

/* Begin a request head: "METHOD target HTTP/1.1". All slices copied. */
void http_out_request(struct http_out *o, struct bytes method, struct bytes target);
/* Begin a response head with the usual reason phrase. */
void http_out_status(struct http_out *o, unsigned status);
/* Text that the caller vouches for: pieces of a first line, of field lines. copies. A part that
 * does not fit is left out whole, and everything behind it too. */
static inline void http_out_text(struct http_out *o, struct bytes text)
{
    assert(o->len <= o->room);
    if (o->full || text.len > o->room - o->len) {
        o->full = true;
        return;
    }
    if (text.len > 0) memcpy(o->out + o->len, text.ptr, text.len);
    o->len += text.len;
}
/* A decimal number of at least width digits (0..20), without a field around it. */
void http_out_digits(struct http_out *o, uint64_t value, unsigned width);
/* One field. The value must hold no control bytes (asserted: callers pass parsed values or
 * their own text). */
void http_out_field(struct http_out *o, struct bytes name, struct bytes value);
/* One field with a decimal value. */
void http_out_number(struct http_out *o, struct bytes name, uint64_t value);
/* Whole field lines, CRLF included, as they stand in a head that was parsed (so their bytes
 * were checked). copies. */
void http_out_lines(struct http_out *o, struct bytes lines);
/* The field lines of a parsed head that go on, as they stand: of a request's those for the
 * provider, of an answer's those for the client (http_field_stops). */
void http_out_pass(struct http_out *o, const struct http_head *head);
/* The empty line. */
void http_out_end(struct http_out *o);

/* RFC 9110 section 5.6.7 IMF-fixdate of unix_s into out (30 bytes with the end); gives 29. */
size_t http_date(uint64_t unix_s, char out[30]);
/* Parse an IMF-fixdate. True and *unix_s, or false. */
MUST_USE bool http_date_parse(struct bytes text, uint64_t *unix_s);

#endif
