/* mem.h - the memory in which bytes of requests and answers live on one core: provided receive
 * buffers (counted), pages of 4 KiB and blocks of 64 KiB from one region reserved at start,
 * and chains of segments over them. Nothing here is in a core dump; what was used is wiped on
 * release where zero_retention is on. Running out is an answer, never a crash. */
#ifndef ENGINE_MEM_H
#define ENGINE_MEM_H

#include "engine/slab.h"

#include <sys/uio.h>

struct ring;

enum {
    MEM_PAGE = 4096,
    MEM_BLOCK = 65536,
    MEM_PAGES_IN_BLOCK = MEM_BLOCK / MEM_PAGE,
    MEM_COPY_MAX = 2048,       /* pieces below are copied together rather than referenced */
};

enum seg_kind {
    SEG_BORROW,                /* somebody else's memory, not released */
    SEG_RX,                    /* receive buffer `owner`, counted */
    SEG_PAGE,                  /* page `owner`, owned */
    SEG_BLOCK,                 /* block `owner`, owned */
};

struct seg {
    struct slab_head head;
    const char *ptr;           /* first byte not yet consumed */
    char *base;                /* start of the owned memory; NULL for SEG_BORROW and SEG_RX */
    uint32_t len;              /* bytes at ptr */
    uint32_t owner;            /* buffer, page or block index */
    uint32_t next;             /* slot of the next segment, or SLAB_NONE */
    uint8_t kind;              /* enum seg_kind */
};

struct chain {                 /* all zero is empty, but use CHAIN_EMPTY */
    uint32_t first, last;      /* slots of segments; meaningless when count is 0 */
    uint32_t count;            /* segments */
    uint64_t bytes;
};

struct mem {
    struct ring *ring;
    uint16_t *rx_refs;         /* per receive buffer */
    uint32_t *rx_used;         /* per receive buffer: bytes to wipe */
    uint16_t *rx_front;        /* the same in front of it (RING_FRONT) */
    uint32_t rx_count, rx_bytes;
    char *region;              /* mapped: blocks */
    uint32_t block_count;
    uint32_t blocks_touched;
    uint32_t *block_next;      /* free list of blocks, by index */
    uint32_t block_free;
    uint32_t block_dry;        /* free list of those whose memory the machine has back */
    uint32_t free_count;       /* blocks on block_free ... */
    uint32_t free_low;         /* ... and the fewest there were since mem_trim() */
    uint16_t *page_map;        /* per block: bit per page in use; only while split */
    uint32_t *split_prev, *split_next;   /* list of split blocks with a free page */
    uint32_t split_first;
    uint64_t bytes_used;       /* of the region */
    struct slab segs;
    bool wipe;
};

/* Reserve region_bytes for blocks and seg_count segments; ring's buffers are served too (ring
 * NULL: none). Boot only. False when the machine refuses. */
MUST_USE bool mem_init(struct mem *m, struct ring *ring, uint32_t rx_count, uint32_t rx_bytes,
                       uint64_t region_bytes, uint32_t seg_count, bool wipe);

/* Count one reference to a receive buffer just received; used: bytes the kernel wrote. */
void mem_rx_take(struct mem *m, uint32_t buf, uint32_t used);
/* One more reference. */
void mem_rx_share(struct mem *m, uint32_t buf);
/* Give one reference up; the last one wipes the buffer and hands it to the kernel. */
void mem_rx_give(struct mem *m, uint32_t buf);
/* True while receive buffers are so scarce that held bytes are to be copied out of them. */
bool mem_rx_scarce(const struct mem *m);

/* True while more than half of the region is in use: who is not known yet gets no more. */
bool mem_is_tight(const struct mem *m);
/* Take a page or block: its index and memory; false when the region is full. */
MUST_USE bool mem_page_take(struct mem *m, uint32_t *idx, char **ptr);
/* Give a page back; used bytes from its start are wiped. */
void mem_page_give(struct mem *m, uint32_t idx, size_t used);
/* Take a block of 64 KiB. */
MUST_USE bool mem_block_take(struct mem *m, uint32_t *idx, char **ptr);
/* The same for what is large: the last sixteenth of the region is kept for pages, so that who
 * sends much, or reads nothing, does not stand in the way of small requests. */
MUST_USE bool mem_bulk_take(struct mem *m, uint32_t *idx, char **ptr);
/* Now and then: what was not needed since the last call goes back to the machine, a little at a
 * time, so that the process is small again after a storm. */
void mem_trim(struct mem *m);
/* Give a block back. */
void mem_block_give(struct mem *m, uint32_t idx, size_t used);

/* The chain functions: c is the caller's; false means out of memory and c keeps what it had.
 * Append a copy of b (into the last page's room, then new pages, or blocks for large). */
MUST_USE bool chain_copy(struct mem *m, struct chain *c, struct bytes b);
/* Append copies of all pieces, or of none: what is not to be cut, such as a framed chunk. */
MUST_USE bool chain_copy_all(struct mem *m, struct chain *c, const struct bytes *pieces,
                             size_t count);
/* Append b, which lies in receive buffer buf (RING_BUF_NONE: transient memory): small pieces
 * (unless share says that no others follow), and all while buffers are scarce or buf is none,
 * are copied; else a reference is counted. */
MUST_USE bool chain_add(struct mem *m, struct chain *c, struct bytes b, uint32_t buf,
                        bool share);
/* Contiguous room for want (<= MEM_BLOCK) bytes behind the last segment, where the caller puts
 * up to want bytes and says how many with chain_fill before anything else. NULL: no memory. */
char *chain_room(struct mem *m, struct chain *c, size_t want);
/* n bytes were put into the room. */
void chain_fill(struct mem *m, struct chain *c, size_t n);
/* Append memory that outlives the chain. borrows. */
MUST_USE bool chain_borrow(struct mem *m, struct chain *c, struct bytes b);
/* Append all of src, which becomes empty. */
void chain_move(struct mem *m, struct chain *c, struct chain *src);
/* Append bytes [from, to) of src's content to c: large pieces are borrowed (src must outlive
 * c), small ones copied. */
MUST_USE bool chain_view(struct mem *m, struct chain *c, const struct chain *src, uint64_t from,
                         uint64_t to);
/* Append the content of src to c with its first drop bytes replaced by put, all where src lies:
 * for a message that came whole in one receive buffer, with room in front of it, so that one
 * piece of memory is sent and nothing is copied but put. src's first drop bytes, and whatever
 * lies before them in the buffer, are overwritten. False, and nothing is changed: src is not
 * such a message, somebody else holds a part of its buffer, or the room is too small. */
MUST_USE bool chain_front(struct mem *m, struct chain *c, const struct chain *src,
                          uint64_t drop, struct bytes put);
/* Copy what of c lies in receive buffers, for which others wait, to memory of its own. False:
 * no memory, and c is as it was. */
MUST_USE bool chain_own(struct mem *m, struct chain *c);
/* Put back what chain_front overwrote of src's own bytes. */
void chain_front_undo(struct mem *m, const struct chain *src, struct bytes was);
/* Consume n bytes from the front; segments used up are released. */
void chain_eat(struct mem *m, struct chain *c, uint64_t n);
/* Release everything. */
void chain_drop(struct mem *m, struct chain *c);
/* Fill iov with the first pieces (up to max); gives how many. */
unsigned chain_iov(const struct mem *m, const struct chain *c, struct iovec *iov, unsigned max);
/* Walk the pieces: *at starts as c->first with *left = c->count; false at the end. */
bool chain_next(const struct mem *m, uint32_t *at, uint32_t *left, struct bytes *piece);
/* Copy bytes [from, from + len) of the content to out. They exist (asserted). */
void chain_read(const struct mem *m, const struct chain *c, uint64_t from, char *out,
                size_t len);

/* A growing contiguous buffer: a page, then a block. All zero is empty. */
struct gather {
    char *ptr;
    uint32_t len, room, idx;
    uint32_t high;             /* the most it ever held: what is wiped */
};
/* Append b. False: no memory, or more than 64 KiB (then g->len + b.len tells which). */
MUST_USE bool gather_put(struct mem *m, struct gather *g, struct bytes b);
/* Contiguous room for want bytes behind the content; gather_fill says how many were put there.
 * NULL: no memory, or more than 64 KiB. */
char *gather_room(struct mem *m, struct gather *g, size_t want);
/* n bytes were put into the room. */
void gather_fill(struct gather *g, size_t n);
/* Drop the first n bytes; the rest moves to the front. */
void gather_eat(struct mem *m, struct gather *g, size_t n);
/* Release. */
void gather_drop(struct mem *m, struct gather *g);
struct hold {                  /* keeps a message head's bytes alive */
    struct gather gather;
    uint32_t rx;               /* receive buffer + 1; 0 none */
};
/* Release what holds a head. */
void hold_drop(struct mem *m, struct hold *hold);
/* The content. borrows until the next call. */
static inline struct bytes gather_bytes(const struct gather *g)
{
    return (struct bytes){g->ptr, g->len};
}

#endif
