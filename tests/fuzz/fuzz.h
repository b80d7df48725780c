/* fuzz.h - what several fuzz targets share: the property that must hold, pieces whose ends a
 * sanitizer sees, and a body with its edits applied. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "net/dialect/api.h"

#include <stdlib.h>

/* A property: what does not hold ends the run. */
static inline void must(bool truth)
{
    if (!truth) abort();
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
