/* pass_avx2.c - the loops of a plan with vectors of eight floats. */
#if defined(__x86_64__)

/* Inline functions of other headers stay outside of the pushed target. */
#include "route/gain.h"
#include "route/pass.h"
#include "route/score_part.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

#define LANES 8
#define PASS_SET pass_avx2
#include "route/pass_loop.h"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#else
#include "route/pass.h"
#endif
