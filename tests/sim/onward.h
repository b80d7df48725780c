/* onward.h - streams that broke and were gone on with: what their client must have of them, and
 * what must be booked. */
#ifndef TESTS_SIM_ONWARD_H
#define TESTS_SIM_ONWARD_H

#include "tests/sim/model.h"

/* Does what stands behind a's checked bytes begin as what goes on with a stream may: the
 * comment that says who does, or one that keeps the client awake meanwhile; or, where it had
 * finished, its end? */
bool onward_starts(const struct ask *a);
/* The client has all of a. False: nobody went on with it. Else violates "onward" where its text
 * is not that of the first up to a point, then of the next, and so on, with one end; says in a
 * who went on, whether it broke, or was stopped. */
bool onward_done(struct ask *a);
/* All is booked: violates "onward" where not each of them is, once, in that order. */
void onward_settle(const struct ask *a);

#endif
