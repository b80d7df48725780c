/* ring.h - the completion ring of one core: the only way the engine touches sockets while it
 * runs. One header, two implementations chosen at link time: ring_uring.c (Linux io_uring,
 * kernel >= 6.1) and the simulated one. Operations are queued and go to the kernel together,
 * once a turn, in ring_wait(). One thread per ring.
 *
 * user_data = operation (8 bits) | slot (24) | generation (32); see ring_user(). */
#ifndef ENGINE_RING_H
#define ENGINE_RING_H

#include "net/bytes.h"

#include <sys/socket.h>
#include <sys/uio.h>

enum ring_op {
    OP_IGNORE,        /* nobody waits for it */
    OP_ACCEPT,        /* slot: listener index */
    OP_CONN_RECV, OP_CONN_SEND,                   /* slot: connection */
    OP_UP_CONNECT, OP_UP_CONNECT_2, OP_UP_RECV, OP_UP_SEND,   /* slot: upstream */
    OP_WAKE,          /* another thread wrote to the wake descriptor */
    OP_HANDOFF,       /* another core hands over an accepted socket: n is its descriptor */
    OP_COUNT
};

enum {
    RING_SLOTS_MAX = 1 << 24,
    RING_BUF_NONE = 0x7fffffff,
    RING_IOV_MAX = 16,         /* pieces in one send */
    RING_FRONT = 1088,         /* bytes in front of each receive buffer that go with it: 17
                                  lines of 64, so that buffers do not meet in the cache */
};

struct ring_done {             /* one completion */
    uint64_t user;
    int32_t n;                 /* bytes or descriptor; 0 end of stream; < 0 -errno */
    uint32_t buf;              /* receive: buffer index, now the caller's; RING_BUF_NONE */
    bool last;                 /* the operation is over: no completion of it follows */
};

struct ring_config {
    uint32_t entries;          /* submission entries, a power of two */
    uint32_t buf_count;        /* provided receive buffers, a power of two <= 32768 */
    uint32_t buf_bytes;        /* bytes of each */
};

struct ring_features {         /* what the probe at start found */
    bool single_issuer, defer_taskrun, coop_taskrun, registered_fd, multishot_accept,
        multishot_recv, provided_buffers, message, send_zero_copy, bundles;
};

struct ring;

/* Pack and unpack user_data. */
static inline uint64_t ring_user(enum ring_op op, uint32_t slot, uint32_t generation)
{
    assert(slot < RING_SLOTS_MAX);
    return (uint64_t)op << 56 | (uint64_t)slot << 32 | generation;
}
/* The operation in user_data. */
static inline enum ring_op ring_user_op(uint64_t user) { return (enum ring_op)(user >> 56); }
/* The slot in user_data. */
static inline uint32_t ring_user_slot(uint64_t user)
{
    return (uint32_t)(user >> 32) & 0xffffff;
}
/* The generation in user_data. */
static inline uint32_t ring_user_generation(uint64_t user) { return (uint32_t)user; }

/* Open a ring for the calling thread and register its receive buffers. 0 and gives *out; or
 * -errno: -EPERM or -EACCES where io_uring is forbidden, -ENOSYS where the kernel is too
 * old. */
MUST_USE int ring_open(const struct ring_config *config, struct ring **out);
/* Close it; operations still in flight are cancelled by the kernel. takes r (NULL is fine). */
void ring_close(struct ring *r);
/* What this ring uses and what the kernel would offer besides. */
void ring_look(const struct ring *r, struct ring_features *out);

/* Submit what is queued and wait until at least one completion is there or timeout_ns have
 * passed (0: do not wait). Gives up to max completions; -errno when the ring itself failed. */
MUST_USE int ring_wait(struct ring *r, uint64_t timeout_ns, struct ring_done *out,
                       unsigned max);

/* The functions below queue one operation; none fails: a full queue is submitted first.
 * Accept until cancelled; each completion's n is a descriptor (close-on-exec, non-blocking). */
void ring_accept(struct ring *r, int fd, uint64_t user);
/* Receive until the end of the stream, into provided buffers; ends with -ENOBUFS when none is
 * free. */
void ring_recv(struct ring *r, int fd, uint64_t user);
/* Receive once, into one provided buffer; ends with -ENOBUFS when none is free. */
void ring_recv_once(struct ring *r, int fd, uint64_t user);
/* Send all pieces (count <= RING_IOV_MAX); the vector is copied, the bytes borrow until the
 * completion. A short count only after an error of the peer. */
void ring_send(struct ring *r, int fd, uint64_t user, const struct iovec *iov, unsigned count);
/* Connect; addr is copied. */
void ring_connect(struct ring *r, int fd, uint64_t user, const struct sockaddr *addr,
                  socklen_t len);
/* Wait for another thread's write to the eventfd fd, again and again. */
void ring_wake(struct ring *r, int fd, uint64_t user);
/* Cancel the operation with this user_data; it completes with -ECANCELED (or as it may). */
void ring_cancel(struct ring *r, uint64_t user);
/* shutdown(fd, how), at once: before operations that are queued and not yet submitted. */
void ring_shutdown(struct ring *r, int fd, int how);
/* Bytes that were sent on fd and its peer has not acknowledged (SIOCOUTQ, tcp(7)); 0 where the
 * kernel does not tell. */
uint32_t ring_unsent(const struct ring *r, int fd);
/* close(fd), nobody waits. The slot's operations have all ended. */
void ring_close_fd(struct ring *r, int fd);
/* Hand descriptor fd to another ring: completes there as user with n = fd. A failure completes
 * here as on_fail with n = -errno. */
void ring_message(struct ring *r, const struct ring *to, int fd, uint64_t user,
                  uint64_t on_fail);

/* Memory of a receive buffer: buf_bytes of the configuration, and RING_FRONT bytes in front of
 * it that the kernel leaves alone. */
char *ring_buf(const struct ring *r, uint32_t buf);
/* Give a receive buffer back to the kernel (visible with the next ring_wait). */
void ring_buf_give(struct ring *r, uint32_t buf);
/* Receive buffers the kernel has now. */
uint32_t ring_buf_free(const struct ring *r);

#endif
