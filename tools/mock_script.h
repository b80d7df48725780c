/* mock_script.h - what a model's name asks weir-mock to do: the words between its dashes,
 * behind any prefix, as in `mock-ttft200-tps50-n100`. The list is mock_script.def; words that
 * are not in it are ignored, so that real names work as they are. */
#ifndef TOOLS_MOCK_SCRIPT_H
#define TOOLS_MOCK_SCRIPT_H

#include "net/bytes.h"

enum script_word {
#define X(id, word, form, help) SCRIPT_##id,
#include "tools/mock_script.def"
#undef X
    SCRIPT_WORDS
};

struct script {                       /* all zero is the plain answer */
    uint64_t has;                     /* bit per word */
    uint32_t value[SCRIPT_WORDS];     /* behind the word; 0 where there is none */
    uint16_t status;                  /* <NNN>: 400..599; 0 none */
    uint8_t act;                      /* the last of stall, reset, cut, noend, error, garbage;
                                         SCRIPT_WORDS: none */
};

/* Read a model's name. *out is overwritten. */
void script_read(struct bytes model, struct script *out);
/* The list of words for --help, on stdout. */
void script_print(void);

/* True when the word was there. */
static inline bool script_has(const struct script *s, enum script_word word)
{
    return (s->has >> word & 1) != 0;
}

#endif
