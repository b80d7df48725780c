/* test_tr_providers_ask.c - requests written for Bedrock's Converse and Cohere's v2 chat: the
 * same text wherever the client's body is cut, and what they have no way to say. */
#include "net/translate/ask.h"
#include "tr_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ROOM = 8192 };

/* Single quotes in tables stand for double ones. */
static struct bytes unquoted(const char *text, char out[ROOM])
{
    size_t len = strlen(text);
    assert_true(len < ROOM);
    for (size_t i = 0; i < len; i++) out[i] = text[i] == '\'' ? '"' : text[i];
    return (struct bytes){out, len};
}

static struct ask ask;

/* Write a request of Gemini's for a target, from pieces of step bytes. */
static enum ask_rc write_cut(struct bytes body, const struct ask_target *t, size_t step,
                             struct kit_pen *k)
{
    struct kit_pieces pieces;
    struct walk_source source = kit_pieces(&pieces, body, step);
    kit_pen(k, 512, NULL);
    enum ask_rc rc = ASK_WRONG;
    if (ask_open(&ask, API_GENERATE, &source, NULL)) rc = ask_write(&ask, t, &k->pen);
    kit_pieces_free(&pieces);
    return rc;
}

/* The same from every cut; want NULL: it cannot be said. */
static void check(enum api api, const char *model, const char *body, const char *want)
{
    char in[ROOM], out[ROOM];
    struct bytes from = unquoted(body, in), to = unquoted(want ? want : "", out);
    struct ask_target t = {.api = api, .model = bytes_of(model), .stream = true, .thinks = true,
                           .output_max = 8000};
    for (size_t step = 0; step < from.len; step += 1 + step / 3) {
        struct kit_pen k;
        enum ask_rc rc = write_cut(from, &t, step, &k);
        if (want) {
            struct bytes got = kit_pen_text(&k);
            if (rc != ASK_WRITTEN) print_error("%s: %s\n", ask.error, ask.pointer);
            assert_int_equal(rc, ASK_WRITTEN);
            if (!bytes_eq(got, to)) print_error("%.*s\n", (int)got.len, got.ptr);
            assert_true(bytes_eq(got, to) && kit_is_json(got));
        } else {
            assert_int_equal(rc, ASK_UNSAYABLE);
            assert_true(ask.error[0] && strstr(ask.error, "dialect has no way to ask for"));
        }
        kit_pen_free(&k);
    }
}

#define PNG "{'inlineData':{'mimeType':'image/png','data':'iVBORw0KGgo='}}"
#define TALK \
    "{'systemInstruction':{'parts':[{'text':'be \\n brief'}]},'contents':[{'role':'user'," \
    "'parts':[{'text':'look'}," PNG "]},{'role':'model','parts':[{'functionCall':{'name':'f'," \
    "'args':{'a':1},'id':'c1'}},{'functionCall':{'name':'g','id':'c 2'}}]},{'role':'user'," \
    "'parts':[{'functionResponse':{'name':'f','id':'c1','response':{'output':'ok'}}}," \
    "{'functionResponse':{'name':'g','id':'c 2','response':{'error':'no'}}}]}]," \
    "'tools':[{'functionDeclarations':[{'name':'f','description':'does f','parameters':{" \
    "'type':'OBJECT','properties':{'a':{'type':'INTEGER'}}}},{'name':'g'}]}]"

static void test_converse(void **state)
{
    (void)state;
    check(API_CONVERSE, "amazon.nova-lite-v1:0", TALK "}",
          "{'system':[{'text':'be \\n brief'}],'messages':[{'role':'user','content':[{'text':"
          "'look'},{'image':{'format':'png','source':{'bytes':'iVBORw0KGgo='}}}]},{'role':"
          "'assistant','content':[{'toolUse':{'toolUseId':'c1','name':'f','input':{'a':1}}},"
          "{'toolUse':{'toolUseId':'call_9myaea8au8xl1','name':'g','input':{}}}]},{'role':"
          "'user','content':["
          "{'toolResult':{'toolUseId':'c1','content':[{'text':'ok'}]}},{'toolResult':{"
          "'toolUseId':'call_9myaea8au8xl1','status':'error','content':[{'text':'no'}]}}]}],"
          "'inferenceConfig':{'maxTokens':8000},'toolConfig':{'tools':[{'toolSpec':{'name':'f',"
          "'description':'does f','inputSchema':{'json':{'type':'object','properties':{'a':{"
          "'type':'integer'}}}}}},{'toolSpec':{'name':'g','inputSchema':{'json':{'type':"
          "'object','properties':{}}}}}]}}");
}


#define CLAUDE "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
#define HI "'contents':[{'role':'user','parts':[{'text':'hi'}]}]"
#define HI_AT_BEDROCK "'messages':[{'role':'user','content':[{'text':'hi'}]}]"

#define ZEROS "000000000000000000000000000000000000000000000000000000000000"

static void test_converse_settings(void **state)
{
    (void)state;
    static const struct { const char *model, *ask, *want; } cases[] = {
        {"amazon.nova", "'generationConfig':{'temperature':1.5,'topP':0.5,'topK':4,'seed':7,"
         "'maxOutputTokens':99,'stopSequences':['a','b'],'presencePenalty':1}",
         "'inferenceConfig':{'maxTokens':99,'temperature':1,'topP':0.5,'stopSequences':['a',"
         "'b']}"},
        {"amazon.nova", "'generationConfig':{'temperature':1,'stopSequences':[]}",
         "'inferenceConfig':{'maxTokens':8000,'temperature':1}"},
        {CLAUDE, "'generationConfig':{'temperature':0.7,'topK':4}",
         "'inferenceConfig':{'maxTokens':8000,'temperature':0.7},"
         "'additionalModelRequestFields':{'top_k':4}"},
        /* digits that do not fit the room they are looked at in */
        {"amazon.nova", "'generationConfig':{'temperature':0." ZEROS "1}",
         "'inferenceConfig':{'maxTokens':8000,'temperature':0." ZEROS "1}"},
        /* thinking: no sampling beside it */
        {CLAUDE, "'generationConfig':{'temperature':0.7,'topK':4,'thinkingConfig':{"
         "'thinkingBudget':2048}}",
         "'inferenceConfig':{'maxTokens':8000},'additionalModelRequestFields':{'thinking':{"
         "'type':'enabled','budget_tokens':2048}}"},
        {CLAUDE, "'generationConfig':{'thinkingConfig':{'thinkingBudget':0}}",
         "'inferenceConfig':{'maxTokens':8000}"},
        {"amazon.nova", "'generationConfig':{'thinkingConfig':{'thinkingBudget':2048}}",
         "'inferenceConfig':{'maxTokens':8000}"},
        {"amazon.nova", "'generationConfig':{'responseMimeType':'application/json',"
         "'responseJsonSchema':{'type':'object'}}",
         "'inferenceConfig':{'maxTokens':8000},'outputConfig':{'textFormat':{'type':"
         "'json_schema','structure':{'jsonSchema':{'schema':'{\\'type\\':\\'object\\'}'}}}}"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char body[ROOM], want[ROOM];
        (void)snprintf(body, sizeof body, "{" HI ",%s}", cases[i].ask);
        (void)snprintf(want, sizeof want, "{" HI_AT_BEDROCK ",%s}", cases[i].want);
        check(API_CONVERSE, cases[i].model, body, want);
    }
    check(API_CONVERSE, "m", "{" HI ",'generationConfig':{'responseMimeType':"
          "'application/json'}}",
          "{'system':[{'text':'Answer with one JSON value and nothing else: no words aroun"
          "d it, "
          "no code fence. It must be an object.'}]," HI_AT_BEDROCK ",'inferenceConfig':{"
          "'maxTokens':8000}}");
}

/* Tools: forced ones, forbidden ones, and none where the conversation has calls. */
static void test_converse_choice(void **state)
{
    (void)state;
#define TOOL "'tools':[{'functionDeclarations':[{'name':'f'}]}]"
#define SPEC "{'toolSpec':{'name':'f','inputSchema':{'json':{'type':'object','properties':" \
    "{}}}}}"
#define HEAD "{" HI_AT_BEDROCK ",'inferenceConfig':{'maxTokens':8000}"
    static const struct { const char *config, *want; } cases[] = {
        {"{'mode':'ANY'}", HEAD ",'toolConfig':{'tools':[" SPEC "],'toolChoice':{'any':{}}}}"},
        {"{'mode':'ANY','allowedFunctionNames':['f']}",
         HEAD ",'toolConfig':{'tools':[" SPEC "],'toolChoice':{'tool':{'name':'f'}}}}"},
        {"{'mode':'NONE'}", HEAD "}"},
        {"{'mode':'AUTO'}", HEAD ",'toolConfig':{'tools':[" SPEC "],'toolChoice':{'auto':{"
            "}}}}"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char body[ROOM];
        (void)snprintf(body, sizeof body, "{" HI "," TOOL ",'toolConfig':{"
                       "'functionCallingConfig':%s}}", cases[i].config);
        check(API_CONVERSE, "m", body, cases[i].want);
    }
    check(API_CONVERSE, "m",
          "{'contents':[{'role':'model','parts':[{'functionCall':{'name':'f','id':'i'}}]},{"
          "'role':'user','parts':[{'functionResponse':{'name':'f','id':'i','response':{}}}]}]}",
          "{'messages':[{'role':'assistant','content':[{'toolUse':{'toolUseId':'i','name':'f',"
          "'input':{}}}]},{'role':'user','content':[{'toolResult':{'toolUseId':'i','content':["
          "{'json':{}}]}}]}],'inferenceConfig':{'maxTokens':8000},'toolConfig':{'tools':[{"
          "'toolSpec':{'name':'none','description':'There is no tool: not to be called.',"
          "'inputSchema':{'json':{'type':'object','properties':{}}}}}]}}");
    /* a forced tool: no thinking */
    check(API_CONVERSE, CLAUDE, "{" HI "," TOOL ",'toolConfig':{'functionCallingConfig':{'"
        "mode':"
          "'ANY'}},'generationConfig':{'thinkingConfig':{'thinkingBudget':2048}}}",
          HEAD ",'toolConfig':{'tools':[" SPEC "],'toolChoice':{'any':{}}}}");
}

static void test_cohere(void **state)
{
    (void)state;
    check(API_COHERE, "command-a", TALK "}",
          "{'model':'command-a','stream':true,'messages':[{'role':'system','content':[{'type':"
          "'text','text':'be \\n brief'}]},{'role':'user','content':[{'type':'text','text':"
          "'look'},{'type':'image_url','image_url':{'url':'data:image/png;base64,iVBORw0KGgo='"
          "}}]},{'role':'assistant','tool_calls':[{'id':'c1','type':'function','function':{"
          "'name':'f','arguments':'{\\'a\\':1}'}},{'id':'call_9myaea8au8xl1','type':'function',"
          "'function':{'name':'g','arguments':'{}'}}]},{'role':'tool','tool_call_id':'c1',"
          "'content':[{'type':'text','text':'ok'}]},{'role':'tool','tool_call_id':"
          "'call_9myaea8au8xl1','content':[{'type':'text','text':'no'}]}],'tools':[{'type':"
          "'function','function':{'name':'f','description':'does f','parameters':{'type':"
          "'object','properties':{'a':{'type':'integer'}}}}},{'type':'function','function':{"
          "'name':'g','parameters':{'type':'object','properties':{}}}}],'max_tokens':8000}");
    check(API_COHERE, "c", "{" HI "," TOOL ",'toolConfig':{'functionCallingConfig':{'mode'"
        ":'ANY',"
          "'allowedFunctionNames':['f']}},'generationConfig':{'temperature':1.5,'topP':0.5"
          ",'topK':"
          "4,'seed':7,'stopSequences':['a'],'presencePenalty':1,'frequencyPenalty':0.5,"
          "'responseMimeType':'application/json','responseJsonSchema':{'type':'object'},"
          "'thinkingConfig':{'thinkingBudget':2048}}}",
          "{'model':'c','stream':true,'messages':[{'role':'user','content':[{'type':'text',"
          "'text':'hi'}]}],'tools':[{'type':'function','function':{'name':'f','parameters':{"
          "'type':'object','properties':{}}}}],'tool_choice':'REQUIRED','max_tokens':8000,"
          "'temperature':1.5,'p':0.5,'k':4,'seed':7,'frequency_penalty':0.5,'presence_penalty':"
          "1,'stop_sequences':['a'],'response_format':{'type':'json_object','json_schema':{"
          "'type':'object'}},'thinking':{'type':'enabled','token_budget':2048}}");
}

static void test_unsayable(void **state)
{
    (void)state;
    static const struct { enum api api; const char *body; } cases[] = {
        {API_CONVERSE, "{" HI ",'generationConfig':{'candidateCount':2}}"},
        {API_COHERE, "{" HI ",'generationConfig':{'candidateCount':2}}"},
        {API_CONVERSE, "{" HI ",'generationConfig':{'responseLogprobs':true}}"},
        {API_COHERE, "{" HI ",'generationConfig':{'responseLogprobs':true}}"},
        {API_CONVERSE, "{'contents':[{'parts':[{'fileData':{'fileUri':'https://h/a.png',"
         "'mimeType':'image/png'}}]}]}"},
        {API_CONVERSE, "{'contents':[{'parts':[{'inlineData':{'mimeType':'image/bmp','data':"
         "'AAAA'}}]}]}"},
        {API_CONVERSE, "{'contents':[{'parts':[{'inlineData':{'mimeType':'audio/wav','data':"
         "'AAAA'}}]}]}"},
        {API_COHERE, "{'contents':[{'parts':[{'inlineData':{'mimeType':'application/pdf',"
         "'data':'AAAA'}}]}]}"},
        {API_COHERE, "{'contents':[{'parts':[{'executableCode':{'language':'PYTHON','code':"
         "'1'}}]}]}"},
        {API_CONVERSE, "{" HI ",'tools':[{'googleSearch':{}}],'toolConfig':{"
         "'functionCallingConfig':{'mode':'ANY'}}}"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) check(cases[i].api, "m", cases[i].body, NULL);
}

/* Where it stands is said in the client's words, whoever cannot. */
static void test_blame(void **state)
{
    (void)state;
    static const struct { enum api from; const char *body, *pointer; } cases[] = {
        {API_GENERATE, "{" HI ",'generationConfig':{'candidateCount':2}}",
         "/generationConfig/candidateCount"},
        {API_GENERATE, "{" HI ",'generationConfig':{'responseLogprobs':true}}",
         "/generationConfig/responseLogprobs"},
        {API_CHAT, "{'messages':[{'role':'user','content':'x'}],'n':2}", "/n"},
        {API_CHAT, "{'messages':[{'role':'user','content':'x'}],'logprobs':true}", "/logprobs"},
        {API_CHAT, "{'messages':[{'role':'user','content':'x'}],'audio':{'voice':'a'}}",
         "/audio"},
        {API_CHAT, "{'messages':[{'role':'user','content':'x'}],'store':true}", "/store"},
        {API_RESPONSES, "{'input':'x','store':false,'top_logprobs':3}", "/top_logprobs"},
    };
    static const enum api targets[] = {API_CONVERSE, API_COHERE, API_MESSAGES};
    for (size_t i = 0; i < COUNT(cases) * COUNT(targets); i++) {
        char in[ROOM];
        struct kit_pieces pieces;
        struct walk_source source =
            kit_pieces(&pieces, unquoted(cases[i / 3].body, in), 0);
        struct ask_target t = {.api = targets[i % 3], .model = BYTES_INIT("m"),
                               .output_max = 8000};
        struct kit_pen k;
        kit_pen(&k, 512, NULL);
        assert_true(ask_open(&ask, cases[i / 3].from, &source, NULL));
        enum ask_rc rc = ask_write(&ask, &t, &k.pen);
        if (rc != ASK_UNSAYABLE) print_error("%s\n", cases[i / 3].body);
        assert_int_equal(rc, ASK_UNSAYABLE);
        assert_string_equal(ask.pointer, cases[i / 3].pointer);
        kit_pen_free(&k);
        kit_pieces_free(&pieces);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_converse), cmocka_unit_test(test_converse_settings),
        cmocka_unit_test(test_converse_choice), cmocka_unit_test(test_cohere),
        cmocka_unit_test(test_unsayable), cmocka_unit_test(test_blame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
