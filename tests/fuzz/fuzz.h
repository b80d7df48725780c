/* fuzz.h - what several fuzz targets share: the property that must hold, what was found as a
 * hash, pieces whose ends a sanitizer sees, a request that is the same as another, and a body
 * with its edits applied. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "net/dialect/api.h"

#include <stdlib.h>

/* A property: what does not hold ends the run. */
static inline void must(bool truth)
{
    if (!truth) abort();
}

/* The hash of all before, and of a: where one text ends and the next begins counts. */
static inline uint64_t mix(uint64_t hash, struct bytes a)
{
    for (size_t i = 0; i < a.len; i++) hash = (hash ^ (uint8_t)a.ptr[i]) * 0x100000001b3U;
    return (hash ^ a.len ^ 0x9e37U) * 0x100000001b3U;
}

/* Take the next step bytes, or fewer, off *in into memory of their own. The caller frees
 * piece.ptr. False at the end. */
static inline bool piece_next(struct bytes *in, size_t step, struct bytes *piece)
{
    size_t n = step < in->len ? step : in->len;
    if (n == 0) return false;
    char *room = malloc(n);
    must(room != NULL);
    memcpy(room, bytes_cut(in, n).ptr, n);
    *piece = (struct bytes){room, n};
    return true;
}

/* Give it back. takes piece. */
static inline void piece_free(struct bytes piece) { free((void *)(uintptr_t)piece.ptr); }

/* Feed an answer in pieces of step bytes to a reader that was begun. */
static inline enum net_rc feed_answer(struct api_answer_reader *r, struct bytes in, size_t step)
{
    struct bytes piece;
    while (piece_next(&in, step, &piece)) {
        enum net_rc rc = api_answer_feed(r, piece);
        piece_free(piece);
        if (rc == NET_BAD) return rc;
    }
    return api_answer_end(r);
}

/* The same of a request. */
static inline enum net_rc feed_request(struct api_reader *r, struct bytes in, size_t step)
{
    struct bytes piece;
    while (piece_next(&in, step, &piece)) {
        enum net_rc rc = api_request_feed(r, piece);
        piece_free(piece);
        if (rc == NET_BAD) break;
        must(rc == NET_MORE);
    }
    return api_request_end(r);
}

/* The same place? */
static inline bool span_same(struct api_span a, struct api_span b)
{
    return a.start == b.start && a.end == b.end;
}

/* The same member, between the same ones? */
static inline bool member_same(const struct api_member *a, const struct api_member *b)
{
    return span_same(a->key, b->key) && span_same(a->value, b->value) &&
           a->before == b->before && a->after == b->after && a->index == b->index;
}

/* The same names, in order? */
static inline bool names_same(const struct api_names *a, const struct api_names *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++) same = bytes_eq(a->at[i], b->at[i]);
    return same;
}

/* Where the members of a request stand that may be edited. */
static inline bool places_same(const struct api_request *a, const struct api_request *b)
{
    bool same = member_same(&a->model_at, &b->model_at) &&
                member_same(&a->models_at, &b->models_at) &&
                member_same(&a->provider_at, &b->provider_at) &&
                member_same(&a->usage_at, &b->usage_at) &&
                member_same(&a->stream_options_at, &b->stream_options_at) &&
                span_same(a->include_usage_at, b->include_usage_at) &&
                span_same(a->config_at, b->config_at) &&
                span_same(a->inner_model_at, b->inner_model_at) &&
                span_same(a->schema_at, b->schema_at) && a->object_start == b->object_start;
    for (size_t i = 0; i < COUNT(a->limit); i++) {
        same = same && span_same(a->limit[i].at, b->limit[i].at) &&
               a->limit[i].value == b->limit[i].value &&
               member_same(&a->limit_at[i], &b->limit_at[i]);
    }
    for (size_t i = 0; i < COUNT(a->sampling_at); i++) {
        same = same && member_same(&a->sampling_at[i], &b->sampling_at[i]);
    }
    for (size_t i = 0; i < API_TEXTS; i++) same = same && span_same(a->text[i], b->text[i]);
    return same;
}

/* Do two readings of a request say the same? */
static inline bool request_same(const struct api_request *a, const struct api_request *b)
{
    return places_same(a, b) && bytes_eq(a->model, b->model) &&
           bytes_eq(a->previous, b->previous) && names_same(&a->models, &b->models) &&
           names_same(&a->order, &b->order) && names_same(&a->only, &b->only) &&
           names_same(&a->ignore, &b->ignore) && a->body_bytes == b->body_bytes &&
           a->max_tokens == b->max_tokens && a->output_min == b->output_min && a->n == b->n &&
           a->max_prompt == b->max_prompt && a->max_completion == b->max_completion &&
           a->message_count == b->message_count && a->tool_count == b->tool_count &&
           a->member_count == b->member_count && a->prompt_bytes == b->prompt_bytes &&
           a->tool_bytes == b->tool_bytes && a->system_bytes == b->system_bytes &&
           a->last_bytes == b->last_bytes && a->user_turns == b->user_turns &&
           a->assistant_turns == b->assistant_turns && a->tool_turns == b->tool_turns &&
           a->image_count == b->image_count && a->audio_count == b->audio_count &&
           a->document_count == b->document_count && a->format == b->format &&
           a->effort == b->effort && a->choice == b->choice &&
           a->effort_said == b->effort_said && a->audio_out == b->audio_out &&
           a->tier == b->tier && a->sort == b->sort && a->stream == b->stream &&
           a->include_usage == b->include_usage && a->usage_include == b->usage_include &&
           a->zdr == b->zdr && a->allow_fallbacks == b->allow_fallbacks &&
           a->root_empty == b->root_empty && a->config_empty == b->config_empty &&
           a->config_null == b->config_null && a->store == b->store &&
           a->stream_options_empty == b->stream_options_empty &&
           a->stream_options_null == b->stream_options_null &&
           a->conversation == b->conversation && a->background == b->background;
}

/* The body with n edits made, which must ascend and lie inside. The caller frees its ptr. */
static inline struct bytes edited(struct bytes body, const struct api_edit *edits, size_t n)
{
    size_t len = 0, at = 0, room = body.len;
    for (size_t i = 0; i < n; i++) room += edits[i].put.len;
    char *out = malloc(room + 1);
    must(out != NULL);
    for (size_t i = 0; i < n; i++) {
        must(edits[i].at >= at && edits[i].at + edits[i].del <= body.len);
        memcpy(out + len, body.ptr + at, (size_t)edits[i].at - at);
        len += (size_t)edits[i].at - at;
        if (edits[i].put.len > 0) memcpy(out + len, edits[i].put.ptr, edits[i].put.len);
        len += edits[i].put.len;
        at = (size_t)(edits[i].at + edits[i].del);
    }
    memcpy(out + len, body.ptr + at, body.len - at);
    return (struct bytes){out, len + body.len - at};
}

#endif
