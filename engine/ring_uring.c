/* ring_uring.c - ring.h over Linux io_uring through liburing.
 * SINGLE_ISSUER | DEFER_TASKRUN where the kernel has them, COOP_TASKRUN else; one
 * io_uring_enter a turn submits and waits. Receive buffers are one provided-buffer ring that
 * the kernel walks in FIFO order, so that all it was given pass through the cache: it is given
 * few, more when they do not suffice, and the one that was used last first. Their addresses are
 * staggered, since buffers a power of two apart would share the same few lines of the cache.
 * Linux io_uring: io_uring_setup(2), io_uring_enter(2), io_uring_register(2). */
#include "engine/ring.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    BUF_GROUP = 1, SENDS_PER_SUBMIT = 256, CQ_FACTOR = 16,
    SUPPLY_MIN = 64,           /* receive buffers that the kernel has at least */
    SUPPLY_TURNS = 4096,       /* turns without a shortage after which it gets fewer */
};

struct send_slot {            /* kept until the kernel has read it, which submission implies */
    struct msghdr msg;
    struct iovec iov[RING_IOV_MAX];
};

struct connect_slot { struct sockaddr_storage addr; };

struct ring {
    struct io_uring uring;
    struct io_uring_buf_ring *buf_ring;
    char *bufs;
    size_t bufs_bytes, buf_ring_bytes;
    uint32_t buf_count, buf_bytes;
    uint32_t buf_given;        /* to be made visible to the kernel */
    uint32_t supplied;         /* the kernel has, those included */
    uint32_t supply;           /* it is to have */
    uint32_t *spare, spares;   /* a stack of the others that are free */
    uint32_t turns;            /* since the supply was last changed */
    bool is_short;             /* a receive found no buffer */
    unsigned send_count, connect_count;
    struct ring_features has;
    struct send_slot sends[SENDS_PER_SUBMIT];
    struct connect_slot connects[SENDS_PER_SUBMIT];
};

static int setup(struct ring *r, uint32_t entries)
{
    struct io_uring_params p = {.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL |
                                         IORING_SETUP_CLAMP | IORING_SETUP_SINGLE_ISSUER |
                                         IORING_SETUP_DEFER_TASKRUN,
                                .cq_entries = entries * CQ_FACTOR};
    int rc = io_uring_queue_init_params(entries, &r->uring, &p);
    if (rc == 0) {
        r->has.single_issuer = r->has.defer_taskrun = true;
        return 0;
    }
    if (rc != -EINVAL) return rc;
    p = (struct io_uring_params){.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL |
                                          IORING_SETUP_CLAMP | IORING_SETUP_COOP_TASKRUN,
                                 .cq_entries = entries * CQ_FACTOR};
    rc = io_uring_queue_init_params(entries, &r->uring, &p);
    r->has.coop_taskrun = rc == 0;
    return rc;
}

static int register_bufs(struct ring *r, const struct ring_config *config)
{
    r->buf_ring_bytes = config->buf_count * sizeof(struct io_uring_buf);
    r->bufs_bytes = (size_t)config->buf_count * (config->buf_bytes + RING_FRONT);
    int prot = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS;
    void *ring = mmap(NULL, r->buf_ring_bytes, prot, flags, -1, 0);
    void *bufs = mmap(NULL, r->bufs_bytes, prot, flags, -1, 0);
    r->buf_ring = ring == MAP_FAILED ? NULL : ring;
    r->bufs = bufs == MAP_FAILED ? NULL : bufs;
    r->spare = calloc(config->buf_count, sizeof *r->spare);
    if (!r->buf_ring || !r->bufs || !r->spare) return -ENOMEM;
    (void)madvise(r->bufs, r->bufs_bytes, MADV_DONTDUMP);
    struct io_uring_buf_reg reg = {.ring_addr = (uint64_t)(uintptr_t)r->buf_ring,
                                   .ring_entries = config->buf_count, .bgid = BUF_GROUP};
    int rc = io_uring_register_buf_ring(&r->uring, &reg, 0);
    if (rc < 0) return rc == -EINVAL ? -ENOSYS : rc;
    io_uring_buf_ring_init(r->buf_ring);
    r->buf_count = config->buf_count;
    r->buf_bytes = config->buf_bytes;
    r->supply = config->buf_count < SUPPLY_MIN ? config->buf_count : SUPPLY_MIN;
    for (uint32_t i = config->buf_count; i-- > 0;) ring_buf_give(r, i);
    r->has.provided_buffers = true;
    return 0;
}

/* Operations newer than liburing's headers are told by the kernel's own opcode numbers. */
static void probe(struct ring *r)
{
    struct io_uring_probe *p = io_uring_get_probe_ring(&r->uring);
    if (!p) return;
    r->has.multishot_accept = io_uring_opcode_supported(p, IORING_OP_SOCKET);  /* both 5.19 */
    r->has.message = io_uring_opcode_supported(p, IORING_OP_MSG_RING);
    r->has.send_zero_copy = io_uring_opcode_supported(p, IORING_OP_SEND_ZC);
    r->has.multishot_recv = r->has.send_zero_copy;                            /* both 6.0 */
    r->has.bundles = (r->uring.features & (1u << 14)) != 0; /* IORING_FEAT_RECVSEND_BUNDLE */
    io_uring_free_probe(p);
}

int ring_open(const struct ring_config *config, struct ring **out)
{
    assert(config->buf_count && (config->buf_count & (config->buf_count - 1)) == 0);
    assert(config->buf_count <= 32768 && config->buf_bytes >= 1024);
    struct ring *r = calloc(1, sizeof *r);
    if (!r) return -ENOMEM;
    int rc = setup(r, config->entries);
    if (rc < 0) {
        free(r);
        return rc;
    }
    probe(r);
    rc = r->has.multishot_recv ? register_bufs(r, config) : -ENOSYS;
    if (rc < 0) {
        ring_close(r);
        return rc;
    }
    r->has.registered_fd = io_uring_register_ring_fd(&r->uring) == 1;
    *out = r;
    return 0;
}

void ring_close(struct ring *r)
{
    if (!r) return;
    io_uring_queue_exit(&r->uring);
    free(r->spare);
    if (r->bufs) munmap(r->bufs, r->bufs_bytes);
    if (r->buf_ring) munmap(r->buf_ring, r->buf_ring_bytes);
    free(r);
}

void ring_look(const struct ring *r, struct ring_features *out) { *out = r->has; }

static void supply_one(struct ring *r)
{
    uint32_t buf = r->spare[--r->spares];
    io_uring_buf_ring_add(r->buf_ring, ring_buf(r, buf), r->buf_bytes, (unsigned short)buf,
                          io_uring_buf_ring_mask(r->buf_count), (int)r->buf_given);
    r->buf_given++;
    r->supplied++;
}

/* A shortage doubles what the kernel is to have; quiet takes an eighth away. */
static void set_supply(struct ring *r)
{
    bool quiet = ++r->turns >= SUPPLY_TURNS && !r->is_short;
    if (!quiet && !r->is_short) return;
    uint32_t want = quiet ? r->supply - r->supply / 8 : r->supply * 2;
    if (want < SUPPLY_MIN) want = SUPPLY_MIN;
    r->supply = want < r->buf_count ? want : r->buf_count;
    r->turns = 0;
    r->is_short = false;
}

static void publish_bufs(struct ring *r)
{
    set_supply(r);
    while (r->supplied < r->supply && r->spares > 0) supply_one(r);
    if (r->buf_given) io_uring_buf_ring_advance(r->buf_ring, (int)r->buf_given);
    r->buf_given = 0;
}

static void submitted(struct ring *r)
{
    r->send_count = 0;
    r->connect_count = 0;
}

static struct io_uring_sqe *next_sqe(struct ring *r)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&r->uring);
    while (!sqe) {
        publish_bufs(r);
        (void)io_uring_submit(&r->uring);
        submitted(r);
        sqe = io_uring_get_sqe(&r->uring);
    }
    return sqe;
}

static int enter(struct ring *r, uint64_t timeout_ns)
{
    if (timeout_ns == 0) return io_uring_submit_and_get_events(&r->uring);
    struct __kernel_timespec ts = {.tv_sec = (long long)(timeout_ns / 1000000000),
                                   .tv_nsec = (long long)(timeout_ns % 1000000000)};
    struct io_uring_cqe *first = NULL;
    return io_uring_submit_and_wait_timeout(&r->uring, &first, 1, &ts, NULL);
}

int ring_wait(struct ring *r, uint64_t timeout_ns, struct ring_done *out, unsigned max)
{
    publish_bufs(r);
    if (io_uring_cq_ready(&r->uring)) timeout_ns = 0;
    int rc = enter(r, timeout_ns);
    submitted(r);
    if (rc < 0 && rc != -ETIME && rc != -EINTR && rc != -EAGAIN && rc != -EBUSY) return rc;
    unsigned head, count = 0;
    struct io_uring_cqe *cqe;
    io_uring_for_each_cqe(&r->uring, head, cqe) {
        if (count == max) break;
        bool has_buf = (cqe->flags & IORING_CQE_F_BUFFER) != 0;
        out[count] = (struct ring_done){
            .user = cqe->user_data, .n = cqe->res, .last = !(cqe->flags & IORING_CQE_F_MORE),
            .buf = has_buf ? cqe->flags >> IORING_CQE_BUFFER_SHIFT : RING_BUF_NONE};
        if (has_buf) r->supplied--;
        if (cqe->res == -ENOBUFS) r->is_short = true;
        count++;
    }
    io_uring_cq_advance(&r->uring, count);
    return (int)count;
}

void ring_accept(struct ring *r, int fd, uint64_t user)
{
    struct io_uring_sqe *sqe = next_sqe(r);
    io_uring_prep_multishot_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    io_uring_sqe_set_data64(sqe, user);
}

static void select_buf(struct io_uring_sqe *sqe, uint64_t user)
{
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = BUF_GROUP;
    io_uring_sqe_set_data64(sqe, user);
}

void ring_recv(struct ring *r, int fd, uint64_t user)
{
    struct io_uring_sqe *sqe = next_sqe(r);
    io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
    select_buf(sqe, user);
}

void ring_recv_once(struct ring *r, int fd, uint64_t user)
{
    struct io_uring_sqe *sqe = next_sqe(r);
    io_uring_prep_recv(sqe, fd, NULL, r->buf_bytes, 0);
    select_buf(sqe, user);
}

void ring_send(struct ring *r, int fd, uint64_t user, const struct iovec *iov, unsigned count)
{
    assert(count > 0 && count <= RING_IOV_MAX);
    int flags = MSG_NOSIGNAL | MSG_WAITALL;
    struct io_uring_sqe *sqe = next_sqe(r);
    if (count == 1) {
        io_uring_prep_send(sqe, fd, iov->iov_base, iov->iov_len, flags);
        io_uring_sqe_set_data64(sqe, user);
        return;
    }
    struct send_slot *s = &r->sends[r->send_count++];
    memcpy(s->iov, iov, count * sizeof *iov);
    s->msg = (struct msghdr){.msg_iov = s->iov, .msg_iovlen = count};
    io_uring_prep_sendmsg(sqe, fd, &s->msg, (unsigned)flags);
    io_uring_sqe_set_data64(sqe, user);
    if (r->send_count == SENDS_PER_SUBMIT) {
        (void)io_uring_submit(&r->uring);
        submitted(r);
    }
}

void ring_connect(struct ring *r, int fd, uint64_t user, const struct sockaddr *addr,
                  socklen_t len)
{
    assert(len <= sizeof(struct sockaddr_storage));
    struct io_uring_sqe *sqe = next_sqe(r);
    struct connect_slot *s = &r->connects[r->connect_count++];
    memcpy(&s->addr, addr, len);
    io_uring_prep_connect(sqe, fd, (const struct sockaddr *)&s->addr, len);
    io_uring_sqe_set_data64(sqe, user);
    if (r->connect_count == SENDS_PER_SUBMIT) {
        (void)io_uring_submit(&r->uring);
        submitted(r);
    }
}

void ring_wake(struct ring *r, int fd, uint64_t user)
{
    struct io_uring_sqe *sqe = next_sqe(r);
    io_uring_prep_poll_multishot(sqe, fd, POLLIN);
    io_uring_sqe_set_data64(sqe, user);
}

void ring_cancel(struct ring *r, uint64_t user)
{
    struct io_uring_sqe *sqe = next_sqe(r);
    io_uring_prep_cancel64(sqe, user, 0);
    io_uring_sqe_set_data64(sqe, ring_user(OP_IGNORE, 0, 0));
}

/* Not IORING_OP_SHUTDOWN: it always runs on a worker thread, which looks the descriptor up only
 * then, when it may have been closed and be another connection's. */
void ring_shutdown(struct ring *r, int fd, int how)
{
    (void)r;
    (void)shutdown(fd, how);
}

uint32_t ring_unsent(const struct ring *r, int fd)
{
    int bytes = 0;
    (void)r;
    return ioctl(fd, SIOCOUTQ, &bytes) == 0 && bytes > 0 ? (uint32_t)bytes : 0;
}

void ring_close_fd(struct ring *r, int fd)
{
    struct io_uring_sqe *sqe = next_sqe(r);
    io_uring_prep_close(sqe, fd);
    io_uring_sqe_set_data64(sqe, ring_user(OP_IGNORE, 0, 0));
}

void ring_message(struct ring *r, const struct ring *to, int fd, uint64_t user,
                  uint64_t on_fail)
{
    struct io_uring_sqe *sqe = next_sqe(r);
    io_uring_prep_msg_ring(sqe, to->uring.ring_fd, (unsigned)fd, user, 0);
    io_uring_sqe_set_data64(sqe, on_fail);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

char *ring_buf(const struct ring *r, uint32_t buf)
{
    assert(buf < r->buf_count);
    return r->bufs + RING_FRONT + (size_t)buf * (r->buf_bytes + RING_FRONT);
}

void ring_buf_give(struct ring *r, uint32_t buf)
{
    assert(r->supplied + r->spares < r->buf_count);
    r->spare[r->spares++] = buf;
}

uint32_t ring_buf_free(const struct ring *r) { return r->supplied + r->spares; }
