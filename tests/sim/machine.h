/* machine.h - the simulated machine of one seed: its clocks, its randomness, its faults, and
 * the memory of what happened. There is one in a process (the seams it stands behind, clock.h,
 * rand.h, sock.h, ring.h and maybe.h, come without a context); everything that happens is
 * drawn from the seed, so that the same seed gives the same trace.
 * Rule: who draws, draws in an order that no address and no real time has a say in. */
#ifndef TESTS_SIM_MACHINE_H
#define TESTS_SIM_MACHINE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fault {
#define X(name, most) FAULT_##name,
#include "tests/sim/faults.def"
#undef X
    FAULTS
};

enum { EVENTS_KEPT = 160, MAYBE_KINDS = 64 };

struct event { uint64_t at_ns; const char *what; uint64_t a, b, c; };

struct maybe { const char *name; uint32_t rate, asked, hit; };

struct machine {
    uint64_t seed;
    uint64_t now_ns;               /* monotonic, virtual */
    int64_t wall_ns;               /* what the wall clock is ahead of it */
    uint64_t work, chance, secret; /* states of the generators: workload, faults, rand_secret */
    uint64_t hash;                 /* of the trace so far */
    uint64_t event_count;
    struct event event[EVENTS_KEPT];
    uint32_t rate[FAULTS];         /* in 10,000 */
    uint32_t hits[FAULTS];
    struct maybe maybe[MAYBE_KINDS];
    uint32_t maybe_count;
    const char *plant;             /* the planted bug; NULL none */
    uint32_t plant_hits;
    uint32_t death_in;             /* points until the process dies; 0 not */
    jmp_buf *grave;                /* where it comes to itself; NULL: it cannot die now */
    bool faults;                   /* they happen now */
    bool verbose;
    void (*on_fail)(void);         /* say more about the failure; may be NULL */
};

/* The one machine. */
struct machine *machine(void);
/* Begin with a seed: all of it as new. calm: no faults at all. */
void machine_begin(uint64_t seed, bool calm);

/* Workload: a number below n (> 0); one in [low, high]; true in per_mille of 1,000 cases. */
uint32_t draw(uint32_t n);
/* See draw. */
uint32_t draw_range(uint32_t low, uint32_t high);
/* See draw. */
bool draw_maybe(uint32_t per_mille);
/* Faults: does this one happen now? And a number below n for what follows from it. */
bool fault(enum fault kind);
/* See fault. */
uint32_t chance(uint32_t n);

/* Remember that something happened: it goes into the hash. what: static text. */
void note(const char *what, uint64_t a, uint64_t b, uint64_t c);
/* A checker found a violation: say which, the last events and how to repeat it; ends the
 * process. */
_Noreturn void violated(const char *checker, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The last events to stderr. */
void machine_tell(void);
/* What a fault is called. Static text. */
const char *fault_name(enum fault kind);
/* What was drawn and how often it came, to stdout. */
void machine_tell_faults(void);

#endif
