/* forwarded.h - X-Forwarded-For: the addresses a request came through, each added by the proxy
 * that took it from there, the nearest one last. Everything left of the last address that is
 * not ours may have been invented by the client, so it is read from the right, and only as far
 * as the addresses are those of trusted proxies. The field is no standard; RFC 7239's Forwarded
 * is not read on purpose: a proxy that adds one of the two passes the other on unseen, so
 * whoever believed both would believe the client. */
#ifndef NET_FORWARDED_H
#define NET_FORWARDED_H

#include "net/addr.h"

enum { FORWARDED_LINES_MAX = 16 };   /* lines of the field in one head */

/* Who sent a request that a trusted peer passed on?
 *   fields   borrows: http_head.fields
 *   trusted  borrows: count networks of proxies
 * NET_OK    *client is the rightmost address that is not trusted, or, where all are, the
 *           leftmost one
 * NET_DONE  no such field; *client is untouched
 * NET_BAD   what stands there is no address, or there are too many lines; *client is
 *           untouched: nothing of the field is to be believed */
MUST_USE enum net_rc forwarded_client(struct bytes fields, const struct addr_net *trusted,
                                      size_t count, struct addr *client);

#endif
