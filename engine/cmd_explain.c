/* cmd_explain.c - `weir explain`: what the router would do with a request, as far as it can be
 * said without traffic: nothing is learned yet, no breaker is open. */
#include "engine/cmd.h"
#include "engine/conf.h"
#include "engine/control.h"
#include "engine/explain.h"
#include "net/jsonw.h"
#include "route/plan.h"
#include "route/score.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PIECE = 1 << 16, LEFT_OUT_LINES = 20, JSON_MAX = 64 << 20 };

/* All of a file, or of stdin for "-". False: said why. gives: free. */
static bool read_all(const char *path, char **text, size_t *len)
{
    bool in = strcmp(path, "-") == 0, ok = true;
    FILE *f = in ? stdin : fopen(path, "rb");
    size_t room = 0;
    *text = NULL;
    *len = 0;
    while (f && ok && *len < EXPLAIN_BODY_MAX) {
        if (*len + PIECE > room) {
            char *more = realloc(*text, room = (room ? room * 2 : PIECE) + PIECE);
            ok = more != NULL;
            if (!ok) break;
            *text = more;
        }
        size_t n = fread(*text + *len, 1, PIECE, f);
        *len += n;
        if (n == 0) break;
    }
    ok = ok && f && !ferror(f);
    if (!ok) (void)fprintf(stderr, "weir: %s cannot be read\n", in ? "stdin" : path);
    if (f && !in) (void)fclose(f);
    return ok;
}

static void put_line(void *arg, const char *line) { (void)fprintf(arg, "%s\n", line); }

static int show(const struct explain *e, bool json)
{
    const char *pointer, *fault = explain_fault(e, &pointer);
    if (fault) {
        (void)fprintf(stderr, "weir: the request is not served: %s%s%s\n", fault,
                      *pointer ? " at " : "", pointer);
        return 1;
    }
    if (!json) {
        explain_lines(e, LEFT_OUT_LINES, put_line, stdout);
        return 0;
    }
    char *text = malloc(JSON_MAX);
    struct jsonw w;
    if (!text) return 1;
    jsonw_init(&w, text, JSON_MAX);
    explain_put(e, &w);
    if (!w.full) (void)printf("%.*s\n", (int)w.len, text);
    free(text);
    return w.full;
}

/* A configuration's scores as a process has them that has just started. */
static struct scores *fresh_scores(const struct conf *conf, uint64_t now_unix_s)
{
    struct score_setup setup = {.catalog = &conf->catalog, .auto_glob = conf->auto_globs,
                                .auto_count = conf->auto_count, .views = 1,
                                .now_unix_s = now_unix_s};
    return score_make(&setup);
}

int cmd_explain(const struct cmd_explain *cmd)
{
    struct control control = {0};
    int mode = cmd->mode ? plan_mode_of(bytes_of(cmd->mode)) : 0;
    if (mode < 0) {
        (void)fprintf(stderr, "weir: --mode is one of balanced, cost, latency, availability\n");
        return 2;
    }
    if (cmd->mode) control.mode = (uint8_t)(1 + mode);
    if (cmd->cascade) control.cascade = (uint8_t)control_cascade_of(bytes_of(cmd->cascade));
    if (cmd->cascade && !control.cascade) {
        (void)fprintf(stderr, "weir: --cascade is one of never, check, agree=2, agree=3\n");
        return 2;
    }
    struct conf *conf = cmd_load(cmd->config);
    if (!conf) return 1;
    uint64_t now = (uint64_t)time(NULL);
    struct scores *scores = fresh_scores(conf, now);
    struct explain *e = NULL;
    char *text = NULL;
    size_t len = 0;
    int rc = 1;
    if (scores && read_all(cmd->file ? cmd->file : "-", &text, &len)) {
        struct explain_ask ask = {.body = {text, len}, .conf = conf, .control = &control,
                                  .api = bytes_of(cmd->api ? cmd->api : ""),
                                  .model = bytes_of(cmd->model ? cmd->model : ""),
                                  .score = score_view(scores, 0), .now_unix_s = now};
        e = explain_make(&ask);
    }
    if (e) rc = show(e, cmd->json);
    explain_close(e);
    free(text);
    score_close(scores);
    conf_free(conf);
    return rc;
}
