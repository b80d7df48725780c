/* cmd.h - the subcommands of `weir` that start nothing. Each gives the exit status: 0 good, 1
 * failed, 2 usage. */
#ifndef ENGINE_CMD_H
#define ENGINE_CMD_H

#define WEIR_VERSION "0.1.0"

/* `weir check [-c FILE]`: diagnostics to stderr, or "ok". config may be NULL. */
int cmd_check(const char *config);
/* `weir models [-c FILE] [--json]`: the catalogue as it would be served. */
int cmd_models(const char *config, int json);
/* `weir version`: libraries, kernel features found and missing. */
int cmd_version(void);
/* `weir settings`: every setting with type, default and help, for the manual. */
int cmd_settings(void);

#endif
