/* room_check.h - the checkers of fail-over: what keys of providers take, who waits for it, and
 * that nobody is asked who asked for quiet. room_check.c begins with the list of them. */
#ifndef TESTS_SIM_ROOM_CHECK_H
#define TESTS_SIM_ROOM_CHECK_H

#include <stdint.h>

struct engine;

/* Core i turns now: remember what is. */
void room_before(struct engine *e, uint32_t i);
/* It turned: all of the checkers. */
void room_after(struct engine *e, uint32_t i);

#endif
