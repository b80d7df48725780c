/* show.c - see show.h. */
#include "engine/show.h"
#include "engine/log.h"
#include "net/jsonw.h"
#include "store/budget.h"
#include "store/limits.h"

static const char *const names[] = {
    [PRICE_INPUT] = "input", [PRICE_CACHED] = "cached", [PRICE_CACHE_WRITE] = "cache_write",
    [PRICE_CACHE_WRITE_1H] = "cache_write_1h", [PRICE_OUTPUT] = "output",
};

void show_price(struct jsonw *w, const struct price *p)
{
    if (!p || !p->known) {
        jsonw_null(w);
        return;
    }
    jsonw_object(w);
    for (unsigned k = 0; k < COUNT(names); k++) {
        jsonw_key(w, names[k]);
        jsonw_fixed_text(w, p->kind[k], 6);  /* pico per token = micro per million */
    }
    if (p->request) {
        jsonw_key(w, "request");
        jsonw_fixed_text(w, p->request, 12);
    }
    jsonw_object_end(w);
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
