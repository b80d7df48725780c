/* main.c - the command line of `weir`. Exit 0 good, 1 failed, 2 usage. */
#include "engine/boot.h"
#include "engine/cmd.h"
#include "engine/cmd_score.h"

#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
    "usage: weir serve [-c FILE] [--data DIR] [--listen ADDR:PORT] [--admin ADDR:PORT] "
    "[--cores N]\n"
    "       weir check [-c FILE] [--ledger DIR]\n"
    "       weir backup [-c FILE] [--data DIR] DIR\n"
    "       weir restore [-c FILE] [--data DIR] DIR\n"
    "       weir models [-c FILE] [--json]\n"
    "       weir explain [-c FILE] [--mode M] [--cascade C] [--api A] [--model NAME] "
    "[--json]\n"
    "                    [REQUEST.json|-]\n"
    "       weir explain --score FILE|- [--learn LABELS]\n"
    "       weir import litellm FILE [-o FILE] [--force]\n"
    "       weir savings FILE [--outcomes DIR] [--svg FILE]\n"
    "       weir settings\n"
    "       weir version\n";

struct args {
    struct boot_options options;
    const char *ledger, *dir;
    bool json;
};

static int bad_usage(const char *what, const char *arg)
{
    (void)fprintf(stderr, "weir: %s%s%s\n%s", what, arg ? " " : "", arg ? arg : "", usage);
    return 2;
}

/* Take one option; 0, or the exit status. */
static int take(struct args *a, const char *name, const char *value)
{
    if (name[0] != '-') return bad_usage("not an option:", name);
    if (!value) return bad_usage("a value is missing behind", name);
    if (strcmp(name, "-c") == 0) a->options.config = value;
    else if (strcmp(name, "--data") == 0) a->options.data = value;
    else if (strcmp(name, "--ledger") == 0) a->ledger = value;
    else if (strcmp(name, "--listen") == 0) a->options.listen = value;
    else if (strcmp(name, "--admin") == 0) a->options.admin = value;
    else if (strcmp(name, "--cores") == 0) {
        uint64_t n;
        if (!bytes_u64(bytes_of(value), &n) || n < 1 || n > 256) {
            return bad_usage("--cores must be 1 to 256, got", value);
        }
        a->options.cores = (uint32_t)n;
    } else {
        return bad_usage("unknown option", name);
    }
    return 0;
}

static int parse(int argc, char **argv, struct args *a)
{
    bool has_dir = strcmp(argv[1], "backup") == 0 || strcmp(argv[1], "restore") == 0;
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            a->json = true;
            continue;
        }
        if (has_dir && argv[i][0] != '-' && !a->dir) {
            a->dir = argv[i];
            continue;
        }
        int rc = take(a, argv[i], i + 1 < argc ? argv[i + 1] : NULL);
        if (rc) return rc;
        i++;
    }
    return 0;
}

/* import litellm FILE [-o FILE] [--force] */
static int import(int argc, char **argv)
{
    const char *file = NULL, *out = NULL;
    bool force = false;
    if (argc < 3) return bad_usage("what to import is missing: litellm", NULL);
    if (strcmp(argv[2], "litellm") != 0) return bad_usage("not known to import:", argv[2]);
    for (int i = 3; i < argc; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "--force") == 0) force = true;
        else if (strcmp(argv[i], "-o") == 0 && more && !out) out = argv[++i];
        else if (strcmp(argv[i], "-o") == 0) return bad_usage("one FILE goes with", "-o");
        else if (argv[i][0] == '-') return bad_usage("unknown option", argv[i]);
        else if (file) return bad_usage("one file at a time, not also", argv[i]);
        else file = argv[i];
    }
    if (!file) return bad_usage("a file is missing behind", "litellm");
    if (force && !out) return bad_usage("--force goes with", "-o");
    return cmd_import(file, out, force);
}

/* explain --score FILE|- [--learn LABELS] */
static int score(int argc, char **argv)
{
    const char *file = NULL, *labels = NULL;
    for (int i = 2; i < argc; i += 2) {
        const char **to = strcmp(argv[i], "--score") == 0   ? &file
                          : strcmp(argv[i], "--learn") == 0 ? &labels
                                                            : NULL;
        if (!to) return bad_usage("not with --score:", argv[i]);
        if (i + 1 == argc) return bad_usage("a file is missing behind", argv[i]);
        if (*to) return bad_usage("one file goes with", argv[i]);
        *to = argv[i + 1];
    }
    if (!file) return bad_usage("--learn goes with", "--score");
    if (labels && strcmp(labels, "-") == 0) return bad_usage("a file goes with", "--learn");
    return cmd_score(file, labels);
}

/* explain [-c FILE] [--mode M] [--cascade C] [--api A] [--model NAME] [--json] [FILE|-] */
static int explain(int argc, char **argv)
{
    struct cmd_explain c = {0};
    for (int i = 2; i < argc; i++) {
        bool many = strcmp(argv[i], "--score") == 0 || strcmp(argv[i], "--learn") == 0;
        if (many) return score(argc, argv);
    }
    const struct { const char *name; const char **value; } options[] = {
        {"-c", &c.config}, {"--mode", &c.mode}, {"--cascade", &c.cascade},
        {"--api", &c.api}, {"--model", &c.model},
    };
    for (int i = 2; i < argc; i++) {
        size_t o = 0;
        while (o < COUNT(options) && strcmp(argv[i], options[o].name) != 0) o++;
        if (o < COUNT(options)) {
            if (++i == argc) return bad_usage("a value is missing behind", options[o].name);
            *options[o].value = argv[i];
        } else if (strcmp(argv[i], "--json") == 0) {
            c.json = true;
        } else if (argv[i][0] == '-' && argv[i][1]) {
            return bad_usage("unknown option", argv[i]);
        } else if (c.file) {
            return bad_usage("one request at a time, not also", argv[i]);
        } else {
            c.file = argv[i];
        }
    }
    return cmd_explain(&c);
}

/* savings FILE [--outcomes DIR] [--svg FILE] */
static int savings(int argc, char **argv)
{
    const char *file = NULL, *outcomes = NULL, *svg = NULL;
    for (int i = 2; i < argc; i++) {
        bool dir = strcmp(argv[i], "--outcomes") == 0, plot = strcmp(argv[i], "--svg") == 0;
        if (dir || plot) {
            const char **value = dir ? &outcomes : &svg;
            if (i + 1 == argc || *value) return bad_usage("one value goes with", argv[i]);
            *value = argv[++i];
        } else if (argv[i][0] == '-') {
            return bad_usage("unknown option", argv[i]);
        } else if (file) {
            return bad_usage("one file at a time, not also", argv[i]);
        } else {
            file = argv[i];
        }
    }
    if (!file) return bad_usage("a file is missing behind", "savings");
    return cmd_savings(file, outcomes, svg);
}

int main(int argc, char **argv)
{
    static const char *const later[] = {"plan"};
    struct args a = {0};
    if (argc < 2) return bad_usage("a command is missing", NULL);
    const char *command = argv[1];
    for (size_t i = 0; i < COUNT(later); i++) {
        if (strcmp(command, later[i]) == 0) return bad_usage("not in this release:", command);
    }
    if (strcmp(command, "--help") == 0 || strcmp(command, "-h") == 0) {
        (void)fputs(usage, stdout);
        return 0;
    }
    if (strcmp(command, "import") == 0) return import(argc, argv);
    if (strcmp(command, "explain") == 0) return explain(argc, argv);
    if (strcmp(command, "savings") == 0) return savings(argc, argv);
    int rc = parse(argc, argv, &a);
    if (rc) return rc;
    if (a.ledger && strcmp(command, "check") != 0) return bad_usage("--ledger is of", "check");
    if (strcmp(command, "serve") == 0) return boot_serve(&a.options);
    bool backup = strcmp(command, "backup") == 0, restore = strcmp(command, "restore") == 0;
    if (strcmp(command, "check") == 0) {
        return a.ledger ? cmd_check_ledger(a.ledger) : cmd_check(a.options.config);
    }
    bool copies = backup || restore;
    if (copies && !a.dir) return bad_usage("a directory is missing behind", command);
    if (backup) return cmd_backup(a.options.config, a.options.data, a.dir);
    if (restore) return cmd_restore(a.options.config, a.options.data, a.dir);
    if (strcmp(command, "models") == 0) return cmd_models(a.options.config, a.json);
    if (strcmp(command, "settings") == 0) return cmd_settings();
    if (strcmp(command, "version") == 0 || strcmp(command, "--version") == 0) {
        return cmd_version();
    }
    return bad_usage("unknown command", command);
}
