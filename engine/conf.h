/* conf.h - the configuration: one YAML file (contract.md section 3), checked whole, with
 * diagnostics `file:line:col: error: ...`, the line, a caret and the nearest known name.
 * Settings are listed once, in conf.def. Heap memory of the main thread. */
#ifndef ENGINE_CONF_H
#define ENGINE_CONF_H

#include "route/catalog.h"

struct addr_net;
struct tls_pair;

enum { CONF_ERRORS_MAX = 20, CONF_LISTEN_MAX = 8 };

enum conf_mode { MODE_BALANCED, MODE_COST, MODE_LATENCY, MODE_AVAILABILITY };

enum conf_cascade { CONF_CASCADE_COST, CONF_CASCADE_ALWAYS, CONF_CASCADE_NEVER };
enum { CONF_ON_JSON = 1, CONF_ON_REFUSAL = 2, CONF_ON_LENGTH = 4, CONF_ON_ALL = 7 };
enum conf_resume { RESUME_NEVER, RESUME_AVAILABILITY, RESUME_ALWAYS };

enum conf_hedge { HEDGE_NEVER, HEDGE_LATENCY, HEDGE_ALWAYS };

enum listen_kind { LISTEN_TCP, LISTEN_UNIX };

struct conf_tls {                /* of one listener */
    const char *cert, *key;      /* paths of PEM files, as written; both or none */
    struct tls_pair *pair;       /* what they hold; NULL: the listener is plain */
};

struct conf_listen {             /* one listener: an entry of listen, or admin.listen */
    char address[256];           /* as written: "127.0.0.1:8080", "unix:/path" */
    struct conf_tls tls;
    uint8_t kind;                /* enum listen_kind: what address says */
};

struct conf {
    struct conf_listen listen[CONF_LISTEN_MAX];
    struct conf_listen admin;
    uint8_t listen_count;
    char data[1024];
    uint32_t cores;              /* 0: auto */
    uint64_t drain_ns;
    bool log_json;
    uint8_t log_level;           /* 0 error, 1 warn, 2 info, 3 debug */
    enum conf_mode mode;
    uint32_t max_attempts;
    uint8_t hedge_mode;          /* enum conf_hedge */
    uint8_t hedge_after;         /* enum score_percentile */
    uint32_t hedge_share;        /* millionths */
    enum conf_resume resume;
    const struct bytes *auto_globs;        /* routing.auto: globs of ids or bare names */
    uint32_t auto_count;
    uint32_t quality_floor, explore;       /* millionths */
    uint32_t balance_cost, balance_time;   /* millionths; not both 0 */
    uint8_t cascade_mode;        /* enum conf_cascade */
    uint8_t cascade_on;          /* CONF_ON_ bits: what shows that an answer is bad */
    uint32_t cascade_agree;      /* 0, 2, 3: cheap models that are asked at once */
    uint64_t limit_body, limit_header, limit_answer, limit_hold;   /* bytes */
    uint64_t limit_connections;
    uint64_t limit_memory;       /* bytes; 0: auto */
    uint64_t header_ns, body_ns, idle_ns, write_ns;                /* towards clients */
    uint64_t retain_requests_ns, retain_aggregates_ns;
    bool unknown_price_allow;
    bool durability_power;
    bool zero_retention;
    bool core_dumps;             /* the process may leave one */
    const struct addr_net *trusted;                                /* trusted_proxies */
    uint32_t trusted_count;
    const struct bytes *cors;    /* origins in lower case, "*" among them */
    uint32_t cors_count;
    bool cors_any;               /* it has "*" */
    char admin_token[256];       /* WEIR_ADMIN_TOKEN or admin.token; "" = made at first start */
    struct catalog catalog;      /* providers (configured, or else known ones whose key is in
                                    the environment), their models, aliases; indexed */
    void *arena;                 /* owns every text above */
};

/* Diagnostics of one load, already formatted: what goes to stderr and into the admin answer. */
struct conf_report {
    char text[16384];            /* NUL-ended */
    size_t len;
    uint32_t error_count;        /* all found, also beyond the CONF_ERRORS_MAX printed */
    uint32_t warning_count;
};

/* Read path (NULL: no file, every default) with environment and files as they are now.
 * True and gives *out (conf_free); or false, and report says everything found. env: looks an
 * environment name up (getenv in the product). */
MUST_USE bool conf_load(const char *path, const char *(*env)(const char *name),
                        struct conf **out, struct conf_report *report);
/* The same from memory; file names the source in diagnostics. */
MUST_USE bool conf_parse(const char *text, size_t len, const char *file,
                         const char *(*env)(const char *name), struct conf **out,
                         struct conf_report *report);
/* Free a configuration and its catalogue, secrets wiped. takes conf (NULL is fine). */
void conf_free(struct conf *conf);
/* What an address that conf_load accepts stands for. */
enum listen_kind conf_listen_kind(const char *address);
/* Print all settings with type, default and one line of help (for weir.yaml.5). */
void conf_manual(void (*put)(void *arg, const char *line), void *arg);

#endif
