/* test_api_error.c - net/dialect/api_error.c: contract.md section 4's table of errors in every
 * dialect, to the byte, and every room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net/dialect/api_write.h"

static const struct api_stream stream = {.sequence = 7};

static void check_body(enum api api, const struct api_fault *f, const char *want)
{
    char out[1024];
    size_t n = api_error_body(api, f, out, sizeof out);
    assert_int_equal(n, strlen(want));
    assert_memory_equal(out, want, n);
    for (size_t room = 0; room < n; room++) {   /* no room is said, and nothing behind it */
        char *tight = malloc(room ? room : 1);
        assert_int_equal(api_error_body(api, f, tight, room), 0);
        free(tight);
    }
}

static void test_bodies(void **state)
{
    (void)state;
    struct api_fault f = {.status = 404, .code = "model_not_found", .message = "no \"x\"",
                          .param = "model", .request_id = "req_1"};
    static const char openai[] = "{\"error\":{\"message\":\"no \\\"x\\\"\",\"type\":"
                                 "\"not_found_error\",\"param\":\"model\",\"code\":"
                                 "\"model_not_found\"}}";
    check_body(API_CHAT, &f, openai);
    check_body(API_EMBEDDINGS, &f, openai);
    check_body(API_RESPONSES, &f, openai);
    static const char anthropic[] = "{\"type\":\"error\",\"error\":{\"type\":"
                                    "\"not_found_error\",\"message\":\"no \\\"x\\\"\"},"
                                    "\"request_id\":\"req_1\"}";
    check_body(API_MESSAGES, &f, anthropic);
    check_body(API_COUNT_TOKENS, &f, anthropic);
    static const char gemini[] = "{\"error\":{\"code\":404,\"message\":\"no \\\"x\\\"\","
                                 "\"status\":\"NOT_FOUND\"}}";
    check_body(API_GENERATE, &f, gemini);
    check_body(API_GENERATE_COUNT, &f, gemini);
    f.param = f.request_id = NULL;
    f.code = "budget_exceeded";
    f.status = 429;
    check_body(API_CHAT, &f, "{\"error\":{\"message\":\"no \\\"x\\\"\",\"type\":"
               "\"insufficient_quota\",\"param\":null,\"code\":\"budget_exceeded\"}}");
    check_body(API_MESSAGES, &f, "{\"type\":\"error\",\"error\":{\"type\":"
               "\"rate_limit_error\",\"message\":\"no \\\"x\\\"\"},\"request_id\":null}");
    check_body(API_GENERATE, &f, "{\"error\":{\"code\":429,\"message\":\"no \\\"x\\\"\","
               "\"status\":\"RESOURCE_EXHAUSTED\",\"details\":[{\"@type\":"
               "\"type.googleapis.com/google.rpc.QuotaFailure\",\"violations\":[{"
               "\"quotaMetric\":\"weir/budget\",\"quotaId\":\"WeirBudgetPerDay\"}]}]}}");
}

/* Anthropic's SDK asks for a thread first, and goes on without one on these words alone. */
static void test_a_thread_that_cannot_be_held(void **state)
{
    (void)state;
    struct api_fault f = {.status = 400, .code = "c", .message = "m", .param = "/thread"};
    static const char plain[] = "{\"type\":\"error\",\"error\":{\"type\":"
                                "\"invalid_request_error\",\"message\":\"m\"},"
                                "\"request_id\":null}";
    check_body(API_MESSAGES, &f, "{\"type\":\"error\",\"error\":{\"type\":"
               "\"invalid_request_error\",\"message\":\"m\",\"details\":{\"error_code\":"
               "\"thread_unsupported_request\",\"unsupported\":[\"thread\"]}},"
               "\"request_id\":null}");
    f.param = "/threads";
    check_body(API_MESSAGES, &f, plain);
    f.param = NULL;
    check_body(API_MESSAGES, &f, plain);
}

/* contract.md section 4: the words that follow from a status. */
static void test_words(void **state)
{
    (void)state;
    static const struct { unsigned status; const char *openai, *anthropic, *gemini; } rows[] = {
        {400, "invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"},
        {401, "authentication_error", "authentication_error", "UNAUTHENTICATED"},
        {402, "insufficient_quota", "billing_error", "RESOURCE_EXHAUSTED"},
        {403, "permission_error", "permission_error", "PERMISSION_DENIED"},
        {404, "not_found_error", "not_found_error", "NOT_FOUND"},
        {405, "invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"},
        {408, "invalid_request_error", "invalid_request_error", "DEADLINE_EXCEEDED"},
        {413, "invalid_request_error", "request_too_large", "INVALID_ARGUMENT"},
        {429, "rate_limit_error", "rate_limit_error", "RESOURCE_EXHAUSTED"},
        {500, "api_error", "api_error", "INTERNAL"},
        {502, "api_error", "api_error", "INTERNAL"},
        {503, "api_error", "overloaded_error", "UNAVAILABLE"},
        {504, "api_error", "api_error", "DEADLINE_EXCEEDED"},
        {599, "api_error", "api_error", "INTERNAL"},
    };
    static const enum api apis[] = {API_CHAT, API_MESSAGES, API_GENERATE};
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *const words[] = {rows[i].openai, rows[i].anthropic, rows[i].gemini};
        struct api_fault f = {.status = rows[i].status, .code = "c", .message = "m"};
        for (size_t k = 0; k < COUNT(apis); k++) {
            char out[512], want[64];
            size_t n = api_error_body(apis[k], &f, out, sizeof out - 1);
            out[n] = 0;
            (void)snprintf(want, sizeof want, k == 2 ? "\"status\":\"%s\"" : "\"type\":\"%s\"",
                           words[k]);
            if (!strstr(out, want)) fail_msg("%u: no %s in %s", rows[i].status, want, out);
        }
    }
}

static void test_events(void **state)
{
    (void)state;
    static const struct { enum api api; const char *want; } rows[] = {
        {API_CHAT, "data: {\"error\":{\"message\":\"m\",\"type\":\"api_error\",\"param\":null,"
         "\"code\":\"upstream_error\"}}\n\n"},
        {API_RESPONSES, "event: error\ndata: {\"type\":\"error\",\"sequence_number\":7,"
         "\"code\":\"upstream_error\",\"message\":\"m\",\"param\":null}\n\n"},
        {API_MESSAGES, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":"
         "\"api_error\",\"message\":\"m\"},\"request_id\":\"r\"}\n\n"},
        {API_GENERATE, "data: {\"error\":{\"code\":502,\"message\":\"m\",\"status\":"
         "\"INTERNAL\"}}\r\n\r\n"},
    };
    struct api_fault f = {.status = 502, .code = "upstream_error", .message = "m",
                          .request_id = "r"};
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t want = strlen(rows[i].want);
        for (size_t room = 0; room <= want; room++) {
            char *out = malloc(room ? room : 1);
            size_t n = api_error_event(rows[i].api, &f, &stream, out, room);
            assert_int_equal(n, room < want ? 0 : want);
            if (n) assert_memory_equal(out, rows[i].want, n);
            free(out);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies), cmocka_unit_test(test_a_thread_that_cannot_be_held),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
