/* check.h - the checkers that look into the engine after every turn. Each violation has a name;
 * check.c begins with the list of them. */
#ifndef TESTS_SIM_CHECK_H
#define TESTS_SIM_CHECK_H

#include <stdbool.h>

struct core;
struct engine;

/* What one core holds is consistent, and nothing is lost. */
void check_core(struct core *core);
/* What the cores hold together: every descriptor has one owner. */
void check_engine(const struct engine *e);
/* All work is over: every pool is full again. drained: and every connection is closed. */
void check_rest(struct core *core, bool drained);

#endif
