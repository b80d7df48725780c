/* curve.c - see curve.h. With a the slope times half the distance of the two models and x that
 * times the distance of the difficulty from their middle,
 *   gain = s(x + a) - s(x - a) = sinh a / (cosh a + cosh x),   s the logistic function,
 * so cosh x = sinh a / gain - cosh a. Where the gain is more than any difficulty has between
 * the two, the request is harder than their middle; by how much is a straight line, so that a
 * stronger signal never leads to a weaker model. */
#include "route/curve.h"

#include <assert.h>
#include <math.h>

static const float middle = (CURVE_STRONG + CURVE_WEAK) / 2;
static const float half = CURVE_SLOPE * (CURVE_STRONG - CURVE_WEAK) / 2;
static const float gain_least = 0.01f;     /* nothing is easier than that, */
static const float trivial = -100.0f;      /* but for what any model does as well */
static const float harder = 3.0f;          /* t for a gain of 1 beyond the most */

float curve_difficulty(float gain)
{
    assert(gain >= 0 && gain <= 1);
    float most = sinhf(half) / (coshf(half) + 1);
    if (gain == 0) return trivial;
    if (gain >= most) return middle + harder * (gain - most);
    if (gain < gain_least) gain = gain_least;
    float c = sinhf(half) / gain - coshf(half);
    return middle - logf(c + sqrtf(c * c - 1)) / CURVE_SLOPE;
}

float curve_success(float t, float difficulty)
{
    return 1 / (1 + expf(-CURVE_SLOPE * (t - difficulty)));
}

float curve_ability(float success, float difficulty)
{
    const float end = 1e-6f;
    if (success < end) success = end;
    if (success > 1 - end) success = 1 - end;
    return difficulty + logf(success / (1 - success)) / CURVE_SLOPE;
}
