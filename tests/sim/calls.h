/* calls.h - whom the engine asked, against what it booked. */
#ifndef TESTS_SIM_CALLS_H
#define TESTS_SIM_CALLS_H

#include "tests/sim/model.h"

/* All is booked: violates "calls" where an attempt's cost is not that of its tokens at a price
 * of its model, where its provider told others, where what the client was told of the cost is
 * not the sum; and, where nothing fails, where a call has not exactly one record. */
void calls_settle(const struct ask *a);

#endif
