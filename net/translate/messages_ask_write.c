/* messages_ask_write.c - writes any request as Anthropic's Messages has it.
 * Model: two passes over the conversation. The first writes the system prompt, which stands
 * apart there, and looks at the rest; so it is known, before a message is written, whether the
 * model will think, and whose thoughts may go with it. Then messages, tools, settings.
 * Rules that are Anthropic's: user and assistant take turns (what follows itself is merged);
 * results of tools stand first in the user's turn; there is a limit of output; no empty text;
 * thoughts only with the signature of their maker; no thinking where a tool is forced, or in
 * front of a turn that is to be continued; no sampling beside thinking.
 * Rule of ours: what only shapes an answer and has no word here is left out (seed, penalties,
 * logit_bias, verbosity, strict, cache keys); what would make it another answer is refused. */
#include <stdio.h>
#include <stdlib.h>

#include "net/translate/ask.h"
#include "net/translate/messages.h"
#include "net/translate/schema.h"

enum { OUTPUT_DEFAULT = 4096,   /* where nobody gives a limit */
       BUDGET_MIN = 1024,       /* Anthropic's least budget for thinking */
       SORTED_MAX = 32,         /* turns that are put in order; others stay as they are */
       USER_ID_MAX = 256 };     /* bytes of metadata.user_id */

enum filter { ALL, RESULTS, OTHERS };

struct plan {                /* what the settings come to */
    int64_t max_tokens, budget;     /* budget 0: none */
    bool adaptive, disabled;
    enum api_effort effort;  /* of output_config; UNSET: none */
};

struct writer {
    struct ask *a;
    const struct ask_target *t;
    struct pen *p;
    struct plan plan;
    enum ask_rc rc;
    /* of the first pass */
    bool talks;              /* somebody besides the system says something */
    bool system;             /* an array of system texts is open */
    bool prefill;            /* the last turn is the model's */
    bool loop_unsigned;      /* the last calls, with results, have no signed thought before */
    bool calls;              /* there are calls */
    struct walk_span call;   /* the name of the first */
    uint32_t sorted[SORTED_MAX];    /* turns whose results do not stand first */
    size_t sorted_count;
    /* of the second */
    bool open;               /* a message is open, */
    uint8_t role;            /* of this role, ASK_USER or ASK_MODEL, */
    bool result, content;    /* in it a result, with an array of blocks */
};

/* ---- small things ---- */

static const char *list_of(enum api api)
{
    bool gemini = api == API_GENERATE || api == API_GENERATE_COUNT;
    return gemini ? "contents" : api == API_RESPONSES ? "input" : "messages";
}

/* Say what the dialect has no way for, in the message in hand. */
static bool refuse(struct writer *w, const char *what)
{
    struct ask *a = w->a;
    char pointer[sizeof a->pointer];
    snprintf(pointer, sizeof pointer, "/%s/%u", list_of(a->api), a->message);
    ask_blame(a, pointer, "the Anthropic dialect has no way to say %s", what);
    w->rc = ASK_UNSAYABLE;
    return false;
}

/* Nothing but blanks, which Anthropic refuses as it does an empty text. */
static bool is_blank(const struct walk *w, struct walk_span s)
{
    bool escape = false;
    for (uint64_t at = s.start; at < s.end;) {
        struct bytes piece = walk_piece(w, at, s.end);
        for (size_t i = 0; i < piece.len; i++) {
            char c = piece.ptr[i];
            if (escape ? c != 'n' && c != 't' && c != 'r' : c != ' ' && c != '\\') return false;
            escape = !escape && c == '\\';
        }
        at += piece.len;
    }
    return true;
}

static bool says(const struct walk *w, const struct ask_part *part)
{
    return part->value.type != JSON_NONE || !is_blank(w, part->text);
}

/* Are these thoughts Anthropic's, so that they may be sent back? */
static bool is_own_thought(const struct ask_part *part)
{
    return part->kind == ASK_THINKING && part->maker == MAKER_MESSAGES &&
           walk_has(part->signature);
}

static void put_cache(struct writer *w, struct node cache)
{
    if (cache.type != JSON_OBJECT) return;
    pen_key(w->p, BYTES("cache_control"));
    pen_node(w->p, &w->a->walk, cache);
}

static void put_text(struct writer *w, const struct ask_part *part)
{
    pen_object(w->p);
    messages_put_word(w->p, BYTES("type"), BYTES("text"));
    pen_key(w->p, BYTES("text"));
    pen_begin(w->p);
    ask_text(w->p, &w->a->walk, part);
    pen_end(w->p);
    put_cache(w, part->cache);
    pen_object_end(w->p);
}

/* ---- the first pass ---- */

static bool is_system(uint8_t role)
{
    return role == ASK_SYSTEM || role == ASK_DEVELOPER;
}

/* Does anybody but the system say something? */
static bool find_talk(struct writer *w)
{
    struct ask_part part;
    w->talks = false;
    ask_rewind(w->a);
    do {
        if (!ask_next(w->a, &part)) return false;
        w->talks = part.kind != ASK_TURN && part.kind != ASK_END && !is_system(part.role);
    } while (part.kind != ASK_END && !w->talks);
    return true;
}

static void open_system(struct writer *w)
{
    if (w->system) return;
    w->system = true;
    pen_key(w->p, BYTES("system"));
    pen_array(w->p);
}

static bool put_system(struct writer *w, const struct ask_part *part)
{
    if (part->kind == ASK_TURN) return true;
    if (part->kind != ASK_TEXT && part->kind != ASK_REFUSAL) {
        return refuse(w, "anything but text in a system prompt");
    }
    if (!says(&w->a->walk, part)) return true;
    open_system(w);
    put_text(w, part);
    return true;
}

struct survey {              /* of the turns between two of the model's */
    uint32_t turn, first;    /* number of the turn; of the first one of this user's message */
    bool user, said, noted;  /* in a user's message; something but results was in it; noted */
    bool resulted;           /* results were in it: the model's turn goes on behind it */
    bool model, signed_first, any, called;  /* of the model's latest turn, which runs on over
                                               messages that bring results */
};

/* A message of the user's or of the model's begins, or goes on. */
static void survey_turn(struct survey *s, uint8_t role)
{
    s->turn++;
    bool model = role == ASK_MODEL;
    bool over = s->said && !s->resulted;
    if (model && !s->model && over) s->signed_first = s->any = s->called = false;
    if (!model && !s->user) s->first = s->turn, s->said = s->noted = s->resulted = false;
    s->model = model;
    s->user = !model;
}

static void survey_part(struct writer *w, struct survey *s, const struct ask_part *part)
{
    if (part->kind == ASK_TURN) {
        survey_turn(s, part->role);
        return;
    }
    w->prefill = s->model;
    if (part->kind == ASK_CALL) {
        if (!w->calls) w->calls = true, w->call = part->name;
        s->called = true;
    }
    if (s->model && !s->any && (part->kind != ASK_THINKING || is_own_thought(part))) {
        s->any = true;
        s->signed_first = part->kind == ASK_THINKING;
    }
    s->resulted |= part->kind == ASK_RESULT;
    if (part->kind == ASK_RESULT && s->said && !s->noted && w->sorted_count < SORTED_MAX) {
        w->sorted[w->sorted_count++] = s->first;
        s->noted = true;
    }
    if (s->user && !part->inside && part->kind != ASK_RESULT &&
        part->kind != ASK_RESULT_END) s->said = true;
    bool goes_on = s->model || s->resulted || !s->said;
    w->loop_unsigned = s->called && !s->signed_first && goes_on;
}

/* The system prompt is written, the rest is looked at. */
static bool first_pass(struct writer *w)
{
    struct survey s = {0};
    struct ask_part part;
    if (!find_talk(w)) return false;
    ask_rewind(w->a);
    for (;;) {
        if (!ask_next(w->a, &part)) return false;
        if (part.kind == ASK_END) return true;
        if (is_system(part.role) && w->talks) {
            if (!put_system(w, &part)) return false;
        } else {
            survey_part(w, &s, &part);
        }
    }
}

/* Is a schema asked for by its own member? Anthropic refuses one beside an answer that is
 * begun. */
static bool takes_schema(const struct writer *w)
{
    return (w->t->quirks & ASK_NO_SCHEMA) == 0 && !ask_goes_on(w->t);
}

/* Who wants JSON of a model that knows no schema is told so in words. */
static void put_format_words(struct writer *w)
{
    const struct ask_settings *s = &w->a->settings;
    bool schema = s->format == API_FORMAT_SCHEMA;
    if (s->format == API_FORMAT_TEXT) return;
    if (schema && takes_schema(w)) return;
    open_system(w);
    pen_object(w->p);
    messages_put_word(w->p, BYTES("type"), BYTES("text"));
    pen_key(w->p, BYTES("text"));
    pen_begin(w->p);
    pen_part(w->p, BYTES("Answer with one JSON value and nothing else: no words around it, "
                         "no code fence."));
    if (schema) {
        pen_part(w->p, BYTES(" It must be valid against this JSON Schema:\\n"));
        pen_part_node(w->p, &w->a->walk, s->schema);
    } else {
        pen_part(w->p, BYTES(" It must be an object."));
    }
    pen_end(w->p);
    pen_object_end(w->p);
}

/* ---- what the settings come to ---- */

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* How much the model is to think. */
static void plan_thinking(struct writer *w)
{
    const struct ask_settings *s = &w->a->settings;
    const struct ask_target *t = w->t;
    struct plan *plan = &w->plan;
    enum api_effort effort = t->effort != API_EFFORT_UNSET ? t->effort : s->effort;
    bool off = effort == API_EFFORT_NONE ||
               (t->effort == API_EFFORT_UNSET && s->thinking == THINKING_OFF) ||
               (effort == API_EFFORT_UNSET && s->budget == 0);
    bool adaptive = (t->quirks & ASK_ADAPTIVE) != 0;
    bool wanted = effort != API_EFFORT_UNSET || s->thinking != THINKING_UNSET || s->budget > 0;
    bool forced = s->choice == API_CHOICE_REQUIRED || s->choice == API_CHOICE_NAMED;
    if (!t->thinks || !wanted) return;
    if (off) {
        plan->disabled = adaptive;
        return;
    }
    if (adaptive) {
        if (effort == API_EFFORT_UNSET && s->budget > 0) effort = ask_budget_effort(s->budget);
        if (effort != API_EFFORT_UNSET) plan->effort = ask_effort_for(t, effort);
        plan->adaptive = !forced && !w->prefill;
        return;
    }
    if (forced || w->prefill || w->loop_unsigned) return;
    bool counted = s->budget > 0 && t->effort == API_EFFORT_UNSET;
    if (effort == API_EFFORT_UNSET) effort = API_EFFORT_MEDIUM;
    plan->budget = counted ? s->budget : ask_effort_budget(effort, plan->max_tokens);
    if (plan->budget < BUDGET_MIN) plan->budget = BUDGET_MIN;
    plan->budget = least(plan->budget, plan->max_tokens - 1);
    if (plan->budget < BUDGET_MIN) plan->budget = 0;
}

static void plan_settings(struct writer *w)
{
    struct plan *plan = &w->plan;
    plan->max_tokens = ask_output(w->a, w->t);
    if (plan->max_tokens <= 0) {
        plan->max_tokens = w->t->output_default > 0 ? w->t->output_default : OUTPUT_DEFAULT;
        if (w->t->output_max > 0) {
            plan->max_tokens = least(plan->max_tokens, w->t->output_max);
        }
    }
    plan_thinking(w);
    assert(plan->budget < plan->max_tokens);
}

static bool thinks(const struct writer *w)
{
    return w->plan.adaptive || w->plan.budget > 0;
}

/* ---- the messages ---- */

static void close_message(struct writer *w)
{
    if (!w->open) return;
    pen_array_end(w->p);
    pen_object_end(w->p);
    w->open = false;
}

/* A block of that role follows: in the message that is open, or in one of its own. */
static void open_message(struct writer *w, uint8_t role)
{
    uint8_t as = role == ASK_MODEL ? ASK_MODEL : ASK_USER;
    if (w->open && w->role == as) return;
    close_message(w);
    pen_object(w->p);
    messages_put_word(w->p, BYTES("role"), as == ASK_MODEL ? BYTES("assistant")
                                                           : BYTES("user"));
    pen_key(w->p, BYTES("content"));
    pen_array(w->p);
    w->open = true;
    w->role = as;
}

/* The same, in a result where the part is inside one. */
static void open_block(struct writer *w, const struct ask_part *part)
{
    if (!part->inside || !w->result) {
        open_message(w, part->role);
    } else if (!w->content) {
        w->content = true;
        pen_key(w->p, BYTES("content"));
        pen_array(w->p);
    }
}

static bool put_media(struct writer *w, const struct ask_part *part)
{
    const struct walk *walk = &w->a->walk;
    bool image = part->kind == ASK_IMAGE;
    if (part->role == ASK_MODEL) {
        return refuse(w, image ? "an image in the model's turn"
                               : "a document in the model's turn");
    }
    const char *cannot = messages_media_fault(walk, part);
    if (cannot) return refuse(w, cannot);
    open_block(w, part);
    pen_object(w->p);
    messages_put_word(w->p, BYTES("type"), image ? BYTES("image") : BYTES("document"));
    messages_put_source(w->p, walk, part);
    if (!image && walk_has(part->name)) {
        pen_key(w->p, BYTES("title"));
        pen_span(w->p, walk, part->name);
    }
    put_cache(w, part->cache);
    pen_object_end(w->p);
    return true;
}

/* Thoughts go back to who signed them; others are left out, for nobody can check them. */
static void put_thought(struct writer *w, const struct ask_part *part)
{
    const struct walk *walk = &w->a->walk;
    struct walk_span data = part->signature;
    if (!is_own_thought(part) || (!thinks(w) && (w->t->quirks & ASK_ADAPTIVE) == 0)) return;
    struct walk_span head = {data.start, data.start + MESSAGES_REDACTED.len};
    bool redacted = data.end - data.start > MESSAGES_REDACTED.len &&
                    walk_is(walk, head, MESSAGES_REDACTED);
    open_message(w, ASK_MODEL);
    pen_object(w->p);
    if (redacted) {
        data.start = head.end;
        messages_put_word(w->p, BYTES("type"), BYTES("redacted_thinking"));
        pen_key(w->p, BYTES("data"));
    } else {
        messages_put_word(w->p, BYTES("type"), BYTES("thinking"));
        pen_key(w->p, BYTES("thinking"));
        pen_begin(w->p);
        ask_text(w->p, walk, part);
        pen_end(w->p);
        pen_key(w->p, BYTES("signature"));
    }
    pen_span(w->p, walk, data);
    pen_object_end(w->p);
}

/* A tool's name, with its namespace where it has one. */
static void put_name(struct writer *w, struct walk_span space, struct walk_span name)
{
    pen_key(w->p, BYTES("name"));
    ask_put_name(w->p, &w->a->walk, space, name);
}

static bool put_call(struct writer *w, const struct ask_part *part)
{
    open_message(w, ASK_MODEL);
    pen_object(w->p);
    messages_put_word(w->p, BYTES("type"), BYTES("tool_use"));
    pen_key(w->p, BYTES("id"));
    ask_put_id(w->p, &w->a->walk, part->id, ID_MESSAGES);
    put_name(w, part->space, part->name);
    pen_key(w->p, BYTES("input"));
    if (!ask_put_arguments(w->a, w->p, part)) {
        w->rc = ASK_WRONG;
        return false;
    }
    put_cache(w, part->cache);
    pen_object_end(w->p);
    return true;
}

static void put_result(struct writer *w, const struct ask_part *part)
{
    open_message(w, ASK_USER);
    pen_object(w->p);
    messages_put_word(w->p, BYTES("type"), BYTES("tool_result"));
    pen_key(w->p, BYTES("tool_use_id"));
    ask_put_id(w->p, &w->a->walk, part->id, ID_MESSAGES);
    if (part->is_error) pen_key(w->p, BYTES("is_error")), pen_bool(w->p, true);
    put_cache(w, part->cache);
    w->result = true;
    w->content = false;
}

static void end_result(struct writer *w)
{
    assert(w->result);
    if (w->content) pen_array_end(w->p);
    pen_object_end(w->p);
    w->result = w->content = false;
}

static bool put_part(struct writer *w, const struct ask_part *part)
{
    switch (part->kind) {
    case ASK_TURN: return true;
    case ASK_TEXT: case ASK_REFUSAL:
        if (!says(&w->a->walk, part)) return true;
        open_block(w, part);
        put_text(w, part);
        return true;
    case ASK_IMAGE: case ASK_DOCUMENT: return put_media(w, part);
    case ASK_THINKING: put_thought(w, part); return true;
    case ASK_CALL: return put_call(w, part);
    case ASK_RESULT: put_result(w, part); return true;
    case ASK_RESULT_END: end_result(w); return true;
    case ASK_AUDIO: return refuse(w, "audio");
    case ASK_VIDEO: return refuse(w, "video");
    default: return refuse(w, "what only its own dialect knows");
    }
}

static bool passes(enum filter filter, const struct ask_part *part)
{
    bool result = part->inside || part->kind == ASK_RESULT || part->kind == ASK_RESULT_END;
    return filter == ALL || result == (filter == RESULTS);
}

static bool is_sorted(const struct writer *w, uint32_t turn)
{
    for (size_t i = 0; i < w->sorted_count; i++) {
        if (w->sorted[i] == turn) return true;
    }
    return false;
}

/* Read on from the beginning up to that turn, counted as the first pass did. */
static bool go_to_turn(struct writer *w, uint32_t turn)
{
    struct ask_part part;
    uint32_t at = 0;
    ask_rewind(w->a);
    while (at < turn) {
        if (!ask_next(w->a, &part)) return false;
        assert(part.kind != ASK_END);
        if (part.kind == ASK_TURN && !(is_system(part.role) && w->talks)) at++;
    }
    return true;
}

/* Where results do not stand first, what is between two turns of the model's is read twice:
 * once for them, once for the rest. */
static bool put_messages(struct writer *w)
{
    enum filter filter = ALL;
    uint32_t turn = 0, from = 0;
    struct ask_part part;
    ask_rewind(w->a);
    for (;;) {
        if (!ask_next(w->a, &part)) return false;
        bool over = part.kind == ASK_END || (part.kind == ASK_TURN && part.role == ASK_MODEL);
        if (over && filter == RESULTS) {
            if (!go_to_turn(w, from)) return false;
            filter = OTHERS;
            turn = from;
            continue;
        }
        if (part.kind == ASK_END) break;
        if (is_system(part.role) && w->talks) continue;
        if (part.kind == ASK_TURN) turn++;
        if (over) filter = ALL;
        if (part.kind == ASK_TURN && filter == ALL && is_sorted(w, turn)) {
            filter = RESULTS;
            from = turn;
        }
        if (passes(filter, &part) && !put_part(w, &part)) return false;
    }
    close_message(w);
    return true;
}

/* ---- tools ---- */

/* Anthropic must have a schema of type object. */
static void put_schema(struct writer *w, const struct ask_tool *tool)
{
    const struct walk *walk = &w->a->walk;
    if (tool->schema.type != JSON_OBJECT) {
        pen_value(w->p, BYTES("{\"type\":\"object\"}"));
        return;
    }
    if (tool->gemini) {
        schema_put_object(w->p, walk, tool->schema);
        return;
    }
    if (walk_member(walk, tool->schema, BYTES("type")).type == JSON_STRING) {
        pen_node(w->p, walk, tool->schema);
        return;
    }
    struct walk_each each;
    struct node key, value;
    pen_object(w->p);
    messages_put_word(w->p, BYTES("type"), BYTES("object"));
    walk_begin(walk, tool->schema, &each);
    while (walk_next(&each, &key, &value)) {
        if (walk_is(walk, walk_inside(key), BYTES("type"))) continue;
        pen_key_span(w->p, walk, walk_inside(key));
        pen_node(w->p, walk, value);
    }
    pen_object_end(w->p);
}

/* The grammar of a tool that takes any text is told in words: there is no other place. */
static void put_description(const struct writer *w, const struct ask_tool *tool)
{
    const struct walk *walk = &w->a->walk;
    struct walk_span grammar =
        walk_inside(walk_member(walk, tool->format, BYTES("definition")));
    if (!walk_has(tool->description) && !walk_has(grammar)) return;
    pen_key(w->p, BYTES("description"));
    pen_begin(w->p);
    pen_part_span(w->p, walk, tool->description);
    if (walk_has(grammar)) {
        pen_part(w->p, BYTES("\\n\\nThe input must follow this grammar:\\n"));
        pen_part_span(w->p, walk, grammar);
    }
    pen_end(w->p);
}

static void put_tool(struct writer *w, const struct ask_tool *tool)
{
    pen_object(w->p);
    put_name(w, tool->space, tool->name);
    put_description(w, tool);
    pen_key(w->p, BYTES("input_schema"));
    if (tool->kind == ASK_CUSTOM) ask_put_custom_schema(w->p);
    else put_schema(w, tool);
    put_cache(w, tool->cache);
    pen_object_end(w->p);
}

static void put_choice(struct writer *w, bool tools)
{
    static const struct bytes words[] = {
        [API_CHOICE_AUTO] = BYTES_INIT("auto"), [API_CHOICE_NONE] = BYTES_INIT("none"),
        [API_CHOICE_REQUIRED] = BYTES_INIT("any"), [API_CHOICE_NAMED] = BYTES_INIT("tool"),
    };
    const struct ask_settings *s = &w->a->settings;
    uint8_t choice = tools ? s->choice : (uint8_t)API_CHOICE_NONE;
    if (tools && !s->choice_said && s->parallel != 0) return;
    pen_key(w->p, BYTES("tool_choice"));
    pen_object(w->p);
    messages_put_word(w->p, BYTES("type"), words[choice]);
    if (choice == API_CHOICE_NAMED) put_name(w, (struct walk_span){0}, s->choice_name);
    if (choice != API_CHOICE_NONE && s->parallel == 0) {
        pen_key(w->p, BYTES("disable_parallel_tool_use"));
        pen_bool(w->p, true);
    }
    pen_object_end(w->p);
}

/* Hosted tools of others are left out where functions stand beside them: agents offer them
 * always. Where there is nothing else, the answer would be another one. */
static bool put_tools(struct writer *w)
{
    struct ask_tool tool;
    bool open = false, hosted = false;
    ask_tools(w->a);
    while (ask_tool(w->a, &tool)) {
        hosted |= tool.kind == ASK_HOSTED;
        if (tool.kind == ASK_HOSTED) continue;
        if (!open) pen_key(w->p, BYTES("tools")), pen_array(w->p);
        open = true;
        put_tool(w, &tool);
    }
    if (hosted && !open && w->a->settings.choice != API_CHOICE_NONE) {
        ask_blame(w->a, "/tools", "the Anthropic dialect has no such tools");
        w->rc = ASK_UNSAYABLE;
        return false;
    }
    bool tools = open;
    if (!open && w->calls) {  /* Anthropic takes no calls without tools: the one called first */
        pen_key(w->p, BYTES("tools")), pen_array(w->p);
        put_tool(w, &(struct ask_tool){.kind = ASK_FUNCTION, .name = w->call});
        open = true;
    }
    if (open) {
        pen_array_end(w->p);
        put_choice(w, tools);
    }
    return true;
}

/* ---- settings ---- */

static void put_number(struct writer *w, struct bytes key, struct node n, double max)
{
    char room[64];
    if (n.type != JSON_NUMBER) return;
    struct bytes text = walk_bytes(&w->a->walk, walk_all(n), room, sizeof room - 1);
    if (!text.ptr || text.len >= sizeof room) return;
    memmove(room, text.ptr, text.len);
    room[text.len] = '\0';
    double value = strtod(room, NULL);
    pen_key(w->p, key);
    if (value > max) pen_int(w->p, (int64_t)max);
    else if (value < 0) pen_int(w->p, 0);
    else pen_value(w->p, (struct bytes){room, text.len});
}

/* Newer models refuse top_p beside temperature. */
static void put_sampling(struct writer *w)
{
    const struct ask_settings *s = &w->a->settings;
    if ((w->t->quirks & ASK_NO_SAMPLING) != 0 || thinks(w)) return;
    put_number(w, BYTES("temperature"), s->temperature, 1);
    if (s->temperature.type != JSON_NUMBER) put_number(w, BYTES("top_p"), s->top_p, 1);
    int64_t k;
    if (walk_int(&w->a->walk, s->top_k, &k) && k >= 0) {
        pen_key(w->p, BYTES("top_k"));
        pen_int(w->p, k);
    }
}

static const char *stop_pointer(enum api api)
{
    bool gemini = api == API_GENERATE || api == API_GENERATE_COUNT;
    return gemini ? "/generationConfig/stopSequences" : "/stop";
}

/* A sequence of blanks is refused by Anthropic; without it the answer would go on. */
static bool put_stop(struct writer *w)
{
    const struct walk *walk = &w->a->walk;
    struct node stop = w->a->settings.stop, key, value = stop;
    struct walk_each each;
    bool list = stop.type == JSON_ARRAY, open = false;
    if (!list && stop.type != JSON_STRING) return true;
    walk_begin(walk, stop, &each);
    while (list ? walk_next(&each, &key, &value) : !open) {
        if (value.type != JSON_STRING) continue;
        if (is_blank(walk, walk_inside(value))) {
            ask_blame(w->a, stop_pointer(w->a->api),
                      "the Anthropic dialect has no way to stop at blanks alone");
            w->rc = ASK_UNSAYABLE;
            return false;
        }
        if (!open) pen_key(w->p, BYTES("stop_sequences")), pen_array(w->p);
        open = true;
        pen_node(w->p, walk, value);
    }
    if (open) pen_array_end(w->p);
    return true;
}

static void put_thinking(struct writer *w)
{
    const struct plan *plan = &w->plan;
    if (!plan->disabled && !thinks(w)) return;
    pen_key(w->p, BYTES("thinking"));
    pen_object(w->p);
    messages_put_word(w->p, BYTES("type"), plan->disabled ? BYTES("disabled")
                                  : plan->adaptive ? BYTES("adaptive") : BYTES("enabled"));
    if (plan->budget > 0) {
        pen_key(w->p, BYTES("budget_tokens"));
        pen_int(w->p, plan->budget);
    }
    if (plan->adaptive && w->a->settings.thoughts == 1) {
        messages_put_word(w->p, BYTES("display"), BYTES("summarized"));
    }
    pen_object_end(w->p);
}

static void put_config(struct writer *w)
{
    static const struct bytes words[API_EFFORTS] = {
        [API_EFFORT_MINIMAL] = BYTES_INIT("low"), [API_EFFORT_LOW] = BYTES_INIT("low"),
        [API_EFFORT_MEDIUM] = BYTES_INIT("medium"), [API_EFFORT_HIGH] = BYTES_INIT("high"),
        [API_EFFORT_XHIGH] = BYTES_INIT("xhigh"),
    };
    const struct ask_settings *s = &w->a->settings;
    bool schema = s->format == API_FORMAT_SCHEMA && takes_schema(w);
    bool effort = words[w->plan.effort].len > 0;
    if (!schema && !effort) return;
    pen_key(w->p, BYTES("output_config"));
    pen_object(w->p);
    if (effort) messages_put_word(w->p, BYTES("effort"), words[w->plan.effort]);
    if (schema) {
        pen_key(w->p, BYTES("format")), pen_object(w->p);
        messages_put_word(w->p, BYTES("type"), BYTES("json_schema"));
        pen_key(w->p, BYTES("schema"));
        schema_put_closed(w->p, &w->a->walk, s->schema);
        pen_object_end(w->p);
    }
    pen_object_end(w->p);
}

/* Who asks, and how urgent it is. OpenAI's "default" is what Anthropic calls standard. */
static void put_rest(struct writer *w)
{
    const struct walk *walk = &w->a->walk;
    const struct ask_settings *s = &w->a->settings;
    struct walk_span user = walk_inside(s->user), tier = walk_inside(s->tier);
    if (walk_has(user) && user.end - user.start <= USER_ID_MAX) {
        pen_key(w->p, BYTES("metadata")), pen_object(w->p);
        pen_key(w->p, BYTES("user_id"));
        pen_span(w->p, walk, user);
        pen_object_end(w->p);
    }
    if (walk_is(walk, tier, BYTES("default"))) {
        messages_put_word(w->p, BYTES("service_tier"), BYTES("standard_only"));
    } else if (walk_is(walk, tier, BYTES("auto")) || walk_is(walk, tier, BYTES("priority"))) {
        messages_put_word(w->p, BYTES("service_tier"), BYTES("auto"));
    }
    if (w->t->stream) pen_key(w->p, BYTES("stream")), pen_bool(w->p, true);
}

/* The conversation, system prompt first. */
static bool put_conversation(struct writer *w)
{
    w->rc = ASK_WRONG;       /* where a reader says so */
    if (!first_pass(w)) return false;
    put_format_words(w);
    if (w->system) pen_array_end(w->p);
    if (w->prefill && (w->t->quirks & ASK_NO_PREFILL) != 0) {
        char pointer[16];
        snprintf(pointer, sizeof pointer, "/%s", list_of(w->a->api));
        ask_blame(w->a, pointer, "this model does not go on with an answer that is begun");
        w->rc = ASK_UNSAYABLE;
        return false;
    }
    plan_settings(w);
    pen_key(w->p, BYTES("messages"));
    pen_array(w->p);
    if (!put_messages(w)) return false;
    pen_array_end(w->p);
    return true;
}

enum ask_rc messages_write(struct ask *a, const struct ask_target *t, struct pen *p)
{
    assert(t->api == API_MESSAGES || t->api == API_COUNT_TOKENS);
    if (a->api == API_MESSAGES || a->api == API_COUNT_TOKENS) {
        return messages_write_own(a, t, p);
    }
    struct writer w = {.a = a, .t = t, .p = p};
    if (!ask_is_plain(a, "Anthropic") || a->unsayable) return ASK_UNSAYABLE;
    pen_object(p);
    bool versioned = t->version.len > 0;
    if (versioned) pen_key(p, BYTES("anthropic_version")), pen_text(p, t->version);
    else if (t->model.len > 0) pen_key(p, BYTES("model")), pen_text(p, t->model);
    if (!put_conversation(&w) || !put_tools(&w)) return w.rc;
    if (t->api == API_MESSAGES) {
        pen_key(p, BYTES("max_tokens")), pen_int(p, w.plan.max_tokens);
        if (!put_stop(&w)) return w.rc;
        put_sampling(&w);
        put_rest(&w);
    }
    put_thinking(&w);
    put_config(&w);
    pen_object_end(p);
    return p->full ? ASK_NO_ROOM : ASK_WRITTEN;
}
