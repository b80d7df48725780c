/* big.c - see big.h. Only the event's first data line is read, as every provider writes one:
 * with a second, what was read is no JSON and counts for nothing. */
#include "engine/big.h"
#include "engine/core.h"
#include "engine/exchange.h"

struct big {
    struct api_event_reader reader;
    bool over;                     /* the data line has ended */
};

static_assert(sizeof(struct big) <= MEM_BLOCK, "fits a block");

static bool is_end(char c) { return c == '\r' || c == '\n'; }

bool big_data(struct bytes *in)
{
    struct bytes field = BYTES("data:");
    while (in->len > 0) {
        if (bytes_starts(*in, field)) {
            bytes_cut(in, field.len);
            return true;
        }
        while (in->len > 0 && !is_end(*in->ptr)) bytes_cut(in, 1);
        while (in->len > 0 && is_end(*in->ptr)) bytes_cut(in, 1);
    }
    return false;
}

static void feed_line(struct big *b, struct bytes in)
{
    size_t lf = bytes_find(in, '\n');
    size_t cr = bytes_find((struct bytes){in.ptr, lf}, '\r');
    if (b->over) return;
    b->over = cr < in.len;
    api_event_feed(&b->reader, (struct bytes){in.ptr, cr});
}

void big_begin(struct core *core, struct exchange *x, struct bytes part)
{
    char *block;
    assert(!x->big);
    if (!big_data(&part) || !mem_bulk_take(&core->mem, &x->big_block, &block)) return;
    x->big = (void *)block;
    x->big->over = false;
    api_event_begin(&x->big->reader, (enum api)x->peer, &x->notes);
    feed_line(x->big, part);
}

bool big_feed(struct exchange *x, struct bytes part)
{
    if (x->big) feed_line(x->big, part);
    return x->big != NULL;
}

bool big_end(struct core *core, struct exchange *x, struct api_event *ev)
{
    if (!x->big) return false;
    api_event_end(&x->big->reader, ev);
    big_drop(core, x);
    return ev->kind != API_EVENT_BAD;
}

void big_drop(struct core *core, struct exchange *x)
{
    if (x->big) mem_block_give(&core->mem, x->big_block, sizeof *x->big);
    x->big = NULL;
}
