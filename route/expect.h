/* expect.h - how long an answer of a model to a key usually is: a running mean of output
 * tokens, learned from finished requests, for reserving what a request will probably cost. One
 * table a core, direct-mapped: who shares a place pushes the other out, and is learned again.
 */
#ifndef ROUTE_EXPECT_H
#define ROUTE_EXPECT_H

#include "net/bytes.h"

enum {
    EXPECT_PLACES = 4096,
    EXPECT_TOKENS_FIRST = 500,  /* before anything is learned (contract.md section 5) */
};

struct expect_place {
    uint32_t tag;               /* of who has it; 0: nobody */
    uint32_t mean_q4;           /* tokens, times 16 */
};

struct expect { struct expect_place at[EXPECT_PLACES]; };   /* all zero knows nothing */

/* A number for a key and a model's id, for the functions below. */
uint64_t expect_name(uint64_t key, struct bytes model);
/* Expected output tokens, rounded up; EXPECT_TOKENS_FIRST where nothing is learned. */
uint32_t expect_tokens(const struct expect *e, uint64_t name);
/* A request ended well, with so many output tokens. */
void expect_learn(struct expect *e, uint64_t name, uint32_t tokens);

#endif
