/* machine.c - see machine.h: clock.h, rand.h and maybe.h of the simulation, and its memory. */
#include "tests/sim/machine.h"
#include "engine/clock.h"
#include "engine/rand.h"
#include "store/maybe.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct machine the;

struct fault_row { const char *name; uint32_t most; };
static const struct fault_row fault_rows[FAULTS] = {
#define X(name, most) {#name, most},
#include "tests/sim/faults.def"
#undef X
};

struct machine *machine(void) { return &the; }

const char *fault_name(enum fault kind)
{
    assert(kind < FAULTS);
    return fault_rows[kind].name;
}

/* Steele, Lea, Flood: splitmix64, as the product's rand_next(). */
static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* rand.h */
uint64_t rand_next(uint64_t *state) { return mix(*state += 0x9e3779b97f4a7c15u); }

/* rand.h */
void rand_secret(void *out, size_t len)
{
    unsigned char *at = out;
    for (size_t i = 0; i < len; i++) at[i] = (unsigned char)rand_next(&the.secret);
}

/* clock.h */
uint64_t clock_now_ns(void) { return the.now_ns; }

/* clock.h */
uint64_t clock_unix_ns(void) { return the.now_ns + (uint64_t)the.wall_ns; }

void machine_begin(uint64_t seed, bool calm)
{
    const char *plant = the.plant;
    bool verbose = the.verbose;
    void (*on_fail)(void) = the.on_fail;
    memset(&the, 0, sizeof the);
    the.seed = seed;
    the.plant = plant;
    the.verbose = verbose;
    the.on_fail = on_fail;
    the.work = mix(seed * 4 + 1);
    the.chance = mix(seed * 4 + 2);
    the.secret = mix(seed * 4 + 3);
    the.hash = 0xcbf29ce484222325u;
    the.now_ns = 1000000000u;
    the.wall_ns = 1790000000ll * 1000000000ll;
    the.faults = !calm;
    for (int i = 0; i < FAULTS; i++) {
        uint32_t shape = chance(4), most = fault_rows[i].most;
        if (shape >= 2) the.rate[i] = chance(most + 1) / (shape == 2 ? 8 : 1);
    }
}

uint32_t draw(uint32_t n)
{
    assert(n > 0);
    return (uint32_t)((rand_next(&the.work) >> 32) * n >> 32);
}

uint32_t draw_range(uint32_t low, uint32_t high)
{
    assert(low <= high);
    return low + draw(high - low + 1);
}

bool draw_maybe(uint32_t per_mille) { return draw(1000) < per_mille; }

uint32_t chance(uint32_t n)
{
    assert(n > 0);
    return (uint32_t)((rand_next(&the.chance) >> 32) * n >> 32);
}

bool fault(enum fault kind)
{
    assert(kind < FAULTS);
    if (!the.faults || the.rate[kind] == 0 || chance(10000) >= the.rate[kind]) return false;
    the.hits[kind]++;
    return true;
}

/* Also on a sealed thread: nothing here needs the heap. */
static void print(FILE *to, const struct event *e)
{
    (void)fprintf(to, "%4" PRIu64 ".%06" PRIu64 " %-16s %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
                  e->at_ns / 1000000000, e->at_ns / 1000 % 1000000, e->what, e->a, e->b, e->c);
}

void note(const char *what, uint64_t a, uint64_t b, uint64_t c)
{
    struct event *e = &the.event[the.event_count++ % EVENTS_KEPT];
    *e = (struct event){the.now_ns, what, a, b, c};
    uint64_t h = the.hash ^ the.now_ns;
    for (const char *p = what; *p; p++) h = (h ^ (unsigned char)*p) * 0x100000001b3u;
    the.hash = mix(h ^ mix(a ^ mix(b ^ mix(c))));
    if (the.verbose) print(stdout, e);
}

void machine_tell(void)
{
    uint64_t from = the.event_count > EVENTS_KEPT ? the.event_count - EVENTS_KEPT : 0;
    for (uint64_t i = from; i < the.event_count; i++) {
        print(stderr, &the.event[i % EVENTS_KEPT]);
    }
}

void machine_tell_faults(void)
{
    for (int i = 0; i < FAULTS; i++) {
        (void)printf("  fault %-16s %5" PRIu32 " in 10,000: %" PRIu32 " times\n",
                     fault_rows[i].name, the.rate[i], the.hits[i]);
    }
    for (uint32_t i = 0; i < the.maybe_count; i++) {
        const struct maybe *m = &the.maybe[i];
        (void)printf("  maybe %-16s %5" PRIu32 " in 10,000: %" PRIu32 " of %" PRIu32 " times\n",
                     m->name, m->rate, m->hit, m->asked);
    }
}

_Noreturn void violated(const char *checker, const char *format, ...)
{
    va_list args;
    machine_tell();
    (void)fprintf(stderr, "checker %s: ", checker);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fprintf(stderr, "\n");
    if (the.on_fail) the.on_fail();
    (void)fflush(NULL);
    _exit(1);
}

/* --- maybe.h */

/* Each point has a rate of its own, from its name and the seed: most have none. */
static struct maybe *maybe_of(const char *name)
{
    for (uint32_t i = 0; i < the.maybe_count; i++) {
        if (strcmp(the.maybe[i].name, name) == 0) return &the.maybe[i];
    }
    assert(the.maybe_count < MAYBE_KINDS);
    uint64_t h = the.seed;
    for (const char *p = name; *p; p++) h = mix(h ^ (unsigned char)*p);
    struct maybe *m = &the.maybe[the.maybe_count++];
    *m = (struct maybe){.name = name};
    if (h % 4 == 0) m->rate = (uint32_t)(h >> 32) % 300;
    return m;
}

bool sim_maybe(const char *name)
{
    struct maybe *m = maybe_of(name);
    m->asked++;
    if (!the.faults || m->rate == 0 || chance(10000) >= m->rate) return false;
    m->hit++;
    note(m->name, m->hit, 0, 0);
    return true;
}

bool sim_plant(const char *name)
{
    if (!the.plant || strcmp(the.plant, name) != 0) return false;
    if (chance(4) != 0) return false;
    the.plant_hits++;
    note("planted", the.plant_hits, 0, 0);
    return true;
}

void sim_death(const char *name)
{
    if (!the.grave || the.death_in == 0 || --the.death_in > 0) return;
    note(name, 0, 0, 0);
    longjmp(*the.grave, 1);
}
