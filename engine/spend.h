/* spend.h - the money of an exchange: admitted by the rates of its path, reserved on its budget
 * cells before an attempt, widened in slices while a stream runs, settled when it is booked
 * (architecture.md section 5). An exchange without limits passes through all of it untouched.
 *
 * What is reserved is the prompt and the answer's expected length: more would lock others out.
 * A stream takes more in slices, and is stopped where there are none. A whole answer cannot be
 * stopped: what its output limit would cost beyond the reservation is promised to it (which
 * takes nothing from anybody), and where that is more than what is left and not promised yet,
 * the output limit is lowered to that, though not below ROOMY times the usual length.
 * Bound of overspend, per limit: a running stream, one slice and what came at once with its
 * last text; a whole answer, what others took since of what was promised to it, or, if it began
 * while all that was left was promised, ROOMY times the usual length (500 tokens where none is
 * known); the error of the estimate of prompts and of text that is not seen; what a provider
 * bills after a cancel. Attempts of a request that follow each other are bounded as one: who
 * broke off has paid all of its cost before the next one reserves, of what is left then, and
 * where that is nothing it is not asked. Those that run at once (twins) count each. */
#ifndef ENGINE_SPEND_H
#define ENGINE_SPEND_H

#include "engine/stats.h"
#include "store/hold.h"

struct budget_path;
struct core;
struct exchange;
struct http_out;

struct spend {                      /* of an exchange; all zero: nothing limits it */
    struct budget_hold hold;
    uint64_t text_max;              /* bytes of generated text that the hold pays for */
    int64_t slice_nusd;             /* what a slice of output costs with this candidate */
    uint64_t resets_unix_ns;        /* of the limit that refused; 0 never */
    uint64_t retry_s;               /* of a refusal: when it may be asked again; 0 not said */
    uint32_t output_max;            /* the output limit was lowered to this; 0: it was not */
    uint8_t layer;                  /* that refused, stopped or lowered it */
    uint8_t kind;                   /* enum rate_kind that refused */
    bool limits;                    /* answers tell of x-ratelimit-* */
    bool model_max;                 /* output_max is what the model can, not what is left */
};

/* Admit by rates, choose cells, bound the time of admission. x's path and key are known, its
 * journal entry is not made yet. False: refused; say so with spend_refuse. */
MUST_USE bool spend_admit(struct core *core, struct exchange *x,
                          const struct budget_path *path);
/* Answer a request that spend_admit refused: its end. */
void spend_refuse(struct core *core, struct exchange *x);
/* What a model bills x for the prompt alone, in nano-dollars; 0: nothing, or nobody knows. */
int64_t spend_prompt_nusd(const struct exchange *x, uint32_t model);
/* Reserve for the candidate x->model, more or less than is held. False: its cells have not
 * enough; spend.layer says whose. */
MUST_USE bool spend_reserve(struct core *core, struct exchange *x);
/* No candidate is affordable: the end, with the layer's error. */
void spend_fail(struct core *core, struct exchange *x);
/* More text than the hold pays for has gone by: take another slice. False: there is none left,
 * the stream is to be stopped. */
MUST_USE bool spend_widen(struct core *core, struct exchange *x);
/* Is that due? */
#define SPEND_IS_DUE(x) ((x)->text_bytes > (x)->spend.text_max && (x)->spend.hold.count > 0)
/* An attempt is billed though x goes on: pay what its record says, give the rest back; the next
 * attempt reserves anew. x counts as running as before. */
void spend_pay(struct core *core, struct exchange *x, enum close_why why);
/* A twin of x pays from the same limits and the same pool, and counts in no rate. */
void spend_join(const struct core *core, const struct exchange *x, struct exchange *twin);
/* Who of the two counts as running in the rates: from now on `to`. */
void spend_pass_on(struct exchange *from, struct exchange *to);
/* It is booked: pay what the record says, give the rest back, learn. Once. The tokens of all
 * attempts that were billed count in its rates. */
void spend_settle(struct core *core, struct exchange *x, enum close_why why);
/* Fields of a refusal: x-weir-limit, retry-after, x-should-retry. */
void spend_refusal_fields(struct http_out *o, const struct exchange *x, enum close_why why);
/* Fields of every answer: x-ratelimit-*, x-weir-capped. */
void spend_fields(struct http_out *o, struct core *core, const struct exchange *x);
/* "organization" .. "key", "credits" for the pool. Static text. */
const char *spend_layer_name(unsigned layer);

#endif
