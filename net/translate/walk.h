/* walk.h - looks into a JSON document that is all there, somewhere: in one piece of memory,
 * or in several (a request's chain, an event gathered in blocks). No tree and no copies: a
 * value is the place where it stands, and who wants to know more looks again. Model: a
 * document, its root node, and from any object or array one pass over its members.
 * Rule: the grammar was checked once, by walk_open; below it nothing fails. */
#ifndef NET_TRANSLATE_WALK_H
#define NET_TRANSLATE_WALK_H

#include "net/json.h"
#include "net/translate/base.h"

enum { WALK_DEPTH_MAX = 128 };  /* nesting of a document */

struct walk_each {           /* private: a pass over one container */
    const struct walk *w;
    uint64_t start, end;     /* of the container */
    uint64_t at;             /* what was not read yet: in, and what follows it */
    struct bytes in;
    uint32_t token;
    bool object, over;
    struct json json;        /* last: begun only where there is no index */
};

struct walk_text {           /* private: a string that is being read, escapes resolved */
    const struct walk *w;
    uint64_t at, end;
};

/* Begin with a document. source borrows. scratch (NULL: none) borrows: room for its index,
 * which makes all that follows faster where the document lies in one piece. False: it is not
 * JSON, or nested deeper than WALK_DEPTH_MAX. */
MUST_USE bool walk_open(struct walk *w, const struct walk_source *source,
                        struct json_index *scratch, struct node *root);
/* A source of one piece of memory, which borrows: *at is filled in and borrowed too. */
void walk_source_of(struct walk_source *source, struct bytes *at);
/* Begin a pass over an object or array; anything else has nothing in it. */
void walk_begin(const struct walk *w, struct node container, struct walk_each *e);
/* The next member (key: a string) or element (key: absent). False: that was all. */
bool walk_next(struct walk_each *e, struct node *key, struct node *value);
/* One pass over an object: values[i] is that of the member called names[i], the last of them
 * where there are several; absent where there is none, or null. Names as written, without
 * escapes. Anything but an object has no members. */
void walk_members(const struct walk *w, struct node object, const struct bytes *names,
                  size_t count, struct node *values);
/* The value of one member. */
struct node walk_member(const struct walk *w, struct node object, struct bytes name);
/* Elements of an array, members of an object. */
size_t walk_count(const struct walk *w, struct node container);

/* What is between a string's quotes; absent for anything else. */
static inline struct walk_span walk_inside(struct node n)
{
    if (n.type != JSON_STRING) return (struct walk_span){0};
    return (struct walk_span){n.start + 1, n.end - 1};
}
/* All of a value as written. */
static inline struct walk_span walk_all(struct node n)
{
    return (struct walk_span){n.start, n.end};
}
/* Is there something? An empty string's inside is absent too. */
static inline bool walk_has(struct walk_span s) { return s.end > s.start; }

/* Bytes [at, end) as far as they lie together. Borrows from the source. */
struct bytes walk_piece(const struct walk *w, uint64_t at, uint64_t end);
/* The bytes of a span in one piece: borrowed from the source where they lie together, else
 * copied to room; longer than max and apart: ptr is NULL. Room that was written to holds a
 * client's words: it is the caller's to wipe. */
struct bytes walk_bytes(const struct walk *w, struct walk_span s, char *room, size_t max);
/* The inside of a string in one piece, for what is short: an id, a name, an address. As
 * walk_bytes(); empty where n is no string, or where it is longer than max, apart or not: where
 * the document was cut must not decide. */
struct bytes walk_short(const struct walk *w, struct node n, char *room, size_t max);
/* Is the span exactly these bytes, escapes resolved? For short ones (<= 96 bytes). */
bool walk_is(const struct walk *w, struct walk_span s, struct bytes text);
/* Which of the words a string is; count: none, or no string. */
size_t walk_word(const struct walk *w, struct node n, const struct bytes *words, size_t count);
/* An integer (json_integer). False: something else. */
MUST_USE bool walk_int(const struct walk *w, struct node n, int64_t *out);
/* A hash of a span's bytes, escapes resolved, whichever pieces it lies in: to compare ids. */
uint64_t walk_hash(const struct walk *w, struct walk_span s);

/* Begin to read the inside of a string as the text it stands for. */
static inline struct walk_text walk_text(const struct walk *w, struct walk_span inside)
{
    return (struct walk_text){w, inside.start, inside.end};
}
/* The next part of it: borrowed from the source, or in room of max >= 4 bytes, which then holds
 * a client's words: it is the caller's to wipe. Empty: that was all. */
struct bytes walk_text_next(struct walk_text *t, char *room, size_t max);

#endif
