/* test_api_ask.c - what of a request decides which model is asked: its texts, turns, parts that
 * are no text, format, effort, tool choice, needs. Each body is read whole, at the end of
 * readable memory, and cut at every byte: all must say the same.
 * Sources: the API references of OpenAI, Anthropic, Google; OpenRouter's `reasoning`. */
#include "net/dialect/api.h"
#include "wall.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

enum { SAID = 2048 };

static struct wall wall;

static int setup(void **state)
{
    (void)state;
    wall = wall_open(1 << 16);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    wall_close(&wall);
    return 0;
}

/* Feed text, first cut bytes of it (0: all), then pieces of step bytes (0: the rest). */
static enum net_rc read_cut(struct api_reader *r, enum api api, struct bytes text, size_t cut,
                            size_t step)
{
    api_request_begin(r, api);
    if (api == API_GENERATE || api == API_GENERATE_COUNT) {
        assert_true(api_request_path(r, BYTES("path-model"), false));
    }
    for (bool first = true; text.len > 0; first = false) {
        size_t n = first && cut ? cut : step ? step : text.len;
        if (n > text.len) n = text.len;
        struct bytes piece = wall_put(&wall, bytes_cut(&text, n));
        if (api_request_feed(r, piece) != NET_MORE) break;
    }
    return api_request_end(r);
}

struct say { char *out; size_t len; };

static void add(struct say *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct say *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(s->out + s->len, SAID - s->len, format, args);
    va_end(args);
    assert_true(n >= 0 && (size_t)n < SAID - s->len);
    s->len += (size_t)n;
}

/* What was read, as a line: without what is absent. */
static void say(const struct api_reader *r, enum net_rc rc, struct bytes body, char *out)
{
    static const char *const texts[API_TEXTS] = {"system", "first", "last", "tools"};
    static const char *const formats[] = {"text", "json", "schema"};
    static const char *const efforts[] = {"", "none", "minimal", "low", "medium", "high",
                                          "xhigh"};
    static const char *const choices[] = {"", "none", "required", "named"};
    const struct api_request *q = &r->req;
    struct say s = {out, 0};
    out[0] = 0;
    if (rc != NET_DONE) {
        add(&s, "%s at %s", r->error, r->pointer);
        return;
    }
    for (size_t i = 0; i < API_TEXTS; i++) {
        struct api_span t = q->text[i];
        if (t.end == 0) continue;
        assert_true(t.start < t.end && t.end <= body.len);
        add(&s, " %s=<%.*s>", texts[i], (int)(t.end - t.start), body.ptr + t.start);
    }
    if (q->system_bytes) add(&s, " system_bytes=%llu", (unsigned long long)q->system_bytes);
    if (q->last_bytes) add(&s, " last_bytes=%llu", (unsigned long long)q->last_bytes);
    add(&s, " turns=%u/%u/%u", q->user_turns, q->assistant_turns, q->tool_turns);
    if (q->image_count) add(&s, " images=%u", q->image_count);
    if (q->audio_count) add(&s, " audio=%u", q->audio_count);
    if (q->document_count) add(&s, " documents=%u", q->document_count);
    if (q->format) add(&s, " %s", formats[q->format]);
    if (q->schema_at.end) {
        add(&s, " schema=%.*s", (int)(q->schema_at.end - q->schema_at.start),
            body.ptr + q->schema_at.start);
    }
    if (q->effort) add(&s, " effort=%s", efforts[q->effort]);
    if (q->effort_said) add(&s, " said");
    if (q->choice) add(&s, " choice=%s", choices[q->choice]);
    if (api_request_needs(q)) add(&s, " needs=%u", api_request_needs(q));
}

struct reading { enum api api; const char *body, *want; };

/* In the bodies ' stands for a quote. */
static void check(const struct reading *cases, size_t count)
{
    static struct api_reader r;
    static char text[SAID], want[SAID], got[SAID];
    for (size_t i = 0; i < count; i++) {
        struct bytes body = {text, strlen(cases[i].body)};
        assert_true(body.len < sizeof text);
        for (size_t k = 0; k < body.len; k++) {
            text[k] = cases[i].body[k] == '\'' ? '"' : cases[i].body[k];
        }
        say(&r, read_cut(&r, cases[i].api, body, 0, 0), body, want);
        const char *told = want[0] == ' ' ? want + 1 : want;
        if (strcmp(told, cases[i].want) != 0) print_error("%s\n", cases[i].body);
        assert_string_equal(told, cases[i].want);
        for (size_t cut = 1; cut < body.len; cut++) {
            say(&r, read_cut(&r, cases[i].api, body, cut, 0), body, got);
            if (strcmp(got, want) != 0) print_error("%s\ncut at %zu\n", cases[i].body, cut);
            assert_string_equal(got, want);
        }
        for (size_t step = 1; step < 6; step++) {
            say(&r, read_cut(&r, cases[i].api, body, 0, step), body, got);
            assert_string_equal(got, want);
        }
    }
}

static void test_chat_texts(void **state)
{
    (void)state;
    static const struct reading cases[] = {
        {API_CHAT, "{'model':'m','messages':[{'role':'user','content':'hello'}]}",
         "first=<hello> last=<hello> last_bytes=5 turns=1/0/0"},
        {API_CHAT, "{'messages':[{'content':'be brief','role':'system'},{'content':'one','role"
         "':'user'},{'role':'assistant','content':'1'},{'role':'user','content':'t\\nwo'}],"
         "'model':'m'}",
         "system=<be brief> first=<one> last=<t\\nwo> system_bytes=8 last_bytes=5 turns=2/1/0"},
        {API_CHAT, "{'model':'m','messages':[{'role':'developer','content':[{'type':'text',"
         "'text':'a'},{'type':'text','text':'bc'}]},{'role':'user','content':[{'type':'text',"
         "'text':'look'},{'type':'image_url','image_url':{'url':'data:image/png;base64,AA'}},"
         "{'text':'here','type':'text'},{'type':'text','text':''}]}]}",
         "system=<a> first=<look> last=<here> system_bytes=3 last_bytes=8 turns=1/0/0 images=1 "
         "needs=2"},
        {API_CHAT, "{'model':'m','messages':[{'role':'user','content':'q'},{'role':'assistant',"
         "'content':null,'tool_calls':[{'id':'c','type':'function','function':{'name':'f',"
         "'arguments':'{}','text':'no'}}]},{'role':'tool','tool_call_id':'c','content':'42'},"
         "{'role':'function','name':'f','content':'43'}],'tools':[ {'type':'function'} ]}",
         "first=<q> last=<q> tools=<[ {\"type\":\"function\"} ]> last_bytes=1 turns=1/1/2 "
         "needs=1"},
        {API_CHAT, "{'model':'m','messages':[{'role':'user','content':[{'type':'input_audio',"
         "'input_audio':{'data':'AA','format':'wav'}},{'type':'file','file':{'file_data':'x'}"
         "}]}],'audio':{'voice':'alloy'}}", "turns=1/0/0 audio=1 documents=1 needs=24"},
        /* what is odd says nothing, the same whichever way it is read */
        {API_CHAT, "{'model':'m','messages':[]}", "turns=0/0/0"},
        {API_CHAT, "{'model':'m','messages':[{},1,null,'said',[{'role':'user','content':'no'}],"
         "[['no']],[[{'type':'image','text':'no'}]]]}",
         "first=<said> last=<said> last_bytes=4 turns=2/0/0"},
        {API_CHAT, "{'model':'m','messages':[{'role':'user','content':{'text':'no','type':"
         "'image'}},{'role':'user','content':[['no',['no',{'type':'image'}]],'yes']},[[{'type':"
         "'image'}]],[['no']]]}",
         "first=<yes> last=<yes> last_bytes=3 turns=2/0/0"},
        {API_CHAT, "{'model':'m','messages':[{'role':'Master','content':'no'},{'role':7,"
         "'content':'yes','role ':'x'},{'text':'no','type':'image','parts':[{'text':'and'}]}]}",
         "first=<yes> last=<yes> last_bytes=3 turns=1/0/0"},
        {API_CHAT, "{'model':'m','messages':[{'role':'user','content':[{'x':{'text':'no',"
         "'type':"
         "'image','y':[{'type':'image'}]},'content':{'a':{'type':'image'}},'inlineData':["
         "{'mimeType':'image/png'}],'type':['image'],'text':{'text':'no'}}]}]}", "turns=1/0/0"},
    };
    check(cases, COUNT(cases));
}

static void test_other_apis_texts(void **state)
{
    (void)state;
    static const struct reading cases[] = {
        {API_COMPLETIONS, "{'model':'m','prompt':'once upon'}",
         "first=<once upon> last=<once upon> last_bytes=9 turns=1/0/0"},
        {API_COMPLETIONS, "{'model':'m','prompt':['a','bc']}",
         "first=<a> last=<bc> last_bytes=2 turns=2/0/0"},
        {API_COMPLETIONS, "{'model':'m','prompt':[1,2,3]}", "turns=0/0/0"},
        {API_RESPONSES, "{'model':'m','input':'hi','instructions':'be\\n good'}",
         "system=<be\\n good> first=<hi> last=<hi> system_bytes=9 last_bytes=2 turns=1/0/0"},
        {API_RESPONSES, "{'model':'m','input':[{'role':'developer','content':'d'},{'type':"
         "'message','role':'user','content':[{'type':'input_text','text':'what'},{'type':"
         "'input_image','image_url':'data:image/png;base64,AA'},{'type':'input_file','file"
         "_data'"
         ":'AA'}]},{'type':'reasoning','summary':[{'type':'summary_text','text':'no'}]},{"
         "'type':"
         "'function_call','name':'f','arguments':'{}'},{'output':'4','type':"
         "'function_call_output'},{'type':'item_reference','id':'x'}]}",
         "system=<d> first=<what> last=<what> system_bytes=1 last_bytes=4 turns=1/1/1 images=1 "
         "documents=1 needs=18"},
        {API_MESSAGES, "{'model':'m','max_tokens':9,'system':[{'type':'text','text':'you are',"
         "'cache_control':{'type':'ephemeral'}},{'type':'text','text':'!'}],'messages':[{"
         "'role':"
         "'user','content':'go'},{'role':'assistant','content':[{'type':'tool_use','id':'t',"
         "'name':'f','input':{'text':'no'}}]},{'role':'user','content':[{'type':'tool_result',"
         "'tool_use_id':'t','content':[{'type':'text','text':'no'},{'type':'image','source':{"
         "'type':'base64','media_type':'image/png','data':'AA'}}]}]}]}",
         "system=<you are> first=<go> last=<go> system_bytes=8 last_bytes=2 turns=1/1/1 im"
         "ages=1"
         " needs=2"},
        {API_RESPONSES, "{'model':'m','input':[{'role':'user','type':'x_output','content':"
         "'c'}]}",
         "first=<c> last=<c> last_bytes=1 turns=1/0/0"},
        {API_MESSAGES, "{'model':'m','messages':[{'role':'user','content':[{'type':"
         "'tool_result','content':[]},[[{'type':'image'}]]]}]}", "turns=0/0/1"},
        {API_MESSAGES, "{'model':'m','system':'s','messages':[{'role':'user','content':["
         "{'type':'document','source':{'type':'base64','data':'AA'}},{'type':'text','text"
         "':'sum "
         "up'}]},{'content':[{'content':'ok','type':'tool_result'},{'type':'text','text':"
         "'next'}"
         "],'role':'user'}]}",
         "system=<s> first=<sum up> last=<next> system_bytes=1 last_bytes=4 turns=1/0/1 "
         "documents=1 needs=16"},
        {API_GENERATE, "{'systemInstruction':{'role':'system','parts':[{'text':'sys'}]},"
         "'contents':[{'role':'user','parts':[{'text':'see'},{'inlineData':{'mimeType':"
         "'image/png','data':'AA'}},{'file_data':{'mime_type':'audio/mp3','file_uri':'u'}},"
         "{'fileData':{'mimeType':'application/pdf'}}]},{'role':'model','parts':[{"
         "'functionCall':{'name':'f','args':{}}}]},{'role':'user','parts':[{'functionRespo"
         "nse':{"
         "'name':'f','response':{'text':'no'}}}]},{'parts':[{'text':'then'}]}],'tools':[{"
         "'functionDeclarations':[]}]}",
         "system=<sys> first=<see> last=<then> tools=<[{\"functionDeclarations\":[]}]> "
         "system_bytes=3 last_bytes=4 turns=2/1/1 images=1 audio=1 documents=1 needs=27"},
        {API_GENERATE_COUNT, "{'generateContentRequest':{'model':'m','contents':[{'parts':[{"
         "'text':'n'}]}],'system_instruction':{'parts':{'text':'p'}}}}",
         "system=<p> first=<n> last=<n> system_bytes=1 last_bytes=1 turns=1/0/0"},
    };
    check(cases, COUNT(cases));
}

static void test_format_effort_choice(void **state)
{
    (void)state;
    static const struct reading cases[] = {
        {API_CHAT, "{'model':'m','response_format':{'type':'json_object'}}",
         "turns=0/0/0 json"},
        {API_CHAT, "{'model':'m','response_format':{'type':'json_schema','json_schema':{'name':"
         "'n','strict':true,'schema':{'type':'object'}}}}",
         "turns=0/0/0 schema schema={\"type\":\"object\"} needs=4"},
        {API_CHAT, "{'model':'m','response_format':{'type':'text'},'tool_choice':'required',"
         "'reasoning_effort':'xhigh'}", "turns=0/0/0 effort=xhigh said choice=required"},
        {API_CHAT, "{'model':'m','response_format':null,'tool_choice':{'type':'function',"
         "'function':{'name':'f'}},'reasoning':{'effort':'low','exclude':true}}",
         "turns=0/0/0 effort=low said choice=named"},
        {API_CHAT, "{'model':'m','reasoning':{'max_tokens':9000},'tool_choice':'auto'}",
         "turns=0/0/0 effort=medium said"},
        {API_CHAT, "{'model':'m','reasoning_effort':null,'tool_choice':'none'}",
         "turns=0/0/0 said choice=none"},
        {API_CHAT, "{'model':'m','reasoning':[1],'reasoning_effort':['low'],'response_format':["
         "{'type':'json_object'}],'tool_choice':['none'],'audio':null}", "turns=0/0/0 said"},
        {API_CHAT, "{'model':'m','response_format':'json_object','tool_choice':{'type':"
         "'allowed_tools','allowed_tools':{'mode':'auto','tools':[]}},'reasoning_effort':{}}",
         "turns=0/0/0 said"},
        {API_RESPONSES, "{'model':'m','text':{'verbosity':'low','format':{'type':'json_schema',"
         "'name':'n','schema':{'a':[1]}}},'reasoning':{'effort':'minimal','summary':'auto'},"
         "'tool_choice':{'type':'file_search'}}",
         "turns=0/0/0 schema schema={\"a\":[1]} effort=minimal said choice=named needs=4"},
        {API_RESPONSES, "{'model':'m','text':null,'reasoning':null,'tool_choice':'auto'}",
         "turns=0/0/0 said"},
        {API_MESSAGES, "{'model':'m','thinking':{'type':'enabled','budget_tokens':3000},"
         "'tool_choice':{'type':'any'}}", "turns=0/0/0 effort=low choice=required"},
        {API_MESSAGES, "{'model':'m','thinking':{'type':'disabled'},'tool_choice':{'type':"
         "'tool','name':'f'}}", "turns=0/0/0 effort=none choice=named"},
        {API_MESSAGES, "{'model':'m','output_config':{'effort':'max','format':{'type':"
         "'json_schema','schema':{}}},'thinking':{'budget_tokens':3000,'type':'enabled'}}",
         "turns=0/0/0 schema schema={} effort=xhigh needs=4"},
        {API_MESSAGES, "{'model':'m','output_format':{'type':'json_schema','schema':{'a':1}}}",
         "turns=0/0/0 schema schema={\"a\":1} needs=4"},
        {API_GENERATE, "{'generationConfig':{'responseMimeType':'application/json',"
         "'thinkingConfig':{'thinkingBudget':0}},'toolConfig':{'functionCallingConfig':{'mode':"
         "'ANY'}}}", "turns=0/0/0 json effort=none choice=required"},
        {API_GENERATE, "{'generation_config':{'response_schema':{'type':'OBJECT'},"
         "'thinking_config':{'thinking_level':'HIGH','thinking_budget':-1}},'tool_config':{"
         "'function_calling_config':{'mode':'NONE'}}}",
         "turns=0/0/0 schema schema={\"type\":\"OBJECT\"} effort=high choice=none needs=4"},
        {API_GENERATE, "{'generationConfig':{'responseJsonSchema':{'b':{}},'thinkingConfig':{"
         "'thinkingBudget':20000}}}",
         "turns=0/0/0 schema schema={\"b\":{}} effort=high needs=4"},
        {API_GENERATE, "{'generationConfig':{'thinkingConfig':{'thinkingBudget':-1}}}",
         "turns=0/0/0"},
        {API_GENERATE, "{'generationConfig':{'responseJsonSchema':null,'responseMimeType':"
         "'text/plain','thinkingConfig':[]},'toolConfig':7}", "turns=0/0/0"},
        /* of what is read no object may have two */
        {API_CHAT, "{'model':'m','reasoning_effort':'low','Reasoning_effort':'high'}",
         "the member 'reasoning_effort' is written with other letters at /reasoning_effort"},
        {API_CHAT, "{'model':'m','response_format':{'type':'text','type':'json_object'}}",
         "the member 'type' appears twice at /response_format/type"},
    };
    check(cases, COUNT(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chat_texts),
        cmocka_unit_test(test_other_apis_texts),
        cmocka_unit_test(test_format_effort_choice),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
