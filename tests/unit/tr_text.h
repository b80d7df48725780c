/* tr_text.h - what both halves of tr_props.h share: text that grows, the end of a program whose
 * property does not hold, the dialects there are, room for indexes. */
#ifndef TESTS_UNIT_TR_TEXT_H
#define TESTS_UNIT_TR_TEXT_H

#include "net/json_index.h"
#include "net/translate/ask.h"

#define MUST(truth) text_must(truth, #truth, __FILE__, __LINE__)
/* What must be true: if it is not, it is shown, and the program ends. */
void text_must(bool truth, const char *what, const char *file, int line);

struct text {                /* all zero is an empty one */
    char *at;
    size_t len, room;
};
/* Append bytes, copied. */
void text_put(struct text *t, struct bytes b);
/* Append what printf() would print, 511 bytes of it at most. */
void text_putf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Append the inside of a JSON string, escapes resolved, line ends as blanks. */
void text_put_plain(struct text *t, struct bytes inside);
/* All of it, borrowed until the next call. */
struct bytes text_of(const struct text *t);
/* Its memory: it is empty again. */
void text_free(struct text *t);
/* Both must be the same: if not, both are shown, and the program ends. */
void text_same(const char *what, const struct text *a, const struct text *b);

enum { PROPS_APIS = 6 };
extern const enum api props_apis[PROPS_APIS];

/* Room for the index of a document, 0 or 1: each that is looked into at one time has its
 * own. */
struct json_index *props_index(unsigned which);

#endif
