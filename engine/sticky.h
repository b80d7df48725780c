/* sticky.h - which model answered a conversation last, so that the next request of it can go
 * where the provider's prompt cache still has its beginning. A table shared by all cores: one
 * relaxed atomic word a conversation, in sets of STICKY_WAYS; who comes later pushes the oldest
 * of its set out. A word holds numbers only: part of the conversation's hash, part of the
 * model's, when, and how many tokens. What is lost or taken for another's costs a cache hit,
 * never an answer. */
#ifndef ENGINE_STICKY_H
#define ENGINE_STICKY_H

#include "net/bytes.h"

#include <stdatomic.h>

enum {
    STICKY_WAYS = 4,
    STICKY_SETS = 4096,
    STICKY_TTL_S = 300,         /* as long as providers keep a prefix for sure */
};

struct sticky { _Atomic uint64_t word[STICKY_SETS * STICKY_WAYS]; };   /* all zero is empty */

struct sticky_last {            /* what is known of a conversation */
    uint32_t model;             /* sticky_model() of who answered */
    uint32_t tokens;            /* of its prompt that are probably cached, rounded down */
};

/* A number to begin a conversation's hash with: of the client key's hash (32 bytes), so that
 * equal texts of two keys are two conversations. */
uint64_t sticky_seed(const uint8_t *key_hash);
/* Take a text into a conversation's hash. Never 0. */
uint64_t sticky_hash(uint64_t seed, struct bytes text);
/* A model's id as the table knows it. */
uint32_t sticky_model(struct bytes id);
/* Any thread. Who answered this conversation within STICKY_TTL_S. False: nobody is known. */
MUST_USE bool sticky_find(const struct sticky *s, uint64_t session, uint64_t now_unix_s,
                          struct sticky_last *out);
/* Any thread. A model answered it. */
void sticky_note(struct sticky *s, uint64_t session, uint64_t now_unix_s,
                 struct sticky_last last);

#endif
