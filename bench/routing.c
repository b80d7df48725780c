/* routing.c - what the expected gain is worth, on outcomes of real models.
 *
 *     zcat train.jsonl.gz dev.jsonl.gz | routing [SEEDS]
 *
 * Each source of the data has a strong and a weak model. Requests are sorted by score, the
 * first k go to the strong one: APGR is the area under the share of the quality gap that is
 * won, over k (0.5 is chance); CPT50 and CPT80 are the shares of requests that win 50 % and
 * 80 % of it. Definitions: the data's metrics.py.
 * Model: features and score are the product's own code; labels of a question that is tested
 * are never trained on, nor is the same question from another source (folds go by its key).
 * Rule: beside each figure stand chance, the prompt's length alone and the task rule alone; an
 * interval of 95 % comes from 10 ways to fold, or from resampling the questions. */
#include <stdio.h>

#include "route/gain.h"
#include "route/weights.h"
#include "tools/train/fit.h"
#include "tools/train/rows.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

enum { SEEDS = 10, FOLDS = 5, LABELS = 300, DRAWS = 10, RESAMPLES = 200, SEEDS_MAX = 100 };

struct item { double score; uint32_t tie; float strong, weak; };

struct figures { double apgr, cpt50, cpt80; };

struct bench {
    struct rows rows;
    size_t *train;              /* indexes of the rows in hand */
    struct fit_sample *sample;
    struct item *item, *copy;
    float *score;               /* of each row */
    unsigned seeds;
};

static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t z = a ^ (b + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 31) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 32;
}

/* --- metrics */

static int by_score(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    if (x->score < y->score || x->score > y->score) return x->score > y->score ? -1 : 1;
    return x->tie < y->tie ? -1 : x->tie > y->tie;
}

/* First share of requests at which won reaches goal. */
static double reached(double before, double won, double goal, size_t k, size_t n)
{
    double part = won > before ? (goal - before) / (won - before) : 1;
    return ((double)k + part) / (double)n;
}

static struct figures figures_of(struct item *item, size_t n)
{
    struct figures f = {0, 0, 0};
    double all = 0, won = 0;
    for (size_t i = 0; i < n; i++) all += (double)(item[i].strong - item[i].weak);
    qsort(item, n, sizeof *item, by_score);
    for (size_t i = 0; i < n; i++) {
        double before = won;
        won += (double)(item[i].strong - item[i].weak) / all;
        f.apgr += (before + won) / 2 / (double)n;
        if (f.cpt50 <= 0 && won >= 0.5) f.cpt50 = reached(before, won, 0.5, i, n);
        if (f.cpt80 <= 0 && won >= 0.8) f.cpt80 = reached(before, won, 0.8, i, n);
    }
    return f;
}

struct spread { double mean, half; };   /* half of the interval of 95 % */

static struct spread spread_of(const double *v, unsigned n)
{
    double sum = 0, squares = 0;
    for (unsigned i = 0; i < n; i++) sum += v[i], squares += v[i] * v[i];
    double mean = sum / n, variance = n > 1 ? (squares - sum * mean) / (n - 1) : 0;
    return (struct spread){mean, 1.96 * sqrt(fmax(0, variance))};
}

/* What resampling the questions moves APGR by. */
static double resampled(struct bench *b, size_t n)
{
    double apgr[RESAMPLES];
    uint64_t state = 1;
    for (unsigned r = 0; r < RESAMPLES; r++) {
        for (size_t i = 0; i < n; i++) {
            b->copy[i] = b->item[(state = mix(state, i)) % n];
            b->copy[i].tie = (uint32_t)i;
        }
        apgr[r] = figures_of(b->copy, n).apgr;
    }
    return spread_of(apgr, RESAMPLES).half;
}

/* --- rows and scores */

typedef bool (*row_filter)(const struct row *row, uint16_t name);

static bool of_source(const struct row *row, uint16_t name)
{
    return row->paired && row->source == name;
}

static bool of_source_dev(const struct row *row, uint16_t name)
{
    return of_source(row, name) && row->split == ROWS_SPLIT_DEV;
}

/* Items of the rows that fit, with the scores in b->score. */
static size_t items(struct bench *b, row_filter fits, uint16_t name)
{
    size_t n = 0;
    for (size_t i = 0; i < b->rows.count; i++) {
        const struct row *r = &b->rows.at[i];
        if (!fits(r, name)) continue;
        b->item[n++] = (struct item){(double)b->score[i], r->tie, r->strong, r->weak};
    }
    return n;
}

static float score_with(const struct gain_model *m, const struct gain_tenant *t,
                        const struct row *row)
{
    struct gain gain;
    gain_score(m, t, &row->features, &gain);
    return gain.exact;
}

static void score_all(struct bench *b, const struct gain_model *m)
{
    for (size_t i = 0; i < b->rows.count; i++) {
        b->score[i] = score_with(m, NULL, &b->rows.at[i]);
    }
}

static void score_length(struct bench *b)
{
    for (size_t i = 0; i < b->rows.count; i++) b->score[i] = (float)b->rows.at[i].prompt.len;
}

/* Fit to the rows in b->train. */
static void fit(struct bench *b, size_t count, uint64_t seed, struct gain_model *out)
{
    struct fit_options o = fit_usual;
    o.seed = seed + 1;
    fit_targets(&b->rows, b->train, count, b->sample);
    fit_weights(b->sample, count, &o, out);
}

static double rule_apgr(struct bench *b, row_filter fits, uint16_t name)
{
    static const struct gain_model nothing;
    score_all(b, &nothing);
    size_t n = items(b, fits, name);
    return figures_of(b->item, n).apgr;
}

static double length_apgr(struct bench *b, row_filter fits, uint16_t name)
{
    score_length(b);
    size_t n = items(b, fits, name);
    return figures_of(b->item, n).apgr;
}

/* --- 1: trained on four fifths of the same source */

static struct figures fold_once(struct bench *b, uint16_t source, unsigned seed)
{
    static struct gain_model m;
    for (unsigned fold = 0; fold < FOLDS; fold++) {
        size_t count = 0;
        for (size_t i = 0; i < b->rows.count; i++) {
            const struct row *r = &b->rows.at[i];
            bool tested = mix(r->key, seed) % FOLDS == fold;
            if (of_source(r, source) && !tested) b->train[count++] = i;
        }
        fit(b, count, seed, &m);
        for (size_t i = 0; i < b->rows.count; i++) {
            const struct row *r = &b->rows.at[i];
            if (!of_source(r, source) || mix(r->key, seed) % FOLDS != fold) continue;
            b->score[i] = score_with(&m, NULL, r);
        }
    }
    size_t n = items(b, of_source, source);
    return figures_of(b->item, n);
}

static void folds(struct bench *b)
{
    (void)printf("\n%u-fold by question, trained on the same source; mean of %u fold seeds\n"
                 "%-26s %6s  %-15s %6s %6s   %6s %6s  %s\n", FOLDS, b->seeds, "source", "n",
                 "APGR", "CPT50", "CPT80", "length", "rule", "+- questions");
    for (uint16_t s = 0; s < b->rows.name_count; s++) {
        double apgr[SEEDS_MAX], cpt50[SEEDS_MAX], cpt80[SEEDS_MAX];
        size_t n = items(b, of_source, s);
        if (n < 100) continue;
        for (unsigned seed = 0; seed < b->seeds; seed++) {
            struct figures f = fold_once(b, s, seed);
            apgr[seed] = f.apgr, cpt50[seed] = f.cpt50, cpt80[seed] = f.cpt80;
        }
        struct spread a = spread_of(apgr, b->seeds);
        double noise = resampled(b, items(b, of_source, s));
        struct bytes name = b->rows.name[s];
        (void)printf("%-26.*s %6zu  %.3f +- %.3f  %6.3f %6.3f   %6.3f %6.3f  %.3f\n",
                     (int)name.len, name.ptr, n, a.mean, a.half,
                     spread_of(cpt50, b->seeds).mean, spread_of(cpt80, b->seeds).mean,
                     length_apgr(b, of_source, s), rule_apgr(b, of_source, s), noise);
        (void)fflush(stdout);
    }
}

/* --- 2: nothing trained */

static void zero_shot(struct bench *b)
{
    static const struct gain_model nothing;
    static const char *const source[] = {"routellm_mtbench", "llmrouter"};
    (void)printf("\nzero-shot: the rule alone, written from the mean gaps of such data\n");
    for (size_t i = 0; i < COUNT(source); i++) {
        uint16_t s = rows_name(&b->rows, bytes_of(source[i]));
        score_all(b, &nothing);
        size_t n = items(b, of_source, s);
        if (n == 0) continue;
        struct figures f = figures_of(b->item, n);
        double noise = resampled(b, n);
        (void)printf("%-26s %6zu  %.3f +- %.3f  CPT50 %.3f CPT80 %.3f   length %.3f\n",
                     source[i], n, f.apgr, noise, f.cpt50, f.cpt80,
                     length_apgr(b, of_source, s));
    }
}

/* --- 3: a family that nobody trained on */

static bool of_family(const struct row *row, uint16_t name)
{
    return row->paired && row->family == name;
}

/* What may be trained on when the rows that fit are unseen: none of a family that has any of
 * them, and none of their questions, wherever those stand. */
static size_t choose_others(struct bench *b, row_filter fits, uint16_t name)
{
    static uint64_t seen[1 << 16];
    bool family[ROWS_NAMES_MAX] = {false};
    size_t count = 0;
    memset(seen, 0, sizeof seen);
    for (size_t i = 0; i < b->rows.count; i++) {
        const struct row *r = &b->rows.at[i];
        uint64_t h = mix(r->key, 7);
        if (!fits(r, name)) continue;
        family[r->family] = true;
        seen[h >> 48] |= UINT64_C(1) << (h & 63);
    }
    for (size_t i = 0; i < b->rows.count; i++) {
        const struct row *r = &b->rows.at[i];
        uint64_t h = mix(r->key, 7);
        bool same = family[r->family] || seen[h >> 48] >> (h & 63) & 1;
        if (r->paired && r->may_train && !same) b->train[count++] = i;
    }
    return count;
}

/* Whether the strong model is better at all, by more than chance would have it: else there is
 * nothing to win, and no order is better than another. */
static bool has_gap(const struct item *item, size_t n)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        double gain = (double)(item[i].strong - item[i].weak);
        sum += gain, squares += gain * gain;
    }
    return sum > 4 * sqrt(squares);
}

static void unseen_families(struct bench *b)
{
    static struct gain_model m;
    (void)printf("\nleave one family out: trained on all others that may be trained on\n");
    for (uint16_t f = 0; f < b->rows.name_count; f++) {
        size_t n = items(b, of_family, f);
        struct bytes name = b->rows.name[f];
        if (n < 100) continue;
        if (!has_gap(b->item, n)) {
            (void)printf("%-26.*s %6zu  the models hardly differ\n", (int)name.len, name.ptr,
                         n);
            continue;
        }
        fit(b, choose_others(b, of_family, f), 0, &m);
        score_all(b, &m);
        n = items(b, of_family, f);
        double apgr = figures_of(b->item, n).apgr, noise = resampled(b, n);
        (void)printf("%-26.*s %6zu  %.3f +- %.3f   length %.3f rule %.3f\n", (int)name.len,
                     name.ptr, n, apgr, noise, length_apgr(b, of_family, f),
                     rule_apgr(b, of_family, f));
        (void)fflush(stdout);
    }
}

/* --- 4: a tenant with a few outcomes */

/* Learn LABELS rows of a source on m, score the others; APGR. */
static double tenant_once(struct bench *b, const struct gain_model *m, uint16_t source,
                          uint64_t draw)
{
    struct gain_tenant t = {0};
    size_t count = 0, n = 0;
    for (size_t i = 0; i < b->rows.count; i++) {
        if (of_source(&b->rows.at[i], source)) b->train[count++] = i;
    }
    for (size_t i = 0; i < LABELS && i < count; i++) {
        size_t k = i + mix(draw, i) % (count - i), at = b->train[k];
        const struct row *r = &b->rows.at[at];
        struct features_kept kept;
        b->train[k] = b->train[i];
        b->train[i] = at;
        gain_keep(m, &r->features, &kept);
        gain_learn_label(&t, m, &kept, r->strong - r->weak, 1);
    }
    for (size_t i = LABELS; i < count; i++) {
        const struct row *r = &b->rows.at[b->train[i]];
        double score = (double)score_with(m, &t, r);
        b->item[n++] = (struct item){score, r->tie, r->strong, r->weak};
    }
    return figures_of(b->item, n).apgr;
}

static void tenants(struct bench *b)
{
    static const char *const source[] = {"routellm_mmlu", "routellm_gsm8k", "llmrouter", "bfcl",
                                         "mmlu_pro"};
    static struct gain_model m, nothing;
    double sum[2] = {0};
    (void)printf("\n%u labels of a tenant through gain_learn_label, tested on the others; "
                 "mean of %u draws\n%-26s %-17s %s\n", LABELS, DRAWS, "source", "rule + labels",
                 "trained on other families + labels");
    nothing.id = 1;
    for (size_t i = 0; i < COUNT(source); i++) {
        uint16_t s = rows_name(&b->rows, bytes_of(source[i]));
        double apgr[2][DRAWS];
        if (items(b, of_source, s) <= LABELS) continue;
        fit(b, choose_others(b, of_source, s), 0, &m);
        memcpy(nothing.mean, m.mean, sizeof m.mean);
        memcpy(nothing.scale, m.scale, sizeof m.scale);
        for (unsigned d = 0; d < DRAWS; d++) {
            apgr[0][d] = tenant_once(b, &nothing, s, d);
            apgr[1][d] = tenant_once(b, &m, s, d);
        }
        struct spread cold = spread_of(apgr[0], DRAWS), warm = spread_of(apgr[1], DRAWS);
        sum[0] += cold.mean / COUNT(source), sum[1] += warm.mean / COUNT(source);
        (void)printf("%-26s %.3f +- %.3f   %.3f +- %.3f\n", source[i], cold.mean, cold.half,
                     warm.mean, warm.half);
    }
    (void)printf("%-26s %.3f             %.3f\n", "mean", sum[0], sum[1]);
}

/* --- 5: what ships, on rows it was not trained on; and what it costs */

static void shipped(struct bench *b)
{
    (void)printf("\nroute/gain.weights, %zu bytes, on the dev rows\n",
                 sizeof(struct gain_model));
    for (uint16_t s = 0; s < b->rows.name_count; s++) {
        score_all(b, gain_builtin());
        size_t n = items(b, of_source_dev, s);
        if (n < 20) continue;
        struct figures f = figures_of(b->item, n);
        double noise = resampled(b, n);
        struct bytes name = b->rows.name[s];
        (void)printf("%-26.*s %6zu  %.3f +- %.3f  CPT50 %.3f CPT80 %.3f   length %.3f rule "
                     "%.3f\n", (int)name.len, name.ptr, n, f.apgr, noise, f.cpt50, f.cpt80,
                     length_apgr(b, of_source_dev, s), rule_apgr(b, of_source_dev, s));
    }
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Features and score of different prompts of about a size in turn; the best of some rounds,
 * for others share this machine. */
static void cost(struct bench *b)
{
    static const size_t from[] = {0, 128, 256, 448, 1024}, to[] = {128, 256, 448, 576, 1 << 20};
    uint32_t sum = 0;
    (void)printf("\nfeatures and gain, ns a request (best of 9 rounds)\n");
    for (size_t k = 0; k < COUNT(from); k++) {
        double best = 1e12;
        size_t n = 0;
        for (size_t i = 0; i < b->rows.count && n < 2000; i++) {
            size_t len = b->rows.at[i].prompt.len;
            if (len >= from[k] && len < to[k]) b->train[n++] = i;
        }
        for (int round = 0; round < 9 && n > 0; round++) {
            double begin = now_ns();
            for (size_t i = 0; i < n; i++) {
                const struct row *r = &b->rows.at[b->train[i]];
                struct features_ask ask = {.last_bytes = r->prompt.len, .max_tokens = -1};
                struct features f;
                struct gain gain;
                ask.text[TEXT_LAST] = r->prompt;
                features_make(&ask, &f);
                gain_score(gain_builtin(), NULL, &f, &gain);
                sum += gain.gain;
            }
            best = fmin(best, (now_ns() - begin) / (double)n);
        }
        (void)printf("%7zu.. bytes %8.0f ns\n", from[k], best);
    }
    if (sum == 1) (void)printf("\n");   /* so that nothing is left out */
}

int main(int argc, char **argv)
{
    static struct bench b;
    uint64_t seeds = SEEDS;
    if (argc > 2 || (argc == 2 && !bytes_u64(bytes_of(argv[1]), &seeds)) || seeds < 1 ||
        seeds > SEEDS_MAX) {
        (void)fputs("usage: zcat train.jsonl.gz dev.jsonl.gz | routing [SEEDS]\n", stderr);
        return 2;
    }
    b.seeds = (unsigned)seeds;
    rows_read(&b.rows, stdin);
    b.train = calloc(b.rows.count + 1, sizeof *b.train);
    b.sample = calloc(b.rows.count + 1, sizeof *b.sample);
    b.item = calloc(b.rows.count + 1, sizeof *b.item);
    b.copy = calloc(b.rows.count + 1, sizeof *b.copy);
    b.score = calloc(b.rows.count + 1, sizeof *b.score);
    if (!b.train || !b.sample || !b.item || !b.copy || !b.score || b.rows.count == 0) return 1;
    (void)printf("%zu rows; chance is 0.5, CPT50 0.5, CPT80 0.8\n", b.rows.count);
    shipped(&b);
    zero_shot(&b);
    unseen_families(&b);
    tenants(&b);
    folds(&b);
    cost(&b);
    return 0;
}
