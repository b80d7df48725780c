/* api_error.c - errors in the form of each API (api_write.h). What an SDK makes of one hangs on
 * the status and on a word of its dialect, which follows from the status; Weir's own code has a
 * member only with OpenAI. An error in a stream is never followed by a sign of a good end. */
#include "net/dialect/api_write.h"
#include "net/jsonw.h"

static bool is_budget(const struct api_fault *f)
{
    return strcmp(f->code, "budget_exceeded") == 0;
}

static const char *openai_type(const struct api_fault *f)
{
    if (is_budget(f)) return "insufficient_quota";   /* the one that agents do not retry */
    switch (f->status) {
    case 401: return "authentication_error";
    case 402: return "insufficient_quota";
    case 403: return "permission_error";
    case 404: return "not_found_error";
    case 429: return "rate_limit_error";
    default: return f->status >= 500 ? "api_error" : "invalid_request_error";
    }
}

static const char *anthropic_type(unsigned status)
{
    switch (status) {
    case 401: return "authentication_error";
    case 402: return "billing_error";
    case 403: return "permission_error";
    case 404: return "not_found_error";
    case 413: return "request_too_large";
    case 429: return "rate_limit_error";
    case 503: return "overloaded_error";
    default: return status >= 500 ? "api_error" : "invalid_request_error";
    }
}

/* google.rpc.Code, as far as a status has one. */
static const char *gemini_status(unsigned status)
{
    switch (status) {
    case 401: return "UNAUTHENTICATED";
    case 403: return "PERMISSION_DENIED";
    case 404: return "NOT_FOUND";
    case 402: case 429: return "RESOURCE_EXHAUSTED";
    case 503: return "UNAVAILABLE";
    case 408: case 504: return "DEADLINE_EXCEEDED";
    default: return status >= 500 ? "INTERNAL" : "INVALID_ARGUMENT";
    }
}

static void put_openai(struct jsonw *w, const struct api_fault *f)
{
    jsonw_object(w);
    jsonw_key(w, "error");
    jsonw_object(w);
    jsonw_key(w, "message"), jsonw_text(w, f->message);
    jsonw_key(w, "type"), jsonw_text(w, openai_type(f));
    jsonw_key(w, "param"), jsonw_text(w, f->param);
    jsonw_key(w, "code"), jsonw_text(w, f->code);
    jsonw_object_end(w);
    jsonw_object_end(w);
}

/* A conversation that the server would have to hold. Anthropic's SDK goes on without, and says
 * all of it, when it reads this code. */
static void put_threadless(struct jsonw *w)
{
    jsonw_key(w, "details");
    jsonw_object(w);
    jsonw_key(w, "error_code"), jsonw_text(w, "thread_unsupported_request");
    jsonw_key(w, "unsupported");
    jsonw_array(w);
    jsonw_text(w, "thread");
    jsonw_array_end(w);
    jsonw_object_end(w);
}

static void put_anthropic(struct jsonw *w, const struct api_fault *f)
{
    jsonw_object(w);
    jsonw_key(w, "type"), jsonw_text(w, "error");
    jsonw_key(w, "error");
    jsonw_object(w);
    jsonw_key(w, "type"), jsonw_text(w, anthropic_type(f->status));
    jsonw_key(w, "message"), jsonw_text(w, f->message);
    if (f->status == 400 && f->param && strcmp(f->param, "/thread") == 0) put_threadless(w);
    jsonw_object_end(w);
    jsonw_key(w, "request_id"), jsonw_text(w, f->request_id);
    jsonw_object_end(w);
}

/* google.rpc.QuotaFailure: a quota of a day is not waited for by Google's own clients. */
static void put_quota(struct jsonw *w)
{
    jsonw_object(w);
    jsonw_key(w, "@type"), jsonw_text(w, "type.googleapis.com/google.rpc.QuotaFailure");
    jsonw_key(w, "violations");
    jsonw_array(w);
    jsonw_object(w);
    jsonw_key(w, "quotaMetric"), jsonw_text(w, "weir/budget");
    jsonw_key(w, "quotaId"), jsonw_text(w, "WeirBudgetPerDay");
    jsonw_object_end(w);
    jsonw_array_end(w);
    jsonw_object_end(w);
}

static void put_gemini(struct jsonw *w, const struct api_fault *f)
{
    jsonw_object(w);
    jsonw_key(w, "error");
    jsonw_object(w);
    jsonw_key(w, "code"), jsonw_int(w, f->status);
    jsonw_key(w, "message"), jsonw_text(w, f->message);
    jsonw_key(w, "status"), jsonw_text(w, gemini_status(f->status));
    if (is_budget(f)) {
        jsonw_key(w, "details");
        jsonw_array(w);
        put_quota(w);
        jsonw_array_end(w);
    }
    jsonw_object_end(w);
    jsonw_object_end(w);
}

/* The event of Responses is an object of its own: type, code, message, param side by side. */
static void put_responses_event(struct jsonw *w, const struct api_fault *f, uint32_t sequence)
{
    jsonw_object(w);
    jsonw_key(w, "type"), jsonw_text(w, "error");
    jsonw_key(w, "sequence_number"), jsonw_int(w, sequence);
    jsonw_key(w, "code"), jsonw_text(w, f->code);
    jsonw_key(w, "message"), jsonw_text(w, f->message);
    jsonw_key(w, "param"), jsonw_text(w, f->param);
    jsonw_object_end(w);
}

size_t api_error_body(enum api api, const struct api_fault *f, char *out, size_t room)
{
    struct jsonw w;
    assert(f->status >= 400 && f->status < 600);
    assert(f->code && f->message);
    jsonw_init(&w, out, room);
    switch (api) {
    case API_MESSAGES: case API_COUNT_TOKENS: put_anthropic(&w, f); break;
    case API_GENERATE: case API_GENERATE_COUNT: put_gemini(&w, f); break;
    default: put_openai(&w, f); break;
    }
    return w.full ? 0 : w.len;
}

size_t api_error_event(enum api api, const struct api_fault *f, const struct api_stream *s,
                       char *out, size_t room)
{
    bool anthropic = api == API_MESSAGES, named = anthropic || api == API_RESPONSES;
    struct bytes before = named ? BYTES("event: error\ndata: ") : BYTES("data: ");
    struct bytes after = api == API_GENERATE ? BYTES("\r\n\r\n") : BYTES("\n\n");
    size_t n;
    if (room < before.len + after.len) return 0;
    char *at = out + before.len;
    room -= before.len + after.len;
    if (api == API_RESPONSES) {
        struct jsonw w;
        jsonw_init(&w, at, room);
        put_responses_event(&w, f, s->sequence);
        n = w.full ? 0 : w.len;
    } else {
        n = api_error_body(api, f, at, room);
    }
    if (n == 0) return 0;
    memcpy(out, before.ptr, before.len);
    memcpy(at + n, after.ptr, after.len);
    return before.len + n + after.len;
}
