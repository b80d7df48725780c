/* slab.h - fixed-size slots of one kind, taken and given in O(1), addressed by slot number and
 * generation. Memory is mapped at boot and touched only when used; a generation rises at each
 * give, so that a late completion for an earlier owner is recognised. */
#ifndef ENGINE_SLAB_H
#define ENGINE_SLAB_H

#include "net/bytes.h"

enum { SLAB_NONE = 0x7fffffff };

struct slab_head {           /* first member of every item */
    uint32_t slot;
    uint32_t generation;     /* of its owner; rises at each give */
    uint32_t next_free;
    uint32_t taken;          /* 1 while taken */
};

struct slab {
    char *items;             /* mapped */
    size_t item_bytes;
    uint32_t count;          /* slots in all */
    uint32_t used;           /* slots taken now */
    uint32_t touched;        /* slots ever taken: those above are still all zero */
    uint32_t free;           /* first free slot below touched, or SLAB_NONE */
};

/* Reserve count slots of item_bytes (a struct that begins with struct slab_head). Boot only.
 * False when the machine has no address space left. */
MUST_USE bool slab_init(struct slab *s, size_t item_bytes, uint32_t count);
/* Take a slot: gives the item with its head set and the rest zero; NULL when all are taken. */
void *slab_take(struct slab *s);
/* Take a slot where there is one for every owner that there can be: one is left. */
void *slab_take_own(struct slab *s);
/* Give a slot back; its generation rises. takes item. */
void slab_give(struct slab *s, void *item);
/* The item in slot when it is taken and of this generation, else NULL. */
void *slab_find(const struct slab *s, uint32_t slot, uint32_t generation);
/* The item in a slot below s->touched, taken or not. */
struct slab_head *slab_at(const struct slab *s, uint32_t slot);

#endif
