/* wall.h - input for parsers under test: memory that ends at an unreadable page, so that one
 * byte read too far is a crash, and begins at one too. */
#ifndef TESTS_UNIT_WALL_H
#define TESTS_UNIT_WALL_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "net/bytes.h"

enum { WALL_PAGE = 4096 };

struct wall {
    char *room;   /* first usable byte */
    size_t size;  /* usable bytes, behind which the unreadable page lies */
};

/* Map at least size usable bytes, or end the program. */
static inline struct wall wall_open(size_t size)
{
    struct wall w = {0};
    w.size = (size / WALL_PAGE + 1) * WALL_PAGE;
    char *map = mmap(NULL, w.size + 2 * WALL_PAGE, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED ||
        mprotect(map + WALL_PAGE, w.size, PROT_READ | PROT_WRITE) != 0) {
        perror("wall_open");
        exit(1);
    }
    w.room = map + WALL_PAGE;
    return w;
}

/* Unmap; what wall_put gave is gone. */
static inline void wall_close(struct wall *w)
{
    munmap(w->room - WALL_PAGE, w->size + 2 * WALL_PAGE);
    *w = (struct wall){0};
}

/* The first byte that must not be read behind exactly size writable ones (whole pages), for
 * tests that lay each piece against it themselves; it stays until the program ends. */
static inline char *wall_end(size_t size)
{
    assert(size % WALL_PAGE == 0 && size > 0);
    struct wall w = wall_open(size - 1);
    assert(w.size == size);
    return w.room + size;
}

/* A copy of text whose end is the wall. One at a time. */
static inline struct bytes wall_put(const struct wall *w, struct bytes text)
{
    assert(text.len <= w->size);
    char *at = w->room + w->size - text.len;
    if (text.len > 0) memmove(at, text.ptr, text.len);
    return (struct bytes){at, text.len};
}

/* Say which row of a table the failing check belongs to. Text is shown escaped. */
static inline void wall_row(struct bytes text)
{
    fputs("    row: \"", stderr);
    for (size_t i = 0; i < text.len && i < 300; i++) {
        const unsigned char c = (unsigned char)text.ptr[i];
        if (c == '\r') fputs("\\r", stderr);
        else if (c == '\n') fputs("\\n", stderr);
        else if (c < 0x20 || c > 0x7e) fprintf(stderr, "\\x%02x", c);
        else fputc(c, stderr);
    }
    fputs("\"\n", stderr);
}

#endif
