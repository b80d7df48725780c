/* bytes.h - the vocabulary every layer may share: slices of memory and result codes.
 * A slice never owns: each function says how long what it gives stays valid. */
#ifndef NET_BYTES_H
#define NET_BYTES_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MUST_USE __attribute__((warn_unused_result))
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What a sans-IO codec answers. */
enum net_rc {
    NET_OK,    /* an item is in the out parameter */
    NET_MORE,  /* the input is used up and more is needed */
    NET_DONE,  /* the message ended; the input starts behind it */
    NET_BAD,   /* malformed; stays bad */
};

struct bytes {       /* all zero is the empty slice */
    const char *ptr; /* borrows */
    size_t len;      /* bytes */
};

#define BYTES(literal) ((struct bytes){"" literal, sizeof(literal) - 1})

/* The same where C11 wants a constant: initialisers of static tables. */
#define BYTES_INIT(literal) {"" literal, sizeof(literal) - 1}

/* Slice of a C string, without its end. text borrows; NULL gives the empty slice. */
static inline struct bytes bytes_of(const char *text)
{
    return (struct bytes){text, text ? strlen(text) : 0};
}

/* Slice from begin up to, not including, end. Both borrow from one object. */
static inline struct bytes bytes_between(const char *begin, const char *end)
{
    assert(begin <= end);
    return (struct bytes){begin, (size_t)(end - begin)};
}

/* Take the first n bytes off *in and give them; n must not exceed in->len. */
static inline struct bytes bytes_cut(struct bytes *in, size_t n)
{
    assert(n <= in->len);
    struct bytes head = {in->ptr, n};
    in->ptr += n;
    in->len -= n;
    return head;
}

/* True when both hold the same bytes. */
static inline bool bytes_eq(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* ASCII lower case of one byte; others unchanged. */
static inline char byte_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* True when both are equal but for ASCII case (RFC 9110 section 5.1: field names). */
static inline bool bytes_ieq(struct bytes a, struct bytes b)
{
    if (a.len != b.len) return false;
    for (size_t i = 0; i < a.len; i++) {
        if (byte_lower(a.ptr[i]) != byte_lower(b.ptr[i])) return false;
    }
    return true;
}

/* True when a begins with prefix. */
static inline bool bytes_starts(struct bytes a, struct bytes prefix)
{
    return a.len >= prefix.len && bytes_eq((struct bytes){a.ptr, prefix.len}, prefix);
}

/* True when a ends in end. */
static inline bool bytes_ends(struct bytes a, struct bytes end)
{
    return a.len >= end.len &&
           bytes_eq((struct bytes){a.ptr + (a.len - end.len), end.len}, end);
}

/* Position of the first c in a, or a.len where there is none. */
static inline size_t bytes_find(struct bytes a, char c)
{
    const char *at = a.len ? memchr(a.ptr, c, a.len) : NULL;
    return at ? (size_t)(at - a.ptr) : a.len;
}

/* a without blanks and tabs at both ends (RFC 9110 section 5.6.3: OWS). */
static inline struct bytes bytes_trim(struct bytes a)
{
    while (a.len && (*a.ptr == ' ' || *a.ptr == '\t')) bytes_cut(&a, 1);
    while (a.len && (a.ptr[a.len - 1] == ' ' || a.ptr[a.len - 1] == '\t')) a.len--;
    return a;
}

/* Parse all of a as a decimal number of at most 19 digits, no sign, no blanks.
 * Gives *out and true; or false and *out untouched. */
MUST_USE static inline bool bytes_u64(struct bytes a, uint64_t *out)
{
    if (a.len == 0 || a.len > 19) return false;
    uint64_t value = 0;
    for (size_t i = 0; i < a.len; i++) {
        if (a.ptr[i] < '0' || a.ptr[i] > '9') return false;
        value = value * 10 + (uint64_t)(a.ptr[i] - '0');
    }
    *out = value;
    return true;
}

#endif
