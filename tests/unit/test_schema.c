/* test_schema.c - Gemini's schemas as JSON Schema, wherever they lie. */
#include "net/translate/schema.h"
#include "net/translate/walk.h"
#include "tr_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct { const char *gemini, *json; } cases[] = {
    {"{\"type\":\"OBJECT\",\"properties\":{\"a\":{\"type\":\"STRING\",\"description\":\"x\"},"
     "\"type\":{\"type\":\"INTEGER\",\"format\":\"int32\"}},\"required\":[\"a\"],"
     "\"propertyOrdering\":[\"a\",\"type\"]}",
     "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"description\":\"x\"},"
     "\"type\":{\"type\":\"integer\"}},\"required\":[\"a\"]}"},
    {"{\"nullable\":true,\"type\":\"STRING\",\"format\":\"enum\",\"enum\":[\"a\",\"b\"]}",
     "{\"type\":[\"string\",\"null\"],\"enum\":[\"a\",\"b\",null]}"},
    {"{\"type\":\"STRING\",\"enum\":[\"a\",null],\"nullable\":true,\"format\":\"date-time\"}",
     "{\"type\":[\"string\",\"null\"],\"enum\":[\"a\",null],\"format\":\"date-time\"}"},
    {"{\"nullable\":false,\"type\":\"NUMBER\"}", "{\"type\":\"number\"}"},
    {"{\"anyOf\":[{\"type\":\"BOOLEAN\"},{\"type\":\"NULL\"}]}",
     "{\"anyOf\":[{\"type\":\"boolean\"},{\"type\":\"null\"}]}"},
    {"{\"any_of\":[{\"type\":\"NUMBER\"}],\"nullable\":true}",
     "{\"anyOf\":[{\"type\":\"number\"},{\"type\":\"null\"}]}"},
    {"{\"type\":\"ARRAY\",\"items\":{\"type\":\"STRING\",\"minLength\":\"1\",\"max_length\":9},"
     "\"min_items\":\"2\",\"maxItems\":\"x\"}",
     "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":9},"
     "\"minItems\":2,\"maxItems\":\"x\"}"},
    {"{\"ref\":\"#/$defs/a\",\"defs\":{\"a\":{\"type\":\"TYPE_UNSPECIFIED\"}},\"example\":1,"
     "\"default\":null,\"items\":null}",
     "{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{}},\"default\":null}"},
    /* JSON Schema stays what it is; what stands as a value is no schema. */
    {"{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"type\":[\"string\",\"null\"],"
     "\"const\":{\"type\":\"OBJECT\"},\"additionalProperties\":false,\"prefixItems\":[true]}",
     NULL},
    {"true", NULL}, {"[{\"type\":\"OBJECT\"}]", NULL}, {"{}", NULL},
    {"{\"type\":\"object\",\"properties\":{\"a\\\"b\":{\"type\":\"string\"}}}", NULL},
    {"{\"properties\":[1],\"anyOf\":{},\"enum\":{},\"type\":{\"x\":1}}", NULL},
};

typedef void put_schema(struct pen *p, const struct walk *w, struct node schema);

static void check(const char *gemini, const char *want, size_t step, put_schema *put)
{
    struct kit_pieces pieces;
    struct walk_source source = kit_pieces(&pieces, bytes_of(gemini), step);
    struct kit_pen k;
    struct node root;
    struct walk w;
    assert_true(walk_open(&w, &source, NULL, &root));
    kit_pen(&k, 0, NULL);
    put(&k.pen, &w, root);
    struct bytes out = kit_pen_text(&k);
    if (out.len != strlen(want) || memcmp(out.ptr, want, out.len) != 0) {
        fprintf(stderr, "%s\n%.*s\n%s\n", gemini, (int)out.len, out.ptr, want);
        fail();
    }
    assert_true(kit_is_json(out));
    kit_pen_free(&k);
    kit_pieces_free(&pieces);
}

static void test_schemas(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *want = cases[i].json ? cases[i].json : cases[i].gemini;
        for (size_t step = 0; step < 12; step++) check(cases[i].gemini, want, step, schema_put);
        /* Once is enough. */
        for (size_t step = 0; step < 3; step++) check(want, want, step, schema_put);
    }
}

/* Deeper than SCHEMA_DEPTH_MAX all stays as it is, and the pen's own depth is not reached. */
static void test_depth(void **state)
{
    (void)state;
    enum { LEVELS = SCHEMA_DEPTH_MAX + 5 };
    char gemini[LEVELS * 40] = "", want[LEVELS * 40] = "";
    size_t a = 0, b = 0;
    for (size_t i = 0; i < LEVELS; i++) {
        const char *type = i <= SCHEMA_DEPTH_MAX ? "array" : "ARRAY";
        a += (size_t)snprintf(gemini + a, sizeof gemini - a, "{\"type\":\"ARRAY\",\"items\":");
        b += (size_t)snprintf(want + b, sizeof want - b, "{\"type\":\"%s\",\"items\":", type);
    }
    a += (size_t)snprintf(gemini + a, sizeof gemini - a, "{}");
    b += (size_t)snprintf(want + b, sizeof want - b, "{}");
    memset(gemini + a, '}', LEVELS);
    memset(want + b, '}', LEVELS);
    check(gemini, want, 0, schema_put);
    check(gemini, want, 7, schema_put);
}

/* For who must be told that a tool's parameters are an object. */
static void test_object(void **state)
{
    (void)state;
    for (size_t step = 0; step < 12; step++) {
        check("{\"properties\":{\"type\":{\"properties\":{}}}}",
              "{\"type\":\"object\",\"properties\":{\"type\":{\"properties\":{}}}}", step,
              schema_put_object);
        check("{\"type\":\"OBJECT\"}", "{\"type\":\"object\"}", step, schema_put_object);
        check("{\"type\":[\"object\"]}", "{\"type\":[\"object\"]}", step, schema_put_object);
    }
}

/* For who takes no bounds, and no objects that may hold more than they say. */
static void test_closed(void **state)
{
    (void)state;
    static const struct { const char *schema, *closed; } closed[] = {
        {"{\"type\":\"OBJECT\",\"properties\":{\"minimum\":{\"type\":"
         "\"INTEGER\",\"minimum\":1,\"maximum\":\"5\"},\"b\":{\"type\":\"object\","
         "\"additionalProperties\":{}}}}",
         "{\"type\":\"object\",\"properties\":{\"minimum\":{\"type\":\"integer\"},"
         "\"b\":{\"type\":\"object\",\"additionalProperties\":{}}},"
         "\"additionalProperties\":false}"},
        {"{\"type\":\"array\",\"minItems\":2,\"max_items\":3,\"items\":{\"properties\":{}}}",
         "{\"type\":\"array\",\"items\":{\"properties\":{},"
         "\"additionalProperties\":false}}"},
        {"{\"type\":\"array\",\"minItems\":1,\"uniqueItems\":true,\"items\":{\"type\":"
         "\"string\",\"maxLength\":3,\"pattern\":\"a\"}}",
         "{\"type\":\"array\",\"minItems\":1,\"items\":{\"type\":\"string\","
         "\"pattern\":\"a\"}}"},
    };
    for (size_t i = 0; i < COUNT(closed); i++) {
        for (size_t step = 0; step < 12; step++) {
            check(closed[i].schema, closed[i].closed, step, schema_put_closed);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schemas),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_object),
        cmocka_unit_test(test_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
