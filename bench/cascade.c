/* cascade.c - what asking cheap models first spares, on outcomes of real models.
 *
 *     zcat dev.jsonl.gz | cascade
 *
 * Two or three cheap models are asked; what all of them say is taken, else the strong one is
 * asked too. Beside it stand the strong one alone, the best of the cheap ones
 * alone, and chance: that share of requests sent to the strong one, any, which is as good.
 * Model: the data has scores, no answers. Who is right says the same; two who are wrong say the
 * same with probability `same`: never, once in three (the product's assumption), always.
 * Only sources that are scored by exact match. Costs are those of the row where it has them,
 * else list prices when the data was made, one token in to three out; units: the strong one's
 * for every request.
 * Rule: the votes are counted by the product's own code (route/cascade.h); an interval of 95 %
 * comes from resampling the questions. */
#include <stdio.h>

#include "net/json.h"
#include "route/cascade.h"

#include <math.h>
#include <stdlib.h>

enum { DEPTH = 16, MODELS = 1 + CASCADE_CHEAP_MAX, ROWS_MAX = 4096, LINE = 1 << 20,
       RESAMPLES = 1000, NAME_MAX = 64 };

struct one { const char *name; double price; };         /* blended, dollars per million */

static const struct set {
    const char *source;
    struct one model[MODELS];            /* the strong one first */
} sets[] = {
    {"zeroeval_gsm", {{"gpt-4o-2024-08-06", 8.125}, {"gpt-4o-mini-2024-07-18", 0.4875},
                      {"claude-3-haiku-20240307", 1}, {"gpt-3.5-turbo-0125", 1.25}}},
    {"zeroeval_mathl5", {{"claude-3-5-sonnet-20241022", 12}, {"gpt-4o-mini-2024-07-18", 0.4875},
                         {"claude-3-5-haiku-20241022", 3.2}, {"gemini-1.5-flash", 0.24375}}},
    {"mmlu_pro", {{"gemini-1.5-pro-002", 4.0625}, {"gemini-1.5-flash-002", 0.24375},
                  {"Meta-Llama-3_1-8B-Instruct", 0.0725},
                  {"Mixtral-8x7B-Instruct-v0.1", 0.24}}},
    {"bfcl", {{"claude-3-5-sonnet-20240620", 12}, {"gpt-4o-mini-2024-07-18", 0.4875},
              {"claude-3-haiku-20240307", 1}, {"mistral-small-2402", 2.5}}},
    {"routerbench_arc_challenge", {{"gpt-4-1106-preview", 25},
                                   {"mistralai/mixtral-8x7b-chat", 0.6},
                                   {"gpt-3.5-turbo-1106", 1.75},
                                   {"mistralai/mistral-7b-chat", 0.2}}},
    {"routerbench_winograde", {{"gpt-4-1106-preview", 25},
                               {"mistralai/mixtral-8x7b-chat", 0.6},
                               {"gpt-3.5-turbo-1106", 1.75},
                               {"mistralai/mistral-7b-chat", 0.2}}},
};

struct row { float score[MODELS], cost[MODELS]; };      /* cost below 0: not said */

struct bench {
    struct row row[COUNT(sets)][ROWS_MAX];
    size_t count[COUNT(sets)];
};

/* ---- reading */

static void fail(const char *what)
{
    (void)fprintf(stderr, "cascade: %s\n", what);
    exit(1);
}

/* The place of a model in a set, or MODELS. */
static unsigned place_of(const struct set *s, struct bytes name)
{
    unsigned i = 0;
    while (i < MODELS && !bytes_eq(bytes_of(s->model[i].name), name)) i++;
    return i;
}

struct line { struct bytes source; struct row row[COUNT(sets)]; };

static float number(struct bytes text)
{
    char copy[64];
    if (text.len >= sizeof copy) fail("a long number");
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return strtof(copy, NULL);
}

/* A line's source, scores and costs, for every set, for the source may stand behind them. */
static void read_line(struct bytes in, struct line *l)
{
    struct json j;
    struct json_token t;
    struct bytes key = {0}, top = {0};
    json_init(&j, DEPTH);
    for (size_t s = 0; s < COUNT(sets); s++) {
        for (unsigned m = 0; m < MODELS; m++) l->row[s].score[m] = l->row[s].cost[m] = -1;
    }
    while (json_next(&j, &in, &t) == NET_OK) {
        if (t.type == JSON_KEY && t.depth == 1) top = key = t.text;
        else if (t.type == JSON_KEY) key = t.text;
        else if (t.type == JSON_STRING && t.depth == 1 && bytes_eq(top, BYTES("source"))) {
            l->source = t.text;
        }
        bool score = bytes_eq(top, BYTES("scores")), cost = bytes_eq(top, BYTES("cost"));
        if (t.type != JSON_NUMBER || (!score && !cost)) continue;
        for (size_t s = 0; s < COUNT(sets); s++) {
            unsigned m = place_of(&sets[s], key);
            if (m < MODELS && score) l->row[s].score[m] = number(t.text);
            else if (m < MODELS) l->row[s].cost[m] = number(t.text);
        }
    }
}

/* Keep a row of whose models all are known, right or wrong. */
static void keep(struct bench *b, size_t s, struct row r)
{
    bool costs = true;
    for (unsigned m = 0; m < MODELS; m++) {
        if (r.score[m] < 0) return;
        r.score[m] = r.score[m] >= 0.5f ? 1 : 0;
        costs = costs && r.cost[m] > 0;
    }
    for (unsigned m = 0; m < MODELS && !costs; m++) r.cost[m] = (float)sets[s].model[m].price;
    if (b->count[s] == ROWS_MAX) fail("too many rows");
    b->row[s][b->count[s]++] = r;
}

static void read_all(struct bench *b)
{
    static char text[LINE];
    struct line l;
    while (fgets(text, sizeof text, stdin)) {
        size_t len = strlen(text);
        if (len + 1 == sizeof text) fail("a long line");
        l.source = (struct bytes){0};
        read_line((struct bytes){text, len}, &l);
        for (size_t s = 0; s < COUNT(sets); s++) {
            if (bytes_eq(l.source, bytes_of(sets[s].source))) keep(b, s, l.row[s]);
        }
    }
}

/* ---- figures */

struct sum { double quality, cost, strong, strong_cost, cheap[CASCADE_CHEAP_MAX],
                    cheap_cost[CASCADE_CHEAP_MAX], asked; };

static void add(struct sum *s, const struct row *r, unsigned count, float same)
{
    struct cascade_one cheap[CASCADE_CHEAP_MAX], right = {1, 0}, wrong = {0, 0};
    struct cascade e, f;
    double cost = 0;
    for (unsigned i = 0; i < count; i++) {
        cheap[i] = (struct cascade_one){r->score[1 + i], 0};
        cost += (double)r->cost[1 + i];
        s->cheap[i] += (double)r->score[1 + i];
        s->cheap_cost[i] += (double)r->cost[1 + i];
    }
    /* between a strong one that is always right and one that never is lies who asks it */
    cascade_expect(cheap, count, right, 1, same, &e);
    cascade_expect(cheap, count, wrong, 1, same, &f);
    double asked = (double)(e.quality - f.quality);
    s->quality += (double)f.quality + asked * (double)r->score[0];
    s->cost += cost + asked * (double)r->cost[0];
    s->asked += asked;
    s->strong += (double)r->score[0];
    s->strong_cost += (double)r->cost[0];
}

struct figures { double quality, cost, lead, chance, asked; };

/* lead: quality beyond the strong one's. chance: what a random mix of the best cheap one and
 * the strong one costs that is as good; 1 where none is. */
static struct figures figures_of(const struct sum *s, size_t n, unsigned count)
{
    unsigned best = 0;
    for (unsigned i = 1; i < count; i++) {
        if (s->cheap[i] > s->cheap[best]) best = i;
    }
    struct figures f = {s->quality / (double)n, s->cost / s->strong_cost,
                        (s->quality - s->strong) / (double)n, 1, s->asked / (double)n};
    double gap = s->strong - s->cheap[best], share = 1;
    if (gap > 0) share = fmin(1, fmax(0, (s->quality - s->cheap[best]) / gap));
    f.chance = share + (1 - share) * s->cheap_cost[best] / s->strong_cost;
    return f;
}

static struct figures once(const struct row *row, size_t n, unsigned count, float same,
                           uint64_t *seed)
{
    struct sum sum = {0};
    for (size_t i = 0; i < n; i++) {
        size_t at = i;
        if (seed) {
            *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407;
            at = (size_t)(*seed >> 33) % n;
        }
        add(&sum, &row[at], count, same);
    }
    return figures_of(&sum, n, count);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void show(const struct bench *b, size_t s, unsigned count)
{
    static const float same[] = {0, CASCADE_SAME, 1};
    static const char *const words[] = {"never", "1 in 3", "always"};
    double lead[RESAMPLES], cost[RESAMPLES];
    const struct row *row = b->row[s];
    size_t n = b->count[s];
    for (size_t k = 0; k < COUNT(same); k++) {
        uint64_t seed = 1;
        struct figures f = once(row, n, count, same[k], NULL);
        for (unsigned i = 0; i < RESAMPLES; i++) {
            struct figures g = once(row, n, count, same[k], &seed);
            lead[i] = g.lead;
            cost[i] = g.cost;
        }
        qsort(lead, RESAMPLES, sizeof *lead, ascending);
        qsort(cost, RESAMPLES, sizeof *cost, ascending);
        unsigned low = RESAMPLES / 40, high = RESAMPLES - 1 - low;
        (void)printf("  %u cheap, wrong alike %-7s %.3f  %+.3f [%+.3f, %+.3f]  %.3f [%.3f, "
                     "%.3f]  %.3f  %.3f\n", count, words[k], f.quality, f.lead, lead[low],
                     lead[high], f.cost, cost[low], cost[high], f.chance, f.asked);
    }
}

int main(void)
{
    static struct bench b;
    read_all(&b);
    (void)printf("\nagreement of cheap models, then the strong one; 95 %% by %d resamples\n"
                 "quality, beyond the strong one alone, cost (the strong one alone: 1), cost "
                 "by chance at that quality, share escalated\n", RESAMPLES);
    for (size_t s = 0; s < COUNT(sets); s++) {
        struct sum sum = {0};
        size_t n = b.count[s];
        if (n < 20) continue;
        for (size_t i = 0; i < n; i++) add(&sum, &b.row[s][i], CASCADE_CHEAP_MAX, 0);
        (void)printf("%s, %zu rows: %s %.3f;", sets[s].source, n, sets[s].model[0].name,
                     sum.strong / (double)n);
        for (unsigned m = 0; m < CASCADE_CHEAP_MAX; m++) {
            (void)printf(" %s %.3f (%.3f)%s", sets[s].model[1 + m].name,
                         sum.cheap[m] / (double)n, sum.cheap_cost[m] / sum.strong_cost,
                         m + 1 < CASCADE_CHEAP_MAX ? "," : "\n");
        }
        show(&b, s, 2);
        show(&b, s, 3);
    }
    return 0;
}
