/* cmd_savings.h - what the parts of `weir savings` share; cmd.h is what others see.
 *
 *   description (YAML) -> mixes of tasks (cmd_savings_read)
 *     -> prompts, with outcomes where anybody measured them (cmd_savings_rows)
 *     -> the router's gain and choice for each of them (cmd_savings_ask)
 *     -> cost and quality kept at every premium share (cmd_savings_curve)
 *     -> tables (cmd_savings), a plot (cmd_savings_svg)
 *
 * Rule: all of it is integers and the same at every run; nothing is estimated that can be
 * measured, and what nobody measured is "-". Shares, scores and qualities are millionths
 * (SAVINGS_ONE), money is nano-dollars. */
#ifndef ENGINE_CMD_SAVINGS_H
#define ENGINE_CMD_SAVINGS_H

#include "engine/conf_parts.h"
#include "route/catalog.h"

enum {
    SAVINGS_ONE = 1000000,
    SAVINGS_FLAGSHIPS_MAX = 8, SAVINGS_MIXES_MAX = 6, SAVINGS_TASKS_MAX = 24,
    SAVINGS_POINTS = 21,         /* premium shares of the frontier: 0, 5, ... 100 % */
    SAVINGS_RESAMPLES = 400,     /* of the outcomes, for an interval */
    SAVINGS_UNKNOWN = -1,
};

struct savings_row {             /* a prompt */
    struct bytes prompt;         /* a JSON string's content, as written; borrows */
    struct bytes tools;          /* JSON, or empty; borrows */
    struct bytes source;         /* borrows */
    struct bytes scores;         /* JSON, an object of outcomes by model, or empty; borrows */
    uint64_t tie;                /* orders equal gains, by the row's id alone */
    int32_t strong, weak;        /* outcome of the task's pair, or SAVINGS_UNKNOWN */
    uint32_t model;              /* what auto chose: index of the catalogue */
    uint16_t gain;
    bool chosen;                 /* there is a model */
};

struct savings_rows {            /* malloc's */
    struct savings_row *row;
    uint32_t count, room;
    char *text;                  /* what the rows borrow from */
    struct savings_rows *next;
};

struct savings_task {
    struct conf_mark at;
    struct bytes name;
    struct bytes outcomes;       /* a source of the outcome rows; empty: none */
    struct bytes prompts;        /* a file of JSON Lines; empty: none */
    struct bytes text;           /* one prompt, written out; empty: none */
    struct bytes strong, weak;   /* names in the outcomes; empty: the source's usual pair */
    uint64_t share;              /* of the mix's tokens, millionths */
    uint64_t prompt, answer;     /* tokens of a request; 0: as the whole file's input share */
    struct savings_row *row;     /* its prompts */
    uint32_t first, count;       /* of the mix's rows */
    uint32_t measured;           /* of them with an outcome */
};

struct savings_mix {
    const char *name;
    struct savings_task task[SAVINGS_TASKS_MAX];
    uint32_t task_count;
    struct savings_row *row;     /* of all tasks, malloc's; sorted by cmd_savings_curve */
    uint32_t *order;             /* indexes of row, highest gain first; malloc's */
    uint8_t *task_of;            /* of each row; malloc's */
    uint32_t row_count;
};

struct savings_quality {         /* kept, of what always taking the strong model gives */
    int32_t kept, low, high;     /* millionths; SAVINGS_UNKNOWN. low, high: 95 % */
};

struct savings_point {
    uint64_t share;              /* of tokens that go to the strong model */
    int64_t cost;                /* nano-dollars a month */
    struct savings_quality quality;
};

struct savings_auto {            /* what the router did with a mix */
    int64_t cost;
    uint64_t share;              /* of tokens that went to a flagship */
    uint64_t nothing;            /* of tokens for which no model was found */
    struct savings_quality quality;
};

struct savings {
    struct conf_reader *r;
    uint64_t tokens;             /* a month */
    uint64_t input;              /* share of them */
    int64_t budget;              /* nano-dollars a month; 0: none asked about */
    const char *flagship[SAVINGS_FLAGSHIPS_MAX];
    const char *cheap[SAVINGS_FLAGSHIPS_MAX];
    uint32_t flagship_count, cheap_count;
    struct bytes candidates[SAVINGS_FLAGSHIPS_MAX * 4];
    uint32_t candidate_count;
    struct bytes mode, floor;    /* of auto; empty: the default */
    struct savings_mix mix[SAVINGS_MIXES_MAX];
    uint32_t mix_count;
    struct conf *conf;           /* the catalogue the description asks for */
    const struct catalog *catalog;
    struct scores *scores;       /* of it, with nothing learned */
    struct savings_rows *rows;   /* files that were read */
    uint64_t now_unix_s;
};

/* ---- reading ---- */

/* Read the description in s->r. False: reported to its diagnostics. */
MUST_USE bool savings_read(struct savings *s);
/* Read JSON Lines, plain or (.gz) through gzip. Gives
 * *out (savings_rows_free) and true; or false and *why a sentence of static text. */
MUST_USE bool savings_rows_open(const char *path, struct savings_rows **out, const char **why);
/* Parse the text of such a file; takes text (malloc's), which *out keeps. */
MUST_USE bool savings_rows_parse(char *text, size_t len, struct savings_rows **out,
                                 const char **why);
/* Write a prompt as a line of such a file. room: 6 times its length and 64 more. Gives the
 * length. */
size_t savings_line(struct bytes prompt, char *out, size_t room);
/* Free rows and what follows them; NULL is fine. */
void savings_rows_free(struct savings_rows *rows);
/* Find the outcomes of two models in a row's scores; both empty: of its source's usual pair. */
void savings_outcome(struct savings_row *row, struct bytes strong, struct bytes weak);
/* A decimal number from 0 to 1 in millionths, further digits cut; SAVINGS_UNKNOWN: none. */
int32_t savings_score(struct bytes text);

/* ---- the router ---- */

/* Make the catalogue of all models named. False: said on stderr. */
MUST_USE bool savings_open(struct savings *s);
/* Free it and what asking took. */
void savings_close(struct savings *s);
/* Ask the router for gain and choice of each row of a mix. */
void savings_ask(struct savings *s, struct savings_mix *mix);

/* ---- arithmetic ---- */

/* whole * part / of, rounded down, without overflow on the way; of > 0. Saturates. */
uint64_t savings_part(uint64_t whole, uint64_t part, uint64_t of);
/* What so many tokens cost a month, in nano-dollars, half up. */
int64_t savings_cost(const struct price *p, uint64_t input, uint64_t output,
                     uint64_t prompt_tokens);
/* The same for a task of the description at a model's price. */
int64_t savings_task_cost(const struct savings *s, const struct savings_task *t,
                          const struct price *p);
/* All tasks of a mix at one model's price. */
int64_t savings_mix_cost(const struct savings *s, const struct savings_mix *mix,
                         const struct price *p);
/* The share of tokens, in millionths rounded down, that may go to the dearer model so that the
 * month costs at most budget; SAVINGS_ONE where all may, -1 where not even none. */
int64_t savings_share_at(int64_t budget, int64_t dear, int64_t cheap);
/* Sort a mix's rows by gain. False: out of memory. */
MUST_USE bool savings_sort(struct savings_mix *mix);
/* Cost and quality with the share of tokens that has the highest gain on the strong model. */
void savings_point_at(const struct savings *s, const struct savings_mix *mix,
                      const struct price *strong, const struct price *cheap, uint64_t share,
                      struct savings_point *out);
/* The same without the quality's interval, which takes longest. */
void savings_cost_at(const struct savings *s, const struct savings_mix *mix,
                     const struct price *strong, const struct price *cheap, uint64_t share,
                     struct savings_point *out);
/* What the router chose: its cost, and the quality kept; every choice but a flagship counts as
 * the weak model. */
void savings_auto_of(const struct savings *s, const struct savings_mix *mix,
                     struct savings_auto *out);
/* The price of a model now; NULL: unknown. Borrows. */
const struct price *savings_price(const struct savings *s, const char *id);
/* Write the plot. 0 or -errno. */
MUST_USE int savings_svg(const struct savings *s, const char *path);

#endif
