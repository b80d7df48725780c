/* train.c - makes route/gain.weights.
 *
 *     zcat train.jsonl.gz | train [--seed N] OUT
 *
 * Takes the rows of split train whose licence allows weights that ship (use = train) and that
 * have a strong and a weak model; says how many of each source. The same rows and seed give
 * the same bytes. Exits 0, 1 (nothing to train on, or OUT cannot be written), 2 (usage). */
#include <stdio.h>

#include "tools/train/fit.h"
#include "tools/train/rows.h"
#include "route/weights.h"

#include <stdlib.h>

/* The rows that the shipped weights are made of; prints how many of each source. */
static size_t choose_rows(const struct rows *r, size_t *at)
{
    size_t count = 0, of[ROWS_NAMES_MAX] = {0};
    for (size_t i = 0; i < r->count; i++) {
        const struct row *row = &r->at[i];
        if (row->split != ROWS_SPLIT_TRAIN || !row->may_train || !row->paired) continue;
        of[row->source]++;
        at[count++] = i;
    }
    for (unsigned i = 0; i < r->name_count; i++) {
        struct bytes name = r->name[i];
        if (of[i]) (void)printf("%-18.*s %6zu rows\n", (int)name.len, name.ptr, of[i]);
    }
    return count;
}

static int usage(void)
{
    (void)fputs("usage: zcat train.jsonl.gz | train [--seed N] OUT\n", stderr);
    return 2;
}

int main(int argc, char **argv)
{
    static struct rows rows;
    static struct gain_model model;
    struct fit_options options = fit_usual;
    if (argc == 4 && strcmp(argv[1], "--seed") == 0) {
        if (!bytes_u64(bytes_of(argv[2]), &options.seed)) return usage();
    } else if (argc != 2) {
        return usage();
    }
    rows_read(&rows, stdin);
    size_t *at = calloc(rows.count + 1, sizeof *at);
    struct fit_sample *samples = calloc(rows.count + 1, sizeof *samples);
    size_t count = at && samples ? choose_rows(&rows, at) : 0;
    if (count == 0) {
        (void)fputs("train: no rows to train on\n", stderr);
        return 1;
    }
    fit_targets(&rows, at, count, samples);
    fit_weights(samples, count, &options, &model);
    FILE *out = fopen(argv[argc - 1], "wb");
    bool good = out && fwrite(&model, sizeof model, 1, out) == 1;
    if (out && fclose(out) != 0) good = false;
    if (!good) (void)fprintf(stderr, "train: %s: cannot be written\n", argv[argc - 1]);
    else (void)printf("%zu bytes, id %08x\n", sizeof model, model.id);
    return good ? 0 : 1;
}
