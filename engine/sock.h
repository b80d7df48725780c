/* sock.h - what the engine asks of sockets outside of its ring, as a link-time seam
 * (sock_real.c; simulated in tests/sim, where there is no socket at all). Listeners are made by
 * boot.c; all else is an operation of ring.h. */
#ifndef ENGINE_SOCK_H
#define ENGINE_SOCK_H

#include "net/addr.h"

/* A TCP socket to dial with: non-blocking, close-on-exec, no delay, keep-alive. family:
 * AF_INET or AF_INET6. Its descriptor, the caller's; or -errno. */
int sock_dial(int family);
/* Who is at the other end of a connection that was accepted; ADDR_NONE where that is gone. */
struct addr sock_peer(int fd);
/* A connection was accepted: small answers are not to wait for acknowledgements. */
void sock_accepted(int fd);
/* A descriptor that ring_wake() waits on: an eventfd. The caller's; or -errno. */
int sock_wake_open(void);
/* Any thread: complete the ring_wake() on it. Never blocks. */
void sock_wake(int fd);
/* The wake was seen: the next one completes again. */
void sock_wake_clear(int fd);

#endif
