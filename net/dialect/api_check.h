/* api_check.h - whether an answer is what was asked for, told from its text as it comes: JSON
 * where JSON was asked (and the members that its schema requires), JSON objects for the
 * arguments of tools. A checker of a few dozen bytes: no text is kept, nothing is repeated.
 * Not checked: choices beyond the first (a request for several is not looked at), what lies
 * below the root of a schema, schemas that are references; texts longer than JSON_TEXT_MAX
 * that a cut of the input goes through (then there is no verdict). */
#ifndef NET_DIALECT_API_CHECK_H
#define NET_DIALECT_API_CHECK_H

#include "net/bytes.h"

struct api_request;

/* What an answer lacks: bits, as records have them. The first two stand in it, the others are
 * found out. */
enum api_outcome {
    API_OUTCOME_LENGTH = 1,     /* an output limit ended it */
    API_OUTCOME_REFUSAL = 2,    /* the model refused, or a filter of the provider's did */
    API_OUTCOME_JSON = 4,       /* JSON was asked for, and the text is not what was asked */
    API_OUTCOME_ARGUMENTS = 8,  /* the arguments of a tool are no JSON object */
    API_OUTCOME_SCHEMA = 16,    /* with _JSON: it is JSON, but a required member is missing, or
                                   one of the root's has another type */
};

enum {
    API_SCHEMA_MAX = 4096,      /* bytes of a schema that is read; a longer one is not */
    API_SCHEMA_MEMBERS = 16,    /* of its root's */
};

struct api_doc {                /* private: a JSON document as it is being written */
    uint64_t kinds;             /* the open containers, innermost lowest: 1 object */
    uint32_t name;              /* hash of the root's member that is being read */
    uint16_t seen;              /* a bit per member of the schema */
    uint8_t state, word, depth;
    uint8_t due;                /* hex digits of an escape */
    bool begun, bad, unknown;
    bool other;                 /* a value has another type than the schema says */
    bool odd;                   /* a name of the root's is not plain: it may be any */
};

struct api_check {              /* all zero checks nothing; no secret */
    struct api_doc text, arguments;
    bool wants_text, wants_arguments;   /* is checked */
    uint8_t count;
    struct { uint32_t name; uint8_t types; bool required; } member[API_SCHEMA_MEMBERS];
};
static_assert(sizeof(struct api_check) <= 192, "one for every exchange");

/* Begin: what of the answer to q is to be checked. */
void api_check_begin(struct api_check *c, const struct api_request *q);
/* The schema that q asks for, its bytes; more than API_SCHEMA_MAX, or what is no object, says
 * nothing. Borrows. */
void api_check_schema(struct api_check *c, struct bytes schema);
/* True where anything is. */
static inline bool api_check_wants(const struct api_check *c)
{
    return c->wants_text || c->wants_arguments;
}
/* Another answer to the same request comes. */
void api_check_again(struct api_check *c);
/* The next part of the text, or of the arguments: a JSON string's contents as written; a NULL
 * pointer where they are not there. Arguments of several calls come one behind the other. */
void api_check_text(struct api_check *c, struct bytes raw);
/* See api_check_text(). */
void api_check_arguments(struct api_check *c, struct bytes raw);
/* The answer ended well, and said outcome of itself: gives all its bits. What was cut short is
 * not blamed for being incomplete. */
unsigned api_check_end(const struct api_check *c, unsigned outcome);

#endif
