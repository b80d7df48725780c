/* spend_fields.c - what spend.h says of an exchange in header fields. */
#include "engine/spend.h"
#include "engine/auth.h"
#include "engine/core.h"
#include "engine/engine.h"
#include "engine/exchange.h"
#include "net/http.h"
#include "store/budget.h"

#include <stdio.h>

const char *spend_layer_name(unsigned layer)
{
    return layer == BUDGET_LAYER_POOL ? "credits" : unit_kind_name((enum unit_kind)layer);
}

void spend_refusal_fields(struct http_out *o, const struct exchange *x, enum close_why why)
{
    const struct spend *s = &x->spend;
    bool rate = why == CLOSE_RATE_LIMITED;
    if (!rate && why != CLOSE_BUDGET_EXCEEDED && why != CLOSE_CREDITS_EMPTY) return;
    if (why != CLOSE_CREDITS_EMPTY) {
        http_out_field(o, BYTES("x-weir-limit"), bytes_of(spend_layer_name(s->layer)));
    }
    if (!rate) http_out_field(o, BYTES("x-should-retry"), BYTES("false"));
    if (s->retry_s) http_out_number(o, BYTES("retry-after"), s->retry_s);
}

/* A time as OpenAI writes it: "6m0s", "1.2s", "20ms". */
static size_t span_text(uint64_t ns, char out[32])
{
    uint64_t ms = (ns + 999999) / 1000000;
    int n = ms < 1000      ? snprintf(out, 32, "%llums", (unsigned long long)ms)
            : ms < 60000 ? snprintf(out, 32, "%llu.%03llus", (unsigned long long)ms / 1000,
                                    (unsigned long long)ms % 1000)
                         : snprintf(out, 32, "%llum%llus", (unsigned long long)ms / 60000,
                                    (unsigned long long)ms % 60000 / 1000);
    return (size_t)n;
}

static void put_limit(struct http_out *o, const struct rate_look *look, bool tokens)
{
    char span[32];
    if (look->limit == 0) return;
    http_out_number(o, tokens ? BYTES("x-ratelimit-limit-tokens")
                              : BYTES("x-ratelimit-limit-requests"), look->limit);
    http_out_number(o, tokens ? BYTES("x-ratelimit-remaining-tokens")
                              : BYTES("x-ratelimit-remaining-requests"), look->remaining);
    size_t n = span_text(look->reset_ns, span);
    http_out_field(o, tokens ? BYTES("x-ratelimit-reset-tokens")
                             : BYTES("x-ratelimit-reset-requests"), (struct bytes){span, n});
}

void spend_fields(struct http_out *o, struct core *core, const struct exchange *x)
{
    const struct spend *s = &x->spend;
    if (s->output_max) {
        const char *by = s->model_max ? "model" : spend_layer_name(s->layer);
        http_out_field(o, BYTES("x-weir-capped"), bytes_of(by));
    }
    if (!s->limits) return;
    const struct key_view *key = auth_find(core, x->key_hash);
    if (!key) return;                   /* revoked since */
    const struct budget_path *path = auth_budget(key);
    struct rate_look look;
    budget_rates_see(core->engine->budget, path, RATE_REQUESTS, core->now_ns, &look);
    put_limit(o, &look, false);
    budget_rates_see(core->engine->budget, path, RATE_TOKENS, core->now_ns, &look);
    put_limit(o, &look, true);
}
