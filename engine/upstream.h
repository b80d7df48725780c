/* upstream.h - one connection to a provider: dialled (addresses of both families raced, RFC
 * 8305), TLS where the provider has it, lent to one exchange at a time, pooled in between.
 * Everything received that nobody asked for closes it. */
#ifndef ENGINE_UPSTREAM_H
#define ENGINE_UPSTREAM_H

#include "engine/mem.h"
#include "engine/stats.h"
#include "engine/timer.h"

struct core;
struct exchange;
struct ring_done;
struct tls;

enum upstream_state {
    UP_DIAL,        /* a connect is in flight (or two) */
    UP_SHAKE,       /* TLS handshake */
    UP_BUSY,        /* lent to an exchange */
    UP_IDLE,        /* in the core's pool */
    UP_CLOSING,
    UP_STATES
};

struct upstream {
    struct slab_head head;
    struct timer timer;
    struct upstream *next_dirty, *next_closing, *pool_prev, *pool_next;
    struct exchange *x;        /* whom it is lent to; stays set while closing with a send in
                                  flight that reads the exchange's memory */
    struct tls *tls;
    struct chain out;          /* plain bytes to be sent; may borrow from the exchange */
    struct chain wire;         /* TLS records to be sent */
    uint64_t connect_ns;       /* how long one address may take */
    int fd, fd_2;              /* fd_2: the second address racing; -1 none */
    uint16_t host_idx;
    uint16_t inflight;
    uint8_t state;
    uint8_t address;           /* next address to try */
    bool recv_armed, recv_paused, sending, dirty, reused, connecting, connecting_2;
    bool unasked;              /* lent from the pool, and nothing of the request was sent yet */
    bool got_bytes;            /* something of the current answer arrived */
    bool recv_once;            /* it pours: one receive buffer at a time */
    bool pouring;              /* in the core's queue: armed again when it is its turn */
    uint8_t full_run;          /* whole receive buffers in a row */
    uint32_t next_pouring;     /* slot behind it in that queue */
};

/* Lend x a connection to a host: a pooled one, or a new one being dialled. fresh: do not take
 * from the pool. NULL: no slot, no descriptor, or *end says why (ATTEMPT_NAME, ...). */
struct upstream *upstream_take(struct core *core, struct exchange *x, uint16_t host_idx,
                               uint64_t connect_ns, bool fresh, enum attempt_end *end);
/* Something was put into u->out: send it when connected, at the end of the turn. */
void upstream_dirty(struct core *core, struct upstream *u);
/* The answer ended cleanly and u may be reused: into the pool. takes u. */
void upstream_give(struct core *core, struct upstream *u);
/* Close at once; x is not called any more. takes u. */
void upstream_close(struct core *core, struct upstream *u);
/* Stop or go on receiving (back-pressure). */
void upstream_pause(struct core *core, struct upstream *u, bool pause);
/* Completions; slot 2 is the racing address. */
void upstream_on_connect(struct core *core, struct upstream *u, const struct ring_done *d,
                         bool second);
/* A receive completed. */
void upstream_on_recv(struct core *core, struct upstream *u, const struct ring_done *d);
/* A send completed. */
void upstream_on_send(struct core *core, struct upstream *u, const struct ring_done *d);
/* Its timer fired: the dial is slow, or it idled too long. */
void upstream_on_timer(struct core *core, struct upstream *u);
/* End of turn: receive from the next few of those that pour. */
void upstream_pour_some(struct core *core);
/* End of turn: send what is queued. */
void upstream_flush_all(struct core *core);
/* End of turn: return slots with nothing in flight. */
void upstream_reap_all(struct core *core);
/* Close idle connections to hosts that are off (rota.h). */
void upstream_close_off(struct core *core);
/* Close every idle connection (shutdown). */
void upstream_close_idle(struct core *core);

#endif
