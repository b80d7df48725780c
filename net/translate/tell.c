/* tell.c - an answer in the neutral form: which dialect reads it, and what the readers share;
 * see tell.h.
 * Model: at most one block that is no call is open, and any calls. A call is closed when its
 * arguments are whole and something else begins, or its provider says so, or all ends.
 * Rule: a reader may tell things in any order and twice; what comes out is in order. Text goes
 * out as it is written, cut at no place where half an escape or half a letter would be left. */
#include "net/translate/tell.h"

#include "net/translate/ask.h"

enum { CALL_CLOSED = 1, CALL_CUSTOM = 2,
       CALL_BEGUN = 4, CALL_STRING = 8, CALL_ESCAPE = 16,      /* of its arguments so far */
       CALL_TOLD = 32, CALL_VALUE = 64 };      /* some were told; all were, as a value */
enum { UNIT_MAX = 12, ESCAPED_ROOM = 512, CHOICES_MAX = 64,
       SOURCE_MAX = 2048 };  /* bytes of an address, and of a title, that lie in pieces */

/* ---- dispatch ---- */

/* By whose form it is. */
static const struct tell_dialect *const dialects[APIS] = {
    [API_CHAT] = &chat_tell,
    [API_MESSAGES] = &messages_tell,
    [API_GENERATE] = &gemini_tell,
    [API_CONVERSE] = &converse_tell, [API_COHERE] = &cohere_tell,
    [API_RESPONSES] = &responses_tell,
};

const struct tell_dialect *tell_dialect_of(enum api api)
{
    assert(api < APIS);
    const struct tell_dialect *d = dialects[api];
    assert(d);
    return d;
}

bool tell_reads(enum api api)
{
    assert(api < APIS);
    return dialects[api] && dialects[api]->event && dialects[api]->whole;
}

bool tell_writes(enum api api)
{
    assert(api < APIS);
    return dialects[api] && dialects[api]->write && dialects[api]->write_whole;
}

void tell_begin(struct tell_reader *r, enum api api, uint64_t seed, tell_take take, void *arg)
{
    assert(take);
    memset(r, 0, offsetof(struct tell_reader, kept));
    r->api = api;
    r->seed = seed;
    r->take = take;
    r->arg = arg;
}

bool tell_event(struct tell_reader *r, struct bytes name, const struct walk *w,
                struct node root)
{
    if (r->ended) return true;
    return tell_dialect_of(r->api)->event(r, name, w, root);
}

bool tell_whole(struct tell_reader *r, const struct walk *w, struct node root)
{
    assert(!r->started);
    r->whole = true;
    return tell_dialect_of(r->api)->whole(r, w, root) && tell_end(r);
}

/* An answer that is a document: told by reading it again. */
static bool again(const struct tell_story *story, tell_take take, void *arg)
{
    struct tell_reader r;
    tell_begin(&r, story->api, story->seed, take, arg);
    bool told = tell_whole(&r, story->walk, story->root);
    explicit_bzero(r.kept, r.kept_len);
    return told;
}

struct tell_story tell_story(enum api api, uint64_t seed, const struct walk *w,
                             struct node root)
{
    return (struct tell_story){.again = again, .walk = w, .root = root, .api = api,
                               .seed = seed};
}

bool tell_write_whole(const struct tell_facts *facts, const struct tell_story *story,
                      struct pen *p)
{
    const struct tell_dialect *d = tell_dialect_of(facts->api);
    assert(d->write_whole);
    return d->write_whole(facts, story, p) && !p->full;
}

/* ---- blocks ---- */

static bool give(struct tell_reader *r, const struct tell *t)
{
    assert(!r->ended);
    return r->take(r->arg, t);
}

bool tell_start(struct tell_reader *r, struct bytes id, struct bytes model)
{
    if (r->started) return true;
    r->started = true;
    return give(r, &(struct tell){.kind = TELL_START, .id = id, .name = model});
}

bool tell_start_of(struct tell_reader *r, const struct walk *w, struct node id,
                   struct node model, int64_t created)
{
    char said[TELL_ID_MAX], name[API_NAME_MAX];
    if (r->started) return true;
    r->started = true;
    struct tell t = {.kind = TELL_START, .id = walk_short(w, id, said, sizeof said),
                     .name = walk_short(w, model, name, sizeof name), .created = created};
    t.lost = (t.id.len == 0 && walk_has(walk_inside(id))) ||
             (t.name.len == 0 && walk_has(walk_inside(model)));
    bool told = give(r, &t);
    explicit_bzero(said, sizeof said);
    explicit_bzero(name, sizeof name);
    return told;
}

bool tell_step(struct tell_reader *r, enum tell_step step)
{
    if (!r->theirs) return true;
    return give(r, &(struct tell){.kind = TELL_STEP, .step = (uint8_t)step, .own = r->own,
                                  .item = r->items, .place = r->place});
}

/* Is the choice over? What is told of it behind that is no part of the answer. */
static bool is_over(const struct tell_reader *r)
{
    assert(r->choice < CHOICES_MAX);
    return r->finishes >> r->choice & 1;
}

/* Something of the choice begins. */
static bool begin_in(struct tell_reader *r)
{
    assert(!is_over(r));
    r->choices |= UINT64_C(1) << r->choice;
    return tell_start(r, (struct bytes){0}, (struct bytes){0});
}

bool tell_close(struct tell_reader *r)
{
    if (!r->open) return true;
    r->open = false;
    return give(r, &(struct tell){.kind = TELL_CLOSE, .block = r->block, .item = r->item,
                                  .choice = r->open_choice});
}

/* Are its arguments all there? Of text, nobody knows. */
static bool is_whole(const struct tell_call_state *c)
{
    return (c->flags & (CALL_CUSTOM | CALL_BEGUN | CALL_STRING)) == CALL_BEGUN &&
           c->depth == 0;
}

static bool call_close(struct tell_reader *r, struct tell_call_state *c)
{
    if (c->flags & CALL_CLOSED) return true;
    c->flags |= CALL_CLOSED;
    return give(r, &(struct tell){.kind = TELL_CLOSE, .block = TELL_CALL, .item = c->item,
                                  .choice = c->choice, .custom = c->flags & CALL_CUSTOM});
}

/* Close the calls that are whole; of a whole answer all, however their arguments end. */
static bool calls_settle(struct tell_reader *r)
{
    for (unsigned i = 0; i < r->call_count; i++) {
        bool over = r->whole || is_whole(&r->call[i]);
        if (over && !call_close(r, &r->call[i])) return false;
    }
    return true;
}

/* Close all calls of a choice; CHOICES_MAX: of all. */
static bool calls_end(struct tell_reader *r, uint32_t choice)
{
    for (unsigned i = 0; i < r->call_count; i++) {
        struct tell_call_state *c = &r->call[i];
        if (choice != CHOICES_MAX && c->choice != choice) continue;
        if (!call_close(r, c)) return false;
    }
    return true;
}

bool tell_open_as(struct tell_reader *r, enum tell_block block, struct bytes id,
                  struct bytes name)
{
    assert(block != TELL_CALL);
    if (is_over(r)) return true;
    if (!begin_in(r) || !tell_close(r) || !calls_settle(r)) return false;
    r->item = r->items++;
    r->block = (uint8_t)block;
    r->open_choice = r->choice;
    r->open = true;
    return give(r, &(struct tell){.kind = TELL_OPEN, .block = r->block, .item = r->item,
                                  .choice = r->choice, .id = id, .name = name,
                                  .own = r->own, .place = r->place});
}

bool tell_open(struct tell_reader *r, enum tell_block block)
{
    return tell_open_as(r, block, (struct bytes){0}, (struct bytes){0});
}

/* Have that block open. */
static bool have_open(struct tell_reader *r, enum tell_block block)
{
    if (r->open && r->block == block && r->open_choice == r->choice) return true;
    return tell_open(r, block);
}

bool tell_more(struct tell_reader *r, enum tell_block block, struct bytes text)
{
    if (text.len == 0 || is_over(r)) return true;
    if (!have_open(r, block)) return false;
    return give(r, &(struct tell){.kind = TELL_MORE, .block = r->block, .item = r->item,
                                  .choice = r->choice, .text = text});
}

/* ---- text in pieces ---- */

/* Bytes of the escape or letter that b begins with; 0: b does not hold it whole. */
static size_t unit_len(struct bytes b)
{
    unsigned char c = (unsigned char)b.ptr[0];
    size_t n = c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
    if (c == '\\') {
        n = b.len > 1 && b.ptr[1] == 'u' ? 6 : 2;
        /* Half a surrogate pair is no letter: its other half is to be with it. */
        bool half = n == 6 && b.len >= 4 && byte_lower(b.ptr[2]) == 'd' &&
                    memchr("89abAB", b.ptr[3], 6);
        if (half && (b.len < 8 || memcmp(b.ptr + 6, "\\u", 2) == 0)) n = UNIT_MAX;
    }
    return n <= b.len ? n : 0;
}

/* Bytes of b up to its last escape or letter that it does not hold whole. */
static size_t units_len(struct bytes b)
{
    size_t n = 0;
    while (n < b.len) {
        const char *p = memchr(b.ptr + n, '\\', b.len - n);
        size_t plain = p ? (size_t)(p - b.ptr) : b.len;
        if (!p) {  /* of what is left only the last letter can be cut */
            size_t last = plain;
            while (last > n && plain - last < 4 && (b.ptr[last - 1] & 0xC0) == 0x80) last--;
            if (last > n && (b.ptr[last - 1] & 0x80)) last--;
            else last = plain;
            if (last == plain || unit_len((struct bytes){b.ptr + last, plain - last})) {
                return plain;
            }
            return last;
        }
        size_t len = unit_len((struct bytes){p, b.len - plain});
        if (len == 0) return plain;
        n = plain + len;
    }
    return n;
}

/* Tell t with the span as its text, in as many pieces as it lies in. */
static bool give_span(struct tell_reader *r, struct tell *t, const struct walk *w,
                      struct walk_span s)
{
    while (s.start < s.end) {
        struct bytes b = walk_piece(w, s.start, s.end);
        if (s.start + b.len < s.end) b.len = units_len(b);
        t->text = b;
        if (b.len > 0 && !give(r, t)) return false;
        s.start += b.len;
        if (b.len > 0) continue;
        char room[UNIT_MAX];
        struct walk_span cut = s;
        if (cut.end - cut.start > UNIT_MAX) cut.end = cut.start + UNIT_MAX;
        t->text = walk_bytes(w, cut, room, sizeof room);
        size_t len = unit_len(t->text);
        if (len > 0) t->text.len = len;
        bool told = give(r, t);
        s.start += t->text.len;
        explicit_bzero(room, sizeof room);
        if (!told) return false;
    }
    return true;
}

bool tell_more_span(struct tell_reader *r, enum tell_block block, const struct walk *w,
                    struct walk_span inside)
{
    if (!walk_has(inside) || is_over(r)) return true;
    if (!have_open(r, block)) return false;
    struct tell t = {.kind = TELL_MORE, .block = r->block, .item = r->item,
                     .choice = r->choice};
    return give_span(r, &t, w, inside);
}

bool tell_cite(struct tell_reader *r, const struct walk *w, struct node url,
               struct node title)
{
    char where[SOURCE_MAX], name[SOURCE_MAX];
    if (!r->open || r->block != TELL_TEXT || !walk_has(walk_inside(url))) return true;
    struct tell t = {.kind = TELL_CITE, .block = TELL_TEXT, .choice = r->open_choice,
                     .item = r->item, .url = walk_short(w, url, where, sizeof where),
                     .name = walk_short(w, title, name, sizeof name)};
    bool told = t.url.len == 0 || give(r, &t);
    explicit_bzero(where, sizeof where);
    explicit_bzero(name, sizeof name);
    return told;
}

bool tell_sign(struct tell_reader *r, enum ask_maker maker, const struct walk *w,
               struct walk_span inside)
{
    struct tell t = {.kind = TELL_SIGN, .maker = (uint8_t)maker, .block = r->block,
                     .item = r->item, .choice = r->open_choice};
    if (!walk_has(inside)) return true;
    if (!r->open) {
        const struct tell_call_state *c = r->call_count ? &r->call[r->call_count - 1] : NULL;
        if (!c || c->flags & CALL_CLOSED) return true;
        t.block = TELL_CALL;
        t.item = c->item;
        t.choice = c->choice;
    }
    return give_span(r, &t, w, inside);
}

bool tell_mark(struct tell_reader *r, enum ask_maker maker, struct bytes text)
{
    assert(text.len > 0);
    if (!r->open) return true;
    return give(r, &(struct tell){.kind = TELL_SIGN, .maker = (uint8_t)maker, .text = text,
                                  .block = r->block, .item = r->item,
                                  .choice = r->open_choice});
}

/* ---- calls ---- */

/* The latest call with that number in this choice; NULL: there is none. */
static struct tell_call_state *call_find(struct tell_reader *r, uint32_t index)
{
    for (unsigned i = r->call_count; i > 0; i--) {
        struct tell_call_state *c = &r->call[i - 1];
        if (c->index == index && c->choice == r->choice) return c;
    }
    return NULL;
}

/* Forget the calls that are closed; where none is, the first is closed. */
static bool calls_forget(struct tell_reader *r)
{
    unsigned n = 0;
    for (unsigned i = 0; i < r->call_count; i++) {
        if (!(r->call[i].flags & CALL_CLOSED)) r->call[n++] = r->call[i];
    }
    bool told = n < r->call_count || call_close(r, &r->call[0]);
    if (n == r->call_count) memmove(r->call, r->call + 1, --n * sizeof r->call[0]);
    r->call_count = (uint8_t)n;
    return told;
}

static uint32_t hash_of(struct bytes id)
{
    uint32_t hash = 2166136261u;  /* FNV-1a */
    for (size_t i = 0; i < id.len; i++) hash = (hash ^ (unsigned char)id.ptr[i]) * 16777619u;
    return id.len > 0 ? hash | 1 : 0;
}

/* An id for a call that came without one. */
static struct bytes made_id(const struct tell_reader *r, uint32_t item, char *room)
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    const struct bytes prefix = BYTES("call_");
    uint64_t x = r->seed + (uint64_t)item * UINT64_C(0x9E3779B97F4A7C15);
    memcpy(room, prefix.ptr, prefix.len);
    size_t n = prefix.len;
    for (unsigned half = 0; half < 2; half++) {
        x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
        x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
        x ^= x >> 31;
        uint64_t left = x;
        for (unsigned i = 0; i < 12; i++, left /= 36) room[n++] = letters[left % 36];
    }
    return (struct bytes){room, n};
}

bool tell_call(struct tell_reader *r, uint32_t index, struct bytes id, struct bytes name,
               bool custom)
{
    struct tell_call_state *c = call_find(r, index);
    uint32_t hash = hash_of(id);
    char room[32];
    bool goes_on = !r->whole && c && (hash == 0 || c->id == hash);
    if (is_over(r) || goes_on) return true;
    if (!begin_in(r) || !tell_close(r) || !calls_settle(r)) return false;
    if (r->call_count == TELL_CALLS_MAX && !calls_forget(r)) return false;
    r->called |= UINT64_C(1) << r->choice;
    c = &r->call[r->call_count++];
    *c = (struct tell_call_state){.index = index, .item = r->items++, .id = hash,
                                  .choice = r->choice, .flags = custom ? CALL_CUSTOM : 0};
    if (id.len == 0) id = made_id(r, c->item, room);
    return give(r, &(struct tell){.kind = TELL_OPEN, .block = TELL_CALL, .item = c->item,
                                  .choice = c->choice, .custom = custom, .id = id,
                                  .name = name, .own = r->own, .place = r->place});
}

/* Follow the brackets of its arguments. */
static void balance(struct tell_call_state *c, struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        char at = text.ptr[i];
        if (c->flags & CALL_ESCAPE) {
            c->flags &= (uint8_t)~CALL_ESCAPE;
        } else if (at == '"') {
            c->flags ^= CALL_STRING;
        } else if (c->flags & CALL_STRING) {
            c->flags |= at == '\\' ? CALL_ESCAPE : 0;
        } else if ((at | 0x20) == '{') {
            c->flags |= CALL_BEGUN;
            if (c->depth < UINT16_MAX) c->depth++;
        } else if ((at | 0x20) == '}' && c->depth > 0) {
            c->depth--;
        }
    }
}

bool tell_arguments(struct tell_reader *r, uint32_t index, const struct walk *w,
                    struct walk_span inside)
{
    struct tell_call_state *c = call_find(r, index);
    if (!c || c->flags & (CALL_CLOSED | CALL_VALUE) || !walk_has(inside)) return true;
    c->flags |= CALL_TOLD;
    if (!(c->flags & CALL_CUSTOM)) {
        char room[64];
        struct walk_text text = walk_text(w, inside);
        for (;;) {
            struct bytes b = walk_text_next(&text, room, sizeof room);
            if (b.len == 0) break;
            balance(c, b);
        }
        explicit_bzero(room, sizeof room);
    }
    struct tell t = {.kind = TELL_MORE, .block = TELL_CALL, .item = c->item,
                     .choice = c->choice, .custom = c->flags & CALL_CUSTOM};
    return give_span(r, &t, w, inside);
}

/* Tell a value as the text of a string: it lies in pieces, or has line ends. */
static bool give_escaped(struct tell_reader *r, struct tell *t, const struct walk *w,
                         struct walk_span s)
{
    char room[ESCAPED_ROOM];
    bool told = true;
    while (s.start < s.end && told) {
        struct bytes b = walk_piece(w, s.start, s.end);
        size_t n = 0;
        while (b.len > 0 && n + 2 * JSON_ESCAPE_MAX < sizeof room) {
            char c = *bytes_cut(&b, 1).ptr;
            bool plain = (unsigned char)c >= 0x20 && c != '"' && c != '\\';
            if (plain) room[n++] = c;
            else n += json_escape(c, room + n);
            s.start++;
            /* The rest of a letter goes with it, whichever piece it is in. */
            while (s.start < s.end && (unsigned char)c >= 0x80) {
                if (b.len == 0) b = walk_piece(w, s.start, s.end);
                if ((*b.ptr & 0xC0) != 0x80) break;
                room[n++] = *bytes_cut(&b, 1).ptr;
                s.start++;
            }
        }
        t->text = (struct bytes){room, n};
        told = give(r, t);
    }
    explicit_bzero(room, sizeof room);
    return told;
}

bool tell_arguments_value(struct tell_reader *r, uint32_t index, const struct walk *w,
                          struct node object)
{
    struct tell_call_state *c = call_find(r, index);
    if (!c || c->flags & (CALL_CLOSED | CALL_TOLD)) return true;
    c->flags |= CALL_BEGUN | CALL_TOLD | CALL_VALUE;
    assert(is_whole(c) || c->flags & (CALL_CUSTOM | CALL_STRING) || c->depth > 0);
    struct tell t = {.kind = TELL_MORE, .block = TELL_CALL, .item = c->item,
                     .choice = c->choice, .value = true, .text = BYTES("{}")};
    if (object.type == JSON_OBJECT) {
        struct walk_span all = walk_all(object);
        struct bytes b = walk_piece(w, all.start, all.end);
        bool lines = memchr(b.ptr, '\n', b.len) || memchr(b.ptr, '\r', b.len);
        if (lines || b.len < all.end - all.start) {
            t.value = false;
            return give_escaped(r, &t, w, all);
        }
        t.text = b;
    }
    return give(r, &t);
}

bool tell_close_call(struct tell_reader *r, uint32_t index)
{
    struct tell_call_state *c = call_find(r, index);
    return !c || call_close(r, c);
}

/* ---- ends ---- */

bool tell_finish(struct tell_reader *r, uint32_t choice, enum tell_finish finish,
                 struct bytes stop_sequence)
{
    assert(choice < CHOICES_MAX);
    uint64_t bit = UINT64_C(1) << choice;
    if (r->finishes & bit) return true;
    if (!tell_start(r, (struct bytes){0}, (struct bytes){0})) return false;
    if (r->open && r->open_choice == choice && !tell_close(r)) return false;
    if (!calls_end(r, choice)) return false;
    r->finishes |= bit;
    r->choices |= bit;
    r->finished = true;
    if (finish == TELL_STOP && r->called & bit) finish = TELL_CALLS;
    return give(r, &(struct tell){.kind = TELL_FINISH, .choice = choice,
                                  .finish = (uint8_t)finish, .text = stop_sequence});
}

bool tell_end(struct tell_reader *r)
{
    if (r->ended) return true;
    const struct tell_dialect *d = tell_dialect_of(r->api);
    if (d->end && !d->end(r)) return false;
    if (r->ended) return true;
    if (r->choices == 0) r->choices = 1;
    if (!tell_close(r) || !calls_end(r, CHOICES_MAX)) return false;
    for (uint32_t i = 0; i < CHOICES_MAX; i++) {
        if (!(r->choices >> i & 1)) continue;
        if (!tell_finish(r, i, TELL_STOP, (struct bytes){0})) return false;
    }
    bool told = give(r, &(struct tell){.kind = TELL_END});
    r->ended = true;
    return told;
}
