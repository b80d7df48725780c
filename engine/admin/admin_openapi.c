/* admin_openapi.c - the OpenAPI 3.1 description, written from the table that routes: what a
 * call takes is described by the very fields that check it.
 * Rule: an answer's members are listed here once; the tests compare them with answers. */
#include "engine/admin/admin.h"
#include "engine/admin/admin_part.h"
#include "engine/cmd.h"

#include <stdio.h>

/* A schema is words "name:type"; '?' behind a type: may be null; '?' behind a name: may be
 * absent. Types: s string, t time, m money, i integer, n number, b boolean, o object,
 * w words (an array of strings), [Name] an array of them. */
struct schema {
    const char *name, *words;
};

static const struct schema schemas[] = {
    {"Unit", "id:s kind:s parent:s? name:s email?:s policy:o created_at:t"},
    {"Key", "id:s member:s name:s hint:s created_at:t expires_at:t? policy:o path:o"},
    {"NewKey", "id:s key:s? member:s name:s hint:s created_at:t expires_at:t? policy:o path:o "
               "note?:s"},
    {"Deleted", "id:s deleted:b"},
    {"Reloaded", "reloaded:b"},
    {"Explained", "api:s model:s mode:s mode_from:s routed:b prompt_tokens:i output_tokens:i "
                  "needs:w gain:o? task?:s family?:s language?:s effort?:s? features?:o "
                  "words?:i error:o? candidates:[Explained_endpoint] "
                  "left_out:[Explained_endpoint]"},
    {"Explained_endpoint", "model:s effort:s? reason:s score:n? quality:n? quality_low:n? "
                           "ability:n? cost_usd:m? ttft_s:n? time_s:n? error_rate:n? room:n? "
                           "chance:n?"},
    {"Live", ""},
    {"Route", "model:s provider:s key:i state:s breaker:s breaker_s:n requests:i in_flight:i "
              "ttft_ms:n p95_ttft_ms:n tokens_per_s:n error_rate:n room:n room_reset_s:i "
              "weight:i price:o? quality:o"},
    {"Routes", "data:[Route] tenant?:o?"},
    {"ProviderState", "name:s state:s"},
    {"ModelState", "id:s state:s"},
    {"Usage", "organization?:s? organization_name?:s? department?:s? department_name?:s? "
              "team?:s? team_name?:s? member?:s? member_name?:s? key?:s? key_name?:s? "
              "model?:s? provider?:s? tag?:s? hour?:t day?:t month?:t "
              "requests:i errors:i fallbacks:i input_tokens:i cached_tokens:i "
              "cache_write_tokens:i output_tokens:i cost_usd:m mean_ttft_ms:n? p50_ttft_ms:n? "
              "p95_ttft_ms:n? tokens_per_s:n? baseline_usd?:m saved_usd?:m"},
    {"Request", "id:s request_id:s? time:t organization:s? department:s? team:s? member:s? "
                "key:s? model:s? provider:s? mode:s gain:n reasons:w status:i close:s "
                "stream:b attempts:i input_tokens:i cached_tokens:i cache_write_tokens:i "
                "output_tokens:i reasoning_tokens:i cost_usd:m price:o estimated:b unpriced:b "
                "ttft_ms:n? duration_ms:n tags:o continued_by:s? billed:[Billed]"},
    {"Billed", "model:s? provider:s? close:s status:i input_tokens:i cached_tokens:i "
               "cache_write_tokens:i output_tokens:i reasoning_tokens:i cost_usd:m estimated:b "
               "ttft_ms:n? duration_ms:n"},
    {"Limit", "usd:m window:s spent:m held:m remaining:m resets_at:t?"},
    {"Budget", "limits:[Limit]"},
    {"Credit", "id:s usd:m kind:s reference:s balance_change:m created_at:t"},
    {"Pool", "balance:m held:m pool:s"},
    {"Credits", "balance:m held:m pool:s entries:[Credit] has_more:b"},
};

static void put_pair(struct jsonw *w, const char *name, const char *text)
{
    jsonw_key(w, name);
    jsonw_text(w, text);
}

static void key_object(struct jsonw *w, const char *name)
{
    jsonw_key(w, name);
    jsonw_object(w);
}

static const char *type_name(char letter)
{
    switch (letter) {
    case 'i': return "integer";
    case 'n': return "number";
    case 'b': return "boolean";
    case 'o': return "object";
    case '[': case 'w': return "array";
    default: return "string";
    }
}

/* A string kept as a JSON key needs an end: copy a slice. */
static const char *text_copy(struct bytes text, char out[64])
{
    assert(text.len < 64);
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    return out;
}

static void put_type(struct jsonw *w, const char *type, bool nullable)
{
    jsonw_key(w, "type");
    if (!nullable) {
        jsonw_text(w, type);
        return;
    }
    jsonw_array(w);
    jsonw_text(w, type);
    jsonw_text(w, "null");
    jsonw_array_end(w);
}

/* A member of a schema. */
struct word {
    struct bytes name, type;     /* type without its '?' */
    bool optional, nullable;
};

/* Cut "name:type" off words. False at the end. */
static bool word_next(struct bytes *words, struct word *out)
{
    if (words->len == 0) return false;
    struct bytes word = bytes_cut(words, bytes_find(*words, ' '));
    if (words->len > 0) bytes_cut(words, 1);
    out->name = bytes_cut(&word, bytes_find(word, ':'));
    assert(out->name.len > 1);
    assert(word.len >= 2);
    bytes_cut(&word, 1);
    out->optional = out->name.ptr[out->name.len - 1] == '?';
    out->nullable = word.ptr[word.len - 1] == '?';
    out->name.len -= out->optional;
    word.len -= out->nullable;
    out->type = word;
    return true;
}

/* name: of a schema, or "[Name]", without its brackets. */
static void put_ref(struct jsonw *w, struct bytes name)
{
    char path[64];
    if (*name.ptr == '[' || *name.ptr == '{') name = (struct bytes){name.ptr + 1, name.len - 2};
    snprintf(path, sizeof(path), "#/components/schemas/%.*s", (int)name.len, name.ptr);
    put_pair(w, "$ref", path);
}

static void put_word(struct jsonw *w, const struct word *word)
{
    char room[64], letter = *word->type.ptr;
    key_object(w, text_copy(word->name, room));
    put_type(w, type_name(letter), word->nullable);
    if (letter == 't') put_pair(w, "format", "date-time");
    if (letter == 'm') put_pair(w, "description", "US dollars, a decimal string");
    if (letter == '[' || letter == 'w') {
        key_object(w, "items");
        if (letter == '[') put_ref(w, word->type);
        else put_pair(w, "type", "string");
        jsonw_object_end(w);
    }
    jsonw_object_end(w);
}

static void put_schema(struct jsonw *w, const struct schema *s)
{
    struct bytes words = bytes_of(s->words);
    struct word word;
    key_object(w, s->name);
    put_pair(w, "type", "object");
    key_object(w, "properties");
    while (word_next(&words, &word)) put_word(w, &word);
    jsonw_object_end(w);
    jsonw_key(w, "required");
    jsonw_array(w);
    words = bytes_of(s->words);
    while (word_next(&words, &word)) {
        if (!word.optional) jsonw_string(w, word.name);
    }
    jsonw_array_end(w);
    jsonw_object_end(w);
}

/* ---- what calls take ---- */

static void put_words(struct jsonw *w, const char *const *words, bool nullable)
{
    jsonw_key(w, "enum");
    jsonw_array(w);
    for (; *words; words++) jsonw_text(w, *words);
    if (nullable) jsonw_null(w);
    jsonw_array_end(w);
}

static void put_number(struct jsonw *w, const char *name, uint64_t value)
{
    jsonw_key(w, name);
    jsonw_uint(w, value);
}

/* Lists name lists, to a depth that the table fixes. */
static void put_members(struct jsonw *w, const struct admin_field *list);

/* The items of a list of globs or regions. */
static void put_names(struct jsonw *w, uint64_t max)
{
    key_object(w, "items");
    put_pair(w, "type", "string");
    put_number(w, "minLength", 1);
    put_number(w, "maxLength", max);
    jsonw_object_end(w);
}

/* The items of a list of limits. */
static void put_limits(struct jsonw *w)
{
    put_number(w, "maxItems", WINDOWS);
    key_object(w, "items");
    put_pair(w, "type", "object");
    put_members(w, admin_limit_fields);
    jsonw_object_end(w);
}

/* The schema of a member or parameter, its type apart. */
static void put_bounds(struct jsonw *w, const struct admin_field *f)
{
    static const char *const flag_words[] = {"1", "0", "true", "false", NULL};
    switch (f->type) {
    case ADMIN_EMAIL:
    case ADMIN_NAME:
        if (f->type == ADMIN_EMAIL) put_pair(w, "format", "email");
        put_number(w, "minLength", 1);
        put_number(w, "maxLength", STORE_NAME_MAX - 1);
        break;
    case ADMIN_WORD: put_words(w, f->words, f->nullable); break;
    case ADMIN_TIME: put_pair(w, "format", "date-time"); break;
    case ADMIN_SPAN: put_pair(w, "pattern", "^[0-9]+[smhd]$"); break;
    case ADMIN_POLICY: put_members(w, admin_policy_fields); break;
    case ADMIN_GLOBS: put_names(w, ADMIN_GLOB_MAX); break;
    case ADMIN_REGIONS: put_names(w, POLICY_REGION_MAX - 1); break;
    case ADMIN_LIMITS: put_limits(w); break;
    case ADMIN_MONEY:
        put_pair(w, "pattern", f->is_signed ? "^-?(0|[1-9][0-9]*)(\\.[0-9]{1,9})?$"
                                            : "^(0|[1-9][0-9]*)(\\.[0-9]{1,9})?$");
        break;
    case ADMIN_FLAG: put_words(w, flag_words, false); break;
    case ADMIN_RATE:
        put_number(w, "minimum", 1);
        put_number(w, "maximum", UINT32_MAX);
        break;
    case ADMIN_SHARE:
        put_number(w, "minimum", 0);
        put_number(w, "maximum", 1);
        break;
    case ADMIN_COUNT:
        put_number(w, "minimum", 1);
        put_number(w, "maximum", f->high);
        put_number(w, "default", f->otherwise);
        break;
    case ADMIN_GROUPS:
        key_object(w, "items");
        put_pair(w, "type", "string");
        put_words(w, admin_group_names, false);
        jsonw_object_end(w);
        break;
    case ADMIN_BOOL:
    case ADMIN_ID:
    case ADMIN_ROW:
    case ADMIN_CREDIT:
        break;
    }
}

static const char *field_type(const struct admin_field *f)
{
    switch (f->type) {
    case ADMIN_POLICY: return "object";
    case ADMIN_COUNT:
    case ADMIN_RATE: return "integer";
    case ADMIN_GLOBS:
    case ADMIN_REGIONS:
    case ADMIN_LIMITS:
    case ADMIN_GROUPS: return "array";
    case ADMIN_SHARE: return "number";
    case ADMIN_BOOL: return "boolean";
    default: return "string";
    }
}

static bool is_taken(const struct admin_field *f)
{
    return !f->refused && !f->later;
}

/* The members of an object, their types included: all that it may have. */
static void put_members(struct jsonw *w, const struct admin_field *list)
{
    jsonw_key(w, "additionalProperties");
    jsonw_bool(w, false);
    key_object(w, "properties");
    for (const struct admin_field *f = list; f->name; f++) {
        if (!is_taken(f)) continue;
        key_object(w, f->name);
        put_type(w, field_type(f), f->nullable);
        put_pair(w, "description", f->about);
        put_bounds(w, f);
        jsonw_object_end(w);
    }
    jsonw_object_end(w);
    jsonw_key(w, "required");
    jsonw_array(w);
    for (const struct admin_field *f = list; f->name; f++) {
        if (f->required) jsonw_text(w, f->name);
    }
    jsonw_array_end(w);
}

static void put_body(struct jsonw *w, const struct admin_field *list)
{
    bool required = false;
    for (const struct admin_field *f = list; f->name; f++) required |= f->required;
    key_object(w, "requestBody");
    jsonw_key(w, "required");
    jsonw_bool(w, required);
    key_object(w, "content");
    key_object(w, "application/json");
    key_object(w, "schema");
    put_pair(w, "type", "object");
    put_members(w, list);
    for (int i = 0; i < 4; i++) jsonw_object_end(w);
}

/* in: "query" or "path". about may be NULL. */
static void parameter_begins(struct jsonw *w, struct bytes name, const char *in,
                             const char *about)
{
    jsonw_object(w);
    jsonw_key(w, "name");
    jsonw_string(w, name);
    put_pair(w, "in", in);
    if (about) put_pair(w, "description", about);
    jsonw_key(w, "required");
    jsonw_bool(w, in[0] == 'p');
}

static void put_parameters(struct jsonw *w, const struct admin_route *r)
{
    struct bytes left = bytes_of(r->pattern);
    jsonw_key(w, "parameters");
    jsonw_array(w);
    while (bytes_find(left, '{') < left.len) {
        bytes_cut(&left, bytes_find(left, '{') + 1);
        parameter_begins(w, bytes_cut(&left, bytes_find(left, '}')), "path", NULL);
        key_object(w, "schema");
        put_pair(w, "type", "string");
        jsonw_object_end(w);
        jsonw_object_end(w);
    }
    for (const struct admin_field *f = r->query; f && f->name; f++) {
        if (!is_taken(f)) continue;
        parameter_begins(w, bytes_of(f->name), "query", f->about);
        if (f->type == ADMIN_GROUPS) {
            put_pair(w, "style", "form");
            jsonw_key(w, "explode");
            jsonw_bool(w, false);
        }
        key_object(w, "schema");
        put_type(w, field_type(f), false);
        put_bounds(w, f);
        jsonw_object_end(w);
        jsonw_object_end(w);
    }
    if (r->method == HTTP_POST && r->needs == NEEDS_WRITE) {
        parameter_begins(w, BYTES("Idempotency-Key"), "header",
                         "the same again within 24 hours answers as before");
        key_object(w, "schema");
        put_pair(w, "type", "string");
        put_number(w, "maxLength", ADMIN_IDEM_KEY_MAX);
        jsonw_object_end(w);
        jsonw_object_end(w);
    }
    jsonw_array_end(w);
}

/* ---- what they answer ---- */

/* answer as struct admin_route has it. */
static void put_answer_schema(struct jsonw *w, const char *answer)
{
    struct bytes name = bytes_of(answer);
    bool is_list = answer[0] == '[' || answer[0] == '{';
    if (!is_list) {
        put_ref(w, name);
        return;
    }
    put_pair(w, "type", "object");
    key_object(w, "properties");
    key_object(w, "data");
    put_pair(w, "type", "array");
    key_object(w, "items");
    put_ref(w, name);
    jsonw_object_end(w);
    jsonw_object_end(w);
    if (answer[0] == '[') {
        key_object(w, "has_more");
        put_pair(w, "type", "boolean");
        jsonw_object_end(w);
    }
    jsonw_object_end(w);
}

static void put_answer(struct jsonw *w, const struct admin_route *r, unsigned status,
                       const char *about)
{
    char text[16];
    bool is_json = r->answer[0] != '-';
    snprintf(text, sizeof(text), "%u", status);
    key_object(w, text);
    put_pair(w, "description", about);
    key_object(w, "content");
    key_object(w, is_json ? "application/json" : "text/event-stream");
    if (is_json) {
        key_object(w, "schema");
        put_answer_schema(w, r->answer);
        jsonw_object_end(w);
    }
    for (int i = 0; i < 3; i++) jsonw_object_end(w);
}

static void put_answers(struct jsonw *w, const struct admin_route *r)
{
    key_object(w, "responses");
    put_answer(w, r, r->success, "done");
    if (r->again) put_answer(w, r, r->again, "it was done before");
    key_object(w, "default");
    put_pair(w, "$ref", "#/components/responses/Error");
    jsonw_object_end(w);
    jsonw_object_end(w);
}

static const char *method_key(enum http_method method)
{
    switch (method) {
    case HTTP_POST: return "post";
    case HTTP_PUT: return "put";
    case HTTP_PATCH: return "patch";
    case HTTP_DELETE: return "delete";
    default: return "get";
    }
}

/* "get /admin/v1/units/{id}" as "get_units_id". */
static void put_operation_id(struct jsonw *w, const struct admin_route *r)
{
    char id[96];
    size_t len = (size_t)snprintf(id, sizeof(id), "%s", method_key(r->method));
    for (const char *at = r->pattern + strlen("/admin/v1"); *at; at++) {
        bool is_word = (*at >= 'a' && *at <= 'z') || *at == '/' || *at == '.';
        if (is_word && len + 1 < sizeof(id)) id[len++] = *at >= 'a' ? *at : '_';
    }
    jsonw_key(w, "operationId");
    jsonw_string(w, (struct bytes){id, len});
}

/* A body that is not of ours: any JSON object. */
static void put_whole(struct jsonw *w)
{
    key_object(w, "requestBody");
    key_object(w, "content");
    key_object(w, "application/json");
    key_object(w, "schema");
    put_pair(w, "type", "object");
    for (int i = 0; i < 4; i++) jsonw_object_end(w);
}

static void put_paths(struct jsonw *w)
{
    const char *open = NULL;
    for (size_t i = 0; i < admin_route_count; i++) {
        const struct admin_route *r = &admin_routes[i];
        if (r->state == ROUTE_LATER) continue;
        bool same = open && strcmp(open, r->pattern) == 0;
        if (open && !same) jsonw_object_end(w);
        if (!same) key_object(w, r->pattern);
        open = r->pattern;
        key_object(w, method_key(r->method));
        put_operation_id(w, r);
        put_pair(w, "summary", r->summary);
        put_parameters(w, r);
        if (r->body) put_body(w, r->body);
        if (r->whole) put_whole(w);
        put_answers(w, r);
        jsonw_object_end(w);
    }
    if (open) jsonw_object_end(w);
}

static void put_components(struct jsonw *w)
{
    static const char error[] =
        "{\"Error\":{\"description\":\"refused\",\"content\":{\"application/json\":{\"schema\":"
        "{\"type\":\"object\",\"properties\":{\"error\":{\"type\":\"object\",\"properties\":"
        "{\"code\":{\"type\":\"string\"},\"message\":{\"type\":\"string\"},\"pointer\":"
        "{\"type\":\"string\",\"description\":\"JSON pointer into the request\"}},"
        "\"required\":[\"code\",\"message\"]}},\"required\":[\"error\"]}}}}}";
    key_object(w, "components");
    key_object(w, "securitySchemes");
    key_object(w, "admin_token");
    put_pair(w, "type", "http");
    put_pair(w, "scheme", "bearer");
    jsonw_object_end(w);
    jsonw_object_end(w);
    key_object(w, "schemas");
    for (size_t i = 0; i < COUNT(schemas); i++) put_schema(w, &schemas[i]);
    jsonw_object_end(w);
    jsonw_key(w, "responses");
    jsonw_raw(w, (struct bytes){error, sizeof(error) - 1});
    jsonw_object_end(w);
}

void admin_put_openapi(struct jsonw *w)
{
    jsonw_object(w);
    put_pair(w, "openapi", "3.1.0");
    key_object(w, "info");
    put_pair(w, "title", "Weir admin API");
    put_pair(w, "version", WEIR_VERSION);
    jsonw_object_end(w);
    jsonw_key(w, "security");
    jsonw_raw(w, BYTES("[{\"admin_token\":[]}]"));
    key_object(w, "paths");
    put_paths(w);
    jsonw_object_end(w);
    put_components(w);
    jsonw_object_end(w);
}
