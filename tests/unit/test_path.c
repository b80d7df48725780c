/* test_path.c - engine/path.c: every path of contract.md section 4 in all its spellings, and
 * what only looks like one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/path.h"
#include "tests/unit/wall.h"

struct row { const char *text; uint8_t target, api; bool stream; const char *model; };

static void check(const struct row *rows, size_t count)
{
    struct wall wall = wall_open(WALL_PAGE);
    for (size_t i = 0; i < count; i++) {
        struct path p = path_read(wall_put(&wall, bytes_of(rows[i].text)));
        if (p.target != rows[i].target || p.api != rows[i].api || p.stream != rows[i].stream) {
            fail_msg("%s: target %u, api %u, stream %d", rows[i].text, p.target, p.api,
                     p.stream);
        }
        const char *want = rows[i].model ? rows[i].model : "";
        assert_int_equal(p.model.len, strlen(want));
        if (p.model.len) assert_memory_equal(p.model.ptr, want, p.model.len);
    }
    wall_close(&wall);
}

static void test_apis(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"/v1/chat/completions", PATH_ASK, API_CHAT, false, NULL},
        {"/v1/completions", PATH_ASK, API_COMPLETIONS, false, NULL},
        {"/v1/embeddings", PATH_ASK, API_EMBEDDINGS, false, NULL},
        {"/v1/moderations", PATH_ASK, API_MODERATIONS, false, NULL},
        {"/v1/responses", PATH_ASK, API_RESPONSES, false, NULL},
        {"/v1/messages", PATH_ASK, API_MESSAGES, false, NULL},
        {"/v1/messages/count_tokens", PATH_ASK, API_COUNT_TOKENS, false, NULL},
        {"/openai/v1/responses", PATH_ASK, API_RESPONSES, false, NULL},
        {"/openai/v1/chat/completions", PATH_ASK, API_CHAT, false, NULL},
        {"/anthropic/v1/messages", PATH_ASK, API_MESSAGES, false, NULL},
        {"/anthropic/v1/messages/count_tokens", PATH_ASK, API_COUNT_TOKENS, false, NULL},
        {"/anthropic/v1/chat/completions", PATH_ASK, API_CHAT, false, NULL},
        {"/v1/feedback", PATH_FEEDBACK, API_CHAT, false, NULL},
        {"/v1/models", PATH_MODELS, API_CHAT, false, NULL},
        {"/v1/models/a/b:c", PATH_MODEL, API_CHAT, false, "a/b:c"},
        {"/anthropic/v1/models", PATH_MODELS, API_MESSAGES, false, NULL},
        {"/v1beta/models", PATH_MODELS, API_GENERATE, false, NULL},
        {"/gemini/v1beta/models", PATH_MODELS, API_GENERATE, false, NULL},
        {"/v1beta/models/a/b", PATH_MODEL, API_GENERATE, false, "a/b"},
        {"/v1/key", PATH_KEY, API_CHAT, false, NULL},
        {"/v1/credits", PATH_CREDITS, API_CHAT, false, NULL},
        {"/openai/v1/credits", PATH_CREDITS, API_CHAT, false, NULL},
        {"/v1/credits/", PATH_NONE, API_CHAT, false, NULL},
        {"/healthz", PATH_HEALTH, API_CHAT, false, NULL},
        {"/readyz", PATH_READY, API_CHAT, false, NULL},
    };
    check(rows, COUNT(rows));
}

/* contract.md section 4: {m} may contain '/'; also under /v1, and without models/ where the
 * name has a slash. */
static void test_gemini(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"/v1beta/models/g:generateContent", PATH_ASK, API_GENERATE, false, "g"},
        {"/v1beta/models/p/g:streamGenerateContent", PATH_ASK, API_GENERATE, true, "p/g"},
        {"/v1beta/models/p%2Fg:countTokens", PATH_ASK, API_GENERATE_COUNT, false, "p%2Fg"},
        {"/v1/models/a/b/c:generateContent", PATH_ASK, API_GENERATE, false, "a/b/c"},
        {"/v1beta/p/g:generateContent", PATH_ASK, API_GENERATE, false, "p/g"},
        {"/v1/p/g:streamGenerateContent", PATH_ASK, API_GENERATE, true, "p/g"},
        {"/gemini/v1beta/models/g:generateContent", PATH_ASK, API_GENERATE, false, "g"},
        {"/gemini/v1beta/p/g:countTokens", PATH_ASK, API_GENERATE_COUNT, false, "p/g"},
        {"/v1beta/models/l:8b:generateContent", PATH_ASK, API_GENERATE, false, "l:8b"},
        {"/v1beta/models/a%3AgenerateContent", PATH_MODEL, API_GENERATE, false,
         "a%3AgenerateContent"},
        {"/v1beta/g:generateContent", PATH_NOT_BUILT, API_GENERATE, false, NULL},
        {"/v1beta/models/:generateContent", PATH_MODEL, API_GENERATE, false,
         ":generateContent"},
        {"/v1/g:generateContent", PATH_NONE, API_CHAT, false, NULL},
        {"/v2/models/g:generateContent", PATH_NONE, API_CHAT, false, NULL},
        {":generateContent", PATH_NONE, API_CHAT, false, NULL},
        {"/v1beta/models/g:embedContent", PATH_NOT_BUILT, API_GENERATE, false, "g"},
        {"/v1beta/models/g:batchEmbedContents", PATH_NOT_BUILT, API_GENERATE, false, "g"},
    };
    check(rows, COUNT(rows));
}

static void test_others(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"/v1/responses/resp_1", PATH_NOT_BUILT, API_RESPONSES, false, NULL},
        {"/v1/messages/batches", PATH_NOT_BUILT, API_MESSAGES, false, NULL},
        {"/v1/images/generations", PATH_ASK, API_IMAGES, false, NULL},
        {"/v1/images/edits", PATH_NOT_BUILT, API_CHAT, false, NULL},
        {"/v1/audio/speech", PATH_ASK, API_SPEECH, false, NULL},
        {"/v1/audio/transcriptions", PATH_ASK, API_TRANSCRIPTIONS, false, NULL},
        {"/openai/v1/audio/translations", PATH_ASK, API_TRANSLATIONS, false, NULL},
        {"/v1/audio/voices", PATH_NOT_BUILT, API_CHAT, false, NULL},
        {"/openai/v1/rerank", PATH_ASK, API_RERANK, false, NULL},
        {"/v1beta/cachedContents", PATH_NOT_BUILT, API_GENERATE, false, NULL},
        {"/", PATH_NONE, API_CHAT, false, NULL},
        {"", PATH_NONE, API_CHAT, false, NULL},
        {"/v1/chat/completions/", PATH_NONE, API_CHAT, false, NULL},
        {"/v1/Messages", PATH_NONE, API_CHAT, false, NULL},
        {"/anthropic/v1/nothing", PATH_NONE, API_MESSAGES, false, NULL},
        {"/gemini/v1/nothing", PATH_NONE, API_CHAT, false, NULL},
        {"/openai/v1", PATH_NONE, API_CHAT, false, NULL},
        {"/openai/v1beta/models", PATH_NONE, API_CHAT, false, NULL},
    };
    check(rows, COUNT(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_apis), cmocka_unit_test(test_gemini),
        cmocka_unit_test(test_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
