/* base.h - what all of translation shares: where values stand in a document, who made a
 * signature, how the writing of a request ended. Types alone, so that tell.h and translate.h
 * need no more; what works on them is in walk.h, pen.h and ask.h. */
#ifndef NET_TRANSLATE_BASE_H
#define NET_TRANSLATE_BASE_H

#include "net/bytes.h"

struct json_index;
struct pen;
struct ask;

struct walk_source {         /* where a document's bytes are; borrowed by all made of it */
    /* Bytes from offset at < size on, as far as they lie together: one at least. They stay
     * where they are as long as the source is used. */
    struct bytes (*piece)(void *arg, uint64_t at);
    void *arg;
    uint64_t size;           /* bytes */
};

struct walk_span { uint64_t start, end; };  /* offsets; end 0: absent */

struct node {                /* a value of the document; all zero: absent */
    uint64_t start, end;     /* offsets: a string's quotes, a container's brackets included */
    uint32_t token;          /* private */
    uint8_t type;            /* JSON_OBJECT, _ARRAY, _STRING, _NUMBER, _TRUE, _FALSE, _NULL;
                                JSON_NONE: absent */
    bool escaped;            /* a string with a backslash in it */
};

struct walk {                /* private */
    const struct walk_source *source;
    struct bytes whole;      /* where all of it lies together; else empty */
    const struct json_index *index;   /* of whole; NULL: there is none */
    bool plain;              /* whole has no backslash, so no string of it is escaped */
};

/* Who made a signature or encrypted thoughts: only they can read them again. */
enum ask_maker { MAKER_NONE, MAKER_CHAT, MAKER_RESPONSES, MAKER_MESSAGES, MAKER_GEMINI,
                 MAKER_CONVERSE, MAKERS };

enum ask_rc {
    ASK_WRITTEN,
    ASK_UNSAYABLE,   /* the API has no way to say it: error and pointer tell what */
    ASK_WRONG,       /* the client's request is malformed where its own API says so: the same */
    ASK_NO_ROOM,     /* the pen is full */
};

/* How a model is made to go on with a turn. What PREFIX and those behind it ask for is written
 * beside that turn, or in the body, by the dialects that have such providers. */
enum ask_continues {
    ASK_CONTINUES_NOT,
    ASK_CONTINUES_PREFILL,       /* nothing is said: the last turn is the model's */
    ASK_CONTINUES_PREFIX,        /* chat: "prefix": true in its message (Mistral, DeepSeek) */
    ASK_CONTINUES_PREFIX_ECHO,   /* the same; the answer repeats it first */
    ASK_CONTINUES_PARTIAL,       /* chat: "partial": true in its message (Moonshot, Qwen) */
    ASK_CONTINUES_FINAL,         /* chat: "continue_final_message": true and
                                    "add_generation_prompt": false (vLLM, SGLang) */
    ASK_CONTINUES_INSTRUCT,      /* any: a user's turn behind it says so (splice.h) */
};

#endif
