/* words.c - a build-time program: the table that features.c looks keywords up in.
 *
 *     words route/words.txt > out.c
 *
 * Reads `GROUP word word ...` lines and writes `const struct word_place word_table[]`, hashed
 * by route/word.h. Exits 1 with a sentence for a group that words.def does not have, a word
 * that stands twice, two words that cannot be told apart, or a place that is full. */
#include "route/word.h"

#include <stdio.h>

enum { LINE_MAX_BYTES = 256, WORDS_MAX = 1024 };

static const char *const group_name[] = {
    NULL,
#define G(name, feature) #name,
#include "route/words.def"
#undef G
};

struct table {
    struct word_place at[WORD_PLACES];
    uint64_t hash[WORDS_MAX];
    unsigned count;
};

static int refuse(const char *what, const char *word)
{
    (void)fprintf(stderr, "words: %s: %s\n", word, what);
    return 1;
}

/* Put one word into the table; 0, or 1 and a sentence. */
static int put(struct table *t, const char *word, unsigned group)
{
    char text[LINE_MAX_BYTES + WORD_READ] = {0};
    (void)snprintf(text, sizeof text, "%s", word);
    uint64_t hash = word_hash(text, strlen(word));
    if (t->count == WORDS_MAX) return refuse("too many words", word);
    struct word_place *p = &t->at[word_place(hash)];
    for (unsigned i = 0; i < t->count; i++) {
        if (t->hash[i] == hash) return refuse("stands twice", word);
    }
    t->hash[t->count++] = hash;
    for (unsigned i = 0; i < WORD_SHARED; i++) {
        if (p->tag[i] == word_tag(hash)) return refuse("cannot be told from another", word);
        if (p->tag[i]) continue;
        p->tag[i] = word_tag(hash);
        p->group[i] = (uint8_t)group;
        return 0;
    }
    return refuse("its place is full: change a constant of word_hash", word);
}

/* Take one line of the list; 0, or 1 and a sentence. */
static int take_line(struct table *t, char *line)
{
    char *rest = line;
    unsigned group = 0;
    for (char *word; (word = strsep(&rest, " \n")) != NULL;) {
        if (!*word) continue;
        if (group == 0) {
            for (unsigned i = 1; i < COUNT(group_name); i++) {
                if (strcmp(word, group_name[i]) == 0) group = i;
            }
            if (group == 0) return refuse("no such group", word);
        } else if (put(t, word, group)) {
            return 1;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    static struct table t;
    char line[LINE_MAX_BYTES];
    FILE *in = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (!in) return refuse("cannot be read", argc == 2 ? argv[1] : "usage: words FILE");
    int rc = 0;
    while (rc == 0 && fgets(line, sizeof line, in)) {
        if (!strchr(line, '\n')) rc = refuse("the line is too long", line);
        else if (line[0] != '#') rc = take_line(&t, line);
    }
    (void)fclose(in);
    if (rc) return rc;
    (void)puts("/* Written by tools/words.c. */\n#include \"route/word.h\"\n\n"
               "extern const struct word_place word_table[WORD_PLACES];\n"
               "const struct word_place word_table[WORD_PLACES] = {");
    for (unsigned i = 0; i < WORD_PLACES; i++) {
        const struct word_place *p = &t.at[i];
        (void)printf("{{%u, %u, %u, %u}, {%u, %u, %u, %u}},\n", p->tag[0], p->tag[1],
                     p->tag[2], p->tag[3], p->group[0], p->group[1], p->group[2], p->group[3]);
    }
    (void)puts("};");
    return fflush(stdout) == 0 ? 0 : 1;
}
