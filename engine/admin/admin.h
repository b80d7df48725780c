/* admin.h - the admin API as plain blocking functions: a whole request in, a whole answer out.
 * They run on the store thread (calls that write) or on a worker thread (calls that read),
 * never on a core. One table (table.c) routes, validates and describes them (OpenAPI). */
#ifndef ENGINE_ADMIN_ADMIN_H
#define ENGINE_ADMIN_ADMIN_H

#include "net/http.h"
#include "net/json.h"
#include "net/jsonw.h"
#include "route/catalog.h"
#include "store/keys.h"
#include "store/rotation.h"
#include "store/usage.h"

struct admin_host;      /* what the engine lends the API: see below */
struct budget;
struct admin_work;      /* a call's parsed parameters and fault; private (admin_part.h) */

enum {
    ADMIN_ANSWER_MAX = 64 << 20, /* bytes of one answer */
    ADMIN_POINTER_MAX = 160,     /* bytes of a JSON pointer in an error, with the end */
};

struct admin_call {
    /* in: borrows until the call returns */
    enum http_method method;    /* HEAD runs as GET: whoever sends the answer leaves it out */
    struct bytes path;          /* decoded, begins with "/admin/v1/" */
    struct bytes query;         /* raw */
    struct bytes body;
    struct bytes idempotency_key;
    const struct admin_host *host;
    uint64_t now_unix_ns;
    /* out */
    unsigned status;
    char *answer;               /* malloc'ed JSON; the caller frees. It may hold the secret of
                                   a new key: wiped first. NULL: not even memory for an error */
    size_t answer_len;
    char allow[64];             /* with 405: Allow's value (RFC 9110 section 15.5.6); else "" */
    /* private to the API */
    struct jsonw w;
    struct bytes id;            /* of the path */
    MDB_txn *txn;
    struct admin_work *work;
};

struct admin_explain {           /* all borrowed; empty: not given */
    struct bytes body, api, model, mode, cascade;
    const struct key_view *key;  /* whose policies hold; NULL: nobody's */
};

/* What handlers need from the engine, as functions so that tests can stand in. */
struct admin_host {
    struct db *db;
    void *arg;
    /* Secret of a new client key: fills out (room >= 64) with "sk-weir-..." NUL-ended. */
    void (*make_secret)(void *arg, char *out);
    /* Reload the configuration; true, or false with diagnostics in text (room bytes). */
    bool (*reload)(void *arg, char *text, size_t room);
    /* JSON of live state, one value written into w: providers, models. */
    void (*put_providers)(void *arg, struct jsonw *w);
    /* The catalogue's models as the JSON list GET /admin/v1/models answers. */
    void (*put_models)(void *arg, struct jsonw *w);
    /* The live score table, as look.h says. */
    void (*put_routes)(void *arg, struct bytes provider, struct bytes model, store_id tenant,
                       struct jsonw *w);
    /* Prices of a model "provider/model" of the catalogue, or else of the compiled-in one: true
     * and *out; or false, and the name nearest to it, or "", in near. */
    bool (*find_price)(void *arg, struct bytes model, struct price_list *out,
                       char near[CATALOG_NAME_MAX + 1]);
    /* Is a provider or model of that name configured? False: no, and the name nearest to it, or
     * "", is in near. */
    bool (*find)(void *arg, enum rotation_of of, struct bytes name,
                 char near[CATALOG_NAME_MAX + 1]);
    /* What the router would do with a request body, as one JSON object. False: it is no
     * request, or q is wrong; why then says what (room bytes), pointer where in the body. */
    bool (*explain)(void *arg, const struct admin_explain *q, struct jsonw *w, char *why,
                    size_t room, char pointer[ADMIN_POINTER_MAX]);
    /* Name of a close reason by its number ("CLIENT_GONE" -> "client_gone"). */
    const char *(*close_name)(uint16_t why);
    /* Name of a routing mode by its number. */
    const char *(*mode_name)(uint8_t mode);
    /* One of a record's reasons in words; place: which of them. NULL: none. */
    const char *(*reason_name)(unsigned place, uint8_t code);
    /* A change is committed: let it be in effect on every core before the answer goes out.
     * False: it is stored and could not be; db->why says why. NULL: nobody has to be told. */
    bool (*committed)(void *arg);
    /* Budget cells, for what is spent and held now. NULL: the store says what is spent, and
     * nothing is held. The parties (budget.h) as which calls that read, on the worker, and
     * calls that write, on the store thread, look at them. */
    struct budget *budget;
    unsigned look_party, change_party;
};

/* Does this call change anything (then it runs on the store thread)? Unknown paths: false. */
bool admin_writes(enum http_method method, struct bytes path);

/* Run a call: routes, validates, answers. Always leaves status and answer (errors too, as
 * {"error":{"code","message","pointer"?}}). A call that admin_writes() is run by the store
 * thread, and what it changed is committed when this returns. */
void admin_run(struct admin_call *call);

/* One request row as JSON, as in GET /admin/v1/requests and /admin/v1/events. */
void admin_put_request(struct jsonw *w, const struct request_row *row,
                       const struct admin_host *host);

/* The OpenAPI 3.1 description, from the table that routes. */
void admin_put_openapi(struct jsonw *w);

#endif
