/* route_kit.c - see route_kit.h. */
#include "tests/unit/route_kit.h"

#include <stdio.h>
#include <stdlib.h>

uint32_t kit_draw(struct kit *k, uint32_t n)
{
    k->seed = k->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(k->seed >> 33) % n;
}

static void draw_quality(struct kit *k, struct quality *q)
{
    float base = ((float)kit_draw(k, 256) - 128) / 64;
    for (int f = 0; f < FAMILIES; f++) {
        q->t[f] = base + ((float)kit_draw(k, 64) - 32) / 64;
        q->width[f] = (float)(10 + kit_draw(k, 30)) / 64;
    }
    if (kit_draw(k, 3)) return;
    q->efforts = (uint8_t)(kit_draw(k, 64) << 1);
    for (unsigned e = EFFORT_NONE; e < EFFORTS; e++) {
        q->effort[e] = -(float)((unsigned)EFFORT_XHIGH - e) / 8;
    }
    q->effort[EFFORT_UNSET] = q->effort[EFFORT_MEDIUM];
}

static void draw_price(struct kit *k, struct price_list *list)
{
    list->count = 1;
    struct price *p = &list->at[0];
    p->known = kit_draw(k, 16) != 0;
    p->kind[PRICE_INPUT] = (1 + kit_draw(k, 500)) * INT64_C(20000);
    p->kind[PRICE_OUTPUT] = p->kind[PRICE_INPUT] * (1 + kit_draw(k, 5));
    p->kind[PRICE_CACHED] = p->kind[PRICE_INPUT] / 10;
    p->request = kit_draw(k, 4) ? 0 : 1000000;
    if (kit_draw(k, 5)) return;
    p->tier_count = 1;
    p->tier[0].above = 10000;
    memcpy(p->tier[0].kind, p->kind, sizeof p->kind);
    p->tier[0].kind[PRICE_INPUT] *= 2;
    p->tier[0].kind[PRICE_OUTPUT] *= 2;
}

struct kit *kit_make(uint64_t seed, uint32_t count)
{
    struct kit *k = calloc(1, sizeof *k);
    if (!k || count > KIT_MODELS_MAX) abort();
    k->seed = seed * 2 + 1;
    for (uint32_t p = 0; p < KIT_PROVIDERS; p++) {
        (void)snprintf(k->name[p], sizeof k->name[p], "p%u", p);
        k->provider[p] = (struct catalog_provider){
            .name = k->name[p], .region = p % 2 ? "eu" : "us", .weight = 1,
            .dialect = p == 5 ? DIALECT_GEMINI : DIALECT_OPENAI, .zero_retention = p % 3 == 0,
            .key = {"k0", "k1", "k2"}, .key_count = (uint8_t)(p % 4)};
    }
    static const uint32_t contexts[] = {0, 8192, 32768, 131072, 1000000};
    for (uint32_t i = 0; i < count; i++) {
        struct catalog_model *m = &k->model[i];
        uint32_t provider = i % KIT_PROVIDERS, bare = kit_draw(k, 3) ? i : i / KIT_PROVIDERS;
        (void)snprintf(k->id[i], sizeof k->id[i], "p%u/%c%04u", provider, bare == i ? 'u' : 's',
                       bare);
        *m = (struct catalog_model){.id = k->id[i], .provider = (uint16_t)provider,
                                    .context = contexts[kit_draw(k, COUNT(contexts))],
                                    .abilities = (uint8_t)kit_draw(k, 16)};
        draw_quality(k, &m->quality);
        draw_price(k, &m->price);
    }
    k->c = (struct catalog){k->provider, k->model, NULL, NULL, KIT_PROVIDERS, count, 0};
    return k;
}

void kit_score(struct kit *k)
{
    if (!k->c.by_bare && !catalog_index(&k->c)) abort();
    struct score_setup setup = {.catalog = &k->c, .auto_glob = k->glob,
                                .auto_count = k->glob_count, .views = 1,
                                .key_word = k->key_word, .model_word = k->model_word,
                                .now_unix_s = KIT_NOW_S};
    k->s = score_make(&setup);
    if (!k->s) abort();
    k->v = score_view(k->s, 0);
}

void kit_learn(struct kit *k)
{
    for (uint32_t m = 0; m < k->c.model_count; m++) {
        if (kit_draw(k, 2)) continue;
        uint32_t row = score_row(k->s, m, 0);
        uint64_t ttft = (50 + kit_draw(k, 3000)) * UINT64_C(1000000);
        uint64_t ns = (500 + kit_draw(k, 20000)) * UINT64_C(1000000);
        for (uint32_t i = kit_draw(k, 20); i > 0; i--) {
            score_learn_ttft(k->v, row, KIT_NOW_MS, ttft);
            score_learn_speed(k->v, row, KIT_NOW_MS, 300, ns);
            score_learn_end(k->v, row, KIT_NOW_MS, kit_draw(k, 5) != 0);
        }
        if (kit_draw(k, 8) == 0) {
            score_learn_room(k->v, row, KIT_NOW_MS, kit_draw(k, 3000), 9000);
        }
        if (kit_draw(k, 8) == 0) score_set_model(k->s, m, SCORE_DRAIN);
        if (kit_draw(k, 8)) continue;
        for (uint32_t key = 0; key < 3; key++) {
            breaker_cool(&k->model_word[m * CATALOG_KEYS_MAX + key], KIT_NOW_MS, 5000);
        }
    }
}

void kit_free(struct kit *k)
{
    score_close(k->s);
    free(k->c.by_bare);
    free(k);
}

struct plan_ask kit_ask(struct kit *k, const char *name)
{
    return (struct plan_ask){
        .name = {bytes_of(name)}, .name_count = 1, .first_is_model = true, .score = k->v,
        .now_ms = KIT_NOW_MS, .now_unix_s = KIT_NOW_S, .gain = 2000, .gain_width = 500,
        .tokens_in = 1000, .tokens_out = 300, .floor = 950000, .cost_power = 500000,
        .time_power = 500000,
    };
}
