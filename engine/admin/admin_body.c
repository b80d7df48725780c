/* admin_body.c - reads a JSON body by a route's list of members, policies and limits.
 *   { -> key -> known? -> value by its type -> key ... -> } -> nothing more -> all required?
 * Rule: what is not understood is an error with a JSON pointer (RFC 6901), never passed over:
 * a limit that was mistyped must not look as if it were set. */
#include "engine/admin/admin.h"
#include "engine/admin/admin_part.h"
#include "engine/conf_parts.h"
#include "net/decimal.h"
#include "store/policy.h"

#include <stdio.h>

enum {
    DEPTH_MAX = 8,
    ESCAPED_MAX = 6 * 512,   /* bytes of a text before its escapes are resolved */
};

static const char *const mode_words[] = {"balanced", "cost", "latency", "availability", NULL};

const struct admin_field admin_policy_fields[] = {
    {"allow", .about = "models that may be used; absent: all", .type = ADMIN_GLOBS,
     .nullable = true},
    {"deny", .about = "models that may not", .type = ADMIN_GLOBS, .nullable = true},
    {"rpm", .about = "requests a minute", .type = ADMIN_RATE, .nullable = true},
    {"tpm", .about = "tokens a minute", .type = ADMIN_RATE, .nullable = true},
    {"concurrency", .about = "requests that run at once", .type = ADMIN_RATE,
     .nullable = true},
    {"mode", .about = "how candidates are ordered; the narrowest level's counts",
     .type = ADMIN_WORD, .words = mode_words, .nullable = true},
    {"regions", .about = "of providers that may be used; absent: all", .type = ADMIN_REGIONS,
     .nullable = true},
    {"zero_retention_only", .about = "only providers that keep nothing", .type = ADMIN_BOOL,
     .nullable = true},
    {"quality_floor", .about = "share of the strongest candidate's expected quality that may "
     "not be given up; the highest of all levels counts", .type = ADMIN_SHARE,
     .nullable = true},
    {0},
};
/* Their kinds of entries in a blob (store.h); a list that may be empty has a capital too. */
static const char rule_kinds[] = "adrtcmgzq";
static_assert(sizeof(rule_kinds) - 1 == ADMIN_RULES, "a kind for each");
static_assert(COUNT(admin_policy_fields) - 1 == ADMIN_RULES, "a field for each");

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

/* 1..max bytes, none of them blank or a control byte. */
static bool is_plain(struct bytes text, size_t max)
{
    bool good = text.len > 0 && text.len <= max;
    for (size_t i = 0; good && i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        good = c > 0x20 && c != 0x7f;
    }
    return good;
}

static bool rule_add(struct reader *r, struct admin_rule *rule, char kind, struct bytes text)
{
    if (entry_add(rule->blob, &rule->len, kind, text)) return true;
    bad(r, "the policy is too large: all of it together may have about 2000 bytes");
    return false;
}

/* An item of a list. */
static bool name_read(struct reader *r, const struct admin_field *f,
                      const struct json_token *t, char kind, struct admin_rule *rule)
{
    struct bytes text;
    bool is_glob = f->type == ADMIN_GLOBS;
    if (t->type != JSON_STRING) {
        bad(r, is_glob ? "must be a text: a model id or a glob such as \"openai/*\""
                       : "must be a text: a region as providers have it, such as \"eu\"");
        return false;
    }
    if (!text_of(r, t, &text)) return false;
    if (is_plain(text, is_glob ? ADMIN_GLOB_MAX : POLICY_REGION_MAX - 1)) {
        return rule_add(r, rule, kind, text);
    }
    bad(r, is_glob ? "must be a glob of 1 to 200 bytes without blanks and control bytes"
                   : "must be a region of 1 to 63 bytes without blanks and control bytes");
    return false;
}

/* A list, its "[" having been read. */
static void names_read(struct reader *r, const struct admin_field *f, char kind,
                       struct admin_rule *rule)
{
    struct json_token t;
    size_t len = strlen(r->pointer);
    for (unsigned idx = 0; item_next(r, len, idx, &t); idx++) {
        if (!name_read(r, f, &t, kind, rule)) return;
    }
    /* An empty list of what is allowed allows nothing; an empty one of what is not is none. */
    if (kind != 'd' && rule->len == 0) {
        bool added = entry_add(rule->blob, &rule->len, (char)(kind - 'a' + 'A'), BYTES(""));
        assert(added);
    }
}

/* A number of requests or tokens. */
static void rate_read(struct reader *r, const struct json_token *t, char kind,
                      struct admin_rule *rule)
{
    char text[16];
    uint64_t value = 0;
    bool good = t->type == JSON_NUMBER && bytes_u64(t->text, &value);
    if (good && value >= 1 && value <= UINT32_MAX) {
        snprintf(text, sizeof(text), "%u", (unsigned)value);
        (void)rule_add(r, rule, kind, bytes_of(text));
    } else {
        bad(r, "must be a whole number, 1 to 4294967295, or null");
    }
}

/* A share of 1. */
static void share_read(struct reader *r, const struct json_token *t, char kind,
                       struct admin_rule *rule)
{
    char text[16];
    int64_t value = 0;
    if (t->type != JSON_NUMBER || !decimal_read(t->text, 6, false, POLICY_ONE, &value)) {
        bad(r, "must be a number such as 0.95: 0 to 1, at most 6 decimals, or null");
        return;
    }
    int len = snprintf(text, sizeof(text), "%u.%06u", (unsigned)(value / POLICY_ONE),
                       (unsigned)(value % POLICY_ONE));
    while (text[len - 1] == '0') len--;
    if (text[len - 1] == '.') len--;
    (void)rule_add(r, rule, kind, (struct bytes){text, (size_t)len});
}

/* The last len bytes of a text, or all of it. */
static struct bytes bytes_tail(struct bytes text, size_t len)
{
    if (text.len > len) bytes_cut(&text, text.len - len);
    return text;
}

/* A mode, by the name that the configuration takes too: "cost" or "cost-first". */
static void mode_read(struct reader *r, const struct admin_field *f,
                      const struct json_token *t, char kind, struct admin_rule *rule)
{
    struct bytes text, first = BYTES("-first");
    struct admin_value value = {0};
    char why[ADMIN_WHY_MAX];
    if (t->type != JSON_STRING) {
        bad(r, "must be a text such as \"cost\", or null");
        return;
    }
    if (!text_of(r, t, &text)) return;
    struct bytes name = text;
    struct bytes tail = bytes_tail(text, first.len);
    if (bytes_eq(tail, first)) name.len -= first.len;
    bool good = admin_value_read(f, name, &value, why);
    if (good) (void)rule_add(r, rule, kind, name);
    else admin_fault(r->call, 400, "invalid_request", r->pointer, "'%s' %s", f->name, why);
}

/* A member of a policy. */
static void rule_read(struct reader *r, const struct admin_field *f, char kind,
                      struct admin_rule *rule)
{
    struct json_token t;
    if (!next(r, &t)) return;
    rule->given = true;
    rule->null = t.type == JSON_NULL;
    if (rule->null) return;
    bool is_list = f->type == ADMIN_GLOBS || f->type == ADMIN_REGIONS;
    if (is_list && t.type == JSON_ARRAY) names_read(r, f, kind, rule);
    else if (f->type == ADMIN_GLOBS) bad(r, "must be a list of globs, or null");
    else if (f->type == ADMIN_REGIONS) bad(r, "must be a list of regions, or null");
    else if (f->type == ADMIN_RATE) rate_read(r, &t, kind, rule);
    else if (f->type == ADMIN_SHARE) share_read(r, &t, kind, rule);
    else if (f->type == ADMIN_WORD) mode_read(r, f, &t, kind, rule);
    else if (t.type == JSON_TRUE) (void)rule_add(r, rule, kind, BYTES(""));
    else if (t.type != JSON_FALSE) bad(r, "must be true, false or null");
}

/* The members of a policy, its "{" having been read. */
static void rules_read(struct reader *r, struct admin_policy *p)
{
    size_t len = strlen(r->pointer);
    const struct admin_field *f;
    while ((f = member_next(r, admin_policy_fields, len)) != NULL) {
        size_t idx = (size_t)(f - admin_policy_fields);
        assert(idx < ADMIN_RULES);
        if (p->rule[idx].given) bad(r, "this member is repeated");
        else rule_read(r, f, rule_kinds[idx], &p->rule[idx]);
    }
}

/* Copy what old has of a kind (and its capital, if any), or what the request has instead. */
static bool rule_merge(struct policy *out, const struct policy *old, char kind,
                       const struct admin_rule *rule)
{
    if (rule->null) return true;
    const char *at = rule->given ? rule->blob : old->blob;
    const char *end = at + (rule->given ? rule->len : old->len);
    while (at < end) {
        struct bytes text = bytes_of(at + 1);
        bool is_kind = byte_lower(*at) == kind;
        if (is_kind && !entry_add(out->blob, &out->len, *at, text)) return false;
        at += text.len + 2;
    }
    return true;
}

bool admin_policy_change(struct admin_call *call, struct policy *policy)
{
    const struct admin_policy *p = &call->work->policy;
    assert(policy_is_sound(policy));
    struct policy made = {0};
    if (!p->given) return true;
    for (size_t i = 0; !p->null && i < ADMIN_RULES; i++) {
        if (rule_merge(&made, policy, rule_kinds[i], &p->rule[i])) continue;
        admin_fault(call, 400, "invalid_request", "/policy",
                    "the policy is too large: all of it together may have about 2000 bytes");
        return false;
    }
    assert(policy_is_sound(&made));
    *policy = made;
    return true;
}

/* A rule of one level, from `at` on: the first of its entries. */
static void put_rule(struct jsonw *w, const struct admin_field *f, const char *at,
                     const char *end)
{
    char kind = byte_lower(*at);
    jsonw_key(w, f->name);
    switch (f->type) {
    case ADMIN_RATE:
    case ADMIN_SHARE: jsonw_raw(w, bytes_of(at + 1)); break;
    case ADMIN_WORD: jsonw_text(w, at + 1); break;
    case ADMIN_BOOL: jsonw_bool(w, true); break;
    default:
        jsonw_array(w);
        for (; at < end; at += strlen(at) + 1) {
            if (*at == kind) jsonw_text(w, at + 1);
        }
        jsonw_array_end(w);
    }
}

void admin_put_policy(struct jsonw *w, const struct policy *policy)
{
    assert(policy_is_sound(policy));
    const char *end = policy->blob + policy->len;
    jsonw_key(w, "policy");
    jsonw_object(w);
    for (size_t i = 0; i < ADMIN_RULES; i++) {
        const char *at = policy->blob;
        while (at < end && byte_lower(*at) != rule_kinds[i]) at += strlen(at) + 1;
        if (at < end) put_rule(w, &admin_policy_fields[i], at, end);
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
        rules_read(r, policy);
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
    if (call->work->route->whole) return;
    json_init(&r.json, DEPTH_MAX);
    if (!is_blank(call->body)) members_read(&r);
    required_check(&r, list, call->work->body, 0);
}
