/* ask.h - from a request that was read (net/dialect) to what the router makes its numbers of
 * (route/features.h): the two do not know each other. One piece of code for whoever routes and
 * for `weir explain --score`. No allocation. */
#ifndef ENGINE_ASK_H
#define ENGINE_ASK_H

#include "route/features.h"

struct api_request;

enum {
    ASK_ROOM = FEATURES_SYSTEM_MAX + FEATURES_FIRST_MAX + FEATURES_LAST_MAX +
               FEATURES_TAIL_MAX + FEATURES_TOOLS_MAX,
};

struct ask_room {                /* where the excerpts lie */
    size_t used;
    char at[ASK_ROOM];
};

/* What is asked, with excerpts of its texts.
 *   req   borrows, valid
 *   read  copies bytes [from, from + len) of the request's body, which are there, to out
 *   out   written whole; its texts borrow from room */
void ask_make(const struct api_request *req,
              void (*read)(void *arg, uint64_t from, char *out, size_t len), void *arg,
              struct ask_room *room, struct features_ask *out);

#endif
