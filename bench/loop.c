/* loop.c - loop.h over liburing. */
#include "bench/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { GROUP = 1, CQ_FACTOR = 16, BACKLOG = 4096 };

_Noreturn void die(const char *what, int error)
{
    assert(what);
    fprintf(stderr, "%s: %s\n", what, strerror(error));
    exit(1);
}

uint64_t clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void open_bufs(struct loop *l)
{
    int prot = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS;
    size_t ring_bytes = l->buf_count * sizeof(struct io_uring_buf);
    l->ring = mmap(NULL, ring_bytes, prot, flags, -1, 0);
    l->bufs = mmap(NULL, (size_t)l->buf_count * l->buf_bytes, prot, flags, -1, 0);
    if (l->ring == MAP_FAILED || l->bufs == MAP_FAILED) die("mmap", errno);
    struct io_uring_buf_reg reg = {.ring_addr = (uint64_t)(uintptr_t)l->ring,
                                   .ring_entries = l->buf_count, .bgid = GROUP};
    int rc = io_uring_register_buf_ring(&l->uring, &reg, 0);
    if (rc < 0) die("io_uring_register_buf_ring", -rc);
    io_uring_buf_ring_init(l->ring);
    for (uint32_t i = 0; i < l->buf_count; i++) loop_give(l, i);
}

void loop_open(struct loop *l, uint32_t entries, uint32_t buf_count, uint32_t buf_bytes)
{
    assert(buf_count && (buf_count & (buf_count - 1)) == 0 && buf_count <= 32768);
    assert(buf_bytes >= 1024);
    *l = (struct loop){.buf_count = buf_count, .buf_bytes = buf_bytes};
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    (void)prctl(PR_SET_TIMERSLACK, 1);  /* the default of 50 us would show in every latency */
    struct io_uring_params p = {.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL |
                                         IORING_SETUP_SINGLE_ISSUER |
                                         IORING_SETUP_DEFER_TASKRUN,
                                .cq_entries = entries * CQ_FACTOR};
    int rc = io_uring_queue_init_params(entries, &l->uring, &p);
    if (rc < 0) die("io_uring_setup", -rc);
    if (io_uring_register_ring_fd(&l->uring) != 1) die("io_uring_register_ring_fd", EINVAL);
    open_bufs(l);
}

void loop_close(struct loop *l)
{
    assert(l->bufs);
    io_uring_queue_exit(&l->uring);
    munmap(l->bufs, (size_t)l->buf_count * l->buf_bytes);
    munmap(l->ring, l->buf_count * sizeof(struct io_uring_buf));
    *l = (struct loop){0};
}

static void publish(struct loop *l)
{
    if (l->given) io_uring_buf_ring_advance(l->ring, (int)l->given);
    l->given = 0;
}

void loop_turn(struct loop *l, uint64_t timeout_ns)
{
    publish(l);
    struct __kernel_timespec ts = {.tv_sec = (long long)(timeout_ns / 1000000000),
                                   .tv_nsec = (long long)(timeout_ns % 1000000000)};
    struct io_uring_cqe *first = NULL;
    int rc = timeout_ns == 0 || io_uring_cq_ready(&l->uring)
                 ? io_uring_submit_and_get_events(&l->uring)
                 : io_uring_submit_and_wait_timeout(&l->uring, &first, 1, &ts, NULL);
    l->sends = 0;
    if (rc < 0 && rc != -ETIME && rc != -EINTR && rc != -EAGAIN && rc != -EBUSY) {
        die("io_uring_enter", -rc);
    }
}

static struct io_uring_sqe *next_sqe(struct loop *l, uint64_t user)
{
    struct io_uring_sqe *sqe;
    while (!(sqe = io_uring_get_sqe(&l->uring))) {
        publish(l);
        (void)io_uring_submit(&l->uring);
        l->sends = 0;
    }
    sqe->user_data = user;
    return sqe;
}

void loop_accept(struct loop *l, int fd, uint64_t user)
{
    struct io_uring_sqe *sqe = next_sqe(l, user);
    io_uring_prep_multishot_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
    sqe->user_data = user;
}

void loop_connect(struct loop *l, int fd, uint64_t user, const struct sockaddr_in *addr)
{
    struct io_uring_sqe *sqe = next_sqe(l, user);
    io_uring_prep_connect(sqe, fd, (const struct sockaddr *)addr, sizeof *addr);
    sqe->user_data = user;
}

void loop_recv(struct loop *l, int fd, uint64_t user)
{
    struct io_uring_sqe *sqe = next_sqe(l, user);
    io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = GROUP;
    sqe->user_data = user;
}

void loop_send(struct loop *l, int fd, uint64_t user, struct bytes data)
{
    assert(data.len > 0);
    struct io_uring_sqe *sqe = next_sqe(l, user);
    io_uring_prep_send(sqe, fd, data.ptr, data.len, MSG_NOSIGNAL | MSG_WAITALL);
    sqe->user_data = user;
}

void loop_sendv(struct loop *l, int fd, uint64_t user, const struct iovec *iov, unsigned count)
{
    assert(count > 0 && count <= LOOP_IOV_MAX);
    if (count == 1) {
        loop_send(l, fd, user, (struct bytes){iov->iov_base, iov->iov_len});
        return;
    }
    if (l->sends == LOOP_SENDS_MAX) {  /* the kernel copies them when it takes the entry */
        publish(l);
        (void)io_uring_submit(&l->uring);
        l->sends = 0;
    }
    struct io_uring_sqe *sqe = next_sqe(l, user);
    struct loop_sendv *s = &l->sendv[l->sends++];
    memcpy(s->iov, iov, count * sizeof *iov);
    s->msg = (struct msghdr){.msg_iov = s->iov, .msg_iovlen = count};
    io_uring_prep_sendmsg(sqe, fd, &s->msg, MSG_NOSIGNAL | MSG_WAITALL);
    sqe->user_data = user;
}

char *loop_buf(const struct loop *l, uint32_t id)
{
    assert(id < l->buf_count);
    return l->bufs + (size_t)id * l->buf_bytes;
}

uint32_t loop_buf_id(const struct io_uring_cqe *cqe)
{
    assert(cqe->flags & IORING_CQE_F_BUFFER);
    return cqe->flags >> IORING_CQE_BUFFER_SHIFT;
}

void loop_give(struct loop *l, uint32_t id)
{
    assert(l->given < l->buf_count);
    io_uring_buf_ring_add(l->ring, loop_buf(l, id), l->buf_bytes, (unsigned short)id,
                          io_uring_buf_ring_mask(l->buf_count), (int)l->given++);
}

struct sockaddr_in loop_address(const char *text)
{
    struct sockaddr_in addr = {.sin_family = AF_INET};
    char host[64];
    const char *colon = strrchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof host) die(text, EINVAL);
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    char *end;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (*end || port == 0 || port > 65535 || inet_pton(AF_INET, host, &addr.sin_addr) != 1) {
        die(text, EINVAL);
    }
    addr.sin_port = htons((uint16_t)port);
    return addr;
}

int loop_socket(void)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) die("socket", errno);
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one)) die("TCP_NODELAY", errno);
    return fd;
}

int loop_listen(const char *text)
{
    struct sockaddr_in addr = loop_address(text);
    int one = 1, fd = loop_socket();
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&addr, sizeof addr)) die(text, errno);
    if (listen(fd, BACKLOG)) die(text, errno);
    return fd;
}
