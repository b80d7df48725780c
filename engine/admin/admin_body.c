/* admin_body.c - reads a JSON body by a route's list of members, policies and limits.
 *   { -> key -> known? -> value by its type -> key ... -> } -> nothing more -> all required?
 * Rule: what is not understood is an error with a JSON pointer (RFC 6901), never passed over:
 * a limit that was mistyped must not look as if it were set. */
#include "engine/admin/admin.h"
#include "engine/admin/admin_part.h"
#include "engine/conf_parts.h"

#include <stdio.h>

enum {
    DEPTH_MAX = 8,
    ESCAPED_MAX = 6 * 512,   /* bytes of a text before its escapes are resolved */
};

/* As struct admin_policy names them: two lists, then the rates. */
enum { FIELD_ALLOW, FIELD_DENY, FIELD_RATES };
static const char rate_kinds[ADMIN_RATES] = {'r', 't', 'c'};   /* of a policy blob (store.h) */

const struct admin_field admin_policy_fields[] = {
    {"allow", .about = "models that may be used; absent: all", .type = ADMIN_GLOBS,
     .nullable = true},
    {"deny", .about = "models that may not", .type = ADMIN_GLOBS, .nullable = true},
    {"rpm", .about = "requests a minute", .type = ADMIN_RATE, .nullable = true},
    {"tpm", .about = "tokens a minute", .type = ADMIN_RATE, .nullable = true},
    {"concurrency", .about = "requests that run at once", .type = ADMIN_RATE,
     .nullable = true},
    {"mode", .later = true}, {"regions", .later = true},
    {"zero_retention_only", .later = true}, {"quality_floor", .later = true},
    {0},
};

static const char *const window_words[] = {"hour", "day", "week", "month", "total", NULL};
static_assert(sizeof(window_words) / sizeof(window_words[0]) == WINDOWS + 1, "a word for each");

enum { FIELD_USD, FIELD_WINDOW, LIMIT_FIELDS };

const struct admin_field admin_limit_fields[] = {
    {"usd", .about = "what may be spent", .type = ADMIN_MONEY, .required = true},
    {"window", .about = "of a UTC calendar, weeks from Monday", .type = ADMIN_WORD,
     .words = window_words, .required = true},
    {0},
};

struct reader {
    struct admin_call *call;
    struct json json;
    struct bytes in;
    char pointer[ADMIN_POINTER_MAX];   /* of the value in hand */
    char text[ESCAPED_MAX];            /* of the text in hand */
};

/* Add "/name" to the pointer, escaped (RFC 6901 section 3). A name too long is cut. */
static void pointer_add(struct reader *r, struct bytes name)
{
    size_t len = strlen(r->pointer);
    if (len + 2 < sizeof(r->pointer)) r->pointer[len++] = '/';
    for (size_t i = 0; i < name.len && len + 3 < sizeof(r->pointer); i++) {
        char c = name.ptr[i];
        if (c == '~' || c == '/') {
            r->pointer[len++] = '~';
            r->pointer[len++] = c == '~' ? '0' : '1';
        } else {
            r->pointer[len++] = c;
        }
    }
    r->pointer[len] = '\0';
}

static void pointer_cut(struct reader *r, size_t len)
{
    assert(len <= strlen(r->pointer));
    r->pointer[len] = '\0';
}

static void bad(struct reader *r, const char *what)
{
    admin_fault(r->call, 400, "invalid_request", r->pointer, "%s", what);
}

/* The next token. False: the document has ended, or there is a fault. */
static bool next(struct reader *r, struct json_token *t)
{
    enum net_rc rc = json_next(&r->json, &r->in, t);
    if (rc == NET_MORE) rc = json_finish(&r->json, t);
    if (rc == NET_BAD) {
        admin_fault(r->call, 400, "invalid_json", NULL, "the body is not valid JSON: %s at "
                    "byte %llu", json_why(&r->json), (unsigned long long)json_at(&r->json));
    }
    return rc == NET_OK;
}

/* The text of a key or string, escapes resolved, in r->text. False: a fault is left. */
static bool text_of(struct reader *r, const struct json_token *t, struct bytes *text)
{
    assert(t->type == JSON_KEY || t->type == JSON_STRING);
    const char *why = NULL;
    if (t->surrogate) why = "an unpaired surrogate has no place here";
    else if (t->nul) why = "\\u0000 has no place here";
    else if (t->text.len > sizeof(r->text)) why = "this text is too long";
    if (why) {
        bad(r, why);
        return false;
    }
    *text = (struct bytes){r->text, json_unescape(t->text, r->text)};
    return true;
}

/* What an unknown, late or refused member is told. True: it is none of these. */
static bool member_is_good(struct reader *r, const struct admin_field *list,
                           const struct admin_field *f, struct bytes name)
{
    char hint[ADMIN_WHY_MAX], shown[CONF_QUOTE_MAX];
    if (!f) {
        admin_fault(r->call, 400, "invalid_request", r->pointer, "unknown member %s%s",
                    conf_quote_text(name, shown), admin_hint(list, name, hint));
    } else if (f->later) {
        admin_fault(r->call, 400, "not_in_this_release", r->pointer,
                    "'%s' is not in this release", f->name);
    } else if (f->refused) {
        bad(r, f->refused);
    }
    return f && !f->later && !f->refused;
}

/* The next member of an object whose pointer has len bytes: its field of the list, the pointer
 * being its own now. NULL: the object has ended, or there is a fault. */
static const struct admin_field *member_next(struct reader *r, const struct admin_field *list,
                                             size_t len)
{
    struct json_token t;
    struct bytes name;
    if (admin_has_fault(r->call)) return NULL;
    pointer_cut(r, len);
    if (!next(r, &t) || t.type == JSON_OBJECT_END || !text_of(r, &t, &name)) return NULL;
    pointer_add(r, name);
    const struct admin_field *f = admin_field_find(list, name);
    return member_is_good(r, list, f, name) ? f : NULL;
}

/* The next item of a list whose pointer has len bytes, the pointer being its own now. False:
 * the list has ended, or there is a fault. */
static bool item_next(struct reader *r, size_t len, unsigned idx, struct json_token *t)
{
    char place[16];
    if (admin_has_fault(r->call)) return false;
    pointer_cut(r, len);
    if (!next(r, t) || t->type == JSON_ARRAY_END) return false;
    snprintf(place, sizeof(place), "%u", idx);
    pointer_add(r, bytes_of(place));
    return true;
}

/* ---- policies ---- */

/* Append one entry; glob is sound. False: the policy is full. */
static bool entry_add(char *blob, uint16_t *used, char kind, struct bytes glob)
{
    if (*used + glob.len + 2 > STORE_POLICY_MAX) return false;
    blob[*used] = kind;
    if (glob.len > 0) memcpy(blob + *used + 1, glob.ptr, glob.len);
    *used = (uint16_t)(*used + glob.len + 2);
    blob[*used - 1] = '\0';
    return true;
}

static bool glob_read(struct reader *r, const struct json_token *t, char kind,
                      struct admin_globs *globs)
{
    struct bytes glob;
    if (t->type != JSON_STRING) {
        bad(r, "must be a text: a model id or a glob such as \"openai/*\"");
        return false;
    }
    if (!text_of(r, t, &glob)) return false;
    bool good = glob.len > 0 && glob.len <= ADMIN_GLOB_MAX;
    for (size_t i = 0; good && i < glob.len; i++) {
        unsigned char c = (unsigned char)glob.ptr[i];
        good = c > 0x20 && c != 0x7f;
    }
    if (!good) {
        bad(r, "must be a glob of 1 to 200 bytes without blanks and control bytes");
    } else if (!entry_add(globs->blob, &globs->len, kind, glob)) {
        bad(r, "the policy is too large: all globs together may have about 2000 bytes");
        return false;
    }
    return good;
}

/* A list of globs; null is no list. */
static void globs_read(struct reader *r, char kind, struct admin_globs *globs)
{
    struct json_token t;
    globs->given = true;
    if (!next(r, &t)) return;
    globs->null = t.type == JSON_NULL;
    if (globs->null) return;
    if (t.type != JSON_ARRAY) {
        bad(r, "must be a list of globs, or null");
        return;
    }
    size_t len = strlen(r->pointer);
    for (unsigned idx = 0; item_next(r, len, idx, &t); idx++) {
        if (!glob_read(r, &t, kind, globs)) return;
    }
    /* An empty list of what is allowed allows nothing; an empty one of what is not is none. */
    if (kind == 'a' && globs->len == 0) {
        bool added = entry_add(globs->blob, &globs->len, 'A', BYTES(""));
        assert(added);
    }
}

/* A number of requests or tokens, or null. */
static void rate_read(struct reader *r, struct admin_rate *rate)
{
    struct json_token t;
    uint64_t value = 0;
    if (!next(r, &t)) return;
    rate->given = true;
    rate->null = t.type == JSON_NULL;
    if (rate->null) return;
    bool good = t.type == JSON_NUMBER && bytes_u64(t.text, &value);
    if (good && value >= 1 && value <= UINT32_MAX) rate->value = (uint32_t)value;
    else bad(r, "must be a whole number, 1 to 4294967295, or null");
}

/* The members of a policy, its "{" having been read. */
static void members_of_policy_read(struct reader *r, struct admin_policy *p)
{
    size_t len = strlen(r->pointer);
    const struct admin_field *f;
    while ((f = member_next(r, admin_policy_fields, len)) != NULL) {
        size_t idx = (size_t)(f - admin_policy_fields);
        assert(idx < FIELD_RATES + ADMIN_RATES);
        struct admin_globs *globs = idx == FIELD_ALLOW ? &p->allow : &p->deny;
        struct admin_rate *rate = idx < FIELD_RATES ? NULL : &p->rate[idx - FIELD_RATES];
        if (rate ? rate->given : globs->given) bad(r, "this member is repeated");
        else if (rate) rate_read(r, rate);
        else globs_read(r, idx == FIELD_ALLOW ? 'a' : 'd', globs);
    }
}

/* Copy what old has of a kind (and its capital, if any), or what the request has instead. */
static bool globs_merge(struct policy *out, const struct policy *old, char kind,
                        const struct admin_globs *globs)
{
    if (globs->null) return true;
    const char *at = globs->given ? globs->blob : old->blob;
    const char *end = at + (globs->given ? globs->len : old->len);
    while (at < end) {
        struct bytes glob = bytes_of(at + 1);
        bool is_kind = byte_lower(*at) == kind;
        if (is_kind && !entry_add(out->blob, &out->len, *at, glob)) return false;
        at += glob.len + 2;
    }
    return true;
}

/* Copy the rates that old has, or what the request has instead. */
static bool rates_merge(struct policy *out, const struct policy *old,
                        const struct admin_rate rate[ADMIN_RATES])
{
    struct rates has;
    bool sound = policy_rates(old->blob, old->len, &has);
    assert(sound);
    uint32_t value[ADMIN_RATES] = {has.rpm, has.tpm, has.concurrency};
    for (size_t i = 0; i < ADMIN_RATES; i++) {
        char text[16];
        if (rate[i].given) value[i] = rate[i].value;
        snprintf(text, sizeof(text), "%u", value[i]);
        bool is_set = value[i] > 0;
        if (is_set && !entry_add(out->blob, &out->len, rate_kinds[i], bytes_of(text))) {
            return false;
        }
    }
    return true;
}

bool admin_policy_change(struct admin_call *call, struct policy *policy)
{
    const struct admin_policy *p = &call->work->policy;
    assert(policy_is_sound(policy));
    struct policy made = {0};
    if (!p->given) return true;
    if (!p->null && (!globs_merge(&made, policy, 'a', &p->allow) ||
                     !globs_merge(&made, policy, 'd', &p->deny) ||
                     !rates_merge(&made, policy, p->rate))) {
        admin_fault(call, 400, "invalid_request", "/policy",
                    "the policy is too large: all globs together may have about 2000 bytes");
        return false;
    }
    assert(policy_is_sound(&made));
    *policy = made;
    return true;
}

static void put_globs(struct jsonw *w, const struct policy *policy, char kind, const char *name)
{
    const char *end = policy->blob + policy->len;
    bool open = false;
    for (const char *at = policy->blob; at < end; at += strlen(at) + 1) {
        if (byte_lower(*at) != kind) continue;
        if (!open) {
            jsonw_key(w, name);
            jsonw_array(w);
            open = true;
        }
        if (*at == kind) jsonw_text(w, at + 1);
    }
    if (open) jsonw_array_end(w);
}

void admin_put_policy(struct jsonw *w, const struct policy *policy)
{
    assert(policy->len <= sizeof(policy->blob));
    jsonw_key(w, "policy");
    jsonw_object(w);
    put_globs(w, policy, 'a', "allow");
    put_globs(w, policy, 'd', "deny");
    struct rates rates;
    bool sound = policy_rates(policy->blob, policy->len, &rates);
    assert(sound);
    const uint32_t value[ADMIN_RATES] = {rates.rpm, rates.tpm, rates.concurrency};
    for (size_t i = 0; i < ADMIN_RATES; i++) {
        if (value[i] == 0) continue;
        jsonw_key(w, admin_policy_fields[FIELD_RATES + i].name);
        jsonw_uint(w, value[i]);
    }
    jsonw_object_end(w);
}

void admin_put_id(struct jsonw *w, const char *name, store_id id)
{
    char text[STORE_ID_TEXT_MAX];
    jsonw_key(w, name);
    store_id_text(id, text);
    jsonw_text(w, id ? text : NULL);
}

void admin_put_money(struct jsonw *w, const char *name, int64_t nusd)
{
    jsonw_key(w, name);
    jsonw_fixed_text(w, nusd, 9);
}

/* ---- bodies ---- */

static void limits_read(struct reader *r, struct limits *limits);

/* A text, t, as f's type. */
static void text_read(struct reader *r, const struct admin_field *f, const struct json_token *t,
                      struct admin_value *v)
{
    char why[ADMIN_WHY_MAX];
    struct bytes text;
    if (text_of(r, t, &text) && !admin_value_read(f, text, v, why)) {
        admin_fault(r->call, 400, "invalid_request", r->pointer, "'%s' %s", f->name, why);
    }
}

static void value_read(struct reader *r, const struct admin_field *f, struct admin_value *v)
{
    struct json_token t;
    if (!next(r, &t)) return;
    struct admin_policy *policy = &r->call->work->policy;
    bool is_policy = f->type == ADMIN_POLICY, is_limits = f->type == ADMIN_LIMITS;
    if (t.type == JSON_NULL) {
        if (!f->nullable) bad(r, "must not be null");
        v->given = v->null = true;
        if (is_policy) policy->given = policy->null = true;
    } else if (is_policy && t.type == JSON_OBJECT) {
        v->given = policy->given = true;
        members_of_policy_read(r, policy);
    } else if (is_limits && t.type == JSON_ARRAY) {
        v->given = true;
        limits_read(r, &r->call->work->limits);
    } else if (is_policy) {
        bad(r, "must be an object");
    } else if (is_limits) {
        bad(r, "must be a list of limits such as {\"usd\":\"100\",\"window\":\"month\"}");
    } else if (t.type != JSON_STRING) {
        bad(r, f->type == ADMIN_MONEY ? "must be a text such as \"12.5\": money is exact"
                                      : "must be a text");
    } else {
        text_read(r, f, &t, v);
    }
}

/* Is all there that the list requires? The pointer is the object's, of len bytes. */
static void required_check(struct reader *r, const struct admin_field *list,
                           const struct admin_value *values, size_t len)
{
    for (size_t i = 0; list && list[i].name && !admin_has_fault(r->call); i++) {
        if (!list[i].required || values[i].given) continue;
        pointer_cut(r, len);
        pointer_add(r, bytes_of(list[i].name));
        admin_fault(r->call, 400, "invalid_request", r->pointer, "'%s' is missing",
                    list[i].name);
    }
}

/* One limit, its "{" having been read. */
static void limit_read(struct reader *r, struct limits *limits)
{
    struct admin_value value[LIMIT_FIELDS] = {0};
    size_t len = strlen(r->pointer);
    const struct admin_field *f;
    while ((f = member_next(r, admin_limit_fields, len)) != NULL) {
        struct admin_value *v = &value[f - admin_limit_fields];
        if (v->given) bad(r, "this member is repeated");
        else value_read(r, f, v);
    }
    required_check(r, admin_limit_fields, value, len);
    if (admin_has_fault(r->call)) return;
    uint64_t window = value[FIELD_WINDOW].number;
    assert(window < WINDOWS);
    if (limits->nusd[window] != LIMIT_NONE) {
        pointer_add(r, BYTES("window"));
        bad(r, "this window is repeated: there is one limit for each");
    }
    limits->nusd[window] = (int64_t)value[FIELD_USD].number;
}

/* A list of limits, its "[" having been read. */
static void limits_read(struct reader *r, struct limits *limits)
{
    struct json_token t;
    size_t len = strlen(r->pointer);
    for (int w = 0; w < WINDOWS; w++) limits->nusd[w] = LIMIT_NONE;
    for (unsigned idx = 0; item_next(r, len, idx, &t); idx++) {
        if (t.type == JSON_OBJECT) limit_read(r, limits);
        else bad(r, "must be an object such as {\"usd\":\"100\",\"window\":\"month\"}");
    }
}

static void members_read(struct reader *r)
{
    const struct admin_field *list = r->call->work->route->body;
    struct json_token t;
    if (!next(r, &t)) return;
    if (t.type != JSON_OBJECT) {
        bad(r, "the body must be a JSON object");
        return;
    }
    const struct admin_field *f;
    while ((f = member_next(r, list, 0)) != NULL) {
        struct admin_value *v = &r->call->work->body[f - list];
        if (v->given) bad(r, "this member is repeated");
        else value_read(r, f, v);
    }
    if (admin_has_fault(r->call)) return;
    if (next(r, &t)) bad(r, "nothing may follow the object");
}

static bool is_blank(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!memchr(" \t\r\n", text.ptr[i], 4)) return false;
    }
    return true;
}

void admin_body_read(struct admin_call *call)
{
    const struct admin_field *list = call->work->route->body;
    struct reader r = {.call = call, .in = call->body};
    json_init(&r.json, DEPTH_MAX);
    if (!is_blank(call->body)) members_read(&r);
    required_check(&r, list, call->work->body, 0);
}
