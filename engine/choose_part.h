/* choose_part.h - what choose.c and choose_why.c share: one choice as it is being made. */
#ifndef ENGINE_CHOOSE_PART_H
#define ENGINE_CHOOSE_PART_H

#include "engine/choose.h"
#include "store/store.h"

struct choose_work {
    const struct choose_ask *ask;
    const struct catalog *cat;
    struct choose *out;
    enum unit_kind denier;       /* the level whose policy refused a model or a region last */
};

/* Empty the plan, for a reason; the text is the caller's. Always false. */
bool choose_refuse(struct choose_work *w, enum close_why why, const char *param);
/* Say why the plan is empty. Always false. */
bool choose_nothing(struct choose_work *w);

#endif
