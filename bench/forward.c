/* forward.c - the measured floor: a TCP forwarder that looks at nothing.
 *     forward --listen ADDR:PORT --to ADDR:PORT
 * One connection to the target for each one accepted; bytes go both ways in the buffers they
 * came in. What arrived in a turn leaves as one send a socket, at most one in flight each.
 *   pair   waits for its connect -> forwards -> closing (an end of stream or an error on
 *          either side) -> both queues sent -> both shut -> nothing in flight -> slot free
 * Rule: it does what any proxy on TCP must do, and not one thing more. */
#include "bench/loop.h"

#include <errno.h>
#include <getopt.h>
#include <unistd.h>

enum { ACCEPT, CONNECT, RECV, SEND };  /* operations */
enum { PAIRS_MAX = 16384, NONE = INT32_MAX, BUFS = 256, BUF_BYTES = 16384 };

struct side {
    int fd;
    uint32_t first, last;  /* buffers to send to it, NONE: none */
    uint32_t sending;      /* of these, in flight from the first on */
    bool is_dirty, is_starved;
};

struct pair {
    struct side sides[2];  /* client, target */
    uint32_t inflight;     /* operations not completed, multishot ones once */
    uint32_t next_free;
    bool is_up, is_closing, is_shut;
};

struct forward {
    struct loop loop;
    struct sockaddr_in target;
    int listener;
    uint32_t free_pair, dirty_count, starved_count;
    uint32_t buf_next[BUFS], buf_len[BUFS];  /* queues run through the buffers */
    uint32_t dirty[2 * PAIRS_MAX], starved[2 * PAIRS_MAX];  /* slots: 2 x pair + side */
    struct pair pairs[PAIRS_MAX];
};

static struct side *side_of(struct forward *f, uint32_t slot)
{
    assert(slot < 2 * PAIRS_MAX);
    return &f->pairs[slot / 2].sides[slot % 2];
}

static void mark(struct forward *f, uint32_t slot)
{
    struct side *s = side_of(f, slot);
    if (!s->is_dirty) f->dirty[f->dirty_count++] = slot;
    s->is_dirty = true;
}

static void arm(struct forward *f, uint32_t slot)
{
    loop_recv(&f->loop, side_of(f, slot)->fd, tag_pack(RECV, slot));
    f->pairs[slot / 2].inflight++;
}

static void drop_first(struct forward *f, struct side *s)
{
    assert(s->first != NONE);
    uint32_t id = s->first;
    s->first = f->buf_next[id];
    if (s->first == NONE) s->last = NONE;
    loop_give(&f->loop, id);
}

/* Something ended: both sides are looked at again in this turn. */
static void close_pair(struct forward *f, uint32_t index)
{
    f->pairs[index].is_closing = true;
    mark(f, 2 * index);
    mark(f, 2 * index + 1);
}

/* A side that takes no more: what waits for it is dropped. */
static void lose(struct forward *f, uint32_t slot)
{
    struct side *s = side_of(f, slot);
    assert(s->sending == 0);
    while (s->first != NONE) drop_first(f, s);
    close_pair(f, slot / 2);
}

static void on_accept(struct forward *f, const struct io_uring_cqe *cqe)
{
    if (!(cqe->flags & IORING_CQE_F_MORE)) {
        loop_accept(&f->loop, f->listener, tag_pack(ACCEPT, 0));
    }
    if (cqe->res < 0) return;
    uint32_t index = f->free_pair;
    if (index == NONE) {
        close(cqe->res);
        return;
    }
    struct pair *p = &f->pairs[index];
    f->free_pair = p->next_free;
    *p = (struct pair){.sides = {{.fd = cqe->res, .first = NONE, .last = NONE},
                                 {.fd = loop_socket(), .first = NONE, .last = NONE}}};
    arm(f, 2 * index);
    loop_connect(&f->loop, p->sides[1].fd, tag_pack(CONNECT, 2 * index + 1), &f->target);
    p->inflight++;
}

static void on_connect(struct forward *f, uint32_t slot, int rc)
{
    struct pair *p = &f->pairs[slot / 2];
    assert(slot % 2 == 1 && !p->is_up);
    p->inflight--;
    p->is_up = true;
    if (rc < 0) {
        lose(f, slot);
        return;
    }
    arm(f, slot);
    mark(f, slot);
}

static void on_recv(struct forward *f, uint32_t slot, const struct io_uring_cqe *cqe)
{
    struct pair *p = &f->pairs[slot / 2];
    struct side *to = side_of(f, slot ^ 1);
    bool is_over = !(cqe->flags & IORING_CQE_F_MORE);
    if (is_over) p->inflight--;
    if (cqe->res > 0) {
        uint32_t id = loop_buf_id(cqe);
        f->buf_len[id] = (uint32_t)cqe->res;
        f->buf_next[id] = NONE;
        if (to->last == NONE) to->first = id;
        else f->buf_next[to->last] = id;
        to->last = id;
        mark(f, slot ^ 1);
    }
    bool is_short = cqe->res == -ENOBUFS || (cqe->res > 0 && is_over);
    if (is_short && !p->is_shut) {
        f->starved[f->starved_count++] = slot;
        side_of(f, slot)->is_starved = true;
    } else if (is_over) {
        close_pair(f, slot / 2);
    }
}

static void on_send(struct forward *f, uint32_t slot, int rc)
{
    struct side *s = side_of(f, slot);
    uint64_t want = 0;
    f->pairs[slot / 2].inflight--;
    for (; s->sending > 0; s->sending--) {
        want += f->buf_len[s->first];
        drop_first(f, s);
    }
    if (rc < 0 || (uint64_t)rc < want) lose(f, slot);  /* MSG_WAITALL: short means broken */
    else mark(f, slot);
}

static void flush(struct forward *f, uint32_t slot)
{
    struct pair *p = &f->pairs[slot / 2];
    struct side *s = side_of(f, slot);
    struct iovec iov[LOOP_IOV_MAX];
    s->is_dirty = false;
    if (s->sending || s->first == NONE || !p->is_up || p->is_shut) return;
    for (uint32_t id = s->first; id != NONE && s->sending < LOOP_IOV_MAX;
         id = f->buf_next[id]) {
        iov[s->sending++] = (struct iovec){loop_buf(&f->loop, id), f->buf_len[id]};
    }
    loop_sendv(&f->loop, s->fd, tag_pack(SEND, slot), iov, s->sending);
    p->inflight++;
}

/* Take a closing pair one step further. */
static void settle(struct forward *f, uint32_t index)
{
    struct pair *p = &f->pairs[index];
    if (!p->is_closing || !p->is_up) return;
    struct side *a = &p->sides[0], *b = &p->sides[1];
    if (!p->is_shut && a->first == NONE && b->first == NONE) {
        shutdown(a->fd, SHUT_RDWR);  /* ends the multishot receives */
        shutdown(b->fd, SHUT_RDWR);
        p->is_shut = true;
    }
    if (p->is_shut && a->first != NONE) lose(f, 2 * index);
    if (p->is_shut && b->first != NONE) lose(f, 2 * index + 1);
    if (!p->is_shut || p->inflight || a->is_starved || b->is_starved) return;
    if (a->is_dirty || b->is_dirty) return;
    close(a->fd);
    close(b->fd);
    p->next_free = f->free_pair;
    p->is_closing = false;
    f->free_pair = index;
}

static void turn(struct forward *f)
{
    unsigned head, count = 0;
    struct io_uring_cqe *cqe;
    loop_turn(&f->loop, 1000000000);
    io_uring_for_each_cqe(&f->loop.uring, head, cqe) {
        struct tag t = tag_of(cqe);
        count++;
        switch (t.op) {
        case ACCEPT: on_accept(f, cqe); break;
        case CONNECT: on_connect(f, t.slot, cqe->res); break;
        case RECV: on_recv(f, t.slot, cqe); break;
        case SEND: on_send(f, t.slot, cqe->res); break;
        default: assert(false);
        }
    }
    io_uring_cq_advance(&f->loop.uring, count);
    while (f->dirty_count > 0) {
        uint32_t slot = f->dirty[--f->dirty_count];
        flush(f, slot);
        settle(f, slot / 2);
    }
    while (f->starved_count > 0) {  /* the buffers are back, or will be next turn */
        uint32_t slot = f->starved[--f->starved_count];
        side_of(f, slot)->is_starved = false;
        arm(f, slot);
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"listen", required_argument, NULL, 'l'},
                                            {"to", required_argument, NULL, 't'},
                                            {NULL, 0, NULL, 0}};
    const char *listen_at = NULL, *to = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'l') listen_at = optarg;
        else if (option == 't') to = optarg;
        else return 2;
    }
    if (!listen_at || !to || optind < argc) {
        fputs("usage: forward --listen ADDR:PORT --to ADDR:PORT\n", stderr);
        return 2;
    }
    struct forward *f = calloc(1, sizeof *f);
    if (!f) die("calloc", ENOMEM);
    f->target = loop_address(to);
    f->free_pair = NONE;
    for (uint32_t i = PAIRS_MAX; i-- > 0;) {
        f->pairs[i].next_free = f->free_pair;
        f->free_pair = i;
    }
    loop_open(&f->loop, 4096, BUFS, BUF_BYTES);
    f->listener = loop_listen(listen_at);
    loop_accept(&f->loop, f->listener, tag_pack(ACCEPT, 0));
    for (;;) turn(f);
}
