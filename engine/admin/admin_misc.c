/* admin_misc.c - what the engine knows by itself: providers, models, reload. The store is not
 * asked; each has a function of the host behind it. */
#include "engine/admin/admin.h"
#include "engine/admin/admin_part.h"

#include <stdlib.h>

void admin_providers_get(struct admin_call *call)
{
    call->host->put_providers(call->host->arg, &call->w);
}

void admin_models_get(struct admin_call *call)
{
    call->host->put_models(call->host->arg, &call->w);
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
