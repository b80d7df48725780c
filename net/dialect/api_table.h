/* api_table.h - what is read of answers and events: a list of keys for each place. A place is
 * what a container is to us; the same one has the same list wherever it stands. */
#ifndef NET_DIALECT_API_TABLE_H
#define NET_DIALECT_API_TABLE_H

#include "net/bytes.h"

enum place {
    NOWHERE, LIST, LOT,
    ROOT, META, CHOICES, CHOICE, SAID, PARTS, CALLS, AUDIO, USAGE, IN_DETAILS, OUT_DETAILS,
    GROQ,
    ERROR,
    /* Anthropic */
    A_ROOT, A_MESSAGE, A_BLOCKS, A_BLOCK, A_DELTA, A_USAGE, A_CREATION, A_OUT_DETAILS, A_ERROR,
    /* Responses: an event, and the response, which is in some events and is the answer */
    R_ROOT, R_RESPONSE, R_ITEMS, R_ITEM, R_PARTS, R_PART, R_INCOMPLETE, R_ERROR,
    /* Gemini */
    G_ROOT, G_FEEDBACK, G_CANDIDATES, G_CANDIDATE, G_CONTENT, G_PARTS, G_PART, G_CALL, G_CODE,
    G_USAGE, G_DETAILS, G_DETAIL,
    /* Bedrock's Converse */
    B_ROOT, B_OUTPUT, B_MESSAGE, B_BLOCKS, B_BLOCK, B_CITED, B_CALL, B_THOUGHT, B_THOUGHT_TEXT,
    B_USAGE,
    /* Cohere */
    C_ROOT, C_DELTA, C_MESSAGE, C_CONTENTS, C_CONTENT, C_USAGE, C_TOKENS, C_BILLED,
    PLACES
};

enum side { DELTA, MESSAGE, TEXT };

/* What to do with a value; further data is in the row. */
enum what {
    DO_NOTHING,
    DO_COUNT,           /* data: which count */
    DO_TEXT, DO_REASONING, DO_LEGACY_TEXT,
    DO_REPEAT,          /* text that deltas before it told already, if there were any */
    DO_EXTENT,          /* an object that counts as text, all of it */
    DO_MARK,            /* content, but no text of it */
    DO_FINISH,          /* data: whose words they are */
    DO_USAGE,
    DO_SIDE,            /* data: which side */
    DO_SAID,            /* all that is said is below: passed over where only usage counts */
    DO_CALL, DO_ERROR, DO_ERROR_TEXT, DO_ERROR_STATUS,
    DO_FAULT,           /* a string is an error; an object is none */
    DO_ERROR_WORD,      /* a word that stands for a status */
    DO_OBJECT_NAME, DO_ROOT_TEXT, DO_ROOT_STATUS,
    DO_TYPE,            /* of the event */
    DO_ITEM_TYPE,
    /* what is no text, seldom met */
    DO_NOTE,            /* data: what of the stream is noted */
    DO_DETAILS,         /* data: of which tokens the list tells the modality */
    DO_MODALITY, DO_MODAL_COUNT,
    DO_PART_TYPE,       /* Responses: of a part */
    DO_THOUGHT,         /* Gemini: a part is no answer */
};

enum note { NOTE_ID, NOTE_MODEL, NOTE_CREATED, NOTE_INDEX, NOTE_SEQUENCE };

enum finish { FINISH_CHAT, FINISH_MESSAGES, FINISH_RESPONSES, FINISH_GENERATE, FINISH_CONVERSE,
              FINISH_COHERE };

enum details { DETAILS_PROMPT, DETAILS_CACHE, DETAILS_OUTPUT };

struct api_part {
    struct bytes name;
    uint8_t what;
    uint8_t data;
    uint8_t object;  /* place of the object that the value may be; NOWHERE: skipped */
    uint8_t array;   /* place of the array that it may be */
};

enum { API_KEY_MAX = 30 };  /* bytes of a name; two more are known to have none */

/* Lists by place, and by length in them: most keys are nobody's, and their length says so. */
struct api_table {
    const struct api_part *at;
    uint8_t first[API_KEY_MAX + 2];  /* by length: the first row whose name has it, or more */
};
extern const struct api_table api_tables[PLACES];

#endif
