/* cases.h - the cases of other projects under tests/cases: rows of columns, their bytes
 * escaped so that a case is one line of text (tests/cases/README.md). */
#ifndef TESTS_UNIT_CASES_H
#define TESTS_UNIT_CASES_H

#include "net/bytes.h"

/* The whole of tests/cases/NAME, ended by NUL; the program ends where it cannot be read
 * (tests run from the root of the checkout). gives: free() it. */
char *cases_load(const char *name);

/* Cut the next line off *at and split it at each separator into exactly count columns.
 *   at       in/out: begins as what cases_load gave
 *   columns  out, borrows from the text
 * False at the end. A line of another number of columns ends the program. */
bool cases_next(const char **at, const char *separator, struct bytes *columns, size_t count);

/* The same for the rows "| FIRST | ... |" of a table in Markdown whose first column is one
 * of the given word; every other line is passed over. */
bool cases_answer(const char **at, const char *first, struct bytes *columns, size_t count);

/* Write what the escapes mean into out, which has room bytes. Gives the length. */
size_t cases_unescape(struct bytes text, char *out, size_t room);

/* Say a column in a test's message: printf's arguments for "%.*s". */
#define CASES_TEXT(column) (int)(column).len, (column).ptr

#endif
