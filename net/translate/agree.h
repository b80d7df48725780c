/* agree.h - do two answers say the same? For cheap models that check each other: what is
 * compared is what an answer comes down to, not its words. It listens as a writer would
 * (tell.h), to a stream or to a whole answer. */
#ifndef NET_TRANSLATE_AGREE_H
#define NET_TRANSLATE_AGREE_H

#include "net/translate/tell.h"

enum agree_form {            /* what an answer comes down to */
    AGREE_NONE,              /* nothing that can be compared: never the same as anything */
    AGREE_CALLS,             /* its calls: names and arguments, in order */
    AGREE_JSON,              /* a JSON value: members in any order, numbers by value */
    AGREE_SHORT,             /* a short text: without case, punctuation, blanks */
    AGREE_FINAL,             /* the final answer of a longer one: the last "answer is ...",
                                "#### ...", \boxed{...}, a last line that is a number or one
                                option's letter */
};

struct agree {               /* an answer's gist: numbers, no word of it */
    uint64_t hash[2];
    uint8_t form;            /* enum agree_form */
};

enum { AGREE_TAIL = 1024 };  /* bytes of text that are looked at for a final answer */

struct agree_reader {        /* private: of one answer; holds words of it: agree_end() wipes */
    uint64_t length;         /* of its text, unescaped */
    uint64_t calls[2];       /* hash of calls */
    char tail[AGREE_TAIL];   /* the latest text, unescaped */
    uint16_t tail_len;
    bool json;
    bool called, odd;        /* odd: an image, a refusal, a second choice */
};

/* Begin. json: the client asked for JSON. */
void agree_begin(struct agree_reader *r, bool json);
/* tell_take: arg is the reader. Never says no. */
bool agree_take(void *arg, const struct tell *t);
/* The gist. Wipes r. */
struct agree agree_end(struct agree_reader *r);
/* Is it the same? */
bool agree_same(const struct agree *a, const struct agree *b);

#endif
