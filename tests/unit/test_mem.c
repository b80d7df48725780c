/* test_mem.c - receive buffers, pages, blocks, chains, the gather buffer and holds, on a ring
 * that only counts (the seam of ring.h). Pools are emptied to the last piece, everything given
 * back is wiped and whole again, and chains are driven at random against plain byte arrays,
 * memory running out all the while. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "engine/mem.h"
#include "engine/ring.h"

enum {
    RX_COUNT = 8, RX_BYTES = 4096,
    BLOCKS = 6, SEGS = 60,
    CHAINS = 3, MODEL_MAX = 1 << 20, STEPS = 10000,
};

struct ring {
    char front[RX_COUNT][RING_FRONT + RX_BYTES];   /* a buffer and what lies before it */
    bool given[RX_COUNT];      /* the kernel has it */
    uint32_t free;
};

char *ring_buf(const struct ring *r, uint32_t buf)
{
    assert_true(buf < RX_COUNT && !r->given[buf]);
    return (char *)(uintptr_t)r->front[buf] + RING_FRONT;
}

void ring_buf_give(struct ring *r, uint32_t buf)
{
    assert_true(buf < RX_COUNT && !r->given[buf]);
    r->given[buf] = true;
    r->free++;
}

uint32_t ring_buf_free(const struct ring *r) { return r->free; }

static struct ring ring;
static struct mem mem;

/* Memory of a receive buffer, whoever has it. */
static char *rx(uint32_t buf) { return ring.front[buf] + RING_FRONT; }

static void begin(bool wipe, uint32_t blocks, uint32_t segs)
{
    memset(&ring, 0, sizeof ring);
    memset(ring.given, true, sizeof ring.given);
    ring.free = RX_COUNT;
    assert_true(mem_init(&mem, &ring, RX_COUNT, RX_BYTES, (uint64_t)blocks * MEM_BLOCK, segs,
                         wipe));
}

static bool all_zero(const char *at, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (at[i]) return false;
    }
    return true;
}

/* Everything is back: counts, and where wiping is on every byte. */
static void end(void)
{
    assert_int_equal(mem.bytes_used, 0);
    assert_int_equal(mem.segs.used, 0);
    assert_int_equal(ring.free, RX_COUNT);
    if (mem.wipe) {
        assert_true(all_zero(mem.region, (size_t)mem.block_count * MEM_BLOCK));
        assert_true(all_zero(ring.front[0], sizeof ring.front));
    }
    for (uint32_t i = 0; i < mem.block_count; i++) {   /* split blocks are whole again */
        uint32_t idx;
        char *ptr;
        assert_true(mem_block_take(&mem, &idx, &ptr));
    }
    munmap(mem.region, (size_t)mem.block_count * MEM_BLOCK);
    munmap(mem.segs.items, mem.segs.item_bytes * mem.segs.count);
    free(mem.rx_refs);
    free(mem.rx_used);
    free(mem.rx_front);
    free(mem.block_next);
    free(mem.page_map);
    free(mem.split_prev);
    free(mem.split_next);
}

/* A receive buffer the kernel filled; ours once. RING_BUF_NONE: it has none. */
static uint32_t receive(const char *bytes, uint32_t len)
{
    for (uint32_t i = 0; i < RX_COUNT; i++) {
        if (!ring.given[i]) continue;
        ring.given[i] = false;
        ring.free--;
        memcpy(rx(i), bytes, len);
        mem_rx_take(&mem, i, len);
        return i;
    }
    return RING_BUF_NONE;
}

static char pattern[MODEL_MAX];     /* where test bytes come from */

static int fill_pattern(void **state)
{
    (void)state;
    uint32_t x = 1;
    for (size_t i = 0; i < sizeof pattern; i++) {
        x = x * 1664525 + 1013904223;
        pattern[i] = (char)(1 + (x >> 16) % 255);   /* never 0, which is what wiping leaves */
    }
    return 0;
}

/* --- pools --- */

static void test_blocks_to_the_last(void **state)
{
    (void)state;
    begin(true, BLOCKS, SEGS);
    uint32_t idx[BLOCKS + 1];
    char *ptr[BLOCKS + 1];
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < BLOCKS; i++) {
            assert_true(mem_block_take(&mem, &idx[i], &ptr[i]));
            assert_true(all_zero(ptr[i], MEM_BLOCK));
            memset(ptr[i], (int)i + 1, MEM_BLOCK);
        }
        assert_false(mem_block_take(&mem, &idx[BLOCKS], &ptr[BLOCKS]));
        assert_false(mem_page_take(&mem, &idx[BLOCKS], &ptr[BLOCKS]));
        assert_int_equal(mem.bytes_used, BLOCKS * MEM_BLOCK);
        for (uint32_t i = 0; i < BLOCKS; i++) {
            assert_int_equal(ptr[i][0], i + 1);          /* nobody else wrote into it */
            assert_int_equal(ptr[i][MEM_BLOCK - 1], i + 1);
            mem_block_give(&mem, idx[i], MEM_BLOCK);
        }
    }
    end();
}

static void test_pages_to_the_last(void **state)
{
    (void)state;
    enum { PAGES = BLOCKS * MEM_PAGES_IN_BLOCK };
    begin(true, BLOCKS, SEGS);
    uint32_t idx[PAGES + 1];
    char *ptr[PAGES + 1];
    for (uint32_t i = 0; i < PAGES; i++) {
        assert_true(mem_page_take(&mem, &idx[i], &ptr[i]));
        assert_int_equal((uintptr_t)ptr[i] % MEM_PAGE, 0);
        memset(ptr[i], 1 + (int)i, MEM_PAGE);
    }
    assert_false(mem_page_take(&mem, &idx[PAGES], &ptr[PAGES]));
    assert_false(mem_block_take(&mem, &idx[PAGES], &ptr[PAGES]));
    for (uint32_t i = 0; i < PAGES; i++) {
        assert_int_equal(ptr[i][0], (char)(1 + i));
        assert_int_equal(ptr[i][MEM_PAGE - 1], (char)(1 + i));
    }
    /* One page of each block comes back: no block is whole, yet pages can be had. */
    for (uint32_t b = 0; b < BLOCKS; b++) mem_page_give(&mem, idx[b * 16 + b], MEM_PAGE);
    assert_false(mem_block_take(&mem, &idx[PAGES], &ptr[PAGES]));
    for (uint32_t b = 0; b < BLOCKS; b++) {
        assert_true(mem_page_take(&mem, &idx[b * 16 + b], &ptr[b * 16 + b]));
    }
    assert_false(mem_page_take(&mem, &idx[PAGES], &ptr[PAGES]));
    for (uint32_t i = 0; i < PAGES; i++) mem_page_give(&mem, idx[(i * 7) % PAGES], MEM_PAGE);
    end();
}

/* The last sixteenth is for pages: bulk ends before it, pages get all of it. */
static void test_bulk_leaves_room_for_pages(void **state)
{
    (void)state;
    enum { MANY = 33, BULK = MANY - MANY / 16, REST = MANY / 16 * MEM_PAGES_IN_BLOCK };
    begin(false, MANY, SEGS);
    uint32_t block[MANY], page[REST], idx;
    char *ptr;
    for (uint32_t i = 0; i < BULK; i++) assert_true(mem_bulk_take(&mem, &block[i], &ptr));
    assert_false(mem_bulk_take(&mem, &idx, &ptr));
    for (uint32_t i = 0; i < REST; i++) assert_true(mem_page_take(&mem, &page[i], &ptr));
    assert_false(mem_page_take(&mem, &idx, &ptr));
    mem_block_give(&mem, block[0], 0);
    assert_false(mem_bulk_take(&mem, &idx, &ptr));      /* pages hold what is reserved */
    for (uint32_t i = 0; i < REST; i++) mem_page_give(&mem, page[i], 0);
    assert_true(mem_bulk_take(&mem, &block[0], &ptr));
    assert_false(mem_bulk_take(&mem, &idx, &ptr));
    for (uint32_t i = 0; i < BULK; i++) mem_block_give(&mem, block[i], 0);
    end();
}

static uint32_t resident_pages(void)
{
    static unsigned char in[128 * MEM_PAGES_IN_BLOCK];
    uint32_t pages = mem.block_count * MEM_PAGES_IN_BLOCK, n = 0;
    assert_true(pages <= sizeof in);
    assert_int_equal(mincore(mem.region, (size_t)pages * MEM_PAGE, in), 0);
    for (uint32_t i = 0; i < pages; i++) n += in[i] & 1;
    return n;
}

/* What was not needed between two calls goes back to the machine, all but a little; what was
 * needed in between stays. */
static void test_trimmed_when_idle(void **state)
{
    (void)state;
    enum { MANY = 128, KEPT = 16 };
    begin(false, MANY, SEGS);
    uint32_t block[MANY];
    char *ptr[MANY];
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < MANY; i++) {
            assert_true(mem_block_take(&mem, &block[i], &ptr[i]));
            if (round) assert_true(ptr[i][0] == 0 || ptr[i][0] == 'x');
            memset(ptr[i], 'x', MEM_BLOCK);
        }
        for (uint32_t i = 0; i < MANY; i++) mem_block_give(&mem, block[i], MEM_BLOCK);
        mem_trim(&mem);                    /* all were in use since the last call */
        assert_int_equal(resident_pages(), MANY * MEM_PAGES_IN_BLOCK);
        for (int i = 0; i < 10; i++) {     /* used in between: stays */
            for (uint32_t k = 0; k < MANY; k++) {
                assert_true(mem_block_take(&mem, &block[k], &ptr[k]));
            }
            for (uint32_t k = 0; k < MANY; k++) mem_block_give(&mem, block[k], 0);
            mem_trim(&mem);
        }
        assert_int_equal(resident_pages(), MANY * MEM_PAGES_IN_BLOCK);
        mem_trim(&mem);
        uint32_t once = resident_pages();
        assert_true(once < MANY * MEM_PAGES_IN_BLOCK && once > KEPT * MEM_PAGES_IN_BLOCK);
        for (int i = 0; i < 10; i++) mem_trim(&mem);
        assert_int_equal(resident_pages(), KEPT * MEM_PAGES_IN_BLOCK);
    }
    end();
}

/* A block whose last page returns is whole at once, whatever the others hold. */
static void test_split_blocks_merge(void **state)
{
    (void)state;
    begin(true, 4, SEGS);
    uint32_t page[2 * MEM_PAGES_IN_BLOCK], block[3], extra;
    char *ptr;
    for (int i = 0; i < 2 * MEM_PAGES_IN_BLOCK; i++) {
        assert_true(mem_page_take(&mem, &page[i], &ptr));
    }
    assert_int_equal(mem.bytes_used, 2 * MEM_BLOCK);
    assert_true(mem_block_take(&mem, &block[0], &ptr));
    assert_true(mem_block_take(&mem, &block[1], &ptr));
    assert_false(mem_block_take(&mem, &extra, &ptr));
    for (int i = 0; i < MEM_PAGES_IN_BLOCK - 1; i++) mem_page_give(&mem, page[i], 0);
    assert_false(mem_block_take(&mem, &extra, &ptr));
    mem_page_give(&mem, page[MEM_PAGES_IN_BLOCK - 1], 0);
    assert_true(mem_block_take(&mem, &block[2], &ptr));
    for (int i = MEM_PAGES_IN_BLOCK; i < 2 * MEM_PAGES_IN_BLOCK; i++) {
        mem_page_give(&mem, page[i], 0);
    }
    for (int i = 0; i < 3; i++) mem_block_give(&mem, block[i], 0);
    end();
}

static void test_wiped_as_asked(void **state)
{
    (void)state;
    for (int wipe = 0; wipe <= 1; wipe++) {
        begin(wipe, BLOCKS, SEGS);
        uint32_t block, page, buf = receive(pattern, 100);
        char *at_block, *at_page;
        assert_true(mem_block_take(&mem, &block, &at_block));
        assert_true(mem_page_take(&mem, &page, &at_page));
        memset(at_block, 'b', 500);
        memset(at_page, 'p', 300);
        mem_block_give(&mem, block, 500);
        mem_page_give(&mem, page, 300);
        mem_rx_give(&mem, buf);
        assert_int_equal(all_zero(at_block, 500), wipe);
        assert_int_equal(all_zero(at_page, 300), wipe);
        assert_int_equal(all_zero(rx(buf), 100), wipe);
        end();
    }
}

static void test_receive_buffers_are_counted(void **state)
{
    (void)state;
    begin(true, BLOCKS, SEGS);
    uint32_t buf = receive(pattern, RX_BYTES);
    assert_false(ring.given[buf]);
    mem_rx_share(&mem, buf);
    mem_rx_share(&mem, buf);
    mem_rx_give(&mem, buf);
    mem_rx_give(&mem, buf);
    assert_false(ring.given[buf]);
    assert_memory_equal(rx(buf), pattern, RX_BYTES);   /* not wiped before the last */
    mem_rx_give(&mem, buf);
    assert_true(ring.given[buf]);
    uint32_t all[RX_COUNT];
    for (uint32_t i = 0; i < RX_COUNT; i++) {
        assert_int_equal(mem_rx_scarce(&mem), i > RX_COUNT / 2);
        all[i] = receive(pattern, 1);
    }
    assert_true(mem_rx_scarce(&mem));
    for (uint32_t i = 0; i < RX_COUNT; i++) mem_rx_give(&mem, all[i]);
    end();
    assert_true(mem_init(&mem, NULL, 0, 0, 4 * MEM_BLOCK, 4, true));
    assert_true(mem_rx_scarce(&mem));                         /* no ring: always copied */
    memset(&ring, 0, sizeof ring);
    ring.free = RX_COUNT;
    end();
}

/* --- gather --- */

static void test_gather_grows_to_a_block(void **state)
{
    (void)state;
    begin(true, BLOCKS, SEGS);
    struct gather g = {0};
    assert_true(gather_put(&mem, &g, (struct bytes){0}));
    assert_int_equal(g.room, 0);
    assert_true(gather_put(&mem, &g, (struct bytes){pattern, MEM_PAGE}));
    assert_int_equal(g.room, MEM_PAGE);
    assert_true(gather_put(&mem, &g, (struct bytes){pattern + MEM_PAGE, 1}));
    assert_int_equal(g.room, MEM_BLOCK);
    assert_true(gather_put(&mem, &g, (struct bytes){pattern + MEM_PAGE + 1,
                                                    MEM_BLOCK - MEM_PAGE - 1}));
    assert_false(gather_put(&mem, &g, BYTES("x")));           /* max + 1 */
    assert_int_equal(gather_bytes(&g).len, MEM_BLOCK);
    assert_memory_equal(gather_bytes(&g).ptr, pattern, MEM_BLOCK);
    gather_eat(&mem, &g, 60000);
    assert_int_equal(g.len, MEM_BLOCK - 60000);
    assert_memory_equal(g.ptr, pattern + 60000, g.len);
    gather_eat(&mem, &g, g.len);
    assert_int_equal(g.room, 0);
    assert_false(gather_put(&mem, &g, (struct bytes){pattern, MEM_BLOCK + 1}));
    assert_false(gather_put(&mem, &g, (struct bytes){pattern, SIZE_MAX}));
    end();
}

static void test_gather_without_memory_keeps_what_it_has(void **state)
{
    (void)state;
    begin(true, 4, SEGS);
    uint32_t block[4];
    char *ptr;
    struct gather g = {0};
    assert_true(gather_put(&mem, &g, (struct bytes){pattern, 4000}));
    for (int i = 0; i < 3; i++) assert_true(mem_block_take(&mem, &block[i], &ptr));
    assert_false(gather_put(&mem, &g, (struct bytes){pattern + 4000, 200}));
    assert_int_equal(g.len, 4000);
    assert_memory_equal(g.ptr, pattern, 4000);
    assert_true(gather_put(&mem, &g, (struct bytes){pattern + 4000, 96}));
    assert_memory_equal(g.ptr, pattern, 4096);
    for (int i = 0; i < 3; i++) mem_block_give(&mem, block[i], 0);
    gather_drop(&mem, &g);
    gather_drop(&mem, &g);        /* again: nothing */
    end();
}

static void test_hold(void **state)
{
    (void)state;
    begin(true, BLOCKS, SEGS);
    struct hold h = {0};
    hold_drop(&mem, &h);
    uint32_t buf = receive(pattern, 10);
    h.rx = buf + 1;
    assert_true(gather_put(&mem, &h.gather, (struct bytes){pattern, 10}));
    hold_drop(&mem, &h);
    assert_true(ring.given[buf]);
    hold_drop(&mem, &h);
    end();
}

/* --- chains: directed --- */

static void check_content(const struct chain *c, const char *want, size_t len)
{
    static char got[MODEL_MAX];
    assert_int_equal(c->bytes, len);
    chain_read(&mem, c, 0, got, len);
    assert_memory_equal(got, want, len);
}

static void test_large_received_pieces_are_not_copied(void **state)
{
    (void)state;
    begin(true, BLOCKS, SEGS);
    struct chain c = {0};
    struct bytes piece;
    static const struct { uint32_t len; bool copied; } cases[] = {
        {MEM_COPY_MAX - 1, true}, {MEM_COPY_MAX, false}, {RX_BYTES, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint32_t buf = receive(pattern, cases[i].len);
        assert_true(chain_add(&mem, &c, (struct bytes){rx(buf), cases[i].len}, buf,
                              false));
        mem_rx_give(&mem, buf);
        assert_int_equal(ring.given[buf], cases[i].copied);
        uint32_t at = c.first, left = c.count;
        assert_true(chain_next(&mem, &at, &left, &piece));
        assert_int_equal(piece.ptr == rx(buf), !cases[i].copied);
        check_content(&c, pattern, cases[i].len);
        chain_drop(&mem, &c);
        assert_true(ring.given[buf]);
    }
    uint32_t all[RX_COUNT];
    for (uint32_t i = 0; i < RX_COUNT; i++) all[i] = receive(pattern, RX_BYTES);
    assert_true(chain_add(&mem, &c, (struct bytes){rx(3), RX_BYTES}, 3, false));
    for (uint32_t i = 0; i < RX_COUNT; i++) mem_rx_give(&mem, all[i]);
    assert_int_equal(ring.free, RX_COUNT);     /* scarce: copied, nothing is held back */
    check_content(&c, pattern, RX_BYTES);
    chain_drop(&mem, &c);
    end();
}

/* What was received is copied, pieces that are our own already with it; or all stays. */
static void test_a_chain_of_its_own(void **state)
{
    (void)state;
    begin(true, BLOCKS, SEGS);
    struct chain c = {0};
    assert_true(chain_own(&mem, &c));
    assert_true(chain_copy(&mem, &c, (struct bytes){pattern, 100}));
    uint32_t page = c.first;
    assert_true(chain_own(&mem, &c));
    assert_int_equal(c.first, page);           /* nothing to do */
    for (unsigned i = 0; i < 2; i++) {
        uint32_t buf = receive(pattern + 100 + i * RX_BYTES, RX_BYTES);
        assert_true(chain_add(&mem, &c, (struct bytes){rx(buf), RX_BYTES}, buf, true));
        mem_rx_give(&mem, buf);
    }
    assert_int_equal(ring.free, RX_COUNT - 2);
    uint32_t taken[BLOCKS], count = 0;
    char *ptr;
    while (mem_block_take(&mem, &taken[count], &ptr)) count++;
    if (!chain_own(&mem, &c)) assert_int_equal(ring.free, RX_COUNT - 2);
    check_content(&c, pattern, 100 + 2 * RX_BYTES);
    while (count > 0) mem_block_give(&mem, taken[--count], 0);
    assert_true(chain_own(&mem, &c));
    assert_int_equal(ring.free, RX_COUNT);
    check_content(&c, pattern, 100 + 2 * RX_BYTES);
    chain_drop(&mem, &c);
    end();
}

static void test_no_segment_is_an_answer(void **state)
{
    (void)state;
    begin(true, BLOCKS, 2);
    struct chain c = {0};
    assert_true(chain_borrow(&mem, &c, (struct bytes){pattern, 5}));
    assert_true(chain_borrow(&mem, &c, (struct bytes){pattern + 5, 5}));
    assert_false(chain_borrow(&mem, &c, (struct bytes){pattern, 5}));
    assert_false(chain_copy(&mem, &c, (struct bytes){pattern, 5}));
    assert_false(chain_copy(&mem, &c, (struct bytes){pattern, 20000}));
    uint32_t buf = receive(pattern, RX_BYTES);
    assert_false(chain_add(&mem, &c, (struct bytes){rx(buf), RX_BYTES}, buf, false));
    mem_rx_give(&mem, buf);
    assert_true(ring.given[buf]);
    assert_int_equal(mem.bytes_used, 0);
    check_content(&c, pattern, 10);
    chain_drop(&mem, &c);
    end();
}

/* A size line without its chunk would be framing that lies. */
static void test_pieces_are_copied_all_or_none(void **state)
{
    (void)state;
    for (uint32_t segs = 1; segs <= 4; segs++) {
        begin(true, BLOCKS, segs);
        struct chain c = {0};
        const struct bytes pieces[] = {{pattern + 10, 6}, {pattern + 16, 2 * MEM_PAGE},
                                       {pattern + 16 + 2 * MEM_PAGE, 2}};
        bool fits = segs >= 2;                 /* a page, and a block for the rest */
        assert_true(chain_copy(&mem, &c, (struct bytes){pattern, 10}));
        assert_int_equal(chain_copy_all(&mem, &c, pieces, 3), fits);
        check_content(&c, pattern, fits ? 18 + 2 * MEM_PAGE : 10);
        assert_int_equal(mem.segs.used, fits ? 2 : 1);
        chain_drop(&mem, &c);
        end();
    }
}

static void test_iov_in_pieces(void **state)
{
    (void)state;
    begin(true, BLOCKS, SEGS);
    struct chain c = {0};
    struct iovec iov[4];
    assert_int_equal(chain_iov(&mem, &c, iov, 4), 0);
    for (size_t i = 0; i < 6; i++) {
        assert_true(chain_borrow(&mem, &c, (struct bytes){pattern + i * 10, 10}));
    }
    assert_int_equal(chain_iov(&mem, &c, iov, 4), 4);
    for (size_t i = 0; i < 4; i++) {
        assert_ptr_equal(iov[i].iov_base, pattern + i * 10);
        assert_int_equal(iov[i].iov_len, 10);
    }
    chain_eat(&mem, &c, 25);
    assert_int_equal(c.count, 4);
    assert_int_equal(chain_iov(&mem, &c, iov, 4), 4);
    assert_ptr_equal(iov[0].iov_base, pattern + 25);
    assert_int_equal(iov[0].iov_len, 5);
    chain_drop(&mem, &c);
    end();
}

/* --- chains: random, against byte arrays --- */

struct model {
    struct chain c;
    size_t len;
    char bytes[MODEL_MAX];
};

static struct model models[CHAINS];
static uint32_t seed;
static uint32_t refusals;

static uint32_t dice(uint32_t sides)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % sides;
}

static struct bytes some_bytes(uint32_t max)
{
    uint32_t len = dice(max + 1);
    return (struct bytes){pattern + dice((uint32_t)(sizeof pattern - len)), len};
}

static void grow_model(struct model *m, const char *bytes, size_t len)
{
    assert_true(m->len + len <= MODEL_MAX);
    memcpy(m->bytes + m->len, bytes, len);
    m->len += len;
}

/* Out of memory: what was there stands; of the new bytes a first part may have gone in. */
static void refused(struct model *m, struct bytes b)
{
    assert_true(m->c.bytes >= m->len && m->c.bytes - m->len <= b.len);
    grow_model(m, b.ptr, m->c.bytes - m->len);
    refusals++;
}

static void step_append(struct model *m)
{
    struct bytes b = some_bytes(dice(8) ? 3000 : 100000);
    if (chain_copy(&mem, &m->c, b)) grow_model(m, b.ptr, b.len);
    else refused(m, b);
}

static void step_receive(struct model *m)
{
    struct bytes b = some_bytes(RX_BYTES);
    uint32_t buf = receive(b.ptr, (uint32_t)b.len);
    if (buf == RING_BUF_NONE) return;
    struct bytes in = {rx(buf), b.len};
    if (dice(4) == 0) bytes_cut(&in, b.len / 2);   /* what follows a head in its buffer */
    b.ptr += b.len - in.len;
    b.len = in.len;
    bool share = dice(2) == 0;
    bool added = chain_add(&mem, &m->c, in, dice(5) ? buf : RING_BUF_NONE, share);
    if (added) grow_model(m, b.ptr, b.len);
    else refused(m, b);
    mem_rx_give(&mem, buf);
}

static void step_refer(struct model *m)
{
    struct bytes b = some_bytes(5000);
    if (chain_borrow(&mem, &m->c, b)) grow_model(m, b.ptr, b.len);
    else refused(m, (struct bytes){b.ptr, 0});
}

static void step_move(struct model *m, struct model *from)
{
    if (m == from) return;
    chain_move(&mem, &m->c, &from->c);
    assert_int_equal(from->c.bytes, 0);
    assert_int_equal(from->c.count, 0);
    grow_model(m, from->bytes, from->len);
    from->len = 0;
}

/* A view borrows: it is looked at and dropped while what it shows still is there. */
static void step_view(const struct model *m)
{
    static struct model view;
    uint32_t from = dice((uint32_t)m->len + 1);
    uint32_t to = from + dice((uint32_t)m->len - from + 1);
    view.len = 0;
    struct bytes head = some_bytes(100);
    if (chain_copy(&mem, &view.c, head)) grow_model(&view, head.ptr, head.len);
    else refused(&view, head);
    struct bytes part = {m->bytes + from, to - from};
    if (chain_view(&mem, &view.c, &m->c, from, to)) grow_model(&view, part.ptr, part.len);
    else refused(&view, part);
    check_content(&view.c, view.bytes, view.len);
    chain_drop(&mem, &view.c);
}

static void step_eat(struct model *m)
{
    uint32_t n = dice((uint32_t)m->len + 1);
    if (dice(3)) n = n % 2000;
    chain_eat(&mem, &m->c, n);
    memmove(m->bytes, m->bytes + n, m->len - n);
    m->len -= n;
}

static void look(const struct model *m)
{
    static char got[MODEL_MAX];
    struct iovec iov[RING_IOV_MAX];
    assert_int_equal(m->c.bytes, m->len);
    uint32_t from = dice((uint32_t)m->len + 1);
    uint32_t len = dice((uint32_t)m->len - from + 1);
    chain_read(&mem, &m->c, from, got, len);
    assert_memory_equal(got, m->bytes + from, len);
    size_t at = 0;
    unsigned n = chain_iov(&mem, &m->c, iov, RING_IOV_MAX);
    for (unsigned i = 0; i < n; i++) {
        assert_true(iov[i].iov_len > 0 && at + iov[i].iov_len <= m->len);
        assert_memory_equal(iov[i].iov_base, m->bytes + at, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    if (n < RING_IOV_MAX) assert_int_equal(at, m->len);
}

static void random_run(uint32_t from_seed, bool wipe)
{
    begin(wipe, BLOCKS, SEGS);
    seed = from_seed;
    refusals = 0;
    memset(models, 0, sizeof models);
    for (int step = 0; step < STEPS; step++) {
        struct model *m = &models[dice(CHAINS)], *other = &models[dice(CHAINS)];
        bool full = models[0].len + models[1].len + models[2].len > MODEL_MAX - 200000;
        switch (full ? 7 + dice(2) : dice(12)) {
        case 0: case 1: case 2: step_append(m); break;
        case 3: case 4: step_receive(m); break;
        case 5: step_refer(m); break;
        case 6: step_move(m, other); break;
        case 7: case 8: case 9: step_eat(m); break;
        case 10: step_view(m); break;
        default:
            if (dice(8) == 0) {
                chain_drop(&mem, &m->c);
                m->len = 0;
            }
        }
        for (int i = 0; i < CHAINS; i++) look(&models[i]);
    }
    assert_true(refusals > STEPS / 100);        /* memory did run out */
    for (int i = 0; i < CHAINS; i++) chain_drop(&mem, &models[i].c);
    end();
}

/* A message that lies whole in one buffer gets another beginning where it lies; without the
 * room, or with somebody else's bytes in the buffer, it does not. */
static void test_a_new_front(void **state)
{
    (void)state;
    static char head[RING_FRONT + 301];
    memset(head, 'h', sizeof head);
    static const struct { size_t from, drop, put; bool shared, done; } cases[] = {
        {300, 0, 1, false, true}, {300, 20, 500, false, true},
        {300, 0, RING_FRONT + 300, false, true}, {300, 1, RING_FRONT + 301, false, true},
        {300, 0, RING_FRONT + 301, false, false}, {0, 0, RING_FRONT, false, true},
        {0, 0, RING_FRONT + 1, false, false}, {300, 100, 50, true, false},
        {300, 100, 0, false, true},
    };
    begin(true, 4, 16);
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint32_t buf = receive(pattern, 1000);
        struct chain body = {0}, out = {0};
        const char *at = ring_buf(&ring, buf) + cases[i].from;
        assert_true(chain_add(&mem, &body, (struct bytes){at, 100}, buf, true));
        if (cases[i].shared) mem_rx_share(&mem, buf);
        struct bytes put = {head, cases[i].put};
        assert_int_equal(chain_front(&mem, &out, &body, cases[i].drop, put), cases[i].done);
        if (cases[i].done) {
            char text[sizeof head + 100];
            size_t rest = 100 - cases[i].drop;
            assert_int_equal(out.bytes, put.len + rest);
            assert_int_equal(out.count, 1);
            chain_read(&mem, &out, 0, text, put.len + rest);
            assert_memory_equal(text, head, put.len);
            const char *behind = pattern + cases[i].from + cases[i].drop;
            assert_memory_equal(text + put.len, behind, rest);
            struct bytes was = {pattern + cases[i].from, cases[i].drop};
            chain_front_undo(&mem, &body, was);
        }
        char text[100];
        chain_read(&mem, &body, 0, text, 100);
        assert_memory_equal(text, pattern + cases[i].from, 100);
        if (cases[i].shared) mem_rx_give(&mem, buf);
        mem_rx_give(&mem, buf);
        chain_drop(&mem, &body);
        chain_drop(&mem, &out);
    }
    struct chain copied = {0}, out = {0};
    assert_true(chain_copy(&mem, &copied, (struct bytes){pattern, 100}));
    assert_false(chain_front(&mem, &out, &copied, 0, (struct bytes){head, 10}));
    chain_drop(&mem, &copied);
    end();
}

static void test_random_chains(void **state)
{
    (void)state;
    random_run(1, true);
    random_run(20261121, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_to_the_last),
        cmocka_unit_test(test_pages_to_the_last),
        cmocka_unit_test(test_bulk_leaves_room_for_pages),
        cmocka_unit_test(test_trimmed_when_idle),
        cmocka_unit_test(test_split_blocks_merge),
        cmocka_unit_test(test_wiped_as_asked),
        cmocka_unit_test(test_receive_buffers_are_counted),
        cmocka_unit_test(test_gather_grows_to_a_block),
        cmocka_unit_test(test_gather_without_memory_keeps_what_it_has),
        cmocka_unit_test(test_hold),
        cmocka_unit_test(test_large_received_pieces_are_not_copied),
        cmocka_unit_test(test_a_chain_of_its_own),
        cmocka_unit_test(test_no_segment_is_an_answer),
        cmocka_unit_test(test_pieces_are_copied_all_or_none),
        cmocka_unit_test(test_iov_in_pieces),
        cmocka_unit_test(test_a_new_front),
        cmocka_unit_test(test_random_chains),
    };
    return cmocka_run_group_tests(tests, fill_pattern, NULL);
}
