/* name.c - tools whose names, or kinds, only Responses has: namespaces, and tools that take any
 * text. Other dialects are given flat names and functions; of the way back only what cannot be
 * told from a name is noted, an entry each:
 *   kind, length, length, bytes, bytes
 * Rule: a flat name is made of space and name alone, so that the same tool has the same name in
 * every request. */
#include "net/translate/ask.h"
#include "net/translate/tell.h"

enum kind {
    SPACE = 's',    /* names that begin with it and "__" are in it */
    MADE = 'm',     /* space and name, which did not fit: the flat name is made of them */
    PLAIN = 'p',    /* a name in no space, though it looks like one */
    CUSTOM = 'c',   /* a flat name: the tool takes any text */
};
enum { ENTRY = 3, PART_MAX = 200 };

struct entry { uint8_t kind; struct bytes first, second; };

static const struct bytes joint = BYTES_INIT("__");

/* Between a namespace and a name; Codex's namespaces end in it themselves. */
static struct bytes joint_of(struct bytes space)
{
    bool there = space.len >= joint.len &&
                 bytes_starts((struct bytes){space.ptr + space.len - joint.len, joint.len},
                              joint);
    return there ? (struct bytes){0} : joint;
}

static bool is_letter(char c)
{
    return (c >= '0' && c <= '9') || (byte_lower(c) >= 'a' && byte_lower(c) <= 'z') ||
           c == '_' || c == '-';
}

/* FNV-1a: nobody is to find two names with one hash by chance. */
static uint64_t mix(uint64_t hash, struct bytes b)
{
    for (size_t i = 0; i < b.len; i++) {
        hash = (hash ^ (unsigned char)b.ptr[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

/* Does it fit as it is? */
static bool fits(struct bytes space, struct bytes name)
{
    size_t len = space.len + joint_of(space).len + name.len;
    bool right = space.ptr && name.ptr && len <= TELL_FLAT_MAX;
    for (size_t i = 0; right && i < space.len; i++) right = is_letter(space.ptr[i]);
    for (size_t i = 0; right && i < name.len; i++) right = is_letter(name.ptr[i]);
    return right;
}

struct bytes tell_flat(struct bytes space, struct bytes name, char room[TELL_FLAT_MAX])
{
    enum { DIGITS = 16, KEPT = TELL_FLAT_MAX - DIGITS - 1 };
    struct bytes parts[] = {space, joint_of(space), name};
    bool whole = fits(space, name);
    size_t max = whole ? TELL_FLAT_MAX : KEPT, n = 0;
    for (size_t i = 0; i < COUNT(parts); i++) {
        for (size_t k = 0; k < parts[i].len && n < max; k++) {
            room[n++] = is_letter(parts[i].ptr[k]) ? parts[i].ptr[k] : '_';
        }
    }
    if (!whole) {
        uint64_t hash = UINT64_C(0xcbf29ce484222325);
        hash = mix(mix(mix(hash, space), BYTES("\n")), name);
        room[n++] = '_';
        for (int i = 0; i < DIGITS; i++) room[n++] = "0123456789abcdef"[hash >> 4 * i & 15];
    }
    assert(n <= TELL_FLAT_MAX);
    return (struct bytes){room, n};
}

/* Of names that nobody gives a tool the beginning must do: note_tool() refuses those. */
static struct walk_span first_of(struct walk_span s)
{
    if (s.end - s.start > PART_MAX) s.end = s.start + PART_MAX;
    return s;
}

void ask_put_name(struct pen *p, const struct walk *w, struct walk_span space,
                  struct walk_span name)
{
    char one[PART_MAX], two[PART_MAX], flat[TELL_FLAT_MAX];
    if (!walk_has(space)) {
        pen_span(p, w, name);
        return;
    }
    struct bytes a = walk_bytes(w, first_of(space), one, sizeof one);
    struct bytes b = walk_bytes(w, first_of(name), two, sizeof two);
    pen_string(p, tell_flat(a, b, flat));
    explicit_bzero(one, sizeof one);
    explicit_bzero(two, sizeof two);
    explicit_bzero(flat, sizeof flat);
}

void ask_put_custom_schema(struct pen *p)
{
    pen_value(p, BYTES("{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\"}},"
                       "\"required\":[\"input\"],\"additionalProperties\":false}"));
}

/* ---- what is noted ---- */

/* The next entry. False: that was the last. */
static bool entry_next(struct bytes *in, struct entry *e)
{
    if (in->len == 0) return false;
    assert(in->len >= ENTRY);
    struct bytes head = bytes_cut(in, ENTRY);
    *e = (struct entry){.kind = (uint8_t)head.ptr[0]};
    e->first = bytes_cut(in, (unsigned char)head.ptr[1]);
    e->second = bytes_cut(in, (unsigned char)head.ptr[2]);
    return true;
}

static bool is_noted(const struct tell_facts *f, struct entry what)
{
    struct bytes in = {f->names, f->names_len};
    struct entry e;
    while (entry_next(&in, &e)) {
        if (e.kind == what.kind && bytes_eq(e.first, what.first) &&
            bytes_eq(e.second, what.second)) return true;
    }
    return false;
}

static bool note(struct tell_facts *f, struct entry e)
{
    size_t len = ENTRY + e.first.len + e.second.len;
    if (is_noted(f, e)) return true;
    if (e.first.len > PART_MAX || e.second.len > PART_MAX) return false;
    if (len > sizeof f->names - f->names_len) return false;
    char *at = f->names + f->names_len;
    *at++ = (char)e.kind;
    *at++ = (char)e.first.len;
    *at++ = (char)e.second.len;
    memcpy(at, e.first.ptr, e.first.len);
    if (e.second.len > 0) memcpy(at + e.first.len, e.second.ptr, e.second.len);
    f->names_len = (uint16_t)(f->names_len + len);
    return true;
}

/* The longest space that a flat name begins with. Gives bytes of it and the joint; 0: none. */
static size_t space_of(const struct tell_facts *f, struct bytes flat, struct bytes *space)
{
    struct bytes in = {f->names, f->names_len};
    struct entry e;
    size_t best = 0;
    while (entry_next(&in, &e)) {
        size_t len = e.first.len + joint_of(e.first).len;
        if (e.kind != SPACE || len <= best || len >= flat.len) continue;
        struct bytes rest = {flat.ptr + e.first.len, flat.len - e.first.len};
        if (!bytes_starts(flat, e.first) || !bytes_starts(rest, joint_of(e.first))) continue;
        best = len;
        *space = e.first;
    }
    return best;
}

/* A tool's own words; both are set where they are short enough. */
static bool note_tool(struct tell_facts *f, const struct ask_tool *tool, struct bytes space,
                      struct bytes name, bool plain)
{
    char room[TELL_FLAT_MAX];
    struct bytes other;
    struct bytes flat = space.len > 0 ? tell_flat(space, name, room) : name;
    if (plain) {
        bool alike = space.len == 0 && space_of(f, name, &other) > 0;
        return !alike || note(f, (struct entry){PLAIN, name, {0}});
    }
    if (space.len > 0 && !note(f, fits(space, name) ? (struct entry){SPACE, space, {0}}
                                                    : (struct entry){MADE, space, name})) {
        return false;
    }
    return tool->kind != ASK_CUSTOM || note(f, (struct entry){CUSTOM, flat, {0}});
}

/* One pass over the tools: of what is special, or of the plain ones that look so. */
static bool note_pass(struct ask *a, struct tell_facts *f, bool plain)
{
    char one[PART_MAX], two[PART_MAX];
    struct ask_tool tool;
    bool right = true;
    ask_tools(a);
    while (right && ask_tool(a, &tool)) {
        bool special = walk_has(tool.space) || tool.kind == ASK_CUSTOM;
        if (tool.kind == ASK_HOSTED || (!plain && !special)) continue;
        struct bytes space = {0}, name = walk_bytes(&a->walk, tool.name, two, sizeof two);
        if (walk_has(tool.space)) space = walk_bytes(&a->walk, tool.space, one, sizeof one);
        right = (name.ptr && (space.ptr || !walk_has(tool.space)))
                    ? note_tool(f, &tool, space, name, plain) : plain;
    }
    explicit_bzero(one, sizeof one);
    explicit_bzero(two, sizeof two);
    return right;
}

bool tell_note_names(struct ask *a, struct tell_facts *facts)
{
    facts->names_len = 0;
    bool right = note_pass(a, facts, false);
    if (right && facts->names_len > 0) right = note_pass(a, facts, true);
    if (right) return true;
    ask_blame(a, "/tools", "the names of namespaces and custom tools are too many, or too long,"
                           " for another dialect than Responses");
    a->unsayable = true;
    return false;
}

struct tell_name tell_name(const struct tell_facts *facts, struct bytes flat)
{
    struct bytes in = {facts->names, facts->names_len};
    struct tell_name n = {.name = flat};
    char room[TELL_FLAT_MAX];
    struct entry e;
    if (in.len == 0) return n;
    bool plain = false;
    while (entry_next(&in, &e)) {
        if (e.kind == CUSTOM && bytes_eq(e.first, flat)) n.custom = true;
        if (e.kind == PLAIN && bytes_eq(e.first, flat)) plain = true;
        if (e.kind == MADE && bytes_eq(tell_flat(e.first, e.second, room), flat)) {
            n.space = e.first;
            n.name = e.second;
        }
    }
    if (plain || n.space.len > 0) return n;
    size_t len = space_of(facts, flat, &n.space);
    n.name = (struct bytes){flat.ptr + len, flat.len - len};
    return n;
}
