/* mock_script.c - see mock_script.h. */
#include "tools/mock_script.h"

#include <stdio.h>

enum { VALUE_MAX = 1000000000 };

static const struct row {
    struct bytes word;
    const char *form, *help;
} rows[SCRIPT_WORDS] = {
#define X(id, word, form, help) [SCRIPT_##id] = {BYTES_INIT(word), form, help},
#include "tools/mock_script.def"
#undef X
};

static_assert(SCRIPT_WORDS <= 64, "struct script has a bit for each");

static bool is_act(enum script_word word)
{
    switch (word) {
    case SCRIPT_STALL: case SCRIPT_RESET: case SCRIPT_CUT: case SCRIPT_NOEND: case SCRIPT_ERROR:
    case SCRIPT_GARBAGE:
        return true;
    default: return false;
    }
}

/* One word: its row fits when what is left behind it is what the row's form wants. */
static void read_word(struct bytes word, struct script *out)
{
    uint64_t value = 0;
    if (word.len == 3 && bytes_u64(word, &value) && value >= 400 && value <= 599) {
        out->status = (uint16_t)value;
        return;
    }
    for (unsigned i = 0; i < SCRIPT_WORDS; i++) {
        const struct row *row = &rows[i];
        if (*row->word.ptr != *word.ptr || !bytes_starts(word, row->word)) continue;
        struct bytes rest = {word.ptr + row->word.len, word.len - row->word.len};
        bool bare = rest.len == 0;
        value = 0;
        if (bare ? *row->form == 'K' : !*row->form || !bytes_u64(rest, &value)) continue;
        if (bare && i == SCRIPT_REASONING) value = 4;
        out->has |= 1ull << i;
        out->value[i] = (uint32_t)(value < VALUE_MAX ? value : VALUE_MAX);
        if (is_act((enum script_word)i)) out->act = (uint8_t)i;
        return;
    }
}

void script_read(struct bytes model, struct script *out)
{
    *out = (struct script){.act = SCRIPT_WORDS};
    bytes_cut(&model, bytes_find(model, '-'));  /* the prefix is no word */
    while (model.len > 0) {
        bytes_cut(&model, 1);
        struct bytes word = bytes_cut(&model, bytes_find(model, '-'));
        if (word.len > 0) read_word(word, out);
    }
    assert(out->act <= SCRIPT_WORDS);
}

void script_print(void)
{
    (void)printf("  %-12s %s\n", "<NNN>", "answers with this status, 400 to 599");
    for (unsigned i = 0; i < SCRIPT_WORDS; i++) {
        char word[32];
        (void)snprintf(word, sizeof word, "%s%s", rows[i].word.ptr, rows[i].form);
        (void)printf("  %-12s %s\n", word, rows[i].help);
    }
}
