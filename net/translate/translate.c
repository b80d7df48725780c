/* translate.c - from one dialect to another; see translate.h.
 * Model: a request goes from a reader to a writer that asks for its parts; of a stream each
 * event goes from the reader to the writer as it is found.
 * Rule: usage, which others read, is told before the end: a writer may say it in what it writes
 * then. */
#include "net/translate/translate.h"

#include "net/dialect/api_write.h"
#include "net/translate/ask.h"

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

enum ask_rc translate_request(struct ask *a, enum api from, const struct walk_source *body,
                              struct json_index *scratch, const struct ask_target *target,
                              struct tell_facts *facts, struct pen *p)
{
    if (!ask_open(a, from, body, scratch)) return ASK_WRONG;
    const struct ask_settings *s = &a->settings;
    facts->api = from;
    facts->want_usage = s->include_usage;
    facts->want_thoughts = s->thoughts != 0;
    facts->encrypted = s->encrypted;
    facts->parallel = s->parallel != 0;
    facts->names_len = 0;
    if (!tell_note_names(a, facts) && from != target->api) return ASK_UNSAYABLE;
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

/* What the reader tells goes to the writer. */
static bool take(void *arg, const struct tell *tell)
{
    struct translate *t = arg;
    bool ends = tell->kind == TELL_FINISH || tell->kind == TELL_END;
    if (ends && !tell_usage(t)) return false;
    return tell_write(&t->writer, tell, t->pen);
}

void translate_begin(struct translate *t, enum api from)
{
    assert(t->facts && t->keep.put && t->keep.source.piece);
    tell_begin(&t->reader, from, t->facts->seed[0], take, t);
    tell_write_begin(&t->writer, t->facts, &t->keep);
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
