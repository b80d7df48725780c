/* available.h - availability in the simulation: requests to one, two or three providers of
 * which each fails a share of what it is asked, in the engine's own time; what comes of them is
 * counted. The same faults as bench/availability.py's, without a machine's load in the times,
 * and the same again for the same seed. */
#ifndef TESTS_SIM_AVAILABLE_H
#define TESTS_SIM_AVAILABLE_H

#include <stdbool.h>
#include <stdint.h>

struct reply;

enum { AVAILABLE_ASKS = 256 };     /* requests of a run, at most */

enum outages { OUTAGES_NONE, OUTAGES_OWN, OUTAGES_TOGETHER };

struct availability {              /* a case */
    bool on;
    bool stream, resume;
    uint8_t providers;             /* 1..3 */
    uint8_t outages;               /* enum outages */
    uint32_t failing;              /* of 1,000 requests to a provider so many fail, besides */
};

struct available {                 /* what came of the requests of a run */
    uint32_t count, good, onward;
    int64_t billed_nusd;           /* for all of them */
    int64_t bought_nusd;           /* what the good ones cost where nothing fails */
    uint32_t good_us[AVAILABLE_ASKS];   /* how long each good one took */
};

/* The case that this process runs; not on: the seed says what is run. */
struct availability *available(void);
/* Does this request to a provider fail, and how? Sets p's kind and status, or that it breaks
 * off. */
void available_reply(struct reply *p);
/* Its body, and what it costs: the same for all. */
void available_usage(struct reply *p);
/* What came of all requests. */
void available_sum(struct available *out);
/* Run all cases of so many requests each, in runs that `run` makes: one of a case and a seed,
 * in a process of its own; false: a checker was violated there, as by an answer that looked
 * whole and was not. The table goes to stdout. False: a run was false. */
bool available_report(uint32_t requests,
                      bool (*run)(const struct availability *c, uint64_t seed,
                                  struct available *out));

#endif
