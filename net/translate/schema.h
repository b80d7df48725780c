/* schema.h - Gemini's own form of schemas, an excerpt of OpenAPI 3.0, as JSON Schema. The
 * other way needs nothing: Gemini takes JSON Schema as it stands (parametersJsonSchema,
 * responseJsonSchema). */
#ifndef NET_TRANSLATE_SCHEMA_H
#define NET_TRANSLATE_SCHEMA_H

#include "net/translate/base.h"

/* Write a schema of Gemini's as JSON Schema: types in small letters, nullable as a type,
 * counts that proto JSON writes as strings as numbers; propertyOrdering, example and formats
 * that only say how a number is stored are left out. What it does not know, and what is nested
 * deeper than SCHEMA_DEPTH_MAX, stays as it is. */
void schema_put(struct pen *p, const struct walk *w, struct node schema);
/* The same for a tool's parameters, where they must be an object: it says so if no type is. */
void schema_put_object(struct pen *p, const struct walk *w, struct node schema);
/* The same of either form, for who takes no bounds (minimum, maxLength ...) and must be told
 * that an object has no other members than it names: Anthropic's schemas of answers. */
void schema_put_closed(struct pen *p, const struct walk *w, struct node schema);

enum { SCHEMA_DEPTH_MAX = 24 };

#endif
