/* admin_misc.c - what the engine knows by itself: providers, models, reload. The store is not
 * asked, but for states; each has a function of the host behind it. */
#include "engine/admin/admin.h"
#include "engine/admin/admin_part.h"

#include "store/org.h"

#include <stdlib.h>

void admin_providers_get(struct admin_call *call)
{
    call->host->put_providers(call->host->arg, &call->w);
}

void admin_models_get(struct admin_call *call)
{
    call->host->put_models(call->host->arg, &call->w);
}

void admin_routes_get(struct admin_call *call)
{
    store_id tenant = admin_query(call, "tenant")->number;
    struct unit u;
    if (tenant) {
        enum store_rc rc = org_get(call->host->db, call->txn, tenant, &u);
        if (!admin_check(call, rc, "organization", NULL)) return;
    }
    call->host->put_routes(call->host->arg, bytes_of(admin_query(call, "provider")->text),
                           bytes_of(admin_query(call, "model")->text), tenant, &call->w);
}

static void state_change(struct admin_call *call, enum rotation_of of, const char *what,
                         const char *name)
{
    const struct admin_host *host = call->host;
    char near[CATALOG_NAME_MAX + 1] = "";
    uint64_t state = admin_body(call, "state")->number;
    int shown = (int)(call->id.len < CATALOG_NAME_MAX ? call->id.len : CATALOG_NAME_MAX);
    assert(state < ROTATIONS);
    if (!host->find(host->arg, of, call->id, near)) {
        admin_fault(call, 404, "not_found", NULL, "no such %s: %.*s%s%s%s", what, shown,
                    call->id.ptr, near[0] ? " (did you mean '" : "", near,
                    near[0] ? "'?)" : "");
        return;
    }
    enum store_rc rc = rotation_put(host->db, call->txn, of, call->id.ptr, call->id.len,
                                    (enum rotation)state);
    if (!admin_check(call, rc, what, NULL)) return;
    jsonw_object(&call->w);
    jsonw_key(&call->w, name);
    jsonw_string(&call->w, call->id);
    jsonw_key(&call->w, "state");
    jsonw_text(&call->w, rotation_name((enum rotation)state));
    jsonw_object_end(&call->w);
}

void admin_provider_change(struct admin_call *call)
{
    state_change(call, ROTATION_PROVIDER, "provider", "name");
}

void admin_model_change(struct admin_call *call)
{
    state_change(call, ROTATION_MODEL, "model", "id");
}

/* The key's policies as they are now. NULL: none is asked for, or a fault was left. */
static const struct key_view *policies_of(struct admin_call *call, struct key_view *view)
{
    store_id id = admin_query(call, "key")->number;
    struct db *db = call->host->db;
    struct key *k = id ? calloc(1, sizeof *k) : NULL;
    if (!id) return NULL;
    if (!k) {
        admin_fault(call, 503, "overloaded", NULL, "out of memory");
        return NULL;
    }
    enum store_rc rc = keys_get(db, call->txn, id, k);
    if (rc == STORE_OK) rc = keys_find(db, call->txn, k->hash, call->now_unix_ns, view);
    explicit_bzero(k, sizeof *k);
    free(k);
    return admin_check(call, rc, "key", NULL) ? view : NULL;
}

void admin_explain_run(struct admin_call *call)
{
    const struct admin_host *host = call->host;
    char why[512] = "", pointer[ADMIN_POINTER_MAX] = "";
    struct key_view *view = calloc(1, sizeof *view);
    if (!view) {
        admin_fault(call, 503, "overloaded", NULL, "out of memory");
        return;
    }
    struct admin_explain q = {.body = call->body, .key = policies_of(call, view),
                              .api = bytes_of(admin_query(call, "api")->text),
                              .model = bytes_of(admin_query(call, "model")->text),
                              .mode = bytes_of(admin_query(call, "mode")->text),
                              .cascade = bytes_of(admin_query(call, "cascade")->text)};
    bool good = admin_has_fault(call) ||
                host->explain(host->arg, &q, &call->w, why, sizeof why, pointer);
    if (!good) {
        admin_fault(call, 400, "invalid_request_error", pointer[0] ? pointer : NULL, "%s", why);
    }
    free(view);
}

/* Runs once: its answer is small, its diagnostics are a fault. */
void admin_reload_run(struct admin_call *call)
{
    char *text = calloc(1, ADMIN_MESSAGE_MAX);
    if (!text) {
        admin_fault(call, 503, "overloaded", NULL, "out of memory");
        return;
    }
    if (!call->host->reload(call->host->arg, text, ADMIN_MESSAGE_MAX)) {
        text[ADMIN_MESSAGE_MAX - 1] = '\0';
        admin_fault(call, 400, "invalid_configuration", NULL, "%s",
                    text[0] ? text : "the configuration was refused");
    }
    free(text);
    jsonw_object(&call->w);
    jsonw_key(&call->w, "reloaded");
    jsonw_bool(&call->w, true);
    jsonw_object_end(&call->w);
}

void admin_openapi_get(struct admin_call *call)
{
    admin_put_openapi(&call->w);
}
