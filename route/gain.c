/* gain.c - see gain.h.
 * Model: prior(task) + slope x length + trained(words, trees) + tenant, each bounded; the
 * tenant's part is the posterior mean of a linear model with Gaussian prior, updated by one
 * rank-one step an outcome (a Kalman filter that nothing drifts in).
 * Rule: a text can move the trained part by no more than TRAINED_MAX, whatever it says. */
#include "route/gain.h"
#include "route/weights.h"

#include <math.h>

enum {
    SLOPE_AT = 2048,            /* LOG_CHARS of 255 characters: no length prior there */
    TRAINED_MAX = WEIGHTS_UNIT * 35 / 100,
    LEARNED_ONE = 4096,         /* fixed point of struct features_kept */
};

#define WIDTH_PRIOR 0.15f       /* of what was not learned from this tenant */
#define NOISE 0.20f             /* variance of one outcome of weight 1 */
#define VARIANCE_LEVEL 0.04f    /* prior variance of the tenant's mean gain */
#define VARIANCE_SLOPE 0.006f   /* of each other dimension */
#define LOSS_USUAL 0.1f         /* prior mean of LEARNED_LOSS */

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "weights are read in place");

extern const char builtin_gain_weights[];
extern const size_t builtin_gain_weights_len;

/* What a request of this task is expected to gain, before anything else is known of it; of
 * GAIN_ONE. From the mean gaps of research/routing.md, rounded, not from a fit: factual recall
 * gains little (both fail), reasoning and code much. */
static const uint16_t prior_of[TASKS] = {
    [TASK_CHAT] = 1500, [TASK_QA] = 1000, [TASK_CHOICE] = 2000, [TASK_MATH] = 3500,
    [TASK_PROOF] = 3500, [TASK_CODE] = 3500, [TASK_REASONING] = 3500, [TASK_WRITE] = 1200,
    [TASK_SUMMARISE] = 1000, [TASK_CLASSIFY] = 1000, [TASK_EXTRACT] = 1800,
    [TASK_TRANSLATE] = 1500, [TASK_REWRITE] = 1000, [TASK_EXPLAIN] = 1300,
    [TASK_ROLEPLAY] = 1200, [TASK_TOOLS] = 2000, [TASK_AGENT] = 3000,
};

/* What a tenant's correction is linear in: level, trained and prior; numbers, by how far they
 * are from their mean; tasks that it is, or is not; and what tools are offered. */
static const uint8_t learned_of[] = {
    FEATURE_LOG_CHARS, FEATURE_OPTIONS, FEATURE_REPEATS, FEATURE_NUMBERS,
    FEATURE_LONG_WORDS, FEATURE_DIGITS, FEATURE_QUESTIONS, FEATURE_BACKSLASHES,
    FEATURE_UPPER, FEATURE_CAPITALS, FEATURE_WORD_LENGTH, FEATURE_CODE_SIGNS, FEATURE_ASK_WHAT,
    FEATURE_ASK_WHO, FEATURE_ASK_HOW_MANY, FEATURE_CALCULATE, FEATURE_PROGRAM, FEATURE_LAW,
    FEATURE_MORALS, FEATURE_PEOPLE,
};
static const uint8_t learned_task[] = {TASK_QA, TASK_MATH};
enum {
    LEARNED_TASKS = 3 + COUNT(learned_of),
    LEARNED_TOOLS = LEARNED_TASKS + COUNT(learned_task),
    LEARNED_LOSS = LEARNED_TOOLS + 4,   /* the dimension of losses no model explains */
};
static_assert(LEARNED_LOSS == GAIN_DIMENSIONS - 1, "every dimension has a meaning");

/* --- the weights */

uint32_t weights_crc(const struct gain_model *m)
{
    const unsigned char *at = (const unsigned char *)&m->id;
    size_t len = sizeof *m - offsetof(struct gain_model, id);
    uint32_t crc = ~0u;
    for (size_t i = 0; i < len; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1)));
    }
    return ~crc;
}

static bool trees_fit(const struct gain_model *m)
{
    for (size_t i = 0; i < WEIGHTS_TREES; i++) {
        for (size_t k = 0; k < WEIGHTS_NODES; k++) {
            if (m->tree[i].feature[k] >= FEATURES) return false;
        }
    }
    return true;
}

const struct gain_model *gain_open(struct bytes text)
{
    const struct gain_model *m = (const struct gain_model *)(const void *)text.ptr;
    if (text.len != sizeof *m) return NULL;
    if ((uintptr_t)text.ptr % _Alignof(struct gain_model) != 0) return NULL;
    if (memcmp(m->magic, WEIGHTS_MAGIC, sizeof m->magic) != 0) return NULL;
    if (m->version != WEIGHTS_VERSION || m->bytes != sizeof *m) return NULL;
    if (m->features != FEATURES || m->crc != weights_crc(m)) return NULL;
    return trees_fit(m) ? m : NULL;
}

const struct gain_model *gain_builtin(void)
{
    const struct gain_model *m = (const struct gain_model *)(const void *)builtin_gain_weights;
    assert(builtin_gain_weights_len == sizeof *m && m->version == WEIGHTS_VERSION);
    assert(m->features == FEATURES);    /* the whole of it is checked by a test */
    return m;
}

static int32_t tree_score(const struct weights_tree *t, const int16_t *dense)
{
    const uint8_t *feature = t->feature;
    const int16_t *threshold = t->threshold;
    unsigned at = dense[feature[0]] > threshold[0];
    at = at * 2 + (dense[feature[1 + at]] > threshold[1 + at]);
    at = at * 2 + (dense[feature[3 + at]] > threshold[3 + at]);
    return t->leaf[at];
}

/* The weights of all words: in four sums, for they wait for nothing of each other. */
static int32_t words_score(const struct gain_model *m, const struct features *f)
{
    const int8_t *weight = m->word;
    const uint16_t *word = f->word, *end = word + f->word_count;
    int32_t sum[4] = {0};
    for (; end - word >= 4; word += 4) {
        sum[0] += weight[word[0]];
        sum[1] += weight[word[1]];
        sum[2] += weight[word[2]];
        sum[3] += weight[word[3]];
    }
    for (; word < end; word++) sum[0] += weight[*word];
    return sum[0] + sum[1] + sum[2] + sum[3];
}

int32_t weights_score(const struct gain_model *m, const struct features *f, int32_t *by)
{
    static const uint8_t group_of[FEATURES] = {
#define F(name, group, text) GAIN_##group,
#include "route/features.def"
#undef F
    };
    int32_t sum = 0;
    if (f->word_count > 0) {
        sum = (int32_t)((float)words_score(m, f) * m->word_scale * (float)WEIGHTS_UNIT /
                        sqrtf((float)f->word_count));
    }
    if (by) by[GAIN_TOPIC] += sum;
    for (const struct weights_tree *t = m->tree; t < m->tree + WEIGHTS_TREES; t++) {
        int32_t leaf = tree_score(t, f->dense);
        sum += leaf;
        if (by) by[group_of[t->feature[0]]] += leaf;
    }
    return sum > TRAINED_MAX ? TRAINED_MAX : sum < -TRAINED_MAX ? -TRAINED_MAX : sum;
}

/* --- the estimate of nobody in particular */

/* Prior of task and length, of GAIN_ONE; the length's part in *length. */
static int32_t prior_score(const struct features *f, int32_t *length)
{
    int32_t chars = f->dense[FEATURE_LOG_CHARS];
    *length = (chars - SLOPE_AT) * 300 / 256;       /* 3 points for twice the length */
    if (*length > 900) *length = 900;
    if (*length < -900) *length = -900;
    return prior_of[f->task] + *length;
}

static int32_t trained_of_one(int32_t trained)
{
    return (int32_t)((int64_t)trained * GAIN_ONE / WEIGHTS_UNIT);
}

/* The dimensions of struct features_kept. */
static void dimensions(const struct gain_model *m, const struct features *f, int32_t prior,
                       int32_t trained, int16_t x[GAIN_DIMENSIONS])
{
    x[0] = LEARNED_ONE;
    x[1] = (int16_t)(trained_of_one(trained) * 2);      /* a deviation is about 0.15 */
    x[2] = (int16_t)((prior - 2000) * 4);               /* here about 0.1 */
    for (size_t i = 0; i < COUNT(learned_of); i++) {
        unsigned k = learned_of[i];
        float z = ((float)f->dense[k] - m->mean[k]) * m->scale[k];
        z = z > 3.0f ? 3.0f : z < -3.0f ? -3.0f : z;
        x[3 + i] = (int16_t)(z * LEARNED_ONE);
    }
    for (size_t i = 0; i < COUNT(learned_task); i++) {
        x[LEARNED_TASKS + i] = f->task == learned_task[i] ? LEARNED_ONE * 2 : 0;
    }
    int16_t *tools = x + LEARNED_TOOLS;
    memset(tools, 0, 4 * sizeof *tools);
    if (f->dense[FEATURE_TOOLS] > 0) {
        int32_t requests = f->dense[FEATURE_TOOL_REQUESTS];
        tools[0] = f->dense[FEATURE_TOOLS] > 1 ? LEARNED_ONE : -LEARNED_ONE;
        tools[1] = (int16_t)(f->dense[FEATURE_TOOL_OVERLAP] * 2 - LEARNED_ONE);
        tools[2] = f->dense[FEATURE_TOOL_OVERLAP] < LEARNED_ONE / 10 ? LEARNED_ONE * 2 : 0;
        tools[3] = (int16_t)((requests < 4 ? requests : 4) * LEARNED_ONE / 2);
    }
    x[LEARNED_LOSS] = 0;
}

void gain_keep(const struct gain_model *m, const struct features *f, struct features_kept *out)
{
    const struct gain scored = {.trained = weights_score(m, f, NULL)};
    gain_keep_scored(m, f, &scored, out);
}

void gain_keep_scored(const struct gain_model *m, const struct features *f,
                      const struct gain *scored, struct features_kept *out)
{
    int32_t length, prior = prior_score(f, &length), trained = scored->trained;
    assert(trained >= -TRAINED_MAX && trained <= TRAINED_MAX);
    memset(out, 0, sizeof *out);
    dimensions(m, f, prior, trained, out->x);
    out->gain = (int16_t)(prior + trained_of_one(trained));
    out->task = f->task;
    out->family = f->family;
    out->language = f->language;
}

/* --- the tenant */

static float prior_variance(unsigned i)
{
    return i == 0 || i == LEARNED_LOSS ? VARIANCE_LEVEL : VARIANCE_SLOPE;
}

static void tenant_begin(struct gain_tenant *t, const struct gain_model *m)
{
    memset(t, 0, sizeof *t);
    t->model_id = m->id;
    t->mean[LEARNED_LOSS] = LOSS_USUAL;
    for (unsigned i = 0; i < GAIN_DIMENSIONS; i++) {
        t->covariance[i * (i + 1) / 2 + i] = prior_variance(i);
    }
}

/* out = covariance x; gives x . out. */
static float spread(const struct gain_tenant *t, const float *x, float *out)
{
    float sum = 0;
    for (unsigned i = 0; i < GAIN_DIMENSIONS; i++) out[i] = 0;
    for (unsigned i = 0; i < GAIN_DIMENSIONS; i++) {
        const float *row = &t->covariance[i * (i + 1) / 2];
        float own = row[i] * x[i];
        for (unsigned k = 0; k < i; k++) {
            own += row[k] * x[k];
            out[k] += row[k] * x[i];
        }
        out[i] += own;
    }
    for (unsigned i = 0; i < GAIN_DIMENSIONS; i++) sum += x[i] * out[i];
    return sum > 0 ? sum : 0;
}

static float dot(const float *a, const float *b)
{
    float sum = 0;
    for (unsigned i = 0; i < GAIN_DIMENSIONS; i++) sum += a[i] * b[i];
    return sum;
}

/* One outcome y, of which expected is explained already, at x. */
static void update(struct gain_tenant *t, const float *x, float y, float expected, float weight)
{
    float gain[GAIN_DIMENSIONS];
    float all = spread(t, x, gain) + NOISE / weight;
    float off = (y - expected - dot(t->mean, x)) / all;
    assert(all > 0);
    for (unsigned i = 0; i < GAIN_DIMENSIONS; i++) {
        t->mean[i] += gain[i] * off;
        float *row = &t->covariance[i * (i + 1) / 2];
        for (unsigned k = 0; k <= i; k++) row[k] -= gain[i] * gain[k] / all;
    }
    t->weight += weight;
}

void gain_learn(struct gain_tenant *t, const struct gain_model *m,
                const struct features_kept *k, float weak_share, float loss, float weight)
{
    float x[GAIN_DIMENSIONS];
    assert(weak_share >= 0 && weak_share <= 1);
    assert(loss >= 0 && loss <= 1 && weight > 0 && weight <= 1);
    if (t->weight <= 0 || t->model_id != m->id) tenant_begin(t, m);
    for (unsigned i = 0; i < LEARNED_LOSS; i++) {
        x[i] = weak_share * (float)k->x[i] / LEARNED_ONE;
    }
    x[LEARNED_LOSS] = 1;
    update(t, x, loss, weak_share * (float)k->gain / GAIN_ONE, weight);
}

void gain_learn_label(struct gain_tenant *t, const struct gain_model *m,
                      const struct features_kept *k, float label, float weight)
{
    float x[GAIN_DIMENSIONS];
    assert(label >= -1 && label <= 1 && weight > 0 && weight <= 1);
    if (t->weight <= 0 || t->model_id != m->id) tenant_begin(t, m);
    for (unsigned i = 0; i < LEARNED_LOSS; i++) x[i] = (float)k->x[i] / LEARNED_ONE;
    x[LEARNED_LOSS] = 0;
    update(t, x, label, (float)k->gain / GAIN_ONE, weight);
}

/* --- all of it */

static uint16_t of_one(float value)
{
    return (uint16_t)(value <= 0 ? 0 : value >= 1 ? GAIN_ONE : value * GAIN_ONE + 0.5f);
}

/* A sum that leaves 0..1 is bent back, so that what is below another stays below it. */
static float bent(float value)
{
    if (value > 0.5f) return 1 - bent(1 - value);
    return value < 0.05f ? 0.05f * expf(value / 0.05f - 1) : value;
}

/* The largest parts, by size, and who has them. */
static void reasons(const int32_t *by, struct gain *out)
{
    uint32_t top[GAIN_REASONS] = {0};
    for (unsigned i = 1; i < GAIN_REASON_COUNT; i++) {
        int32_t share = by[i] > GAIN_ONE ? GAIN_ONE : by[i] < -GAIN_ONE ? -GAIN_ONE : by[i];
        uint32_t size = (uint32_t)(share < 0 ? -share : share) << 8 | i;
        for (unsigned r = 0; r < GAIN_REASONS; r++) {
            uint32_t less = size < top[r] ? size : top[r];
            top[r] = size < top[r] ? top[r] : size;
            size = less;
        }
    }
    for (unsigned r = 0; r < GAIN_REASONS; r++) {
        unsigned reason = top[r] >> 8 ? top[r] & 0xff : GAIN_NOTHING;
        int32_t size = (int32_t)(top[r] >> 8);
        out->reason[r] = (uint8_t)reason;
        out->share[r] = (int16_t)(by[reason] < 0 ? -size : size);
    }
}

void gain_score(const struct gain_model *m, const struct gain_tenant *tenant,
                const struct features *f, struct gain *out)
{
    int32_t by[GAIN_REASON_COUNT] = {0}, length;
    int32_t prior = prior_score(f, &length);
    int32_t trained = weights_score(m, f, by);
    for (unsigned i = 0; i < GAIN_REASON_COUNT; i++) by[i] = trained_of_one(by[i]);
    by[GAIN_TASK] += prior - length - 1500;
    by[GAIN_LENGTH] += length;
    float gain = (float)prior / GAIN_ONE + (float)trained / WEIGHTS_UNIT, width = WIDTH_PRIOR;
    out->learned = tenant && tenant->weight > 0 && tenant->model_id == m->id;
    if (out->learned) {
        int16_t fixed[GAIN_DIMENSIONS];
        float x[GAIN_DIMENSIONS], scratch[GAIN_DIMENSIONS];
        dimensions(m, f, prior, trained, fixed);
        for (unsigned i = 0; i < GAIN_DIMENSIONS; i++) x[i] = (float)fixed[i] / LEARNED_ONE;
        float learned = dot(tenant->mean, x), own = sqrtf(spread(tenant, x, scratch));
        by[GAIN_LEARNED] = (int32_t)(learned * GAIN_ONE);
        gain += learned;
        if (own < width) width = own;
    }
    out->trained = trained;
    out->exact = bent(gain);
    out->gain = of_one(out->exact);
    out->width = of_one(width);
    reasons(by, out);
    assert(out->exact >= 0 && out->exact <= 1 && out->width <= GAIN_ONE);
}

const char *gain_reason_text(enum gain_reason reason)
{
    static const char *const text[GAIN_REASON_COUNT] = {
        "nothing", "task", "length", "topic", "numbers", "choices", "code", "style", "tools",
        "learned",
    };
    assert(reason < GAIN_REASON_COUNT);
    return text[reason];
}

const char *gain_dimension_name(unsigned dimension)
{
    static const char *const names[] = {"level", "trained", "prior"};
    static const char *const tools[] = {"tools several", "tools fit", "tools foreign",
                                        "tools requested"};
    static_assert(COUNT(tools) == LEARNED_LOSS - LEARNED_TOOLS, "a name for each");
    assert(dimension < GAIN_DIMENSIONS);
    if (dimension < COUNT(names)) return names[dimension];
    if (dimension < LEARNED_TASKS) {
        return feature_name((enum feature)learned_of[dimension - COUNT(names)]);
    }
    if (dimension < LEARNED_TOOLS) {
        return task_name((enum task)learned_task[dimension - LEARNED_TASKS]);
    }
    return dimension < LEARNED_LOSS ? tools[dimension - LEARNED_TOOLS] : NULL;
}
