/* schema.c - Gemini's schemas as JSON Schema; see schema.h.
 * Model: a schema is an object whose members are words (type, format ...), schemas (items),
 * lists of schemas (anyOf), maps of them (properties), or anything (enum, default). Each is
 * looked at twice: whether it may be null must be known before its type is written.
 * Rule: JSON Schema that comes by stays what it was. */
#include "net/translate/pen.h"
#include "net/translate/schema.h"
#include "net/translate/walk.h"

enum form { ANYTHING, SCHEMA, SCHEMAS, SCHEMA_MAP, TYPE, FORMAT, COUNT_OF, ENUM, LEFT_OUT };

struct member { struct bytes name, to; enum form form; };

struct at {
    uint8_t depth;
    bool closed;             /* for schema_put_closed() */
    bool object;             /* for schema_put_object(), at the root */
};

#define SAME(name, form) {BYTES_INIT(name), BYTES_INIT(name), form}
#define BOTH(snake, camel, form) {BYTES_INIT(snake), BYTES_INIT(camel), form}, SAME(camel, form)
static const struct member members[] = {
    SAME("type", TYPE), SAME("format", FORMAT), SAME("enum", ENUM),
    SAME("items", SCHEMA), SAME("properties", SCHEMA_MAP), SAME("nullable", LEFT_OUT),
    SAME("example", LEFT_OUT), SAME("not", SCHEMA), SAME("oneOf", SCHEMAS),
    SAME("allOf", SCHEMAS), SAME("$defs", SCHEMA_MAP), SAME("definitions", SCHEMA_MAP),
    BOTH("any_of", "anyOf", SCHEMAS), BOTH("prefix_items", "prefixItems", SCHEMAS),
    BOTH("property_ordering", "propertyOrdering", LEFT_OUT),
    BOTH("additional_properties", "additionalProperties", SCHEMA),
    BOTH("min_items", "minItems", COUNT_OF), BOTH("max_items", "maxItems", COUNT_OF),
    BOTH("min_length", "minLength", COUNT_OF), BOTH("max_length", "maxLength", COUNT_OF),
    BOTH("min_properties", "minProperties", COUNT_OF),
    BOTH("max_properties", "maxProperties", COUNT_OF),
    {BYTES_INIT("defs"), BYTES_INIT("$defs"), SCHEMA_MAP},
    {BYTES_INIT("ref"), BYTES_INIT("$ref"), ANYTHING},
};

enum { NAME_MAX_BYTES = 64 };

/* What a member is; NULL: nothing that is known. */
static const struct member *member_of(struct bytes name)
{
    for (size_t i = 0; i < COUNT(members); i++) {
        if (bytes_eq(members[i].name, name)) return &members[i];
    }
    return NULL;
}

/* Is a string one of those formats that only Gemini knows? */
static bool is_storage(const struct walk *w, struct node format)
{
    static const struct bytes words[] = {BYTES_INIT("enum"), BYTES_INIT("int32"),
        BYTES_INIT("int64"), BYTES_INIT("float"), BYTES_INIT("double")};
    return walk_word(w, format, words, COUNT(words)) < COUNT(words);
}

static void put_type(struct pen *p, const struct walk *w, struct node type, bool nullable)
{
    static const struct bytes words[] = {BYTES_INIT("STRING"), BYTES_INIT("NUMBER"),
        BYTES_INIT("INTEGER"), BYTES_INIT("BOOLEAN"), BYTES_INIT("ARRAY"),
        BYTES_INIT("OBJECT"), BYTES_INIT("NULL")};
    static const struct bytes types[] = {BYTES_INIT("string"), BYTES_INIT("number"),
        BYTES_INIT("integer"), BYTES_INIT("boolean"), BYTES_INIT("array"),
        BYTES_INIT("object"), BYTES_INIT("null")};
    static_assert(COUNT(words) == COUNT(types), "one each");
    if (type.type != JSON_STRING) {
        pen_node(p, w, type);
        return;
    }
    size_t i = walk_word(w, type, words, COUNT(words));
    if (nullable) pen_array(p);
    if (i < COUNT(words)) pen_string(p, types[i]);
    else pen_node(p, w, type);
    if (nullable) {
        pen_string(p, BYTES("null"));
        pen_array_end(p);
    }
}

/* A list as it is, and null as its last element. */
static void put_enum(struct pen *p, const struct walk *w, struct node list, bool nullable)
{
    struct walk_each e;
    struct node key, value;
    if (!nullable || list.type != JSON_ARRAY) {
        pen_node(p, w, list);
        return;
    }
    bool has_null = false;
    pen_array(p);
    walk_begin(w, list, &e);
    while (walk_next(&e, &key, &value)) {
        pen_node(p, w, value);
        has_null = has_null || value.type == JSON_NULL;
    }
    if (!has_null) pen_null(p);
    pen_array_end(p);
}

/* A count: "3" is 3. */
static void put_count(struct pen *p, const struct walk *w, struct node n)
{
    char room[20];
    uint64_t value;
    struct bytes text = walk_bytes(w, walk_inside(n), room, sizeof room);
    if (n.type == JSON_STRING && text.ptr && bytes_u64(text, &value) && value <= INT64_MAX) {
        pen_int(p, (int64_t)value);
    } else {
        pen_node(p, w, n);
    }
}

static struct at deeper(struct at at)
{
    at.depth++;
    at.object = false;
    return at;
}

static void put(struct pen *p, const struct walk *w, struct node schema, struct at at);

/* A list of schemas; null: and one more, for null. */
static void put_list(struct pen *p, const struct walk *w, struct node list, bool null,
                     struct at at)
{
    struct walk_each e;
    struct node key, value;
    if (list.type != JSON_ARRAY) {
        pen_node(p, w, list);
        return;
    }
    pen_array(p);
    walk_begin(w, list, &e);
    while (walk_next(&e, &key, &value)) put(p, w, value, deeper(at));
    if (null) pen_value(p, BYTES("{\"type\":\"null\"}"));
    pen_array_end(p);
}

static void put_map(struct pen *p, const struct walk *w, struct node map, struct at at)
{
    struct walk_each e;
    struct node key, value;
    if (map.type != JSON_OBJECT) {
        pen_node(p, w, map);
        return;
    }
    pen_object(p);
    walk_begin(w, map, &e);
    while (walk_next(&e, &key, &value)) {
        pen_key_span(p, w, walk_inside(key));
        put(p, w, value, deeper(at));
    }
    pen_object_end(p);
}

/* What of a schema must be known before any of it is written. */
struct look {
    bool nullable, typed;
    bool open;               /* an object that does not say what else may be in it */
    bool untyped;            /* it has no type at all */
};

static struct look look_at(const struct walk *w, struct node schema)
{
    static const struct bytes names[] = {BYTES_INIT("nullable"), BYTES_INIT("type"),
        BYTES_INIT("properties"), BYTES_INIT("additionalProperties"),
        BYTES_INIT("additional_properties")};
    struct node v[COUNT(names)];
    walk_members(w, schema, names, COUNT(names), v);
    bool object = v[2].type == JSON_OBJECT ||
                  walk_is(w, walk_inside(v[1]), BYTES("object")) ||
                  walk_is(w, walk_inside(v[1]), BYTES("OBJECT"));
    return (struct look){
        .nullable = v[0].type == JSON_TRUE, .typed = v[1].type == JSON_STRING,
        .open = object && v[3].type == JSON_NONE && v[4].type == JSON_NONE,
        .untyped = v[1].type == JSON_NONE,
    };
}

/* Does it only bound what its type allows? */
static bool is_bound(const struct walk *w, struct bytes name, struct node value)
{
    static const struct bytes names[] = {
        BYTES_INIT("minimum"), BYTES_INIT("maximum"), BYTES_INIT("exclusiveMinimum"),
        BYTES_INIT("exclusiveMaximum"), BYTES_INIT("multipleOf"), BYTES_INIT("minLength"),
        BYTES_INIT("maxLength"), BYTES_INIT("maxItems"), BYTES_INIT("uniqueItems"),
        BYTES_INIT("minProperties"), BYTES_INIT("maxProperties"),
    };
    int64_t least;
    for (size_t i = 0; i < COUNT(names); i++) {
        if (bytes_eq(name, names[i])) return true;
    }
    return bytes_eq(name, BYTES("minItems")) && walk_int(w, value, &least) && least > 1;
}

/* Is there nothing to write for the member? */
static bool is_left_out(const struct walk *w, const struct member *m, struct node value)
{
    if (m->form == LEFT_OUT || value.type == JSON_NULL) return m->form != ANYTHING;
    if (m->form == FORMAT) return is_storage(w, value);
    return m->form == TYPE && walk_is(w, walk_inside(value), BYTES("TYPE_UNSPECIFIED"));
}

static void put_member(struct pen *p, const struct walk *w, const struct member *m,
                       struct node value, struct look look, struct at at)
{
    switch (m->form) {
    case SCHEMA: put(p, w, value, deeper(at)); break;
    case SCHEMAS:
        put_list(p, w, value, look.nullable && !look.typed &&
                              bytes_eq(m->to, BYTES("anyOf")), at);
        break;
    case SCHEMA_MAP: put_map(p, w, value, at); break;
    case TYPE: put_type(p, w, value, look.nullable); break;
    case ENUM: put_enum(p, w, value, look.nullable); break;
    case COUNT_OF: put_count(p, w, value); break;
    case FORMAT: case ANYTHING: case LEFT_OUT: pen_node(p, w, value); break;
    }
}

static void put(struct pen *p, const struct walk *w, struct node schema, struct at at)
{
    struct walk_each e;
    struct node key, value;
    if (schema.type != JSON_OBJECT || at.depth > SCHEMA_DEPTH_MAX) {
        pen_node(p, w, schema);
        return;
    }
    struct look look = look_at(w, schema);
    pen_object(p);
    if (at.object && look.untyped) pen_key(p, BYTES("type")), pen_string(p, BYTES("object"));
    walk_begin(w, schema, &e);
    while (walk_next(&e, &key, &value)) {
        char room[NAME_MAX_BYTES];
        struct bytes name = walk_bytes(w, walk_inside(key), room, sizeof room);
        const struct member *m = name.ptr ? member_of(name) : NULL;
        if (at.closed && is_bound(w, m ? m->to : name, value)) continue;
        if (!m) {
            pen_key_span(p, w, walk_inside(key));
            pen_node(p, w, value);
        } else if (!is_left_out(w, m, value)) {
            pen_key(p, m->to);
            put_member(p, w, m, value, look, at);
        }
    }
    if (at.closed && look.open) pen_key(p, BYTES("additionalProperties")), pen_bool(p, false);
    pen_object_end(p);
}

void schema_put(struct pen *p, const struct walk *w, struct node schema)
{
    assert(schema.type != JSON_NONE);
    put(p, w, schema, (struct at){0});
}

void schema_put_closed(struct pen *p, const struct walk *w, struct node schema)
{
    assert(schema.type != JSON_NONE);
    put(p, w, schema, (struct at){.closed = true});
}

void schema_put_object(struct pen *p, const struct walk *w, struct node schema)
{
    assert(schema.type != JSON_NONE);
    put(p, w, schema, (struct at){.object = true});
}
