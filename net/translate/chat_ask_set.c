/* chat_ask_set.c - what a request of OpenAI's chat completions says besides its messages: tools
 * and settings. Rule: who imitates OpenAI refuses what it does not know, so that a member is
 * written only where the target is known to take it, or the client wrote it in this very form;
 * what only shapes the answer is left out, what it would be another answer without is refused
 * (README "Translation"). */
#include "net/translate/ask.h"
#include "net/translate/chat.h"
#include "net/translate/schema.h"

enum { USER_MAX = 64, STOPS_MAX = 4 };

struct out {                 /* a body that is being written */
    struct ask *a;
    const struct ask_target *t;
    struct pen *p;
    uint32_t tools;          /* so many were written */
};

static bool has(const struct out *o, enum ask_quirk quirk) { return o->t->quirks & quirk; }

/* The client wrote it in this form, or the provider is who made the form. */
static bool known(const struct out *o) { return o->t->official || o->a->api == API_CHAT; }

static bool refuse(struct out *o, const char *pointer, const char *what)
{
    ask_blame(o->a, pointer,
              "the OpenAI chat dialect of this provider has no way to ask for %s", what);
    return false;
}

static void put_node(struct out *o, const char *key, struct node n)
{
    if (n.type == JSON_NONE) return;
    pen_key(o->p, bytes_of(key));
    pen_node(o->p, &o->a->walk, n);
}

static void put_int(struct out *o, const char *key, int64_t value)
{
    pen_key(o->p, bytes_of(key));
    pen_int(o->p, value);
}

static void put_true(struct out *o, const char *key)
{
    pen_key(o->p, bytes_of(key));
    pen_bool(o->p, true);
}

static void put_word(struct out *o, const char *key, const char *word)
{
    pen_key(o->p, bytes_of(key));
    pen_text(o->p, bytes_of(word));
}

static void put_span(struct out *o, const char *key, struct walk_span inside)
{
    if (!walk_has(inside)) return;
    pen_key(o->p, bytes_of(key));
    pen_span(o->p, &o->a->walk, inside);
}

/* ---- tools ---- */

/* A schema, or what stands for none: providers differ in what they take for a function without
 * parameters, and all take this. */
static void put_schema(struct out *o, const char *key, struct node schema, bool gemini)
{
    pen_key(o->p, bytes_of(key));
    if (gemini) {
        schema_put(o->p, &o->a->walk, schema);
    } else if (schema.type == JSON_OBJECT && walk_count(&o->a->walk, schema) > 0) {
        pen_node(o->p, &o->a->walk, schema);
    } else {
        pen_value(o->p, BYTES("{\"type\":\"object\",\"properties\":{}}"));
    }
}

static void put_name(struct out *o, const struct ask_tool *tool)
{
    pen_key(o->p, BYTES("name"));
    ask_put_name(o->p, &o->a->walk, tool->space, tool->name);
}

static void put_function(struct out *o, const struct ask_tool *tool)
{
    pen_object(o->p);
    put_word(o, "type", "function");
    pen_key(o->p, BYTES("function"));
    pen_object(o->p);
    put_name(o, tool);
    put_span(o, "description", tool->description);
    if (tool->kind == ASK_CUSTOM) {
        pen_key(o->p, BYTES("parameters"));
        ask_put_custom_schema(o->p);
    } else {
        put_schema(o, "parameters", tool->schema, tool->gemini);
    }
    if (tool->strict >= 0 && !has(o, ASK_NO_STRICT)) {
        pen_key(o->p, BYTES("strict"));
        pen_bool(o->p, tool->strict > 0);
    }
    pen_object_end(o->p);
    if (tool->cache.type != JSON_NONE && has(o, ASK_CACHE_MARKS)) {
        put_node(o, "cache_control", tool->cache);
    }
    pen_object_end(o->p);
}

static void put_custom(struct out *o, const struct ask_tool *tool)
{
    pen_object(o->p);
    put_word(o, "type", "custom");
    pen_key(o->p, BYTES("custom"));
    pen_object(o->p);
    put_name(o, tool);
    put_span(o, "description", tool->description);
    if (o->a->api == API_CHAT) put_node(o, "format", tool->format);
    pen_object_end(o->p);
    pen_object_end(o->p);
}

/* Is the tool of that name written as one that takes any text? */
static bool is_custom(const struct out *o, struct walk_span name)
{
    const struct walk *w = &o->a->walk;
    uint64_t hash = walk_hash(w, name);     /* names may be of any length */
    struct ask_tool tool;
    if (!known(o)) return false;
    ask_tools(o->a);
    while (ask_tool(o->a, &tool)) {
        if (walk_hash(w, tool.name) == hash) return tool.kind == ASK_CUSTOM;
    }
    return false;
}

static void put_choice(struct out *o)
{
    static const char *const words[] = {"auto", "none", "required"};
    const struct ask_settings *s = &o->a->settings;
    if (s->parallel >= 0 && !has(o, ASK_NO_PARALLEL)) {
        pen_key(o->p, BYTES("parallel_tool_calls"));
        pen_bool(o->p, s->parallel > 0);
    }
    if (!s->choice_said) return;
    if (s->choice != API_CHOICE_NAMED) {
        bool any = s->choice == API_CHOICE_REQUIRED && has(o, ASK_CHOICE_ANY);
        assert(s->choice < COUNT(words));
        put_word(o, "tool_choice", any ? "any" : words[s->choice]);
        return;
    }
    const char *type = is_custom(o, s->choice_name) ? "custom" : "function";
    pen_key(o->p, BYTES("tool_choice"));
    pen_object(o->p);
    put_word(o, "type", type);
    pen_key(o->p, bytes_of(type));
    pen_object(o->p);
    put_span(o, "name", s->choice_name);
    pen_object_end(o->p);
    pen_object_end(o->p);
}

/* A hosted tool is an offer: beside functions it is left out, alone it is what is asked for. */
static bool put_tools(struct out *o)
{
    struct ask_tool tool;
    struct node search = {0};
    bool left_out = false;
    ask_tools(o->a);
    while (ask_tool(o->a, &tool)) {
        if (tool.kind == ASK_HOSTED && (o->a->api != API_CHAT || tool.search)) {
            if (tool.search) search = tool.raw;
            else left_out = true;
            continue;
        }
        if (o->tools++ == 0) {
            pen_key(o->p, BYTES("tools"));
            pen_array(o->p);
        }
        if (tool.kind == ASK_HOSTED) pen_node(o->p, &o->a->walk, tool.raw);
        else if (tool.kind == ASK_CUSTOM && known(o)) put_custom(o, &tool);
        else put_function(o, &tool);
    }
    if (o->tools > 0) {
        pen_array_end(o->p);
        put_choice(o);
    } else if (left_out) {
        return refuse(o, "/tools", "a tool that the provider runs itself");
    }
    put_node(o, "web_search_options", search);
    return true;
}

/* ---- settings ---- */

static bool is_above_1(struct out *o, struct node n)
{
    char room[32];
    struct bytes text = walk_bytes(&o->a->walk, walk_all(n), room, sizeof room);
    if (!text.ptr || text.len == 0 || text.ptr[0] < '1' || text.ptr[0] > '9') return false;
    if (memchr(text.ptr, 'e', text.len) || memchr(text.ptr, 'E', text.len)) return false;
    if (text.ptr[0] != '1' || (text.len > 1 && text.ptr[1] != '.')) return true;
    for (size_t i = 2; i < text.len; i++) {
        if (text.ptr[i] != '0') return true;
    }
    return false;
}

static void put_sampling(struct out *o)
{
    const struct ask_settings *s = &o->a->settings;
    if (!has(o, ASK_NO_SAMPLING)) {
        bool hot = has(o, ASK_COOL) && is_above_1(o, s->temperature);
        if (hot) put_int(o, "temperature", 1);
        else put_node(o, "temperature", s->temperature);
        put_node(o, "top_p", s->top_p);
        if (has(o, ASK_TOP_K)) put_node(o, "top_k", s->top_k);
    }
    if (!has(o, ASK_NO_PENALTIES)) {
        put_node(o, "presence_penalty", s->presence);
        put_node(o, "frequency_penalty", s->frequency);
    }
    put_node(o, has(o, ASK_RANDOM_SEED) ? "random_seed" : "seed", s->seed);
    if (o->a->api == API_CHAT && !has(o, ASK_NO_LOGPROBS)) put_node(o, "logit_bias", s->bias);
}

static bool put_stop(struct out *o)
{
    struct node stop = o->a->settings.stop;
    size_t n = stop.type == JSON_STRING ? 1 : walk_count(&o->a->walk, stop);
    if (n == 0) return true;
    if (has(o, ASK_NO_STOP)) return refuse(o, "/stop", "stop sequences");
    if (o->t->official && n > STOPS_MAX) {
        return refuse(o, "/stop", "more than 4 stop sequences");
    }
    put_node(o, "stop", stop);
    return true;
}

static bool put_logprobs(struct out *o)
{
    const struct ask_settings *s = &o->a->settings;
    if (!s->logprobs) return true;
    if (has(o, ASK_NO_LOGPROBS)) return refuse(o, "/logprobs", "logprobs");
    put_true(o, "logprobs");
    if (s->top_logprobs >= 0) put_int(o, "top_logprobs", s->top_logprobs);
    return true;
}

static void put_format(struct out *o)
{
    const struct ask_settings *s = &o->a->settings;
    if (s->format == API_FORMAT_TEXT) return;
    bool schema = s->format == API_FORMAT_SCHEMA && !has(o, ASK_NO_SCHEMA);
    pen_key(o->p, BYTES("response_format"));
    pen_object(o->p);
    put_word(o, "type", schema ? "json_schema" : "json_object");
    if (schema) {
        pen_key(o->p, BYTES("json_schema"));
        pen_object(o->p);
        if (walk_has(s->schema_name)) put_span(o, "name", s->schema_name);
        else put_word(o, "name", "answer");
        put_span(o, "description", s->schema_text);
        put_schema(o, "schema", s->schema, s->gemini);
        if (s->strict >= 0 && !has(o, ASK_NO_STRICT)) {
            pen_key(o->p, BYTES("strict"));
            pen_bool(o->p, s->strict > 0);
        }
        pen_object_end(o->p);
    }
    pen_object_end(o->p);
}

/* How much the model is to think: what Weir wants, else what the client said in any form. */
static uint8_t wanted_effort(const struct out *o)
{
    const struct ask_settings *s = &o->a->settings;
    /* Who has a switch would think without one that is off. */
    if (ask_goes_on(o->t) && has(o, ASK_THINK_SWITCH)) return API_EFFORT_NONE;
    if (o->t->effort != API_EFFORT_UNSET) return o->t->effort;
    if (s->effort != API_EFFORT_UNSET) return s->effort;
    if (s->thinking == THINKING_OFF || s->budget == 0) return API_EFFORT_NONE;
    if (s->budget > 0) return (uint8_t)ask_budget_effort(s->budget);
    return s->thinking == THINKING_ON ? API_EFFORT_MEDIUM : API_EFFORT_UNSET;
}

static void put_thinking(struct out *o)
{
    static const char *const words[API_EFFORTS] = {
        [API_EFFORT_NONE] = "none", [API_EFFORT_MINIMAL] = "minimal", [API_EFFORT_LOW] = "low",
        [API_EFFORT_MEDIUM] = "medium", [API_EFFORT_HIGH] = "high",
        [API_EFFORT_XHIGH] = "xhigh"};
    const struct ask_settings *s = &o->a->settings;
    uint8_t wanted = wanted_effort(o);
    if (wanted == API_EFFORT_UNSET) return;
    bool off = wanted == API_EFFORT_NONE;
    if (has(o, ASK_THINK_OBJECT)) {
        pen_key(o->p, BYTES("thinking"));
        pen_object(o->p);
        put_word(o, "type", off ? "disabled" : "enabled");
        pen_object_end(o->p);
        if (off) return;     /* DeepSeek has no effort of that name */
    }
    if (has(o, ASK_THINK_SWITCH)) {
        pen_key(o->p, BYTES("enable_thinking"));
        pen_bool(o->p, !off);
        if (!off && s->budget > 0) put_int(o, "thinking_budget", s->budget);
        return;
    }
    bool own = o->a->api == API_CHAT && s->effort == wanted;
    if (has(o, ASK_NO_EFFORT) || (o->t->efforts == 0 && !o->t->thinks && !own)) return;
    enum api_effort effort = ask_effort_for(o->t, wanted);
    assert(effort < API_EFFORTS);
    if (words[effort]) put_word(o, "reasoning_effort", words[effort]);
}

/* Who asks, and what it is for: said to the provider who knows the words. */
static void put_about(struct out *o)
{
    const struct ask_settings *s = &o->a->settings;
    bool own = o->a->api == API_CHAT;
    if (!has(o, ASK_NO_USER) && known(o)) {
        struct walk_span user = walk_inside(s->user);
        if (own || user.end - user.start <= USER_MAX) put_span(o, "user", user);
        if (own) put_node(o, "metadata", s->metadata);
        if (own && s->store) put_true(o, "store");
        struct walk_span key = walk_inside(s->cache_key);
        if (own || key.end - key.start <= USER_MAX) put_span(o, "prompt_cache_key", key);
    }
    bool tiers = own || o->a->api == API_RESPONSES;
    if (tiers && known(o) && !has(o, ASK_NO_TIER)) put_node(o, "service_tier", s->tier);
    if (known(o)) put_node(o, "verbosity", s->verbosity);
}

static void put_stream(struct out *o)
{
    if (!o->t->stream) return;
    put_true(o, "stream");
    if (has(o, ASK_NO_OPTIONS)) return;
    pen_key(o->p, BYTES("stream_options"));
    pen_object(o->p);
    put_true(o, "include_usage");
    pen_object_end(o->p);
}

static void put_audio(struct out *o)
{
    struct node audio = o->a->settings.audio;
    if (audio.type == JSON_NONE) return;
    pen_key(o->p, BYTES("modalities"));
    pen_value(o->p, BYTES("[\"text\",\"audio\"]"));
    put_node(o, "audio", audio);
}

enum ask_rc chat_put_settings(struct ask *a, const struct ask_target *t, struct pen *p)
{
    struct out o = {.a = a, .t = t, .p = p};
    assert(p->depth > 0);
    if (!put_tools(&o)) return ASK_UNSAYABLE;
    int64_t most = ask_output(a, t);
    bool renamed = has(&o, ASK_COMPLETION_TOKENS);
    if (most > 0) put_int(&o, renamed ? "max_completion_tokens" : "max_tokens", most);
    if (a->settings.n > 1) put_int(&o, "n", a->settings.n);
    put_sampling(&o);
    if (!put_stop(&o) || !put_logprobs(&o)) return ASK_UNSAYABLE;
    put_format(&o);
    put_thinking(&o);
    put_about(&o);
    put_audio(&o);
    put_stream(&o);
    return ASK_WRITTEN;
}
