/* json_index.c - the index of a document: what comes before the pass of json_pass.h.
 * Rule: the pass sees only what can be a whole document: something that ends with "}". A
 * piece of a longer one hardly ever does, so it is not gone through in vain. */
#include "net/json_index.h"
#include "net/json_simd.h"

bool json_index_build(struct json_index *x, struct bytes doc, unsigned depth_max)
{
    enum { BLANKS_MAX = 8 };  /* at the end; more is nobody's habit, and json.h's to pass */
    assert(depth_max >= 1 && depth_max <= JSON_DEPTH_MAX);
    for (unsigned i = 0; i < BLANKS_MAX && doc.len > 0; i++) {
        char c = doc.ptr[doc.len - 1];
        if (c != '\n' && c != ' ' && c != '\r' && c != '\t') break;
        doc.len--;
    }
    if (doc.len < 2 || doc.len > UINT32_MAX || doc.ptr[doc.len - 1] != '}') return false;
    if (depth_max > JSON_INDEX_DEPTH) depth_max = JSON_INDEX_DEPTH;
    return json_simd_chosen()->index(x, doc, depth_max);
}
