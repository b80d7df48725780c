/* show.c - see show.h. */
#include "engine/show.h"
#include "engine/log.h"
#include "net/jsonw.h"
#include "route/quality.h"
#include "store/budget.h"
#include "store/limits.h"

static const char *const names[] = {
    [PRICE_INPUT] = "input", [PRICE_CACHED] = "cached", [PRICE_CACHE_WRITE] = "cache_write",
    [PRICE_CACHE_WRITE_1H] = "cache_write_1h", [PRICE_OUTPUT] = "output",
    [PRICE_AUDIO_INPUT] = "audio_input", [PRICE_AUDIO_OUTPUT] = "audio_output",
    [PRICE_IMAGE_INPUT] = "image_input",
};
static_assert(COUNT(names) == PRICE_KINDS, "every kind has a name");

static void put_kinds(struct jsonw *w, const int64_t kind[PRICE_KINDS])
{
    for (unsigned k = 0; k < PRICE_KINDS; k++) {
        jsonw_key(w, names[k]);
        jsonw_fixed_text(w, kind[k], 6);  /* pico per token = micro per million */
    }
}

void show_price(struct jsonw *w, const struct price *p)
{
    if (!p || !p->known) {
        jsonw_null(w);
        return;
    }
    jsonw_object(w);
    put_kinds(w, p->kind);
    if (p->request) {
        jsonw_key(w, "request");
        jsonw_fixed_text(w, p->request, 12);
    }
    if (p->tier_count) jsonw_key(w, "tiers"), jsonw_array(w);
    for (unsigned i = 0; i < p->tier_count; i++) {
        jsonw_object(w);
        jsonw_key(w, "above"), jsonw_uint(w, p->tier[i].above);
        put_kinds(w, p->tier[i].kind);
        jsonw_object_end(w);
    }
    if (p->tier_count) jsonw_array_end(w);
    jsonw_object_end(w);
}

void show_quality(struct jsonw *w, const struct quality *q)
{
    jsonw_object(w);
    for (unsigned f = 0; f < FAMILIES; f++) {
        jsonw_key(w, family_name((enum family)f)), jsonw_object(w);
        jsonw_key(w, "percent"), jsonw_fixed(w, quality_tenths(q->t[f]), 1);
        jsonw_key(w, "t"), jsonw_fixed(w, quality_hundredths(q->t[f]), 2);
        jsonw_key(w, "width"), jsonw_fixed(w, quality_hundredths(q->width[f]), 2);
        jsonw_key(w, "evidence");
        jsonw_text(w, quality_evidence_name((enum quality_evidence)q->evidence[f]));
        jsonw_key(w, "figures"), jsonw_uint(w, q->figures[f]);
        jsonw_object_end(w);
    }
    jsonw_object_end(w);
}

void show_efforts(struct jsonw *w, const struct quality *q)
{
    jsonw_object(w);
    for (unsigned e = EFFORT_NONE; e < EFFORTS; e++) {
        if (!(q->efforts & 1u << e)) continue;
        jsonw_key(w, effort_name((enum effort)e));
        jsonw_fixed(w, quality_hundredths(q->effort[e]), 2);
    }
    jsonw_key(w, "default"), jsonw_fixed(w, quality_hundredths(q->effort[EFFORT_UNSET]), 2);
    jsonw_object_end(w);
}

void show_words(struct jsonw *w, const char *words, unsigned bits)
{
    jsonw_array(w);
    struct bytes left = bytes_of(words);
    for (unsigned bit = 1; left.len; bit *= 2) {
        struct bytes word = bytes_cut(&left, bytes_find(left, '|'));
        if (left.len) bytes_cut(&left, 1);
        if (bits & bit) jsonw_string(w, word);
    }
    jsonw_array_end(w);
}

void show_known(struct jsonw *w, uint32_t value)
{
    if (value) jsonw_uint(w, value);
    else jsonw_null(w);
}

static void put_money(struct jsonw *w, const char *name, int64_t nusd)
{
    jsonw_key(w, name);
    jsonw_fixed_text(w, nusd, 9);
}

void show_limit(struct jsonw *w, const struct budget_look *look)
{
    char text[25];
    assert(look->spent_nusd >= 0 && look->held_nusd >= 0);
    int64_t rest = look->limit_nusd - look->spent_nusd;
    jsonw_key(w, "window");
    jsonw_text(w, window_name((enum window)look->window));
    put_money(w, "usd", look->limit_nusd);
    put_money(w, "spent", look->spent_nusd);
    put_money(w, "held", look->held_nusd);
    put_money(w, "remaining", look->held_nusd >= rest ? 0 : rest - look->held_nusd);
    jsonw_key(w, "resets_at");
    if (look->resets_unix_ns) {
        log_time(look->resets_unix_ns, text);
        text[19] = 'Z';  /* a window ends with an hour: no milliseconds */
        text[20] = '\0';
    }
    jsonw_text(w, look->resets_unix_ns ? text : NULL);
}
