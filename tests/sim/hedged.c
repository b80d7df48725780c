/* hedged.c - see hedged.h. */
#include "tests/sim/hedged.h"
#include "engine/core.h"
#include "engine/tables.h"
#include "route/score.h"
#include "tests/sim/machine.h"

enum { SHARE_PERCENT = 50, FAST_NS = 30000000, ANSWERS = 24, SLOW_MS = 900 };

void hedged_config(struct text *t)
{
    text_put(t, ", hedge: {mode: always, after: p50, max_share: 0.%u}", SHARE_PERCENT);
}

void hedged_teach(const struct tables *t, uint32_t cores)
{
    if (model()->world != WORLD_HEDGED) return;
    for (uint32_t m = 0; m < t->catalog->model_count; m++) {
        uint32_t provider = t->catalog->model[m].provider;
        for (uint32_t key = 0; key < t->catalog->provider[provider].key_count; key++) {
            uint32_t row = score_row(t->scores, m, key);
            for (uint32_t i = 0; i < cores * ANSWERS; i++) {
                score_learn_ttft(score_view(t->scores, i % cores), row,
                                 machine()->now_ns / 1000000, FAST_NS);
            }
        }
    }
}

uint64_t hedged_pause_ns(void)
{
    bool slow = model()->world == WORLD_HEDGED && draw_maybe(500);
    return slow ? (uint64_t)draw(SLOW_MS) * 1000000 : 0;
}

void hedged_after(const struct core *core, uint64_t ended)
{
    uint64_t hedges = stat_get(&core->stats.count[STAT_HEDGES]);
    if (hedges * 100 <= ended * SHARE_PERCENT) return;
    violated("hedge", "core %u: %llu of %llu requests were asked twice", core->idx,
             (unsigned long long)hedges, (unsigned long long)ended);
}
