/* usage.c - questions to the ledger.
 *
 *   from       first whole hour            last whole hour       to
 *    |-- rows --|---- aggregates of DB_HOURS ----|------- rows ---|
 *               |-- rows again: a baseline's tiers --|
 *
 * A source row (a record, or an hour's tally) is added to the group it belongs to, or to one
 * group per tag. A group's key is its columns as bytes, so that sorting the keys sorts the
 * answer. Everything is read in one transaction, so that an hour folded meanwhile is either in
 * both tables or in neither.
 * The rule: rows and aggregates are two writings of the same sums; which is read is a question
 * of cost alone. */
#include "store/usage.h"

#include "store/ledger.h"
#include "store/tally.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    NS_PER_S = 1000000000,
    PIECES_MAX = (RECORD_TAGS_MAX + 1) / 2,   /* "a,b,c": tags of one byte */
    /* A group's key: path, model, NUL, tag, NUL, time. */
    GROUP_KEY_MAX = 8 * UNIT_KINDS + RECORD_MODEL_MAX + 1 + RECORD_TAGS_MAX + 1 + 8,
};
#define DAY_NS (24 * LEDGER_HOUR_NS)
static_assert(GROUP_KEY_MAX <= 512, "a map of tallies takes it");

enum { PICO_PER_NANO = 1000 };

struct cost {                      /* all zero is none */
    __extension__ __int128 pico;   /* pico-dollars; 2^64 tokens at 10^15 each take 114 bits */
};

struct query {
    struct db *db;
    MDB_txn *txn;
    const struct usage_ask *ask;
    struct tallies groups;
    struct cost *cost;             /* at the baseline's price; by number of groups' entries */
    size_t cost_max;
};

struct text {
    const char *at;
    size_t len;
};

/* What a row adds to its groups: a record, or the bytes of a tally. */
struct source {
    const store_id *path;
    struct text model, tags;
    uint64_t hour_ns;              /* start of its hour */
    const struct record *record;   /* or NULL */
    MDB_val written;
    bool again;                    /* its hour's sums are counted: only its tier is missing */
};

static bool is_below(const store_id path[UNIT_KINDS], store_id unit)
{
    if (unit == 0) return true;
    enum unit_kind kind = store_id_kind(unit);
    return kind < UNIT_KINDS && path[kind] == unit;
}

/* ---- groups */

/* Start of the month of a time, UTC. */
static uint64_t month_ns(uint64_t unix_ns)
{
    time_t seconds = (time_t)(unix_ns / NS_PER_S);
    struct tm tm;
    if (!gmtime_r(&seconds, &tm)) return unix_ns / DAY_NS * DAY_NS;  /* 64 bits of ns: never */
    uint64_t day = unix_ns / DAY_NS - ((uint64_t)tm.tm_mday - 1);
    return day * DAY_NS;
}

/* The narrowest time column asked for. */
static uint64_t group_time(unsigned group_by, uint64_t hour_ns)
{
    if (group_by & GROUP_HOUR) return hour_ns;
    if (group_by & GROUP_DAY) return hour_ns / DAY_NS * DAY_NS;
    if (group_by & GROUP_MONTH) return month_ns(hour_ns);
    return 0;
}

static struct text group_model(unsigned group_by, struct text model)
{
    if (group_by & GROUP_MODEL) return model;
    if (!(group_by & GROUP_PROVIDER)) return (struct text){"", 0};
    const char *slash = memchr(model.at, '/', model.len);
    return slash ? (struct text){model.at, (size_t)(slash - model.at)} : model;
}

static size_t group_key(uint8_t out[GROUP_KEY_MAX], unsigned group_by, const struct source *s,
                        struct text tag)
{
    for (int k = 0; k < UNIT_KINDS; k++) {
        static_assert(GROUP_KEY == GROUP_ORGANIZATION << UNIT_KEY, "bits follow the levels");
        bool asked = group_by & ((unsigned)GROUP_ORGANIZATION << k);
        db_be64(out + 8 * k, asked ? s->path[k] : 0);
    }
    uint8_t *at = out + 8 * UNIT_KINDS;
    struct text model = group_model(group_by, s->model);
    memcpy(at, model.at, model.len);
    at += model.len;
    *at++ = '\0';
    memcpy(at, tag.at, tag.len);
    at += tag.len;
    *at++ = '\0';
    db_be64(at, group_time(group_by, s->hour_ns));
    return (size_t)(at + 8 - out);
}

/* The key of a group, taken apart again. */
static void row_of_key(struct usage_row *row, const uint8_t *key)
{
    for (int k = 0; k < UNIT_KINDS; k++) row->path[k] = db_from_be64(key + 8 * k);
    const char *model = (const char *)key + 8 * UNIT_KINDS;
    size_t model_len = strnlen(model, RECORD_MODEL_MAX);
    memcpy(row->model, model, model_len);
    const char *tag = model + model_len + 1;
    size_t tag_len = strnlen(tag, RECORD_TAGS_MAX);
    memcpy(row->tag, tag, tag_len);
    row->time_unix_ns = db_from_be64(tag + tag_len + 1);
}

/* ---- the baseline: what the same tokens had cost at another model's price */

/* The cost of a group; NULL without memory. */
static struct cost *cost_of(struct query *q, uint32_t number)
{
    if (number >= q->cost_max) {
        size_t max = q->groups.entry_max;
        assert(number < max);
        struct cost *cost = realloc(q->cost, max * sizeof(*cost));
        if (!cost) return NULL;
        memset(cost + q->cost_max, 0, (max - q->cost_max) * sizeof(*cost));
        q->cost = cost;
        q->cost_max = max;
    }
    return &q->cost[number];
}

/* Add count x price. What a row could not tell stays at the most it can. */
static void cost_add(struct cost *c, uint64_t count, int64_t price)
{
    __extension__ __int128 most = INT64_MAX, sum = count;
    most *= PICO_PER_NANO;
    sum = c->pico + sum * price;
    c->pico = sum > most ? most : sum < -most ? -most : sum;
}

/* In nano-dollars, half up. */
static int64_t cost_nusd(const struct cost *c)
{
    if (c->pico <= 0) return 0;
    int64_t nano = (int64_t)(c->pico / PICO_PER_NANO);
    int64_t rest = (int64_t)(c->pico % PICO_PER_NANO);
    return rest >= PICO_PER_NANO / 2 && nano < INT64_MAX ? nano + 1 : nano;
}

static uint64_t prompt_of(const struct record *r)
{
    uint64_t sum = 0;
    for (int k = 0; k < TOKEN_KINDS; k++) {
        if (k != TOKEN_OUTPUT && k != TOKEN_AUDIO_OUTPUT) sum += r->tokens[k];
    }
    return sum;
}

/* Add what a source brought: `t` is its group's tally, `before` the same without it. A record
 * has the price of its own prompt; one that comes again, the difference to the base price. */
static enum store_rc baseline_add(struct query *q, const struct source *s, uint32_t number,
                                  const struct tally *t, const struct tally *before)
{
    const struct usage_baseline *b = q->ask->baseline;
    int64_t kind[TOKEN_KINDS], base[TOKEN_KINDS] = {0}, request;
    uint64_t prompt = s->record ? prompt_of(s->record) : 0;
    if (!b->price(b, s->hour_ns, prompt, kind, &request)) return STORE_REFUSED;
    if (s->again && !b->price(b, s->hour_ns, 0, base, &request)) return STORE_REFUSED;
    struct cost *cost = cost_of(q, number);
    if (!cost) return db_rc(q->db, ENOMEM, "add up usage");
    for (int k = 0; k < TOKEN_KINDS; k++) {
        uint64_t tokens = s->again ? s->record->tokens[k] : t->tokens[k] - before->tokens[k];
        assert(kind[k] >= 0 && base[k] >= 0);
        cost_add(cost, tokens, kind[k] - base[k]);
    }
    if (s->again) return STORE_OK;
    uint64_t requests = t->requests - before->requests, errors = t->errors - before->errors;
    if (requests > errors) cost_add(cost, requests - errors, request);
    return STORE_OK;
}

static enum store_rc group_add(struct query *q, const struct source *s, struct text tag)
{
    uint8_t key[GROUP_KEY_MAX];
    size_t len = group_key(key, q->ask->group_by, s, tag);
    uint32_t idx;
    bool room = tallies_at(&q->groups, key, len, &idx);
    struct tally *t = room ? &q->groups.entry[idx].tally : NULL;
    struct tally before = t ? *t : (struct tally){.requests = 0};   /* its bins are not read */
    enum store_rc rc = STORE_FULL;
    if (t && s->again) rc = STORE_OK;
    else if (t && !s->record) rc = tally_read(t, s->written.mv_data, s->written.mv_size);
    else if (t && tally_record(t, s->record)) rc = STORE_OK;
    if (rc == STORE_OK && q->ask->baseline) return baseline_add(q, s, idx, t, &before);
    if (rc == STORE_FULL) return db_rc(q->db, ENOMEM, "add up usage");
    return rc == STORE_OK ? STORE_OK : db_damaged(q->db, "an hour's sums");
}

static bool is_same(struct text a, struct text b)
{
    return a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

/* Cut tags at commas: pieces that are neither empty nor there already. Gives their number. */
static size_t tags_cut(struct text tags, struct text piece[PIECES_MAX])
{
    size_t count = 0;
    while (tags.len > 0) {
        const char *comma = memchr(tags.at, ',', tags.len);
        struct text p = {tags.at, comma ? (size_t)(comma - tags.at) : tags.len};
        size_t step = comma ? p.len + 1 : p.len;
        tags = (struct text){tags.at + step, tags.len - step};
        while (p.len > 0 && *p.at == ' ') p = (struct text){p.at + 1, p.len - 1};
        while (p.len > 0 && p.at[p.len - 1] == ' ') p.len--;
        bool fresh = p.len > 0;
        for (size_t i = 0; fresh && i < count; i++) fresh = !is_same(p, piece[i]);
        if (!fresh) continue;
        assert(count < PIECES_MAX);
        piece[count++] = p;
    }
    return count;
}

static enum store_rc source_add(struct query *q, const struct source *s)
{
    struct text none = {"", 0}, piece[PIECES_MAX];
    size_t count = 0;
    if (q->ask->group_by & GROUP_TAG) count = tags_cut(s->tags, piece);
    if (count == 0) return group_add(q, s, none);
    enum store_rc rc = STORE_OK;
    for (size_t i = 0; rc == STORE_OK && i < count; i++) rc = group_add(q, s, piece[i]);
    return rc;
}

/* ---- sources */

static enum store_rc record_add(struct query *q, const struct record *r, bool again)
{
    if (!is_below(r->path, q->ask->unit)) return STORE_OK;
    struct source s = {.path = r->path, .record = r, .again = again,
                       .hour_ns = r->admitted_unix_ns / LEDGER_HOUR_NS * LEDGER_HOUR_NS,
                       .model = {r->model, strnlen(r->model, RECORD_MODEL_MAX)},
                       .tags = {r->tags, strnlen(r->tags, RECORD_TAGS_MAX)}};
    return source_add(q, &s);
}

static enum store_rc row_add(const struct record *r, void *arg)
{
    return record_add(arg, r, false);
}

static enum store_rc row_again(const struct record *r, void *arg)
{
    struct query *q = arg;
    return prompt_of(r) > q->ask->baseline->above ? record_add(q, r, true) : STORE_OK;
}

/* Rows admitted at or after from_ns and before to_ns. */
static enum store_rc rows_add(struct query *q, uint64_t from_ns, uint64_t to_ns)
{
    return ledger_each(q->db, q->txn, from_ns, to_ns, q->ask->unit, row_add, q);
}

/* A walk over the hours' tallies of a unit. */
struct walk {
    struct db *db;
    MDB_cursor *cursor;
    store_id unit;
    uint64_t end;                  /* hours before this one */
    struct ledger_hour at;         /* where it stands */
    MDB_val written;
    bool moved;                    /* the cursor stands on `at` */
};

static int walk_seek(struct walk *w, uint64_t hour, store_id organization, MDB_val *key)
{
    struct record from = {.admitted_unix_ns = hour * LEDGER_HOUR_NS};
    from.path[UNIT_ORGANIZATION] = organization;
    uint8_t bytes[LEDGER_HOUR_KEY_MAX];
    *key = (MDB_val){ledger_hour_key(bytes, &from), bytes};
    return mdb_cursor_get(w->cursor, key, &w->written, MDB_SET_RANGE);
}

/* The next tally of the unit from the walk's place on; the first call starts at `hour`.
 * STORE_NOT_FOUND at the end. Within an hour organisations lie together, so that one of them
 * is found by seeking; a unit below is looked for among all. */
static enum store_rc walk_next(struct walk *w, uint64_t hour)
{
    bool seek = w->unit != 0 && store_id_kind(w->unit) == UNIT_ORGANIZATION;
    MDB_val key = {0, NULL};
    int code = w->moved ? mdb_cursor_get(w->cursor, &key, &w->written, MDB_NEXT)
                        : walk_seek(w, hour, seek ? w->unit : 0, &key);
    w->moved = true;
    while (code == 0) {
        if (!ledger_hour_parse(key.mv_data, key.mv_size, &w->at)) {
            return db_damaged(w->db, "the key of an hour");
        }
        if (w->at.hour >= w->end) return STORE_NOT_FOUND;
        if (is_below(w->at.path, w->unit)) return STORE_OK;
        if (!seek) code = mdb_cursor_get(w->cursor, &key, &w->written, MDB_NEXT);
        else if (w->at.path[UNIT_ORGANIZATION] < w->unit) {
            code = walk_seek(w, w->at.hour, w->unit, &key);
        } else code = walk_seek(w, w->at.hour + 1, w->unit, &key);
    }
    return db_rc(w->db, code, "read the hours");
}

/* Hours from `hour` on and before `end`. */
static enum store_rc hours_add(struct query *q, uint64_t hour, uint64_t end)
{
    if (hour >= end) return STORE_OK;
    struct walk w = {.db = q->db, .unit = q->ask->unit, .end = end};
    int code = mdb_cursor_open(q->txn, q->db->dbi[DB_HOURS], &w.cursor);
    if (code != 0) return db_rc(q->db, code, "open the hours");
    enum store_rc rc;
    while ((rc = walk_next(&w, hour)) == STORE_OK) {
        struct source s = {.path = w.at.path, .hour_ns = w.at.hour * LEDGER_HOUR_NS,
                           .model = {w.at.model, w.at.model_len},
                           .tags = {w.at.tags, w.at.tags_len}, .written = w.written};
        rc = source_add(q, &s);
        if (rc != STORE_OK) break;
    }
    mdb_cursor_close(w.cursor);
    return rc == STORE_NOT_FOUND ? STORE_OK : rc;
}

/* Rows of those hours bring what their sums do not tell, the tier of each prompt. Rows that
 * outlived their hour's sums are not counted, as without a baseline. */
static enum store_rc tiers_add(struct query *q, uint64_t hour, uint64_t end)
{
    struct ledger_hour oldest;
    MDB_cursor *cursor;
    MDB_val key, written;
    int code = mdb_cursor_open(q->txn, q->db->dbi[DB_HOURS], &cursor);
    if (code != 0) return db_rc(q->db, code, "open the hours");
    code = mdb_cursor_get(cursor, &key, &written, MDB_FIRST);
    bool sound = code != 0 || ledger_hour_parse(key.mv_data, key.mv_size, &oldest);
    mdb_cursor_close(cursor);
    if (code == MDB_NOTFOUND) return STORE_OK;
    if (code != 0) return db_rc(q->db, code, "read the hours");
    if (!sound) return db_damaged(q->db, "the key of an hour");
    if (hour < oldest.hour) hour = oldest.hour;
    if (hour >= end) return STORE_OK;
    uint64_t to_ns = end > UINT64_MAX / LEDGER_HOUR_NS ? UINT64_MAX : end * LEDGER_HOUR_NS;
    return ledger_each(q->db, q->txn, hour * LEDGER_HOUR_NS, to_ns, q->ask->unit, row_again, q);
}

static enum store_rc sources_add(struct query *q)
{
    const struct usage_baseline *b = q->ask->baseline;
    uint64_t from = q->ask->from_unix_ns;
    uint64_t to = q->ask->to_unix_ns ? q->ask->to_unix_ns : UINT64_MAX;
    uint64_t hour = from / LEDGER_HOUR_NS + (from % LEDGER_HOUR_NS != 0);
    uint64_t end = to / LEDGER_HOUR_NS;
    if (q->ask->to_unix_ns == 0) end = UINT32_MAX;   /* the running hour too: it has a tally */
    if (hour >= end) return rows_add(q, from, to);   /* no whole hour */
    enum store_rc rc = rows_add(q, from, hour * LEDGER_HOUR_NS);
    if (rc == STORE_OK) rc = hours_add(q, hour, end);
    if (rc == STORE_OK && b && b->above > 0) rc = tiers_add(q, hour, end);
    if (rc == STORE_OK && q->ask->to_unix_ns) rc = rows_add(q, end * LEDGER_HOUR_NS, to);
    return rc;
}

static void row_of_tally(struct usage_row *row, const struct tally *t)
{
    row->requests = t->requests;
    row->errors = t->errors;
    row->fallbacks = t->fallbacks;
    memcpy(row->tokens, t->tokens, sizeof(row->tokens));
    row->cost_nusd = t->cost_nusd;
    row->ttft_us_sum = t->ttft_us_sum;
    row->ttft_count = t->ttft_count;
    row->ttft_p50_us = tally_percentile(t, 50);
    row->ttft_p95_us = tally_percentile(t, 95);
    row->output_us_sum = t->output_us_sum;
}

enum store_rc usage_query(struct db *db, MDB_txn *txn, const struct usage_ask *ask,
                          bool (*visit)(const struct usage_row *row, void *arg), void *arg)
{
    assert(db && txn);
    assert(ask && visit);
    struct query q = {.db = db, .txn = txn, .ask = ask};
    enum store_rc rc = sources_add(&q);
    if (rc == STORE_OK && ask->group_by == 0 && q.groups.count == 0) {
        struct usage_row nothing = {.requests = 0};
        (void)visit(&nothing, arg);
    }
    if (rc == STORE_OK) tallies_sort(&q.groups);
    for (size_t i = 0; rc == STORE_OK && i < q.groups.count; i++) {
        struct usage_row row = {.requests = 0};
        row_of_key(&row, q.groups.entry[i].key);
        row_of_tally(&row, &q.groups.entry[i].tally);
        if (ask->baseline) row.baseline_nusd = cost_nusd(&q.cost[q.groups.entry[i].number]);
        if (!visit(&row, arg)) break;
    }
    free(q.cost);
    tallies_fini(&q.groups);
    return rc;
}

/* ---- request rows */

struct page {
    struct db *db;
    struct ledger_down down;       /* over the rows, from the newest */
    struct walk walk;              /* to ask what an hour holds of the unit */
    const struct usage_ask *ask;
    bool (*visit)(const struct request_row *row, void *arg);
    void *arg;
    uint64_t to, exchange;         /* rows before this place */
    struct request_row row;
    char last_model[RECORD_MODEL_MAX];  /* of its end, where that has some of the answer */
    bool open;                     /* row waits for its attempts */
    bool began;                    /* the client has the beginning of one of them */
    bool ended;                    /* visit said so, or rows are older than asked for */
};

/* May an hour hold rows of the unit? Asked of its tallies; an hour that has none (they expired
 * before the rows) may. */
static enum store_rc hour_may_hold(struct page *p, uint64_t hour, bool *may)
{
    *may = true;
    if (p->ask->unit == 0) return STORE_OK;
    p->walk.unit = p->ask->unit;
    p->walk.end = hour + 1;
    p->walk.moved = false;
    enum store_rc rc = walk_next(&p->walk, hour);
    if (rc == STORE_NOT_FOUND) {
        p->walk.unit = 0;
        p->walk.moved = false;
        rc = walk_next(&p->walk, hour);
        *may = rc == STORE_NOT_FOUND;
    }
    return rc == STORE_NOT_FOUND ? STORE_OK : rc;
}

static uint32_t tokens_sum(uint32_t a, uint32_t b)
{
    return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

/* Add a billed attempt to the request it belongs to. */
static void attempt_add(struct request_row *row, const struct record *attempt)
{
    struct record *end = &row->end;
    assert(attempt->exchange_id == end->exchange_id);
    for (int k = 0; k < TOKEN_KINDS; k++) {
        end->tokens[k] = tokens_sum(end->tokens[k], attempt->tokens[k]);
    }
    end->reasoning_tokens = tokens_sum(end->reasoning_tokens, attempt->reasoning_tokens);
    int64_t sum;
    if (!__builtin_add_overflow(end->cost_nusd, attempt->cost_nusd, &sum)) end->cost_nusd = sum;
    end->flags |= attempt->flags & (RECORD_ESTIMATED | RECORD_FREE_PRICE);
    if (row->billed_count < REQUEST_BILLED_MAX) row->billed[row->billed_count++] = *attempt;
}

/* Is there an answer in it? */
static bool has_output(const struct record *r)
{
    return r->tokens[TOKEN_OUTPUT] > 0 || r->tokens[TOKEN_AUDIO_OUTPUT] > 0;
}

/* All records of the exchange were taken: whether to go on. */
static bool row_visit(struct page *p)
{
    struct request_row *row = &p->row;
    memset(row->continued_by, 0, sizeof(row->continued_by));
    if (p->began) memcpy(row->continued_by, p->last_model, sizeof(row->continued_by));
    for (uint32_t i = 0, n = row->billed_count; i < n / 2; i++) {
        struct record moved = row->billed[i];
        row->billed[i] = row->billed[n - 1 - i];
        row->billed[n - 1 - i] = moved;
    }
    return p->visit(row, p->arg);
}

/* One row downwards. An exchange's end comes first, then its attempts, from the last to the
 * first, and so the first of those whose beginning the client has names the row; attempts
 * without an end are of an exchange that still runs. */
static void page_take(struct page *p, const struct record *r)
{
    if (p->open && r->exchange_id == p->row.end.exchange_id && r->kind == RECORD_ATTEMPT) {
        attempt_add(&p->row, r);
        if (r->flags & RECORD_BEGAN) {
            memcpy(p->row.end.model, r->model, sizeof(p->row.end.model));
            p->began = true;
        }
        return;
    }
    bool visited = p->open;
    p->open = false;
    if (visited && !row_visit(p)) p->ended = true;
    if (r->admitted_unix_ns < p->ask->from_unix_ns) p->ended = true;
    if (p->ended || r->kind != RECORD_REQUEST || !is_below(r->path, p->ask->unit)) return;
    p->row.end = *r;
    p->row.billed_count = 0;
    p->open = true;
    p->began = false;
    memset(p->last_model, 0, sizeof(p->last_model));
    if (has_output(r)) memcpy(p->last_model, r->model, sizeof(p->last_model));
}

/* Rows of one span. All of an exchange are of one time, so that none waits at its end. */
static enum store_rc page_span(struct page *p, uint64_t span_ns)
{
    struct record r;
    enum store_rc rc = ledger_down_load(&p->down, span_ns, p->to, p->exchange);
    while (rc == STORE_OK && !p->ended) {
        rc = ledger_down_next(&p->down, &r);
        if (rc == STORE_OK) page_take(p, &r);
    }
    if (rc != STORE_OK && rc != STORE_NOT_FOUND) return rc;
    if (p->open && !p->ended && !row_visit(p)) p->ended = true;
    p->open = false;
    return STORE_OK;
}

/* Spans downwards. Those that lie in hours without anything of the unit are passed over: the
 * hour is asked about once, at the newest span that ends in it. */
static enum store_rc page_walk(struct page *p)
{
    const uint64_t span_bytes = UINT64_C(1) << LEDGER_SPAN_SHIFT;
    uint64_t at = p->to, span_ns, hour = UINT64_MAX;
    while (!p->ended) {
        bool may = true;
        enum store_rc rc = ledger_down_span(&p->down, at, &span_ns);
        if (rc != STORE_OK) return rc == STORE_NOT_FOUND ? STORE_OK : rc;
        uint64_t last = span_ns + (span_bytes - 1), first_hour = span_ns / LEDGER_HOUR_NS;
        if (last < p->ask->from_unix_ns) return STORE_OK;
        if (hour != first_hour && first_hour == last / LEDGER_HOUR_NS) {
            rc = hour_may_hold(p, first_hour, &may);
            if (may) hour = first_hour;
        }
        if (rc == STORE_OK && may) rc = page_span(p, span_ns);
        if (rc != STORE_OK) return rc;
        /* An hour without the unit is left at once; the span it shares with the one before is
         * looked at, for it has rows of both. */
        uint64_t next = may ? span_ns : first_hour * LEDGER_HOUR_NS;
        if (next == 0) return STORE_OK;
        at = next - 1;
    }
    return STORE_OK;
}

enum store_rc usage_requests(struct db *db, MDB_txn *txn, const struct usage_ask *ask,
                             const struct request_mark *after,
                             bool (*visit)(const struct request_row *row, void *arg), void *arg)
{
    assert(db && txn);
    assert(ask && visit);
    struct page p = {.db = db, .ask = ask, .walk = {.db = db}, .visit = visit, .arg = arg,
                     .down = {.db = db, .txn = txn, .unit = ask->unit}};
    p.to = ask->to_unix_ns ? ask->to_unix_ns : UINT64_MAX;
    if (after) {
        enum store_rc rc = ledger_has(db, txn, after->admitted_unix_ns, after->exchange_id,
                                      UINT32_MAX);
        if (rc != STORE_OK) return rc;
        if (after->admitted_unix_ns < p.to) {
            p.to = after->admitted_unix_ns;
            p.exchange = after->exchange_id;
        }
    }
    int code = mdb_cursor_open(txn, db->dbi[DB_HOURS], &p.walk.cursor);
    if (code != 0) return db_rc(db, code, "open the hours");
    enum store_rc rc = page_walk(&p);
    mdb_cursor_close(p.walk.cursor);
    ledger_down_fini(&p.down);
    return rc;
}

struct one {
    const struct request_mark *of;
    struct request_row *row;
    bool found;
};

static bool keep_one(const struct request_row *row, void *arg)
{
    struct one *one = arg;
    one->found = row->end.exchange_id == one->of->exchange_id;
    if (one->found) *one->row = *row;
    return !one->found;
}

enum store_rc usage_request(struct db *db, MDB_txn *txn, const struct request_mark *of,
                            struct request_row *row)
{
    assert(of && row);
    assert(of->admitted_unix_ns < UINT64_MAX);
    struct one one = {.of = of, .row = row};
    struct usage_ask ask = {.from_unix_ns = of->admitted_unix_ns,
                            .to_unix_ns = of->admitted_unix_ns + 1};
    enum store_rc rc = usage_requests(db, txn, &ask, NULL, keep_one, &one);
    return rc == STORE_OK && !one.found ? STORE_NOT_FOUND : rc;
}

enum store_rc usage_find(struct db *db, MDB_txn *txn, store_id key, const char *request_id,
                         size_t len)
{
    struct record row;
    return ledger_find(db, txn, key, request_id, len, &row);
}

enum store_rc usage_feedback(struct db *db, MDB_txn *txn, uint64_t exchange_id, uint16_t *score)
{
    assert(score);
    uint8_t exchange[8];
    db_be64(exchange, exchange_id);
    MDB_val key = {sizeof(exchange), exchange}, data;
    int code = mdb_get(txn, db->dbi[DB_FEEDBACK], &key, &data);
    if (code != 0) return db_rc(db, code, "read feedback");
    struct feedback given;
    if (data.mv_size != sizeof(given)) return db_damaged(db, "feedback");
    memcpy(&given, data.mv_data, sizeof(given));
    *score = given.score;
    return STORE_OK;
}
