/* conf_parts.h - what the parts of the configuration reader share; conf.h is what others see.
 *
 *   text -> conf_tree (nodes with positions) -> conf_expand (${...}) -> conf_setting (walks the
 *   tree along conf.def) -> conf_provider, conf_model, conf_alias (the catalogue)
 *
 * Every part reports what is wrong to conf_diag and carries on. Nodes live in the reader's
 * scratch heap, everything that stays in the configuration's own; both are wiped when freed,
 * because keys pass through them. */
#ifndef ENGINE_CONF_PARTS_H
#define ENGINE_CONF_PARTS_H

#include "net/bytes.h"

enum {
    CONF_FILE_MAX = 4 << 20,     /* bytes of a configuration file */
    CONF_VALUE_MAX = 64 << 10,   /* bytes of one value after ${...} */
    CONF_DEPTH_MAX = 32,         /* lists and maps inside each other */
    CONF_QUOTE_MAX = 96,         /* bytes of a value as a message shows it */
    CONF_TAKES_MAX = 512,        /* bytes of what conf_takes() says */
    CONF_MESSAGE_MAX = 400,      /* bytes of one message */
    CONF_SHOWN_MAX = 20,         /* diagnostics of one kind printed; CONF_ERRORS_MAX */
    CONF_PATH_MAX = 96,          /* bytes of a dotted setting name */
    CONF_HINTS_MAX = 1000,       /* errors after which no nearest name is looked for */
};

struct catalog_provider;
struct conf;
struct conf_report;
struct conf_setting;
struct price_list;
struct quality;

/* ---- memory: grows, is freed at once ---- */

struct conf_block;

struct conf_heap {               /* all zero is empty */
    struct conf_block *last;
    bool full;                   /* malloc failed once; the load then fails as a whole */
};

/* Take zeroed, aligned memory; NULL and h->full when malloc fails. Lives until
 * conf_heap_fini. */
void *conf_heap_take(struct conf_heap *h, size_t bytes);
/* Copy text with an end; "" when malloc fails. Lives until conf_heap_fini. */
const char *conf_heap_text(struct conf_heap *h, struct bytes text);
/* Overwrite all of it with zeros and free it. */
void conf_heap_fini(struct conf_heap *h);

/* ---- the tree ---- */

struct conf_mark {               /* where, counted from 1 as editors do; line 0: nowhere */
    uint32_t line, column;       /* column in characters */
};

enum conf_kind { CONF_SCALAR, CONF_LIST, CONF_MAP };

struct conf_node {
    struct bytes raw;            /* scalar: as written, escapes resolved; NUL-ended */
    struct bytes text;           /* scalar: after ${...}; NUL-ended */
    struct conf_node *key;       /* of a map's entry: its name */
    struct conf_node *first, *last, *next;   /* children; sibling */
    struct conf_mark at, end;    /* first character; just behind the last one */
    uint32_t count;              /* children */
    uint8_t kind;                /* enum conf_kind */
    bool quoted;                 /* scalar: written in quotes or as a block */
    bool expanded;               /* scalar: had a ${...} */
    bool bad;                    /* reported already: say no more about it */
    bool secret;                 /* never shown */
};

struct conf_diag {
    struct conf_mark at;
    char message[CONF_MESSAGE_MAX];
};

struct conf_diags {              /* the first by position, of one kind */
    struct conf_diag at[CONF_SHOWN_MAX];
    uint32_t count;              /* all reported; at holds the first of them */
};

struct conf_span {               /* text of the file that is never shown */
    struct conf_mark from, to;   /* to is exclusive */
    struct conf_span *next;
};

struct conf_reader {             /* one load */
    struct bytes source;         /* borrows */
    const char *file;            /* borrows; how diagnostics name it */
    const char *(*env)(const char *name);
    struct conf *conf;           /* being filled */
    struct conf_heap *heap;      /* what stays */
    struct conf_heap scratch;    /* what does not */
    struct conf_span *hidden;
    struct conf_node *root;      /* NULL: an empty file */
    struct conf_node *providers, *models, *aliases;   /* NULL where absent */
    struct conf_diags errors, warnings;
    char value[CONF_VALUE_MAX + 1];   /* a value being expanded */
};

/* Read r->source into r->root. False when it is not YAML, or YAML that is not spoken here
 * (reported); nothing else can then be said about it. */
MUST_USE bool conf_tree_read(struct conf_reader *r);
/* The entry of a map with this name (the first, where repeated), or NULL. Borrows. */
struct conf_node *conf_child(const struct conf_node *map, const char *name);
/* True for nothing at all: `key:`, `~` and null. */
bool conf_is_null(const struct conf_node *n);
/* Resolve ${NAME} and ${file:PATH} in every value; failures are reported, their node bad. */
void conf_expand(struct conf_reader *r, struct conf_node *n);
/* Read a file of at most CONF_VALUE_MAX bytes into r->value, from position at on. 0 and gives
 * *len; or -errno, -EINVAL where it is no regular file and -EFBIG where it is too large. */
MUST_USE int conf_read_file(struct conf_reader *r, const char *path, size_t at, size_t *len);
/* A clause about what conf_read_file answered. Static text. */
const char *conf_file_why(int rc);
/* Remember which values are secrets, so that no diagnostic shows them. */
void conf_hide(struct conf_reader *r);
/* Hide one value with all that is in it. */
void conf_hide_node(struct conf_reader *r, struct conf_node *n);
/* The same for a text that is not YAML: hide by lines whatever follows a name like keys. */
void conf_hide_lines(struct conf_reader *r);

/* ---- diagnostics ---- */

/* Report an error at a place. The message is one sentence without its full stop. */
void conf_error(struct conf_reader *r, struct conf_mark at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Report a warning at a place; the configuration is still good. */
void conf_warning(struct conf_reader *r, struct conf_mark at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* How a message shows a value: 'text', a list, a map, empty; a secret only as such.
 * Gives out. */
const char *conf_quote(const struct conf_node *n, char out[CONF_QUOTE_MAX]);
/* How a message shows any text: in quotes, cut when long, control bytes as '?'. Gives out. */
const char *conf_quote_text(struct bytes text, char out[CONF_QUOTE_MAX]);
/* " (did you mean 'x'?)" or "", into out. near may be NULL. Gives out. */
const char *conf_hint(const char *near, char out[CONF_QUOTE_MAX]);
/* Could name be one of the environment: letters, digits, _, and no digit first? */
bool conf_is_variable(struct bytes name);
/* Is name a token (RFC 9110 section 5.6.2)? */
bool conf_is_token(struct bytes name);
/* Edit distance, a swap of neighbours counts 1; limit + 1 where it is more, and for texts
 * over 64 bytes. */
unsigned conf_distance(struct bytes a, struct bytes b, unsigned limit);
/* Largest distance at which two names are still taken for a typing error. */
unsigned conf_distance_max(struct bytes name);
/* Cut the first line off *text and give it without its end. Lines end as they do for
 * libyaml (YAML 1.1 section 4.2): LF, CR LF, CR, NEL, LS, PS. */
struct bytes conf_line_next(struct bytes *text);
/* Write everything reported into report, in the order of the file. */
void conf_diag_print(const struct conf_reader *r, struct conf_report *report);

/* ---- settings ---- */

enum conf_type {
    CONF_TEXT,          /* const char * */
    CONF_CHARS,         /* char[] */
    CONF_ADDRESS,       /* char[]: ADDR:PORT */
    CONF_LISTEN,        /* char[]: ADDR:PORT, or a map in its place */
    CONF_LISTENS,       /* list of those */
    CONF_TOKEN,         /* char[]: a secret */
    CONF_COUNT,         /* whole number */
    CONF_COUNT_AUTO,    /* whole number or auto = 0 */
    CONF_SIZE,          /* bytes */
    CONF_SIZE_AUTO,     /* bytes or auto = 0 */
    CONF_DURATION,      /* nanoseconds */
    CONF_SHARE,         /* 0..1 in millionths */
    CONF_BOOL,
    CONF_WORD,          /* min + position in words */
    CONF_WORD_TEXT,     /* const char *: one of words */
    CONF_WORDS,         /* list: a bit per word */
    CONF_TEXTS,         /* list of texts: routing.auto */
    CONF_NETS,          /* list of addresses and networks */
    CONF_ORIGINS,       /* list of origins */
    CONF_URL,           /* const char * */
    CONF_NAME,          /* const char *: of a provider */
    CONF_MODEL_ID,      /* const char *: provider/model */
    CONF_KEYS,          /* list of secrets */
    CONF_HEADERS,       /* map of header fields */
    CONF_PRICE,         /* map, or list of dated maps */
    CONF_QUALITY,       /* number, or map of numbers */
    CONF_PROVIDERS,     /* list of maps */
    CONF_MODELS,        /* list of maps */
    CONF_ALIASES,       /* map */
    CONF_NOTHING,       /* an empty map */
};

struct conf_setting {
    const char *path;            /* dotted; [] stands for any item of a list */
    const char *preset;          /* default as one would write it; NULL: none */
    const char *words;           /* CONF_WORD, CONF_WORDS: "a|b|c" */
    const char *help;            /* sentences */
    uint64_t min, max;           /* of the stored number; for texts: bytes */
    size_t offset, size;         /* of the field; size 0: not stored */
    enum conf_type type;
    bool built;                  /* false: only the default is accepted */
};

struct conf_value {
    uint64_t number;
    struct bytes text;           /* borrows from the node */
};

/* The table made from conf.def; gives its length. Static. */
const struct conf_setting *conf_settings(size_t *count);
/* Name for messages: behind the last "[].". Borrows. */
const char *conf_setting_label(const struct conf_setting *s);
/* Store the defaults of all settings directly under prefix ("", "providers[].") in base. */
void conf_defaults(struct conf_reader *r, const char *prefix, void *base);
/* Apply a map whose entries are settings under prefix to base (struct conf,
 * conf_listen, catalog_provider or catalog_model, as prefix says). */
void conf_walk(struct conf_reader *r, struct conf_node *map, const char *prefix, void *base);
/* Apply one value to the setting of this path, which is a single value of base. */
void conf_apply(struct conf_reader *r, const char *path, struct conf_node *n, void *base);
/* Read a scalar of one of the simple types, checked for type and range. False when
 * reported. */
MUST_USE bool conf_value(struct conf_reader *r, const struct conf_setting *s,
                         struct conf_node *n, struct conf_value *out);
/* Report that n is not what s takes: value got, values allowed. */
void conf_value_wrong(struct conf_reader *r, const struct conf_setting *s, struct conf_node *n);
/* What s takes, in words ("a size from 1B to 4GiB, ..."), into out. Gives out. */
const char *conf_takes(const struct conf_setting *s, char *out, size_t room);
/* Position of text in "a|b|c"; -1 where it is none. */
int conf_word_find(const char *words, struct bytes text);
/* Parse "30s", "500ms", "1.5h", "0". False when it is none or does not fit. */
MUST_USE bool conf_duration_parse(struct bytes text, uint64_t *ns);
/* Parse "32MiB", "64KiB", "4096". False when it is none or does not fit. */
MUST_USE bool conf_size_parse(struct bytes text, uint64_t *bytes);
/* Parse a number from 0 to 999999 with at most 6 decimals into millionths. */
MUST_USE bool conf_decimal_parse(struct bytes text, uint64_t *micro);
/* True when a plain scalar means a number or a truth value to YAML, so it is no text. */
bool conf_is_typed(const struct conf_node *n);
/* A list of at most max items: true, an absent (null) one too; false when reported. */
MUST_USE bool conf_is_list(struct conf_reader *r, const struct conf_setting *s,
                           struct conf_node *n, uint32_t max);
/* True when text is one visible ASCII word: what a key or token must be. */
bool conf_is_visible(struct bytes text);

/* ---- settings with a reader of their own; all report and carry on ---- */

/* listen: the whole list. */
void conf_read_listens(struct conf_reader *r, const struct conf_setting *s,
                       struct conf_node *n);
/* admin.listen; n is a scalar or a map. */
void conf_read_admin(struct conf_reader *r, struct conf_node *n);
/* trusted_proxies: the whole list. */
void conf_read_nets(struct conf_reader *r, const struct conf_setting *s, struct conf_node *n);
/* cors: the whole list. */
void conf_read_origins(struct conf_reader *r, const struct conf_setting *s,
                       struct conf_node *n);
/* Certificate and key of admin.listen, which may stand in two places; the whole file was walked
 * before. */
void conf_read_admin_tls(struct conf_reader *r);
/* keys of one provider; base is a struct catalog_provider. */
void conf_read_keys(struct conf_reader *r, const struct conf_setting *s, struct conf_node *n,
                    void *base);
/* A service account, of p's settings, or, where it is known by its name, of the environment:
 * p->token_*, ->project, ->auth, ->signs, ->key. What is wrong is reported at at. */
void conf_account_credentials(struct conf_reader *r, struct conf_mark at,
                              struct catalog_provider *p, bool known);
/* What a known provider's address needs besides its text, of the settings, then of the
 * environment: into p. Gives the address with its {braces} filled in; or NULL and *missing,
 * what to set, in words. */
const char *conf_account_url(struct conf_reader *r, struct catalog_provider *p,
                             struct bytes address, const char **missing);
/* The same for AWS keys, and what follows of the address: p->form. */
void conf_account_read(struct conf_reader *r, struct conf_mark at, struct catalog_provider *p,
                       bool known);
/* headers of one provider; base is a struct catalog_provider. */
void conf_read_headers(struct conf_reader *r, const struct conf_setting *s,
                       struct conf_node *n, void *base);
/* price of one model: the whole list is replaced; untouched when reported. */
void conf_read_price(struct conf_reader *r, const struct conf_setting *s, struct conf_node *n,
                     struct price_list *out);

/* quality of one model; untouched when reported. */
void conf_read_quality(struct conf_reader *r, const struct conf_setting *s, struct conf_node *n,
                       struct quality *out);
/* routing.auto: the whole list. */
void conf_read_auto(struct conf_reader *r, const struct conf_setting *s, struct conf_node *n);
/* routing as it stands after the whole file was walked and the catalogue is indexed: weights
 * that leave nothing to weigh are an error, a glob of auto that no model fits is a warning. */
void conf_check_routing(struct conf_reader *r);

/* An entry of providers or models says how answers are continued: can that be asked for in its
 * provider's dialect? Else reported. */
void conf_check_continues(struct conf_reader *r, const struct conf_node *entry,
                          unsigned continues, unsigned dialect);
/* Fill the catalogue's providers from r->providers, or from the environment. */
void conf_read_providers(struct conf_reader *r);
/* Is there an entry for this provider in the file, which has been found wrong? True for any
 * name where the whole list is wrong. Asked after conf_read_providers. */
bool conf_is_bad_entry(const struct conf_reader *r, struct bytes name);
/* Is there any such entry? */
bool conf_has_bad_entry(const struct conf_reader *r);
/* Fill its models: built-in ones of these providers, and r->models. */
void conf_read_models(struct conf_reader *r);
/* Fill its aliases from r->aliases; the catalogue is indexed by now. */
void conf_read_aliases(struct conf_reader *r);

#endif
