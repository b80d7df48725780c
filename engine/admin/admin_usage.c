/* admin_usage.c - usage and cost, grouped: GET /admin/v1/usage.
 * Rule: sums come from the store as integers and are only written here; what was divided by
 * nothing is null. */
#include "engine/admin/admin.h"
#include "engine/admin/admin_part.h"
#include "engine/conf_parts.h"
#include "store/org.h"

static const uint64_t hour_ns = UINT64_C(3600000000000);

static void put_uint(struct jsonw *w, const char *name, uint64_t value)
{
    jsonw_key(w, name);
    jsonw_uint(w, value);
}

/* Name of a unit or key as it is now; null when it is gone, for its usage stays. */
static bool put_name(struct admin_call *call, const char *name, store_id id)
{
    struct db *db = call->host->db;
    struct unit unit;
    struct key key;
    bool is_key = id != 0 && store_id_kind(id) == UNIT_KEY;
    enum store_rc rc = STORE_NOT_FOUND;
    if (is_key) rc = keys_get(db, call->txn, id, &key);
    else if (id) rc = org_get(db, call->txn, id, &unit);
    jsonw_key(&call->w, name);
    if (rc == STORE_OK) jsonw_text(&call->w, is_key ? key.name : unit.name);
    else jsonw_null(&call->w);
    return rc == STORE_NOT_FOUND || admin_check(call, rc, "unit", NULL);
}

static bool put_units(struct admin_call *call, const struct usage_row *row, unsigned group_by)
{
    static const char *const names[UNIT_KINDS] = {"organization_name", "department_name",
                                                  "team_name", "member_name", "key_name"};
    for (unsigned k = 0; k < UNIT_KINDS; k++) {
        static_assert(GROUP_KEY == 1 << UNIT_KEY, "bits follow the levels");
        if (!(group_by & 1u << k)) continue;
        admin_put_id(&call->w, admin_group_names[k], row->path[k]);
        if (!put_name(call, names[k], row->path[k])) return false;
    }
    return true;
}

/* Start of the month that holds a day, both in days since 1970 (Gregorian, by counting from
 * a March so that leap days come last). */
static uint64_t month_begin(uint64_t day)
{
    uint64_t past = (day + 719468) % 146097;      /* since the 1st of March of a 400th year */
    uint64_t year = (past - past / 1460 + past / 36524 - past / 146096) / 365;
    uint64_t of_year = past - (365 * year + year / 4 - year / 100);
    uint64_t month = (5 * of_year + 2) / 153;     /* 0 is March */
    return day - (of_year - (153 * month + 2) / 5);
}

static void put_times(struct jsonw *w, const struct usage_row *row, unsigned group_by)
{
    uint64_t day = row->time_unix_ns / (24 * hour_ns);
    if (group_by & GROUP_HOUR) {
        jsonw_key(w, "hour");
        admin_put_time(w, row->time_unix_ns / hour_ns * hour_ns);
    }
    if (group_by & GROUP_DAY) {
        jsonw_key(w, "day");
        admin_put_time(w, day * 24 * hour_ns);
    }
    if (group_by & GROUP_MONTH) {
        jsonw_key(w, "month");
        admin_put_time(w, month_begin(day) * 24 * hour_ns);
    }
}

/* "" is null: a request that no model saw, or one without tags. */
static void put_text(struct jsonw *w, const char *name, struct bytes text)
{
    jsonw_key(w, name);
    if (text.len > 0) jsonw_string(w, text);
    else jsonw_null(w);
}

static void put_texts(struct jsonw *w, const struct usage_row *row, unsigned group_by)
{
    struct bytes model = {row->model, strnlen(row->model, sizeof(row->model))};
    struct bytes tag = {row->tag, strnlen(row->tag, sizeof(row->tag))};
    if (group_by & GROUP_MODEL) put_text(w, "model", model);
    model.len = bytes_find(model, '/');
    if (group_by & GROUP_PROVIDER) put_text(w, "provider", model);
    if (group_by & GROUP_TAG) put_text(w, "tag", tag);
}

/* count x scale / by, rounded down, without overflow: digits that do not matter are given up
 * where the product would not fit. by > 0. */
static int64_t divide(uint64_t count, uint64_t scale, uint64_t by)
{
    assert(by > 0);
    while (count > INT64_MAX / scale) {
        count /= 2;
        by = by / 2 ? by / 2 : 1;
    }
    return (int64_t)(count * scale / by);
}

static void put_speeds(struct jsonw *w, const struct usage_row *row)
{
    uint64_t output = row->tokens[TOKEN_OUTPUT] + row->tokens[TOKEN_AUDIO_OUTPUT];
    const char *const names[] = {"p50_ttft_ms", "p95_ttft_ms"};
    const uint32_t times[] = {row->ttft_p50_us, row->ttft_p95_us};
    jsonw_key(w, "mean_ttft_ms");
    if (row->ttft_count) jsonw_fixed(w, divide(row->ttft_us_sum, 1, row->ttft_count), 3);
    else jsonw_null(w);
    for (size_t i = 0; i < COUNT(names); i++) {
        jsonw_key(w, names[i]);
        if (row->ttft_count) jsonw_fixed(w, times[i], 3);
        else jsonw_null(w);
    }
    jsonw_key(w, "tokens_per_s");
    /* Thousandths of a token per second: tokens x 1e9 per us. */
    if (row->output_us_sum) {
        jsonw_fixed(w, divide(output, UINT64_C(1000000000), row->output_us_sum), 3);
    } else {
        jsonw_null(w);
    }
}

/* What was saved is negative where the baseline had been cheaper. */
static void put_baseline(struct jsonw *w, const struct usage_row *row)
{
    int64_t saved;
    assert(row->baseline_nusd >= 0);
    if (__builtin_sub_overflow(row->baseline_nusd, row->cost_nusd, &saved)) saved = INT64_MAX;
    jsonw_key(w, "baseline_usd");
    jsonw_fixed_text(w, row->baseline_nusd, 9);
    jsonw_key(w, "saved_usd");
    jsonw_fixed_text(w, saved, 9);
}

static bool row_visit(const struct usage_row *row, void *arg)
{
    struct admin_call *call = arg;
    struct jsonw *w = &call->w;
    const uint64_t *t = row->tokens;
    unsigned group_by = (unsigned)admin_query(call, "group_by")->number;
    jsonw_object(w);
    if (!put_units(call, row, group_by)) return false;
    put_texts(w, row, group_by);
    put_times(w, row, group_by);
    put_uint(w, "requests", row->requests);
    put_uint(w, "errors", row->errors);
    put_uint(w, "fallbacks", row->fallbacks);
    put_uint(w, "input_tokens", t[TOKEN_INPUT] + t[TOKEN_AUDIO_INPUT] + t[TOKEN_IMAGE_INPUT]);
    put_uint(w, "cached_tokens", t[TOKEN_CACHED]);
    put_uint(w, "cache_write_tokens", t[TOKEN_CACHE_WRITE] + t[TOKEN_CACHE_WRITE_1H]);
    put_uint(w, "output_tokens", t[TOKEN_OUTPUT] + t[TOKEN_AUDIO_OUTPUT]);
    jsonw_key(w, "cost_usd");
    jsonw_fixed_text(w, row->cost_nusd, 9);
    if (admin_query(call, "baseline")->given) put_baseline(w, row);
    put_speeds(w, row);
    jsonw_object_end(w);
    return !w->full;
}

/* ---- the baseline's price */

struct compared {
    struct usage_baseline baseline;   /* its arg is this */
    struct price_list list;
    uint64_t missing_unix_ns;         /* an hour without a price */
};

static bool compared_price(const struct usage_baseline *b, uint64_t unix_ns,
                           uint64_t prompt_tokens, int64_t kind[TOKEN_KINDS], int64_t *request)
{
    struct compared *c = b->arg;
    static_assert((int)TOKEN_KINDS == (int)PRICE_KINDS, "one list of kinds");
    const struct price *p = price_at(&c->list, unix_ns / 1000000000);
    if (!p || !p->known) {
        c->missing_unix_ns = unix_ns;
        return false;
    }
    memcpy(kind, price_kinds(p, prompt_tokens), sizeof(p->kind));
    *request = p->request;
    return true;
}

/* Fill *c with what the model `baseline` costs, which must be known. False: a fault is left. */
static bool compare_with(struct admin_call *call, struct compared *c)
{
    const struct admin_host *host = call->host;
    struct bytes name = bytes_of(admin_query(call, "baseline")->text);
    char shown[CONF_QUOTE_MAX], near[CATALOG_NAME_MAX + 1] = "";
    *c = (struct compared){.baseline = {.price = compared_price, .arg = c}};
    if (!host->find_price(host->arg, name, &c->list, near)) {
        bool has = near[0] != '\0';
        admin_fault(call, 400, "invalid_request", "baseline",
                    "query parameter 'baseline' is %s; it takes a model of GET models%s%s%s",
                    conf_quote_text(name, shown), has ? " (did you mean '" : "", near,
                    has ? "'?)" : "");
        return false;
    }
    bool known = false;
    for (unsigned i = 0; i < c->list.count; i++) {
        const struct price *p = &c->list.at[i];
        uint64_t above = p->tier_count > 0 ? p->tier[0].above : 0;
        known = known || p->known;
        if (c->baseline.above == 0 || (above > 0 && above < c->baseline.above)) {
            c->baseline.above = above;
        }
    }
    if (known) return true;
    admin_fault(call, 400, "unknown_price", "baseline",
                "query parameter 'baseline' is %s, of which no price is known",
                conf_quote_text(name, shown));
    return false;
}

/* An hour had no price of the baseline: the first that has one is told. */
static void put_missing(struct admin_call *call, const struct compared *c)
{
    struct jsonw when;
    char text[64];
    jsonw_init(&when, text, sizeof(text));
    admin_put_time(&when, c->missing_unix_ns);
    assert(when.len > 2 && !when.full);
    admin_fault(call, 400, "unknown_price", "baseline",
                "query parameter 'baseline': no price of it is known for %.*s; ask for later "
                "times with 'from'", (int)when.len - 2, text + 1);   /* without its quotes */
}

void admin_usage_get(struct admin_call *call)
{
    struct compared compared;
    struct jsonw *w = &call->w;
    struct usage_ask ask = {
        .unit = admin_query(call, "unit")->number,
        .from_unix_ns = admin_query(call, "from")->number,
        .to_unix_ns = admin_query(call, "to")->number,
        .group_by = (unsigned)admin_query(call, "group_by")->number,
    };
    const struct admin_value *format = admin_query(call, "format");
    if (format->number != 0) {
        admin_fault(call, 400, "not_in_this_release", NULL,
                    "format=%s is not in this release", format->text);
        return;
    }
    if (admin_query(call, "baseline")->given) {
        if (!compare_with(call, &compared)) return;
        ask.baseline = &compared.baseline;
    }
    jsonw_object(w);
    jsonw_key(w, "data");
    jsonw_array(w);
    enum store_rc rc = usage_query(call->host->db, call->txn, &ask, row_visit, call);
    if (rc == STORE_REFUSED && ask.baseline) put_missing(call, &compared);
    if (admin_has_fault(call) || !admin_check(call, rc, "unit", NULL)) return;
    jsonw_array_end(w);
    jsonw_object_end(w);
}
