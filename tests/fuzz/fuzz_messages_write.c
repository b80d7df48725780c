/* fuzz_messages_write.c - requests of other dialects as Anthropic's: whatever is asked, what is
 * written keeps the rules that Anthropic answers with 400 where they are broken: turns take
 * turns, results stand first, no text of blanks, ids of its letters, thoughts signed, a budget
 * below the limit, no sampling beside thinking, no thinking where a tool is forced.
 * The first three bytes: the dialect, the size of the pieces, what the model is like. */
#include "fuzz.h"
#include "net/json.h"
#include "net/translate/ask.h"
#include "tests/unit/tr_kit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { IN_MAX = 3000 };     /* fewer turns than messages_ask_write.c puts in order */

static struct node member(const struct walk *w, struct node object, struct bytes name)
{
    return walk_member(w, object, name);
}

static bool is(const struct walk *w, struct node n, struct bytes word)
{
    return n.type == JSON_STRING && walk_is(w, walk_inside(n), word);
}

static bool is_blank(const struct walk *w, struct node text)
{
    struct walk_span s = walk_inside(text);
    char room[8];
    while (walk_has(s)) {
        struct bytes c = walk_bytes(w, (struct walk_span){s.start, s.start + 1}, room, 1);
        bool escape = *c.ptr == '\\';
        if (escape) {
            c = walk_bytes(w, (struct walk_span){s.start + 1, s.start + 2}, room, 1);
            if (!memchr("ntr", *c.ptr, 3)) return false;
        } else if (*c.ptr != ' ') {
            return false;
        }
        s.start += escape ? 2 : 1;
    }
    return true;
}

static void check_id(const struct walk *w, struct node id)
{
    struct walk_span s = walk_inside(id);
    must(walk_has(s));
    for (; s.start < s.end; s.start++) {
        char room[1];
        char c = *walk_bytes(w, (struct walk_span){s.start, s.start + 1}, room, 1).ptr;
        char low = byte_lower(c);
        must((low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-');
    }
}

/* A block; results: only results stood before it in its message, if there were calls. Results
 * of nothing are the client's own mistake. */
static void check_block(const struct walk *w, struct node block, bool model, bool *results,
                        bool *called)
{
    struct node type = member(w, block, BYTES("type"));
    bool result = is(w, type, BYTES("tool_result"));
    if (is(w, type, BYTES("text"))) must(!is_blank(w, member(w, block, BYTES("text"))));
    if (is(w, type, BYTES("tool_use"))) {
        must(model);
        check_id(w, member(w, block, BYTES("id")));
        must(member(w, block, BYTES("input")).type == JSON_OBJECT);
        *called = true;
    } else if (result) {
        must(!model && (*results || !*called));
        check_id(w, member(w, block, BYTES("tool_use_id")));
    } else if (is(w, type, BYTES("thinking"))) {
        must(model && walk_has(walk_inside(member(w, block, BYTES("signature")))));
    } else if (is(w, type, BYTES("image")) || is(w, type, BYTES("document"))) {
        must(!model && member(w, block, BYTES("source")).type == JSON_OBJECT);
    }
    *results = *results && result;
}

static void check_messages(const struct walk *w, struct node messages)
{
    struct walk_each each, blocks;
    struct node key, message, block;
    int before = -1;
    bool called = false;
    must(messages.type == JSON_ARRAY);
    walk_begin(w, messages, &each);
    while (walk_next(&each, &key, &message)) {
        bool model = is(w, member(w, message, BYTES("role")), BYTES("assistant"));
        struct node content = member(w, message, BYTES("content"));
        bool results = true;
        must(model || is(w, member(w, message, BYTES("role")), BYTES("user")));
        must(before != model && walk_count(w, content) > 0);
        if (model) called = false;
        walk_begin(w, content, &blocks);
        while (walk_next(&blocks, &key, &block)) {
            check_block(w, block, model, &results, &called);
        }
        before = model;
    }
}

static void check_settings(const struct walk *w, struct node root, bool adaptive)
{
    struct node thinking = member(w, root, BYTES("thinking"));
    struct node type = member(w, thinking, BYTES("type"));
    struct node choice = member(w, member(w, root, BYTES("tool_choice")), BYTES("type"));
    int64_t limit, budget;
    must(walk_int(w, member(w, root, BYTES("max_tokens")), &limit) && limit > 0);
    if (choice.type != JSON_NONE) must(walk_count(w, member(w, root, BYTES("tools"))) > 0);
    if (thinking.type == JSON_NONE || is(w, type, BYTES("disabled"))) return;
    must(is(w, type, adaptive ? BYTES("adaptive") : BYTES("enabled")));
    must(member(w, root, BYTES("temperature")).type == JSON_NONE);
    must(member(w, root, BYTES("top_p")).type == JSON_NONE);
    must(!is(w, choice, BYTES("any")) && !is(w, choice, BYTES("tool")));
    if (adaptive) return;
    must(walk_int(w, member(w, thinking, BYTES("budget_tokens")), &budget));
    must(budget >= 1024 && budget < limit);
}

static void check(struct bytes out, bool adaptive)
{
    struct walk_source source;
    struct walk w;
    struct node root;
    walk_source_of(&source, &out);
    must(walk_open(&w, &source, NULL, &root));
    check_messages(&w, member(&w, root, BYTES("messages")));
    check_settings(&w, root, adaptive);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum api apis[] = {API_CHAT, API_RESPONSES, API_GENERATE};
    static struct ask ask;
    if (size < 3 || size > IN_MAX) return 0;
    struct kit_pieces pieces;
    struct kit_pen pen;
    struct walk_source source = kit_pieces(
        &pieces, (struct bytes){(const char *)data + 3, size - 3}, data[1]);
    bool adaptive = data[2] & 1;
    struct ask_target t = {.api = API_MESSAGES, .model = BYTES("c"), .thinks = data[2] & 2,
                           .stream = data[2] & 4, .output_default = data[2] & 8 ? 9000 : 0,
                           .quirks = (adaptive ? (uint64_t)ASK_ADAPTIVE : 0) |
                                     (data[2] & 16 ? (uint64_t)ASK_NO_SCHEMA : 0)};
    kit_pen(&pen, data[1], &source);
    if (ask_open(&ask, apis[data[0] % COUNT(apis)], &source, NULL) &&
        ask_write(&ask, &t, &pen.pen) == ASK_WRITTEN) check(kit_pen_text(&pen), adaptive);
    kit_pen_free(&pen);
    kit_pieces_free(&pieces);
    return 0;
}
