/* api_write.h - what Weir itself says in a client's dialect: errors, and the end of a stream
 * that it stops. Pure: into caller's memory. */
#ifndef NET_DIALECT_API_WRITE_H
#define NET_DIALECT_API_WRITE_H

#include "net/dialect/api.h"

struct api_fault {              /* an error of ours; texts borrow, NUL-ended */
    unsigned status;            /* 400..599 */
    const char *code;           /* "budget_exceeded": what close.def says */
    const char *message;
    const char *param;          /* the member at fault, or NULL */
    const char *request_id;     /* Anthropic's errors name it; NULL: they do not */
};
/* The body of an error answer: OpenAI {"error":{"message","type","param","code"}}, also for
 * Responses; Anthropic {"type":"error","error":{"type","message"},"request_id"}; Gemini
 * {"error":{"code","message","status"}}. Code budget_exceeded ends agents: OpenAI's type is
 * insufficient_quota, Gemini's details hold a QuotaFailure whose quotaId ends in PerDay. Param
 * /thread with 400 makes Anthropic's SDK say the whole conversation: details. Gives its length;
 * 0: no room. */
size_t api_error_body(enum api api, const struct api_fault *f, char *out, size_t room);
/* The same as an event of a stream that has begun, with its lines and its empty line. s: for
 * the sequence number of Responses. Gives its length; 0: no room. */
size_t api_error_event(enum api api, const struct api_fault *f, const struct api_stream *s,
                       char *out, size_t room);

struct api_stop {
    struct api_usage usage;     /* as booked */
    struct bytes model;         /* raw: stands in where the stream told no model, or one that
                                   could not be kept; borrows */
    int64_t cost_nusd;          /* chat: put into usage; -1: is not asked for */
    uint32_t choices;           /* chat, Gemini: how many were asked for; 0 is 1 */
    bool want_usage;            /* chat: the client asked for its usage chunk */
};
enum { API_STOP_MAX = 20480 };  /* bytes of any stop, if model is a name of API_NAME_MAX */
/* The proper end of a stream that Weir stops because no more may be spent, as if the output
 * limit had been reached, usage and all, down to the sign of a good end; behind whole events of
 * the stream s only. Chat: finish_reason "length", the usage chunk, [DONE]. Anthropic:
 * content_block_stop, message_delta "max_tokens", message_stop. Responses: response.incomplete
 * "max_output_tokens". Gemini: finishReason MAX_TOKENS. Only for API_CHAT, _COMPLETIONS,
 * _RESPONSES, _MESSAGES, _GENERATE. Gives the length; 0: no room. */
size_t api_stream_stop(enum api api, const struct api_stream *s, const struct api_stop *stop,
                       char *out, size_t room);

/* The usage as the API's own object ({"prompt_tokens":...}), as one JSON value. What the form
 * has no member for is in the sum that it belongs to. Gives the length; 0: no room. */
size_t api_usage_json(enum api api, const struct api_usage *usage, char *out, size_t room);

#endif
