/* policy.h - what policy blobs (store.h) say, globs apart: rates of a level, and the rules for
 * routing of a whole path. Pure; any thread. */
#ifndef STORE_POLICY_H
#define STORE_POLICY_H

#include "store/store.h"

enum {
    POLICY_WORD_MAX = 32,         /* bytes of a mode's name, with the end */
    POLICY_REGION_MAX = 64,       /* bytes of a region's name, with the end */
    POLICY_ONE = 1000000,         /* a quality floor of 1 */
};

struct policy_level {             /* entries of one level, but for globs and regions */
    struct rates rates;
    const char *mode;             /* in the blob, NUL-ended; NULL: none */
    uint32_t floor;               /* quality floor in millionths; has_floor: there is one */
    bool has_floor;
    bool has_regions;             /* a list of them, though it may be empty */
    bool zero_retention_only;
};

struct policy_routing {           /* of a path, all its levels together; all zero: no rule */
    char mode[POLICY_WORD_MAX];   /* of the narrowest level that names one; "": none does */
    uint32_t floor;               /* the highest of all levels, 0..POLICY_ONE */
    bool has_floor;               /* some level states one, though it may be 0 */
    bool has_regions;             /* some level lists regions: keys_region() says which */
    bool zero_retention_only;     /* some level asks for it */
    uint8_t mode_level, floor_level, regions_level, zero_level;   /* enum unit_kind: the level
                                     that each comes from, the narrowest of those that say so */
};

/* Read the blob of one level, len bytes. *out borrows from it. False: it is not well-formed. */
MUST_USE bool policy_read(const char *blob, size_t len, struct policy_level *out);
/* The rates alone. */
MUST_USE bool policy_rates(const char *blob, size_t len, struct rates *rates);
/* True when the blob is well-formed: whole entries of the kinds that store.h names, each as it
 * says there. Only such are stored. */
bool policy_is_sound(const struct policy *policy);
/* Does a level allow providers of a region (len bytes, none: 0)? A level without a list allows
 * all; with one, those in it, so that a provider of no region is in none. Letters compare
 * without case. A blob that is not well-formed allows none. */
bool policy_region(const char *blob, size_t len, const char *region, size_t region_len);

#endif
