/* api_edit.c - the few changes to a request that stays in its dialect: the model's name,
 * stream_options.include_usage, the output limit, the effort, and OpenRouter's own members,
 * which no provider knows; and what this provider is known to refuse.
 * Rule: everything else of the body goes on byte for byte. */
#include "net/dialect/api_part.h"
#include "net/jsonw.h"

enum { GONE_MAX = 9 };  /* members that Weir keeps to itself, or a provider refuses */

struct edits {
    struct api_edit *at;  /* borrows: the caller's */
    size_t count;
};

/* Keep the edits ascending; of two at one place an insertion comes first. */
static void put(struct edits *e, uint64_t at, uint64_t del, struct bytes text)
{
    assert(e->count < API_EDITS_MAX);
    size_t i = e->count++;
    for (; i > 0 && at < e->at[i - 1].at; i--) e->at[i] = e->at[i - 1];
    e->at[i] = (struct api_edit){at, del, text};
    assert(i == 0 || e->at[i - 1].at + e->at[i - 1].del <= at);
}

static void replace(struct edits *e, struct api_span span, struct bytes text)
{
    assert(span.start < span.end);
    put(e, span.start, span.end - span.start, text);
}

/* Which of the two limits goes by a name that the provider refuses; -1 none. */
static int refused_limit(const struct api_request *q, const struct api_change *change)
{
    assert(!change->no_max || !change->no_completion);
    if (q->api != API_CHAT) return -1;
    if (change->no_max && q->limit_at[0].key.end > 0) return 0;
    return change->no_completion && q->limit_at[1].key.end > 0 ? 1 : -1;
}

struct gone {                /* members that go, in the order of the body */
    const struct api_member *at[GONE_MAX];
    size_t count;
};

static void add_gone(struct gone *g, const struct api_member *m)
{
    if (m->key.end == 0) return;
    assert(g->count < GONE_MAX);
    size_t at = g->count++;
    for (; at > 0 && g->at[at - 1]->index > m->index; at--) g->at[at] = g->at[at - 1];
    g->at[at] = m;
}

static void gather_gone(struct gone *g, const struct api_request *q,
                        const struct api_change *change)
{
    int refused = refused_limit(q, change);
    add_gone(g, &q->models_at);
    add_gone(g, &q->provider_at);
    add_gone(g, &q->usage_at);
    bool in_path = api_form((enum api)q->api) == API_FORM_GENERATE;  /* not for the body */
    if (in_path) add_gone(g, &q->model_at);
    if (change->no_options) add_gone(g, &q->stream_options_at);
    for (size_t i = 0; change->no_sampling && i < COUNT(q->sampling_at); i++) {
        add_gone(g, &q->sampling_at[i]);
    }
    /* beside the other name it has nothing to say, else it gets that name */
    if (refused >= 0 && q->limit_at[1 - refused].key.end > 0) {
        add_gone(g, &q->limit_at[refused]);
    }
}

/* One comma goes with each: the one before it where something that stays stands before,
 * else the one behind it. */
static void put_removals(struct edits *e, const struct gone *gone)
{
    for (size_t i = 0; i < gone->count; i++) {
        const struct api_member *m = gone->at[i];
        assert(m->index >= i);
        bool stays_before = m->index > i;
        uint64_t start = stays_before ? m->before : m->key.start;
        uint64_t end = stays_before || m->after == 0 ? m->value.end : m->after;
        put(e, start, end - start, (struct bytes){0});
    }
}

/* Room for what the edits put: each piece is written behind the last. */
struct scratch {
    char *at;
    size_t left;
};

/* Take what w wrote at the beginning of what is left. */
static struct bytes scratch_take(struct scratch *s, const struct jsonw *w)
{
    assert(!w->full && w->len <= s->left);
    struct bytes text = {s->at, w->len};
    s->at += w->len;
    s->left -= w->len;
    return text;
}

static struct bytes text_value(struct scratch *s, struct bytes text)
{
    struct jsonw w;
    jsonw_init(&w, s->at, s->left);
    jsonw_string(&w, text);
    return scratch_take(s, &w);
}

static struct bytes digits_value(struct scratch *s, int64_t value)
{
    struct jsonw w;
    jsonw_init(&w, s->at, s->left);
    jsonw_int(&w, value);
    return scratch_take(s, &w);
}

/* {"name": 7}, or without its brackets. */
static struct bytes digits_member(struct scratch *s, const char *name, int64_t value,
                                  bool brackets)
{
    struct jsonw w;
    jsonw_init(&w, s->at, s->left);
    jsonw_object(&w);
    jsonw_key(&w, name), jsonw_int(&w, value);
    jsonw_object_end(&w);
    struct bytes text = scratch_take(s, &w);
    if (brackets) return text;
    return (struct bytes){text.ptr + 1, text.len - 2};
}

/* One text of all that is inserted behind the root's "{": a comma follows each member, unless
 * nothing else does. */
static struct bytes members(struct scratch *s, const struct bytes *add, size_t count,
                            bool stays)
{
    char *start = s->at;
    size_t last = count;
    for (size_t i = 0; i < count; i++) {
        if (add[i].len > 0) last = i;
    }
    for (size_t i = 0; i < count; i++) {
        if (add[i].len == 0) continue;
        bool comma = stays || i != last;
        assert(add[i].len + comma <= s->left);
        memcpy(s->at, add[i].ptr, add[i].len);
        if (comma) s->at[add[i].len] = ',';
        s->at += add[i].len + comma;
        s->left -= add[i].len + comma;
    }
    return bytes_between(start, s->at);
}

/* The member "model", without brackets. */
static struct bytes model_member(struct scratch *s, struct bytes model)
{
    struct jsonw w;
    jsonw_init(&w, s->at, s->left);
    jsonw_object(&w);
    jsonw_key(&w, "model"), jsonw_string(&w, model);
    jsonw_object_end(&w);
    struct bytes text = scratch_take(s, &w);
    return (struct bytes){text.ptr + 1, text.len - 2};
}

/* stream_options.include_usage is to be true. Gives the member to insert, if it is one. */
static struct bytes put_usage(struct edits *e, const struct api_request *q)
{
    struct api_span options = q->stream_options_at.value;
    if (q->include_usage_at.end > 0) {
        replace(e, q->include_usage_at, BYTES("true"));
    } else if (options.end == 0) {
        return BYTES("\"stream_options\":{\"include_usage\":true}");
    } else if (q->stream_options_null) {
        replace(e, options, BYTES("{\"include_usage\":true}"));
    } else {
        put(e, options.start + 1, 0,
            q->stream_options_empty ? BYTES("\"include_usage\":true")
                                    : BYTES("\"include_usage\":true,"));
    }
    return (struct bytes){0};
}

/* What an output limit is called where there is none. */
static const char *limit_name(const struct api_request *q, const struct api_change *change)
{
    switch ((enum api)q->api) {
    case API_CHAT: return change->completion_tokens ? "max_completion_tokens" : "max_tokens";
    case API_RESPONSES: return "max_output_tokens";
    default: return "max_tokens";
    }
}

/* Gemini: it stands in generationConfig. Gives the member to insert, if it is one. */
static struct bytes put_config(struct edits *e, const struct api_request *q, int64_t max,
                               struct scratch *s)
{
    static const char name[] = "maxOutputTokens";
    struct bytes empty = {0};
    if (q->config_at.end == 0) {
        struct jsonw w;
        jsonw_init(&w, s->at, s->left);
        jsonw_object(&w);
        jsonw_key(&w, "generationConfig"), jsonw_object(&w);
        jsonw_key(&w, name), jsonw_int(&w, max);
        jsonw_object_end(&w), jsonw_object_end(&w);
        struct bytes text = scratch_take(s, &w);
        return (struct bytes){text.ptr + 1, text.len - 2};
    }
    struct bytes text = digits_member(s, name, max, q->config_null);
    if (q->config_null) {
        replace(e, q->config_at, text);
        return empty;
    }
    if (!q->config_empty) text = members(s, &text, 1, true);
    put(e, q->config_at.start + 1, 0, text);
    return empty;
}

/* A limit under a refused name gets the other one; where both stand, the other one gets what it
 * says, if it says nothing itself. Gives the limit that is no longer there; -1 none. */
static int rename_limit(struct edits *e, const struct api_request *q,
                        const struct api_change *change, struct scratch *s)
{
    static const struct bytes names[] = {BYTES_INIT("\"max_tokens\""),
                                         BYTES_INIT("\"max_completion_tokens\"")};
    int refused = refused_limit(q, change);
    if (refused < 0) return -1;
    const struct api_limit *mine = &q->limit[refused], *other = &q->limit[1 - refused];
    if (q->limit_at[1 - refused].key.end == 0) {
        replace(e, q->limit_at[refused].key, names[1 - refused]);
        return -1;
    }
    if (other->value >= 0 || mine->value < 0) return refused;
    int64_t value = mine->value;
    if (change->output_max > 0 && value > change->output_max) value = change->output_max;
    replace(e, other->at, digits_value(s, value));
    return refused;
}

/* No output limit is to be over max; gone: the one that goes, -1 none. Gives the member to
 * insert, if there is none. */
static struct bytes put_limit(struct edits *e, const struct api_request *q,
                              const struct api_change *change, int gone,
                              struct scratch *s)
{
    int64_t max = change->output_max;
    bool any = false;
    assert(max > 0);
    for (size_t i = 0; i < COUNT(q->limit); i++) {
        const struct api_limit *l = &q->limit[i];
        if (l->at.end == 0 || (int)i == gone) continue;
        bool other = l->value < 0 && q->limit[1 - i].at.end > 0;  /* null beside a number */
        if (!other && (l->value < 0 || l->value > max)) replace(e, l->at, digits_value(s, max));
        any = true;
    }
    if (any) return (struct bytes){0};
    if (api_form((enum api)q->api) == API_FORM_GENERATE) return put_config(e, q, max, s);
    return digits_member(s, limit_name(q, change), max, false);
}

/* The member for an effort that the body says nothing of; empty: there is to be none. */
static struct bytes effort_member(const struct api_request *q, uint8_t effort)
{
#define EFFORT(word) {BYTES_INIT("\"reasoning_effort\":\"" word "\""), \
                      BYTES_INIT("\"reasoning\":{\"effort\":\"" word "\"}")}
    static const struct bytes words[API_EFFORTS][2] = {
        [API_EFFORT_NONE] = EFFORT("none"), [API_EFFORT_MINIMAL] = EFFORT("minimal"),
        [API_EFFORT_LOW] = EFFORT("low"), [API_EFFORT_MEDIUM] = EFFORT("medium"),
        [API_EFFORT_HIGH] = EFFORT("high"), [API_EFFORT_XHIGH] = EFFORT("xhigh"),
    };
#undef EFFORT
    assert(effort < API_EFFORTS);
    if (q->effort_said || (q->api != API_CHAT && q->api != API_RESPONSES)) {
        return (struct bytes){0};
    }
    return words[effort][q->api == API_RESPONSES];
}

/* Gemini's countTokens may hold a request that names its model. */
static void put_inner_model(struct edits *e, const struct api_request *q, struct bytes model,
                            struct scratch *s)
{
    struct jsonw w;
    char name[sizeof "models/" + API_NAME_MAX] = "models/";
    if (q->inner_model_at.end == 0) return;
    assert(model.len <= API_NAME_MAX);
    memcpy(name + 7, model.ptr, model.len);
    jsonw_init(&w, s->at, s->left);
    jsonw_string(&w, (struct bytes){name, 7 + model.len});
    replace(e, q->inner_model_at, scratch_take(s, &w));
}

/* Vertex AI takes Anthropic's body without a model, which stands in the path but for counts. */
static void put_version(struct edits *e, const struct api_request *q, struct bytes model,
                        struct scratch *s)
{
    struct bytes version = BYTES("\"anthropic_version\":\"vertex-2023-10-16\"");
    struct api_span at = {q->model_at.key.start, q->model_at.value.end};
    assert(q->api == API_MESSAGES || q->api == API_COUNT_TOKENS);
    assert(q->model_at.key.end > 0);
    if (q->api == API_MESSAGES) {
        replace(e, at, version);
        return;
    }
    put(e, q->model_at.key.start, 0, BYTES("\"anthropic_version\":\"vertex-2023-10-16\","));
    replace(e, q->model_at.value, text_value(s, model));
}

/* True where the API writes text, so that there is an output limit. */
static bool writes(const struct api_request *q)
{
    return q->api == API_CHAT || q->api == API_COMPLETIONS || q->api == API_RESPONSES ||
           q->api == API_MESSAGES || q->api == API_GENERATE;
}

size_t api_request_edits(const struct api_request *req, const struct api_change *change,
                         struct api_edit *out, char *scratch, size_t room)
{
    enum { ADD_MODEL, ADD_LIMIT, ADD_EFFORT, ADD_USAGE, ADDS };
    struct gone gone = {.count = 0};
    struct edits e = {.at = out};
    struct bytes model = change->model, add[ADDS] = {{0}};
    struct scratch s = {scratch, room};
    assert(model.len > 0);
    assert(room >= 12 * model.len + 384);
    if (api_is_upload((enum api)req->api)) {  /* a form's value is the name itself */
        if (!bytes_eq(req->model, model)) replace(&e, req->model_at.value, model);
        return e.count;
    }
    gather_gone(&gone, req, change);
    bool stays = req->member_count > gone.count;
    bool in_path = api_form((enum api)req->api) == API_FORM_GENERATE;
    if (in_path) put_inner_model(&e, req, model, &s);
    else if (change->vertex) put_version(&e, req, model, &s);
    else if (req->model_at.key.end == 0) add[ADD_MODEL] = model_member(&s, model);
    else if (!bytes_eq(req->model, model)) {
        replace(&e, req->model_at.value, text_value(&s, model));
    }
    int limit = rename_limit(&e, req, change, &s);
    if (change->output_max > 0 && writes(req)) {
        add[ADD_LIMIT] = put_limit(&e, req, change, limit, &s);
    }
    add[ADD_EFFORT] = effort_member(req, change->effort);
    bool has_option = req->api == API_CHAT || req->api == API_COMPLETIONS;
    has_option = has_option && !change->no_options;
    if (has_option && change->want_usage && req->stream && !req->include_usage) {
        add[ADD_USAGE] = put_usage(&e, req);
    }
    struct bytes all = members(&s, add, ADDS, stays);
    if (all.len > 0) put(&e, req->object_start + 1, 0, all);
    put_removals(&e, &gone);
    return e.count;
}

struct api_span api_member_cut(const struct api_member *m)
{
    assert(m->key.end > 0);
    assert(m->value.end > m->key.end);
    if (m->before > 0) return (struct api_span){m->before, m->value.end};
    return (struct api_span){m->key.start, m->after ? m->after : m->value.end};
}
