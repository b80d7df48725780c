/* available.c - see available.h. A request fails by the draw of the workload; an outage is a
 * window of each period of the virtual time, at a place that the period's number and the seed
 * say, so that two providers have it together or each its own. */
#include "tests/sim/available.h"
#include "engine/rand.h"
#include "engine/stats.h"
#include "tests/sim/machine.h"
#include "tests/sim/model.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MS = 1000000,
    CAPACITY = 600,                /* of 1,000 failures so many are for want of room */
    PERIOD_MS = 3000, OUT_MS = 60, /* an outage: 2 % of the time */
    INPUT = 120, OUTPUT = 40,      /* tokens of every answer */
};

static_assert((int)AVAILABLE_ASKS == (int)ASKS_MAX, "one array for all");

static struct availability the;

struct availability *available(void) { return &the; }

/* ---- what fails ---- */

/* Is that provider out now? */
static bool is_out(uint32_t provider)
{
    if (the.outages == OUTAGES_NONE) return false;
    uint64_t ms = machine()->now_ns / MS, period = ms / PERIOD_MS;
    uint64_t state = machine()->seed * 1000003 + period * 17;
    if (the.outages == OUTAGES_OWN) state += (provider + 1) * UINT64_C(0x9e3779b97f4a7c15);
    uint64_t from = rand_next(&state) % (PERIOD_MS - OUT_MS);
    return ms % PERIOD_MS >= from && ms % PERIOD_MS < from + OUT_MS;
}

void available_reply(struct reply *p)
{
    static const uint16_t full[] = {429, 503, 529};
    p->kind = REPLY_GOOD;
    p->status = 200;
    bool out = is_out(p->provider);
    if (!draw_maybe(the.failing) && !out) return;
    if (out || draw_maybe(CAPACITY)) {
        p->kind = REPLY_STATUS;
        p->status = out ? 503 : full[draw(3)];
        return;
    }
    uint32_t way = draw(5);
    if (way == 0) p->kind = REPLY_STATUS, p->status = 500;
    else if (way == 1) p->kind = REPLY_ERROR;
    else p->breaks = (uint8_t)(way - 1);       /* by an end, a reset, or silence */
}

void available_usage(struct reply *p)
{
    p->usage = true;
    p->input = INPUT;
    p->cached = 0;
    p->output = OUTPUT;
}

/* ---- what came of it ---- */

static int64_t price_of_one(void)
{
    return (INPUT * model_price(0, 0, TOKEN_INPUT) + OUTPUT * model_price(0, 0, TOKEN_OUTPUT)) /
           1000;
}

void available_sum(struct available *out)
{
    *out = (struct available){0};
    for (uint32_t i = 0; i < model()->ask_count; i++) {
        const struct ask *a = &model()->ask[i];
        bool good = a->complete && a->status == 200 && !a->broken;
        if (!a->sent_ns) continue;     /* its connection ended with an error before it */
        out->count++;
        out->onward += a->went_on > 0;
        out->billed_nusd += a->rows ? model_sum(a).cost_nusd : 0;
        if (!good) continue;
        out->good_us[out->good++] = (uint32_t)((a->done_ns - a->sent_ns) / 1000);
        out->bought_nusd += price_of_one();
    }
}

struct sums {                      /* of a case */
    uint64_t count, good, onward;
    int64_t billed_nusd, bought_nusd;
    uint32_t *us;
};

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static double ms_at(const struct sums *s, uint64_t percent)
{
    return s->good ? (double)s->us[(s->good - 1) * percent / 100] / 1000 : 0;
}

/* Wilson's interval of 95 %. */
static void interval(const struct sums *s, double *low, double *high)
{
    const double z = 1.959964;
    double n = (double)s->count, share = (double)s->good / n, z2 = z * z;
    double middle = (share + z2 / (2 * n)) / (1 + z2 / n);
    double half = z / (1 + z2 / n) * sqrt(share * (1 - share) / n + z2 / (4 * n * n));
    *low = 100 * (middle - half);
    *high = 100 * (middle + half);
}

typedef bool run_case(const struct availability *c, uint64_t seed, struct available *out);

static bool add_up(const struct availability *c, uint32_t requests, run_case *run,
                   struct sums *s)
{
    static struct available one;
    *s = (struct sums){.us = calloc(requests + ASKS_MAX, sizeof *s->us)};
    if (!s->us) abort();
    for (uint64_t seed = 1; s->count < requests; seed++) {
        if (!run(c, seed, &one)) return false;
        memcpy(s->us + s->good, one.good_us, one.good * sizeof one.good_us[0]);
        s->count += one.count;
        s->good += one.good;
        s->onward += one.onward;
        s->billed_nusd += one.billed_nusd;
        s->bought_nusd += one.bought_nusd;
    }
    qsort(s->us, s->good, sizeof *s->us, by_size);
    return true;
}

static void tell(const struct availability *c, const struct sums *s, const struct sums *calm)
{
    static const char *const outages[] = {"none", "each its own", "all at once"};
    double low, high, lost = 1 - (double)s->bought_nusd / (double)s->billed_nusd;
    interval(s, &low, &high);
    (void)printf("| %u | %s | %s | %s | %" PRIu64 " of %" PRIu64 ": %.3f %% [%.3f, %.3f] | "
                 "%+.1f, %+.0f | %.2f %% |\n", c->providers, outages[c->outages],
                 c->stream ? "streams" : "whole", !c->stream ? "-" : c->resume ? "on" : "off",
                 s->good, s->count, 100 * (double)s->good / (double)s->count, low, high,
                 ms_at(s, 50) - ms_at(calm, 50), ms_at(s, 99) - ms_at(calm, 99), 100 * lost);
    (void)fflush(stdout);
}

static bool report(struct availability c, uint32_t requests, run_case *run)
{
    static const uint32_t failing[] = {50, 30, 30};
    struct availability none = c;
    struct sums calm, s;
    none.failing = 0;
    none.outages = OUTAGES_NONE;
    bool ok = add_up(&none, ASKS_MAX, run, &calm);
    for (uint8_t outages = OUTAGES_NONE; ok && outages <= OUTAGES_TOGETHER; outages++) {
        c.outages = outages;
        c.failing = failing[outages];
        ok = add_up(&c, requests, run, &s);
        if (ok) tell(&c, &s, &calm);
        free(s.us);
    }
    free(calm.us);
    return ok;
}

bool available_report(uint32_t requests, run_case *run)
{
    (void)printf("| providers | outages | answers | resume | good answers, 95 %% interval | "
                 "p50, p99 longer by (ms) | money lost |\n"
                 "| --- | --- | --- | --- | --- | --- | --- |\n");
    for (uint8_t providers = 1; providers <= 3; providers++) {
        struct availability c = {.on = true, .providers = providers};
        bool ok = report(c, requests, run);
        c.stream = c.resume = true;
        ok = ok && report(c, requests, run);
        c.resume = false;
        if (!ok || !report(c, requests, run)) return false;
    }
    return true;
}
