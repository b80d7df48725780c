/* control.h - the header fields by which a client controls one request (contract.md
 * section 4). */
#ifndef ENGINE_CONTROL_H
#define ENGINE_CONTROL_H

#include "engine/stats.h"

struct exchange;
struct http_head;

/* Who waits, and who is shed first, when a provider is full. */
enum control_priority { PRIORITY_NORMAL, PRIORITY_LOW, PRIORITY_HIGH };

/* x-weir-cascade: as configured; no cascade; one cheap answer, checked; so many, compared. */
enum control_cascade {
    ASKS_NO_CASCADE = 1, ASKS_CHECK = 2, ASKS_AGREE_2 = 3, ASKS_AGREE_3 = 4
};

struct control {                 /* what the header fields ask; all zero: nothing */
    uint64_t max_ttft_ns;        /* x-weir-max-ttft; 0 none */
    uint64_t session;            /* x-weir-session and the key as a number (sticky.h); 0 none */
    uint8_t mode;                /* x-weir-mode: 1 + enum conf_mode; 0 not said */
    uint8_t priority;            /* x-weir-priority: 1 + enum control_priority; 0 not said */
    uint8_t cascade;             /* x-weir-cascade: enum control_cascade; 0 not said */
    bool no_fallback;            /* x-weir-no-fallback: 1 */
};

/* Read x-weir-* into x, whose key's hash is known. NULL; or what is wrong, as a sentence for
 * the client (static text). */
const char *control_read(struct exchange *x, const struct http_head *head);
/* Seconds with up to 9 decimals ("1.5") as ns; false for anything else, 0 and > 86,400. */
MUST_USE bool control_seconds(struct bytes text, uint64_t *ns);
/* What a word of x-weir-cascade asks for: enum control_cascade; 0: it is none. */
unsigned control_cascade_of(struct bytes word);
/* Are these well-formed tags: a=b,c=d of printable ASCII, <= 128 bytes? */
bool control_tags(struct bytes text);

#endif
