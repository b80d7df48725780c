/* mem.c - receive-buffer counts, pages and blocks; see mem.h. The chains over them are in
 * chain.c. A block is whole, or split into 16 pages with a bit map; split blocks that still
 * have a free page are on a list, and a block whose last page returns is whole again. */
#include "engine/mem.h"
#include "engine/ring.h"
#include "store/maybe.h"

#include <stdlib.h>
#include <sys/mman.h>

enum {
    NO_BLOCK = 0x7fffffff, ALL_PAGES = 0xffff, RESERVED_SHARE = 16,
    TRIM_KEEP = 16,            /* free blocks that stay: 1 MiB, for the next burst */
    TRIM_MAX = 32,             /* blocks trimmed in one call: some 100 us */
};

static bool init_region(struct mem *m, uint64_t region_bytes)
{
    m->block_count = (uint32_t)(region_bytes / MEM_BLOCK);
    if (m->block_count < 4) m->block_count = 4;
    size_t bytes = (size_t)m->block_count * MEM_BLOCK;
    void *region = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (region == MAP_FAILED) return false;
    (void)madvise(region, bytes, MADV_DONTDUMP);
    m->region = region;
    m->block_next = calloc(m->block_count, sizeof *m->block_next);
    m->page_map = calloc(m->block_count, sizeof *m->page_map);
    m->split_prev = calloc(m->block_count, sizeof *m->split_prev);
    m->split_next = calloc(m->block_count, sizeof *m->split_next);
    m->block_free = m->block_dry = m->split_first = NO_BLOCK;
    return m->block_next && m->page_map && m->split_prev && m->split_next;
}

bool mem_init(struct mem *m, struct ring *ring, uint32_t rx_count, uint32_t rx_bytes,
              uint64_t region_bytes, uint32_t seg_count, bool wipe)
{
    *m = (struct mem){.ring = ring, .rx_count = rx_count, .rx_bytes = rx_bytes, .wipe = wipe};
    if (rx_count > 0) {
        m->rx_refs = calloc(rx_count, sizeof *m->rx_refs);
        m->rx_used = calloc(rx_count, sizeof *m->rx_used);
        m->rx_front = calloc(rx_count, sizeof *m->rx_front);
        if (!m->rx_refs || !m->rx_used || !m->rx_front) return false;
    }
    return init_region(m, region_bytes) && slab_init(&m->segs, sizeof(struct seg), seg_count);
}

void mem_rx_take(struct mem *m, uint32_t buf, uint32_t used)
{
    assert(buf < m->rx_count && m->rx_refs[buf] == 0);
    assert(used <= m->rx_bytes);
    m->rx_refs[buf] = 1;
    m->rx_used[buf] = used;
}

void mem_rx_share(struct mem *m, uint32_t buf)
{
    assert(buf < m->rx_count && m->rx_refs[buf] > 0 && m->rx_refs[buf] < UINT16_MAX);
    m->rx_refs[buf]++;
}

void mem_rx_give(struct mem *m, uint32_t buf)
{
    assert(buf < m->rx_count && m->rx_refs[buf] > 0);
    if (--m->rx_refs[buf] > 0) return;
    size_t front = m->rx_front[buf];
    if (m->wipe) memset(ring_buf(m->ring, buf) - front, 0, front + m->rx_used[buf]);
    m->rx_front[buf] = 0;
    ring_buf_give(m->ring, buf);
}

bool mem_rx_scarce(const struct mem *m)
{
    return !m->ring || ring_buf_free(m->ring) < m->rx_count / 2;
}

bool mem_is_tight(const struct mem *m)
{
    return m->bytes_used > (uint64_t)m->block_count * MEM_BLOCK / 2;
}

bool mem_block_take(struct mem *m, uint32_t *idx, char **ptr)
{
    if (MAYBE(no_block)) return false;
    if (m->block_free != NO_BLOCK) {
        *idx = m->block_free;
        m->block_free = m->block_next[*idx];
        assert(m->free_count > 0);
        if (--m->free_count < m->free_low) m->free_low = m->free_count;
    } else if (m->block_dry != NO_BLOCK) {
        *idx = m->block_dry;
        m->block_dry = m->block_next[*idx];
    } else if (m->blocks_touched < m->block_count) {
        *idx = m->blocks_touched++;
    } else {
        return false;
    }
    *ptr = m->region + (size_t)*idx * MEM_BLOCK;
    m->bytes_used += MEM_BLOCK;
    return true;
}

bool mem_bulk_take(struct mem *m, uint32_t *idx, char **ptr)
{
    uint64_t bulk = (uint64_t)(m->block_count - m->block_count / RESERVED_SHARE) * MEM_BLOCK;
    return m->bytes_used < bulk && mem_block_take(m, idx, ptr);
}

void mem_block_give(struct mem *m, uint32_t idx, size_t used)
{
    assert(idx < m->blocks_touched && used <= MEM_BLOCK);
    assert(m->bytes_used >= MEM_BLOCK);
    if (m->wipe) memset(m->region + (size_t)idx * MEM_BLOCK, 0, used);
    m->block_next[idx] = m->block_free;
    m->block_free = idx;
    m->free_count++;
    m->bytes_used -= MEM_BLOCK;
}

void mem_trim(struct mem *m)
{
    uint32_t spare = m->free_low > TRIM_KEEP ? m->free_low - TRIM_KEEP : 0;
    for (uint32_t i = 0; i < spare && i < TRIM_MAX; i++) {
        uint32_t idx = m->block_free;
        assert(idx != NO_BLOCK && m->free_count > 0);
        m->block_free = m->block_next[idx];
        m->free_count--;
        (void)madvise(m->region + (size_t)idx * MEM_BLOCK, MEM_BLOCK, MADV_DONTNEED);
        m->block_next[idx] = m->block_dry;
        m->block_dry = idx;
    }
    m->free_low = m->free_count;
}

static void split_push(struct mem *m, uint32_t block)
{
    m->split_prev[block] = NO_BLOCK;
    m->split_next[block] = m->split_first;
    if (m->split_first != NO_BLOCK) m->split_prev[m->split_first] = block;
    m->split_first = block;
}

static void split_remove(struct mem *m, uint32_t block)
{
    uint32_t prev = m->split_prev[block], next = m->split_next[block];
    if (prev == NO_BLOCK) m->split_first = next;
    else m->split_next[prev] = next;
    if (next != NO_BLOCK) m->split_prev[next] = prev;
}

bool mem_page_take(struct mem *m, uint32_t *idx, char **ptr)
{
    uint32_t block = m->split_first;
    if (MAYBE(no_page)) return false;
    if (block == NO_BLOCK) {
        char *unused;
        if (!mem_block_take(m, &block, &unused)) return false;
        assert(m->page_map[block] == 0);
        split_push(m, block);
    }
    unsigned page = (unsigned)__builtin_ctz(~(unsigned)m->page_map[block]);
    assert(page < MEM_PAGES_IN_BLOCK);
    m->page_map[block] |= (uint16_t)(1u << page);
    if (m->page_map[block] == ALL_PAGES) split_remove(m, block);
    *idx = block * MEM_PAGES_IN_BLOCK + page;
    *ptr = m->region + (size_t)*idx * MEM_PAGE;
    return true;
}

void mem_page_give(struct mem *m, uint32_t idx, size_t used)
{
    uint32_t block = idx / MEM_PAGES_IN_BLOCK;
    uint16_t bit = (uint16_t)(1u << idx % MEM_PAGES_IN_BLOCK);
    assert(used <= MEM_PAGE && (m->page_map[block] & bit));
    if (m->wipe) memset(m->region + (size_t)idx * MEM_PAGE, 0, used);
    if (m->page_map[block] == ALL_PAGES) split_push(m, block);
    m->page_map[block] &= (uint16_t)~bit;
    if (m->page_map[block] == 0) {
        split_remove(m, block);
        mem_block_give(m, block, 0);
    }
}
