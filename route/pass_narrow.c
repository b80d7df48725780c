/* pass_narrow.c - the loops of a plan with vectors of four floats, which every x86-64 (SSE2)
 * and aarch64 (NEON) has; elsewhere the compiler makes four of each. */
#include "route/gain.h"
#include "route/pass.h"
#include "route/score_part.h"

#define LANES 4
#define PASS_SET pass_narrow
#include "route/pass_loop.h"
