/* pen.h - writes JSON (RFC 8259), and the lines around it, in pieces of any size into whatever
 * takes them: what does not fit the window goes on in the next one. Commas are its job. What is
 * text already in another document is copied as it stands, escapes and all. Running out of room
 * is sticky and asked for once at the end. */
#ifndef NET_TRANSLATE_PEN_H
#define NET_TRANSLATE_PEN_H

#include "net/json.h"
#include "net/translate/base.h"

enum {
    PEN_DEPTH_MAX = 64,
    PEN_NEED_MAX = 512,      /* bytes that a window has at least */
    PEN_VIEW_MIN = 2048,     /* longer spans are not copied where the owner has a view */
};

struct pen {                 /* private but for full and wrote */
    char *at;                /* the window: borrows */
    size_t len, room;        /* bytes in it, and of it */
    /* Takes the len bytes that were written and gives a window of PEN_NEED_MAX bytes at least
     * (at, room; len 0). False: no memory. */
    bool (*more)(struct pen *p);
    /* Appends bytes [from, to) of the document behind what was written (more was called before,
     * and is after it). NULL: they are copied. False: no memory. */
    bool (*view)(struct pen *p, uint64_t from, uint64_t to);
    void *arg;               /* the owner's */
    uint64_t wrote;          /* bytes so far, those in the window left out */
    uint64_t commas, objects;   /* bit per open container */
    uint8_t depth;
    bool after_key, full;
};

/* Begin. p->more, ->view, ->arg are set behind it. A window may be given at once. */
void pen_init(struct pen *p, char *window, size_t room);
/* Begin another document behind what was written. */
void pen_fresh(struct pen *p);
/* Bytes as they are, no part of a document: "data: ". copies. */
void pen_put(struct pen *p, struct bytes b);

/* Open and close containers; the caller pairs them (asserted). */
void pen_object(struct pen *p);
/* Close the innermost object. */
void pen_object_end(struct pen *p);
/* Open an array. */
void pen_array(struct pen *p);
/* Close the innermost array. */
void pen_array_end(struct pen *p);
/* The key of the next value: a literal without anything to escape. copies. */
void pen_key(struct pen *p, struct bytes name);
/* The same, as it stands in a document: the inside of a string. */
void pen_key_span(struct pen *p, const struct walk *w, struct walk_span name);
/* A string of text: escaped as needed, invalid UTF-8 becomes U+FFFD. copies. */
void pen_text(struct pen *p, struct bytes text);
/* A string whose inside is given as written in JSON. copies. */
void pen_string(struct pen *p, struct bytes inside);
/* The same, its inside a span of a document. */
void pen_span(struct pen *p, const struct walk *w, struct walk_span inside);
/* A value as it stands in a document; line ends in it become blanks, so that it fits a line of
 * an event. */
void pen_node(struct pen *p, const struct walk *w, struct node n);
/* One whole JSON value as given. copies. */
void pen_value(struct pen *p, struct bytes json);
/* An integer. */
void pen_int(struct pen *p, int64_t value);
/* true or false. */
void pen_bool(struct pen *p, bool value);
/* null. */
void pen_null(struct pen *p);

/* A string in parts: begin, any parts, end. */
void pen_begin(struct pen *p);
/* A part as written in JSON. */
void pen_part(struct pen *p, struct bytes inside);
/* A part that is text, escaped as needed. */
void pen_part_text(struct pen *p, struct bytes text);
/* A part as it stands in another string. */
void pen_part_span(struct pen *p, const struct walk *w, struct walk_span inside);
/* A whole value of a document, as text: its quotes, backslashes and controls escaped. */
void pen_part_node(struct pen *p, const struct walk *w, struct node n);
/* Its closing quote. */
void pen_end(struct pen *p);

/* The document that a string's inside is the text of (a tool's arguments), as a value: escapes
 * resolved, line ends in it blanks. False, and nothing is written: it is no JSON object. inside
 * may be empty: then {} is written. */
MUST_USE bool pen_inner(struct pen *p, const struct walk *w, struct walk_span inside);

/* The same where the text stands in several strings: it is checked, part by part, and then
 * written, part by part, behind pen_inner_begin(). No part is cut in an escape. */
struct pen_check { struct json json; enum net_rc rc; bool object, any; };   /* private */
/* Begin to check. */
void pen_check_begin(struct pen_check *c);
/* Check a part. */
void pen_check_part(struct pen_check *c, const struct walk *w, struct walk_span inside);
/* All parts are checked: they are a JSON object, or nothing. */
MUST_USE bool pen_check_end(struct pen_check *c);
/* The value begins whose parts follow. any: as the check says, there are some; else {} is
 * written. */
void pen_inner_begin(struct pen *p, const struct pen_check *c);
/* A part that was checked. */
void pen_inner_part(struct pen *p, const struct walk *w, struct walk_span inside);

#endif
