/* admin_part.h - what the files of the admin API share: the shape of the table, parsed
 * parameters, faults. Private to engine/admin/; others use admin.h, which every file that
 * includes this one includes first. */
#ifndef ENGINE_ADMIN_ADMIN_PART_H
#define ENGINE_ADMIN_ADMIN_PART_H

#include "store/limits.h"
#include "net/bytes.h"

struct admin_call;
struct jsonw;
struct key;
struct unit;

enum {
    ADMIN_FIELDS_MAX = 12,       /* members of a body, or parameters of a query */
    ADMIN_GLOB_MAX = 200,        /* bytes of one glob of a policy */
    ADMIN_MESSAGE_MAX = 20000,   /* bytes of an error's message, with the end: a whole
                                    report of the configuration reader */
    ADMIN_WHY_MAX = 512,         /* bytes of what is wrong with one value, with the end */
    ADMIN_PAGE_MAX = 1000,       /* rows of one page of a list */
    ADMIN_SPAN_S_MAX = 30 * 86400,   /* seconds of a grace */
    ADMIN_IDEM_MAX = 10000,      /* answers kept for repeated POSTs */
    ADMIN_IDEM_S = 86400,        /* seconds they are kept */
    ADMIN_IDEM_KEY_MAX = 255,    /* bytes of an Idempotency-Key */
};

enum admin_type {
    ADMIN_NAME,       /* 1..127 bytes without control bytes */
    ADMIN_EMAIL,      /* such a text with an @ and without blanks */
    ADMIN_WORD,       /* one of `words`; number: its index */
    ADMIN_ID,         /* id of a unit or key of `kinds`; number: the id */
    ADMIN_TIME,       /* RFC 3339 section 5.6, or a date alone; number: Unix ns */
    ADMIN_SPAN,       /* "90s", "15m", "1h", "7d"; number: ns */
    ADMIN_POLICY,     /* an object; admin_work.policy holds it. Bodies only */
    ADMIN_GLOBS,      /* a list of globs. Of a policy only */
    ADMIN_RATE,       /* a JSON number 1..4294967295. Of a policy only */
    ADMIN_REGIONS,    /* a list of regions' names. Of a policy only */
    ADMIN_SHARE,      /* a JSON number 0..1, at most 6 decimals. Of a policy only */
    ADMIN_BOOL,       /* true or false. Of a policy only */
    ADMIN_COUNT,      /* 1..`high`; number: it, `otherwise` where absent. Queries only */
    ADMIN_FLAG,       /* 1, 0, true, false; number: 1 or 0 */
    ADMIN_GROUPS,     /* enum usage_group names with commas; number: their bits */
    ADMIN_ROW,        /* id of a request row; number: admitted, unix ns; second: the exchange */
    ADMIN_MONEY,      /* US dollars as a decimal text; number: nano-dollars, as an int64_t */
    ADMIN_LIMITS,     /* a list of limits, one a window; admin_work.limits. Bodies only */
    ADMIN_CREDIT,     /* id of a credit; number: its serial */
};

/* A member of a body or a parameter of a query: how it is read, checked and described. */
struct admin_field {
    const char *name;            /* NULL ends a list */
    const char *about;           /* for the description */
    const char *refused;         /* named only to be refused, with this sentence; or NULL */
    const char *const *words;    /* ADMIN_WORD: ends with NULL */
    enum admin_type type;
    unsigned kinds;              /* ADMIN_ID: bits 1 << enum unit_kind */
    uint32_t high, otherwise;    /* ADMIN_COUNT */
    bool is_signed;              /* ADMIN_MONEY: may be negative */
    bool required;
    bool nullable;               /* null takes the field back */
    bool later;                  /* not in this release */
};

enum {
    ADMIN_ROW_MAX = 37,          /* bytes of a row's id, with the end */
    ADMIN_CREDIT_MAX = 21,       /* bytes of a credit's id, with the end */
};

struct admin_value {             /* all zero: absent */
    bool given, null;
    uint64_t number;             /* as enum admin_type says */
    uint64_t second;             /* ADMIN_ROW only */
    char text[STORE_NAME_MAX];   /* as sent, escapes resolved */
};

enum { ADMIN_RULES = 9 };

struct admin_rule {              /* a member of a policy, as the request has it */
    bool given, null;
    uint16_t len;
    char blob[STORE_POLICY_MAX]; /* entries of a policy blob (store.h), of this kind only */
};

struct admin_policy {
    bool given, null;
    struct admin_rule rule[ADMIN_RULES];   /* in the order of admin_policy_fields */
};

struct admin_fault {             /* status 0: none */
    unsigned status;
    const char *code;            /* static */
    char pointer[ADMIN_POINTER_MAX];   /* "": none */
    char message[ADMIN_MESSAGE_MAX];
};

enum admin_needs {
    NEEDS_NOTHING,    /* of the store */
    NEEDS_READ,       /* a read transaction */
    NEEDS_WRITE,      /* a write transaction, committed unless a fault is left */
};

enum admin_state {
    ROUTE_HERE,       /* run() answers */
    ROUTE_ENGINE,     /* described here, answered by the engine before it gets here */
    ROUTE_LATER,      /* not in this release, with any method */
};

struct admin_route {
    enum http_method method;
    const char *pattern;              /* "{name}": one segment; "{name*}": all that follow */
    enum admin_state state;
    enum admin_needs needs;
    void (*run)(struct admin_call *call);   /* writes the answer, or leaves a fault */
    const struct admin_field *body;   /* NULL: none */
    const struct admin_field *query;  /* NULL: none */
    unsigned success;                 /* status */
    const char *answer;               /* name of the schema (admin_openapi.c); "[Name]": a
                                         page of them, "-": not JSON */
    const char *summary;
    bool whole;                       /* the body is the handler's to read: no fields of ours */
    unsigned again;                   /* status where it was done before; 0: there is none */
    void (*show)(struct admin_call *call);  /* writes the answer of a change that run() made,
                                               in a read transaction once it is in effect;
                                               NULL: run() does */
};

/* Members of a policy (ADMIN_RULES of them), and of a limit (admin_body.c). */
extern const struct admin_field admin_policy_fields[], admin_limit_fields[];

/* The table (table.c), one entry a method and path; entries of a path stand together. */
extern const struct admin_route admin_routes[];
extern const size_t admin_route_count;

struct admin_work {
    const struct admin_route *route;
    struct admin_value body[ADMIN_FIELDS_MAX], query[ADMIN_FIELDS_MAX];
    struct admin_policy policy;
    struct limits limits;            /* of ADMIN_LIMITS, where that is given */
    struct admin_fault fault;
    store_id refund_org;             /* a refund was taken from the cell of its pool; or 0 */
    int64_t refund_nusd;
    size_t secret_at, secret_end;    /* where in the answer a new key's secret stands; 0, 0 */
};

/* ---- faults ---- */

/* Leave a fault; the first one stands. code: static. pointer: JSON pointer (RFC 6901) into the
 * body, or NULL; copies. */
void admin_fault(struct admin_call *call, unsigned status, const char *code,
                 const char *pointer, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* True when there is a fault. */
bool admin_has_fault(const struct admin_call *call);
/* True for STORE_OK; else the fault that fits. what: the thing asked for ("unit"), for
 * STORE_NOT_FOUND and STORE_CONFLICT; pointer as admin_fault. */
bool admin_check(struct admin_call *call, enum store_rc rc, const char *what,
                 const char *pointer);

/* ---- parameters ---- */

/* Read text as f's type into *v. False: why says what is wrong, beginning with what follows
 * the field's name ("must be ..."). */
MUST_USE bool admin_value_read(const struct admin_field *f, struct bytes text,
                               struct admin_value *v, char why[ADMIN_WHY_MAX]);
/* The field of a list with that name, or NULL. */
const struct admin_field *admin_field_find(const struct admin_field *list, struct bytes name);
/* " (did you mean 'x'?)" for a name that is in no field of the list, or "". Gives out. */
const char *admin_hint(const struct admin_field *list, struct bytes name,
                       char out[ADMIN_WHY_MAX]);
/* Read call->query by the route's list; or a fault. */
void admin_query_read(struct admin_call *call);
/* Read call->body by the route's list; or a fault. */
void admin_body_read(struct admin_call *call);
/* The parameter or member of that name, which the route has. Borrows. */
const struct admin_value *admin_query(const struct admin_call *call, const char *name);
/* The same of the body. */
const struct admin_value *admin_body(const struct admin_call *call, const char *name);

/* Parse a time (RFC 3339 section 5.6) or a date, 1970 to 2500. Gives *unix_ns. */
MUST_USE bool admin_time_parse(struct bytes text, uint64_t *unix_ns);
/* Write a time as RFC 3339, UTC, cut to us, with 0, 3 or 6 decimals: many clients read no
 * more. */
void admin_put_time(struct jsonw *w, uint64_t unix_ns);
/* Names of usage groups, in the order of their bits; NULL at the end. */
extern const char *const admin_group_names[];

/* ---- answers ---- */

/* The value of `name`: id's text, or null for 0. */
void admin_put_id(struct jsonw *w, const char *name, store_id id);
/* The value of "policy". */
void admin_put_policy(struct jsonw *w, const struct policy *policy);
/* Change *policy as the body's policy says: null and absent members included. False: it became
 * too large, and a fault is left. */
MUST_USE bool admin_policy_change(struct admin_call *call, struct policy *policy);
/* "row_...": when the exchange was admitted and which it was: the way to the row. */
void admin_row_text(uint64_t admitted_unix_ns, uint64_t exchange_id,
                    char out[ADMIN_ROW_MAX]);

/* The value of `name`: money, as a decimal text of US dollars. */
void admin_put_money(struct jsonw *w, const char *name, int64_t nusd);
/* "crd_...": the way to a credit of an organization. */
void admin_credit_text(uint64_t serial, char out[ADMIN_CREDIT_MAX]);
/* As which party (budget.h) a call looks at cells. */
unsigned admin_party(const struct admin_call *call);

/* ---- repeated POSTs (admin_idem.c), inside the write transaction ---- */

/* Has this Idempotency-Key been answered within a day? True: the call has its answer, or a
 * fault (another body, or the store failed); nothing else is to be done. */
MUST_USE bool admin_idem_find(struct admin_call *call);
/* Keep the answer as it stands in call->w, a secret left out; or a fault. */
void admin_idem_put(struct admin_call *call);

/* ---- handlers, named in the table; call->id is the path's ---- */

/* POST units. */
void admin_unit_make(struct admin_call *call);
/* GET units. */
void admin_unit_list(struct admin_call *call);
/* GET units/{id}. */
void admin_unit_get(struct admin_call *call);
/* PATCH units/{id}. */
void admin_unit_change(struct admin_call *call);
/* DELETE units/{id}. */
void admin_unit_delete(struct admin_call *call);
/* POST keys. */
void admin_key_make(struct admin_call *call);
/* GET keys. */
void admin_key_list(struct admin_call *call);
/* GET keys/{id}. */
void admin_key_get(struct admin_call *call);
/* PATCH keys/{id}. */
void admin_key_change(struct admin_call *call);
/* DELETE keys/{id}. */
void admin_key_delete(struct admin_call *call);
/* POST keys/{id}/rotate. */
void admin_key_rotate(struct admin_call *call);
/* GET budgets/{id}. */
void admin_budget_get(struct admin_call *call);
/* PUT budgets/{id}; admin_budget_get shows it. */
void admin_budget_set(struct admin_call *call);
/* DELETE budgets/{id}. */
void admin_budget_delete(struct admin_call *call);
/* GET organizations/{id}/credits. */
void admin_credits_get(struct admin_call *call);
/* POST organizations/{id}/credits. */
void admin_credit_make(struct admin_call *call);
/* The change of this call was not committed: a refund that it took goes back to the pool. */
void admin_refund_undo(struct admin_call *call);
/* PATCH organizations/{id}/credits; admin_pool_get shows it. */
void admin_pool_change(struct admin_call *call);
/* What PATCH answers. */
void admin_pool_get(struct admin_call *call);
/* GET usage. */
void admin_usage_get(struct admin_call *call);
/* GET requests. */
void admin_requests_get(struct admin_call *call);
/* GET providers. */
void admin_providers_get(struct admin_call *call);
/* GET models. */
void admin_models_get(struct admin_call *call);
/* GET routes. */
void admin_routes_get(struct admin_call *call);
/* PATCH providers/{name}. */
void admin_provider_change(struct admin_call *call);
/* PATCH models/{id}. */
void admin_model_change(struct admin_call *call);
/* POST explain. */
void admin_explain_run(struct admin_call *call);
/* POST reload. */
void admin_reload_run(struct admin_call *call);
/* GET openapi.json. */
void admin_openapi_get(struct admin_call *call);

#endif
