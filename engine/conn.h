/* conn.h - one client connection: framing of requests in, queued bytes out. What a request
 * means is decided behind serve.h. */
#ifndef ENGINE_CONN_H
#define ENGINE_CONN_H

#include "engine/mem.h"
#include "engine/stats.h"
#include "engine/timer.h"
#include "net/addr.h"
#include "net/chunk.h"

struct core;
struct exchange;
struct ring_done;

struct tls;

enum conn_state {
    CONN_IDLE,       /* between requests; nothing of the next one has come */
    CONN_HEAD,       /* part of a head is in */
    CONN_BODY,       /* the head was accepted, the body is being read */
    CONN_BUSY,       /* the request is with serve_*; further bytes wait */
    CONN_LINGER,     /* our side is shut; reads on so that the answer is not reset away */
    CONN_CLOSING,    /* descriptor shut; slot returns once nothing is in flight */
    CONN_PROXY,      /* of a trusted peer, before its first byte: a PROXY header may come */
    CONN_HELLO,      /* TLS handshake */
    CONN_STATES
};

struct conn {
    struct slab_head head;
    struct timer timer;
    struct conn *next_dirty, *next_ready, *next_closing;
    struct chain out;          /* to be sent, in plain */
    struct chain wire, raw;    /* TLS records: to be sent; received and not whole yet */
    struct tls *tls;           /* from the client's hello until nothing more is said */
    struct chain ahead;        /* received behind the request in progress (pipelining) */
    struct chain body;         /* of the request in progress */
    struct hold hold;          /* of its head */
    struct bytes fields;       /* its field lines; lives in hold */
    struct exchange *x;        /* gateway: the exchange in progress */
    void *job;                 /* admin and mock: theirs */
    uint64_t body_left;        /* with a Content-Length: bytes still to come */
    uint64_t body_bytes;       /* so far */
    uint64_t body_max;
    uint64_t state_ns;         /* deadline of the state; 0 none */
    uint64_t write_ns;         /* when to look at the send in flight; 0 none */
    uint32_t unsent;           /* bytes the kernel still held when it was looked at last */
    struct chunk chunk;
    struct addr peer;          /* by conn_peer() */
    int fd;
    uint32_t lingered;         /* bytes read and dropped */
    uint16_t inflight;         /* operations the kernel still owes an end */
    uint8_t state, why;
    uint8_t listener;
    uint8_t api;               /* enum api of its latest request: the form of errors */
    bool recv_armed, recv_paused, sending;
    bool dirty, ready, chunked, keep_alive, http10, head_only, close_after, peer_shut;
    bool answered;             /* the head of the answer to this request was queued */
    bool expects;              /* the client waits for 100 before it sends its body */
    bool wants_post;           /* its path takes POST: what a 405 says */
    bool discard;              /* answered early: what is left of a small body is read away */
    bool recv_once;            /* it pours: one receive buffer at a time */
    bool pouring;              /* in the core's queue: armed again when it is its turn */
    bool secure;               /* bytes come and go as TLS records: see conn_tls.c */
    bool goodbye;              /* close-notify was said */
    uint8_t full_run;          /* whole receive buffers in a row */
    uint32_t next_pouring;     /* slot behind it in that queue */
};

/* A socket was accepted (or handed over). Takes fd; closes it when no slot is free. */
void conn_open(struct core *core, int fd, uint8_t listener);
/* Who is at the other end, or behind it where a PROXY header said so. Borrows. */
const struct addr *conn_peer(struct conn *c);
/* Completions. */
void conn_on_recv(struct core *core, struct conn *c, const struct ring_done *d);
/* A send completed. */
void conn_on_send(struct core *core, struct conn *c, const struct ring_done *d);
/* Its timer fired. */
void conn_on_timer(struct core *core, struct conn *c);
/* Something was put into c->out: send it at the end of the turn. */
void conn_dirty(struct core *core, struct conn *c);
/* The answer to the current request is queued whole: go on with the next one, or close after
 * the last byte left (no keep-alive, or the body was not read to its end). */
void conn_answered(struct core *core, struct conn *c);
/* Will the connection stay after the answer that is being composed? What `connection:` says. */
bool conn_stays(const struct core *core, const struct conn *c);
/* Close now, for one recorded reason. Calling again is allowed: the first reason stands. */
void conn_close(struct core *core, struct conn *c, enum close_why why);
/* End of turn: go on with a few of the TLS handshakes that wait for it. */
void conn_shake_some(struct core *core);
/* End of turn: send what is queued. */
void conn_flush_all(struct core *core);
/* End of turn: receive from the next few of those that pour. */
void conn_pour_some(struct core *core);
/* End of turn: go on with pipelined requests (one a connection). */
void conn_resume_all(struct core *core);
/* End of turn: return slots with nothing in flight. */
void conn_reap_all(struct core *core);
/* Shutting down: close all connections that have no request in progress. */
void conn_close_idle(struct core *core);

#endif
