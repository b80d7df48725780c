/* count.h - the tokens of a prompt, for clients who only ask for their number, where the
 * candidate's provider does not count them. */
#ifndef ENGINE_COUNT_H
#define ENGINE_COUNT_H

struct core;
struct exchange;

/* Answer with our own estimate, in the client's form, and say that it is one: the end of x. */
void count_estimate(struct core *core, struct exchange *x);

#endif
