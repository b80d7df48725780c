/* pass_avx512.c - the loops of a plan with vectors of sixteen floats. */
#if defined(__x86_64__)

/* Inline functions of other headers stay outside of the pushed target. */
#include "route/gain.h"
#include "route/pass.h"
#include "route/score_part.h"

#if defined(__clang__)
#pragma clang attribute push(                                                              \
    __attribute__((target("avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma")
#endif

#define LANES 16
#define PASS_SET pass_avx512
#include "route/pass_loop.h"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#else
#include "route/pass.h"
#endif
