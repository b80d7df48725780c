/* fit.c - see fit.h. */
#include <stdio.h>

#include "tools/train/fit.h"
#include "route/gain.h"
#include "route/weights.h"
#include "tools/train/rows.h"

#include <math.h>
#include <stdlib.h>

enum { BINS = 32, STEPS = 20, DEPTH = 3 };

const struct fit_options fit_usual = {
    .seed = 1, .trees = WEIGHTS_TREES, .ridge = 20.0f, .rate = 0.05f, .leaf = 20.0f,
};

static void *room(size_t count, size_t bytes)
{
    void *p = calloc(count ? count : 1, bytes);
    if (!p) {
        (void)fputs("fit: no memory\n", stderr);
        exit(1);
    }
    return p;
}

static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* --- words: ridge by conjugate gradients */

static double words_at(const struct features *f, const double *w)
{
    double sum = 0;
    for (unsigned i = 0; i < f->word_count; i++) sum += w[f->word[i]];
    return f->word_count ? sum / sqrt(f->word_count) : 0;
}

static void words_add(const struct features *f, double value, double *w)
{
    if (f->word_count == 0) return;
    value /= sqrt(f->word_count);
    for (unsigned i = 0; i < f->word_count; i++) w[f->word[i]] += value;
}

/* out = (X' W X + ridge) p */
static void words_times(const struct fit_sample *s, size_t count, double ridge, const double *p,
                        double *out)
{
    for (size_t i = 0; i < WEIGHTS_WORDS; i++) out[i] = ridge * p[i];
    for (size_t i = 0; i < count; i++) {
        words_add(s[i].f, (double)s[i].weight * words_at(s[i].f, p), out);
    }
}

static double dot(const double *a, const double *b)
{
    double sum = 0;
    for (size_t i = 0; i < WEIGHTS_WORDS; i++) sum += a[i] * b[i];
    return sum;
}

static void words_fit(const struct fit_sample *s, size_t count, double ridge, double *w)
{
    double *r = room(WEIGHTS_WORDS, sizeof *r), *p = room(WEIGHTS_WORDS, sizeof *p);
    double *ap = room(WEIGHTS_WORDS, sizeof *ap);
    for (size_t i = 0; i < count; i++) words_add(s[i].f, (double)(s[i].weight * s[i].y), r);
    memcpy(p, r, WEIGHTS_WORDS * sizeof *p);
    double rr = dot(r, r);
    for (int step = 0; step < STEPS && rr > 1e-9; step++) {
        words_times(s, count, ridge, p, ap);
        double alpha = rr / dot(p, ap);
        for (size_t i = 0; i < WEIGHTS_WORDS; i++) {
            w[i] += alpha * p[i];
            r[i] -= alpha * ap[i];
        }
        double next = dot(r, r);
        for (size_t i = 0; i < WEIGHTS_WORDS; i++) p[i] = r[i] + next / rr * p[i];
        rr = next;
    }
    free(r), free(p), free(ap);
}

static void words_round(const double *w, struct gain_model *out)
{
    double most = 1e-9;
    for (size_t i = 0; i < WEIGHTS_WORDS; i++) most = fmax(most, fabs(w[i]));
    out->word_scale = (float)(most / 127);
    for (size_t i = 0; i < WEIGHTS_WORDS; i++) out->word[i] = (int8_t)lrint(w[i] / most * 127);
}

/* --- trees: each number in bins of about as many rows */

struct bins {
    int16_t edge[FEATURES][BINS];       /* bin b holds edge[b - 1] < x <= edge[b] */
    uint8_t count[FEATURES];
    uint8_t *of;                /* of sample i: of[i * FEATURES + feature] */
};

static int order16(const void *a, const void *b)
{
    return *(const int16_t *)a - *(const int16_t *)b;
}

static void bins_make(struct bins *b, const struct fit_sample *s, size_t count)
{
    int16_t *all = room(count, sizeof *all);
    b->of = room(count, FEATURES);
    for (unsigned f = 0; f < FEATURES; f++) {
        unsigned n = 0;
        for (size_t i = 0; i < count; i++) all[i] = s[i].f->dense[f];
        qsort(all, count, sizeof *all, order16);
        for (unsigned k = 1; k < BINS && count > 0; k++) {
            int16_t edge = all[count * k / BINS];
            if (edge != all[count - 1] && (n == 0 || edge > b->edge[f][n - 1])) {
                b->edge[f][n++] = edge;
            }
        }
        b->count[f] = (uint8_t)(n + 1);
        for (size_t i = 0; i < count; i++) {
            unsigned bin = 0;
            while (bin < n && s[i].f->dense[f] > b->edge[f][bin]) bin++;
            b->of[i * FEATURES + f] = (uint8_t)bin;
        }
    }
    free(all);
}

struct sums { float y, weight; };

struct cut { float won; unsigned feature, bin; };

/* The question that takes most off the error of the rows of a node. */
static struct cut best_cut(const struct bins *b, struct sums hist[FEATURES][BINS],
                           uint64_t features, float leaf)
{
    struct cut best = {0, 0, BINS};
    for (unsigned f = 0; f < FEATURES; f++) {
        struct sums all = {0}, left = {0};
        if (!(features >> f % 64 & 1)) continue;
        for (unsigned k = 0; k < b->count[f]; k++) {
            all.y += hist[f][k].y;
            all.weight += hist[f][k].weight;
        }
        for (unsigned k = 0; k + 1 < b->count[f]; k++) {
            left.y += hist[f][k].y;
            left.weight += hist[f][k].weight;
            struct sums right = {all.y - left.y, all.weight - left.weight};
            if (left.weight < 20 || right.weight < 20) continue;
            float won = left.y * left.y / (left.weight + leaf) +
                        right.y * right.y / (right.weight + leaf) -
                        all.y * all.y / (all.weight + leaf);
            if (won > best.won) best = (struct cut){won, f, k};
        }
    }
    return best;
}

static void tree_node(struct weights_tree *t, unsigned node, const struct cut *c,
                      const struct bins *b)
{
    t->feature[node] = (uint8_t)(c->bin < BINS ? c->feature : 0);
    t->threshold[node] = c->bin < BINS ? b->edge[c->feature][c->bin] : INT16_MAX;
}

/* One tree on the residuals left; used: of each sample whether it is drawn. */
static void tree_fit(const struct bins *b, const struct fit_sample *s, const float *left,
                     const uint8_t *used, size_t count, uint64_t features,
                     const struct fit_options *o, struct weights_tree *t)
{
    uint8_t *at = room(count, 1);
    struct sums (*hist)[FEATURES][BINS] = room(WEIGHTS_LEAVES, sizeof *hist);
    struct sums leaf[WEIGHTS_LEAVES] = {{0}};
    memset(t, 0, sizeof *t);
    for (unsigned depth = 0; depth < DEPTH; depth++) {
        unsigned first = (1u << depth) - 1;
        memset(hist, 0, WEIGHTS_LEAVES * sizeof *hist);
        for (size_t i = 0; i < count; i++) {
            if (!used[i]) continue;
            for (unsigned f = 0; f < FEATURES; f++) {
                struct sums *h = &hist[at[i]][f][b->of[i * FEATURES + f]];
                h->y += left[i] * s[i].weight;
                h->weight += s[i].weight;
            }
        }
        for (unsigned k = 0; k < 1u << depth; k++) {
            struct cut c = best_cut(b, hist[k], features, o->leaf);
            tree_node(t, first + k, &c, b);
        }
        for (size_t i = 0; i < count; i++) {
            unsigned node = first + at[i];
            at[i] = (uint8_t)(at[i] * 2 +
                              (s[i].f->dense[t->feature[node]] > t->threshold[node]));
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (!used[i]) continue;
        leaf[at[i]].y += left[i] * s[i].weight;
        leaf[at[i]].weight += s[i].weight;
    }
    for (unsigned k = 0; k < WEIGHTS_LEAVES; k++) {
        float value = o->rate * leaf[k].y / (leaf[k].weight + o->leaf);
        t->leaf[k] = (int16_t)lrintf(fmaxf(-0.4f, fminf(0.4f, value)) * WEIGHTS_UNIT);
    }
    free(at), free(hist);
}

static float tree_at(const struct weights_tree *t, const int16_t *dense)
{
    unsigned at = 0;
    for (unsigned depth = 0; depth < DEPTH; depth++) {
        unsigned node = (1u << depth) - 1 + at;
        at = at * 2 + (dense[t->feature[node]] > t->threshold[node]);
    }
    return (float)t->leaf[at] / WEIGHTS_UNIT;
}

static void trees_fit(const struct fit_sample *s, size_t count, const struct fit_options *o,
                      float *left, struct gain_model *out)
{
    static struct bins b;
    uint64_t state = o->seed;
    uint8_t *used = room(count, 1);
    bins_make(&b, s, count);
    for (unsigned k = 0; k < o->trees; k++) {
        uint64_t features = draw(&state) | draw(&state);        /* three of four */
        for (size_t i = 0; i < count; i++) used[i] = draw(&state) % 10 < 7;
        tree_fit(&b, s, left, used, count, features, o, &out->tree[k]);
        for (size_t i = 0; i < count; i++) left[i] -= tree_at(&out->tree[k], s[i].f->dense);
    }
    free(used), free(b.of);
}

/* --- all of it */

static void normalise(const struct fit_sample *s, size_t count, struct gain_model *out)
{
    for (unsigned f = 0; f < FEATURES; f++) {
        double sum = 0, squares = 0, weight = 1e-9;
        for (size_t i = 0; i < count; i++) {
            double x = s[i].f->dense[f];
            sum += (double)s[i].weight * x;
            squares += (double)s[i].weight * x * x;
            weight += (double)s[i].weight;
        }
        double mean = sum / weight, variance = squares / weight - mean * mean;
        out->mean[f] = (float)mean;
        out->scale[f] = variance > 1e-6 ? (float)(1 / sqrt(variance)) : 0;
    }
}

void fit_weights(const struct fit_sample *s, size_t count, const struct fit_options *o,
                 struct gain_model *out)
{
    double *w = room(WEIGHTS_WORDS, sizeof *w);
    float *left = room(count, sizeof *left);
    assert(o->trees <= WEIGHTS_TREES);
    memset(out, 0, sizeof *out);
    memcpy(out->magic, WEIGHTS_MAGIC, sizeof out->magic);
    out->version = WEIGHTS_VERSION;
    out->bytes = sizeof *out;
    out->features = FEATURES;
    normalise(s, count, out);
    words_fit(s, count, (double)o->ridge, w);
    words_round(w, out);
    for (size_t i = 0; i < count; i++) {
        left[i] = s[i].y - (float)words_at(s[i].f, w);
    }
    trees_fit(s, count, o, left, out);
    free(w), free(left);
    out->crc = weights_crc(out);
    out->id = out->crc | 1;
    out->crc = weights_crc(out);
}

struct level { double sum, count; };      /* of a source */

void fit_targets(const struct rows *r, const size_t *at, size_t count, struct fit_sample *out)
{
    static const struct gain_model nothing;
    struct level level[ROWS_NAMES_MAX] = {{0}};
    for (size_t i = 0; i < count; i++) {
        const struct row *row = &r->at[at[i]];
        struct level *l = &level[row->source];
        struct features_kept kept;
        assert(row->paired && row->weight > 0);
        gain_keep(&nothing, &row->features, &kept);
        out[i] = (struct fit_sample){&row->features, row->strong - row->weak, row->weight};
        out[i].y -= (float)kept.gain / GAIN_ONE;
        l->sum += (double)out[i].y;
        l->count += 1;
    }
    for (size_t i = 0; i < count; i++) {
        const struct level *l = &level[r->at[at[i]].source];
        out[i].y -= (float)(l->sum / l->count);
    }
}
