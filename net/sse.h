/* sse.h - splits server-sent events (WHATWG HTML section 9.2.6) in contiguous memory.
 * Finds one complete event at a time, in place; the caller keeps an unfinished one and
 * calls again with it and what followed. Line ends may be LF, CRLF or CR, mixed. */
#ifndef NET_SSE_H
#define NET_SSE_H

#include "net/bytes.h"

struct sse {           /* all zero is a fresh stream; fields are private */
    size_t scanned;    /* bytes of the unfinished event that were looked at */
    size_t line;       /* where its current line begins, from the event's first byte */
    size_t data;       /* where the value of its first data line begins */
    size_t data_len;   /* bytes */
    size_t event;      /* the same for its last event line */
    size_t event_len;
    uint32_t data_lines;
    uint8_t mark;      /* bytes of the byte order mark in front of it: 0 or 3 */
    bool begun;        /* the stream's first bytes were seen (a BOM is dropped once) */
};

struct sse_event {
    struct bytes raw;    /* the whole event with its empty line, as received */
    struct bytes data;   /* value of its first data line; with several, see data_lines */
    struct bytes event;  /* value of its last event line; empty where absent (= "message") */
    uint32_t data_lines; /* 0: a comment or heartbeat; > 1: join with sse_join */
};

/* Cut the next complete event off *in.
 *   in  borrows: starts at the first byte not yet cut. On NET_MORE it is left whole: call
 *       again with the same bytes and more behind them (they may have moved).
 * NET_OK   *ev borrows from in. A CR at the very end of in does not end an event until one
 *          more byte (or sse_finish) shows that no LF follows.
 * NET_MORE no complete event */
MUST_USE enum net_rc sse_next(struct sse *s, struct bytes *in, struct sse_event *ev);

/* The stream ended with in left over, as it was when sse_next said NET_MORE.
 * NET_OK   *ev is a last event whose empty line was cut off by the end of the stream (its
 *          lines are complete)
 * NET_DONE nothing, or only blanks
 * NET_BAD  an event cut in the middle of a line */
MUST_USE enum net_rc sse_finish(struct sse *s, struct bytes in, struct sse_event *ev);

/* Join several data lines of ev->raw with LF into out (room >= raw.len); gives the length. */
size_t sse_join(const struct sse_event *ev, char *out);

#endif
