/* show.c - see show.h. */
#include "engine/show.h"
#include "net/jsonw.h"

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
