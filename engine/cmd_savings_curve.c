/* cmd_savings_curve.c - the arithmetic of `weir savings`: what a month costs at list prices, in
 * exact integers, and how much quality is kept when the tokens with the highest expected gain
 * go to the strong model and the others to the weak one.
 *
 * Quality is measured per task on the outcomes of its source's pair: q(s) / S, where q(s) is
 * the mean outcome with share s on the strong model and S that of the strong model alone; a
 * mix is the mean over its measured tasks by tokens. The interval comes from drawing each
 * task's rows again with replacement (bootstrap), by numbers that are the same at every run. */
#include "engine/cmd_savings.h"

#include <stdlib.h>

#include "engine/conf.h"

enum {
    PICO_PER_NANO = 1000,
    ROW = 1000000000,            /* a whole row, or all of a task, where parts are counted */
};
static const uint64_t weight_of_all = 1000000000000000;     /* of a mix's tokens */

/* ---- money ---- */

uint64_t savings_part(uint64_t whole, uint64_t part, uint64_t of)
{
    assert(of > 0);
    __extension__ unsigned __int128 wide = whole;
    wide = wide * part / of;
    return wide > UINT64_MAX ? UINT64_MAX : (uint64_t)wide;
}

int64_t savings_cost(const struct price *p, uint64_t input, uint64_t output,
                     uint64_t prompt_tokens)
{
    const int64_t *kind = price_kinds(p, prompt_tokens);
    assert(kind[PRICE_INPUT] >= 0 && kind[PRICE_OUTPUT] >= 0);
    __extension__ unsigned __int128 sum = input, out = output;
    sum = sum * (uint64_t)kind[PRICE_INPUT] + out * (uint64_t)kind[PRICE_OUTPUT];
    sum = (sum + PICO_PER_NANO / 2) / PICO_PER_NANO;
    return sum > INT64_MAX ? INT64_MAX : (int64_t)sum;
}

int64_t savings_task_cost(const struct savings *s, const struct savings_task *t,
                          const struct price *p)
{
    uint64_t tokens = savings_part(s->tokens, t->share, SAVINGS_ONE);
    uint64_t all = t->prompt + t->answer;
    uint64_t input = all ? savings_part(tokens, t->prompt, all)
                         : savings_part(tokens, s->input, SAVINGS_ONE);
    assert(input <= tokens);
    return savings_cost(p, input, tokens - input, t->prompt);
}

int64_t savings_mix_cost(const struct savings *s, const struct savings_mix *mix,
                         const struct price *p)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < mix->task_count; i++) {
        sum += savings_task_cost(s, &mix->task[i], p);
    }
    return sum;
}

int64_t savings_share_at(int64_t budget, int64_t dear, int64_t cheap)
{
    assert(budget >= 0 && dear >= 0 && cheap >= 0);
    if (cheap > budget) return -1;
    if (dear <= budget) return SAVINGS_ONE;
    return (int64_t)savings_part((uint64_t)(budget - cheap), SAVINGS_ONE,
                                 (uint64_t)(dear - cheap));
}

const struct price *savings_price(const struct savings *s, const char *id)
{
    int32_t found = catalog_find(s->catalog, bytes_of(id));
    const struct price *p = NULL;
    if (found >= 0) p = price_at(&s->catalog->model[found].price, s->now_unix_s);
    return p && p->known ? p : NULL;
}

/* ---- order ---- */

struct placed { uint64_t tie; uint32_t row; uint16_t gain; };

static int by_gain(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    if (x->gain != y->gain) return x->gain > y->gain ? -1 : 1;
    if (x->tie != y->tie) return x->tie < y->tie ? -1 : 1;
    return x->row < y->row ? -1 : 1;
}

bool savings_sort(struct savings_mix *mix)
{
    struct placed *placed = malloc((mix->row_count + 1) * sizeof *placed);
    mix->order = malloc((mix->row_count + 1) * sizeof *mix->order);
    if (placed && mix->order) {
        for (uint32_t i = 0; i < mix->row_count; i++) {
            placed[i] = (struct placed){mix->row[i].tie, i, mix->row[i].gain};
        }
        qsort(placed, mix->row_count, sizeof *placed, by_gain);
        for (uint32_t i = 0; i < mix->row_count; i++) mix->order[i] = placed[i].row;
    }
    free(placed);
    return placed && mix->order;
}

/* ---- quality ---- */

/* Sums of one task's rows, each counted as often as it was drawn. */
struct sums {
    int64_t strong;              /* outcomes of the strong model on all measured rows */
    int64_t mixed;               /* with the strong model where it was chosen */
    uint64_t on_strong;          /* rows on the strong model, in 1/ROW */
    uint32_t drawn, measured;
};

/* Which rows are on the strong model: those of the highest gain until share of the tokens is
 * used up, or (by_choice) those whose chosen model is a flagship. */
struct split {
    uint64_t share;
    bool by_choice;
};

static bool is_flagship(const struct savings *s, const struct savings_row *row)
{
    if (!row->chosen) return true;    /* nothing cheaper could be found for it */
    const char *id = s->catalog->model[row->model].id;
    for (uint32_t i = 0; i < s->flagship_count; i++) {
        if (strcmp(s->flagship[i], id) == 0) return true;
    }
    return false;
}

/* Go through the rows in order of gain; times[row]: how often each was drawn, NULL: once. */
static void sum_up(const struct savings *s, const struct savings_mix *mix, struct split split,
                   const uint16_t *times, struct sums *sums)
{
    /* Weight of a row: its task's share over the task's rows. */
    uint64_t left = savings_part(split.share, weight_of_all, SAVINGS_ONE);
    for (uint32_t t = 0; t < mix->task_count; t++) sums[t] = (struct sums){0};
    for (uint32_t i = 0; i < mix->row_count; i++) {
        uint32_t at = mix->order[i], n = times ? times[at] : 1;
        const struct savings_row *row = &mix->row[at];
        const struct savings_task *task = &mix->task[mix->task_of[at]];
        struct sums *sum = &sums[mix->task_of[at]];
        uint64_t each = task->share * (weight_of_all / SAVINGS_ONE) / task->count;
        uint64_t weight = each * n, took = weight < left ? weight : left;
        if (split.by_choice) took = is_flagship(s, row) ? weight : 0;
        else if (split.share == SAVINGS_ONE) took = weight;   /* what division left over too */
        else left -= took;
        uint64_t part = savings_part(took, ROW, each);
        assert(part <= (uint64_t)ROW * n);
        sum->drawn += n;
        sum->on_strong += part;
        if (row->strong < 0 || row->weak < 0) continue;
        sum->measured += n;
        sum->strong += (int64_t)n * row->strong;
        uint64_t rest = (uint64_t)ROW * n - part;
        sum->mixed += (int64_t)savings_part(part, (uint64_t)row->strong, ROW) +
                      (int64_t)savings_part(rest, (uint64_t)row->weak, ROW);
    }
}

/* The mean over measured tasks, by tokens. SAVINGS_UNKNOWN: none is. */
static int32_t kept_of(const struct savings_mix *mix, const struct sums *sums)
{
    uint64_t shares = 0;
    int64_t kept = 0;
    for (uint32_t t = 0; t < mix->task_count; t++) {
        if (sums[t].strong <= 0) continue;
        shares += mix->task[t].share;
        uint64_t its = savings_part((uint64_t)sums[t].mixed, SAVINGS_ONE,
                                    (uint64_t)sums[t].strong);
        kept += (int64_t)savings_part(its, mix->task[t].share, 1000);
    }
    return shares ? (int32_t)(kept * 1000 / (int64_t)shares) : SAVINGS_UNKNOWN;
}

/* xorshift64*: the interval is the same at every run. */
static uint64_t draw(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545F4914F6CDD1Du;
}

static int ascending(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static void interval(const struct savings *s, const struct savings_mix *mix,
                     struct split split, struct savings_quality *out)
{
    int32_t kept[SAVINGS_RESAMPLES];
    struct sums sums[SAVINGS_TASKS_MAX];
    uint64_t state = 0x9E3779B97F4A7C15u;
    uint16_t *times = calloc(mix->row_count + 1, sizeof *times);
    if (!times || out->kept == SAVINGS_UNKNOWN) {
        free(times);
        return;
    }
    for (uint32_t i = 0; i < SAVINGS_RESAMPLES; i++) {
        memset(times, 0, mix->row_count * sizeof *times);
        for (uint32_t t = 0; t < mix->task_count; t++) {
            const struct savings_task *task = &mix->task[t];
            for (uint32_t n = 0; n < task->count; n++) {
                uint64_t at = task->first + (draw(&state) >> 16) % task->count;
                if (times[at] < UINT16_MAX) times[at]++;
            }
        }
        sum_up(s, mix, split, times, sums);
        kept[i] = kept_of(mix, sums);
    }
    qsort(kept, SAVINGS_RESAMPLES, sizeof kept[0], ascending);
    out->low = kept[SAVINGS_RESAMPLES / 40];
    out->high = kept[SAVINGS_RESAMPLES - 1 - SAVINGS_RESAMPLES / 40];
    free(times);
}

/* Share of a task's tokens that is on the strong model, in 1/ROW. */
static uint64_t strong_part(const struct sums *sum)
{
    return sum->drawn ? sum->on_strong / sum->drawn : 0;
}

void savings_cost_at(const struct savings *s, const struct savings_mix *mix,
                     const struct price *strong, const struct price *cheap, uint64_t share,
                     struct savings_point *out)
{
    struct sums sums[SAVINGS_TASKS_MAX];
    struct split split = {.share = share};
    *out = (struct savings_point){.share = share,
        .quality = {SAVINGS_UNKNOWN, SAVINGS_UNKNOWN, SAVINGS_UNKNOWN}};
    assert(share <= SAVINGS_ONE);
    sum_up(s, mix, split, NULL, sums);
    for (uint32_t t = 0; t < mix->task_count; t++) {
        uint64_t part = strong_part(&sums[t]);
        uint64_t dear = (uint64_t)savings_task_cost(s, &mix->task[t], strong);
        uint64_t low = (uint64_t)savings_task_cost(s, &mix->task[t], cheap);
        out->cost += (int64_t)(savings_part(dear, part, ROW) +
                               savings_part(low, ROW - part, ROW));
    }
    out->quality.kept = kept_of(mix, sums);
}

void savings_point_at(const struct savings *s, const struct savings_mix *mix,
                      const struct price *strong, const struct price *cheap, uint64_t share,
                      struct savings_point *out)
{
    struct split split = {.share = share};
    savings_cost_at(s, mix, strong, cheap, share, out);
    interval(s, mix, split, &out->quality);
}

void savings_auto_of(const struct savings *s, const struct savings_mix *mix,
                     struct savings_auto *out)
{
    struct sums sums[SAVINGS_TASKS_MAX];
    struct split split = {.by_choice = true};
    uint64_t shares = 0, strong = 0, of_nano = 0;
    *out = (struct savings_auto){.quality = {SAVINGS_UNKNOWN, SAVINGS_UNKNOWN,
                                             SAVINGS_UNKNOWN}};
    sum_up(s, mix, split, NULL, sums);
    for (uint32_t t = 0; t < mix->task_count; t++) {
        shares += mix->task[t].share;
        strong += savings_part(mix->task[t].share, strong_part(&sums[t]), ROW);
    }
    for (uint32_t i = 0; i < mix->row_count; i++) {
        const struct savings_row *row = &mix->row[i];
        const struct savings_task *t = &mix->task[mix->task_of[i]];
        if (!row->chosen) {
            out->nothing += t->share / t->count;
            continue;
        }
        const struct price *p = price_at(&s->catalog->model[row->model].price, s->now_unix_s);
        assert(p);
        uint64_t cost = (uint64_t)savings_task_cost(s, t, p);
        out->cost += (int64_t)(cost / t->count);
        of_nano += cost % t->count * PICO_PER_NANO / t->count;
    }
    out->cost += (int64_t)((of_nano + PICO_PER_NANO / 2) / PICO_PER_NANO);
    out->share = shares ? strong * SAVINGS_ONE / shares : 0;
    out->quality.kept = kept_of(mix, sums);
    interval(s, mix, split, &out->quality);
}
