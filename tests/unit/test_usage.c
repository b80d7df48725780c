/* test_usage.c - questions to the ledger against an oracle that knows nothing of hours: it adds
 * up the records it was given, one by one, for each group a record belongs to. */
#include "store/fold.h"
#include "store/ledger.h"
#include "store/tally.h"
#include "store/usage.h"

#include "tests/unit/data_dir.h"

#include <time.h>

enum { RECORDS = 3000, GROUPS_MAX = 20000, HOURS = 75 };

static const uint64_t hour_ns = UINT64_C(3600000000000);
/* 2026-01-30 00:00:00 UTC: the range crosses the end of a month. */
static const uint64_t epoch = UINT64_C(1769731200) * 1000000000;

static store_id id_of(enum unit_kind kind, uint64_t serial)
{
    return serial ? (uint64_t)(kind + 1) << 56 | serial : 0;
}

static uint32_t draw(uint64_t *seed, uint32_t below)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33) % below;
}

static void make_id_of(struct record *r, uint64_t ms, uint64_t chance)
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuv";
    memset(r->request_id, 0, sizeof(r->request_id));
    memcpy(r->request_id, "req_", 4);
    for (int i = 8; i >= 0; i--, ms >>= 5) r->request_id[4 + i] = letters[ms & 31];
    for (int i = 23; i >= 9; i--, chance >>= 5) r->request_id[4 + i] = letters[chance & 31];
}

/* Every second id is as Weir makes them, of the millisecond of admission; each tenth such one
 * is of a moment that the row is not of, as a client may send it. */
static void make_id(struct record *r)
{
    uint64_t e = r->exchange_id, ms = r->admitted_unix_ns / 1000000 + (e % 10 == 0);
    if (e % 2 == 0) make_id_of(r, ms, e);
    else snprintf(r->request_id, sizeof(r->request_id), "req-%llu", (unsigned long long)e);
}

static struct record draw_record(uint64_t *seed, uint64_t exchange)
{
    static const char *const models[] = {"openai/gpt", "openai/mini", "anthropic/opus", "bare"};
    static const char *const tags[] = {"", "a=1", "a=2", "a=1,b=1", "b=1, a=1", "a=1,a=1,c=3",
                                       "flag", ",,a=1,"};
    struct record r;
    memset(&r, 0, sizeof(r));
    r.exchange_id = exchange;
    r.admitted_unix_ns = epoch + draw(seed, HOURS) * hour_ns;
    r.admitted_unix_ns += draw(seed, 3600000) * UINT64_C(1000000);
    if (draw(seed, 20) == 0) r.admitted_unix_ns = r.admitted_unix_ns / hour_ns * hour_ns;
    uint32_t org = 1 + draw(seed, 2);
    r.path[UNIT_ORGANIZATION] = id_of(UNIT_ORGANIZATION, org);
    r.path[UNIT_DEPARTMENT] = id_of(UNIT_DEPARTMENT, draw(seed, 2) * org);
    r.path[UNIT_TEAM] = id_of(UNIT_TEAM, org);
    r.path[UNIT_MEMBER] = id_of(UNIT_MEMBER, org * 10 + draw(seed, 2));
    r.path[UNIT_KEY] = id_of(UNIT_KEY, org * 100 + draw(seed, 5));
    for (int k = 0; k < TOKEN_KINDS; k++) r.tokens[k] = draw(seed, 1000);
    r.reasoning_tokens = draw(seed, 10);
    r.cost_nusd = draw(seed, 1000000);
    r.status = (uint16_t)(draw(seed, 10) ? 200 : 502);
    r.close = (uint16_t)(draw(seed, 10) ? RECORD_CLOSE_DONE : 3);
    r.flags = draw(seed, 20) ? 0 : RECORD_INTERRUPTED;
    r.fallbacks = (uint8_t)draw(seed, 3);
    r.ttft_us = draw(seed, 8) ? 1 + draw(seed, 1u << (4 + draw(seed, 24))) : 0;
    r.duration_us = r.ttft_us + draw(seed, 1000000);
    snprintf(r.model, sizeof(r.model), "%s", models[draw(seed, COUNT(models))]);
    snprintf(r.tags, sizeof(r.tags), "%s", tags[draw(seed, COUNT(tags))]);
    make_id(&r);
    return r;
}

/* Write records by way of a journal, with attempts before some ends; keep them all. */
struct world {
    struct record record[2 * RECORDS];
    bool attempt[2 * RECORDS];
    size_t count;
};

static void fold_all(struct data_dir *d, struct journal *j)
{
    uint64_t folded;
    do {
        if (fold_step(d->db, &j, 1, 700, NULL, NULL, &folded) != STORE_OK) {
            fail_msg("%s", d->db->why);
        }
    } while (folded > 0);
}

static struct world *make_world(struct data_dir *d)
{
    char why[JOURNAL_WHY_MAX];
    struct journal *j = NULL;
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    data_dir_open(d);
    if (journal_open(d->path, 0, 16, 1024, &j, why) != STORE_OK) fail_msg("%s", why);
    uint64_t seed = 7;
    for (uint64_t e = 1; e <= RECORDS; e++) {
        if (!journal_has_room(j)) fold_all(d, j);
        struct record end = draw_record(&seed, e), attempt = draw_record(&seed, e);
        uint32_t slot = journal_begin(j, &end);
        if (draw(&seed, 6) == 0) memset(end.tokens, 0, sizeof(end.tokens));
        while (draw(&seed, 4) == 0 && journal_has_room_more(j)) {
            attempt.admitted_unix_ns = end.admitted_unix_ns;
            memcpy(attempt.path, end.path, sizeof(attempt.path));
            attempt.nth = end.nth++;
            if (draw(&seed, 2)) attempt.flags |= RECORD_BEGAN;
            journal_attempt(j, &attempt);
            w->attempt[w->count] = true;
            w->record[w->count++] = attempt;
        }
        journal_end(j, slot, &end);
        w->record[w->count++] = end;
    }
    fold_all(d, j);
    journal_close(j);
    return w;
}

/* ---- the oracle */

struct guess {
    struct usage_row row;
    __extension__ __int128 pico;     /* at the baseline's price */
    uint32_t *ttft;
    size_t ttft_count;
};

struct oracle {
    struct guess guess[GROUPS_MAX];
    size_t count, next;
    struct usage_ask ask;
};

static bool in_ask(const struct usage_ask *ask, const struct record *r)
{
    if (r->admitted_unix_ns < ask->from_unix_ns) return false;
    if (ask->to_unix_ns && r->admitted_unix_ns >= ask->to_unix_ns) return false;
    return ask->unit == 0 || r->path[store_id_kind(ask->unit)] == ask->unit;
}

static struct guess *guess_of(struct oracle *o, const struct record *r, const char *tag)
{
    struct usage_row row;
    memset(&row, 0, sizeof(row));
    for (unsigned k = 0; k < UNIT_KINDS; k++) {
        if (o->ask.group_by & (1u << k)) row.path[k] = r->path[k];
    }
    if (o->ask.group_by & (GROUP_MODEL | GROUP_PROVIDER)) {
        snprintf(row.model, sizeof(row.model), "%s", r->model);
        if (!(o->ask.group_by & GROUP_MODEL)) row.model[strcspn(row.model, "/")] = '\0';
    }
    snprintf(row.tag, sizeof(row.tag), "%s", tag);
    time_t seconds = (time_t)(r->admitted_unix_ns / 1000000000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    tm.tm_sec = tm.tm_min = 0;
    if (!(o->ask.group_by & GROUP_HOUR)) tm.tm_hour = 0;
    if (!(o->ask.group_by & (GROUP_HOUR | GROUP_DAY))) tm.tm_mday = 1;
    if (o->ask.group_by & (GROUP_HOUR | GROUP_DAY | GROUP_MONTH)) {
        row.time_unix_ns = (uint64_t)timegm(&tm) * 1000000000;
    }
    for (size_t i = 0; i < o->count; i++) {
        struct usage_row *at = &o->guess[i].row;
        if (!memcmp(at->path, row.path, sizeof(row.path)) && !strcmp(at->model, row.model) &&
            !strcmp(at->tag, row.tag) && at->time_unix_ns == row.time_unix_ns) {
            return &o->guess[i];
        }
    }
    assert_true(o->count < GROUPS_MAX);
    o->guess[o->count].row = row;
    o->guess[o->count].pico = 0;
    o->guess[o->count].ttft = calloc(RECORDS, sizeof(uint32_t));
    o->guess[o->count].ttft_count = 0;
    return &o->guess[o->count++];
}

/* ---- a baseline: dearer from the second day on, a tier for long prompts, 7 nano-dollars a
 * request, no price before `since`. */

enum { TIER_ABOVE = 3300 };

struct price_of {
    struct usage_baseline baseline;
    uint64_t since;
    unsigned asked;
};

static bool price_at(const struct usage_baseline *b, uint64_t unix_ns, uint64_t prompt,
                     int64_t kind[TOKEN_KINDS], int64_t *request)
{
    struct price_of *p = b->arg;
    p->asked++;
    assert_int_equal(unix_ns % hour_ns, 0);
    bool late = unix_ns >= epoch + 24 * hour_ns, tier = b->above > 0 && prompt > TIER_ABOVE;
    for (int k = 0; k < TOKEN_KINDS; k++) {
        kind[k] = (k + 1) * INT64_C(1234567) * (late ? 3 : 1) / (tier ? 2 : 1) + tier;
    }
    *request = 7001;
    return unix_ns >= p->since;
}

static struct price_of make_baseline(bool tiered)
{
    return (struct price_of){.baseline = {.price = price_at, .above = tiered ? TIER_ABOVE : 0}};
}

/* One record at the price of its own hour and prompt. */
static void guess_price(struct guess *g, const struct usage_baseline *b, const struct record *r,
                        bool attempt)
{
    int64_t kind[TOKEN_KINDS], request;
    uint64_t prompt = 0;
    for (int k = 0; k < TOKEN_KINDS; k++) {
        prompt += k == TOKEN_OUTPUT || k == TOKEN_AUDIO_OUTPUT ? 0 : r->tokens[k];
    }
    (void)b->price(b, r->admitted_unix_ns / hour_ns * hour_ns, prompt, kind, &request);
    for (int k = 0; k < TOKEN_KINDS; k++) g->pico += kind[k] * (int64_t)r->tokens[k];
    bool good = r->status < 400 && r->close == RECORD_CLOSE_DONE &&
                !(r->flags & RECORD_INTERRUPTED);
    if (!attempt && good) g->pico += request;
}

static void guess_add(struct guess *g, const struct record *r, bool attempt)
{
    for (int k = 0; k < TOKEN_KINDS; k++) g->row.tokens[k] += r->tokens[k];
    g->row.cost_nusd += r->cost_nusd;
    if (attempt) return;
    g->row.requests++;
    if (r->status >= 400 || r->close != RECORD_CLOSE_DONE || (r->flags & RECORD_INTERRUPTED)) {
        g->row.errors++;
    }
    g->row.fallbacks += r->fallbacks;
    if (!r->ttft_us) return;
    g->row.ttft_us_sum += r->ttft_us;
    g->row.output_us_sum += r->duration_us - r->ttft_us;
    g->ttft[g->ttft_count++] = r->ttft_us;
}

/* The pieces of the tags that draw_record uses, cut by hand. */
static size_t pieces(const char *tags, const char *out[3])
{
    static const struct { const char *tags, *piece[3]; } table[] = {
        {"a=1", {"a=1"}}, {"a=2", {"a=2"}}, {"a=1,b=1", {"a=1", "b=1"}},
        {"b=1, a=1", {"b=1", "a=1"}}, {"a=1,a=1,c=3", {"a=1", "c=3"}}, {"flag", {"flag"}},
        {",,a=1,", {"a=1"}},
    };
    out[0] = "";
    for (size_t i = 0; i < COUNT(table); i++) {
        if (strcmp(table[i].tags, tags) != 0) continue;
        size_t n = 0;
        while (n < 3 && table[i].piece[n]) out[n] = table[i].piece[n], n++;
        return n;
    }
    return 1;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static int by_columns(const void *left, const void *right)
{
    const struct usage_row *a = &((const struct guess *)left)->row;
    const struct usage_row *b = &((const struct guess *)right)->row;
    for (int k = 0; k < UNIT_KINDS; k++) {
        if (a->path[k] != b->path[k]) return a->path[k] < b->path[k] ? -1 : 1;
    }
    int order = strcmp(a->model, b->model);
    if (!order) order = strcmp(a->tag, b->tag);
    if (order) return order;
    return (a->time_unix_ns > b->time_unix_ns) - (a->time_unix_ns < b->time_unix_ns);
}

static void guess_all(struct oracle *o, const struct world *w)
{
    o->count = o->next = 0;
    for (size_t i = 0; i < w->count; i++) {
        const struct record *r = &w->record[i];
        const char *tag[3] = {"", "", ""};
        if (!in_ask(&o->ask, r)) continue;
        size_t n = o->ask.group_by & GROUP_TAG ? pieces(r->tags, tag) : 1;
        for (size_t k = 0; k < n; k++) {
            struct guess *g = guess_of(o, r, tag[k]);
            guess_add(g, r, w->attempt[i]);
            if (o->ask.baseline) guess_price(g, o->ask.baseline, r, w->attempt[i]);
        }
    }
    for (size_t i = 0; i < o->count; i++) {
        qsort(o->guess[i].ttft, o->guess[i].ttft_count, sizeof(uint32_t), by_number);
    }
    qsort(o->guess, o->count, sizeof(*o->guess), by_columns);
}

static void assert_close(uint32_t got, const uint32_t *sorted, size_t count, size_t percent)
{
    if (count == 0) {
        assert_int_equal(got, 0);
        return;
    }
    uint64_t want = sorted[(count * percent + 99) / 100 - 1];
    assert_true((uint64_t)got * 100 <= want * 105);
    assert_true((uint64_t)got * 100 >= want * 95);
}

static bool compare(const struct usage_row *row, void *arg)
{
    struct oracle *o = arg;
    assert_true(o->next < o->count);
    const struct guess *g = &o->guess[o->next++];
    assert_memory_equal(row->path, g->row.path, sizeof(row->path));
    assert_string_equal(row->model, g->row.model);
    assert_string_equal(row->tag, g->row.tag);
    assert_int_equal(row->time_unix_ns, g->row.time_unix_ns);
    assert_int_equal(row->requests, g->row.requests);
    assert_int_equal(row->errors, g->row.errors);
    assert_int_equal(row->fallbacks, g->row.fallbacks);
    assert_memory_equal(row->tokens, g->row.tokens, sizeof(row->tokens));
    assert_int_equal(row->cost_nusd, g->row.cost_nusd);
    assert_int_equal(row->ttft_us_sum, g->row.ttft_us_sum);
    assert_int_equal(row->ttft_count, g->ttft_count);
    assert_int_equal(row->output_us_sum, g->row.output_us_sum);
    assert_int_equal(row->baseline_nusd, (int64_t)((g->pico + 500) / 1000));
    assert_close(row->ttft_p50_us, g->ttft, g->ttft_count, 50);
    assert_close(row->ttft_p95_us, g->ttft, g->ttft_count, 95);
    return true;
}

static void ask_both(struct data_dir *d, const struct world *w, struct oracle *o)
{
    guess_all(o, w);
    MDB_txn *txn = data_dir_begin(d, false);
    if (o->count == 0 && o->ask.group_by == 0) {
        o->guess[o->count++] = (struct guess){.ttft = NULL};
    }
    assert_int_equal(usage_query(d->db, txn, &o->ask, compare, o), STORE_OK);
    db_abort(txn);
    assert_int_equal(o->next, o->count);
    for (size_t i = 0; i < o->count; i++) free(o->guess[i].ttft);
}

static void test_every_grouping_agrees_with_the_oracle(void **state)
{
    struct world *w = make_world(*state);
    struct oracle *o = calloc(1, sizeof(*o));
    assert_non_null(o);
    static const unsigned groups[] = {
        0, GROUP_ORGANIZATION, GROUP_DEPARTMENT, GROUP_TEAM, GROUP_MEMBER, GROUP_KEY,
        GROUP_MODEL, GROUP_PROVIDER, GROUP_TAG, GROUP_HOUR, GROUP_DAY, GROUP_MONTH,
        GROUP_MODEL | GROUP_PROVIDER, GROUP_KEY | GROUP_DAY, GROUP_TAG | GROUP_MONTH,
        GROUP_ORGANIZATION | GROUP_MODEL | GROUP_TAG | GROUP_DAY, GROUP_HOUR | GROUP_MONTH,
    };
    const uint64_t h = hour_ns, times[][2] = {
        {0, 0}, {epoch + 5 * h, epoch + 9 * h},               /* whole hours */
        {epoch + 5 * h + 1, epoch + 9 * h - 1},               /* edges on both sides */
        {epoch + 7 * h + h / 3, epoch + 7 * h + h / 2},       /* inside one hour */
        {epoch + 7 * h + h / 3, epoch + 8 * h + h / 2},       /* no whole hour */
        {epoch + 40 * h + 12345, 0}, {0, epoch + 49 * h + 54321},
        {epoch + 9 * h, epoch + 5 * h},
    };
    for (size_t g = 0; g < COUNT(groups); g++) {
        for (size_t t = 0; t < COUNT(times); t++) {
            o->ask = (struct usage_ask){.from_unix_ns = times[t][0], .to_unix_ns = times[t][1],
                                        .group_by = groups[g]};
            ask_both(*state, w, o);
        }
    }
    const store_id units[] = {id_of(UNIT_ORGANIZATION, 1), id_of(UNIT_ORGANIZATION, 2),
                              id_of(UNIT_ORGANIZATION, 9), id_of(UNIT_DEPARTMENT, 2),
                              id_of(UNIT_TEAM, 1), id_of(UNIT_MEMBER, 11),
                              id_of(UNIT_KEY, 203)};
    for (size_t u = 0; u < COUNT(units); u++) {
        for (size_t t = 0; t < COUNT(times); t++) {
            o->ask = (struct usage_ask){.unit = units[u], .from_unix_ns = times[t][0],
                                        .to_unix_ns = times[t][1], .group_by = GROUP_MODEL};
            ask_both(*state, w, o);
            o->ask.group_by = 0;
            ask_both(*state, w, o);
        }
    }
    free(o);
    free(w);
}

/* The two writings of the same sums, whole range: rows by a range that ends within hours. */
static void test_rows_and_hours_hold_the_same(void **state)
{
    struct world *w = make_world(*state);
    struct data_dir *d = *state;
    struct oracle *o = calloc(1, sizeof(*o));
    assert_non_null(o);
    for (uint64_t hour = 0; hour < HOURS; hour++) {
        uint64_t begin = epoch + hour * hour_ns, mid = begin + hour_ns / 2;
        const uint64_t times[][2] = {{begin, begin + hour_ns}, {begin, mid},
                                     {mid, begin + hour_ns}};
        for (size_t t = 0; t < COUNT(times); t++) {
            o->ask = (struct usage_ask){.from_unix_ns = times[t][0], .to_unix_ns = times[t][1],
                                        .group_by = GROUP_KEY};
            ask_both(d, w, o);
        }
    }
    free(o);
    free(w);
}

/* All that is there, without and with tiers: every request has its row. */
static void test_a_baseline_prices_each_request(void **state)
{
    struct world *w = make_world(*state);
    struct oracle *o = calloc(1, sizeof(*o));
    assert_non_null(o);
    static const unsigned groups[] = {0, GROUP_KEY, GROUP_MODEL, GROUP_TAG, GROUP_HOUR,
                                      GROUP_MODEL | GROUP_TAG | GROUP_DAY};
    const uint64_t h = hour_ns, times[][2] = {
        {0, 0}, {epoch + 5 * h, epoch + 49 * h}, {epoch + 5 * h + 1, epoch + 49 * h - 1},
        {epoch + 7 * h + h / 3, epoch + 7 * h + h / 2}, {epoch + 20 * h + 12345, 0},
        {0, epoch + 30 * h + 54321}, {epoch + 900 * h, 0},
    };
    const store_id units[] = {0, id_of(UNIT_ORGANIZATION, 1), id_of(UNIT_KEY, 203)};
    for (unsigned i = 0; i < 2 * COUNT(groups) * COUNT(times) * COUNT(units); i++) {
        struct price_of price = make_baseline(i % 2);
        size_t at = i / 2;
        price.baseline.arg = &price;
        o->ask = (struct usage_ask){.baseline = &price.baseline};
        o->ask.unit = units[at % COUNT(units)], at /= COUNT(units);
        o->ask.from_unix_ns = times[at % COUNT(times)][0];
        o->ask.to_unix_ns = times[at % COUNT(times)][1], at /= COUNT(times);
        o->ask.group_by = groups[at];
        ask_both(*state, w, o);
    }
    free(o);
    free(w);
}

static bool keep_row(const struct usage_row *row, void *arg)
{
    *(struct usage_row *)arg = *row;
    return true;
}

static struct usage_row total_of(struct data_dir *d, struct price_of *price, uint64_t from_ns)
{
    struct usage_row row = {.requests = 0};
    price->baseline.arg = price;
    struct usage_ask ask = {.baseline = &price->baseline, .from_unix_ns = from_ns};
    MDB_txn *txn = data_dir_begin(d, false);
    assert_int_equal(usage_query(d->db, txn, &ask, keep_row, &row), STORE_OK);
    db_abort(txn);
    return row;
}

/* Of hours whose rows expired the sums are left, and have the base price; rows of hours whose
 * sums expired are not counted. */
static void test_a_baseline_outlives_the_rows(void **state)
{
    struct world *w = make_world(*state);
    struct data_dir *d = *state;
    struct price_of base = make_baseline(false), tiered = make_baseline(true);
    const uint64_t cut = epoch + 30 * hour_ns;
    uint64_t deleted;
    struct usage_row whole = total_of(d, &base, 0), fair = total_of(d, &tiered, 0);
    struct usage_row late = total_of(d, &base, cut), late_fair = total_of(d, &tiered, cut);
    assert_true(fair.baseline_nusd < whole.baseline_nusd);
    assert_int_equal(fold_expire(d->db, cut, 0, SIZE_MAX, &deleted), STORE_OK);
    assert_true(deleted > 100);
    assert_int_equal(total_of(d, &base, 0).baseline_nusd, whole.baseline_nusd);
    int64_t left = total_of(d, &tiered, 0).baseline_nusd;
    int64_t guess = whole.baseline_nusd - late.baseline_nusd + late_fair.baseline_nusd;
    /* Three roundings apart, and what the span at the cut still had. */
    assert_true(left <= guess + 2);
    assert_true(left > guess - (whole.baseline_nusd - fair.baseline_nusd) / 20);
    assert_int_equal(fold_expire(d->db, 0, epoch + 40 * hour_ns, SIZE_MAX, &deleted), STORE_OK);
    struct usage_row rest = total_of(d, &tiered, 0);
    assert_int_equal(rest.baseline_nusd,
                     total_of(d, &tiered, epoch + 40 * hour_ns).baseline_nusd);
    assert_true(rest.requests > 0);
    assert_int_equal(fold_expire(d->db, 0, UINT64_MAX, SIZE_MAX, &deleted), STORE_OK);
    assert_int_equal(total_of(d, &tiered, 0).baseline_nusd, 0);
    free(w);
}

static void test_a_baseline_without_a_price(void **state)
{
    struct world *w = make_world(*state);
    struct data_dir *d = *state;
    struct price_of price = make_baseline(true);
    struct usage_row row;
    price.baseline.arg = &price;
    price.since = epoch + 30 * hour_ns;
    struct usage_ask ask = {.baseline = &price.baseline};
    MDB_txn *txn = data_dir_begin(d, false);
    assert_int_equal(usage_query(d->db, txn, &ask, keep_row, &row), STORE_REFUSED);
    ask.from_unix_ns = price.since - 1;
    assert_int_equal(usage_query(d->db, txn, &ask, keep_row, &row), STORE_OK);
    ask.from_unix_ns = price.since - hour_ns / 2;
    ask.to_unix_ns = price.since + 1;
    assert_int_equal(usage_query(d->db, txn, &ask, keep_row, &row), STORE_REFUSED);
    price.asked = 0;
    ask.from_unix_ns = ask.to_unix_ns = 0;
    ask.baseline = NULL;
    assert_int_equal(usage_query(d->db, txn, &ask, keep_row, &row), STORE_OK);
    assert_int_equal(price.asked, 0);
    assert_int_equal(row.baseline_nusd, 0);
    db_abort(txn);
    free(w);
}

/* Costs beyond 9 billion dollars stay there; the sum on the way takes 128 bits. */
static bool dear(const struct usage_baseline *b, uint64_t unix_ns, uint64_t prompt,
                 int64_t kind[TOKEN_KINDS], int64_t *request)
{
    (void)b, (void)unix_ns, (void)prompt;
    for (int k = 0; k < TOKEN_KINDS; k++) kind[k] = INT64_C(999999999999999);
    *request = INT64_MAX;
    return true;
}

static void test_a_baseline_does_not_overflow(void **state)
{
    struct world *w = make_world(*state);
    struct price_of price = {.baseline = {.price = dear}};
    assert_int_equal(total_of(*state, &price, 0).baseline_nusd, INT64_MAX);
    free(w);
}

static bool stop_at_two(const struct usage_row *row, void *arg)
{
    (void)row;
    return ++*(int *)arg < 2;
}

static void test_visit_may_stop(void **state)
{
    struct world *w = make_world(*state);
    struct data_dir *d = *state;
    int seen = 0;
    struct usage_ask ask = {.group_by = GROUP_KEY};
    MDB_txn *txn = data_dir_begin(d, false);
    assert_int_equal(usage_query(d->db, txn, &ask, stop_at_two, &seen), STORE_OK);
    db_abort(txn);
    assert_int_equal(seen, 2);
    free(w);
}

/* ---- request rows */

struct page {
    const struct world *w;
    struct usage_ask ask;
    size_t limit, seen, total;
    struct request_mark after;
    uint64_t before_ns, before_exchange;
    uint8_t met[RECORDS + 1];
};

static bool see_request(const struct request_row *row, void *arg)
{
    struct page *p = arg;
    const struct record *r = &row->end;
    assert_int_equal(r->kind, RECORD_REQUEST);
    assert_true(in_ask(&p->ask, r));
    assert_true(r->admitted_unix_ns < p->before_ns ||
                (r->admitted_unix_ns == p->before_ns && r->exchange_id < p->before_exchange));
    p->before_ns = r->admitted_unix_ns;
    p->before_exchange = r->exchange_id;
    p->met[r->exchange_id]++;
    int64_t cost = 0;
    uint32_t tokens[TOKEN_KINDS] = {0}, reasoning = 0, billed = 0;
    const char *first = NULL, *last = "";
    bool began = false;
    for (size_t i = 0; i < p->w->count; i++) {
        const struct record *at = &p->w->record[i];
        if (at->exchange_id != r->exchange_id) continue;
        if (p->w->attempt[i]) {
            assert_int_equal(row->billed[billed].nth, at->nth);
            assert_int_equal(row->billed[billed++].cost_nusd, at->cost_nusd);
        }
        bool names = !first && (!p->w->attempt[i] || (at->flags & RECORD_BEGAN));
        if (names) first = at->model;
        bool said = at->tokens[TOKEN_OUTPUT] > 0 || at->tokens[TOKEN_AUDIO_OUTPUT] > 0;
        bool ends = !p->w->attempt[i] && said;
        if (p->w->attempt[i] && (at->flags & RECORD_BEGAN)) began = true;
        if (ends && began) last = at->model;
        cost += at->cost_nusd;
        reasoning += at->reasoning_tokens;
        for (int k = 0; k < TOKEN_KINDS; k++) tokens[k] += at->tokens[k];
    }
    assert_int_equal(row->billed_count, billed);
    assert_string_equal(r->model, first);
    assert_string_equal(row->continued_by, last);
    assert_int_equal(r->cost_nusd, cost);
    assert_int_equal(r->reasoning_tokens, reasoning);
    assert_memory_equal(r->tokens, tokens, sizeof(tokens));
    p->after = (struct request_mark){r->admitted_unix_ns, r->exchange_id};
    p->total++;
    return ++p->seen < p->limit;
}

static void page_through(struct data_dir *d, const struct world *w, struct usage_ask ask,
                         size_t limit)
{
    struct page *p = calloc(1, sizeof(*p));
    assert_non_null(p);
    *p = (struct page){.w = w, .ask = ask, .limit = limit, .before_ns = UINT64_MAX};
    do {
        p->seen = 0;
        MDB_txn *txn = data_dir_begin(d, false);
        assert_int_equal(usage_requests(d->db, txn, &ask, p->total ? &p->after : NULL,
                                        see_request, p), STORE_OK);
        db_abort(txn);
    } while (p->seen == limit);
    size_t want = 0;
    for (size_t i = 0; i < w->count; i++) {
        if (w->attempt[i] || !in_ask(&ask, &w->record[i])) continue;
        want++;
        assert_int_equal(p->met[w->record[i].exchange_id], 1);
    }
    assert_int_equal(p->total, want);
    free(p);
}

static void test_pages_hold_each_request_once(void **state)
{
    struct world *w = make_world(*state);
    struct data_dir *d = *state;
    const store_id units[] = {0, id_of(UNIT_ORGANIZATION, 2), id_of(UNIT_KEY, 101),
                              id_of(UNIT_KEY, 999)};
    for (size_t u = 0; u < COUNT(units); u++) {
        page_through(d, w, (struct usage_ask){.unit = units[u]}, 7);
        page_through(d, w, (struct usage_ask){.unit = units[u],
                                              .from_unix_ns = epoch + 11 * hour_ns + 7,
                                              .to_unix_ns = epoch + 31 * hour_ns}, 500);
    }
    page_through(d, w, (struct usage_ask){.unit = 0}, 1);
    /* Hours' sums may be gone before the rows: those hours are read all the same. */
    uint64_t deleted;
    assert_int_equal(fold_expire(d->db, 0, epoch + 20 * hour_ns, 100000, &deleted), STORE_OK);
    assert_true(deleted > 0);
    page_through(d, w, (struct usage_ask){.unit = id_of(UNIT_KEY, 101)}, 50);
    struct page p = {.w = w};
    struct request_mark none = {epoch, 987654321};
    MDB_txn *txn = data_dir_begin(d, false);
    assert_int_equal(usage_requests(d->db, txn, &p.ask, &none, see_request, &p),
                     STORE_NOT_FOUND);
    db_abort(txn);
    free(w);
}

static void test_requests_are_found_by_their_id(void **state)
{
    struct world *w = make_world(*state);
    struct data_dir *d = *state;
    MDB_txn *txn = data_dir_begin(d, false);
    for (size_t i = 0; i < w->count; i++) {
        const struct record *r = &w->record[i];
        if (w->attempt[i]) continue;
        size_t len = strlen(r->request_id);
        store_id key = r->path[UNIT_KEY];
        assert_int_equal(usage_find(d->db, txn, key, r->request_id, len), STORE_OK);
        store_id other = key + 1000;
        assert_int_equal(usage_find(d->db, txn, other, r->request_id, len), STORE_NOT_FOUND);
        assert_int_equal(usage_find(d->db, txn, key, "absent", 6), STORE_NOT_FOUND);
    }
    assert_int_equal(usage_find(d->db, txn, 0, "req-1", 5), STORE_NOT_FOUND);
    assert_int_equal(usage_find(d->db, txn, 1, "", 0), STORE_NOT_FOUND);
    db_abort(txn);
    free(w);
}

/* Of requests with one id the newest is found: in one millisecond, in a block written later, at
 * both ends of a span. */
static void test_the_newest_of_an_id_is_found(void **state)
{
    struct data_dir *d = *state;
    char why[JOURNAL_WHY_MAX];
    struct journal *j = NULL;
    data_dir_open(d);
    if (journal_open(d->path, 0, 16, 1024, &j, why) != STORE_OK) fail_msg("%s", why);
    const uint64_t span = (uint64_t)1 << LEDGER_SPAN_SHIFT;
    uint64_t seed = 1, exchange = 0, ms = (epoch / span + 1) * span / 1000000;  /* across two */
    const uint64_t times[] = {ms * 1000000 + 5, ms * 1000000 + 999999, ms * 1000000 + 7};
    assert_int_not_equal(times[0] / span, times[1] / span);
    for (int again = 0; again < 2; again++) {
        for (size_t i = 0; i < COUNT(times); i++) {
            struct record r = draw_record(&seed, 2), seen;
            r.exchange_id = ++exchange;
            r.path[UNIT_KEY] = id_of(UNIT_KEY, 1);
            r.admitted_unix_ns = times[i];
            make_id_of(&r, ms, 7);
            journal_end(j, journal_begin(j, &r), &r);
            fold_all(d, j);
            uint64_t want = again == 0 && i == 0 ? 1 : again == 0 ? 2 : i == 0 ? 2 : 5;
            MDB_txn *txn = data_dir_begin(d, false);
            assert_int_equal(ledger_find(d->db, txn, r.path[UNIT_KEY], r.request_id, 28, &seen),
                             STORE_OK);
            assert_int_equal(seen.exchange_id, want);
            db_abort(txn);
        }
    }
    journal_close(j);
}

/* ---- tallies */

static void test_a_tally_reads_back_as_written(void **state)
{
    (void)state;
    uint64_t seed = 3;
    struct tally t = {.requests = 0}, back = {.requests = 0};
    uint8_t bytes[TALLY_BYTES_MAX], again[TALLY_BYTES_MAX];
    for (int i = 0; i < 5000; i++) {
        struct record r = draw_record(&seed, 1);
        r.kind = RECORD_REQUEST;
        r.ttft_us = (uint32_t)1 << draw(&seed, 32) | draw(&seed, UINT32_MAX) >> draw(&seed, 32);
        r.cost_nusd = -r.cost_nusd;
        assert_true(tally_record(&t, &r));
    }
    size_t len = tally_write(&t, bytes);
    assert_int_equal(tally_read(&back, bytes, len), STORE_OK);
    assert_int_equal(back.cost_nusd, t.cost_nusd);
    assert_int_equal(tally_write(&back, again), len);
    assert_memory_equal(bytes, again, len);
    tally_fini(&back);
    for (size_t cut = 0; cut < len; cut++) {      /* every shorter one is none */
        assert_int_equal(tally_read(&back, bytes, cut), STORE_FAIL);
        tally_fini(&back);
    }
    bytes[len] = 0;
    assert_int_equal(tally_read(&back, bytes, len + 1), STORE_FAIL);
    tally_fini(&back);
    tally_fini(&t);
}

static void test_percentiles_within_five_percent(void **state)
{
    (void)state;
    for (uint64_t us = 1; us <= UINT32_MAX; us += 1 + us / 37) {
        struct tally t = {.requests = 0};
        struct record r = {.kind = RECORD_REQUEST, .ttft_us = (uint32_t)us};
        assert_true(tally_record(&t, &r));
        uint64_t got = tally_percentile(&t, 50);
        assert_true(got * 100 <= us * 105);
        assert_true(got * 100 >= us * 95);
        tally_fini(&t);
    }
    struct tally top = {.requests = 0};
    struct record r = {.kind = RECORD_REQUEST, .ttft_us = UINT32_MAX};
    assert_true(tally_record(&top, &r));
    assert_int_equal(top.bin[0].idx, TALLY_BINS - 1);
    tally_fini(&top);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DATA_TEST(test_every_grouping_agrees_with_the_oracle),
        DATA_TEST(test_rows_and_hours_hold_the_same),
        DATA_TEST(test_a_baseline_prices_each_request),
        DATA_TEST(test_a_baseline_outlives_the_rows),
        DATA_TEST(test_a_baseline_without_a_price),
        DATA_TEST(test_a_baseline_does_not_overflow),
        DATA_TEST(test_visit_may_stop),
        DATA_TEST(test_pages_hold_each_request_once),
        DATA_TEST(test_requests_are_found_by_their_id),
        DATA_TEST(test_the_newest_of_an_id_is_found),
        cmocka_unit_test(test_a_tally_reads_back_as_written),
        cmocka_unit_test(test_percentiles_within_five_percent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
