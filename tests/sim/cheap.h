/* cheap.h - cascades in the simulation: cheap models that are asked first, alone or to agree,
 * and a strong one behind them. Each answer ends with what it comes down to, a number; what the
 * client must have of it, and what must be booked, is told from those numbers. */
#ifndef TESTS_SIM_CHEAP_H
#define TESTS_SIM_CHEAP_H

#include "tests/sim/model.h"

enum { CHEAP_FACTOR = 20 };    /* the strong one's prices, to the others' */

/* Draw who is strong, and how many must agree. */
void cheap_begin(void);
/* What routing says of it. */
void cheap_config(struct text *t);
/* What a model is said to be worth, for the configuration. */
void cheap_quality(struct text *t, uint32_t provider);
/* How a prompt begins, so that answers to it can be compared. */
void cheap_question(struct text *prompt);
/* A request asks for a cascade, or for none, or leaves that to the configuration. */
void cheap_ask(struct text *wire, struct ask *a);
/* What a new answer comes down to, and how it ends. */
void cheap_reply(struct reply *p, const struct ask *a);
/* The end of its text; nothing in other runs. */
void cheap_tail(struct text *words, const struct reply *p);
/* All is booked: violates "cascade" where the client did not get the answer that is due, or
 * a call has not the end that it had. */
void cheap_settle(const struct ask *a);

#endif
