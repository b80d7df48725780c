/* test_tr_gemini_ask.c - what is read of Gemini's requests: the neutral form as lines of text,
 * the same wherever the body is cut, and when it is begun again. */
#include "net/translate/ask.h"
#include "tr_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct note { char at[8192]; size_t len; };

static void __attribute__((format(printf, 2, 3))) note(struct note *n, const char *form, ...)
{
    va_list args;
    va_start(args, form);
    int len = vsnprintf(n->at + n->len, sizeof n->at - n->len, form, args);
    va_end(args);
    assert_true(len >= 0 && (size_t)len < sizeof n->at - n->len);
    n->len += (size_t)len;
}

static void note_span(struct note *n, const struct walk *w, const char *name,
                      struct walk_span s)
{
    if (!walk_has(s)) return;
    note(n, " %s=", name);
    while (s.start < s.end) {
        struct bytes b = walk_piece(w, s.start, s.end);
        note(n, "%.*s", (int)b.len, b.ptr);
        s.start += b.len;
    }
}

/* A text or an id is written as a writer would. */
static void note_written(struct note *n, const struct walk *w, const char *name,
                         const struct ask_part *part, bool id)
{
    struct kit_pen k;
    kit_pen(&k, 0, NULL);
    if (id) {
        ask_put_id(&k.pen, w, part->id, ID_CHAT);
    } else {
        pen_begin(&k.pen);
        ask_text(&k.pen, w, part);
        pen_end(&k.pen);
    }
    struct bytes out = kit_pen_text(&k);
    note(n, " %s=%.*s", name, (int)out.len, out.ptr);
    kit_pen_free(&k);
}

static void note_part(struct note *n, const struct walk *w, const struct ask_part *part)
{
    static const char *const kinds[] = {"end", "turn", "text", "refusal", "image", "document",
        "audio", "video", "thinking", "call", "result", "result-end", "other"};
    static const char *const roles[] = {"system", "developer", "user", "model", "tool"};
    if (part->kind == ASK_END) return;
    note(n, "%s%s", part->inside ? "  " : "", kinds[part->kind]);
    if (part->kind == ASK_TURN) note(n, " %s", roles[part->role]);
    if (part->kind == ASK_CALL || part->kind == ASK_RESULT) {
        note_written(n, w, "id", part, true);
    }
    note_span(n, w, "name", part->name);
    if (ask_has_text(part)) note_written(n, w, "text", part, false);
    if (part->arguments.type != JSON_NONE) note_span(n, w, "args", walk_all(part->arguments));
    note_span(n, w, "mime", part->mime);
    note_span(n, w, "data", part->data);
    note_span(n, w, "url", part->url);
    note_span(n, w, "file", part->file);
    if (part->maker != MAKER_NONE) note(n, " maker=%d", part->maker);
    note_span(n, w, "sig", part->signature);
    if (part->raw.type != JSON_NONE) note_span(n, w, "raw", walk_all(part->raw));
    if (part->is_error) note(n, " error");
    note(n, "\n");
}

static void note_parts(struct note *n, struct ask *a)
{
    struct ask_part part;
    bool right;
    ask_rewind(a);
    do {
        right = ask_next(a, &part);
        if (!right) {
            note(n, "wrong %s: %s\n", a->pointer, a->error);
            return;
        }
        note_part(n, &a->walk, &part);
    } while (part.kind != ASK_END);
}

static void note_tools(struct note *n, struct ask *a)
{
    struct ask_tool tool;
    ask_tools(a);
    while (ask_tool(a, &tool)) {
        note(n, "tool %d", tool.kind);
        note_span(n, &a->walk, "name", tool.name);
        note_span(n, &a->walk, "about", tool.description);
        note_span(n, &a->walk, tool.gemini ? "gemini" : "schema", walk_all(tool.schema));
        if (tool.kind == ASK_HOSTED) note_span(n, &a->walk, "raw", walk_all(tool.raw));
        note(n, "\n");
    }
}

static void note_settings(struct note *n, struct ask *a)
{
    const struct ask_settings *s = &a->settings;
    const struct { const char *name; struct node node; } nodes[] = {
        {"temperature", s->temperature}, {"top_p", s->top_p}, {"top_k", s->top_k},
        {"seed", s->seed}, {"presence", s->presence}, {"frequency", s->frequency},
        {"stop", s->stop}, {"safety", s->safety}, {"schema", s->schema},
    };
    const struct { const char *name; int64_t value, unsaid; } words[] = {
        {"max", s->max_tokens, -1}, {"n", s->n, -1}, {"budget", s->budget, -1},
        {"top_logprobs", s->top_logprobs, -1}, {"effort", s->effort, 0},
        {"thinking", s->thinking, 0}, {"format", s->format, 0}, {"choice", s->choice, 0},
        {"thoughts", s->thoughts, 0}, {"gemini", s->gemini, 0}, {"logprobs", s->logprobs, 0},
        {"said", s->choice_said, 0},
    };
    note(n, "set");
    for (size_t i = 0; i < COUNT(nodes); i++) {
        if (nodes[i].node.type != JSON_NONE) {
            note_span(n, &a->walk, nodes[i].name, walk_all(nodes[i].node));
        }
    }
    for (size_t i = 0; i < COUNT(words); i++) {
        if (words[i].value != words[i].unsaid) {
            note(n, " %s=%lld", words[i].name, (long long)words[i].value);
        }
    }
    note_span(n, &a->walk, "choice_name", s->choice_name);
    if (a->unsayable) note(n, " unsayable %s: %s", a->pointer, a->error);
    note(n, "\n");
}

enum { PARTS = 1, TOOLS = 2, SETTINGS = 4 };

static void read_all(struct note *n, enum api api, const char *body, size_t step, unsigned what)
{
    static struct ask a;     /* large */
    struct kit_pieces pieces;
    struct walk_source source = kit_pieces(&pieces, bytes_of(body), step);
    n->len = 0;
    n->at[0] = '\0';
    if (!ask_open(&a, api, &source, NULL)) {
        note(n, "wrong %s: %s\n", a.pointer, a.error);
    } else {
        if (what & SETTINGS) note_settings(n, &a);
        if (what & TOOLS) note_tools(n, &a);
        if (what & PARTS) note_parts(n, &a);
        size_t len = n->len;
        if (what & PARTS) note_parts(n, &a);    /* the same again */
        if (what == PARTS) assert_memory_equal(n->at, n->at + len, len);
        n->at[len] = '\0';
    }
    kit_pieces_free(&pieces);
}

static void check(enum api api, const char *body, const char *want, unsigned what)
{
    struct note n;
    size_t len = strlen(body);
    for (size_t step = 0; step < 9; step++) {
        read_all(&n, api, body, step, what);
        if (strcmp(n.at, want) == 0) continue;
        fprintf(stderr, "step %zu: %s\n-- got\n%s-- want\n%s", step, body, n.at, want);
        fail();
    }
    for (size_t step = len / 2; step < len && len < 400; step += 3) {
        read_all(&n, api, body, step, what);
        assert_string_equal(n.at, want);
    }
}

#define CONTENTS(list) "{\"contents\":[" list "]}"
#define USER "{\"role\":\"user\",\"parts\":["
#define MODEL "{\"role\":\"model\",\"parts\":["

static const struct { const char *body, *want; } conversations[] = {
    {CONTENTS("{\"parts\":[{\"text\":\"Hi \\u00e9\"}]}"), "turn user\ntext text=\"Hi \\u00e9\""
     "\n"},
    {"{\"system_instruction\":{\"role\":\"system\",\"parts\":[{\"text\":\"A\"},{\"text\":\"\"},"
     "{\"text\":\"B\"}]},\"contents\":[" USER "{\"text\":\"x\"}]}," USER "{\"text\":\"y\"}]}]}",
     "turn system\ntext text=\"A\"\ntext text=\"B\"\nturn user\ntext text=\"x\"\n"
     "turn user\ntext text=\"y\"\n"},
    {"{\"systemInstruction\":\"be\",\"contents\":[]}", "turn system\ntext text=\"be\"\n"},
    {"{\"systemInstruction\":[{\"text\":\"be\"}],\"contents\":[]}",
     "turn system\ntext text=\"be\"\n"},
    {"{\"systemInstruction\":{\"parts\":[]},\"contents\":[{\"role\":\"user\"}]}", ""},
    /* Calls without ids get their number; parallel results, one a content; order and name. */
    {CONTENTS(USER "{\"text\":\"go\"}]}," MODEL "{\"functionCall\":{\"name\":\"f\",\"args\":"
     "{\"a\":1}}},{\"function_call\":{\"name\":\"g\"}},{\"functionCall\":{\"name\":\"f\","
     "\"args\":{\"a\":1}}}]},"
     "{\"role\":\"function\",\"parts\":[{\"functionResponse\":{\"name\":\"f\",\"response\":"
     "{\"output\":\"one\"}}}]},"
     USER "{\"function_response\":{\"name\":\"f\",\"response\":{\"x\":[1, 2]}}}]},"
     USER "{\"functionResponse\":{\"name\":\"g\",\"response\":{\"error\":\"no\"}}},"
     "{\"text\":\"and\"}]}"),
     "turn user\ntext text=\"go\"\nturn model\n"
     "call id=\"call_uggm15qdiknd3\" name=f args={\"a\":1}\n"
     "call id=\"call_lakozxcghe4w1\" name=g\n"
     "call id=\"call_ox6t5gjjg8le0\" name=f args={\"a\":1}\n"
     "turn tool\nresult id=\"call_uggm15qdiknd3\" name=f\n  text text=\"one\"\nresult-end\n"
     "result id=\"call_ox6t5gjjg8le0\" name=f\n  text text=\"{\\\"x\\\":[1, 2]}\"\nresult-end\n"
     "result id=\"call_lakozxcghe4w1\" name=g error\n  text text=\"no\"\nresult-end\n"
     "turn user\ntext text=\"and\"\n"},
    /* Ids where there are some; a result that leaves its call's out. */
    {CONTENTS(MODEL "{\"functionCall\":{\"id\":\"c1\",\"name\":\"f\",\"args\":{}}},"
     "{\"functionCall\":{\"id\":\"c2\",\"name\":\"f\",\"args\":{}}}]}," USER
     "{\"functionResponse\":{\"id\":\"c2\",\"name\":\"f\",\"response\":{\"result\":{\"k\":1}}}"
     "},"
     "{\"functionResponse\":{\"name\":\"f\",\"response\":{\"name\":\"f\",\"content\":\"t\"}}}]"
     "}"),
     "turn model\ncall id=\"c1\" name=f args={}\ncall id=\"c2\" name=f args={}\nturn tool\n"
     "result id=\"c2\" name=f\n  text text=\"{\\\"k\\\":1}\"\nresult-end\n"
     "result id=\"c1\" name=f\n  text text=\"t\"\nresult-end\n"},
    {CONTENTS(MODEL "{\"functionCall\":{\"name\":\"f\"}}]}," USER "{\"functionResponse\":"
     "{\"name\":\"f\",\"response\":{},\"parts\":[{\"inlineData\":{\"mimeType\":\"image/png\","
     "\"data\":\"AA==\"}}]}}]}"),
     "turn model\ncall id=\"call_uggm15qdiknd3\" name=f\nturn tool\n"
     "result id=\"call_uggm15qdiknd3\" name=f\n  image mime=image/png data=AA==\nresult-end\n"},
    /* A stream as Google's SDK keeps it; thoughts and their signature; ours and marked ones. */
    {CONTENTS(MODEL "{\"text\":\"Let \",\"thought\":true}]}," MODEL "{\"text\":\"me\",\"though"
     "t\":"
     "true}]}," MODEL "{\"text\":\"\",\"thought\":true,\"thoughtSignature\":\"WeirSgM0abc\"}]},"
     MODEL "{\"text\":\"Hel\"}]}," MODEL "{\"text\" : \"l\\\"o\"}]}," MODEL "{\"text\":\"\"}]},"
     MODEL "{\"text\":\"!\"},{\"functionCall\":{\"name\":\"f\"},\"thoughtSignature\":\"own\"}]"
         "}"),
     "turn model\nthinking text=\"Let me\" maker=3 sig=abc\ntext text=\"Hell\\\"o!\"\n"
     "call id=\"call_uggm15qdiknd3\" name=f maker=4 sig=own\n"},
    {CONTENTS(MODEL "{\"functionCall\":{\"name\":\"f\"},\"thoughtSignature\":\"WeirSgR0enc\"},"
     "{\"text\":\"\",\"thoughtSignature\":\"tail\"}]}"),
     "turn model\nthinking maker=2 sig=enc\ncall id=\"call_uggm15qdiknd3\" name=f\n"
     "thinking maker=4 sig=tail\n"},
    /* Not one text: what else stands in a part, or in a content, or who speaks. */
    {CONTENTS(MODEL "{\"text\":\"a\"},{\"text\":\"b\",\"x\":{\"text\":\"no\"}},{\"text\":\"c\""
     "}]},"
     USER "{\"text\":\"d\"},{\"text\":\"e\"}]}"),
     "turn model\ntext text=\"a\"\ntext text=\"b\"\ntext text=\"c\"\n"
     "turn user\ntext text=\"d\"\ntext text=\"e\"\n"},
    {CONTENTS(MODEL "{\"text\":\"a\"},{\"text\":\"\",\"x\":{\"text\":\"no\"}},"
              "{\"text\":\"c\"}]}"),
     "turn model\ntext text=\"a\"\ntext text=\"c\"\n"},
    {CONTENTS(USER "{\"inlineData\":{\"mime_type\":\"audio/wav\",\"data\":\"AA\"}},"
     "{\"fileData\":{\"fileUri\":\"https://a/b.png\"}},{\"fileData\":{\"mimeType\":"
     "\"application/pdf\",\"fileUri\":\"gs://b/c\"}},{\"fileData\":{\"fileUri\":"
     "\"https://generativelanguage.googleapis.com/v1beta/files/x\",\"mimeType\":\"video/mp4\"}"
     "},"
     "{\"fileData\":{\"fileUri\":\"https://www.youtube.com/watch?v=1\"},\"videoMetadata\":{}}]"
     "}"),
     "turn user\naudio mime=audio/wav data=AA\nimage url=https://a/b.png\n"
     "document mime=application/pdf file=gs://b/c\nvideo mime=video/mp4 "
     "file=https://generativelanguage.googleapis.com/v1beta/files/x\n"
     "video url=https://www.youtube.com/watch?v=1\n"},
    {CONTENTS(MODEL "{\"executableCode\":{\"code\":\"1\"}}]}"),
     "turn model\nother raw={\"executableCode\":{\"code\":\"1\"}}\n"},
    {CONTENTS(USER "{\"functionResponse\":{\"name\":\"f\",\"response\":{}}}]}"),
     "wrong /contents/0/parts/0: functionResponse without a functionCall of that name before "
     "it\n"},
    {CONTENTS("{\"role\":\"assistant\",\"parts\":[]}"),
     "wrong /contents/0: a content has a role, user or model, and a list of parts\n"},
    {CONTENTS(USER "1]}"), "wrong /contents/0/parts/0: a part must be an object\n"},
    {CONTENTS(USER "{\"text\":1}]}"), "wrong /contents/0/parts/0: text must be a string\n"},
    {"{}", "wrong /contents: contents must be a list of contents\n"},
};

static void test_conversations(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(conversations); i++) {
        check(API_GENERATE, conversations[i].body, conversations[i].want, PARTS);
    }
    check(API_GENERATE_COUNT, "{\"generateContentRequest\":{\"model\":\"m\",\"contents\":[" USER
          "{\"text\":\"a\"}]}]}}", "turn user\ntext text=\"a\"\n", PARTS);
    check(API_GENERATE_COUNT, CONTENTS(USER "{\"text\":\"a\"}]}"),
          "turn user\ntext text=\"a\"\n", PARTS);
}

#define CONFIG(members) "{\"contents\":[],\"generation_config\":{" members "}}"

static const struct { const char *body, *want; } settings[] = {
    {CONFIG("\"temperature\":0.5,\"topP\":1,\"top_k\":40.0,\"candidateCount\":2,"
            "\"maxOutputTokens\":9,\"stopSequences\":[\"a\"],\"seed\":7,\"presencePenalty\":0,"
            "\"frequency_penalty\":-1,\"responseLogprobs\":true,\"logprobs\":3"),
     "set temperature=0.5 top_p=1 top_k=40.0 seed=7 presence=0 frequency=-1 stop=[\"a\"] "
     "max=9 n=2 top_logprobs=3 logprobs=1\n"},
    {CONFIG("\"stopSequences\":[],\"maxOutputTokens\":null"), "set\n"},
    {CONFIG("\"thinkingConfig\":{\"thinkingBudget\":0}"), "set effort=1 thinking=1\n"},
    {CONFIG("\"thinkingConfig\":{\"thinking_budget\":-1,\"includeThoughts\":true}"),
     "set thinking=3 thoughts=1\n"},
    {CONFIG("\"thinkingConfig\":{\"thinkingBudget\":4000}"),
     "set budget=4000 effort=3 thinking=2\n"},
    {CONFIG("\"thinkingConfig\":{\"thinkingLevel\":\"HIGH\"}"), "set effort=5\n"},
    {CONFIG("\"responseMimeType\":\"application/json\""), "set format=1\n"},
    {CONFIG("\"responseMimeType\":\"application/json\",\"responseSchema\":{\"type\":\"OBJECT\""
     "}"),
     "set schema={\"type\":\"OBJECT\"} format=2 gemini=1\n"},
    {CONFIG("\"responseJsonSchema\":{\"type\":\"object\"}"),
     "set schema={\"type\":\"object\"} format=2\n"},
    {CONFIG("\"responseJsonSchema\":{\"type\":\"OBJECT\"}"),
     "set schema={\"type\":\"OBJECT\"} format=2 gemini=1\n"},
    {CONFIG("\"responseModalities\":[\"TEXT\"]"), "set\n"},
    {CONFIG("\"responseModalities\":[\"TEXT\",\"IMAGE\"]"),
     "set unsayable /generationConfig/responseModalities: only the Gemini dialect has a way to "
     "ask for other answers than text this way\n"},
    {"{\"contents\":[],\"cachedContent\":\"cachedContents/1\"}",
     "set unsayable /cachedContent: only the Gemini dialect has a way to ask for content that "
     "it keeps itself\n"},
    {"{\"contents\":[],\"safetySettings\":[{}],\"labels\":{}}", "set safety=[{}]\n"},
    {"{\"contents\":[],\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"ANY\"}}}",
     "set choice=2 said=1\n"},
    {"{\"contents\":[],\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"NONE\"}}}",
     "set choice=1 said=1\n"},
    {"{\"contents\":[],\"tool_config\":{\"function_calling_config\":{\"mode\":\"ANY\","
     "\"allowed_function_names\":[\"b\"]}}}", "set choice=3 said=1 choice_name=b\n"},
    {CONFIG("\"maxOutputTokens\":\"x\""),
     "wrong /generationConfig/maxOutputTokens: an integer is expected\n"},
    {CONFIG("\"temperature\":{\"a\":1}"),
     "wrong /generationConfig/temperature: a number is expected\n"},
    {CONFIG("\"frequencyPenalty\":\"1\""),
     "wrong /generationConfig/frequencyPenalty: a number is expected\n"},
    {CONFIG("\"thinkingConfig\":{\"thinkingBudget\":1.5}"),
     "wrong /generationConfig/thinkingConfig/thinkingBudget: an integer is expected\n"},
};

static void test_settings(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(settings); i++) {
        check(API_GENERATE, settings[i].body, settings[i].want, SETTINGS);
    }
}

#define DECLARED "[{\"functionDeclarations\":[{\"name\":\"a\",\"description\":\"A\"," \
    "\"parameters\":{\"type\":\"OBJECT\"}},{\"name\":\"b\",\"parametersJsonSchema\":" \
    "{\"type\":\"object\"}}]},{\"googleSearch\":{},\"function_declarations\":[{\"name\":\"c" \
    "\"," \
    "\"parameters_json_schema\":{\"type\":\"OBJECT\"}}]},{\"urlContext\":null}]"
#define ALLOWED(mode) ",\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"" mode "\"," \
    "\"allowedFunctionNames\":[\"c\",\"a\"]}}"

static void test_tools(void **state)
{
    (void)state;
    check(API_GENERATE, "{\"contents\":[],\"tools\":" DECLARED "}",
          "tool 0 name=a about=A gemini={\"type\":\"OBJECT\"}\n"
          "tool 0 name=b schema={\"type\":\"object\"}\n"
          "tool 0 name=c gemini={\"type\":\"OBJECT\"}\n"
          "tool 2 raw={\"googleSearch\":{},\"function_declarations\":[{\"name\":\"c\","
          "\"parameters_json_schema\":{\"type\":\"OBJECT\"}}]}\n", TOOLS);
    check(API_GENERATE, "{\"contents\":[],\"tools\":[{\"functionDeclarations\":[{\"name\":\"a"
        "\"},"
          "{\"name\":\"b\"},{\"name\":\"c\"}]}]" ALLOWED("ANY") "}",
          "set choice=2 said=1\ntool 0 name=a\ntool 0 name=c\n", TOOLS | SETTINGS);
    check(API_GENERATE, "{\"contents\":[],\"tools\":[{\"functionDeclarations\":[{\"name\":\"a"
        "\"},"
          "{\"name\":\"b\"}]}]" ALLOWED("NONE") "}",
          "set choice=1 said=1\ntool 0 name=a\ntool 0 name=b\n", TOOLS | SETTINGS);
    check(API_GENERATE, "{\"contents\":[],\"tools\":[]}", "", TOOLS);
    check(API_GENERATE, "{\"contents\":[],\"tools\":{}}",
          "wrong /tools: tools must be a list of tools\n", TOOLS);
    check(API_GENERATE, "{\"contents\":[],\"tools\":[{\"functionDeclarations\":[{\"name\":"
          "\"a\"},{\"nmea\":\"b\"}]}]}",
          "wrong /tools: a function declaration must have a name\n", TOOLS);
    for (int i = 0; i < 2; i++) {
        char body[160];
        (void)snprintf(body, sizeof body, "{\"contents\":[],\"toolConfig\":{"
                       "\"functionCallingConfig\":{\"mode\":\"ANY\","
                       "\"allowedFunctionNames\":[%s]}}}", i ? "\"\"" : "7");
        check(API_GENERATE, body, "wrong /toolConfig/functionCallingConfig/"
              "allowedFunctionNames/0: the name of a function must be a string, and not "
              "empty\n", TOOLS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conversations),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_tools),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
