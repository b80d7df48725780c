/* bench_route.c - what it costs to decide where a request goes: features of its text, expected
 * gain, and the plan of `auto` over 500 endpoints of the built-in catalogue (with the further
 * efforts of models that have them), as a core does it, on one thread.
 *   build/bench/bench_route [ROUNDS]
 * Prompts are drawn sentences of 0.5, 4 and 32 KB; the scan of the JSON body is timed apart,
 * for it alone grows with the body. The mean is processor time of whole rounds (median, best
 * and worst round), which neighbours on the machine cannot lengthen but by sharing a core's
 * caches and pipes. Percentiles are of single decisions, by the clock, whose own time is
 * printed first: on a busy machine they show the neighbours. The bytes that were allocated must
 * be none. */
#include "engine/conf.h"
#include "net/dialect/api.h"
#include "route/gain.h"
#include "route/plan.h"
#include "route/score.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ENDPOINTS = 500, PROMPTS = 256, TIMES = 20000, ROUNDS_MAX = 99, BODY_MAX = 40000 };

/* jemalloc's; absent where another allocator is linked. */
extern int mallctl(const char *name, void *old, size_t *old_len, void *new_value,
                   size_t new_len) __attribute__((weak));

struct bench {
    struct catalog c;
    struct score *v;
    struct api_reader reader;
    char body[PROMPTS][BODY_MAX];
    struct bytes in[PROMPTS];    /* of body */
    struct features_ask ask[PROMPTS];
    uint64_t seed;
    int rounds;
};

struct times { double *ns; size_t count; double best, worst; };

static uint64_t time_ns(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint32_t draw(struct bench *b, uint32_t below)
{
    b->seed = b->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(b->seed >> 33) % below;
}

static uint64_t allocated(void)
{
    uint64_t bytes = 0;
    size_t len = sizeof bytes;
    if (mallctl && mallctl("thread.allocated", &bytes, &len, NULL, 0) != 0) return 0;
    return bytes;
}

/* ---- the world ---- */

static const char *every_key(const char *name)
{
    size_t len = strlen(name);
    return len > 4 && strcmp(name + len - 4, "_KEY") == 0 ? "k" : NULL;
}

/* 500 models of the catalogue, evenly taken, one key each. */
static void make_catalog(struct bench *b)
{
    static struct conf_report report;
    static const char yaml[] = "routing: {mode: balanced}\n";
    struct conf *conf = NULL;
    if (!conf_parse(yaml, sizeof yaml - 1, "bench.yaml", every_key, &conf, &report)) exit(1);
    const struct catalog *all = &conf->catalog;
    struct catalog_model *model = calloc(ENDPOINTS, sizeof *model);
    uint32_t count = all->model_count < ENDPOINTS ? all->model_count : ENDPOINTS;
    for (uint32_t i = 0; i < count && model; i++) {
        model[i] = all->model[(uint64_t)i * all->model_count / count];
    }
    b->c = (struct catalog){all->provider, model, NULL, NULL, all->provider_count, count, 0};
    if (!model || !catalog_index(&b->c)) exit(1);
    struct score_setup setup = {.catalog = &b->c, .views = 2, .now_unix_s = 1790000000,
                                .key_word = calloc((size_t)all->provider_count
                                                   * CATALOG_KEYS_MAX, sizeof(breaker_word)),
                                .model_word = calloc((size_t)count * CATALOG_KEYS_MAX,
                                                     sizeof(breaker_word))};
    struct scores *s = score_make(&setup);
    if (!s || !setup.key_word || !setup.model_word) exit(1);
    b->v = score_view(s, 0);
    for (uint32_t m = 0; m < count; m++) {
        uint64_t ms = 100 + draw(b, 2000);
        for (uint32_t n = draw(b, 9); n > 0; n--) {
            score_learn_ttft(b->v, score_row(s, m, 0), 1000, ms * 1000000);
            score_learn_end(b->v, score_row(s, m, 0), 1000, draw(b, 9) != 0);
        }
    }
    uint64_t from = time_ns(CLOCK_THREAD_CPUTIME_ID);
    for (int i = 0; i < 100; i++) score_merge(b->v, 2000 + (uint64_t)i, setup.now_unix_s);
    double us = (double)(time_ns(CLOCK_THREAD_CPUTIME_ID) - from) / 100e3;
    (void)printf("%u endpoints of %u providers; a merge of all, two threads: %.1f us\n", count,
                 all->provider_count, us);
}

static void put_prompt(struct bench *b, unsigned i, size_t bytes)
{
    static const char *const parts[] = {
        "Prove that the sum of two even numbers is even. ", "What is the capital of France? ",
        "Write a function that sorts a list of 1,000 names by their length. ",
        "If a train leaves at 9:40 and travels 120 km at 80 km/h, when does it arrive? ",
        "Summarise the following paragraph in one sentence. ", "Explain why the sky is blue. ",
        "for (int i = 0; i < n; i++) total += price[i] * count[i]; ",
        "A) energy B) momentum C) charge D) none of these ", "Let x be a real number, x > 3. ",
        "The patient, 54 years old, complains of chest pain since yesterday morning. ",
        "Translate into German: the contract ends with the year. ", "Thank you very much! ",
    };
    char *at = b->body[i];
    size_t len = (size_t)snprintf(at, BODY_MAX, "{\"model\":\"auto\",\"messages\":[{\"role\":"
                                  "\"system\",\"content\":\"You are a helpful assistant.\"},"
                                  "{\"role\":\"user\",\"content\":\"");
    size_t from = len;
    while (len < from + bytes) {
        const char *part = parts[draw(b, COUNT(parts))];
        len += (size_t)snprintf(at + len, BODY_MAX - len, "%s", part);
    }
    struct bytes last = {at + from, bytes};
    len = from + bytes;
    len += (size_t)snprintf(at + len, BODY_MAX - len, "\"}],\"max_tokens\":800}");
    b->in[i] = (struct bytes){at, len};
    struct features_ask *ask = &b->ask[i];
    *ask = (struct features_ask){.prompt_bytes = bytes + 28, .system_bytes = 28,
                                 .last_bytes = bytes, .message_count = 2, .user_turns = 1,
                                 .max_tokens = 800};
    ask->text[TEXT_SYSTEM] = BYTES("You are a helpful assistant.");
    ask->text[TEXT_LAST] = last;
    if (bytes <= FEATURES_LAST_MAX) return;
    ask->text[TEXT_LAST].len = FEATURES_HEAD_MAX;
    ask->text[TEXT_LAST_TAIL] = (struct bytes){last.ptr + bytes - FEATURES_TAIL_MAX,
                                               FEATURES_TAIL_MAX};
}

/* ---- what is measured ---- */

static void scan(struct bench *b, unsigned i)
{
    api_request_begin(&b->reader, API_CHAT);
    if (api_request_feed(&b->reader, b->in[i]) != NET_MORE) exit(1);
    if (api_request_end(&b->reader) != NET_DONE) exit(1);
}

static void make_features(struct bench *b, unsigned i)
{
    struct features f;
    features_make(&b->ask[i], &f);
    if (f.word_count == 0) exit(1);
}

static void make_gain(struct bench *b, unsigned i)
{
    struct features f;
    struct gain g;
    features_make(&b->ask[i], &f);
    gain_score(gain_builtin(), NULL, &f, &g);
    if (g.gain > GAIN_ONE) exit(1);
}

static void plan(struct bench *b, unsigned i, enum plan_mode mode, const struct features *f,
                 const struct gain *g)
{
    struct plan p;
    struct plan_ask ask = {
        .name = {BYTES("auto")}, .name_count = 1, .first_is_model = true, .score = b->v,
        .mode = (uint8_t)mode, .family = f->family, .gain = g->gain, .gain_width = g->width,
        .tokens_in = (uint32_t)(b->ask[i].prompt_bytes / 4), .tokens_out = 400,
        .tokens_max = 800, .floor = 950000, .cost_power = 500000, .time_power = 500000,
        .need_price = true, .dialects = 1u << DIALECT_OPENAI | 1u << DIALECT_ANTHROPIC
                                        | 1u << DIALECT_GEMINI,
        .now_unix_s = 1790000000, .now_ms = 3000, .explore = 20000,
        .draw = (uint64_t)i * UINT64_C(0x9e3779b97f4a7c15),
    };
    plan_make(&b->c, &ask, &p);
    if (p.count != PLAN_MAX) exit(1);
}

static void make_plan(struct bench *b, unsigned i, enum plan_mode mode)
{
    struct features f = {.family = (uint8_t)(i % FAMILIES)};
    struct gain g = {.gain = (uint16_t)(i * 37 % 4000), .width = 600};
    plan(b, i, mode, &f, &g);
}

static void cost(struct bench *b, unsigned i) { make_plan(b, i, PLAN_COST); }
static void latency(struct bench *b, unsigned i) { make_plan(b, i, PLAN_LATENCY); }
static void available(struct bench *b, unsigned i) { make_plan(b, i, PLAN_AVAILABILITY); }
static void balanced(struct bench *b, unsigned i) { make_plan(b, i, PLAN_BALANCED); }

static void decide(struct bench *b, unsigned i)
{
    struct features f;
    struct gain g;
    features_make(&b->ask[i], &f);
    gain_score(gain_builtin(), NULL, &f, &g);
    plan(b, i, PLAN_BALANCED, &f, &g);
}

static void nothing(struct bench *b, unsigned i) { (void)b, (void)i; }

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void measure(struct bench *b, const char *what, void (*step)(struct bench *, unsigned))
{
    size_t count = (size_t)b->rounds * TIMES, at = 0;
    double *ns = malloc(count * sizeof *ns), mean[ROUNDS_MAX];
    if (!ns) exit(1);
    for (unsigned i = 0; i < PROMPTS; i++) step(b, i);
    uint64_t before = allocated();
    for (int round = 0; round < b->rounds; round++) {
        uint64_t start = time_ns(CLOCK_THREAD_CPUTIME_ID);
        for (unsigned i = 0; i < TIMES; i++) step(b, i % PROMPTS);
        mean[round] = (double)(time_ns(CLOCK_THREAD_CPUTIME_ID) - start) / TIMES;
        for (unsigned i = 0; i < TIMES; i++) {
            uint64_t from = time_ns(CLOCK_MONOTONIC);
            step(b, i % PROMPTS);
            ns[at++] = (double)(time_ns(CLOCK_MONOTONIC) - from);
        }
    }
    uint64_t bytes = allocated() - before;
    qsort(ns, count, sizeof *ns, by_size);
    qsort(mean, (size_t)b->rounds, sizeof *mean, by_size);
    (void)printf("%-24s mean %6.0f [%.0f..%.0f]  p50 %6.0f  p99 %6.0f  p99.9 %6.0f ns, "
                 "%llu bytes allocated\n", what, mean[b->rounds / 2], mean[0],
                 mean[b->rounds - 1], ns[count / 2], ns[count * 99 / 100],
                 ns[count * 999 / 1000], (unsigned long long)bytes);
    free(ns);
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = {512, 4096, 32768};
    struct bench *b = calloc(1, sizeof *b);
    if (!b) return 1;
    b->rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 9;
    if (b->rounds < 1 || b->rounds > ROUNDS_MAX) return 2;
    make_catalog(b);
    measure(b, "clock", nothing);
    measure(b, "plan cost", cost);
    measure(b, "plan latency", latency);
    measure(b, "plan availability", available);
    measure(b, "plan balanced", balanced);
    for (size_t s = 0; s < COUNT(sizes); s++) {
        for (unsigned i = 0; i < PROMPTS; i++) put_prompt(b, i, sizes[s]);
        (void)printf("prompts of %zu bytes\n", sizes[s]);
        measure(b, "  JSON scan", scan);
        measure(b, "  features", make_features);
        measure(b, "  features, gain", make_gain);
        measure(b, "  features, gain, plan", decide);
    }
    return 0;
}
