/* translate.c - from one dialect to another; see translate.h.
 * Model: a request goes from a reader to a writer that asks for its parts; of a stream each
 * event goes from the reader to the writer as it is found.
 * Rule: usage, which others read, is told before the end: a writer may say it in what it writes
 * then. */
#include "net/translate/translate.h"

#include "net/dialect/api_write.h"
#include "net/translate/ask.h"
#include "net/translate/onward.h"

enum { FAULT_ROOM = 4096 };

static bool is_count(enum api api)
{
    return api == API_COUNT_TOKENS || api == API_GENERATE_COUNT;
}

bool translate_can(enum api from, enum api to)
{
    assert(from < APIS && to < APIS);
    if (from == to) return true;
    if (is_count(from) != is_count(to) || !ask_reads(from) || !ask_writes(to)) return false;
    return is_count(from) || (tell_reads(to) && tell_writes(from));
}

/* False: the tools have names that do not fit. */
static bool note_facts(struct ask *a, enum api from, struct tell_facts *facts)
{
    const struct ask_settings *s = &a->settings;
    facts->api = from;
    facts->want_usage = s->include_usage;
    facts->want_thoughts = s->thoughts != 0;
    facts->encrypted = s->encrypted;
    facts->parallel = s->parallel != 0;
    facts->names_len = 0;
    return tell_note_names(a, facts);
}

bool translate_facts(struct ask *a, enum api from, const struct walk_source *body,
                     struct json_index *scratch, struct tell_facts *facts)
{
    if (!ask_open(a, from, body, scratch)) return false;
    (void)note_facts(a, from, facts);      /* of the same API, whose names stay */
    return true;
}

enum ask_rc translate_request(struct ask *a, enum api from, const struct walk_source *body,
                              struct json_index *scratch, const struct ask_target *target,
                              struct tell_facts *facts, struct pen *p)
{
    if (!ask_open(a, from, body, scratch)) return ASK_WRONG;
    if (!note_facts(a, from, facts) && from != target->api) return ASK_UNSAYABLE;
    return ask_write(a, target, p);
}

/* ---- streams ---- */

static bool tell_usage(struct translate *t)
{
    if (!t->usage) return true;
    struct tell usage = {.kind = TELL_USAGE, .usage = *t->usage};
    t->usage = NULL;
    return tell_write(&t->writer, &usage, t->pen);
}

/* Who made it, as the client has read it. */
static void note_start(struct translate *t, const struct tell *tell)
{
    struct tell_facts *f = t->facts;
    bool fits = !tell->lost && tell->id.len <= sizeof f->id && tell->name.len < sizeof f->model;
    if (!fits) t->said.lacks |= LACK_TEXT_LOST;
    if (!fits) return;
    f->id_len = (uint16_t)tell->id.len;
    if (tell->id.len > 0) memcpy(f->id, tell->id.ptr, tell->id.len);
    if (tell->name.len > 0) {
        memcpy(f->model, tell->name.ptr, tell->name.len);
        f->model[tell->name.len] = '\0';
    }
    if (tell->created > 0) f->created = tell->created;
}

/* A thought: clients of these two send it back, and a maker who signs wants it whole, with that
 * at its end. Others' are texts like any, which may break off. */
static void note_thought(struct translate *t, enum tell_kind kind)
{
    enum api to = t->facts->api, from = t->reader.api;
    bool signs = from == API_MESSAGES || from == API_CONVERSE ||
                 (from == API_RESPONSES && t->facts->encrypted);
    if (!signs || (to != API_MESSAGES && to != API_RESPONSES)) return;
    if (kind == TELL_OPEN) t->said.lacks |= LACK_THOUGHT;
    if (kind == TELL_OPEN || kind == TELL_SIGN) t->said.sealed = kind == TELL_SIGN;
    if (kind == TELL_CLOSE && t->said.sealed) t->said.lacks &= (uint8_t)~LACK_THOUGHT;
}

/* What of a block keeps others from going on with the answer. */
static uint8_t block_lacks(enum tell_block block)
{
    switch (block) {
    case TELL_CALL: return LACK_CALL;
    case TELL_REFUSAL: return LACK_REFUSAL;
    case TELL_IMAGE: case TELL_AUDIO: case TELL_TRANSCRIPT: return LACK_MEDIA;
    case TELL_TEXT: case TELL_THINKING: break;
    }
    return 0;
}

/* Keep the text; note what the answer lacks. */
static void note(struct translate *t, const struct tell *tell)
{
    struct translate_said *said = &t->said;
    enum tell_kind kind = (enum tell_kind)tell->kind;
    bool block = kind == TELL_OPEN || kind == TELL_MORE || kind == TELL_SIGN ||
                 kind == TELL_CLOSE;
    if (tell->choice > 0) said->lacks |= LACK_CHOICES;
    if (kind == TELL_LOGPROBS) said->lacks |= LACK_LOGPROBS;
    if (kind == TELL_FINISH && tell->choice == 0) said->lacks |= LACK_FINISHED;
    if (kind == TELL_OPEN) said->lacks |= block_lacks((enum tell_block)tell->block);
    if (block && tell->block == TELL_THINKING) note_thought(t, kind);
    if (kind != TELL_MORE || tell->block != TELL_TEXT || tell->choice > 0) return;
    /* What follows a gap is of no use. */
    if (said->lacks & LACK_TEXT_LOST || tell->text.len == 0) return;
    if (!said->put(said->arg, tell->text)) said->lacks |= LACK_TEXT_LOST;
}

bool translate_tell(struct translate *t, const struct tell *tell)
{
    bool ends = tell->kind == TELL_FINISH || tell->kind == TELL_END;
    if (tell->kind == TELL_START && t->facts->theirs) note_start(t, tell);
    if (t->said.put) note(t, tell);
    if (ends && !tell_usage(t)) return false;
    return tell_write(&t->writer, tell, t->pen);
}

/* What the reader tells goes to the writer. */
static bool take(void *arg, const struct tell *tell)
{
    struct translate *t = arg;
    if (t->onward.how != ASK_CONTINUES_NOT) return onward_take(t, tell);
    return translate_tell(t, tell);
}

void translate_begin(struct translate *t, enum api from)
{
    assert(t->facts && t->keep.put && t->keep.source.piece);
    assert(!t->facts->theirs || from == t->facts->api);
    t->facts->id_len = 0;
    tell_begin(&t->reader, from, t->facts->seed[0], take, t);
    t->reader.theirs = t->facts->theirs;
    tell_write_begin(&t->writer, t->facts, &t->keep);
    t->said.lacks = 0;
    t->said.sealed = false;
    t->onward = (struct translate_onward){0};
    t->pen = NULL;
    t->usage = NULL;
}

bool translate_event(struct translate *t, struct bytes name, const struct walk_source *data,
                     struct json_index *scratch, const struct api_usage *usage, struct pen *p)
{
    struct walk w;
    struct node root;
    if (t->reader.ended) return true;
    t->pen = p;
    t->usage = usage;
    bool told = true;
    /* What is no document, an end of a stream perhaps, tells nothing. */
    if (walk_open(&w, data, scratch, &root)) told = tell_event(&t->reader, name, &w, root);
    if (told && t->reader.started) told = tell_usage(t);
    t->usage = NULL;
    t->pen = NULL;
    return told;
}

/* pen.more of a pen whose words go nowhere. */
static bool discard(struct pen *p)
{
    p->len = 0;
    return true;
}

bool translate_fold(struct translate *t, struct bytes name, const struct walk_source *data,
                    struct json_index *scratch, const struct api_usage *usage)
{
    char window[PEN_NEED_MAX];
    struct pen p;
    assert(t->facts->theirs && t->onward.how == ASK_CONTINUES_NOT);
    pen_init(&p, window, sizeof window);
    p.more = discard;
    t->writer.relayed = true;
    bool told = translate_event(t, name, data, scratch, usage, &p);
    t->writer.relayed = false;
    explicit_bzero(window, sizeof window);
    return told;
}

void translate_folded(struct translate *t, uint32_t next)
{
    struct tell_writer *w = &t->writer;
    enum api api = t->facts->api;
    uint32_t *numbers = api == API_RESPONSES ? &w->items : &w->blocks;
    assert(t->facts->theirs && !w->relayed);
    t->reader.theirs = false;    /* what it may still tell is written */
    if (next > 0) w->sequence = next;
    if (api != API_RESPONSES && api != API_MESSAGES) return;
    if (*numbers < t->reader.places) *numbers = t->reader.places;
    if (t->reader.foreign) t->said.lacks |= LACK_CALL;
}

void translate_onward(struct translate *t, enum api from, enum ask_continues how,
                      const struct walk_source *said)
{
    assert(how != ASK_CONTINUES_NOT && said);
    assert(!t->writer.told_end && !(t->writer.finishes & 1));
    onward_begin(t, how, said);
    tell_begin(&t->reader, from, t->facts->seed[0] + t->onward.shift, take, t);
}

bool translate_end(struct translate *t, const struct api_usage *usage, struct pen *p)
{
    t->pen = p;
    t->usage = usage;
    bool told = tell_end(&t->reader);
    t->usage = NULL;
    t->pen = NULL;
    return told;
}

bool translate_stop(struct translate *t, const struct api_usage *usage, struct pen *p)
{
    t->reader.ended = true;
    return tell_write_stop(&t->writer, usage, p);
}

bool translate_fault(struct translate *t, const struct api_fault *f, struct pen *p)
{
    char room[FAULT_ROOM];
    struct api_stream s = {.sequence = t->writer.sequence};
    size_t n = api_error_event(t->facts->api, f, &s, room, sizeof room);
    t->reader.ended = true;
    pen_put(p, (struct bytes){room, n});
    return n > 0 && !p->full;
}

/* ---- whole answers ---- */

/* {"input_tokens":N} from {"totalTokens":N}, and the other way. */
static bool write_count(enum api to, const struct walk *w, struct node root, struct pen *p)
{
    static const struct bytes names[] = {BYTES_INIT("input_tokens"), BYTES_INIT("totalTokens")};
    struct node v[COUNT(names)];
    int64_t count;
    walk_members(w, root, names, COUNT(names), v);
    if (!walk_int(w, v[0], &count) && !walk_int(w, v[1], &count)) return false;
    pen_object(p);
    pen_key(p, to == API_COUNT_TOKENS ? names[0] : names[1]);
    pen_int(p, count);
    pen_object_end(p);
    return !p->full;
}

bool translate_whole(const struct tell_facts *facts, enum api from,
                     const struct walk_source *body, struct json_index *scratch, struct pen *p)
{
    struct walk w;
    struct node root;
    if (!walk_open(&w, body, scratch, &root)) return false;
    if (is_count(from)) return write_count(facts->api, &w, root, p);
    struct tell_story story = tell_story(from, facts->seed[0], &w, root);
    return tell_write_whole(facts, &story, p);
}
