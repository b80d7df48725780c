/* admin_requests.c - request rows as JSON: GET /admin/v1/requests, and the rows of
 * /admin/v1/events.
 * Rule: what is not known is null, never 0, and no text of a request is ever in a row. */
#include "engine/admin/admin.h"
#include "engine/admin/admin_part.h"


static void put_uint(struct jsonw *w, const char *name, uint64_t value)
{
    jsonw_key(w, name);
    jsonw_uint(w, value);
}

/* A member's text of fixed room that may lack its end; empty is null. */
static void put_padded(struct jsonw *w, const char *name, const char *text, size_t room)
{
    size_t len = strnlen(text, room);
    jsonw_key(w, name);
    if (len > 0) jsonw_string(w, (struct bytes){text, len});
    else jsonw_null(w);
}

static void put_model(struct jsonw *w, const struct record *r)
{
    struct bytes model = {r->model, strnlen(r->model, sizeof(r->model))};
    size_t slash = bytes_find(model, '/');
    put_padded(w, "model", model.ptr, model.len);
    put_padded(w, "provider", model.ptr, slash);
}

/* "a=b,c=d" as an object. Of a name given twice the first counts: JSON with repeated names is
 * read differently by different parsers (RFC 8259 section 4). */
static void put_tags(struct jsonw *w, const struct record *r)
{
    struct bytes all = {r->tags, strnlen(r->tags, sizeof(r->tags))}, left = all;
    struct bytes seen[RECORD_TAGS_MAX / 2 + 1];
    size_t count = 0;
    jsonw_key(w, "tags");
    jsonw_object(w);
    while (left.len > 0) {
        struct bytes value = bytes_cut(&left, bytes_find(left, ','));
        if (left.len > 0) bytes_cut(&left, 1);
        value = bytes_trim(value);
        struct bytes name = bytes_cut(&value, bytes_find(value, '='));
        if (value.len > 0) bytes_cut(&value, 1);
        size_t i = 0;
        while (i < count && !bytes_eq(seen[i], name)) i++;
        if (name.len == 0 || i < count || count == COUNT(seen)) continue;
        seen[count++] = name;
        char text[RECORD_TAGS_MAX + 1];
        memcpy(text, name.ptr, name.len);
        text[name.len] = '\0';
        jsonw_key(w, text);
        jsonw_string(w, value);
    }
    jsonw_object_end(w);
}

/* US dollars per 1M tokens are pico-dollars per token with the point six places left. */
static void put_price(struct jsonw *w, const struct record *r)
{
    static const char *const names[TOKEN_KINDS] = {
        "input", "cached", "cache_write", "cache_write_1h", "output", "audio_input",
        "audio_output", "image_input",
    };
    jsonw_key(w, "price");
    jsonw_object(w);
    for (int k = 0; k < TOKEN_KINDS; k++) {
        if (r->price[k] == 0) continue;
        jsonw_key(w, names[k]);
        jsonw_fixed_text(w, r->price[k], 6);
    }
    if (r->price_request) {
        jsonw_key(w, "request");
        jsonw_fixed_text(w, r->price_request, 12);
    }
    jsonw_object_end(w);
}

static void put_tokens(struct jsonw *w, const struct record *r)
{
    const uint32_t *t = r->tokens;
    put_uint(w, "input_tokens", (uint64_t)t[TOKEN_INPUT] + t[TOKEN_AUDIO_INPUT] +
             t[TOKEN_IMAGE_INPUT]);
    put_uint(w, "cached_tokens", t[TOKEN_CACHED]);
    put_uint(w, "cache_write_tokens", (uint64_t)t[TOKEN_CACHE_WRITE] +
             t[TOKEN_CACHE_WRITE_1H]);
    put_uint(w, "output_tokens", (uint64_t)t[TOKEN_OUTPUT] + t[TOKEN_AUDIO_OUTPUT]);
    put_uint(w, "reasoning_tokens", r->reasoning_tokens);
}

static void put_flag(struct jsonw *w, const char *name, bool value)
{
    jsonw_key(w, name);
    jsonw_bool(w, value);
}

static void put_ms(struct jsonw *w, const struct record *r)
{
    jsonw_key(w, "ttft_ms");
    if (r->ttft_us) jsonw_fixed(w, r->ttft_us, 3);
    else jsonw_null(w);
    jsonw_key(w, "duration_ms");
    jsonw_fixed(w, r->duration_us, 3);
}

/* Why its model was chosen, in words. */
static void put_reasons(struct jsonw *w, const struct record *r, const struct admin_host *host)
{
    jsonw_key(w, "reasons");
    jsonw_array(w);
    for (unsigned i = 0; i < RECORD_REASONS; i++) {
        const char *word = host->reason_name(i, r->reason[i]);
        if (word) jsonw_text(w, word);
    }
    jsonw_array_end(w);
}

/* Attempts that were billed besides the end: what the row's sums hold of others than who ended
 * it. */
static void put_billed(struct jsonw *w, const struct request_row *row,
                       const struct admin_host *host)
{
    jsonw_key(w, "billed");
    jsonw_array(w);
    for (uint32_t i = 0; i < row->billed_count; i++) {
        const struct record *r = &row->billed[i];
        jsonw_object(w);
        put_model(w, r);
        jsonw_key(w, "close");
        jsonw_text(w, host->close_name(r->close));
        put_uint(w, "status", r->status);
        put_tokens(w, r);
        jsonw_key(w, "cost_usd");
        jsonw_fixed_text(w, r->cost_nusd, 9);
        put_flag(w, "estimated", r->flags & RECORD_ESTIMATED);
        put_ms(w, r);
        jsonw_object_end(w);
    }
    jsonw_array_end(w);
}

void admin_put_request(struct jsonw *w, const struct request_row *row,
                       const struct admin_host *host)
{
    const struct record *r = &row->end;
    char id[ADMIN_ROW_MAX];
    assert(r->exchange_id != 0);
    assert(host->mode_name && host->close_name && host->reason_name);
    jsonw_object(w);
    admin_row_text(r->admitted_unix_ns, r->exchange_id, id);
    jsonw_key(w, "id");
    jsonw_text(w, id);
    put_padded(w, "request_id", r->request_id, sizeof(r->request_id));
    jsonw_key(w, "time");
    admin_put_time(w, r->admitted_unix_ns);
    for (int k = 0; k < UNIT_KINDS; k++) {
        admin_put_id(w, unit_kind_name((enum unit_kind)k), r->path[k]);
    }
    put_model(w, r);
    jsonw_key(w, "mode");
    jsonw_text(w, host->mode_name(r->mode));
    jsonw_key(w, "gain");
    jsonw_fixed(w, r->gain, 4);
    put_reasons(w, r, host);
    put_uint(w, "status", r->status);
    jsonw_key(w, "close");
    jsonw_text(w, host->close_name(r->close));
    put_flag(w, "stream", r->flags & RECORD_STREAM);
    put_uint(w, "attempts", r->attempts);
    put_tokens(w, r);
    jsonw_key(w, "cost_usd");
    jsonw_fixed_text(w, r->cost_nusd, 9);
    put_price(w, r);
    put_flag(w, "estimated", r->flags & RECORD_ESTIMATED);
    put_flag(w, "unpriced", r->flags & RECORD_FREE_PRICE);
    put_ms(w, r);
    put_tags(w, r);
    put_padded(w, "continued_by", row->continued_by, sizeof(row->continued_by));
    put_billed(w, row, host);
    jsonw_object_end(w);
}

struct page {
    struct admin_call *call;
    uint64_t left;     /* rows that still fit */
    bool more;         /* there is one that does not */
};

static bool page_visit(const struct request_row *row, void *arg)
{
    struct page *page = arg;
    page->more = page->left == 0;
    if (page->more) return false;
    page->left--;
    admin_put_request(&page->call->w, row, page->call->host);
    return !page->call->w.full;
}

void admin_requests_get(struct admin_call *call)
{
    struct jsonw *w = &call->w;
    struct page page = {.call = call, .left = admin_query(call, "limit")->number};
    struct usage_ask ask = {
        .unit = admin_query(call, "unit")->number,
        .from_unix_ns = admin_query(call, "from")->number,
        .to_unix_ns = admin_query(call, "to")->number,
    };
    const struct admin_value *after = admin_query(call, "after");
    struct request_mark mark = {after->number, after->second};
    jsonw_object(w);
    jsonw_key(w, "data");
    jsonw_array(w);
    enum store_rc rc = usage_requests(call->host->db, call->txn, &ask,
                                      after->given ? &mark : NULL, page_visit, &page);
    if (!admin_check(call, rc, "row (any more) as in 'after'", NULL)) return;
    jsonw_array_end(w);
    jsonw_key(w, "has_more");
    jsonw_bool(w, page.more);
    jsonw_object_end(w);
}
