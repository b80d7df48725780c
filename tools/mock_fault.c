/* mock_fault.c - failures at random, and outages; see mock.h. Request n of the process fails or
 * not by a number drawn from the seed and n, and so does how: for want of room (429, 503, 529,
 * some with a retry-after), by a 500, or by a break at any place of the answer. An outage is a
 * stretch of the wall clock, in each period one, at a place drawn from its seed: processes with
 * one seed are out together, with different ones by themselves. */
#include "engine/conn.h"
#include "engine/core.h"
#include "tools/mock.h"

enum {
    BREAK_EVENTS = 6,              /* of a stream, besides its tokens */
    BREAK_BYTES = 400,             /* of a whole answer: within so many */
    RETRY_S = 1,
};

/* Numbers with colons between them. */
static bool read_numbers(const char *text, uint64_t number[3])
{
    struct bytes in = bytes_of(text);
    for (int i = 0; i < 3; i++) {
        if (!bytes_u64(bytes_cut(&in, bytes_find(in, ':')), &number[i])) return false;
        if (i < 2 && in.len == 0) return false;
        if (i < 2) bytes_cut(&in, 1);
    }
    return in.len == 0;
}

bool fault_option(struct mock_faults *f, bool outages, const char *value)
{
    uint64_t n[3];
    if (!read_numbers(value, n)) return false;
    if (outages) {
        if (n[2] == 0 || n[2] > n[1]) return false;
        f->outage_seed = n[0];
        f->every_ms = n[1];
        f->long_ms = n[2];
        return true;
    }
    if (n[1] > 1000 || n[2] > 1000) return false;
    f->seed = n[0];
    f->failing = (uint32_t)n[1];
    f->capacity = (uint32_t)n[2];
    return true;
}

static void ask_for(struct job *job, enum script_word word, uint32_t value)
{
    job->script.has |= 1ull << word;
    job->script.value[word] = value;
}

static void break_at(struct job *job, enum script_word word, uint64_t number)
{
    uint32_t events = job->text_tokens + job->reasoning_tokens + BREAK_EVENTS;
    ask_for(job, word, (uint32_t)(number % (job->stream ? events : BREAK_BYTES)));
    job->script.act = (uint8_t)word;
}

static void no_room(struct job *job, uint64_t number)
{
    static const uint16_t status[] = {429, 503, 529, 429, 503};
    job->status = status[number % COUNT(status)];
    if (number % COUNT(status) >= 3) ask_for(job, SCRIPT_RETRY, RETRY_S);
}

static void fails(struct job *job, uint64_t number)
{
    static const enum script_word breaks[] = {SCRIPT_RESET, SCRIPT_CUT, SCRIPT_STALL,
                                              SCRIPT_ERROR, SCRIPT_NOEND};
    uint64_t way = number % (COUNT(breaks) + 3);
    if (way < COUNT(breaks)) break_at(job, breaks[way], data_mix(number));
    else if (way == COUNT(breaks)) job->status = 500;
    else ask_for(job, way == COUNT(breaks) + 1 ? SCRIPT_RESETHEAD : SCRIPT_CUTHEAD, 0);
}

/* The period's number drawn: where in it the outage is, and what it is like. */
static uint64_t period(const struct core *core, const struct mock_faults *f)
{
    return data_mix(f->outage_seed ^ data_mix(core->unix_ns / 1000000 / f->every_ms));
}

bool fault_out(const struct core *core)
{
    const struct mock *mock = core->serve;
    const struct mock_faults *f = &mock->shared->faults;
    if (f->every_ms == 0) return false;
    uint64_t at = core->unix_ns / 1000000 % f->every_ms;
    uint64_t from = period(core, f) % (f->every_ms - f->long_ms + 1);
    return at >= from && at < from + f->long_ms;
}

void fault_draw(struct core *core, struct job *job)
{
    const struct mock *mock = core->serve;
    struct mock_faults *f = &mock->shared->faults;
    if (fault_out(core)) {
        uint64_t way = data_mix(period(core, f)) % 3;
        job->out = true;
        if (way == 0) job->status = 503;
        else ask_for(job, way == 1 ? SCRIPT_RESETHEAD : SCRIPT_STALLHEAD, 0);
        return;
    }
    if (f->failing == 0) return;
    uint64_t n = atomic_fetch_add_explicit(&f->drawn, 1, memory_order_relaxed);
    uint64_t number = data_mix(f->seed ^ data_mix(n));
    if (number % 1000 >= f->failing) return;
    number = data_mix(number);
    bool capacity = number % 1000 < f->capacity;
    number = data_mix(number);
    if (capacity) no_room(job, number);
    else fails(job, number);
}
