/* path.h - the data plane's paths: what each one is for, and in which API's form its answer
 * is, errors included. Pure. */
#ifndef ENGINE_PATH_H
#define ENGINE_PATH_H

#include "net/dialect/api.h"

enum path_target {
    PATH_NONE,                 /* 404 */
    PATH_NOT_BUILT,            /* contract.md names it, this release has it not */
    PATH_ASK,                  /* POST: a request of path.api to a provider */
    PATH_FEEDBACK,             /* POST */
    PATH_MODELS, PATH_MODEL,   /* GET from here on */
    PATH_KEY, PATH_CREDITS, PATH_HEALTH, PATH_READY,
};

struct path {
    uint8_t target;            /* enum path_target */
    uint8_t api;               /* enum api */
    bool stream;               /* Gemini's :streamGenerateContent */
    struct bytes model;        /* as the path has it, percent-encoded: Gemini's, of PATH_ASK;
                                  the one asked for, of PATH_MODEL. Borrows from the text */
};

/* What a request's path, without its query, stands for. A base URL's own prefix (/openai/v1,
 * /anthropic/v1, /gemini/v1beta) is taken for /v1 and /v1beta. */
struct path path_read(struct bytes text);
/* True for Gemini's APIs, whose model, and whether to stream, stand in the path. */
static inline bool path_is_gemini(enum api api)
{
    return api == API_GENERATE || api == API_GENERATE_COUNT;
}

#endif
