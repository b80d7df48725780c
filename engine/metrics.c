/* metrics.c - /metrics: counters of the cores added up, and what finished records tell, counted
 * by the store thread as it folds them (so the hot path pays nothing). One writer, relaxed
 * atomics, rows are only ever added. Prometheus text format 0.0.4; names of OpenTelemetry's
 * GenAI semantic conventions where they exist. */
#include "engine/look.h"
#include "engine/book.h"
#include "engine/clock.h"
#include "engine/core.h"
#include "engine/engine.h"
#include "engine/heap.h"
#include "engine/spend.h"
#include "engine/tables.h"
#include "store/journal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROWS_MAX = 4096, BUCKETS = 14, TEXT_FIRST = 1 << 16 };

static const uint32_t bucket_ms[BUCKETS] = {5,    10,   25,   50,    100,   250,   500,
                                            1000, 2500, 5000, 10000, 30000, 60000, 300000};

struct row {                     /* one (model, status) */
    char model[RECORD_MODEL_MAX + 1];
    uint16_t status;
    _Atomic uint64_t count;
};

struct histogram { _Atomic uint64_t bucket[BUCKETS + 1], sum_us, count; };

struct metrics {
    struct row row[ROWS_MAX];
    _Atomic uint32_t row_count;
    uint32_t last;                /* the row of the record before: the store thread's guess */
    struct histogram duration, ttft;
    _Atomic uint64_t tokens[TOKEN_KINDS];
    _Atomic uint64_t cost_nusd, hedge_nusd;    /* of all; of hedges that lost */
};

struct metrics *metrics_make(void) { return calloc(1, sizeof(struct metrics)); }

static void observe(struct histogram *h, uint32_t us)
{
    unsigned i = 0;
    while (i < BUCKETS && us > bucket_ms[i] * 1000u) i++;
    stat_add(&h->bucket[i], 1);
    stat_add(&h->sum_us, us);
    stat_add(&h->count, 1);
}

static bool is_row_of(const struct row *row, const struct record *r)
{
    return row->status == r->status && memcmp(row->model, r->model, sizeof r->model) == 0;
}

static void see_row(struct metrics *m, const struct record *r)
{
    uint32_t count = atomic_load_explicit(&m->row_count, memory_order_relaxed);
    if (m->last < count && is_row_of(&m->row[m->last], r)) {
        stat_add(&m->row[m->last].count, 1);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!is_row_of(&m->row[i], r)) continue;
        stat_add(&m->row[i].count, 1);
        m->last = i;
        return;
    }
    if (count == ROWS_MAX) return;
    memcpy(m->row[count].model, r->model, sizeof r->model);
    m->row[count].status = r->status;
    stat_add(&m->row[count].count, 1);
    atomic_store_explicit(&m->row_count, count + 1, memory_order_release);
}

void metrics_see(struct metrics *m, const struct record *r)
{
    if (r->kind == RECORD_FEEDBACK) return;
    for (unsigned k = 0; k < TOKEN_KINDS; k++) stat_add(&m->tokens[k], r->tokens[k]);
    stat_add(&m->cost_nusd, (uint64_t)r->cost_nusd);
    if (r->close == CLOSE_HEDGE_LOST) stat_add(&m->hedge_nusd, (uint64_t)r->cost_nusd);
    if (r->kind != RECORD_REQUEST) return;
    see_row(m, r);
    observe(&m->duration, r->duration_us);
    if (r->ttft_us) observe(&m->ttft, r->ttft_us);
}

/* --- text --- */

struct text { char *at; size_t len, room; bool failed; };

static void put(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct text *t, const char *format, ...)
{
    va_list args;
    if (t->failed) return;
    if (t->room - t->len < 1024) {
        char *more = realloc(t->at, t->room * 2);
        if (!more) {
            t->failed = true;
            return;
        }
        t->at = more;
        t->room *= 2;
    }
    va_start(args, format);
    int n = vsnprintf(t->at + t->len, t->room - t->len, format, args);
    va_end(args);
    assert(n >= 0 && (size_t)n < t->room - t->len);
    t->len += (size_t)n;
}

static void head(struct text *t, const char *name, const char *type, const char *help)
{
    put(t, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static unsigned long long sum(const struct engine *e, size_t offset)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < e->core_count; i++) {
        const char *at = (const char *)&e->core[i]->stats + offset;
        total += stat_get((const _Atomic uint64_t *)(const void *)at);
    }
    return total;
}

static void put_counters(struct text *t, const struct engine *e)
{
    for (unsigned s = 0; s < STAT_COUNT; s++) {
        const char *name = stat_name((enum stat_id)s);
        bool gauge = strstr(name, "_open_") || strstr(name, "_used_");
        head(t, name, gauge ? "gauge" : "counter", stat_help((enum stat_id)s));
        put(t, "%s %llu\n", name, sum(e, offsetof(struct stats, count) + s * 8));
    }
    head(t, "weir_closes_total", "counter", "Requests and connections by how they ended");
    for (unsigned c = 1; c < CLOSE_COUNT; c++) {
        unsigned long long admin = stat_get(&e->admin->stats.closes[c]);
        put(t, "weir_closes_total{reason=\"%s\"} %llu\n", close_name((enum close_why)c),
            sum(e, offsetof(struct stats, closes) + c * 8) + admin);
    }
    head(t, "weir_refusals_total", "counter", "Requests refused by policy");
    put(t, "weir_refusals_total{layer=\"key\",code=\"model_not_allowed\"} %llu\n",
        sum(e, offsetof(struct stats, closes) + CLOSE_MODEL_DENIED * 8));
    put(t, "weir_refusals_total{layer=\"key\",code=\"invalid_api_key\"} %llu\n",
        sum(e, offsetof(struct stats, closes) + CLOSE_KEY_BAD * 8));
    static const char *const codes[REFUSALS] = {
        [REFUSAL_RATE] = "rate_limit_exceeded", [REFUSAL_BUDGET] = "budget_exceeded",
        [REFUSAL_CREDITS] = "insufficient_credits", [REFUSAL_STOPPED] = "stream_stopped"};
    for (unsigned layer = 0; layer < STATS_LAYERS; layer++) {
        for (unsigned i = 0; i < REFUSALS; i++) {
            bool pool = layer == BUDGET_LAYER_POOL;
            if (i != REFUSAL_STOPPED && pool != (i == REFUSAL_CREDITS)) continue;
            put(t, "weir_refusals_total{layer=\"%s\",code=\"%s\"} %llu\n",
                spend_layer_name(layer), codes[i],
                sum(e, offsetof(struct stats, refusals) + (layer * REFUSALS + i) * 8));
        }
    }
}

static void put_histogram(struct text *t, const char *name, const char *help,
                          const struct histogram *h)
{
    unsigned long long below = 0;
    head(t, name, "histogram", help);
    for (unsigned i = 0; i < BUCKETS; i++) {
        below += stat_get(&h->bucket[i]);
        put(t, "%s_bucket{le=\"%u.%03u\"} %llu\n", name, bucket_ms[i] / 1000,
            bucket_ms[i] % 1000, below);
    }
    uint64_t us = stat_get(&h->sum_us);
    put(t, "%s_bucket{le=\"+Inf\"} %llu\n", name, below + stat_get(&h->bucket[BUCKETS]));
    put(t, "%s_sum %llu.%06llu\n%s_count %llu\n", name, (unsigned long long)(us / 1000000),
        (unsigned long long)(us % 1000000), name, (unsigned long long)stat_get(&h->count));
}

static void put_records(struct text *t, const struct metrics *m)
{
    static const char *const kinds[TOKEN_KINDS] = {
        "input", "cached", "cache_write", "cache_write_1h", "output", "audio_input",
        "audio_output", "image_input"};
    uint32_t rows = atomic_load_explicit(&m->row_count, memory_order_acquire);
    head(t, "weir_requests_total", "counter", "Finished requests");
    for (uint32_t i = 0; i < rows; i++) {
        const struct row *r = &m->row[i];
        int provider = (int)strcspn(r->model, "/");
        put(t, "weir_requests_total{provider=\"%.*s\",model=\"%s\",status=\"%u\"} %llu\n",
            provider, r->model, r->model, r->status, (unsigned long long)stat_get(&r->count));
    }
    put_histogram(t, "weir_request_duration_seconds", "Admission to the last byte",
                  &m->duration);
    put_histogram(t, "weir_ttft_seconds", "Admission to the first content", &m->ttft);
    put_histogram(t, "gen_ai_client_operation_duration_seconds", "GenAI operation duration",
                  &m->duration);
    head(t, "weir_tokens_total", "counter", "Tokens booked");
    for (unsigned k = 0; k < TOKEN_KINDS; k++) {
        put(t, "weir_tokens_total{kind=\"%s\"} %llu\n", kinds[k],
            (unsigned long long)stat_get(&m->tokens[k]));
    }
    head(t, "gen_ai_client_token_usage", "counter", "Tokens by GenAI token type");
    put(t, "gen_ai_client_token_usage{gen_ai_token_type=\"input\"} %llu\n",
        (unsigned long long)(stat_get(&m->tokens[TOKEN_INPUT]) +
                             stat_get(&m->tokens[TOKEN_CACHED])));
    put(t, "gen_ai_client_token_usage{gen_ai_token_type=\"output\"} %llu\n",
        (unsigned long long)stat_get(&m->tokens[TOKEN_OUTPUT]));
    char cost[32];
    (void)book_cost_text((int64_t)stat_get(&m->cost_nusd), cost);
    head(t, "weir_cost_usd_total", "counter", "US dollars booked");
    put(t, "weir_cost_usd_total %s\n", cost);
    (void)book_cost_text((int64_t)stat_get(&m->hedge_nusd), cost);
    head(t, "weir_hedge_cost_usd_total", "counter",
         "US dollars of them booked for attempts that another candidate was faster than");
    put(t, "weir_hedge_cost_usd_total %s\n", cost);
}

static void put_attempts(struct text *t, struct engine *e, const struct tables *tables)
{
    const struct catalog *cat = tables->catalog;
    uint64_t now_ms = clock_now_ns() / 1000000;
    head(t, "weir_attempts_total", "counter", "Attempts by provider and outcome");
    for (uint32_t p = 0; p < cat->provider_count; p++) {
        for (unsigned end = 0; end < ATTEMPT_ENDS; end++) {
            size_t at = (size_t)tables->stat[p] * ATTEMPT_ENDS + end;
            unsigned long long n = sum(e, offsetof(struct stats, attempts) + at * 8);
            if (n == 0 && end != ATTEMPT_GOOD) continue;
            put(t, "weir_attempts_total{provider=\"%s\",outcome=\"%s\"} %llu\n",
                cat->provider[p].name, attempt_words((enum attempt_end)end), n);
        }
    }
    head(t, "weir_breaker_state", "gauge",
         "0 closed, 1 open, 2 half open; closed ones left out");
    for (uint32_t m = 0; m < cat->model_count; m++) {
        enum breaker_state s = breaker_look(&tables->model_word[m * CATALOG_KEYS_MAX], now_ms);
        if (s == BREAKER_CLOSED && !cat->model[m].configured) continue;
        put(t, "weir_breaker_state{provider=\"%s\",model=\"%s\"} %u\n",
            cat->provider[cat->model[m].provider].name, cat->model[m].id, (unsigned)s);
    }
}

static void put_process(struct text *t, const struct engine *e)
{
    uint64_t busy = 0, lag = 0, up = clock_now_ns() - e->started_ns;
    for (uint32_t i = 0; i < e->core_count; i++) {
        busy += stat_get(&e->core[i]->stats.busy_ns);
        lag += journal_lag(e->journal[i]);
    }
    unsigned long long ratio = busy * 1000 / (up * e->core_count + 1);
    head(t, "weir_core_busy_ratio", "gauge", "Share of time cores spent outside of waiting");
    put(t, "weir_core_busy_ratio 0.%03llu\n", ratio > 999 ? 999 : ratio);
    head(t, "weir_tls_pool_used_bytes", "gauge", "The TLS library's bounded pool, in use");
    put(t, "weir_tls_pool_used_bytes %llu\n", (unsigned long long)heap_used());
    head(t, "weir_tls_pool_limit_bytes", "gauge", "The size of that pool");
    put(t, "weir_tls_pool_limit_bytes %llu\n", (unsigned long long)heap_limit());
    head(t, "weir_ledger_lag_records", "gauge", "Records written and not yet committed");
    put(t, "weir_ledger_lag_records %llu\n", (unsigned long long)lag);
    uint64_t since = stat_get(&e->ledger_lag_since_ns);
    uint64_t ms = since && lag ? (clock_now_ns() - since) / 1000000 : 0;
    head(t, "weir_ledger_lag_seconds", "gauge", "Age of the oldest record not yet committed");
    put(t, "weir_ledger_lag_seconds %llu.%03llu\n", (unsigned long long)(ms / 1000),
        (unsigned long long)(ms % 1000));
    head(t, "process_start_time_seconds", "gauge", "Start, unix time");
    put(t, "process_start_time_seconds %llu\n",
        (unsigned long long)(e->started_unix_ns / 1000000000u));
}

void look_metrics(struct engine *engine, char **text, size_t *len)
{
    struct text t = {.at = malloc(TEXT_FIRST), .room = TEXT_FIRST};
    if (!t.at) return;
    struct tables *tables = atomic_load_explicit(&engine->tables, memory_order_acquire);
    tables_pin(tables, engine->core_count + 1);
    put_counters(&t, engine);
    put_records(&t, engine->metrics);
    put_attempts(&t, engine, tables);
    put_process(&t, engine);
    tables_unpin(tables, engine->core_count + 1);
    if (t.failed) {
        free(t.at);
        return;
    }
    *text = t.at;
    *len = t.len;
}
