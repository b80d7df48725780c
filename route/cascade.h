/* cascade.h - cheap models first, the strong one only where they do not do: whom to ask, and
 * what that is expected to cost and to be worth. One cheap answer is checked for what shows
 * (cut off, refused, not the JSON that was asked for); two or three are compared, and taken
 * where all of them say the same. What is not taken is asked of the strong one too.
 * Model: each model succeeds with the probability of curve.h, independently of the others;
 * wrong answers are the same with CASCADE_SAME; of wrong ones CASCADE_SHOWN show it; a share
 * of all requests (comparable) has answers that can be compared at all.
 * Rule: a cascade must be expected to cost a tenth less than the strong one alone, and to keep
 * to the quality floor by these means: it is what is checked, not what is published, that
 * takes the place of a margin. */
#ifndef ROUTE_CASCADE_H
#define ROUTE_CASCADE_H

#include <stdbool.h>
#include <stdint.h>

struct catalog;
struct pass;

enum { CASCADE_CHEAP_MAX = 3 };

#define CASCADE_SAME (1.0f / 3)  /* two wrong answers are the same one so often: as with
                                          three distractors that are equally tempting */
#define CASCADE_SHOWN 0.125f           /* of a single cheap model's failures, so many show */
#define CASCADE_ESCALATES_LEAST 0.05f  /* no estimate is so good that less is believed, */
#define CASCADE_COST_MOST 0.9f         /* nor a cascade worth its wait that spares less: of the
                                          strong one's cost */

enum cascade_why {         /* why there is none */
    CASCADE_FINE,          /* there is one */
    CASCADE_NEVER,         /* the configuration asks for none */
    CASCADE_DENIED,        /* the request says never */
    CASCADE_MODE,          /* only where the mode is cost */
    CASCADE_API,           /* nothing is generated, several answers are, or media */
    CASCADE_KEPT,          /* it keeps or does something at the provider (api_state.h) */
    CASCADE_LARGE,         /* its body is larger than one that is sent twice (twin.h) */
    CASCADE_ALONE,         /* no fall-backs are allowed */
    CASCADE_ATTEMPTS,      /* more candidates than may be tried */
    CASCADE_NAMED,         /* a model is named */
    CASCADE_EFFORT,        /* the request says how much to think */
    CASCADE_ORDER,         /* the request says which providers come first */
    CASCADE_STICKY,        /* the conversation has a model that has it in its cache */
    CASCADE_EXPLORED,      /* somebody else goes first, to learn of it */
    CASCADE_NOBODY,        /* nothing is left to choose from */
    CASCADE_UNPRICED,      /* what the strong one costs is not known, or nothing */
    CASCADE_FEW,           /* too few other models are cheaper and good enough */
    CASCADE_DEAR,          /* it is not expected to cost much less */
    CASCADE_WHYS
};

struct cascade {           /* of a plan */
    uint8_t cheap;         /* so many candidates go before the strong one; 0: no cascade */
    uint8_t why;           /* enum cascade_why */
    uint8_t need;          /* so many of the cheap answers must say the same; 0: the one is
                              checked */
    float escalates;       /* share of such requests that the strong one is asked too */
    float quality;         /* share of them that are answered well; in a plan, as a share of
                              the strongest candidate's */
    float cost, alone;     /* US dollars, expected: of all calls; of the strong one's alone */
};

struct cascade_one { float success, cost; };    /* a model: 0..1; US dollars */

/* How many of so many cheap answers must say the same: all; of one, none. (Two of three lose
 * more than one of two does: `make bench-routing`.) */
unsigned cascade_need(unsigned cheap);
/* What becomes of it: escalates, quality, cost, alone of out.
 *   cheap       count of them, 1..CASCADE_CHEAP_MAX
 *   comparable  0..1, of no matter for one
 *   same        0..1, for CASCADE_SAME */
void cascade_expect(const struct cascade_one *cheap, unsigned count, struct cascade_one strong,
                    float comparable, float same, struct cascade *out);
/* Choose the cheap ones, at the lowest price for what they are expected to spare: of distinct
 * models, and of distinct makers where there are. Costs of all arms were made, the strongest is
 * known (pass_floor).
 *   strong  the arm that the mode chose
 *   may     may the arm's model be asked now? What it refuses is out of the mask from then on
 *   out_arm the cheap ones', in their order
 * out: all of it; why says why none were chosen. */
void cascade_choose(const struct pass *p, const struct catalog *c, uint32_t strong,
                    unsigned count, float comparable, bool (*may)(void *arg, uint32_t arm),
                    void *arg, uint32_t out_arm[CASCADE_CHEAP_MAX], struct cascade *out);
/* A reason as a clause. Static text. */
const char *cascade_why_text(enum cascade_why why);

#endif
