/* rand_real.c - rand.h over getrandom(2). */
#include "engine/rand.h"

#include <assert.h>
#include <sys/random.h>

void rand_secret(void *out, size_t len)
{
    char *at = out;
    while (len > 0) {
        ssize_t n = getrandom(at, len > 256 ? 256 : len, 0);
        assert(n > 0);
        at += n;
        len -= (size_t)n;
    }
}

uint64_t rand_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
