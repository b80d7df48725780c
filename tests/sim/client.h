/* client.h - the simulated clients: each one connection with one to five requests, sent in
 * pieces, pipelined or one after another, read fast or slowly, left at any moment. */
#ifndef TESTS_SIM_CLIENT_H
#define TESTS_SIM_CLIENT_H

#include "tests/sim/wire.h"

enum { CLIENTS_MAX = 48 };

/* As new: how many will come is drawn. */
void client_begin(void);
/* Clients that have not ended. */
int client_count(void);
/* Let client i go on, if it is its time. Gives whether it did something. */
bool client_step(int i);
/* When client i wants to go on; UINT64_MAX: not by itself. */
uint64_t client_next(int i);
/* Where clients connect to: the engine's listeners now; 0: none, it is down. */
void client_listeners(const int *fd, int count);
/* No more waiting: who has not come does not come, who reads slowly reads. */
void client_calm_down(void);

#endif
