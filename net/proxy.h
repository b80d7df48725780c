/* proxy.h - the PROXY protocol, receiving side: who is behind a proxy that passes a connection
 * on, told in front of its first byte (haproxy's proxy-protocol.txt, versions 1 and 2, sections
 * 2.1 and 2.2). Pure and stateless: asked again with more bytes, it gives the same verdict for
 * every cut. Only to be asked about peers that are trusted: anybody can send these bytes. */
#ifndef NET_PROXY_H
#define NET_PROXY_H

#include "net/addr.h"

enum {
    PROXY_LINE_MAX = 107,       /* bytes of a version 1 line with its CRLF (section 2.1) */
    PROXY_BEGIN_MAX = 12,       /* bytes after which it is clear whether one is there */
    PROXY_MAX = 4096,           /* bytes of a whole header; a longer one is refused, although
                                   its length field could say 65,551 (section 2.2) */
};

struct proxy {
    struct addr from;           /* who connected to the proxy; ADDR_NONE where it does not say
                                   (LOCAL, UNKNOWN, UNSPEC): the peer stands for itself */
    size_t bytes;               /* of the header, additional fields (TLV) included */
};

/* Does a head that was refused as HTTP begin like a header, empty lines before it skipped? So
 * that the refusal can say what was wrong. Borrows. */
bool proxy_is_like(struct bytes head);
/* Look for a header at the start of in, which borrows and holds all bytes from the connection's
 * first one.
 *   out  on NET_OK
 *   why  on NET_BAD: a clause (static)
 * NET_OK    a header; what is behind out->bytes is the connection's own first byte
 * NET_MORE  not to be told yet
 * NET_DONE  no header: all of in is the connection's own
 * NET_BAD   it begins like a header and is none */
MUST_USE enum net_rc proxy_read(struct bytes in, struct proxy *out, const char **why);

#endif
