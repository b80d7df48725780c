/* place.c - see place.h. */
#include "engine/place.h"
#include "engine/mem.h"

static void to_start(struct place *p)
{
    p->at = p->chain->first;
    p->left = p->chain->count;
    p->pos = 0;
    p->piece = (struct bytes){0};
}

/* walk_source.piece. A chain that grows behind what was seen is looked at from its start. */
static struct bytes piece_at(void *arg, uint64_t at)
{
    struct place *p = arg;
    at += p->base;
    assert(at < p->end);
    if (at < p->pos) to_start(p);
    while (at >= p->pos + p->piece.len) {
        p->pos += p->piece.len;
        if (chain_next(p->mem, &p->at, &p->left, &p->piece)) continue;
        to_start(p);
    }
    size_t skip = (size_t)(at - p->pos);
    struct bytes rest = {p->piece.ptr + skip, p->piece.len - skip};
    if (rest.len > p->end - at) rest.len = (size_t)(p->end - at);
    return rest;
}

void place_begin(struct place *p, const struct mem *m, const struct chain *c, uint64_t from,
                 uint64_t to)
{
    assert(from <= to && to <= c->bytes);
    *p = (struct place){.mem = m, .chain = c, .base = from, .end = to};
    to_start(p);
}

struct walk_source place_source(struct place *p)
{
    return (struct walk_source){piece_at, p, p->end - p->base};
}
