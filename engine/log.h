/* log.h - log lines leave a core through a ring of bytes that the main thread drains to stdout,
 * so that a slow terminal never stops a core. Nothing of a prompt, an answer, a query string,
 * a cookie or a key is ever put into one. */
#ifndef ENGINE_LOG_H
#define ENGINE_LOG_H

#include "net/bytes.h"

enum { LOG_RING_BYTES = 1 << 22 };

struct log_ring;

/* Make a ring (boot, heap). NULL: out of memory. */
struct log_ring *log_ring_make(void);
/* Core. Append one line (its newline is added). False: full, the line is lost whole. */
MUST_USE bool log_put(struct log_ring *r, struct bytes line);
/* Main thread. Write what is there to fd without waiting for its reader: what it does not take
 * now stays in the ring. Gives the bytes written. */
size_t log_drain(struct log_ring *r, int fd);
/* RFC 3339 time with milliseconds, UTC, of unix_ns into out (25 bytes with the end). */
void log_time(uint64_t unix_ns, char out[25]);

#endif
