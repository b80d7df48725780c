/* cmd_data.c - the subcommands on a data directory: check --ledger, backup, restore; see cmd.h.
 * A check runs in a process of its own: LMDB keeps no checksums of its pages, and on one that
 * is damaged it may be killed; that is then a finding like others, and not our end. */
#include "engine/cmd.h"
#include "engine/conf.h"
#include "store/backup.h"
#include "store/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINES_MAX = 1000 };      /* of violations that are printed; the rest is counted */

static void print_line(const char *line, void *arg)
{
    uint64_t *lines = arg;
    if ((*lines)++ < LINES_MAX) (void)puts(line);
}

static int check_here(const char *dir)
{
    struct check_found found;
    char why[CHECK_WHY_MAX];
    uint64_t lines = 0;
    enum store_rc rc = check_ledger(dir, print_line, &lines, &found, why);
    if (found.in_use) {
        (void)fprintf(stderr, "note: %s is in use: its newest commit is checked, the journals "
                      "of a running instance are not looked at\n", dir);
    }
    if (lines > LINES_MAX) {
        (void)printf("... and %llu more\n", (unsigned long long)(lines - LINES_MAX));
    }
    if (rc == STORE_NOT_FOUND) (void)fprintf(stderr, "error: %s\n", why);
    else if (rc != STORE_OK) (void)printf("%s\n", why);
    return rc == STORE_OK && found.violations == 0 ? 0 : 1;
}

/* Check a directory: 0, or 1 when something was found (and printed). */
static int check_apart(const char *dir)
{
    int status;
    (void)fflush(NULL);
    pid_t child = fork();
    if (child < 0) {
        (void)fprintf(stderr, "error: cannot make a process: %s\n", strerror(errno));
        return 1;
    }
    if (child == 0) {
        struct rlimit none = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &none);
        int rc = check_here(dir);
        (void)fflush(NULL);
        _exit(rc);
    }
    while (waitpid(child, &status, 0) < 0) {
        if (errno == EINTR) continue;
        (void)fprintf(stderr, "error: cannot wait for the check: %s\n", strerror(errno));
        return 1;
    }
    if (WIFEXITED(status)) return WEXITSTATUS(status) == 0 ? 0 : 1;
    (void)printf("%s/store: expected pages that can be read, found damage: the check was ended "
                 "by signal %d\n", dir, WTERMSIG(status));
    return 1;
}

int cmd_check_ledger(const char *dir)
{
    int rc = check_apart(dir);
    if (rc == 0) (void)puts("ok");
    return rc;
}

/* The data directory that `weir serve` with these options would use. */
static bool data_of(const char *config, const char *data, char out[DB_DIR_MAX + 24])
{
    struct conf *conf = cmd_load(config);
    if (!conf) return false;
    int n = snprintf(out, DB_DIR_MAX + 24, "%s", data ? data : conf->data);
    conf_free(conf);
    return n > 0;
}

/* Copy, check, keep. */
static int copy(const char *from, const char *to, bool backup)
{
    struct backup b;
    char why[BACKUP_WHY_MAX];
    enum store_rc rc = backup_copy(from, to, &b, why);
    if (rc == STORE_OK && check_apart(b.made) != 0) {
        backup_discard(&b);
        (void)snprintf(why, sizeof why, "the copy of %.900s does not pass its check, and was "
                       "removed", from);
        rc = STORE_FAIL;
    }
    if (rc == STORE_OK) rc = backup_keep(&b, why);
    if (rc != STORE_OK) {
        (void)fprintf(stderr, "error: %s\n", why);
        return 1;
    }
    if (b.left > 0) {
        (void)fprintf(stderr, "warning: %llu records in the journals of %s are not in the "
                      "copy: weir serve takes them into the ledger when it starts\n",
                      (unsigned long long)b.left, from);
    }
    (void)printf(backup ? "%s: backed up, checked: ok\n" : "%s: restored, checked: ok\n", to);
    return 0;
}

int cmd_backup(const char *config, const char *data, const char *dir)
{
    char from[DB_DIR_MAX + 24];
    return data_of(config, data, from) ? copy(from, dir, true) : 1;
}

int cmd_restore(const char *config, const char *data, const char *dir)
{
    char to[DB_DIR_MAX + 24];
    return data_of(config, data, to) ? copy(dir, to, false) : 1;
}
