/* cmd_savings.c - `weir savings FILE [--outcomes DIR] [--svg FILE]`; see cmd.h and
 * cmd_savings.h. It asks the router that serves requests about each prompt of a described
 * month, adds up list prices, and says what quality is known to be kept. */
#include "engine/cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "engine/cmd_savings.h"
#include "engine/conf.h"
#include "engine/vault.h"

enum { MONEY_MAX = 40, SHARE_MAX = 16 };

/* ---- numbers for people ---- */

/* "$11,875", with cents where there are any. */
static const char *money(int64_t nano, char out[MONEY_MAX])
{
    enum { CENT = 10000000 };
    int64_t cents = nano / CENT + (nano % CENT >= CENT / 2);
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%lld", (long long)(cents / 100));
    size_t n = 0;
    out[n++] = '$';
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0) out[n++] = ',';
        out[n++] = digits[i];
    }
    out[n] = '\0';
    if (cents % 100) (void)snprintf(out + n, MONEY_MAX - n, ".%02d", (int)(cents % 100));
    assert(n < MONEY_MAX);
    return out;
}

/* "89.5 %"; "-" where unknown. */
static const char *percent(int64_t micro, char out[SHARE_MAX])
{
    int64_t tenths = (micro + 500) / 1000;
    if (micro < 0) (void)snprintf(out, SHARE_MAX, "-");
    else (void)snprintf(out, SHARE_MAX, "%d.%d %%", (int)(tenths / 10), (int)(tenths % 10));
    return out;
}

/* "89.5 % [87.9..91.0]". */
static void print_quality(const struct savings_quality *q)
{
    char kept[SHARE_MAX], low[SHARE_MAX], high[SHARE_MAX];
    if (q->kept < 0) {
        (void)printf(" %7s %-14s", "-", "");
        return;
    }
    percent(q->low, low);
    percent(q->high, high);
    low[strcspn(low, " ")] = '\0';
    high[strcspn(high, " ")] = '\0';
    char range[2 * SHARE_MAX + 8];
    (void)snprintf(range, sizeof range, "[%s..%s]", low, high);
    (void)printf(" %7s %-14s", percent(q->kept, kept), range);
}

static uint32_t outcomes_of(const struct savings_mix *mix, uint64_t *share)
{
    uint32_t count = 0;
    *share = 0;
    for (uint32_t t = 0; t < mix->task_count; t++) {
        count += mix->task[t].measured;
        if (mix->task[t].measured) *share += mix->task[t].share;
    }
    return count;
}

/* ---- tables ---- */

static void print_list_prices(const struct savings *s)
{
    char text[MONEY_MAX], share[SHARE_MAX];
    uint64_t input = savings_part(s->tokens, s->input, SAVINGS_ONE);
    (void)printf("%llu tokens a month, %s of them input, all at one model's list price\n\n",
                 (unsigned long long)s->tokens, percent((int64_t)s->input, share));
    for (uint32_t i = 0; i < s->flagship_count + s->cheap_count; i++) {
        bool flagship = i < s->flagship_count;
        const char *id = flagship ? s->flagship[i] : s->cheap[i - s->flagship_count];
        const struct price *p = savings_price(s, id);
        (void)printf("  %-40s %14s\n", id,
                     p ? money(savings_cost(p, input, s->tokens - input, 0), text) : "-");
    }
}

/* Which share of the tokens may go to each flagship so that the month costs the budget. */
static void print_shares(const struct savings *s)
{
    char text[MONEY_MAX], share[SHARE_MAX];
    uint64_t input = savings_part(s->tokens, s->input, SAVINGS_ONE);
    if (s->budget == 0) return;
    (void)printf("\nShare of the tokens that may go to the flagship for %s a month, the rest to"
                 "\n\n  %-34s", money(s->budget, text), "");
    for (uint32_t c = 0; c < s->cheap_count; c++) {
        (void)printf(" %26s", strchr(s->cheap[c], '/') + 1);
    }
    (void)printf("\n");
    for (uint32_t i = 0; i < s->flagship_count; i++) {
        const struct price *dear = savings_price(s, s->flagship[i]);
        (void)printf("  %-34s", s->flagship[i]);
        for (uint32_t c = 0; c < s->cheap_count; c++) {
            const struct price *cheap = savings_price(s, s->cheap[c]);
            int64_t may = dear && cheap
                ? savings_share_at(s->budget, savings_cost(dear, input, s->tokens - input, 0),
                                   savings_cost(cheap, input, s->tokens - input, 0)) : -1;
            (void)printf(" %26s", percent(may, share));
        }
        (void)printf("\n");
    }
}

/* Each flagship alone against the router. */
static void print_models(const struct savings *s, const struct savings_mix *mix,
                         const struct savings_auto *did)
{
    char text[MONEY_MAX], share[SHARE_MAX];
    (void)printf("\n  %-34s %14s %9s %9s %8s %s\n", "", "a month", "saved", "premium",
                 "quality", "[95 %]");
    for (uint32_t i = 0; i < s->flagship_count; i++) {
        const struct price *p = savings_price(s, s->flagship[i]);
        int64_t cost = p ? savings_mix_cost(s, mix, p) : 0;
        int64_t saved = p && cost > 0 && did->cost < cost
                        ? (int64_t)savings_part((uint64_t)(cost - did->cost), SAVINGS_ONE,
                                                (uint64_t)cost) : -1;
        (void)printf("  %-34s %14s %9s\n", s->flagship[i], p ? money(cost, text) : "-",
                     percent(saved, share));
    }
    (void)printf("  %-34s %14s %9s %9s", "auto", money(did->cost, text), "",
                 percent((int64_t)did->share, share));
    print_quality(&did->quality);
    (void)printf("\n");
    if (did->nothing) {
        (void)printf("  for %s of the tokens auto found no model: they are counted as premium "
                     "and free\n", percent((int64_t)did->nothing, share));
    }
}

/* What the router chose, by share of tokens. */
static void print_choices(const struct savings *s, const struct savings_mix *mix)
{
    char share[SHARE_MAX];
    uint64_t *by = calloc(s->catalog->model_count + 1, sizeof *by);
    if (!by) return;
    for (uint32_t i = 0; i < mix->row_count; i++) {
        const struct savings_task *t = &mix->task[mix->task_of[i]];
        if (mix->row[i].chosen) by[mix->row[i].model] += t->share * 1000 / t->count;
    }
    (void)printf("  auto chose:");
    for (unsigned place = 0; place < 5; place++) {
        uint32_t best = 0;
        for (uint32_t m = 1; m < s->catalog->model_count; m++) {
            if (by[m] > by[best]) best = m;
        }
        if (by[best] == 0) break;
        (void)printf("%s %s %s", place ? "," : "", s->catalog->model[best].id,
                     percent((int64_t)(by[best] / 1000), share));
        by[best] = 0;
    }
    (void)printf("\n");
    free(by);
}

static void print_point(const struct savings_point *p, const char *note)
{
    char text[MONEY_MAX], share[SHARE_MAX];
    (void)printf("  %9s %14s", percent((int64_t)p->share, share), money(p->cost, text));
    print_quality(&p->quality);
    (void)printf("%s\n", note);
}

/* Premium share -> cost -> quality kept, for the first flagship and the first cheap model. */
static void print_frontier(const struct savings *s, const struct savings_mix *mix)
{
    static const uint32_t shares[] = {0, 20000, 50000, 100000, 200000, 300000, 400000, 500000,
                                      600000, 700000, 800000, 900000, SAVINGS_ONE};
    const struct price *strong = savings_price(s, s->flagship[0]);
    const struct price *cheap = savings_price(s, s->cheap[0]);
    struct savings_point p;
    if (!strong || !cheap) return;
    (void)printf("\n  %9s %14s %8s %-14s  (%s, rest %s)\n", "premium", "a month", "quality",
                 "[95 %]", s->flagship[0], s->cheap[0]);
    /* The mix's tasks differ in what a token costs: look for the share by halving. */
    uint64_t low = 0, high = SAVINGS_ONE;
    bool reached = false;
    savings_cost_at(s, mix, strong, cheap, 0, &p);
    bool can = s->budget > 0 && p.cost <= s->budget;
    while (can && high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        savings_cost_at(s, mix, strong, cheap, middle, &p);
        if (p.cost <= s->budget) low = middle;
        else high = middle;
    }
    for (size_t i = 0; i < COUNT(shares); i++) {
        if (can && !reached && low < shares[i]) {
            savings_point_at(s, mix, strong, cheap, low, &p);
            print_point(&p, " <- the budget");
            reached = true;
        }
        savings_point_at(s, mix, strong, cheap, shares[i], &p);
        print_point(&p, "");
    }
    if (s->budget && !can) {
        char text[MONEY_MAX];
        (void)printf("  %s is not reached by this mix.\n", money(s->budget, text));
    }
}

static void print_mix(struct savings *s, const struct savings_mix *mix)
{
    char share[SHARE_MAX];
    struct savings_auto did;
    uint64_t measured;
    uint32_t count = outcomes_of(mix, &measured);
    savings_auto_of(s, mix, &did);
    (void)printf("\n== %s ==\n", mix->name);
    (void)printf("  %u outcomes stand behind the quality of %s of the tokens", count,
                 percent((int64_t)measured, share));
    (void)printf(measured < SAVINGS_ONE ? "; of the rest it is unknown\n" : "\n");
    print_choices(s, mix);
    print_models(s, mix, &did);
    print_frontier(s, mix);
}

static void print_notes(void)
{
    (void)puts("\nHow to read it. Prices are list prices of today, tiers by the prompt's "
               "length included; no\ncache discounts, no thinking beyond the tokens given. "
               "Quality is what is kept of the strong model's "
               "measured result, q(s)/S: the tokens\nwith the highest expected gain go to the "
               "strong model. The outcomes are of older pairs (GPT-4\nTurbo and Mixtral 8x7B, "
               "Gemini 1.5 Pro and Llama 3.1 8B, ...): what is carried over is how well\nthe "
               "router tells who needs the strong one, not what today's models score; strong "
               "and weak of a task\nname another pair. For auto every choice but a flagship "
               "counts as the weak model.");
}

/* ---- putting it together ---- */

/* Where outcomes are usually found beside a checkout. */
static bool find_outcomes(const char *given, char *path, size_t room)
{
    static const char *const names[] = {"dev.jsonl.gz", "dev.jsonl"};
    for (size_t i = 0; i < COUNT(names); i++) {
        int len = snprintf(path, room, "%s/%s", given ? given : "../shared/data/routing",
                           names[i]);
        if (len > 0 && (size_t)len < room && access(path, R_OK) == 0) return true;
    }
    return false;
}

/* Rows of a file, read once. NULL: said. */
static struct savings_rows *rows_of(struct savings *s, const char *path)
{
    const char *why = "";
    struct savings_rows *rows = NULL;
    if (!savings_rows_open(path, &rows, &why)) {
        (void)fprintf(stderr, "error: %s: %s\n", path, why);
        return NULL;
    }
    rows->next = s->rows;
    s->rows = rows;
    return rows;
}

/* A text of the description as a row: its content as JSON would have it. */
static struct savings_rows *row_of(struct savings *s, struct bytes text)
{
    size_t room = 6 * text.len + 64;
    char *line = malloc(room);
    struct savings_rows *rows = NULL;
    const char *why;
    if (!line) return NULL;
    size_t len = savings_line(text, line, room);
    if (!savings_rows_parse(line, len, &rows, &why)) return NULL;
    rows->next = s->rows;
    s->rows = rows;
    return rows;
}

/* Append to a mix the rows that are of this source (empty: all). */
static bool take_rows(struct savings_mix *mix, uint32_t task, const struct savings_rows *rows,
                      struct bytes source)
{
    struct savings_task *t = &mix->task[task];
    uint32_t count = 0;
    for (uint32_t i = 0; i < rows->count; i++) {
        count += !source.len || bytes_eq(rows->row[i].source, source);
    }
    uint32_t all = mix->row_count + count;
    struct savings_row *row = realloc(mix->row, (all + 1) * sizeof *row);
    if (row) mix->row = row;
    uint8_t *task_of = realloc(mix->task_of, all + 1);
    if (task_of) mix->task_of = task_of;
    if (!row || !task_of) return false;
    t->first = mix->row_count;
    for (uint32_t i = 0; i < rows->count; i++) {
        if (source.len && !bytes_eq(rows->row[i].source, source)) continue;
        mix->task_of[mix->row_count] = (uint8_t)task;
        struct savings_row *one = &mix->row[mix->row_count++];
        *one = rows->row[i];
        savings_outcome(one, t->strong, t->weak);
        t->measured += one->strong >= 0 && one->weak >= 0;
    }
    t->count = mix->row_count - t->first;
    return true;
}

static bool fill_task(struct savings *s, struct savings_mix *mix, uint32_t task,
                      const struct savings_rows *outcomes)
{
    struct savings_task *t = &mix->task[task];
    char shown[CONF_QUOTE_MAX];
    const struct savings_rows *rows = outcomes;
    if (t->text.len) rows = row_of(s, t->text);
    if (t->prompts.len) rows = rows_of(s, t->prompts.ptr);
    if (!rows || !take_rows(mix, task, rows, t->outcomes)) return false;
    struct bytes where = t->outcomes.len ? t->outcomes : t->prompts;
    if (t->count == 0) {
        conf_error(s->r, t->at, "there is no prompt of %s", conf_quote_text(where, shown));
        return false;
    }
    if (t->strong.len && t->measured == 0) {
        conf_error(s->r, t->at, "no row of %s has outcomes of both models",
                   conf_quote_text(where, shown));
        return false;
    }
    return true;
}

/* Prompts for every task of every mix. False: said. */
static bool fill(struct savings *s, const char *dir)
{
    struct savings_rows *outcomes = NULL;
    char path[4096];
    for (uint32_t m = 0; m < s->mix_count; m++) {
        for (uint32_t t = 0; t < s->mix[m].task_count; t++) {
            if (s->mix[m].task[t].outcomes.len && !outcomes) {
                if (!find_outcomes(dir, path, sizeof path)) {
                    conf_error(s->r, s->mix[m].task[t].at, "no outcomes are found: say where "
                               "with --outcomes DIR (a directory with dev.jsonl.gz)");
                    return false;
                }
                outcomes = rows_of(s, path);
                if (!outcomes) return false;
            }
            if (!fill_task(s, &s->mix[m], t, outcomes)) return false;
        }
    }
    return true;
}

static bool run(struct savings *s, const char *dir, const char *svg)
{
    if (!savings_read(s) || !savings_open(s) || !fill(s, dir)) return false;
    for (uint32_t m = 0; m < s->mix_count; m++) {
        savings_ask(s, &s->mix[m]);
        if (!savings_sort(&s->mix[m])) return false;
    }
    print_list_prices(s);
    print_shares(s);
    for (uint32_t m = 0; m < s->mix_count; m++) print_mix(s, &s->mix[m]);
    if (s->mix_count) print_notes();
    int rc = svg ? savings_svg(s, svg) : 0;
    if (rc < 0) (void)fprintf(stderr, "error: cannot write %s: %s\n", svg, strerror(-rc));
    return rc == 0;
}

static void finish(struct savings *s)
{
    for (uint32_t m = 0; m < s->mix_count; m++) {
        free(s->mix[m].row);
        free(s->mix[m].order);
        free(s->mix[m].task_of);
    }
    savings_rows_free(s->rows);
    savings_close(s);
}

int cmd_savings(const char *file, const char *outcomes, const char *svg)
{
    size_t len;
    char *text = cmd_read(file, &len);
    if (!text) return 1;
    struct conf_reader *r = vault_take(sizeof *r);
    struct savings *s = calloc(1, sizeof *s);
    struct conf_report *report = calloc(1, sizeof *report);
    bool fine = false;
    if (r && s && report) {
        *r = (struct conf_reader){.source = {text, len}, .file = file};
        s->r = r;
        s->now_unix_s = (uint64_t)time(NULL);
        fine = run(s, outcomes, svg);
        conf_diag_print(r, report);
        (void)fputs(report->text, stderr);
        finish(s);
        conf_heap_fini(&r->scratch);
    }
    free(report);
    free(s);
    vault_give(r, sizeof *r);
    free(text);
    return fine ? 0 : 1;
}
