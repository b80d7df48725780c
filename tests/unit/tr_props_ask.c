/* tr_props_ask.c - what must hold of requests: see tr_props.h. Model: what was read is dumped
 * as text, and texts are compared: by place, where only cuts differ; by what it says, where it
 * was written anew. */
#include "tr_props.h"
#include "tr_kit.h"
#include "tr_text.h"

#include <stdio.h>
#include <stdlib.h>

struct doc {
    struct kit_pieces pieces;
    struct walk_source source;
};

/* Each request that is looked into at one time has a room of its own. */
static struct ask *ask_room(unsigned which)
{
    static struct ask *room[2];
    if (!room[which]) room[which] = malloc(sizeof **room);
    if (!room[which]) abort();
    return room[which];
}

static void put_span(struct text *t, struct walk_span s)
{
    text_putf(t, " %llu-%llu", (unsigned long long)s.start, (unsigned long long)s.end);
}

static void put_node(struct text *t, struct node n)
{
    text_putf(t, " %u", n.type);
    put_span(t, walk_all(n));
}

static void put_settings(struct text *t, const struct ask_settings *s)
{
    const struct node nodes[] = {s->temperature, s->top_p, s->top_k, s->seed, s->presence,
        s->frequency, s->bias, s->stop, s->user, s->metadata, s->tier, s->safety, s->cache_key,
        s->verbosity, s->audio, s->schema};
    for (size_t i = 0; i < COUNT(nodes); i++) put_node(t, nodes[i]);
    put_span(t, s->schema_name);
    put_span(t, s->schema_text);
    put_span(t, s->choice_name);
    text_putf(t, " %lld %lld %lld %lld", (long long)s->max_tokens, (long long)s->n,
              (long long)s->budget, (long long)s->top_logprobs);
    text_putf(t, " %u %u %u %u %d %d %d", s->effort, s->thinking, s->format, s->choice,
              s->strict, s->parallel, s->thoughts);
    text_putf(t, " %d%d%d%d%d%d%d\n", s->choice_said, s->gemini, s->stream, s->include_usage,
              s->logprobs, s->store, s->encrypted);
}

static void put_part(struct text *t, const struct ask_part *p)
{
    const struct walk_span spans[] = {p->text, p->id, p->name, p->space, p->signature, p->data,
                                      p->url, p->file, p->mime, p->detail};
    text_putf(t, "part %u %u %u %d%d%d", p->kind, p->role, p->maker, p->inside, p->custom,
              p->is_error);
    for (size_t i = 0; i < COUNT(spans); i++) put_span(t, spans[i]);
    put_node(t, p->value);
    put_node(t, p->arguments);
    put_node(t, p->cache);
    put_node(t, p->raw);
    text_putf(t, "\n");
}

static void put_tool(struct text *t, const struct ask_tool *p)
{
    text_putf(t, "tool %u %d %d", p->kind, p->strict, p->gemini);
    put_span(t, p->name);
    put_span(t, p->description);
    put_span(t, p->space);
    put_node(t, p->schema);
    put_node(t, p->format);
    put_node(t, p->cache);
    put_node(t, p->raw);
    text_putf(t, "\n");
}

enum { PARTS_MAX = 100000 };  /* more than any document here has */

/* All that is read of a request, by place. False: it is wrong; why is dumped. */
static bool dump_places(struct ask *a, struct text *t)
{
    struct ask_part part;
    struct ask_tool tool;
    size_t count = 0;
    put_settings(t, &a->settings);
    ask_rewind(a);
    do {
        MUST(++count < PARTS_MAX);
        if (!ask_next(a, &part)) {
            text_putf(t, "wrong %s %s\n", a->pointer, a->error);
            return false;
        }
        put_part(t, &part);
    } while (part.kind != ASK_END);
    ask_tools(a);
    while (ask_tool(a, &tool)) {
        MUST(++count < PARTS_MAX);
        put_tool(t, &tool);
    }
    text_putf(t, "unsayable %d %s %s\n", a->unsayable, a->pointer, a->error);
    return true;
}

/* Open a request in pieces, dump it twice: it can be begun again. */
static bool open_places(struct ask *a, enum api api, struct doc *d, struct bytes body,
                        size_t step, struct text *t)
{
    bool back = a == ask_room(1);
    struct text again = {0};
    d->source = kit_pieces(&d->pieces, body, step);
    memset(a, 0xA5, sizeof *a);  /* nothing of before is to be read */
    if (!ask_open(a, api, &d->source, props_index(back))) {
        MUST(a->error[0] != '\0');
        text_putf(t, "not opened %s %s\n", a->pointer, a->error);
        return false;
    }
    bool right = dump_places(a, t);
    if (right) {
        MUST(dump_places(a, &again));
        text_same("two readings", t, &again);
    } else {
        MUST(a->error[0] != '\0');
    }
    text_free(&again);
    return right;
}

static enum ask_id rule_of(enum api api)
{
    return api == API_MESSAGES ? ID_MESSAGES : api == API_RESPONSES ? ID_RESPONSES
         : api == API_GENERATE ? ID_GEMINI : ID_CHAT;
}

/* Has it a signature of the API's own maker? */
static bool is_own(const struct ask_part *p, enum api api)
{
    static const uint8_t makers[APIS] = {
        [API_CHAT] = MAKER_CHAT, [API_RESPONSES] = MAKER_RESPONSES,
        [API_MESSAGES] = MAKER_MESSAGES, [API_GENERATE] = MAKER_GEMINI,
    };
    return p->maker == makers[api] && walk_has(p->signature);
}

/* What a part says, whatever places it stands at. */
static void put_said(struct text *t, struct ask *a, const struct ask_part *p)
{
    const struct walk_span signature = is_own(p, a->api) ? p->signature : (struct walk_span){0};
    /* A document's type may be told by its name's end; audio's has several names. */
    bool named_mime = p->kind == ASK_DOCUMENT || p->kind == ASK_AUDIO;
    const struct walk_span mime = named_mime ? (struct walk_span){0} : p->mime;
    /* A result's name is its call's; chat writes it for functions of old alone. */
    const struct walk_span name = p->kind != ASK_RESULT ? p->name : (struct walk_span){0};
    /* A file that comes with the request must have a name: OpenAI's writers give it one. */
    bool named = p->kind == ASK_DOCUMENT && !walk_has(p->name) &&
                 ((a->api == API_CHAT && !walk_has(p->file)) ||
                  (a->api == API_RESPONSES && walk_has(p->data)));
    const struct walk_span spans[] = {name, signature, p->data, p->url, p->file, mime};
    static const char *const types[] = {[ASK_IMAGE] = "image/png", [ASK_DOCUMENT] = "",
                                        [ASK_AUDIO] = "wav", [ASK_VIDEO] = "video/mp4"};
    struct kit_pen k;
    kit_pen(&k, 0, NULL);
    pen_begin(&k.pen);
    if (p->kind == ASK_TEXT || p->kind == ASK_THINKING) ask_text(&k.pen, &a->walk, p);
    else pen_part_span(&k.pen, &a->walk, p->text);
    pen_end(&k.pen);
    for (size_t i = 0; i < COUNT(spans); i++) {
        pen_put(&k.pen, BYTES(" "));
        pen_put(&k.pen, BYTES("'"));
        if (i == 0 && named) pen_part(&k.pen, BYTES("document.pdf"));
        /* A type that is not said is what chat's writer takes it for. */
        bool typed = i + 1 == COUNT(spans) && a->api == API_CHAT && walk_has(p->data);
        if (typed && !walk_has(mime)) pen_part(&k.pen, bytes_of(types[p->kind]));
        /* Base64 of the web's letters is written in the usual ones, filled up. */
        if (i == 2) ask_base64(&k.pen, &a->walk, spans[i]);
        else pen_part_span(&k.pen, &a->walk, spans[i]);
    }
    if (p->kind == ASK_OTHER) pen_node(&k.pen, &a->walk, p->raw);
    bool called = p->kind == ASK_CALL || p->kind == ASK_RESULT;
    if (called) ask_put_id(&k.pen, &a->walk, p->id, rule_of(a->api));
    struct bytes out = kit_pen_text(&k);
    text_putf(t, "%u %u%s%s ", p->kind, p->role, p->inside ? " in" : "",
              p->is_error ? " error" : "");
    text_put_plain(t, out);
    kit_pen_free(&k);
    if (p->kind == ASK_CALL) {
        kit_pen(&k, 0, NULL);
        ask_put_arguments_text(a, &k.pen, p);
        out = kit_pen_text(&k);
        text_put_plain(t, (struct bytes){out.ptr + 1, out.len - 2});
        kit_pen_free(&k);
    }
    text_putf(t, "\n");
}

/* Says it nothing, or what only its maker may be told again? */
static bool is_silent(const struct ask_part *p, enum api api)
{
    if (p->kind == ASK_THINKING && !is_own(p, api)) return true;
    if (p->kind == ASK_TURN || p->kind == ASK_END || p->kind == ASK_RESULT_END) return true;
    /* Chat has a refusal beside the content, in no order with its texts. */
    return p->kind == ASK_REFUSAL || (p->kind == ASK_TEXT && !ask_has_text(p));
}

/* What all of a request says. False: chat's writer moves some of it, what is no text from a
 * result to a message of the user's behind it. */
static bool dump_said(struct ask *a, struct text *t)
{
    struct ask_part part;
    struct ask_tool tool;
    struct text thoughts = {0};  /* of the turn: chat has them beside the content */
    bool moved = false;
    ask_rewind(a);
    do {
        MUST(ask_next(a, &part));
        moved |= a->api == API_CHAT && part.inside && part.kind != ASK_TEXT;
        if (part.kind == ASK_TURN || part.kind == ASK_END) {
            text_put(t, text_of(&thoughts));
            text_free(&thoughts);
        }
        bool beside = a->api == API_CHAT && part.kind == ASK_THINKING;
        if (!is_silent(&part, a->api)) put_said(beside ? &thoughts : t, a, &part);
    } while (part.kind != ASK_END);
    ask_tools(a);
    while (ask_tool(a, &tool)) {
        struct kit_pen k;
        kit_pen(&k, 0, NULL);
        ask_put_name(&k.pen, &a->walk, tool.space, tool.name);
        if (tool.kind == ASK_HOSTED) pen_node(&k.pen, &a->walk, tool.raw);
        struct bytes out = kit_pen_text(&k);
        text_putf(t, "tool %u ", tool.kind);
        text_put_plain(t, out);
        text_putf(t, "\n");
        kit_pen_free(&k);
    }
    return !moved;
}

static struct ask_target target_of(enum api api)
{
    return (struct ask_target){.api = api, .model = BYTES("m-1"), .output_default = 4096,
                               .stream = true, .thinks = true, .official = true,
                               .thoughts = THOUGHTS_DETAILS};
}

/* Write it for a provider. Gives the body, which the caller frees; len 0: it cannot be said. */
static struct text written(struct ask *a, enum api to, size_t window)
{
    struct ask_target target = target_of(to);
    struct text out = {0};
    struct kit_pen k;
    char before = a->error[0];
    kit_pen(&k, window, a->walk.source);
    enum ask_rc rc = ask_write(a, &target, &k.pen);
    MUST(rc != ASK_NO_ROOM);
    if (rc == ASK_WRITTEN) {
        struct bytes b = kit_pen_text(&k);
        text_put(&out, b);
        if (!kit_is_json(b)) (void)fprintf(stderr, "%.*s\n", (int)b.len, b.ptr);
        MUST(kit_is_json(b));
    } else {
        MUST(a->error[0] != '\0');
    }
    if (before == '\0') a->error[0] = '\0';
    kit_pen_free(&k);
    return out;
}

/* The provider's body, read again, must be a request; of its own dialect, the same one. */
static void check_back(struct ask *a, enum api to, const struct text *body)
{
    struct ask *b = ask_room(1);
    struct text places = {0}, said = {0}, again = {0};
    struct doc d;
    bool right = open_places(b, to, &d, text_of(body), 0, &places);
    /* A result without its call is what no provider takes; only Gemini's reader says so. */
    bool alone = !right && strstr(places.at, "functionResponse without");
    if (!right && !alone) (void)fprintf(stderr, "%s\n%s\n", body->at, places.at);
    MUST(right || alone);
    if (right && a->api == to) {
        if (dump_said(a, &said)) {
            (void)dump_said(b, &again);
            text_same("what is said, written and read back", &said, &again);
        }
        struct text twice = written(b, to, 0);
        text_same("bodies written twice", body, &twice);
        text_free(&twice);
    }
    kit_pieces_free(&d.pieces);
    text_free(&places);
    text_free(&said);
    text_free(&again);
}

bool props_ask(enum api api, struct bytes body, size_t step)
{
    struct ask *a = ask_room(0);
    struct text whole = {0}, cut = {0};
    struct doc d;
    bool right = open_places(a, api, &d, body, 0, &whole);
    for (size_t i = 0; right && i < PROPS_APIS; i++) {
        if (!ask_writes(props_apis[i])) continue;
        struct text out = written(a, props_apis[i], body.len);
        if (out.len > 0 && ask_reads(props_apis[i])) check_back(a, props_apis[i], &out);
        text_free(&out);
    }
    kit_pieces_free(&d.pieces);
    if (step > 0) {
        a = ask_room(0);
        bool cut_right = open_places(a, api, &d, body, step, &cut);
        text_same("readings whole and cut", &whole, &cut);
        MUST(right == cut_right);
        kit_pieces_free(&d.pieces);
    }
    text_free(&whole);
    text_free(&cut);
    return right;
}
