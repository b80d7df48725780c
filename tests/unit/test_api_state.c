/* test_api_state.c - which requests may be sent twice: at every cut of the body the same
 * verdict, and what is odd is not harmless. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net/dialect/api_state.h"
#include "tests/unit/wall.h"

static struct wall wall;

static int open_wall(void **state)
{
    (void)state;
    wall = wall_open(8192);
    return 0;
}

static int close_wall(void **state)
{
    (void)state;
    wall_close(&wall);
    return 0;
}

static bool verdict(enum api api, const char *body, size_t cut)
{
    struct api_state s;
    size_t len = strlen(body);
    api_state_begin(&s, api);
    api_state_feed(&s, wall_put(&wall, (struct bytes){body, cut}));
    api_state_feed(&s, wall_put(&wall, (struct bytes){body + cut, len - cut}));
    return api_changes_state(&s);
}

static void check(enum api api, const char *body, bool changes)
{
    for (size_t cut = 0; cut <= strlen(body); cut++) {
        if (verdict(api, body, cut) != changes) fail_msg("%s, cut at %zu", body, cut);
    }
}

struct row { enum api api; const char *body; bool changes; };

static void test_requests(void **state)
{
    (void)state;
    static const struct row rows[] = {
        /* chat: nothing is kept unless it is asked for */
        {API_CHAT, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"store\"}]}",
         false},
        {API_CHAT, "{\"store\":true}", true}, {API_CHAT, "{\"store\":false}", false},
        {API_CHAT, "{\"store\":null}", false}, {API_CHAT, "{\"store\":0}", true},
        {API_CHAT, "{\"store\":{}}", true},
        {API_CHAT, "{\"store\":false,\"store\":true}", true},
        {API_CHAT, "{\"a\":{\"store\":true}}", false},
        {API_CHAT, "{\"messages\":[{\"store\":true,\"tools\":[{\"type\":\"x\"}]}]}", false},
        {API_CHAT, "{\"web_search_options\":{}}", true},
        {API_CHAT, "{\"web_search_options\":null}", false},
        {API_CHAT, "{\"plugins\":[{\"id\":\"web\"}]}", true},
        {API_CHAT, "{\"st\\u006fre\":true}", true},
        {API_CHAT, "{\"prompt\":\"p\"}", false},
        /* Responses: the answer is kept unless it is said not to be */
        {API_RESPONSES, "{\"input\":\"hi\"}", true},
        {API_RESPONSES, "{\"input\":\"hi\",\"store\":false}", false},
        {API_RESPONSES, "{\"input\":\"hi\",\"store\":null}", true},
        {API_RESPONSES, "{\"input\":\"hi\",\"store\":true}", true},
        {API_RESPONSES, "{\"store\":true,\"store\":false}", true},
        {API_RESPONSES, "{\"store\":false,\"previous_response_id\":\"resp_1\"}", true},
        {API_RESPONSES, "{\"store\":false,\"previous_response_id\":null}", false},
        {API_RESPONSES, "{\"store\":false,\"conversation\":{\"id\":\"c\"}}", true},
        {API_RESPONSES, "{\"store\":false,\"background\":true}", true},
        {API_RESPONSES, "{\"store\":false,\"background\":false}", false},
        {API_RESPONSES, "{\"store\":false,\"prompt\":{\"id\":\"p\"}}", true},
        /* what is no text in answer to text */
        {API_COMPLETIONS, "{\"prompt\":\"hi\"}", false},
        {API_EMBEDDINGS, "{\"input\":\"hi\"}", true}, {API_IMAGES, "{}", true},
        {API_SPEECH, "{}", true}, {API_TRANSCRIPTIONS, "{}", true}, {API_RERANK, "{}", true},
        /* no JSON, or no object */
        {API_CHAT, "", true}, {API_CHAT, "{", true}, {API_CHAT, "[]", true},
        {API_CHAT, "1", true}, {API_CHAT, "{}x", true}, {API_CHAT, " {} ", false},
        {API_CHAT, "{\"tools\":[]", true},
    };
    for (size_t i = 0; i < COUNT(rows); i++) check(rows[i].api, rows[i].body, rows[i].changes);
}

/* Too long to be seen whole wherever it is cut: unsure, whether it is cut or not. */
static void test_long_texts(void **state)
{
    (void)state;
    static const struct { const char *before, *behind; } places[] = {
        {"{\"", "\":1}"}, {"{\"tools\":[{\"type\":\"function\",\"", "\":1}]}"},
        {"{\"tools\":[{\"type\":\"", "\"}]}"},
    };
    char text[JSON_TEXT_MAX + 2], body[JSON_TEXT_MAX + 100];
    for (size_t i = 0; i < COUNT(places); i++) {
        for (size_t len = JSON_TEXT_MAX; len <= JSON_TEXT_MAX + 1; len++) {
            memset(text, 'x', len);
            text[len] = '\0';
            (void)snprintf(body, sizeof body, "%s%s%s", places[i].before, text,
                           places[i].behind);
            check(API_CHAT, body, i == 2 || len > JSON_TEXT_MAX);
        }
    }
}

static void test_tools(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {API_CHAT, "[]", false}, {API_CHAT, "null", false}, {API_CHAT, "{}", true},
        {API_CHAT, "[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]", false},
        {API_CHAT, "[{\"type\":\"custom\",\"custom\":{}},{\"type\":\"function\"}]", false},
        {API_CHAT, "[{\"type\":\"function\"},{\"type\":\"web_search\"}]", true},
        {API_CHAT, "[{\"function\":{\"type\":\"function\"}}]", true},
        {API_CHAT, "[{}]", true}, {API_CHAT, "[1]", true}, {API_CHAT, "[[]]", true},
        {API_CHAT, "[{\"type\":[\"function\"]}]", true},
        {API_CHAT, "[{\"type\":\"func\\u0074ion\"}]", true},
        {API_CHAT, "[{\"type\":\"bash_20250124\"}]", true},
        {API_RESPONSES, "[{\"type\":\"function\",\"name\":\"f\"}]", false},
        {API_RESPONSES, "[{\"type\":\"code_interpreter\",\"container\":{}}]", true},
        {API_RESPONSES, "[{\"type\":\"mcp\"}]", true},
        {API_RESPONSES, "[{\"type\":\"image_generation\"}]", true},
        {API_MESSAGES, "[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}}]", false},
        {API_MESSAGES, "[{\"type\":\"custom\",\"name\":\"f\"}]", false},
        {API_MESSAGES, "[{\"type\":\"text_editor_20250728\",\"name\":\"e\"}]", false},
        {API_MESSAGES, "[{\"type\":\"bash_20250124\"},{\"type\":\"memory_20250818\"}]", false},
        {API_MESSAGES, "[{\"type\":\"web_search_20250305\"}]", true},
        {API_MESSAGES, "[{\"type\":\"code_execution_20250825\"}]", true},
        {API_MESSAGES, "[{\"type\":\"function\"}]", true},
        {API_GENERATE, "[{\"functionDeclarations\":[{\"name\":\"f\"}]}]", false},
        {API_GENERATE, "[{\"function_declarations\":[]}]", false},
        {API_GENERATE, "[{\"functionDeclarations\":[],\"googleSearch\":{}}]", true},
        {API_GENERATE, "[{\"googleSearch\":{}}]", true},
        {API_GENERATE, "[{\"codeExecution\":{}}]", true},
        {API_GENERATE, "[{\"googleSearch\":null}]", false},
        {API_GENERATE, "[{}]", true},
    };
    char body[512];
    for (size_t i = 0; i < COUNT(rows); i++) {
        (void)snprintf(body, sizeof body, "{\"store\":false,\"tools\":%s,\"a\":[{\"b\":1}]}",
                       rows[i].body);
        check(rows[i].api, body, rows[i].changes);
    }
    check(API_MESSAGES, "{\"mcp_servers\":[{\"url\":\"u\"}]}", true);
    check(API_MESSAGES, "{\"container\":\"c\"}", true);
    check(API_MESSAGES, "{\"tools\":[],\"tool_choice\":{\"type\":\"any\"}}", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_requests, open_wall, close_wall),
        cmocka_unit_test_setup_teardown(test_tools, open_wall, close_wall),
        cmocka_unit_test_setup_teardown(test_long_texts, open_wall, close_wall),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
