/* cmd.h - the subcommands of `weir` that start nothing. Each gives the exit status: 0 good, 1
 * failed, 2 usage. */
#ifndef ENGINE_CMD_H
#define ENGINE_CMD_H

#include <stdbool.h>
#include <stddef.h>

#define WEIR_VERSION "0.1.0"

struct conf;

/* Read the configuration, diagnostics to stderr. NULL: it has mistakes. gives: conf_free. */
struct conf *cmd_load(const char *config);

/* `weir check [-c FILE]`: diagnostics to stderr, or "ok". config may be NULL. */
int cmd_check(const char *config);
/* `weir check --ledger DIR`: "ok", or a line on stdout for each violation. */
int cmd_check_ledger(const char *dir);
/* `weir backup [-c FILE] [--data DIR] DIR`: copy the data directory that serve would use, also
 * while it does. config and data may be NULL. */
int cmd_backup(const char *config, const char *data, const char *dir);
/* `weir restore [-c FILE] [--data DIR] DIR`: make the data directory from a backup. */
int cmd_restore(const char *config, const char *data, const char *dir);
/* `weir models [-c FILE] [--json]`: the catalogue, what would be served first. */
int cmd_models(const char *config, int json);
/* `weir import litellm FILE [-o OUT] [--force]`: a weir.yaml from LiteLLM's config.yaml, to
 * standard output or to OUT, which must not exist unless force; to standard error what was not
 * taken, with its line. out may be NULL. */
int cmd_import(const char *file, const char *out, bool force);
struct cmd_explain {             /* all borrowed; NULL: not given */
    const char *config, *file;   /* file NULL or "-": stdin */
    const char *mode, *cascade, *api, *model;
    bool json;
};
/* `weir explain [-c FILE] [--mode M] [--cascade C] [--api A] [--json] [REQUEST.json|-]`. */
int cmd_explain(const struct cmd_explain *cmd);
/* `weir savings FILE [--outcomes DIR] [--svg FILE]`: what a described month costs with each
 * flagship and with the router, and what quality is measured to be kept. outcomes and svg may
 * be NULL. */
int cmd_savings(const char *file, const char *outcomes, const char *svg);
/* Read all of a file as large as a configuration may be. gives malloc's memory; NULL: what went
 * wrong was said on stderr. */
char *cmd_read(const char *path, size_t *len);
/* `weir version`: libraries, kernel features found and missing. */
int cmd_version(void);
/* `weir settings`: every setting with type, default and help, for the manual. */
int cmd_settings(void);

#endif
