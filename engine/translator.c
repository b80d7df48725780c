/* translator.c - see translator.h. Two ways for bytes: sources that read a chain where it lies
 * (place.h), and pens whose windows are a chain's own room, or a part of the core's scratch
 * that goes to the client whenever it is full. */
#include "engine/translator.h"
#include "engine/book.h"
#include "engine/compose.h"
#include "engine/conf.h"
#include "engine/core.h"
#include "engine/dialect.h"
#include "engine/exchange.h"
#include "engine/place.h"
#include "engine/rand.h"
#include "engine/resume.h"
#include "engine/stream.h"
#include "engine/tables.h"
#include "net/json_index.h"
#include "net/sse.h"
#include "net/translate/ask.h"
#include "net/translate/splice.h"
#include "net/translate/translate.h"
#include "store/maybe.h"

enum {
    OUTPUT_USUAL = 8192,           /* tokens: a limit for who must have one and states none */
    WINDOW_MIN = 2048,             /* bytes of scratch that a pen must have at least */
    ENTRY_HEAD = 6,                /* bytes of "data: " */
    ENTRY_TAIL = 4,                /* and of the line ends behind an event of Gemini's */
};

struct translator {                /* in a page; but for t, zeroed */
    struct chain *keep;            /* the exchange's */
    struct place log;              /* of it */
    struct mem *mem;
    struct tell_facts *facts;      /* in the other */
    uint32_t page, other_page;     /* where these lie */
    uint64_t keep_max;
    uint8_t entry;                 /* bytes of an event that go on in an array without their
                                      lines: 0 .. its head, its data, its tail */
    bool begun;
    bool half;                     /* an event was begun that found no room for its rest */
    struct translate t;
};
static_assert(sizeof(struct translator) <= MEM_PAGE, "a page");

struct other {                     /* in a page; zeroed up to the names of facts */
    struct translation is;         /* x->other */
    struct tell_facts facts;
};
static_assert(sizeof(struct other) <= MEM_PAGE, "the other page");

static_assert((int)TRANSLATOR_WRITTEN == (int)ASK_WRITTEN &&
              (int)TRANSLATOR_UNSAYABLE == (int)ASK_UNSAYABLE &&
              (int)TRANSLATOR_WRONG == (int)ASK_WRONG &&
              (int)TRANSLATOR_NO_ROOM == (int)ASK_NO_ROOM, "one number each");

struct asking { struct ask ask; struct json_index index; };
static_assert(sizeof(struct asking) <= CORE_SCRATCH, "fits the scratch");

/* ---- pens ---- */

struct sheet {                     /* where a body is written */
    struct mem *mem;
    struct chain *chain;
    const struct chain *from;      /* what is read; NULL: its bytes are copied */
};

static bool sheet_more(struct pen *p)
{
    struct sheet *s = p->arg;
    struct chain *c = s->chain;
    if (p->len) chain_fill(s->mem, c, p->len);
    size_t want = c->bytes > 2 * MEM_PAGE ? MEM_BLOCK : MEM_PAGE;
    p->len = p->room = 0;
    p->at = chain_room(s->mem, c, want);
    if (p->at) p->room = want;
    return p->at != NULL;
}

static bool sheet_view(struct pen *p, uint64_t from, uint64_t to)
{
    struct sheet *s = p->arg;
    return chain_view(s->mem, s->chain, s->from, from, to);
}

static void sheet_begin(struct sheet *s, struct pen *p)
{
    pen_init(p, NULL, 0);
    p->more = sheet_more;
    p->view = s->from ? sheet_view : NULL;
    p->arg = s;
}

/* What is left in the window belongs to the chain too. False: something did not fit. */
static bool sheet_end(const struct sheet *s, const struct pen *p)
{
    if (!p->full && p->len) chain_fill(s->mem, s->chain, p->len);
    return !p->full;
}

struct speech {                    /* what a stream's client reads */
    struct core *core;
    struct exchange *x;
    char *window;
    size_t room;
};

/* Events of Gemini's form as entries of an array: without the lines around their data. */
static bool put_entries(struct core *core, struct exchange *x, struct bytes said)
{
    struct translator *tr = x->other->to;
    while (said.len > 0) {
        bool data = tr->entry == ENTRY_HEAD;
        size_t all = tr->entry < ENTRY_HEAD ? ENTRY_HEAD - tr->entry
                                            : ENTRY_HEAD + ENTRY_TAIL - tr->entry;
        size_t n = data ? bytes_find(said, '\r') : all < said.len ? all : said.len;
        struct bytes part = bytes_cut(&said, n);
        if (data && !stream_put(core, x, part)) return false;
        if (data && said.len > 0) bytes_cut(&said, 1), n = 1;
        else if (data) n = 0;
        tr->entry = (uint8_t)(tr->entry + n);
        bool begins = !data && tr->entry == ENTRY_HEAD;
        if (begins && !stream_put(core, x, stream_entry(x))) return false;
        if (tr->entry == ENTRY_HEAD + ENTRY_TAIL) tr->entry = 0;
    }
    return true;
}

static bool speech_put(const struct speech *s, struct bytes said)
{
    if (said.len == 0) return true;
    return s->x->array ? put_entries(s->core, s->x, said) : stream_put(s->core, s->x, said);
}

static bool speech_more(struct pen *p)
{
    struct speech *s = p->arg;
    bool ok = speech_put(s, (struct bytes){p->at, p->len});
    p->at = s->window;
    p->len = 0;
    p->room = ok ? s->room : 0;
    return ok;
}

/* Say something behind the first `used` bytes of the core's scratch. False: they leave no
 * room. */
static bool speech_begin(struct speech *s, struct pen *p, struct core *core,
                         struct exchange *x, size_t used)
{
    if (used > CORE_SCRATCH - WINDOW_MIN) return false;
    *s = (struct speech){core, x, core->text + used, CORE_SCRATCH - used};
    pen_init(p, s->window, s->room);
    p->more = speech_more;
    p->arg = s;
    return true;
}

static bool speech_end(const struct speech *s, const struct pen *p, bool ok)
{
    size_t used = (size_t)(s->window - s->core->text);
    size_t most = p->wrote ? s->room : p->len;
    core_text_put(s->core, used + most);
    bool said = ok && !p->full && speech_put(s, (struct bytes){p->at, p->len});
    if (!said && p->wrote) s->x->other->to->half = true;
    return said;
}

/* ---- which form ---- */

/* Is there a signature in the body that another maker's answer brought? Its own dialect cannot
 * be given that either. */
static bool is_marked(const struct core *core, const struct exchange *x)
{
    static const struct bytes sign = BYTES_INIT("\"WeirSg");
    enum { APART = 16 };           /* a mark that lies in two pieces */
    uint32_t at = x->body.first, left = x->body.count;
    struct bytes piece;
    uint64_t pos = 0;
    assert(bytes_starts(ask_mark(MAKER_NONE), (struct bytes){sign.ptr + 1, sign.len - 1}));
    while (chain_next(&core->mem, &at, &left, &piece)) {
        char seam[2 * APART];
        uint64_t from = pos < APART ? 0 : pos - APART;
        uint64_t to = pos + (piece.len < APART ? piece.len : APART);
        if (pos > 0) chain_read(&core->mem, &x->body, from, seam, (size_t)(to - from));
        if (pos > 0 && memmem(seam, (size_t)(to - from), sign.ptr, sign.len)) return true;
        if (memmem(piece.ptr, piece.len, sign.ptr, sign.len)) return true;
        pos += piece.len;
    }
    return false;
}

void translator_aim(struct core *core, struct exchange *x)
{
    enum { UNKNOWN, PLAIN, MARKED };
    const struct catalog *c = x->tables->catalog;
    enum api api = (enum api)x->api;
    const struct catalog_provider *p = &c->provider[c->model[x->model].provider];
    /* It is asked to go on in the dialect that has the words for it, whatever else it speaks;
     * and that turn is another one's. */
    bool onward = resume_goes_on(x);
    x->peer = (uint8_t)(onward ? dialect_native(p) : dialect_peer(api, p));
    x->translated = onward || x->peer != x->api;
    if (x->other) chain_drop(&core->mem, &x->other->wire);
    bool talks = api == API_CHAT || api == API_RESPONSES || api == API_MESSAGES ||
                 api == API_GENERATE;
    if (x->translated || !talks || exchange_request(x)->assistant_turns == 0) return;
    compose_restore(core, x);
    if (x->marks == UNKNOWN) x->marks = is_marked(core, x) ? MARKED : PLAIN;
    x->translated = x->marks == MARKED;
}

/* ---- requests ---- */

static bool keep_put(void *arg, struct bytes b)
{
    struct translator *tr = arg;
    if (tr->keep->bytes + b.len > tr->keep_max) return false;
    if (!chain_copy(tr->mem, tr->keep, b)) return false;
    tr->log.end = tr->t.keep.source.size = tr->keep->bytes;
    return true;
}

/* What the client calls the model, as written in JSON. */
static void name_model(const struct exchange *x, struct tell_facts *facts)
{
    struct bytes name = exchange_request(x)->model;
    const char *id = x->tables->catalog->model[x->model].id;
    struct pen p;
    pen_init(&p, facts->model, sizeof facts->model - 1);
    pen_begin(&p);
    pen_part_text(&p, name);
    pen_end(&p);
    if (p.full) {                  /* long, and to be escaped: the catalogue's is neither */
        static_assert(CATALOG_NAME_MAX < sizeof facts->model, "an id fits");
        memcpy(facts->model, id, strlen(id) + 1);
        return;
    }
    memmove(facts->model, facts->model + 1, p.len - 2);     /* without its quotes */
    facts->model[p.len - 2] = '\0';
}

/* The pages of x. NULL: no room. */
static struct translator *translator_of(struct core *core, struct exchange *x)
{
    struct mem *m = &core->mem;
    char *page, *other_page;
    uint32_t idx, other_idx;
    if (x->other) return x->other->to;
    if (!mem_page_take(m, &other_idx, &other_page)) return NULL;
    if (!mem_page_take(m, &idx, &page)) {
        mem_page_give(m, other_idx, 0);
        return NULL;
    }
    struct translator *tr = (void *)page;
    struct other *other = (void *)other_page;
    memset(page, 0, offsetof(struct translator, t));
    memset(other_page, 0, offsetof(struct other, facts) + offsetof(struct tell_facts, names));
    tr->mem = m;
    tr->keep_max = x->tables->conf->limit_answer;
    tr->facts = &other->facts;
    tr->page = idx;
    tr->other_page = other_idx;
    tr->facts->seed[0] = rand_next(&core->rand);
    tr->facts->seed[1] = rand_next(&core->rand);
    other->is.to = tr;
    tr->keep = &other->is.keep;
    x->other = &other->is;
    return tr;
}

static void note_facts(const struct core *core, const struct exchange *x,
                       struct tell_facts *facts)
{
    facts->api = (enum api)x->api;
    facts->created = (int64_t)(core->unix_ns / 1000000000u);
    facts->cost_nusd = -1;
    facts->usage = (struct api_usage){.present = true, .input = book_prompt_tokens(x)};
    name_model(x, facts);
}

static struct ask_target target_of(const struct exchange *x)
{
    static_assert((int)CATALOG_THOUGHTS_CONTENT == (int)THOUGHTS_REASONING_CONTENT &&
                  (int)CATALOG_THOUGHTS_REASONING == (int)THOUGHTS_REASONING &&
                  (int)CATALOG_THOUGHTS_DETAILS == (int)THOUGHTS_DETAILS, "one number each");
    const struct catalog_model *m = &x->tables->catalog->model[x->model];
    const struct catalog_provider *p = &x->tables->catalog->provider[m->provider];
    return (struct ask_target){
        .api = (enum api)x->peer, .model = bytes_of(m->upstream),
        .version = p->form == FORM_VERTEX && x->peer == API_MESSAGES
                       ? BYTES("vertex-2023-10-16") : (struct bytes){0},
        .output_max = x->spend.output_max,
        .output_default = m->max_output ? m->max_output : OUTPUT_USUAL,
        .quirks = catalog_quirks(m, p), .efforts = m->quality.efforts,
        .effort = x->effort, .thoughts = p->thoughts, .stream = x->stream,
        .thinks = m->abilities & ABILITY_REASONING, .official = p->official,
    };
}

/* Keep the first sentence about what cannot be said. */
static void note_unsaid(struct translation *o, const struct ask *a)
{
    static_assert(sizeof o->unsaid == sizeof a->error, "as long");
    static_assert(sizeof o->unsaid_at == sizeof a->pointer, "as long");
    if (o->unsaid[0]) return;
    memcpy(o->unsaid, a->error, sizeof o->unsaid);
    memcpy(o->unsaid_at, a->pointer, sizeof o->unsaid_at);
}

/* The client's request; where another one's answer is gone on with, with that behind it. */
struct question {
    struct place body, said;
    struct walk_source body_source, said_source;
    struct splice splice;
    struct splice_view view;
    bool goes_on;                  /* there is an unfinished turn */
};

/* False: it cannot be gone on with, which is noted. */
static bool splice(struct exchange *x, struct question *q, struct json_index *scratch)
{
    struct walk w;
    struct node root;
    struct translation *o = x->other;
    enum ask_continues how = (enum ask_continues)x->resume->how;
    bool fine = walk_open(&w, &q->body_source, scratch, &root) &&
                splice_make(&q->splice, (enum api)x->api, &w, root, &q->said_source, how);
    if (!fine && !o->unsaid[0]) {
        static const char why[] = "the conversation leaves no place for an answer's beginning";
        static_assert(sizeof why <= sizeof o->unsaid, "fits");
        memcpy(o->unsaid, why, sizeof why);
    }
    return fine;
}

/* All of the request as one document, in the client's dialect. */
static bool question_begin(struct core *core, struct exchange *x, struct question *q,
                           struct json_index *scratch, struct walk_source *all)
{
    const struct mem *m = &core->mem;
    place_begin(&q->body, m, &x->body, 0, x->body.bytes);
    q->body_source = *all = place_source(&q->body);
    q->goes_on = false;
    if (!resume_goes_on(x)) return true;
    place_begin(&q->said, m, &x->resume->said, 0, x->resume->said.bytes);
    q->said_source = place_source(&q->said);
    if (!splice(x, q, scratch)) return false;
    q->goes_on = splice_goes_on(&q->splice);
    q->view = (struct splice_view){&q->splice, &q->body_source, &q->said_source};
    *all = splice_source(&q->view);
    return true;
}

enum translator_rc translator_ask(struct core *core, struct exchange *x)
{
    struct translator *tr = translator_of(core, x);
    struct asking *room = (void *)core->text;
    assert(x->translated && (!tr || x->other->wire.bytes == 0));
    if (!tr) return TRANSLATOR_NO_ROOM;
    struct chain *wire = &x->other->wire;
    struct question question;
    struct walk_source source;
    bool goes_on = resume_goes_on(x);      /* the writer has what it knows of the answer */
    compose_restore(core, x);
    core_text_put(core, sizeof *room);
    if (!goes_on) note_facts(core, x, tr->facts);
    if (!question_begin(core, x, &question, &room->index, &source)) {
        return TRANSLATOR_UNSAYABLE;
    }
    struct ask_target target = target_of(x);
    if (question.goes_on) target.continues = x->resume->how;
    struct sheet sheet = {&core->mem, wire, goes_on ? NULL : &x->body};
    struct pen pen;
    sheet_begin(&sheet, &pen);
    enum ask_rc rc = translate_request(&room->ask, (enum api)x->api, &source, &room->index,
                                       &target, tr->facts, &pen);
    tr->facts->want_usage = x->want_usage;     /* OpenRouter's include asks for it too */
    if (rc == ASK_UNSAYABLE || rc == ASK_WRONG) note_unsaid(x->other, &room->ask);
    bool whole = sheet_end(&sheet, &pen);
    if (rc == ASK_WRITTEN && !whole) rc = ASK_NO_ROOM;
    if (rc != ASK_WRITTEN) chain_drop(&core->mem, wire);
    return (enum translator_rc)rc;
}

/* ---- streams ---- */

/* A writer and a reader, from the start. */
static void begin(struct core *core, struct translator *tr, enum api from, translator_put put,
                  void *arg)
{
    assert(!tr->begun && tr->keep->bytes == 0);
    tr->begun = true;
    place_begin(&tr->log, &core->mem, tr->keep, 0, 0);
    tr->t.keep = (struct tell_keep){.put = keep_put, .arg = tr,
                                    .source = place_source(&tr->log)};
    tr->t.facts = tr->facts;
    tr->t.said = (struct translate_said){.put = put, .arg = arg};
    translate_begin(&tr->t, from);
}

void translator_begin(struct core *core, struct exchange *x)
{
    struct translator *tr = x->other->to;
    assert(tr && x->translated);
    if (!resume_goes_on(x)) {
        begin(core, tr, (enum api)x->peer, NULL, NULL);
        return;
    }
    struct resume *r = x->resume;
    enum ask_continues how = (enum ask_continues)r->how;
    assert(tr->begun);
    uint64_t told = PLANT(keeps_overlap) ? 0 : r->said.bytes;
    place_begin(&r->told, &core->mem, &r->said, 0, told);
    r->told_source = place_source(&r->told);
    translate_onward(&tr->t, (enum api)x->peer, how, &r->told_source);
}

/* ---- what was relayed, and may be gone on with ---- */

bool translator_follow(struct core *core, struct exchange *x, translator_put put, void *arg)
{
    struct translator *tr = translator_of(core, x);
    struct asking *room = (void *)core->text;
    if (!tr) return false;
    struct tell_facts *facts = tr->facts;
    struct place body;
    assert(!x->translated && !resume_goes_on(x));
    translator_reset(core, x);
    core_text_put(core, sizeof *room);
    note_facts(core, x, facts);
    place_begin(&body, &core->mem, &x->body, 0, x->body.bytes);
    struct walk_source source = place_source(&body);
    if (!translate_facts(&room->ask, (enum api)x->api, &source, &room->index, facts)) {
        return false;
    }
    facts->want_usage = x->want_usage;
    facts->theirs = true;
    facts->want_thoughts = facts->encrypted = true;    /* the client had them as they came */
    if (x->notes.created) facts->created = x->notes.created;
    begin(core, tr, (enum api)x->peer, put, arg);
    return true;
}

/* Tell one event that was relayed; the first `used` bytes of the scratch are taken. */
static bool fold_one(struct core *core, struct exchange *x, const struct sse_event *ev,
                     size_t used)
{
    struct translator *tr = x->other->to;
    struct json_index index;
    struct walk_source source;
    struct bytes data = ev->data;
    if (ev->data_lines > 1) {
        if (ev->raw.len > CORE_SCRATCH - used) return false;
        data = (struct bytes){core->text + used, sse_join(ev, core->text + used)};
        core_text_put(core, used + data.len);
    }
    walk_source_of(&source, &data);
    return translate_fold(&tr->t, ev->event, &source, &index, NULL);
}

bool translator_fold(struct core *core, struct exchange *x, struct bytes *events, bool last)
{
    struct translator *tr = x->other->to;
    struct sse sse = {0};
    struct sse_event ev;
    size_t used = events->ptr == core->text ? events->len : 0;
    bool told = true;
    assert(tr && tr->begun && !x->translated);
    while (told && events->len > 0) {
        enum net_rc rc = sse_next(&sse, events, &ev);
        if (rc == NET_MORE && !last) break;
        if (rc == NET_MORE) {          /* a CR at its end, or no empty line: the last one */
            rc = sse_finish(&sse, *events, &ev);
            events->len = 0;
        }
        if (rc == NET_OK && ev.data_lines > 0) told = fold_one(core, x, &ev, used);
        if (rc == NET_BAD) told = false;
    }
    return told;
}

void translator_folded(struct exchange *x, uint32_t next)
{
    struct translator *tr = x->other->to;
    assert(tr->begun && !x->translated);
    translate_folded(&tr->t, next);
}

void translator_listen(struct exchange *x, translator_put put, void *arg)
{
    struct translator *tr = x->other->to;
    assert(tr->begun && put);
    tr->t.said.put = put;
    tr->t.said.arg = arg;
}

unsigned translator_lacks(const struct exchange *x)
{
    assert(x->other && x->other->to->begun);
    return x->other->to->t.said.lacks;
}

bool translator_strayed(const struct exchange *x)
{
    assert(x->other && x->other->to->begun);
    return x->other->to->t.onward.failed;
}

/* ---- what is said ---- */

bool translator_event(struct core *core, struct exchange *x,
                      const struct translator_text *event, const struct api_usage *usage)
{
    struct translator *tr = x->other->to;
    struct json_index index;
    struct walk_source source;
    struct bytes data = event->data;
    struct place place;
    struct speech speech;
    struct pen pen;
    /* several lines of data were joined in the scratch */
    size_t used = data.ptr == core->text ? data.len : 0;
    assert(tr && tr->begun);
    if (data.ptr) {
        walk_source_of(&source, &data);
    } else {
        place_begin(&place, &core->mem, event->chain, event->at, event->end);
        source = place_source(&place);
    }
    if (!speech_begin(&speech, &pen, core, x, used)) return false;
    struct api_usage all;
    if (usage && x->billed.count > 0) {    /* those of attempts before are part of it */
        book_price(core, x);
        all = book_all_usage(x);
        usage = &all;
    }
    bool ok = translate_event(&tr->t, event->name, &source, &index, usage, &pen);
    return speech_end(&speech, &pen, ok);
}

bool translator_end(struct core *core, struct exchange *x)
{
    struct translator *tr = x->other->to;
    struct speech speech;
    struct pen pen;
    assert(tr && tr->begun);
    book_price(core, x);
    struct api_usage usage = book_all_usage(x);
    if (x->want_cost) tr->facts->cost_nusd = book_all_cost(x);
    bool begun = speech_begin(&speech, &pen, core, x, 0);
    assert(begun);
    return begun && speech_end(&speech, &pen, translate_end(&tr->t, &usage, &pen));
}

bool translator_stop(struct core *core, struct exchange *x, const struct api_usage *usage)
{
    struct translator *tr = x->other->to;
    struct speech speech;
    struct pen pen;
    assert(tr && tr->begun);
    tr->facts->cost_nusd = x->want_cost ? book_all_cost(x) : -1;
    bool begun = speech_begin(&speech, &pen, core, x, 0);
    assert(begun);
    return begun && speech_end(&speech, &pen, translate_stop(&tr->t, usage, &pen));
}

bool translator_fault(struct core *core, struct exchange *x, const struct api_fault *fault)
{
    struct translator *tr = x->other->to;
    struct speech speech;
    struct pen pen;
    assert(tr && tr->begun);
    if (x->array && tr->entry) return false;       /* in the middle of an entry */
    if (tr->half && !stream_put(core, x, BYTES("\n\n"))) return false;
    bool begun = speech_begin(&speech, &pen, core, x, 0);
    assert(begun);
    return begun && speech_end(&speech, &pen, translate_fault(&tr->t, fault, &pen));
}

/* ---- whole answers ---- */

bool translator_whole(struct core *core, struct exchange *x, struct chain *out)
{
    struct tell_facts *facts = x->other->to->facts;
    struct json_index *index = (void *)core->text;
    static_assert(sizeof *index <= CORE_SCRATCH, "fits the scratch");
    struct place answer;
    struct pen pen;
    struct sheet sheet = {&core->mem, out, NULL};
    core_text_put(core, sizeof *index);
    facts->usage = book_all_usage(x);
    facts->cost_nusd = x->want_cost ? book_all_cost(x) : -1;
    place_begin(&answer, &core->mem, &x->answer, 0, x->answer.bytes);
    struct walk_source source = place_source(&answer);
    sheet_begin(&sheet, &pen);
    bool ok = translate_whole(facts, (enum api)x->peer, &source, index, &pen);
    ok = sheet_end(&sheet, &pen) && ok;
    if (!ok) chain_drop(&core->mem, out);
    return ok;
}

bool translator_tell(struct core *core, struct exchange *x,
                     bool (*take)(void *arg, const struct tell *t), void *arg)
{
    struct json_index *index = (void *)core->text;
    struct tell_reader reader;
    struct place answer;
    struct walk w;
    struct node root;
    core_text_put(core, sizeof *index);
    place_begin(&answer, &core->mem, &x->answer, 0, x->answer.bytes);
    struct walk_source source = place_source(&answer);
    if (!walk_open(&w, &source, index, &root)) return false;
    tell_begin(&reader, (enum api)x->peer, 0, take, arg);
    bool told = tell_whole(&reader, &w, root);
    explicit_bzero(&reader, sizeof reader);
    return told;
}

/* ---- the end ---- */

void translator_reset(struct core *core, struct exchange *x)
{
    if (!x->other) return;
    struct translator *tr = x->other->to;
    chain_drop(&core->mem, &x->other->event);
    if (resume_goes_on(x)) return;         /* the client's side goes on */
    chain_drop(&core->mem, tr->keep);
    tr->begun = tr->half = false;
    tr->entry = 0;
}

void translator_drop(struct core *core, struct exchange *x)
{
    if (!x->other) return;
    struct translator *tr = x->other->to;
    chain_drop(&core->mem, &x->other->event);
    chain_drop(&core->mem, tr->keep);
    chain_drop(&core->mem, &x->other->wire);
    x->other = NULL;
    mem_page_give(&core->mem, tr->other_page, sizeof(struct other));
    mem_page_give(&core->mem, tr->page, sizeof *tr);
}
