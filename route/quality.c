/* quality.c - the scale of quality. All known models together are N(0, 1), so a percentage is
 * the value of the normal distribution function, and its inverse is found by halving: it is
 * asked for when a configuration is read, never in a request. */
#include "route/quality.h"

#include <math.h>

static const char *const family_names[FAMILIES] = {
    [FAMILY_KNOWLEDGE] = "knowledge", [FAMILY_MATH] = "math", [FAMILY_CODE] = "code",
    [FAMILY_REASONING] = "reasoning", [FAMILY_INSTRUCTION] = "instruction",
    [FAMILY_TOOLS] = "tools", [FAMILY_LONGCTX] = "longctx", [FAMILY_VISION] = "vision",
    [FAMILY_MULTILINGUAL] = "multilingual", [FAMILY_CHAT] = "chat",
};

static const char *const efforts[EFFORTS] = {
    [EFFORT_UNSET] = "", [EFFORT_NONE] = "none", [EFFORT_MINIMAL] = "minimal",
    [EFFORT_LOW] = "low", [EFFORT_MEDIUM] = "medium", [EFFORT_HIGH] = "high",
    [EFFORT_XHIGH] = "xhigh",
};

const char *family_name(enum family family)
{
    assert(family < FAMILIES);
    return family_names[family];
}

int family_find(struct bytes name)
{
    for (int i = 0; i < FAMILIES; i++) {
        if (bytes_eq(name, bytes_of(family_names[i]))) return i;
    }
    return -1;
}

const char *effort_name(enum effort effort)
{
    assert(effort < EFFORTS);
    return efforts[effort];
}

static const float reach = 3.0f;  /* beyond it a statement says no more */

float quality_percent(float t)
{
    assert(!isnan(t));
    return (float)(50.0 * erfc(-(double)t / sqrt(2.0)));
}

float quality_t(float percent)
{
    assert(percent >= 0 && percent <= 100);
    float low = -reach, high = reach;
    for (int i = 0; i < 24; i++) {
        float mid = (low + high) / 2;
        if (quality_percent(mid) < percent) low = mid;
        else high = mid;
    }
    return (low + high) / 2;
}

uint32_t quality_tenths(float t)
{
    long tenths = lroundf(quality_percent(t) * 10);
    assert(tenths >= 0 && tenths <= 1000);
    return (uint32_t)tenths;
}

int32_t quality_hundredths(float value)
{
    return (int32_t)lroundf(value * 100);
}

float quality_at(const struct quality *q, enum family family, enum effort effort)
{
    assert(family < FAMILIES && effort < EFFORTS);
    return q->t[family] + q->effort[effort];
}

const char *quality_evidence_name(enum quality_evidence evidence)
{
    static const char *const names[] = {
        [QUALITY_NOTHING] = "nothing", [QUALITY_PRICE] = "price",
        [QUALITY_ELSEWHERE] = "elsewhere", [QUALITY_FIGURES] = "figures",
        [QUALITY_STATED] = "stated",
    };
    assert(evidence < COUNT(names));
    return names[evidence];
}

void quality_nothing(struct quality *q)
{
    *q = (struct quality){0};
    for (int f = 0; f < FAMILIES; f++) q->width[f] = QUALITY_WIDTH_NOTHING;
}

/* As tools/catalog.py --check prints it: price alone, over the models with figures. It says
 * little (Spearman 0.55), so the width is nearly the spread. */
void quality_price(struct quality *q, int64_t output_pico)
{
    const double level = -0.21, slope = 0.75, least = 0.03, most = 200;   /* dollars per 1M */
    assert(output_pico >= 0);
    quality_nothing(q);
    if (output_pico == 0) return;
    double dollars = (double)output_pico / 1e6;
    dollars = dollars < least ? least : dollars > most ? most : dollars;
    for (int f = 0; f < FAMILIES; f++) {
        q->t[f] = (float)(level + slope * log10(dollars));
        q->width[f] = QUALITY_WIDTH_FLAT;
        q->evidence[f] = QUALITY_PRICE;
    }
}

void quality_state(struct quality *q, unsigned families, const uint32_t micro[FAMILIES])
{
    float sum = 0;
    unsigned count = 0;
    assert(families && families < 1u << FAMILIES);
    for (unsigned f = 0; f < FAMILIES; f++) {
        if (!(families & 1u << f)) continue;
        q->t[f] = quality_t((float)micro[f] / 1e6f);
        q->width[f] = QUALITY_WIDTH_STATED;
        q->evidence[f] = QUALITY_STATED;
        sum += q->t[f];
        count++;
    }
    for (unsigned f = 0; f < FAMILIES; f++) {
        bool worse = q->evidence[f] < QUALITY_ELSEWHERE;
        if (families & 1u << f || !worse) continue;
        q->t[f] = sum / (float)count;
        q->width[f] = QUALITY_WIDTH_ELSEWHERE;
        q->evidence[f] = QUALITY_ELSEWHERE;
    }
}
