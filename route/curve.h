/* curve.h - from the expected gain of a request to the quality expected of any ability on it.
 * The gain is what two models of known ability were seen to differ by (the pairs that route/
 * gain.weights was trained on lie near CURVE_WEAK and CURVE_STRONG). Success as a function of
 * ability is the logistic curve of item response theory (Birnbaum's two-parameter model, in
 * Lord and Novick, Statistical Theories of Mental Test Scores, 1968): it rises steeply around
 * the difficulty of a request and saturates above. So a gain between two old models says how
 * hard a request is, and that says how little two strong models differ on it; a straight line
 * through both would send whatever is not trivial to the very strongest.
 * Of the two difficulties that have the same gain (both succeed, both fail) it is the lower
 * one: what makes both fail is not seen in a text. Pure. */
#ifndef ROUTE_CURVE_H
#define ROUTE_CURVE_H

/* Abilities in t (quality.h). The slope is between 0.8 (MMLU-Pro, eight models) and 1.5
 * (SWE-bench, GSM8K) where outcomes of several models are known. */
#define CURVE_WEAK (-1.9f)
#define CURVE_STRONG (-0.5f)
#define CURVE_SLOPE 1.3f

/* The ability that succeeds on half of such requests. gain: 0..1. Rises with it; at 0 every
 * ability succeeds. */
float curve_difficulty(float gain);
/* Share of successes of ability t, 0..1 exclusive. Rises with t, falls with difficulty. */
float curve_success(float t, float difficulty);
/* The ability that succeeds so often (0..1; at the ends very small or very large). */
float curve_ability(float success, float difficulty);

#endif
