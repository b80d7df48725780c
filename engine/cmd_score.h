/* cmd_score.h - `weir explain --score`: the expected gain of many requests at once. */
#ifndef ENGINE_CMD_SCORE_H
#define ENGINE_CMD_SCORE_H

/* Read JSON Lines {"id", "prompt" | "messages" | "body", "tools"?, "tenant"?} from file ("-":
 * standard input) and print `id<TAB>gain` for each, in order: 0..1, more where a stronger model
 * is needed more. labels, or NULL: a file of `id<TAB>tenant<TAB>score` rows, learned before
 * anything is scored; score is the gain that was measured, -1..1.
 * Gives the exit status: 0; 1 where a line is no such line (nothing is printed then). */
int cmd_score(const char *file, const char *labels);

#endif
