/* json_simd.c - which instruction set the JSON scanner uses.
 * Model: the processor is asked once; a test may override the answer. Documents keep the
 * implementation they began with, so a change never meets a half-scanned one. */
#include "net/json_simd.h"

#include <stdatomic.h>

#define EIGHT(c) c, c, c, c, c, c, c, c
#define ROW(c) {EIGHT(c), EIGHT(c), EIGHT(c), EIGHT(c), EIGHT(c), EIGHT(c), EIGHT(c), EIGHT(c)}

_Alignas(BLOCK) const char json_rows[ROWS][BLOCK] = {
    [ROW_QUOTE] = ROW('"'), [ROW_BACKSLASH] = ROW('\\'), [ROW_COMMA] = ROW(','),
    [ROW_COLON] = ROW(':'), [ROW_OPEN] = ROW('{'), [ROW_CLOSE] = ROW('}'),
    [ROW_BLANK] = ROW(' '),
};

static bool usable(const struct json_simd *simd)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("pclmul") &&
                __builtin_cpu_supports("bmi") && __builtin_cpu_supports("popcnt");
    if (simd == &json_avx2) return avx2;
    if (simd == &json_avx512) {
        return avx2 && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vbmi2");
    }
#endif
    (void)simd;
    return true;
}

static const struct json_simd *const all[] = {  /* best first */
#if defined(__x86_64__)
    &json_avx512, &json_avx2, &json_sse2,
#endif
    &json_scalar,
};

/* Kept inside a function, the one place that may change it. A relaxed atomic, because every
 * core asks for it; whatever order they see it in, each value is right. */
static _Atomic(const struct json_simd *) *slot(void)
{
    static _Atomic(const struct json_simd *) chosen;
    return &chosen;
}

const struct json_simd *json_simd_chosen(void)
{
    const struct json_simd *simd = atomic_load_explicit(slot(), memory_order_relaxed);
    for (size_t i = 0; !simd; i++) {
        assert(i < COUNT(all));
        if (!usable(all[i])) continue;
        simd = all[i];
        atomic_store_explicit(slot(), simd, memory_order_relaxed);
    }
    return simd;
}

const char *json_simd(void)
{
    return json_simd_chosen()->name;
}

bool json_simd_use(const char *name)
{
    assert(name);
    for (size_t i = 0; i < COUNT(all); i++) {
        if (strcmp(all[i]->name, name) != 0) continue;
        if (!usable(all[i])) return false;
        atomic_store_explicit(slot(), all[i], memory_order_relaxed);
        return true;
    }
    return false;
}
