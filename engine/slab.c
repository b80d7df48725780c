/* slab.c - see slab.h. A free list runs through the slots that were used before; fresh slots
 * come from the untouched end, so an idle process touches no page of a large slab. */
#include "engine/slab.h"
#include "store/maybe.h"

#include <sys/mman.h>

bool slab_init(struct slab *s, size_t item_bytes, uint32_t count)
{
    assert(item_bytes >= sizeof(struct slab_head) && count > 0);
    size_t aligned = (item_bytes + 15) & ~(size_t)15;
    void *mem = mmap(NULL, aligned * count, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mem == MAP_FAILED) return false;
    (void)madvise(mem, aligned * count, MADV_DONTDUMP);  /* names and ids of what runs */
    *s = (struct slab){.items = mem, .item_bytes = aligned, .count = count,
                       .free = SLAB_NONE};
    return true;
}

struct slab_head *slab_at(const struct slab *s, uint32_t slot)
{
    assert(slot < s->count);
    return (struct slab_head *)(void *)(s->items + s->item_bytes * slot);
}

static void *take(struct slab *s)
{
    struct slab_head *h;
    if (s->free != SLAB_NONE) {
        h = slab_at(s, s->free);
        s->free = h->next_free;
    } else if (s->touched < s->count) {
        h = slab_at(s, s->touched);
        h->slot = s->touched++;
        h->generation = 1;
    } else {
        return NULL;
    }
    assert(!h->taken);
    struct slab_head keep = {.slot = h->slot, .generation = h->generation, .taken = 1};
    memset((void *)h, 0, s->item_bytes);
    *h = keep;
    s->used++;
    return h;
}

void *slab_take(struct slab *s) { return MAYBE(no_slot) ? NULL : take(s); }

void *slab_take_own(struct slab *s)
{
    assert(s->used < s->count);
    return take(s);
}

void slab_give(struct slab *s, void *item)
{
    struct slab_head *h = item;
    assert(h->taken && s->used > 0);
    h->taken = 0;
    h->generation++;
    h->next_free = s->free;
    s->free = h->slot;
    s->used--;
}

void *slab_find(const struct slab *s, uint32_t slot, uint32_t generation)
{
    if (slot >= s->touched) return NULL;
    struct slab_head *h = slab_at(s, slot);
    return h->taken && h->generation == generation ? h : NULL;
}
