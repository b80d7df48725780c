/* conf_hide.c - which parts of the file no diagnostic may show. Keys, tokens and header
 * values are secrets whether or not the setting around them is spelt right, so a name that
 * merely looks like theirs hides its value too; showing too little costs nothing. */
#include "engine/conf_parts.h"

static void hide(struct conf_reader *r, struct conf_mark from, struct conf_mark to)
{
    struct conf_span *s = conf_heap_take(&r->scratch, sizeof *s);
    if (!s) return;
    *s = (struct conf_span){from, to, r->hidden};
    r->hidden = s;
}

/* Does name contain word, in any case? */
static bool has(struct bytes name, const char *word)
{
    struct bytes w = bytes_of(word);
    for (size_t i = 0; i + w.len <= name.len; i++) {
        if (bytes_ieq((struct bytes){name.ptr + i, w.len}, w)) return true;
    }
    return false;
}

static bool names_secret(struct bytes name)
{
    enum { COUNTED = 1 };        /* max_tokens is a number, and no secret */
    static const char *const words[] = {"key", "token", "secret", "passw", "header",
                                        "credential", "authorization", "bearer"};
    static const char *const near[] = {"keys", "token", "headers", "api_key"};
    for (size_t i = 0; i < COUNT(words); i++) {
        if (has(name, words[i]) && !(i == COUNTED && has(name, "tokens"))) return true;
    }
    for (size_t i = 0; i < COUNT(near); i++) {
        if (conf_distance(name, bytes_of(near[i]), 2) <= 2) return true;
    }
    return false;
}

/* Nothing but one ${...}: that says where the secret is, not what it is. */
static bool is_reference(struct bytes text)
{
    return bytes_starts(text, BYTES("${")) && bytes_find(text, '}') + 1 == text.len;
}

void conf_hide_node(struct conf_reader *r, struct conf_node *n)
{
    n->secret = true;
    if (n->kind == CONF_SCALAR && !is_reference(n->raw)) hide(r, n->at, n->end);
    for (struct conf_node *c = n->first; c; c = c->next) conf_hide_node(r, c);
}

static bool is_one_of(struct bytes name, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes_eq(name, bytes_of(words[i]))) return true;
    }
    return false;
}

/* An entry by its name. limits.header and timeouts.header are a size and a time. */
static void hide_entry(struct conf_reader *r, struct conf_node *n, struct bytes section)
{
    static const char *const plain[] = {"limits", "timeouts"};
    if (is_one_of(section, plain, COUNT(plain))) return;
    if (names_secret(n->key->raw)) {
        conf_hide_node(r, n);
        return;
    }
    for (struct conf_node *c = n->first; c; c = c->next) {
        if (n->kind == CONF_MAP) hide_entry(r, c, n->key->raw);
        for (struct conf_node *d = c->first; n->kind == CONF_LIST && d; d = d->next) {
            if (c->kind == CONF_MAP) hide_entry(r, d, n->key->raw);
        }
    }
}

void conf_hide(struct conf_reader *r)
{
    assert(r->root);
    /* An alias may well be called "monkey"; what it holds are names of models. */
    for (struct conf_node *n = r->root->first; n; n = n->next) {
        if (r->root->kind == CONF_MAP && !bytes_eq(n->key->raw, BYTES("aliases"))) {
            hide_entry(r, n, (struct bytes){0});
        }
    }
}

/* ---- a text without a tree ---- */

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '_' || c == '-';
}

/* Where in line the value of a secret begins: behind the colon, which may be the end of the
 * line; SIZE_MAX where there is none. "? keys" (YAML's long form) has its colon on the next
 * line. */
static size_t secret_at(struct bytes line)
{
    bool long_form = bytes_starts(bytes_trim(line), BYTES("?"));
    for (size_t i = 0; i < line.len; i++) {
        size_t from = i;
        while (i < line.len && is_name_byte(line.ptr[i])) i++;
        struct bytes name = {line.ptr + from, i - from};
        if (!name.len || !names_secret(name)) continue;
        if (long_form) return i;
        size_t colon = i;
        while (colon < line.len && strchr("\"' \t", line.ptr[colon])) colon++;
        if (colon < line.len && line.ptr[colon] == ':') return colon + 1;
    }
    return SIZE_MAX;
}

static uint32_t characters(struct bytes text)
{
    uint32_t count = 0;
    for (size_t i = 0; i < text.len; i++) count += (text.ptr[i] & 0xC0) != 0x80;
    return count;
}

/* Change of the number of open brackets. */
static int64_t brackets(struct bytes text)
{
    int64_t open = 0;
    for (size_t i = 0; i < text.len; i++) {
        open += (text.ptr[i] == '[' || text.ptr[i] == '{');
        open -= (text.ptr[i] == ']' || text.ptr[i] == '}');
    }
    return open;
}

/* A value goes on over the lines that are indented deeper, that begin with '-' below its
 * name, or that a bracket left open on its first line still holds. */
void conf_hide_lines(struct conf_reader *r)
{
    struct bytes left = r->source;
    bool inside = false;
    size_t base = 0;             /* indentation of the name's line */
    int64_t open = 0;
    for (uint32_t number = 1; left.len; number++) {
        struct bytes line = conf_line_next(&left);
        struct bytes rest = bytes_trim(line);
        size_t indent = rest.len ? (size_t)(rest.ptr - line.ptr) : line.len;
        bool item = rest.len && strchr("-:", *rest.ptr);
        inside = inside && (open > 0 || !rest.len || indent > base ||
                            (indent == base && item));
        size_t from = inside ? 0 : secret_at(line);
        if (from == SIZE_MAX) continue;
        if (!inside) {
            base = indent;
            open = 0;
        }
        inside = true;
        open += brackets((struct bytes){line.ptr + from, line.len - from});
        uint32_t column = characters((struct bytes){line.ptr, from}) + 1;
        hide(r, (struct conf_mark){number, column}, (struct conf_mark){number + 1, 1});
    }
}
