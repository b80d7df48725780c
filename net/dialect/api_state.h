/* api_state.h - may a request that is sent twice do twice what its client wants once: keep
 * something at the provider (a stored response, a conversation, a container), act (tools that
 * the provider runs), or be billed for more than tokens (its web search)? A reader of its own,
 * for few requests ever need it; incremental, no text is kept.
 * Rule: what is not known to be harmless is not. Tools are where the client runs them;
 * Responses are kept unless "store" is false; what this cannot read, or is written so that two
 * parsers may read it differently (an escaped name), changes state. Prompts are not looked at:
 * what a model says changes nothing. */
#ifndef NET_DIALECT_API_STATE_H
#define NET_DIALECT_API_STATE_H

#include "net/dialect/api_kind.h"
#include "net/json.h"

enum api_state_place { STATE_ROOT, STATE_TOOLS, STATE_TOOL };

struct api_state {           /* private */
    struct json json;
    uint8_t api;             /* enum api */
    uint8_t place;           /* enum api_state_place */
    uint8_t member;          /* of the coming value, in its place; 0: read for nothing */
    bool changes, kept;      /* something does; the answer is kept, unless told otherwise */
    bool typed;              /* the tool that is read said of what type it is */
};

/* Begin to read the body of a request. */
void api_state_begin(struct api_state *s, enum api api);
/* The next piece. */
void api_state_feed(struct api_state *s, struct bytes in);
/* It ended: does the request change state? True also where it is no JSON object. */
MUST_USE bool api_changes_state(struct api_state *s);

#endif
