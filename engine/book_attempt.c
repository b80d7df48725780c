/* book_attempt.c - the records of a request besides its end: see book.h.
 *   running entry -> RECORD_ATTEMPT appended -> paid -> the entry goes on, under another nth
 * A twin has an entry of its own, which would be booked as an attempt; of all entries of a
 * family one, the lead's, would be booked as the request.
 * The rule: the record first, then what it changes; recovery (store/fold.c) compares nth. */
#include "engine/book.h"
#include "engine/cascade.h"
#include "engine/core.h"
#include "engine/dialect.h"
#include "engine/endpoint.h"
#include "engine/exchange.h"
#include "engine/observe.h"
#include "engine/twin.h"
#include "store/maybe.h"

/* The next number of a family: each candidate is billed once at most, so they never run out. */
static uint8_t nth_next(struct exchange *x)
{
    struct billed *b = &twin_lead(x)->billed;
    assert(b->last_nth < UINT8_MAX);
    return ++b->last_nth;
}

bool book_begin(struct core *core, struct exchange *x)
{
    if (!journal_has_room(core->journal)) return false;
    x->rec.kind = x->lead ? RECORD_ATTEMPT : RECORD_REQUEST;
    if (x->lead) x->rec.nth = nth_next(x);
    x->journal_slot = journal_begin(core->journal, &x->rec);
    return true;
}

static uint32_t capped_us(uint64_t from_ns, uint64_t to_ns)
{
    uint64_t us = to_ns > from_ns ? (to_ns - from_ns) / 1000 : 0;
    return us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

/* The record of x's attempt, priced: its own times, and what its provider said. */
static struct record attempt_record(const struct core *core, const struct exchange *x,
                                    enum close_why why)
{
    struct record r = x->rec;
    r.kind = RECORD_ATTEMPT;
    r.close = (uint16_t)why;
    r.status = x->status;
    r.attempts = x->attempts;
    r.fallbacks = r.outcome = 0;
    r.ttft_us = x->first_ns ? capped_us(x->attempt_ns, x->first_ns) : 0;
    r.duration_us = capped_us(x->attempt_ns, core->now_ns);
    if (x->state == X_RELAY) r.flags |= RECORD_BEGAN;
    return r;
}

bool book_attempt_fits(const struct core *core)
{
    return journal_has_room_more(core->journal);
}

bool book_attempt(struct core *core, struct exchange *x, enum close_why why)
{
    assert(!x->booked && !x->no_row);
    assert(why != CLOSE_NONE && why != CLOSE_DONE);
    if (!journal_has_room_more(core->journal)) return false;
    book_price(core, x);
    struct record r = attempt_record(core, x, why);
    if (!PLANT(attempt_lost)) journal_attempt(core->journal, &r);
    book_add(&twin_lead(x)->billed, &r);
    DEATH(attempt_recorded);
    spend_pay(core, x, why);
    observe_booked(core, x, why);
    endpoint_leave(core, x, book_tokens(&r));
    book_clear(x);
    x->rec.nth = nth_next(x);
    journal_update(core->journal, x->journal_slot, &x->rec);
    return true;
}

void book_twin(struct core *core, struct exchange *twin, enum close_why why, bool cost)
{
    assert(!twin->booked && twin->lead && !twin->lead->booked);
    assert(twin->rec.kind == RECORD_ATTEMPT && why != CLOSE_NONE);
    cost = cost && !(twin->cascade.part && PLANT(vote_unbooked));
    bool cut = why != CLOSE_ESCALATED && why != CLOSE_OUTVOTED;
    twin->booked = true;
    if (cost) book_price(core, twin);
    else book_clear(twin);
    if (cost && cut && !dialect_counts((enum api)twin->api)) {
        twin->rec.flags |= RECORD_ESTIMATED;
    }
    struct record r = attempt_record(core, twin, why);
    if (cost && why == CLOSE_ESCALATED) r.outcome = cascade_sign(core, twin);
    journal_twin_end(core->journal, twin->journal_slot, cost ? &r : NULL);
    if (cost && PLANT(loser_twice)) journal_attempt(core->journal, &r);
    DEATH(twin_recorded);
    if (cost) book_add(&twin->lead->billed, &r);
    spend_settle(core, twin, why);
    observe_booked(core, twin, why);
}

void book_promote(struct core *core, struct exchange *lead, struct exchange *twin)
{
    assert(twin->lead == lead && !lead->lead);
    assert(!lead->booked && !twin->booked);
    twin->billed = lead->billed;
    lead->billed = (struct billed){0};
    spend_pass_on(lead, twin);
    twin->rec.kind = RECORD_REQUEST;
    lead->rec.kind = RECORD_ATTEMPT;
    /* Between the two both run as requests: recovery books the second one it meets as an
     * attempt. The other way round there might be no request. */
    journal_update(core->journal, twin->journal_slot, &twin->rec);
    DEATH(promoted);
    journal_update(core->journal, lead->journal_slot, &lead->rec);
}
