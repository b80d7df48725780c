/* conf_account.c - what stands behind a provider beside a plain key: the resource, region or
 * project that its address is made of, AWS keys, a service account of Google's.
 * Model: settings first; then, for who is known by name, the variables that the makers' own
 * clients read. Rule: secrets go to the configuration's heap, which is wiped, and no message
 * shows one. */
#include <stdio.h>

#include "engine/conf.h"
#include "engine/conf_parts.h"
#include "net/json.h"
#include "net/sigv4.h"
#include "net/url.h"

static const char *from_env(const struct conf_reader *r, const char *const *names)
{
    for (; *names && r->env; names++) {
        const char *value = r->env(*names);
        if (value && *value) return value;
    }
    return NULL;
}

/* A setting that is not there yet, of the environment. */
static void take(struct conf_reader *r, const char **field, const char *const *names)
{
    const char *value = *field && **field ? NULL : from_env(r, names);
    if (value) *field = conf_heap_text(r->heap, bytes_of(value));
}

/* ---- addresses ---- */

struct blank { struct bytes name; size_t field; const char *env[3], *missing; };

#define BLANK(name, member, missing, ...) \
    {BYTES_INIT(name), offsetof(struct catalog_provider, member), {__VA_ARGS__, NULL}, missing}
static const struct blank blanks[] = {
    BLANK("resource", resource, "resource, or AZURE_RESOURCE_NAME", "AZURE_RESOURCE_NAME"),
    BLANK("region", region, "region, or AWS_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"),
    BLANK("project", project, "project, or GOOGLE_VERTEX_PROJECT", "GOOGLE_VERTEX_PROJECT",
          "GOOGLE_CLOUD_PROJECT"),
    BLANK("location", location, "location, or GOOGLE_VERTEX_LOCATION",
          "GOOGLE_VERTEX_LOCATION", "GOOGLE_CLOUD_LOCATION"),
    BLANK("account_id", account, "account, or CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_ACCOUNT_ID"),
};

static bool is_plain(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = byte_lower(text.ptr[i]);
        bool fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                    (c && strchr("._-", c));
        if (!fine) return false;
    }
    return text.len > 0;
}

/* The host of a location: the world's, a continent's, a region's. */
static const char *vertex_host(struct conf_reader *r, const char *location)
{
    char host[192];
    bool wide = strcmp(location, "eu") == 0 || strcmp(location, "us") == 0;
    if (strcmp(location, "global") == 0) return "aiplatform.googleapis.com";
    (void)snprintf(host, sizeof host, wide ? "aiplatform.%s.rep.googleapis.com"
                                           : "%s-aiplatform.googleapis.com", location);
    return conf_heap_text(&r->scratch, bytes_of(host));
}

/* What stands for {name}; NULL: nobody said. */
static const char *fill(struct conf_reader *r, struct catalog_provider *p, struct bytes name,
                        const char **missing)
{
    if (bytes_eq(name, BYTES("vertex"))) return vertex_host(r, p->location);
    *missing = "a url of yours";
    for (size_t i = 0; i < COUNT(blanks); i++) {
        if (!bytes_eq(name, blanks[i].name)) continue;
        const char *value = *(const char **)(void *)((char *)p + blanks[i].field);
        *missing = blanks[i].missing;
        return value && is_plain(bytes_of(value)) ? value : NULL;
    }
    return NULL;
}

const char *conf_account_url(struct conf_reader *r, struct catalog_provider *p,
                             struct bytes address, const char **missing)
{
    char url[1024];
    size_t len = 0;
    for (size_t i = 0; i < COUNT(blanks); i++) {
        const char **field = (void *)((char *)p + blanks[i].field);
        struct bytes brace = bytes_of(*field);
        bool wanted = memmem(address.ptr, address.len, blanks[i].name.ptr, blanks[i].name.len);
        if (wanted && brace.len == 0) take(r, field, blanks[i].env);
    }
    if (!p->location || !*p->location) p->location = "global";
    while (address.len > 0) {
        struct bytes part = bytes_cut(&address, bytes_find(address, '{'));
        if (address.len > 0) {
            struct bytes name = bytes_cut(&address, bytes_find(address, '}'));
            bytes_cut(&name, 1);
            bytes_cut(&address, address.len > 0);
            const char *value = fill(r, p, name, missing);
            if (!value) return NULL;
            int n = snprintf(url + len, sizeof url - len, "%.*s%s", (int)part.len, part.ptr,
                             value);
            len += (size_t)n;
        } else {
            len += (size_t)snprintf(url + len, sizeof url - len, "%.*s", (int)part.len,
                                    part.ptr);
        }
        if (len >= sizeof url) return NULL;
    }
    return conf_heap_text(r->heap, (struct bytes){url, len});
}

/* ---- AWS ---- */

static void add_name(struct conf_reader *r, struct catalog_provider *p, const char *name)
{
    p->key[0] = conf_heap_text(r->heap, bytes_of(name));
    p->key_count = 1;
}

static void read_aws(struct conf_reader *r, struct conf_mark at, struct catalog_provider *p,
                     bool known)
{
    static const char *const ids[] = {"AWS_ACCESS_KEY_ID", NULL};
    static const char *const secrets[] = {"AWS_SECRET_ACCESS_KEY", NULL};
    static const char *const tokens[] = {"AWS_SESSION_TOKEN", NULL};
    bool own = *p->access_key_id;
    if (known && !own) {
        take(r, &p->access_key_id, ids);
        take(r, &p->session_token, tokens);
    }
    if (known) take(r, &p->secret_access_key, secrets);
    struct sigv4_key k = {
        .id = bytes_of(p->access_key_id), .secret = bytes_of(p->secret_access_key),
        .token = bytes_of(p->session_token), .region = bytes_of(p->region),
        .service = BYTES("bedrock"),
    };
    if (sigv4_key_is_fine(&k)) {
        p->signs = SIGNS_AWS;
        p->auth = "sigv4";
        add_name(r, p, p->access_key_id);
    } else {
        conf_error(r, at, "requests to %s are signed with access_key_id, secret_access_key and "
                   "region, each one word of visible ASCII characters", p->name);
    }
}

/* ---- Google ---- */

struct account { const char *type, *email, *id, *key, *url, *project; };

/* The strings of an object's root; NULL where it is no JSON object. */
static bool read_account(struct conf_reader *r, struct bytes text, struct account *out)
{
    static const struct bytes names[] = {
        BYTES_INIT("type"), BYTES_INIT("client_email"), BYTES_INIT("private_key_id"),
        BYTES_INIT("private_key"), BYTES_INIT("token_uri"), BYTES_INIT("project_id"),
    };
    const char **const fields[] = {&out->type, &out->email, &out->id, &out->key, &out->url,
                                   &out->project};
    struct json j;
    struct json_token t;
    const char **field = NULL;
    enum net_rc rc;
    json_init(&j, 8);
    while ((rc = json_next(&j, &text, &t)) == NET_OK) {
        if (t.depth != 1 || t.type == JSON_ARRAY_END || t.type == JSON_OBJECT_END) continue;
        if (t.type == JSON_STRING && field && t.text.ptr) {
            char *room = conf_heap_take(r->heap, t.text.len + 1);
            if (room) room[json_unescape(t.text, room)] = '\0';
            *field = room ? room : "";
        }
        field = NULL;
        for (size_t i = 0; t.type == JSON_KEY && i < COUNT(names); i++) {
            if (bytes_eq(t.text, names[i])) field = fields[i];
        }
    }
    return rc != NET_BAD && json_finish(&j, &t) == NET_DONE;
}

static bool is_loopback_host(struct bytes host)
{
    return bytes_ieq(host, BYTES("localhost")) || bytes_eq(host, BYTES("::1")) ||
           bytes_starts(host, BYTES("127."));
}

/* A clause about what is wrong with an account; NULL: nothing. */
static const char *account_fault(const struct account *a)
{
    struct url url;
    const char *why;
    if (!a->type || strcmp(a->type, "service_account") != 0) return "no service account";
    if (!a->email || !conf_is_visible(bytes_of(a->email))) return "without a client_email";
    if (!a->key || !strstr(a->key, "PRIVATE KEY-----")) return "without a private_key";
    if (!a->url || url_parse(bytes_of(a->url), &url, &why) != NET_OK) {
        return "without a token_uri";
    }
    if (!url.tls && !is_loopback_host(url.host)) return "with a token_uri that is not https";
    return strlen(a->email) > 256 || strlen(a->key) > 16384 || strlen(a->url) > 1024
               ? "with a member that is too long" : NULL;
}

/* What credentials say, read once. False: it was reported. */
static bool read_google(struct conf_reader *r, struct conf_mark at, struct catalog_provider *p)
{
    struct account a = {0};
    struct bytes text = bytes_of(p->credentials);
    if (p->token_email) return true;
    if (text.ptr[0] != '{') {
        size_t len = 0;
        int rc = conf_read_file(r, p->credentials, 0, &len);
        if (rc < 0) {
            conf_error(r, at, "the credentials of %s cannot be read: %s", p->name,
                       conf_file_why(rc));
            return false;
        }
        text = (struct bytes){r->value, len};
    }
    bool read = read_account(r, text, &a);
    const char *fault = read ? account_fault(&a) : "not JSON";
    if (fault) {
        conf_error(r, at, "the credentials of %s are %s", p->name, fault);
        return false;
    }
    p->token_email = a.email;
    p->token_key_id = a.id && conf_is_visible(bytes_of(a.id)) ? a.id : "";
    p->token_key = a.key;
    p->token_url = a.url;
    if (a.project && (!p->project || !*p->project)) p->project = a.project;
    return true;
}

void conf_account_credentials(struct conf_reader *r, struct conf_mark at,
                              struct catalog_provider *p, bool known)
{
    static const char *const paths[] = {"GOOGLE_APPLICATION_CREDENTIALS", NULL};
    bool google = known && strncmp(p->name, "vertex", 6) == 0 && p->key_count == 0;
    if (google || strcmp(p->auth, "service-account") == 0) take(r, &p->credentials, paths);
    if (!*p->credentials || !read_google(r, at, p)) return;
    p->signs = SIGNS_TOKEN;
    p->auth = "service-account";
    add_name(r, p, p->token_email);
}

/* ---- both ---- */

void conf_account_read(struct conf_reader *r, struct conf_mark at, struct catalog_provider *p,
                       bool known)
{
    static const char *const ids[] = {"AWS_ACCESS_KEY_ID", NULL};
    bool bedrock = p->dialect == DIALECT_BEDROCK;
    bool aws = *p->access_key_id || strcmp(p->auth, "sigv4") == 0;
    struct bytes path = bytes_of(p->base_path);
    if (bedrock && known && p->key_count == 0 && from_env(r, ids)) aws = true;
    if (aws && !bedrock) {
        conf_error(r, at, "%s: only requests of the dialect bedrock are signed", p->name);
    } else if (aws && p->signs == SIGNS_NOT) {
        read_aws(r, at, p, known);
    }
    if (strcmp(p->auth, "service-account") == 0 && p->signs == SIGNS_NOT) {
        conf_error(r, at, "%s needs credentials, a service account's file", p->name);
    }
    if (*p->api_version && !is_plain(bytes_of(p->api_version))) {
        conf_error(r, at, "the api_version of %s is made of letters, digits and . _ - only",
                   p->name);
    }
    if (p->dialect == DIALECT_OPENAI && *p->api_version && !bytes_ends(path, BYTES("/v1"))) {
        p->form = FORM_DEPLOYMENT;
    }
    bool claude = p->dialect == DIALECT_ANTHROPIC &&
                  bytes_ends(path, BYTES("/publishers/anthropic"));
    if (claude) p->form = FORM_VERTEX;
}
