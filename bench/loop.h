/* loop.h - what the three programs of the bench share: a ring, receive buffers, sockets.
 * DEFER_TASKRUN | SINGLE_ISSUER, multishot accept and receive, one provided-buffer ring, one
 * io_uring_enter a turn. Not the engine's ring.h on purpose: the floor that Weir is measured
 * against must not move with Weir.
 * Rule: a receive buffer belongs to the program from its completion until loop_give(). */
#ifndef BENCH_LOOP_H
#define BENCH_LOOP_H

#include <liburing.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/bytes.h"

enum {
    LOOP_IOV_MAX = 16,     /* pieces of one loop_sendv() */
    LOOP_SENDS_MAX = 256,  /* loop_sendv() calls between two submissions */
};

struct loop_sendv { struct msghdr msg; struct iovec iov[LOOP_IOV_MAX]; };

struct loop {              /* fields are private but uring, for completions */
    struct io_uring uring;
    struct io_uring_buf_ring *ring;
    char *bufs;
    uint32_t buf_count, buf_bytes, given, sends;
    struct loop_sendv sendv[LOOP_SENDS_MAX];
};

/* What a completion belongs to: an operation of the program, and one of its slots. */
struct tag { uint8_t op; uint32_t slot; };

/* Pack a tag for user_data. */
static inline uint64_t tag_pack(uint8_t op, uint32_t slot)
{
    return (uint64_t)op << 32 | slot;
}

/* The tag of a completion. */
static inline struct tag tag_of(const struct io_uring_cqe *cqe)
{
    return (struct tag){.op = (uint8_t)(cqe->user_data >> 32),
                        .slot = (uint32_t)cqe->user_data};
}

/* Say why on stderr and end the program: the bench has no use for half a measurement. */
_Noreturn void die(const char *what, int error);

/* Monotonic clock, nanoseconds. */
uint64_t clock_ns(void);

/* Set l up with buf_count (a power of two) receive buffers of buf_bytes; dies on failure. */
void loop_open(struct loop *l, uint32_t entries, uint32_t buf_count, uint32_t buf_bytes);
/* Give everything back. takes l's contents. */
void loop_close(struct loop *l);

/* Submit what is queued and wait for a completion, at most timeout_ns (0: not at all).
 * Completions are then read with io_uring_for_each_cqe and io_uring_cq_advance. */
void loop_turn(struct loop *l, uint64_t timeout_ns);

/* Accept connections on fd until cancelled: completions with user. */
void loop_accept(struct loop *l, int fd, uint64_t user);
/* Connect fd to addr (borrows until the next turn). */
void loop_connect(struct loop *l, int fd, uint64_t user, const struct sockaddr_in *addr);
/* Receive from fd until it ends or buffers run out. */
void loop_recv(struct loop *l, int fd, uint64_t user);
/* Send all of data (borrows until its completion). */
void loop_send(struct loop *l, int fd, uint64_t user, struct bytes data);
/* Send count (1..LOOP_IOV_MAX) pieces (iov copied; what it names borrows as above). */
void loop_sendv(struct loop *l, int fd, uint64_t user, const struct iovec *iov, unsigned count);

/* Memory of a completion's buffer. */
char *loop_buf(const struct loop *l, uint32_t id);
/* Number of a completion's buffer. cqe has IORING_CQE_F_BUFFER. */
uint32_t loop_buf_id(const struct io_uring_cqe *cqe);
/* Give buffer id back to the kernel. */
void loop_give(struct loop *l, uint32_t id);

/* Address of ADDR:PORT (IPv4); dies where it is none. */
struct sockaddr_in loop_address(const char *text);
/* Listen on ADDR:PORT, TCP_NODELAY for what is accepted; dies on failure. */
int loop_listen(const char *text);
/* A TCP socket with TCP_NODELAY; dies on failure. */
int loop_socket(void);

#endif
