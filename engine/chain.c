/* chain.c - chains of segments and the gather buffer; see mem.h. A chain owns what its
 * segments own; bytes are copied where they are few and referenced where they are many. */
#include "engine/mem.h"
#include "engine/ring.h"
#include "store/maybe.h"

static struct seg *seg_at(const struct mem *m, uint32_t slot)
{
    return (struct seg *)(void *)slab_at(&m->segs, slot);
}

static struct seg *append(struct mem *m, struct chain *c, struct seg what)
{
    struct seg *s = slab_take(&m->segs);
    if (!s) return NULL;
    what.head = s->head;
    what.next = SLAB_NONE;
    *s = what;
    if (c->count == 0) c->first = s->head.slot;
    else seg_at(m, c->last)->next = s->head.slot;
    c->last = s->head.slot;
    c->count++;
    c->bytes += what.len;
    return s;
}

static void release(struct mem *m, struct seg *s)
{
    size_t used = s->base ? (size_t)(s->ptr - s->base) + s->len : 0;
    switch ((enum seg_kind)s->kind) {
    case SEG_BORROW: break;
    case SEG_RX: mem_rx_give(m, s->owner); break;
    case SEG_PAGE: mem_page_give(m, s->owner, used); break;
    case SEG_BLOCK: mem_block_give(m, s->owner, used); break;
    }
    slab_give(&m->segs, s);
}

/* Room behind the last segment, when it owns its memory. */
static size_t tail_room(const struct seg *s)
{
    size_t end = s->base ? (size_t)(s->ptr - s->base) + s->len : 0;
    if (s->kind == SEG_PAGE) return MEM_PAGE - end;
    if (s->kind == SEG_BLOCK) return MEM_BLOCK - end;
    return 0;
}

static void fill_tail(struct chain *c, struct seg *s, struct bytes *b)
{
    size_t n = tail_room(s);
    if (n > b->len) n = b->len;
    if (n == 0) return;
    memcpy(s->base + (s->ptr - s->base) + s->len, b->ptr, n);
    s->len += (uint32_t)n;
    c->bytes += n;
    bytes_cut(b, n);
}

static bool grow(struct mem *m, struct chain *c, bool large)
{
    struct seg s = {.kind = large ? SEG_BLOCK : SEG_PAGE};
    /* Where no block is left pages are not taken instead: refusals need them for their
     * answers. */
    bool ok = large ? mem_bulk_take(m, &s.owner, &s.base)
                    : mem_page_take(m, &s.owner, &s.base);
    if (!ok) return false;
    s.ptr = s.base;
    if (append(m, c, s)) return true;
    if (large) mem_block_give(m, s.owner, 0);
    else mem_page_give(m, s.owner, 0);
    return false;
}

/* Take back what was appended since c was *was and its last segment held tail bytes. */
static void take_back(struct mem *m, struct chain *c, const struct chain *was, uint32_t tail)
{
    struct chain more = {.first = c->first, .last = c->last, .count = c->count - was->count,
                         .bytes = c->bytes - was->bytes};
    if (was->count > 0) {
        struct seg *s = seg_at(m, was->last);
        more.first = s->next;
        more.bytes -= s->len - tail;
        if (m->wipe && s->base) memset(s->base + (s->ptr - s->base) + tail, 0, s->len - tail);
        s->next = SLAB_NONE;
        s->len = tail;
    }
    *c = *was;
    if (more.count > 0) chain_drop(m, &more);
}

/* Append a copy of b; false: of a part of it only. */
static bool copy_in(struct mem *m, struct chain *c, struct bytes b)
{
    if (b.len > 0 && c->count > 0) fill_tail(c, seg_at(m, c->last), &b);
    while (b.len > 0) {
        if (!grow(m, c, b.len + c->bytes > 2 * MEM_PAGE)) return false;
        fill_tail(c, seg_at(m, c->last), &b);
    }
    return true;
}

bool chain_copy_all(struct mem *m, struct chain *c, const struct bytes *pieces, size_t count)
{
    const struct chain was = *c;
    uint32_t tail = c->count > 0 ? seg_at(m, c->last)->len : 0;
    for (size_t i = 0; i < count; i++) {
        if (copy_in(m, c, pieces[i])) continue;
        take_back(m, c, &was, tail);
        return false;
    }
    return true;
}

bool chain_copy(struct mem *m, struct chain *c, struct bytes b)
{
    return chain_copy_all(m, c, &b, 1);
}

char *chain_room(struct mem *m, struct chain *c, size_t want)
{
    assert(want <= MEM_BLOCK);
    if (c->count == 0 || tail_room(seg_at(m, c->last)) < want) {
        if (!grow(m, c, want > MEM_PAGE)) return NULL;
    }
    struct seg *s = seg_at(m, c->last);
    return s->base + (s->ptr - s->base) + s->len;
}

void chain_fill(struct mem *m, struct chain *c, size_t n)
{
    struct seg *s = seg_at(m, c->last);
    assert(c->count > 0 && tail_room(s) >= n);
    s->len += (uint32_t)n;
    c->bytes += n;
}

bool chain_add(struct mem *m, struct chain *c, struct bytes b, uint32_t buf, bool share)
{
    if (b.len == 0) return true;
    bool few = b.len < MEM_COPY_MAX && !share;
    if (buf == RING_BUF_NONE || few || mem_rx_scarce(m)) {
        return chain_copy(m, c, b);
    }
    if (!append(m, c, (struct seg){.ptr = b.ptr, .len = (uint32_t)b.len, .owner = buf,
                                   .kind = SEG_RX})) {
        return false;
    }
    mem_rx_share(m, buf);
    return true;
}

bool chain_borrow(struct mem *m, struct chain *c, struct bytes b)
{
    assert(b.len <= UINT32_MAX);
    if (b.len == 0) return true;
    return append(m, c, (struct seg){.ptr = b.ptr, .len = (uint32_t)b.len,
                                     .kind = SEG_BORROW}) != NULL;
}

void chain_move(struct mem *m, struct chain *c, struct chain *src)
{
    if (src->count == 0) return;
    if (c->count == 0) {
        *c = *src;
    } else {
        seg_at(m, c->last)->next = src->first;
        c->last = src->last;
        c->count += src->count;
        c->bytes += src->bytes;
    }
    *src = (struct chain){0};
}

bool chain_view(struct mem *m, struct chain *c, const struct chain *src, uint64_t from,
                uint64_t to)
{
    assert(from <= to && to <= src->bytes);
    uint32_t at = src->first, left = src->count;
    struct bytes piece;
    uint64_t pos = 0;
    while (pos < to && chain_next(m, &at, &left, &piece)) {
        uint64_t end = pos + piece.len;
        if (end > from) {
            if (pos < from) bytes_cut(&piece, (size_t)(from - pos));
            if (end > to) piece.len -= (size_t)(end - to);
            bool ok = piece.len < MEM_COPY_MAX ? chain_copy(m, c, piece)
                                               : chain_borrow(m, c, piece);
            if (!ok) return false;
        }
        pos = end;
    }
    return true;
}

bool chain_front(struct mem *m, struct chain *c, const struct chain *src, uint64_t drop,
                 struct bytes put)
{
    enum { HOLDERS = 2 };      /* src, and whoever handles the buffer's completion */
    if (src->count != 1) return false;
    const struct seg *s = seg_at(m, src->first);
    if (s->kind != SEG_RX || drop > s->len || m->rx_refs[s->owner] > HOLDERS) return false;
    char *base = ring_buf(m->ring, s->owner);
    size_t before = (size_t)(s->ptr - base) + (size_t)drop;
    if (before + RING_FRONT < put.len) return false;
    char *at = base + before - put.len;
    size_t len = put.len + s->len - (size_t)drop;
    uint32_t owner = s->owner;
    if (!append(m, c, (struct seg){.ptr = at, .len = (uint32_t)len, .owner = owner,
                                   .kind = SEG_RX})) {
        return false;
    }
    mem_rx_share(m, owner);
    memcpy(at, put.ptr, put.len);
    if (at < base && base - at > m->rx_front[owner]) {
        m->rx_front[owner] = (uint16_t)(base - at);
    }
    return true;
}

bool chain_own(struct mem *m, struct chain *c)
{
    struct chain own = {0};
    uint32_t at = c->first, left = c->count;
    struct bytes piece;
    bool lent = false, ok = true;
    for (uint32_t i = 0, slot = at; i < left; i++, slot = seg_at(m, slot)->next) {
        if (seg_at(m, slot)->kind == SEG_RX) lent = true;
    }
    if (!lent) return true;
    while (ok && chain_next(m, &at, &left, &piece)) ok = chain_copy(m, &own, piece);
    if (!ok) {
        chain_drop(m, &own);
        return false;
    }
    assert(own.bytes == c->bytes);
    chain_drop(m, c);
    *c = own;
    return true;
}

void chain_front_undo(struct mem *m, const struct chain *src, struct bytes was)
{
    const struct seg *s = seg_at(m, src->first);
    assert(src->count == 1 && s->kind == SEG_RX && was.len <= s->len);
    char *base = ring_buf(m->ring, s->owner);
    if (was.len) memcpy(base + (s->ptr - base), was.ptr, was.len);
}

void chain_eat(struct mem *m, struct chain *c, uint64_t n)
{
    assert(n <= c->bytes);
    c->bytes -= n;
    while (c->count > 0) {
        struct seg *s = seg_at(m, c->first);
        if (n < s->len) {
            s->ptr += n;
            s->len -= (uint32_t)n;
            return;
        }
        n -= s->len;
        c->first = s->next;
        c->count--;
        s->ptr += s->len;
        s->len = 0;
        release(m, s);
    }
    assert(n == 0);
}

void chain_drop(struct mem *m, struct chain *c)
{
    chain_eat(m, c, c->bytes);
    assert(c->count == 0);
    *c = (struct chain){0};
}

unsigned chain_iov(const struct mem *m, const struct chain *c, struct iovec *iov, unsigned max)
{
    uint32_t at = c->first, left = c->count;
    struct bytes piece;
    unsigned n = 0;
    while (n < max && chain_next(m, &at, &left, &piece)) {
        iov[n++] = (struct iovec){.iov_base = (void *)(uintptr_t)piece.ptr,
                                  .iov_len = piece.len};
    }
    if (n > 1 && PLANT(reordered_bytes)) {
        struct iovec first = iov[0];
        iov[0] = iov[1];
        iov[1] = first;
    }
    return n;
}

bool chain_next(const struct mem *m, uint32_t *at, uint32_t *left, struct bytes *piece)
{
    while (*left > 0) {
        const struct seg *s = seg_at(m, *at);
        *at = s->next;
        --*left;
        *piece = (struct bytes){s->ptr, s->len};
        if (s->len > 0) return true;
    }
    return false;
}

void chain_read(const struct mem *m, const struct chain *c, uint64_t from, char *out,
                size_t len)
{
    assert(from + len <= c->bytes);
    uint32_t at = c->first, left = c->count;
    struct bytes piece;
    while (len > 0 && chain_next(m, &at, &left, &piece)) {
        if (from >= piece.len) {
            from -= piece.len;
            continue;
        }
        bytes_cut(&piece, (size_t)from);
        from = 0;
        size_t n = piece.len < len ? piece.len : len;
        memcpy(out, piece.ptr, n);
        out += n;
        len -= n;
    }
    assert(len == 0);
}

char *gather_room(struct mem *m, struct gather *g, size_t want)
{
    if (want > MEM_BLOCK || g->len + want > MEM_BLOCK) return NULL;
    if (g->len + want > g->room || !g->room) {
        bool large = g->len + want > MEM_PAGE;
        struct gather to = {.len = g->len, .room = large ? MEM_BLOCK : MEM_PAGE};
        bool ok = large ? mem_bulk_take(m, &to.idx, &to.ptr)
                        : mem_page_take(m, &to.idx, &to.ptr);
        if (!ok) return NULL;
        if (g->len) memcpy(to.ptr, g->ptr, g->len);
        gather_drop(m, g);
        *g = to;
    }
    return g->ptr + g->len;
}

void gather_fill(struct gather *g, size_t n)
{
    assert(n <= g->room - g->len);
    g->len += (uint32_t)n;
    if (g->len > g->high) g->high = g->len;
}

bool gather_put(struct mem *m, struct gather *g, struct bytes b)
{
    if (b.len == 0) return true;
    char *room = gather_room(m, g, b.len);
    if (!room) return false;
    memcpy(room, b.ptr, b.len);
    gather_fill(g, b.len);
    return true;
}

void gather_eat(struct mem *m, struct gather *g, size_t n)
{
    assert(n <= g->len);
    if (n == g->len) {
        gather_drop(m, g);
        return;
    }
    memmove(g->ptr, g->ptr + n, g->len - n);
    g->len -= (uint32_t)n;
}

void gather_drop(struct mem *m, struct gather *g)
{
    if (g->room == MEM_PAGE) mem_page_give(m, g->idx, g->high);
    if (g->room == MEM_BLOCK) mem_block_give(m, g->idx, g->high);
    *g = (struct gather){0};
}

void hold_drop(struct mem *m, struct hold *hold)
{
    gather_drop(m, &hold->gather);
    if (hold->rx) mem_rx_give(m, hold->rx - 1);
    *hold = (struct hold){0};
}
