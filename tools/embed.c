/* embed.c - a build-time program: files as C arrays.
 *
 *     embed NAME FILE [NAME FILE]... > out.c
 *
 * For each pair writes `const char NAME[]` (the bytes, then one NUL that is not counted; it
 * begins a cache line, so that a file of numbers can be read in place) and
 * `const size_t NAME_len`. An array of numbers, not a string literal: C11 section 5.2.4.1
 * promises literals of 4095 bytes only. Exits 0, 1 (a file cannot be read or the output not
 * written; nothing of use was written then) or 2 (usage). */
#include <assert.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { BYTES_A_LINE = 24 };

/* True for what may stand as an identifier. */
static bool is_identifier(const char *name)
{
    if (!isalpha((unsigned char)name[0]) && name[0] != '_') return false;
    for (const char *at = name; *at; at++) {
        if (!isalnum((unsigned char)*at) && *at != '_') return false;
    }
    return true;
}

/* Write one file as array name. False when it cannot be read. */
static bool embed(const char *name, FILE *in)
{
    assert(is_identifier(name));
    printf("\nextern const char %s[];\nextern const size_t %s_len;\n"
           "_Alignas(64) const char %s[] = {",
           name, name, name);
    size_t count = 0;
    for (int c = getc(in); c != EOF; c = getc(in)) {
        /* A character constant has the value of the char, whatever its signedness. */
        printf(c < 128 ? "%s%d," : "%s'\\x%x',", count % BYTES_A_LINE ? "" : "\n", c);
        count++;
    }
    printf("\n0};\nconst size_t %s_len = %zu;\n", name, count);
    return !ferror(in);
}

int main(int argc, char **argv)
{
    if (argc < 3 || argc % 2 == 0) {
        fputs("usage: embed NAME FILE [NAME FILE]...\n", stderr);
        return 2;
    }
    puts("/* Written by tools/embed.c. */\n#include <stddef.h>");
    for (int i = 1; i < argc; i += 2) {
        if (!is_identifier(argv[i])) {
            fprintf(stderr, "embed: %s: not an identifier\n", argv[i]);
            return 2;
        }
        FILE *in = fopen(argv[i + 1], "rb");
        bool good = in && embed(argv[i], in);
        if (in) fclose(in);
        if (!good) {
            fprintf(stderr, "embed: %s: cannot be read\n", argv[i + 1]);
            return 1;
        }
    }
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
