/* compose.c - see compose.h. One framing, rewritten by us, always: a decimal Content-Length
 * over bytes that are all here (hostile.md). */
#include "engine/compose.h"
#include "engine/core.h"
#include "engine/dialect.h"
#include "engine/exchange.h"
#include "engine/path.h"
#include "engine/sign.h"
#include "engine/tables.h"
#include "engine/target.h"
#include "engine/translator.h"
#include "engine/upstream.h"
#include "net/http.h"

enum {
    EDIT_SCRATCH = 12 * API_NAME_MAX + 384,
    HEAD_ROOM = TARGET_ROOM + 256, /* target, length, version, blanks */
    QUERY_MORE = 16,               /* bytes that a query may grow by */
    PARAM_MAX = 32,                /* a longer name is none that is looked for */
    BEGINNING_MAX = 256,           /* bytes of a body up to its last edit, to do it in place */
};

static bool overridden(const struct catalog_provider *p, struct bytes name)
{
    for (unsigned i = 0; i < p->header_count; i++) {
        if (bytes_ieq(name, bytes_of(p->header_name[i]))) return true;
    }
    return false;
}

/* Is this the parameter's name, however it is written? */
static bool is_named(struct bytes param, struct bytes name)
{
    char text[PARAM_MAX];
    param.len = bytes_find(param, '=');
    if (param.len > sizeof text) return false;
    int64_t n = http_percent_decode(param, text);
    return n >= 0 && bytes_eq((struct bytes){text, (size_t)n}, name);
}

/* The query but for a key, which is Gemini's way to send one and goes nowhere. Its streams are
 * asked for as events, whichever form the client wants. */
static void put_query(struct http_out *o, struct bytes query, bool gemini, bool stream)
{
    size_t before = o->len;
    while (query.len > 0) {
        struct bytes param = bytes_cut(&query, bytes_find(query, '&'));
        if (query.len > 0) bytes_cut(&query, 1);
        bool stops = is_named(param, BYTES("key")) || (gemini && is_named(param, BYTES("alt")));
        if (param.len == 0 || stops) continue;
        if (o->len > before) http_out_text(o, BYTES("&"));
        http_out_text(o, param);
    }
    if (!stream) return;
    if (o->len > before) http_out_text(o, BYTES("&"));
    http_out_text(o, BYTES("alt=sse"));
}

bool compose_keep(struct core *core, struct exchange *x, const struct http_head *head,
                  const struct path *path)
{
    bool gemini = path_is_gemini((enum api)path->api);
    size_t room = head->fields.len + head->query.len + QUERY_MORE + path->model.len;
    struct http_out o = {.out = gather_room(&core->mem, &x->kept, room), .room = room};
    if (!o.out) return false;
    http_out_pass(&o, head);
    x->lines_bytes = (uint32_t)o.len;
    put_query(&o, head->query, gemini, path->stream);
    x->query_bytes = (uint32_t)o.len - x->lines_bytes;
    if (gemini) {
        http_out_text(&o, path->model);
        x->path_bytes = (uint32_t)path->model.len;
        x->path_stream = path->stream;
    }
    assert(!o.full);
    gather_fill(&x->kept, o.len);
    x->versioned = head->field[HTTP_ANTHROPIC_VERSION].ptr != NULL;
    return true;
}

struct bytes compose_path_model(const struct exchange *x)
{
    return (struct bytes){x->kept.ptr + x->lines_bytes + x->query_bytes, x->path_bytes};
}

/* A field that means something to its own dialect's maker alone, or to what it is sent with;
 * the type of the body is said anew. */
static bool is_foreign(struct bytes name)
{
    static const struct bytes prefixes[] = {
        BYTES_INIT("anthropic-"), BYTES_INIT("openai-"), BYTES_INIT("x-stainless-"),
        BYTES_INIT("x-goog-"), BYTES_INIT("content-type"),
    };
    for (size_t i = 0; i < COUNT(prefixes); i++) {
        struct bytes start = {name.ptr, prefixes[i].len};
        if (name.len >= start.len && bytes_ieq(start, prefixes[i])) return true;
    }
    return false;
}

/* The client's lines but for those that the configuration sets itself, and those that a
 * provider of another dialect has no use for. */
static void put_lines(struct http_out *o, const struct exchange *x,
                      const struct catalog_provider *p)
{
    struct bytes at = {x->kept.ptr, x->lines_bytes}, name, value;
    bool foreign = !dialect_is_kin((enum api)x->api, (enum api)x->peer);
    if (p->header_count == 0 && !foreign) {
        http_out_lines(o, at);
        return;
    }
    for (const char *line = at.ptr; http_field_next(&at, &name, &value); line = at.ptr) {
        if (overridden(p, name) || (foreign && is_foreign(name))) continue;
        http_out_lines(o, bytes_between(line, at.ptr));
    }
    if (foreign) http_out_field(o, BYTES("content-type"), BYTES("application/json"));
}

static void put_head(struct core *core, struct http_out *o, const struct exchange *x,
                     const struct catalog_provider *p, uint64_t length)
{
    const struct catalog_model *m = &x->tables->catalog->model[x->model];
    http_out_text(o, BYTES("POST "));
    struct bytes path = target_put(o, x, p);
    http_out_text(o, BYTES(" HTTP/1.1\r\n"));
    http_out_lines(o, x->tables->fixed[m->provider][x->key]);
    sign_put(core, x, path, o);
    http_out_text(o, BYTES("content-length: "));
    http_out_digits(o, length, 1);
    http_out_text(o, BYTES("\r\n"));
    bool kin = dialect_is_kin((enum api)x->api, API_MESSAGES);
    bool unsaid = p->dialect == DIALECT_ANTHROPIC && !(x->versioned && kin);
    if (unsaid && !overridden(p, BYTES("anthropic-version"))) {
        http_out_text(o, BYTES("anthropic-version: 2023-06-01\r\n"));
    }
    put_lines(o, x, p);
    http_out_end(o);
}

static uint64_t edited_length(const struct exchange *x, const struct api_edit *edits,
                              size_t count)
{
    uint64_t length = x->body.bytes;
    for (size_t i = 0; i < count; i++) length += edits[i].put.len - edits[i].del;
    return length;
}

/* The usual case: the body came whole in one receive buffer and is edited near its beginning,
 * if at all. Head and edited beginning are put in front of the rest, in the same buffer. What
 * they overwrite of the body is kept, for another attempt. */
static bool compose_in_place(struct core *core, struct exchange *x,
                             const struct catalog_provider *p, uint64_t length,
                             const struct api_edit *edits, size_t count)
{
    uint64_t drop = count ? edits[count - 1].at + edits[count - 1].del : 0;
    if (x->was_bytes || x->attempts != 1 || drop > BEGINNING_MAX) return false;
    if (x->body.count != 1 || drop > x->body.bytes) return false;
    char was[BEGINNING_MAX];
    chain_read(&core->mem, &x->body, 0, was, (size_t)drop);
    struct http_out o = {.out = core->text, .room = CORE_SCRATCH};
    put_head(core, &o, x, p, length);
    uint64_t from = 0;
    for (size_t i = 0; i < count; i++) {
        http_out_text(&o, (struct bytes){was + from, (size_t)(edits[i].at - from)});
        http_out_text(&o, edits[i].put);
        from = edits[i].at + edits[i].del;
    }
    core_text_put(core, o.len);
    if (o.full || !gather_put(&core->mem, &x->kept, (struct bytes){was, (size_t)drop})) {
        return false;
    }
    struct bytes head = {o.out, o.len};
    if (!chain_front(&core->mem, &x->u->out, &x->body, drop, head)) {
        x->kept.len -= (uint32_t)drop;
        return false;
    }
    x->was_bytes = (uint16_t)drop;
    x->theirs_at = x->kept.len;
    return true;
}

void compose_restore(struct core *core, struct exchange *x)
{
    assert(x->kept.len >= x->theirs_at && x->theirs_at > x->was_bytes);
    x->theirs_at -= x->was_bytes;
    x->kept.len = x->theirs_at;
    if (!x->was_bytes) return;
    struct bytes was = {x->kept.ptr + x->theirs_at, x->was_bytes};
    chain_front_undo(&core->mem, &x->body, was);
    x->was_bytes = 0;
}

bool compose_original(const struct core *core, const struct exchange *x,
                      bool (*visit)(void *arg, struct bytes piece), void *arg)
{
    uint32_t at = x->body.first, left = x->body.count;
    size_t skip = x->was_bytes;
    assert(x->theirs_at >= skip);
    struct bytes piece, was = {x->kept.ptr + x->theirs_at - skip, skip};
    if (was.len && !visit(arg, was)) return false;
    while (chain_next(&core->mem, &at, &left, &piece)) {
        skip -= bytes_cut(&piece, skip < piece.len ? skip : piece.len).len;
        if (piece.len && !visit(arg, piece)) return false;
    }
    return true;
}

/* What the provider and the model are known to want otherwise (catalogue: columns quirks). What
 * shapes the answer goes only where the client did not choose the model: whoever names one
 * hears from its provider what it refuses. */
static struct api_change change_for(const struct exchange *x, const struct catalog_model *m,
                                    const struct catalog_provider *p)
{
    unsigned quirks = m->quirks | p->quirks;
    bool only_max = quirks & QUIRK_NO_COMPLETION, no_max = quirks & QUIRK_NO_MAX && !only_max;
    struct bytes named = exchange_request(x)->model;
    bool is_named = bytes_eq(named, bytes_of(m->id)) || bytes_eq(named, bytes_of(m->bare));
    return (struct api_change){
        .model = bytes_of(m->upstream),
        .want_usage = x->stream && (x->api == API_CHAT || x->api == API_COMPLETIONS),
        .completion_tokens = no_max || (quirks & QUIRK_COMPLETION_TOKENS && !only_max),
        .no_max = no_max, .no_completion = only_max,
        .no_options = quirks & QUIRK_NO_OPTIONS,
        .no_sampling = quirks & QUIRK_NO_SAMPLING && !is_named,
        .output_max = x->spend.output_max,
        .effort = x->effort,
        .vertex = p->form == FORM_VERTEX,
    };
}

/* A head in memory of its own behind what is queued. */
static bool queue_head(struct core *core, struct exchange *x, const struct catalog_provider *p,
                       uint64_t length)
{
    const struct catalog_model *m = &x->tables->catalog->model[x->model];
    size_t want = HEAD_ROOM + x->tables->fixed[m->provider][x->key].len + x->lines_bytes +
                  x->query_bytes + sign_room(p);
    char *room = want > MEM_BLOCK ? NULL : chain_room(&core->mem, &x->u->out, want);
    if (!room) return false;
    struct http_out o = {.out = room, .room = want};
    put_head(core, &o, x, p, length);
    if (o.full) return false;
    chain_fill(&core->mem, &x->u->out, o.len);
    return true;
}

bool compose_request(struct core *core, struct exchange *x)
{
    compose_restore(core, x);
    const struct catalog_model *m = &x->tables->catalog->model[x->model];
    const struct catalog_provider *p = &x->tables->catalog->provider[m->provider];
    if (x->translated) {
        assert(x->other->wire.bytes > 0);
        if (!queue_head(core, x, p, x->other->wire.bytes)) return false;
        chain_move(&core->mem, &x->u->out, &x->other->wire);
        return true;
    }
    char scratch[EDIT_SCRATCH];
    struct api_edit edits[API_EDITS_MAX];
    struct api_change change = change_for(x, m, p);
    size_t count = api_request_edits(exchange_request(x), &change, edits, scratch,
                                     sizeof scratch);
    uint64_t length = edited_length(x, edits, count);
    if (compose_in_place(core, x, p, length, edits, count)) return true;
    struct chain *out = &x->u->out;
    if (!queue_head(core, x, p, length)) return false;
    uint64_t from = 0;
    for (size_t i = 0; i < count; i++) {
        assert(edits[i].at >= from);
        if (!chain_view(&core->mem, out, &x->body, from, edits[i].at)) return false;
        if (!chain_copy(&core->mem, out, edits[i].put)) return false;
        from = edits[i].at + edits[i].del;
    }
    return chain_view(&core->mem, out, &x->body, from, x->body.bytes);
}
