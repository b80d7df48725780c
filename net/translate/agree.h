/* agree.h - do two answers say the same? For cheap models that check each other: what is
 * compared is what an answer comes down to, not its words. It listens as a writer would
 * (tell.h), to a stream or to a whole answer. In doubt two answers are not the same: that
 * costs a call of a stronger model, the other mistake a wrong answer. */
#ifndef NET_TRANSLATE_AGREE_H
#define NET_TRANSLATE_AGREE_H

#include "net/translate/gist.h"
#include "net/translate/tell.h"

enum agree_form {            /* what an answer comes down to */
    AGREE_NONE,              /* nothing that can be compared: never the same as anything */
    AGREE_CALLS,             /* its calls: names and arguments, in order */
    AGREE_JSON,              /* a JSON value: members in any order, numbers by value */
    AGREE_WORDS,             /* a short text (gist.h, gist_words), or the final answer of a
                                longer one: what follows the last "answer is", "answer:",
                                "####", or stands in the last \boxed{}, to the end; or a last
                                line that is a number or one option's letter */
};

struct agree {               /* an answer's gist: numbers, no word of it */
    struct gist gist;
    uint8_t form;            /* enum agree_form */
};

enum {
    AGREE_TAIL = 1024,       /* bytes of text that are looked at for a final answer */
    AGREE_SHORT = 160,       /* bytes of a text that is short */
};

struct agree_reader {        /* private: of one answer; holds words of it: agree_end() wipes */
    uint64_t length;         /* of its text, unescaped */
    struct gist calls;       /* of those that are over */
    struct gist call;        /* of the open one: its name, and input that is any text */
    struct gist_json arguments;         /* of it */
    struct json_unescaper escape;       /* of the text */
    uint32_t item;           /* the open call's */
    uint16_t tail_len;
    bool json, called, open, custom;
    bool odd;                /* an image, a refusal, a second choice, a cut */
    union {
        char tail[AGREE_TAIL];          /* the latest text, unescaped */
        struct gist_json doc;           /* of it, where JSON was asked for */
    } text;
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
