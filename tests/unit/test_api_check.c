/* test_api_check.c - what answers lack: ends that say so, text that should be JSON, arguments
 * of tools, members that a schema requires; whole answers and streams of every dialect. The
 * checker is held against the JSON scanner, which is another program.
 * Sources: RFC 8259; the API references of OpenAI, Anthropic, Google. */
#include "net/dialect/api.h"
#include "net/jsonw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { ROOM = 4096 };

/* ' stands for a quote. */
static struct bytes quoted(const char *text, char *room)
{
    size_t n = strlen(text);
    assert_true(n < ROOM);
    for (size_t i = 0; i < n; i++) room[i] = text[i] == '\'' ? '"' : text[i];
    return (struct bytes){room, n};
}

/* A JSON string's contents. */
static struct bytes contents(struct bytes text, char *room)
{
    struct jsonw w;
    jsonw_init(&w, room, 2 * ROOM);
    jsonw_string(&w, text);
    assert_false(w.full);
    return (struct bytes){room + 1, w.len - 2};
}

static struct api_check check_for(enum api_format format, const char *schema)
{
    char room[ROOM];
    struct api_request q = {.format = (uint8_t)format, .tool_count = 1, .n = -1};
    struct api_check c;
    api_check_begin(&c, &q);
    if (schema) api_check_schema(&c, quoted(schema, room));
    return c;
}

/* The verdict on a text; the same, whichever way it is cut (not through its escapes). */
static unsigned verdict(enum api_format format, const char *schema, const char *text)
{
    char room[ROOM], inside[2 * ROOM + 2];
    struct bytes raw = contents(quoted(text, room), inside);
    struct api_check c = check_for(format, schema);
    api_check_text(&c, raw);
    unsigned whole = api_check_end(&c, 0);
    for (size_t cut = 0; cut <= raw.len; cut++) {
        size_t back = 0;
        while (back < cut && raw.ptr[cut - 1 - back] == '\\') back++;
        if (back % 2) continue;
        c = check_for(format, schema);
        api_check_text(&c, (struct bytes){raw.ptr, cut});
        api_check_text(&c, (struct bytes){raw.ptr + cut, raw.len - cut});
        assert_int_equal(api_check_end(&c, 0), whole);
    }
    return whole;
}

static bool is_json(struct bytes text)
{
    struct json j;
    struct json_token t;
    enum net_rc rc;
    json_init(&j, 64);
    while ((rc = json_next(&j, &text, &t)) == NET_OK) {}
    return rc == NET_DONE && json_finish(&j, &t) == NET_DONE;
}

static void test_json_or_not(void **state)
{
    (void)state;
    static const struct { const char *text; bool bad; } cases[] = {
        {"{}", false}, {"[]", false},
        {" {'a' : [1, -0.5e+3, 0, 'x\\n\\u00e9', true, null]} ", false},
        {"", false}, {"\n ", false},                        /* nothing was said: no verdict */
        {"{", true}, {"{'a'}", true}, {"{'a':}", true}, {"{'a':1,}", true}, {"{,}", true},
        {"[1 2]", true}, {"[1,]", true}, {"[01]", true}, {"[1.]", true}, {"[-]", true},
        {"[1e]", true}, {"[.5]", true}, {"[+1]", true}, {"[tru]", true}, {"[truee]", true},
        {"['a]", true}, {"['\\x']", true}, {"['\\u00g0']", true}, {"['\t']", true},
        {"{}{}", true}, {"{} x", true}, {"{]", true}, {"[}", true}, {"]", true},
        {"{'a':1]", true},
        {"hello", true}, {"42", true}, {"'a'", true}, {"null", true},   /* no document that
                                                                           formats mean */
        {"```json\n{}\n```", true}, {"Here it is: {}", true}, {"{a:1}", true}, {"{1:2}", true},
        {"{'a':1 'b':2}", true}, {"[false,true,null,[[]],{}]", false}, {"[1E5,0.0,10]", false},
        {"[\xC3\xA9]", true}, {"['\xC3\xA9\xF0\x9F\x98\x80']", false}, {"[nulll]", true},
    };
    char room[ROOM];
    for (size_t i = 0; i < COUNT(cases); i++) {
        unsigned got = verdict(API_FORMAT_JSON, NULL, cases[i].text);
        if (got != (cases[i].bad ? API_OUTCOME_JSON : 0)) print_error("%s\n", cases[i].text);
        assert_int_equal(got, cases[i].bad ? API_OUTCOME_JSON : 0);
        struct bytes text = quoted(cases[i].text, room);
        bool container = memchr(text.ptr, '{', text.len) || memchr(text.ptr, '[', text.len);
        if (container) assert_int_equal(is_json(text), !cases[i].bad);
    }
}

/* Small documents out of a few bytes: the scanner and the checker agree on each. */
static void test_against_the_scanner(void **state)
{
    (void)state;
    static const char bytes[] = "{}[]:,'01-.eE+ tfn\\ua";
    char room[ROOM], plain[ROOM], inside[2 * ROOM + 2];
    uint32_t dice = 1;
    unsigned good = 0;
    for (unsigned i = 0; i < 400000; i++) {
        size_t n = 0;
        plain[n++] = i & 1 ? '{' : '[';
        for (size_t k = 2 + i % 7; k > 0; k--) {
            dice = dice * 1664525 + 1013904223;
            unsigned pick = dice >> 24;
            const char *word = pick > 250 ? "true" : pick > 245 ? "null"
                             : pick > 200 ? "'a':" : "";
            if (*word) n += (size_t)snprintf(plain + n, 8, "%s", word);
            else plain[n++] = bytes[pick % (sizeof bytes - 1)];
        }
        plain[n++] = i & 1 ? '}' : ']';
        plain[n] = 0;
        struct bytes text = quoted(plain, room);
        struct api_check c = check_for(API_FORMAT_JSON, NULL);
        api_check_text(&c, contents(text, inside));
        bool ok = is_json(text);
        if (api_check_end(&c, 0) != (ok ? 0 : API_OUTCOME_JSON)) print_error("%s\n", plain);
        assert_int_equal(api_check_end(&c, 0), ok ? 0 : API_OUTCOME_JSON);
        good += ok;
    }
    assert_true(good > 1000);
}

static void test_schemas(void **state)
{
    (void)state;
    static const char schema[] =
        "{'type':'object','properties':{'name':{'type':'string','minLength':1},'age':{'type':["
        "'integer','null']},'tags':{'type':'array','items':{'type':'string'}},'any':{},'ok':{"
        "'type':'BOOLEAN','nullable':true},'ref':{'$ref':'#/x','type':'string','properties':{"
        "'type':'no'}}},'required':['name','tags','free'],'additionalProperties':false}";
    static const struct { const char *text; bool bad; } cases[] = {
        {"{'name':'a','tags':[],'free':1}", false},
        {"{'free':null,'tags':[{'name':3}],'name':'','age':null,'ok':null,'any':7}", false},
        {"{'name':'a','tags':[]}", true}, {"{}", true},             /* required */
        {"{'name':7,'tags':[],'free':1}", true}, {"{'name':'a','tags':{},'free':1}", true},
        {"{'name':'a','tags':[],'free':1,'age':'x'}", true},
        {"{'name':'a','tags':[],'free':1,'age':1.5,'ok':false}", false},
        {"{'name':'a','tags':[],'free':1,'ok':'yes'}", true},
        {"{'x':{'name':'a','tags':[],'free':1}}", true},            /* not of the root */
        {"{'n\\u0061me':'a','tags':[],'free':1}", false},           /* not told: no verdict */
        {"[]", true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        unsigned want = cases[i].bad ? API_OUTCOME_JSON | API_OUTCOME_SCHEMA : 0;
        unsigned got = verdict(API_FORMAT_SCHEMA, schema, cases[i].text);
        if (got != want) print_error("%s\n", cases[i].text);
        assert_int_equal(got, want);
    }
    assert_int_equal(verdict(API_FORMAT_SCHEMA, schema, "{'name':"), API_OUTCOME_JSON);
    /* schemas that say nothing here */
    static const char *const silent[] = {"{}", "[]", "true", "{'anyOf':[{'required':['a']}]}",
        "{'required':'a'}", "{'required':[1,['a'],{'required':['a']}]}",
        "{'properties':{'b':{'required':['a'],'type':3}}}", "{'required':['\\u0061']}", "{"};
    for (size_t i = 0; i < COUNT(silent); i++) {
        assert_int_equal(verdict(API_FORMAT_SCHEMA, silent[i], "{'b':1}"), 0);
    }
    /* no more members than there is room for, and none of a schema that is too long */
    char long_schema[ROOM + 64] = "{\"required\":[\"a0\"";
    size_t n = strlen(long_schema);
    for (int i = 1; i < 40; i++) {
        n += (size_t)snprintf(long_schema + n, sizeof long_schema - n, ",\"a%d\"", i);
    }
    (void)snprintf(long_schema + n, sizeof long_schema - n, "]}");
    struct api_check c = check_for(API_FORMAT_SCHEMA, NULL);
    api_check_schema(&c, bytes_of(long_schema));
    assert_int_equal(c.count, API_SCHEMA_MEMBERS);
    memset(long_schema + n + 2, ' ', sizeof long_schema - n - 2);
    api_check_schema(&c, (struct bytes){long_schema, API_SCHEMA_MAX});
    assert_int_equal(c.count, API_SCHEMA_MEMBERS);
    api_check_schema(&c, (struct bytes){long_schema, API_SCHEMA_MAX + 1});
    assert_int_equal(c.count, 0);
}

static void test_what_is_not_blamed(void **state)
{
    (void)state;
    struct api_check c = check_for(API_FORMAT_JSON, NULL);
    api_check_text(&c, BYTES("{"));
    assert_int_equal(api_check_end(&c, API_OUTCOME_LENGTH), API_OUTCOME_LENGTH);
    assert_int_equal(api_check_end(&c, API_OUTCOME_REFUSAL), API_OUTCOME_REFUSAL);
    api_check_text(&c, (struct bytes){NULL, 900});      /* a part that nobody saw */
    assert_int_equal(api_check_end(&c, 0), 0);
    api_check_again(&c);
    api_check_text(&c, BYTES("no"));
    assert_int_equal(api_check_end(&c, 0), API_OUTCOME_JSON);
    /* text was asked for; several choices; no tools */
    struct api_request q = {.n = 2, .format = API_FORMAT_JSON, .tool_count = 1};
    api_check_begin(&c, &q);
    api_check_text(&c, BYTES("no"));
    api_check_arguments(&c, BYTES("no"));
    assert_int_equal(api_check_end(&c, 0), 0);
    q = (struct api_request){.n = 1};
    api_check_begin(&c, &q);
    api_check_text(&c, BYTES("no"));
    api_check_arguments(&c, BYTES("no"));
    assert_int_equal(api_check_end(&c, 0), 0);
    /* as deep as is followed, and deeper */
    char deep[200];
    for (int depth = 64; depth <= 65; depth++) {
        memset(deep, '[', (size_t)depth);
        memset(deep + depth, ']', (size_t)depth);
        c = check_for(API_FORMAT_JSON, NULL);
        api_check_text(&c, (struct bytes){deep, 2 * (size_t)depth - 1});
        assert_int_equal(api_check_end(&c, 0), depth == 64 ? API_OUTCOME_JSON : 0);
        api_check_text(&c, BYTES("]"));
        assert_int_equal(api_check_end(&c, 0), 0);
    }
}

static void test_arguments(void **state)
{
    (void)state;
    static const struct { const char *text; bool bad; } cases[] = {
        {"", false}, {"{}", false}, {"{\\\"a\\\":1}", false}, {"{}{\\\"b\\\":[]} {}", false},
        {"[]", true}, {"null", true}, {"{\\\"a\\\":", true}, {"{} x", true}, {"{}[1]", true},
        {"a=1", true}, {"\\u007b\\u007D", false}, {"{\\n}\\t", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct api_check c = check_for(API_FORMAT_TEXT, NULL);
        api_check_arguments(&c, bytes_of(cases[i].text));
        unsigned got = api_check_end(&c, 0), want = cases[i].bad ? API_OUTCOME_ARGUMENTS : 0;
        if (got != want) print_error("%s\n", cases[i].text);
        assert_int_equal(got, want);
    }
}

/* ---- answers and streams ---- */

static unsigned of_answer(enum api api, const char *text)
{
    static struct api_answer_reader r;
    char room[ROOM];
    struct bytes body = quoted(text, room);
    unsigned whole = 0;
    for (size_t step = 0; step < 20; step++) {  /* 0: in one piece */
        struct api_check c = check_for(API_FORMAT_JSON, NULL);
        struct bytes left = body;
        api_answer_begin(&r, api);
        api_answer_check(&r, &c);
        while (left.len > 0) {
            size_t n = step && step < left.len ? step : left.len;
            enum net_rc rc = api_answer_feed(&r, bytes_cut(&left, n));
            if (rc != NET_MORE) print_error("%.*s\n", (int)body.len, body.ptr);
            assert_int_equal(rc, NET_MORE);
        }
        assert_int_equal(api_answer_end(&r), NET_DONE);
        if (step == 0) whole = r.ans.outcome;
        assert_int_equal(r.ans.outcome, whole);
    }
    return whole;
}

static void test_whole_answers(void **state)
{
    (void)state;
    static const struct { enum api api; const char *body; unsigned want; } cases[] = {
        {API_CHAT, "{'choices':[{'message':{'content':'{\\'a\\':1}','role':'assistant'},"
         "'finish_reason':'stop'}]}", 0},
        {API_CHAT, "{'choices':[{'message':{'content':'sure!'},'finish_reason':'stop'}]}",
         API_OUTCOME_JSON},
        {API_CHAT, "{'choices':[{'message':{'content':'{'},'finish_reason':'length'}]}",
         API_OUTCOME_LENGTH},
        {API_CHAT, "{'choices':[{'message':{'content':null,'refusal':'I must not'},"
         "'finish_reason':'stop'}]}", API_OUTCOME_REFUSAL},
        {API_CHAT, "{'choices':[{'message':{'content':''},'finish_reason':'content_filter'}]}",
         API_OUTCOME_REFUSAL},
        {API_CHAT, "{'choices':[{'message':{'content':null,'reasoning_content':'hm',"
         "'tool_calls':[{'id':'c','type':'function','function':{'name':'f','arguments':"
         "'{\\'a\\':1}'}},"
         "{'function':{'arguments':'{}','name':'g'}}]},'finish_reason':'tool_calls'}]}", 0},
        {API_CHAT, "{'choices':[{'message':{'tool_calls':[{'function':{'name':'f','arguments':"
         "'{a:1}'}}]},'finish_reason':'tool_calls'}]}", API_OUTCOME_ARGUMENTS},
        {API_CHAT, "{'choices':[{'message':{'function_call':{'name':'f','arguments':'x'}}}]}",
         API_OUTCOME_ARGUMENTS},
        {API_CHAT, "{'choices':[{'message':{'tool_calls':[{'type':'custom','custom':{"
         "'name':'f','input':'free text'}}]}}]}", 0},
        {API_MESSAGES, "{'type':'message','content':[{'type':'thinking','thinking':'hm'},{"
         "'type':'text','text':'{\\'a\\':[1]}'},{'type':'tool_use','id':'t','name':'f',"
         "'input':{}}],"
         "'stop_reason':'end_turn'}", 0},
        {API_MESSAGES, "{'type':'message','content':[{'type':'text','text':'well'}],"
         "'stop_reason':'end_turn'}", API_OUTCOME_JSON},
        {API_MESSAGES, "{'content':[{'type':'text','text':'{'}],'stop_reason':'max_tokens'}",
         API_OUTCOME_LENGTH},
        {API_MESSAGES, "{'content':[],'stop_reason':'refusal'}", API_OUTCOME_REFUSAL},
        {API_MESSAGES, "{'content':[],'stop_reason':'model_context_window_exceeded'}",
         API_OUTCOME_LENGTH},
        {API_RESPONSES, "{'object':'response','output':[{'type':'reasoning','summary':[{'type':"
         "'summary_text','text':'hm'}],'content':[{'type':'reasoning_text','text':'hm'}]},"
         "{'type':'message','content':[{'type':'output_text','text':'[]'}]},{'type':"
         "'function_call','arguments':'{}','name':'f'}]}", 0},
        {API_RESPONSES, "{'output':[{'type':'message','content':[{'type':'output_text','text':"
         "'no'}]},{'type':'function_call','arguments':'1'}]}",
         API_OUTCOME_JSON | API_OUTCOME_ARGUMENTS},
        {API_RESPONSES, "{'output':[{'type':'reasoning','summary':[{'text':'hm'}]},{'type':"
         "'message','content':[{'type':'output_text','text':'[]'}]}]}", 0},
        {API_RESPONSES, "{'output':[{'type':'message','content':[{'type':'refusal','refusal':"
         "'no'}]}]}", API_OUTCOME_REFUSAL},
        {API_RESPONSES, "{'status':'incomplete','incomplete_details':{'reason':"
         "'content_filter'},'output':[]}", API_OUTCOME_REFUSAL},
        {API_RESPONSES, "{'status':'incomplete','incomplete_details':{'reason':"
         "'max_output_tokens'},'output':[]}", API_OUTCOME_LENGTH},
        {API_GENERATE, "{'candidates':[{'content':{'parts':[{'text':'{\\'a\\''},{'text':':2}'}"
         ",{'functionCall':{'name':'f','args':{'x':1}}}]},'finishReason':'STOP'}]}", 0},
        {API_GENERATE, "{'candidates':[{'content':{'parts':[{'text':'no'}]},'finishReason':"
         "'STOP'}]}", API_OUTCOME_JSON},
        {API_GENERATE, "{'candidates':[{'content':{'parts':[{'text':'hm','thought':true},{"
         "'text':'{}'}]},'finishReason':'STOP'}]}", 0},
        {API_GENERATE, "{'candidates':[{'finishReason':'SAFETY'}]}", API_OUTCOME_REFUSAL},
        {API_GENERATE, "{'candidates':[{'finishReason':'MAX_TOKENS'}]}", API_OUTCOME_LENGTH},
        {API_GENERATE, "{'candidates':[{'finishReason':'MALFORMED_FUNCTION_CALL'}]}",
         API_OUTCOME_ARGUMENTS},
        {API_GENERATE, "{'promptFeedback':{'blockReason':'PROHIBITED_CONTENT'}}",
         API_OUTCOME_REFUSAL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        unsigned got = of_answer(cases[i].api, cases[i].body);
        if (got != cases[i].want) print_error("%s\n", cases[i].body);
        assert_int_equal(got, cases[i].want);
    }
}

/* Events, a line each, with shapes and without. */
static unsigned of_stream(enum api api, const char *lines)
{
    static struct api_shapes shapes;
    char room[ROOM];
    struct bytes all = quoted(lines, room);
    unsigned outcome[2];
    for (unsigned i = 0; i < 2; i++) {
        struct api_check c = check_for(API_FORMAT_JSON, NULL);
        struct api_stream s = {.check = &c};
        struct bytes left = all;
        memset(&shapes, 0, sizeof shapes);
        while (left.len > 0) {
            struct bytes line = bytes_cut(&left, bytes_find(left, '\n'));
            if (left.len) bytes_cut(&left, 1);
            struct api_event ev;
            if (i == 0) api_event_read(line, api, &s, &ev);
            else api_event_read_like(line, api, &s, &shapes, &ev);
            if (ev.kind == API_EVENT_BAD) print_error("%.*s\n", (int)line.len, line.ptr);
            assert_true(ev.kind != API_EVENT_BAD);
        }
        outcome[i] = api_check_end(&c, s.outcome);
    }
    assert_int_equal(outcome[0], outcome[1]);
    return outcome[0];
}

#define DELTA(text) "{'id':'chatcmpl-abcdefgh','choices':[{'index':0,'delta':{" text \
                    "},'finish_reason':null}]}\n"
#define ENDS(why) "{'id':'chatcmpl-abcdefgh','choices':[{'index':0,'delta':{},'finish_reaso" \
                  "n':" why "}]}\n"
#define CALL(text) DELTA("'tool_calls':[{'index':0,'function':{" text "}}]")
#define BLOCK(text) "{'type':'content_block_delta','index':0,'delta':{" text "}}\n"

static void test_streams(void **state)
{
    (void)state;
    static const struct { enum api api; const char *events; unsigned want; } cases[] = {
        {API_CHAT, DELTA("'role':'assistant','content':''") DELTA("'content':'['")
         DELTA("'content':'1'") DELTA("'content':',2,'") DELTA("'content':'3'")
         DELTA("'content':']'") ENDS("'stop'") "[DONE]", 0},
        {API_CHAT, DELTA("'role':'assistant','content':''") DELTA("'content':'['")
         DELTA("'content':'1'") DELTA("'content':',2,'") DELTA("'content':'x'")
         DELTA("'content':']'") ENDS("'stop'") "[DONE]", API_OUTCOME_JSON},
        {API_CHAT, DELTA("'content':'['") DELTA("'content':'1'") ENDS("'length'"),
         API_OUTCOME_LENGTH},
        {API_CHAT, DELTA("'refusal':'I '") DELTA("'refusal':'must not'") ENDS("'stop'"),
         API_OUTCOME_REFUSAL},
        {API_CHAT, DELTA("'reasoning_content':'so'") DELTA("'reasoning_content':'ah'")
         DELTA("'content':'{}'") ENDS("'stop'"), 0},
        {API_CHAT, CALL("'name':'f','arguments':''") CALL("'arguments':'{\\''")
         CALL("'arguments':'abcd'") CALL("'arguments':'\\':1'") CALL("'arguments':'}'")
         CALL("'name':'g','arguments':'{}'") ENDS("'tool_calls'"), 0},
        {API_CHAT, CALL("'name':'f','arguments':''") CALL("'arguments':'{abc'")
         CALL("'arguments':':1}'") ENDS("'tool_calls'"), API_OUTCOME_ARGUMENTS},
        {API_MESSAGES, "{'type':'message_start','message':{'id':'m','content':[]}}\n"
         "{'type':'content_block_start','index':0,'content_block':{'type':'text','text':''}}\n"
         BLOCK("'type':'text_delta','text':'{'") BLOCK("'type':'text_delta','text':'}'")
         "{'type':'content_block_stop','index':0}\n{'type':'message_delta','delta':{"
         "'stop_reason':'end_turn'}}\n{'type':'message_stop'}", 0},
        {API_MESSAGES, BLOCK("'type':'text_delta','text':'hi'")
         BLOCK("'type':'text_delta','text':' there'") "{'type':'message_stop'}",
         API_OUTCOME_JSON},
        {API_MESSAGES, BLOCK("'type':'input_json_delta','partial_json':''")
         BLOCK("'type':'input_json_delta','partial_json':'{'")
         BLOCK("'type':'input_json_delta','partial_json':'}'") "{'type':'message_stop'}", 0},
        {API_MESSAGES, BLOCK("'type':'input_json_delta','partial_json':'{x'")
         "{'type':'message_stop'}", API_OUTCOME_ARGUMENTS},
        {API_MESSAGES, "{'type':'message_delta','delta':{'stop_reason':'refusal'}}",
         API_OUTCOME_REFUSAL},
        {API_RESPONSES, "{'type':'response.output_text.delta','delta':'no'}\n{'type':"
         "'response.output_text.done','text':'no'}\n{'type':'response.output_item.done','item'"
         ":{'type':'message','content':[{'type':'output_text','text':'no'}]}}\n{'type':"
         "'response.completed','response':{'output':[{'type':'message','content':[{'type':"
         "'output_text','text':'{}'}]}]}}", 0},  /* the response at the end is what counts */
        {API_RESPONSES, "{'type':'response.output_text.delta','delta':'{}'}\n{'type':"
         "'response.completed','response':{'output':[{'type':'message','content':[{'type':"
         "'output_text','text':'no'}]},{'type':'function_call','arguments':'{'}]}}",
         API_OUTCOME_JSON | API_OUTCOME_ARGUMENTS},
        {API_RESPONSES, "{'type':'response.incomplete','response':{'incomplete_details':{"
         "'reason':'max_output_tokens'},'output':[]}}", API_OUTCOME_LENGTH},
        {API_GENERATE, "{'candidates':[{'content':{'parts':[{'text':'['}]}}]}\n{'candidates':[{"
         "'content':{'parts':[{'text':']'}]},'finishReason':'STOP'}]}", 0},
        {API_GENERATE, "{'candidates':[{'content':{'parts':[{'text':'['}]}}]}\n{'candidates':[{"
         "'content':{'parts':[{'text':'!'}]},'finishReason':'STOP'}]}", API_OUTCOME_JSON},
        {API_GENERATE, "{'candidates':[{'content':{'parts':[{'text':'['}]},'finishReason':"
         "'RECITATION'}]}", API_OUTCOME_REFUSAL},
        /* Perplexity: a delta, and the message so far */
        {API_CHAT, "{'choices':[{'delta':{'content':'['},'message':{'content':'['}}]}\n{"
         "'choices':[{'delta':{'content':']'},'message':{'content':'[]'},'finish_reason'"
         ":'stop'}]}", 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        unsigned got = of_stream(cases[i].api, cases[i].events);
        if (got != cases[i].want) print_error("%s\n", cases[i].events);
        assert_int_equal(got, cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_or_not),
        cmocka_unit_test(test_against_the_scanner),
        cmocka_unit_test(test_schemas),
        cmocka_unit_test(test_what_is_not_blamed),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_whole_answers),
        cmocka_unit_test(test_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
