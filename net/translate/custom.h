/* custom.h - the text that a tool taking any text was called with, where the model was given a
 * function: out of the arguments {"input":"..."} (ask_put_custom_schema), which come in pieces
 * cut anywhere. Arguments that are something else are the text themselves, all of them.
 *   PREFIX -> VALUE -> OVER      {"input":" | its inside | what follows is nobody's
 *        \-> PLAIN               anything else */
#ifndef NET_TRANSLATE_CUSTOM_H
#define NET_TRANSLATE_CUSTOM_H

#include "net/translate/pen.h"

enum { CUSTOM_HELD = 48, CUSTOM_OUT = 192 };

struct custom_input {        /* private */
    struct pen *p;           /* borrows; a string is open in it */
    struct json_unescaper outer;    /* escapes around the arguments */
    uint8_t state;
    uint8_t matched;         /* bytes of the prefix */
    uint8_t inner;           /* escape inside the arguments, as far as read */
    uint8_t held_len, out_len;
    char held[CUSTOM_HELD];  /* what may still turn out to be no prefix; digits of an escape */
    char out[CUSTOM_OUT];
};

/* Begin: what is found goes to p, as parts of a string that was begun. */
void custom_begin(struct custom_input *c, struct pen *p);
/* A piece of the arguments. escaped: it is the inside of a string that holds them. */
void custom_feed(struct custom_input *c, struct bytes piece, bool escaped);
/* That was all. Wipes what c holds. */
void custom_end(struct custom_input *c);

#endif
