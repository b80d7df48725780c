/* cases.c - reads tests/cases. The escapes are \\ \r \n \t \xHH and \*COUNT(TEXT), which
 * stands for TEXT that often; nothing else follows a backslash. A file that is not of this
 * form is a mistake of the checkout, so it ends the program. */
#include "tests/unit/cases.h"

#include <stdio.h>
#include <stdlib.h>

enum { FILE_MAX = 1 << 20 };

static _Noreturn void die(const char *why, struct bytes where)
{
    fprintf(stderr, "tests/cases: %s: %.*s\n", why, CASES_TEXT(where));
    exit(1);
}

char *cases_load(const char *name)
{
    char path[256];
    const int n = snprintf(path, sizeof(path), "tests/cases/%s", name);
    assert(n > 0 && (size_t)n < sizeof(path));
    FILE *file = fopen(path, "rb");
    if (!file) die("cannot be opened", bytes_of(path));
    char *text = calloc(1, FILE_MAX);
    assert(text != NULL);
    const size_t len = fread(text, 1, FILE_MAX, file);
    fclose(file);
    if (len == 0 || len == FILE_MAX) die("empty, or too large", bytes_of(path));
    return text;
}

/* The next line without its end; false at the end of the text. */
static bool line_next(const char **at, struct bytes *line)
{
    if (**at == '\0') return false;
    const char *end = strchr(*at, '\n');
    if (!end) die("the last line has no end", bytes_of(*at));
    *line = bytes_between(*at, end);
    *at = end + 1;
    return true;
}

static void split(struct bytes line, const char *separator, struct bytes *columns, size_t count)
{
    const struct bytes whole = line;
    const size_t len = strlen(separator);
    for (size_t i = 0; i < count; i++) {
        size_t n = 0;
        while (n + len <= line.len && memcmp(line.ptr + n, separator, len) != 0) n++;
        const bool last = n + len > line.len;
        if (last != (i + 1 == count)) die("another number of columns", whole);
        columns[i] = bytes_cut(&line, last ? line.len : n);
        if (!last) bytes_cut(&line, len);
    }
}

bool cases_next(const char **at, const char *separator, struct bytes *columns, size_t count)
{
    struct bytes line;
    assert(count > 0 && *separator != '\0');
    if (!line_next(at, &line)) return false;
    split(line, separator, columns, count);
    return true;
}

bool cases_answer(const char **at, const char *first, struct bytes *columns, size_t count)
{
    struct bytes line;
    assert(count > 1);
    while (line_next(at, &line)) {
        if (!bytes_starts(line, BYTES("| ")) || line.ptr[line.len - 1] != '|') continue;
        bytes_cut(&line, 2);
        if (!bytes_starts(line, bytes_of(first)) || line.ptr[strlen(first)] != ' ') continue;
        split((struct bytes){line.ptr, line.len - 2}, " | ", columns, count);
        return true;
    }
    return false;
}

static char hex_pair(struct bytes *text)
{
    char digits[3] = {0};
    if (text->len < 2) die("a short escape", *text);
    memcpy(digits, bytes_cut(text, 2).ptr, 2);
    char *end;
    const unsigned long value = strtoul(digits, &end, 16);
    if (end != digits + 2) die("no hexadecimal digits", bytes_of(digits));
    return (char)value;
}

/* Behind "\*": COUNT(TEXT), written count times to out. */
static size_t repeat(struct bytes *text, char *out, size_t room)
{
    uint64_t count = 0;
    if (!bytes_u64(bytes_cut(text, bytes_find(*text, '(')), &count)) die("no count", *text);
    const size_t close = bytes_find(*text, ')');
    if (close == text->len) die("no )", *text);
    const struct bytes what = {text->ptr + 1, close - 1};
    if (what.len == 0 || count > room / what.len) die("more than there is room for", what);
    for (uint64_t i = 0; i < count; i++) memcpy(out + i * what.len, what.ptr, what.len);
    bytes_cut(text, close + 1);
    return (size_t)count * what.len;
}

size_t cases_unescape(struct bytes text, char *out, size_t room)
{
    static const char plain[] = "\\rnt", means[] = "\\\r\n\t";
    size_t len = 0;
    while (text.len > 0) {
        if (len == room) die("more than there is room for", text);
        const char c = *bytes_cut(&text, 1).ptr;
        if (c != '\\') {
            out[len++] = c;
            continue;
        }
        if (text.len == 0) die("a backslash at the end", text);
        const char kind = *bytes_cut(&text, 1).ptr;
        const char *found = kind ? strchr(plain, kind) : NULL;
        if (found) out[len++] = means[found - plain];
        else if (kind == 'x') out[len++] = hex_pair(&text);
        else if (kind == '*') len += repeat(&text, out + len, room - len);
        else die("an unknown escape", (struct bytes){&kind, 1});
    }
    assert(len <= room);
    return len;
}
