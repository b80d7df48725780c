/* test_tr_responses_ask.c - requests of OpenAI's Responses: read into the neutral form, the
 * same wherever the body is cut, and written from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net/json_index.h"
#include "openai_tape.h"
#include "tr_kit.h"
#include "tr_note.h"

enum { PIECE_SIZES = 4 };
static const size_t sizes[PIECE_SIZES] = {0, 1, 7, 64};

/* The neutral form of a body in pieces of that size. */
static void read_in(struct note *n, enum api api, struct bytes body, size_t step)
{
    struct kit_pieces k;
    struct json_index *index = step == 0 ? malloc(sizeof *index) : NULL;
    struct walk_source source = kit_pieces(&k, body, step);
    struct ask *a = malloc(sizeof *a);
    assert_non_null(a);
    if (ask_open(a, api, &source, index)) note_ask(n, a);
    else note_add(n, "wrong %s: %s\n", a->pointer, a->error);
    free(a);
    free(index);
    kit_pieces_free(&k);
}

/* It says that, wherever it is cut. */
static void reads(const char *body, const char *text)
{
    for (size_t i = 0; i < PIECE_SIZES; i++) {
        struct note n = {0};
        read_in(&n, API_RESPONSES, bytes_of(body), sizes[i]);
        note_is(&n, text);
        note_free(&n);
    }
}

/* What is written of it for target. gives: kit_pen_free() */
static enum ask_rc write_for(const char *body, enum api api, const struct ask_target *t,
                             struct kit_pen *out, struct note *why)
{
    struct kit_pieces k;
    struct walk_source source = kit_pieces(&k, bytes_of(body), 0);
    struct json_index *index = malloc(sizeof *index);
    struct ask *a = malloc(sizeof *a);
    kit_pen(out, 0, NULL);
    assert_true(ask_open(a, api, &source, index));
    enum ask_rc rc = ask_write(a, t, &out->pen);
    if (rc != ASK_WRITTEN) note_add(why, "%s: %s", a->pointer, a->error);
    free(a);
    free(index);
    kit_pieces_free(&k);
    return rc;
}

static const struct ask_target plain = {.api = API_RESPONSES, .model = BYTES_INIT("m")};

static void writes_for(const char *body, enum api api, const struct ask_target *t,
                       const char *text)
{
    struct kit_pen k;
    struct note why = {0};
    enum ask_rc rc = write_for(body, api, t, &k, &why);
    if (rc != ASK_WRITTEN) fail_msg("%s: %s", body, why.at);
    struct bytes out = kit_pen_text(&k);
    assert_true(kit_is_json(out));
    struct note n = {0};
    note_add(&n, "%.*s", (int)out.len, out.ptr);
    note_is(&n, text);
    note_free(&n);
    kit_pen_free(&k);
}

/* ---- what is read ---- */

static void test_a_string_is_what_the_user_says(void **state)
{
    (void)state;
    reads("{\"model\":\"m\",\"instructions\":\"Be brief\",\"input\":\"hi \\u00e9\","
          "\"stream\":true}",
          "set stream=1\nturn system\ntext text=\"Be brief\"\nturn user\n"
          "text text=\"hi \\u00e9\"\n");
    reads("{\"model\":\"m\",\"input\":[]}", "set\n");
    reads("{\"model\":\"m\",\"input\":7}",
          "wrong /input: input must be a string or an array\n");
}

static void test_messages_in_both_forms(void **state)
{
    (void)state;
    reads("{\"input\":[{\"role\":\"developer\",\"content\":\"d\"},"
          "{\"type\":\"message\",\"role\":\"user\",\"content\":["
          "{\"type\":\"input_text\",\"text\":\"a\"},"
          "{\"type\":\"input_image\",\"image_url\":\"data:image/png;base64,AAAA\","
          "\"detail\":\"low\"},"
          "{\"type\":\"input_image\",\"image_url\":\"https://x/y.png\"},"
          "{\"type\":\"input_image\",\"file_id\":\"file-1\"},"
          "{\"type\":\"input_file\",\"filename\":\"a.pdf\","
          "\"file_data\":\"data:application/pdf;base64,BBBB\"},"
          "{\"type\":\"input_file\",\"file_url\":\"https://x/y.pdf\"},"
          "{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"CC\",\"format\":\"wav\"}}]},"
          "{\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"b\","
          "\"annotations\":[]},{\"type\":\"refusal\",\"refusal\":\"no\"}]},"
          "{\"role\":\"user\",\"content\":\"\"},{\"role\":\"user\",\"content\":\"c\"}]}",
          "set\nturn developer\ntext text=\"d\"\nturn user\ntext text=\"a\"\n"
          "image mime=image/png data=AAAA detail=low\nimage url=https://x/y.png\n"
          "image file=file-1\n"
          "document name=a.pdf mime=application/pdf data=BBBB\n"
          "document url=https://x/y.pdf\naudio mime=wav data=CC\n"
          "turn model\ntext text=\"b\"\nrefusal text=\"no\"\nturn user\ntext text=\"c\"\n");
}

static void test_what_the_model_said_in_a_row_is_one_turn(void **state)
{
    (void)state;
    reads("{\"input\":[{\"role\":\"user\",\"content\":\"q\"},"
          "{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[],\"encrypted_content\":\"E\"},"
          "{\"type\":\"message\",\"role\":\"assistant\",\"content\":\"t\"},"
          "{\"type\":\"function_call\",\"call_id\":\"c1\",\"name\":\"f\","
          "\"arguments\":\"{\\\"a\\\":1}\"},"
          "{\"type\":\"custom_tool_call\",\"call_id\":\"c2\",\"name\":\"exec\","
          "\"namespace\":\"ns\",\"input\":\"ls\"},"
          "{\"type\":\"function_call_output\",\"call_id\":\"c1\",\"output\":\"one\"},"
          "{\"type\":\"custom_tool_call_output\",\"call_id\":\"c2\",\"output\":["
          "{\"type\":\"input_text\",\"text\":\"two\"},"
          "{\"type\":\"input_image\",\"image_url\":\"https://x/i\"}]},"
          "{\"type\":\"function_call_output\",\"call_id\":\"c3\",\"output\":\"\"},"
          "{\"type\":\"function_call\",\"call_id\":\"c4\",\"name\":\"g\"}]}",
          "set\nturn user\ntext text=\"q\"\nturn model\nthinking maker=responses sig=E\n"
          "text text=\"t\"\ncall id=\"c1\" name=f args=\"{\\\"a\\\":1}\"\n"
          "call id=\"c2\" custom space=ns name=exec args=\"ls\"\nturn tool\n"
          "result id=\"c1\"\n  text text=\"one\"\nresult-end\n"
          "result id=\"c2\" custom\n  text text=\"two\"\n  image url=https://x/i\nresult-end\n"
          "result id=\"c3\"\nresult-end\nturn model\ncall id=\"c4\" name=g\n");
}

static void test_thoughts_and_who_signed_them(void **state)
{
    (void)state;
    reads("{\"input\":["
          "{\"type\":\"reasoning\",\"summary\":[{\"type\":\"summary_text\",\"text\":\"s1\"},"
          "{\"type\":\"summary_text\",\"text\":\"s2\"}],\"encrypted_content\":\"E\"},"
          "{\"type\":\"reasoning\",\"summary\":[],\"content\":["
          "{\"type\":\"reasoning_text\",\"text\":\"raw\"}]},"
          "{\"type\":\"reasoning\",\"summary\":[{\"type\":\"summary_text\",\"text\":\"c\"}],"
          "\"encrypted_content\":\"WeirSgM0claude\"},"
          "{\"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":\"WeirSgG0gem\"},"
          "{\"type\":\"function_call\",\"call_id\":\"c1\",\"name\":\"f\",\"arguments\":\"{}\"},"
          "{\"type\":\"reasoning\",\"summary\":[]},"
          "{\"type\":\"function_call\",\"call_id\":\"c2\",\"name\":\"f\",\"arguments\":\"{}\"}"
          "]}",
          "set\nturn model\nthinking text=\"s1\" maker=responses sig=E\nthinking text=\"s2\"\n"
          "thinking text=\"raw\"\nthinking text=\"c\" maker=messages sig=claude\n"
          "call id=\"c1\" name=f args=\"{}\" maker=gemini sig=gem\n"
          "call id=\"c2\" name=f args=\"{}\"\n");
}

static void test_what_ran_at_the_provider_is_left_out(void **state)
{
    (void)state;
    reads("{\"input\":[{\"type\":\"web_search_call\",\"id\":\"w\",\"status\":\"completed\","
          "\"action\":{\"type\":\"search\"}},{\"type\":\"program\",\"code\":\"x\"},"
          "{\"type\":\"configuration_update\"},{\"role\":\"assistant\",\"content\":\"a\"}]}",
          "set\nturn model\ntext text=\"a\"\n");
}

static void test_what_only_its_provider_knows_cannot_be_said(void **state)
{
    (void)state;
    reads("{\"input\":[{\"role\":\"user\",\"content\":\"q\"},"
          "{\"type\":\"item_reference\",\"id\":\"msg_1\"}]}",
          "set\nturn user\ntext text=\"q\"\nunsayable /input/1: an item_reference can be "
          "resolved only by the provider that keeps it: send the item whole (store: false)\n");
    reads("{\"input\":[{\"type\":\"local_shell_call\",\"id\":\"x\"}]}",
          "set\nunsayable /input/0: only the Responses dialect has items of type "
          "local_shell_call\n");
    /* A long one is told as far as it goes, in whole letters. */
#define TEN "0123456789"
    reads("{\"input\":[{\"type\":\"" TEN TEN TEN TEN TEN TEN "abc\u00e4" TEN "\"}]}",
          "set\nunsayable /input/0: only the Responses dialect has items of type "
          TEN TEN TEN TEN TEN TEN "abc\n");
    reads("{\"input\":[{\"type\":\"" TEN TEN TEN TEN TEN TEN "ab\u00e4" TEN "\"}]}",
          "set\nunsayable /input/0: only the Responses dialect has items of type "
          TEN TEN TEN TEN TEN TEN "ab\u00e4\n");
    reads("{\"input\":\"q\",\"previous_response_id\":\"resp_1\"}",
          "set unsayable /previous_response_id: previous_response_id can be resolved only by "
          "the provider that keeps the response\nturn user\ntext text=\"q\"\n");
    reads("{\"input\":\"q\",\"store\":true}",
          "set store=1 unsayable /store: store: true is possible only where the provider "
          "speaks Responses\nturn user\ntext text=\"q\"\n");
    reads("{\"input\":\"q\",\"store\":false,\"background\":null,\"prompt\":null}",
          "set\nturn user\ntext text=\"q\"\n");
    reads("{\"input\":\"q\",\"tools\":[{\"type\":\"web_search\"},"
          "{\"type\":\"local_shell\"}]}",
          "set unsayable /tools/1: only the Responses dialect has a tool of type "
          "local_shell\nturn user\ntext text=\"q\"\n");
    reads("{\"input\":\"q\",\"tool_choice\":{\"type\":\"web_search_preview\"}}",
          "set said=1 unsayable /tool_choice: only the Responses dialect can ask for a hosted "
          "tool\nturn user\ntext text=\"q\"\n");
    reads("{\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_hologram\"}]}]}",
          "set\nunsayable /input/0/content/0: only the Responses dialect has parts of that "
          "type\n");
}

static void test_what_is_malformed_is_told_with_its_place(void **state)
{
    (void)state;
    reads("{\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]}",
          "wrong /tools/0: a tool of type function needs a name\n");
    reads("{\"tools\":[{\"type\":\"custom\",\"name\":\"\"}]}",
          "wrong /tools/0: a tool of type custom needs a name\n");
    reads("{\"tools\":[{\"type\":\"namespace\",\"name\":\"n\",\"tools\":[{\"type\":\"custom\","
          "\"name\":\"c\"},{\"type\":\"function\",\"name\":7}]}]}",
          "wrong /tools/0/tools/1: a tool of type function needs a name\n");
    reads("{\"input\":[{\"role\":\"user\",\"content\":\"q\"},{\"type\":\"additional_tools\","
          "\"tools\":[{\"type\":\"function\"}]}]}",
          "wrong /input/1/tools/0: a tool of type function needs a name\n");
    reads("{\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}}",
          "wrong /tool_choice: a tool_choice of type function needs a name\n");
    reads("{\"tool_choice\":{\"type\":\"custom\",\"name\":\"\"}}",
          "wrong /tool_choice: a tool_choice of type custom needs a name\n");
    reads("{\"input\":[7]}", "set\nwrong /input/0: an item must be an object\n");
    reads("{\"input\":[{\"role\":\"robot\",\"content\":\"x\"}]}",
          "set\nwrong /input/0: role must be user, assistant, system or developer\n");
    reads("{\"input\":[{\"role\":\"user\"}]}",
          "set\nwrong /input/0: content must be a string or an array\n");
    reads("{\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_text\"}]}]}",
          "set\nwrong /input/0/content/0: text must be a string\n");
    reads("{\"input\":[{\"type\":\"function_call\",\"name\":\"f\"}]}",
          "set\nwrong /input/0: a call needs call_id and name\n");
    reads("{\"input\":[{\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":["
          "{\"type\":\"input_image\"}]}]}",
          "set\nturn tool\nresult id=\"c\"\nwrong /input/0/output/0: an input_image needs "
          "image_url or file_id\n");
}

static void test_tools_wherever_they_stand(void **state)
{
    (void)state;
    reads("{\"tools\":[{\"type\":\"web_search\"},{\"type\":\"function\",\"name\":\"f\","
          "\"description\":\"about\",\"parameters\":{\"type\":\"object\"},\"strict\":true},"
          "{\"type\":\"namespace\",\"name\":\"ns\",\"description\":\"d\",\"tools\":["
          "{\"type\":\"function\",\"name\":\"g\",\"parameters\":null,\"strict\":false},"
          "{\"type\":\"custom\",\"name\":\"exec\",\"format\":{\"type\":\"grammar\","
          "\"syntax\":\"lark\",\"definition\":\"x\"}}]},{\"type\":\"custom\",\"name\":\"h\"}],"
          "\"input\":[{\"type\":\"additional_tools\",\"role\":\"developer\",\"tools\":["
          "{\"type\":\"function\",\"name\":\"i\"}]},{\"role\":\"user\",\"content\":\"q\"}]}",
          "set\nturn user\ntext text=\"q\"\n"
          "tool function name=f about=about schema={\"type\":\"object\"} strict=1\n"
          "tool function space=ns name=g strict=0\n"
          "tool custom space=ns name=exec format={\"type\":\"grammar\",\"syntax\":\"lark\","
          "\"definition\":\"x\"}\ntool custom name=h\ntool function name=i\n");
}

static void test_settings(void **state)
{
    (void)state;
    reads("{\"input\":\"q\",\"max_output_tokens\":9,\"temperature\":0.5,\"top_p\":1,"
          "\"top_logprobs\":3,\"parallel_tool_calls\":false,\"tool_choice\":\"required\","
          "\"metadata\":{\"a\":\"b\"},\"safety_identifier\":\"me\",\"prompt_cache_key\":\"k\","
          "\"service_tier\":\"flex\",\"truncation\":\"auto\",\"reasoning\":{\"effort\":\"high\""
          ",\"summary\":\"auto\"},\"include\":[\"reasoning.encrypted_content\"],"
          "\"text\":{\"verbosity\":\"low\",\"format\":{\"type\":\"json_schema\",\"name\":\"n\","
          "\"description\":\"d\",\"schema\":{\"type\":\"object\"},\"strict\":true}}}",
          "set temperature=0.5 top_p=1 user=\"me\" metadata={\"a\":\"b\"} tier=\"flex\" "
          "cache_key=\"k\" verbosity=\"low\" schema={\"type\":\"object\"} max=9 "
          "top_logprobs=3 effort=5 format=2 choice=2 strict=1 parallel=0 thoughts=1 said=1 "
          "logprobs=1 encrypted=1 schema_name=n schema_text=d\nturn user\ntext text=\"q\"\n");
    reads("{\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"}}",
          "set choice=3 said=1 choice_name=f\n");
    reads("{\"text\":{\"format\":{\"type\":\"json_object\"}},\"reasoning\":{\"effort\":"
          "\"none\"}}", "set effort=1 format=1\n");
}

static void test_allowed_tools_leave_the_others_out(void **state)
{
    (void)state;
    reads("{\"tools\":[{\"type\":\"function\",\"name\":\"f\"},"
          "{\"type\":\"function\",\"name\":\"g\"}],\"tool_choice\":{\"type\":"
          "\"allowed_tools\",\"mode\":\"required\",\"tools\":[{\"type\":\"function\","
          "\"name\":\"g\"}]}}", "set choice=2 said=1\ntool function name=g\n");
}

/* ---- what is written ---- */

static void test_its_own_form_goes_on_as_it_is(void **state)
{
    (void)state;
    struct ask_target t = plain;
    writes_for("{\"model\":\"x\",\"input\":\"hi\",\"odd\":[1, 2],\"stream\":false}",
               API_RESPONSES, &t, "{\"model\":\"m\",\"input\":\"hi\",\"odd\":[1, 2]}");
    t.stream = true;
    t.output_max = 100;
    t.effort = API_EFFORT_LOW;
    writes_for("{\"reasoning\":{\"effort\":\"high\",\"summary\":\"auto\"},"
               "\"input\":[{\"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":"
               "\"WeirSgM0x\"},{\"type\":\"reasoning\",\"summary\":[],"
               "\"encrypted_content\":\"gA\"},{\"role\":\"user\",\"content\":\"a\"}],"
               "\"max_output_tokens\":200,\"stream\":true}", API_RESPONSES, &t,
               "{\"model\":\"m\",\"max_output_tokens\":100,\"stream\":true,\"input\":["
               "{\"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":\"gA\"},"
               "{\"role\":\"user\",\"content\":\"a\"}],\"reasoning\":{\"effort\":\"low\","
               "\"summary\":\"auto\"}}");
}

static void test_a_gemini_request_is_written(void **state)
{
    (void)state;
    struct ask_target t = plain;
    t.thinks = true;
    writes_for("{\"systemInstruction\":{\"parts\":[{\"text\":\"sys\"}]},\"contents\":["
               "{\"role\":\"user\",\"parts\":[{\"text\":\"a\"},{\"inlineData\":{\"mimeType\":"
               "\"image/png\",\"data\":\"AAAA\"}}]},{\"role\":\"model\",\"parts\":["
               "{\"text\":\"b\"},{\"functionCall\":{\"id\":\"c1\",\"name\":\"f\",\"args\":"
               "{\"x\":\"y\"}}}]},{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"id\":"
               "\"c1\",\"name\":\"f\",\"response\":{\"output\":\"r\"}}}]}],"
               "\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\","
               "\"parametersJsonSchema\":{\"type\":\"object\"}}]}],\"generationConfig\":"
               "{\"maxOutputTokens\":5}}", API_GENERATE, &t,
               "{\"model\":\"m\",\"input\":[{\"type\":\"message\",\"role\":\"system\","
               "\"content\":[{\"type\":\"input_text\",\"text\":\"sys\"}]},"
               "{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":\"input_text\","
               "\"text\":\"a\"},{\"type\":\"input_image\",\"detail\":\"auto\",\"image_url\":"
               "\"data:image/png;base64,AAAA\"}]},{\"type\":\"message\",\"role\":\"assistant\","
               "\"content\":[{\"type\":\"output_text\",\"text\":\"b\"}]},"
               "{\"type\":\"function_call\",\"call_id\":\"c1\",\"name\":\"f\",\"arguments\":"
               "\"{\\\"x\\\":\\\"y\\\"}\"},{\"type\":\"function_call_output\",\"call_id\":"
               "\"c1\",\"output\":\"r\"}],\"tools\":[{\"type\":\"function\",\"name\":\"f\","
               "\"parameters\":{\"type\":\"object\"},\"strict\":false}],"
               "\"max_output_tokens\":16,\"include\":[\"reasoning.encrypted_content\"],"
               "\"store\":false}");
}

static void test_thoughts_go_to_their_maker_alone(void **state)
{
    (void)state;
    struct ask_target t = plain;
    writes_for("{\"max_tokens\":20,\"messages\":[{\"role\":\"assistant\",\"content\":["
               "{\"type\":\"thinking\",\"thinking\":\"a\",\"signature\":\"claude\"},"
               "{\"type\":\"thinking\",\"thinking\":\"b\",\"signature\":\"WeirSgR0gA\"},"
               "{\"type\":\"text\",\"text\":\"c\"}]},{\"role\":\"user\",\"content\":\"d\"}]}",
               API_MESSAGES, &t,
               "{\"model\":\"m\",\"input\":[{\"type\":\"reasoning\",\"summary\":["
               "{\"type\":\"summary_text\",\"text\":\"b\"}],\"encrypted_content\":\"gA\"},"
               "{\"type\":\"message\",\"role\":\"assistant\",\"content\":["
               "{\"type\":\"output_text\",\"text\":\"c\"}]},{\"type\":\"message\","
               "\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"d\"}]}"
               "],\"max_output_tokens\":20,\"store\":false}");
}

static void test_what_cannot_be_written(void **state)
{
    (void)state;
    static const struct { enum api api; const char *body, *why; } cases[] = {
        {API_CHAT, "{\"messages\":[],\"n\":2}",
         "/n: the Responses dialect has no way to say n > 1"},
        {API_CHAT, "{\"messages\":[],\"stop\":[\"x\"]}",
         "/stop: the Responses dialect has no way to say stop sequences"},
        {API_MESSAGES, "{\"max_tokens\":9,\"messages\":[],\"tools\":[{\"type\":"
         "\"web_search_20250305\",\"name\":\"web_search\"}]}",
         "/tools: the Responses dialect has no way to say another provider's hosted tools"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct kit_pen k;
        struct note why = {0};
        assert_int_equal(write_for(cases[i].body, cases[i].api, &plain, &k, &why),
                         ASK_UNSAYABLE);
        note_is(&why, cases[i].why);
        note_free(&why);
        kit_pen_free(&k);
    }
    writes_for("{\"messages\":[],\"stop\":[]}", API_CHAT, &plain,
               "{\"model\":\"m\",\"input\":[],\"store\":false}");
}

/* ---- recordings ---- */

struct tally { unsigned read, left; };

static void read_tape(const struct tape *tape, void *arg)
{
    struct tally *tally = arg;
    struct note whole = {0}, pieces = {0};
    if (tape->request.len == 0) return;
    read_in(&whole, API_RESPONSES, tape->request, 0);
    read_in(&pieces, API_RESPONSES, tape->request, 5);
    assert_string_equal(whole.at, pieces.at);
    if (strstr(whole.at, "wrong ")) fail_msg("%s: %s", tape->name, whole.at);
    tally->left += strstr(whole.at, "unsayable ") != NULL;
    tally->read++;
    note_free(&whole);
    note_free(&pieces);
}

static void test_recorded_requests_are_read(void **state)
{
    (void)state;
    struct tally tally = {0};
    if (!tapes_each("openai-responses", read_tape, &tally)) {
        print_message("no recordings here: skipped\n");
        skip();
    }
    assert_true(tally.read >= 70);
    assert_int_equal(tally.left, 0);
}

/* Names of any length, wherever they are cut. */
static void test_long_names(void **state)
{
    (void)state;
    static const size_t lengths[] = {96, 97, 199, 200, 201, 600};
    for (size_t i = 0; i < COUNT(lengths) * PIECE_SIZES; i++) {
        char name[601] = {0}, body[4096];
        struct kit_pieces k;
        struct kit_pen out;
        struct ask *a = malloc(sizeof *a);
        size_t len = lengths[i / PIECE_SIZES];
        memset(name, 'n', len);
        (void)snprintf(body, sizeof body, "{\"input\":[{\"type\":\"function_call\",\"call_id\":"
                       "\"c\",\"namespace\":\"%s\",\"name\":\"%s\",\"arguments\":\"{}\"}],"
                       "\"tools\":[{\"type\":\"function\",\"name\":\"%s\"},{\"type\":"
                       "\"function\",\"name\":\"%sx\"}],\"tool_choice\":{\"type\":"
                       "\"allowed_tools\",\"mode\":\"auto\",\"tools\":[{\"type\":\"function\","
                       "\"name\":\"%s\"}]}}", name, name, name, name, name);
        struct walk_source source = kit_pieces(&k, bytes_of(body), sizes[i % PIECE_SIZES]);
        assert_true(a && ask_open(a, API_RESPONSES, &source, NULL));
        kit_pen(&out, 0, NULL);
        struct ask_target to = {.api = API_CHAT, .model = BYTES_INIT("m")};
        assert_int_equal(ask_write(a, &to, &out.pen), ASK_WRITTEN);
        struct bytes text = kit_pen_text(&out), flat = BYTES("\"name\":\"nnnn");
        assert_true(kit_is_json(text));
        /* The call has a name of 64 bytes; of the tools the one that is allowed is there. */
        const char *call = memmem(text.ptr, text.len, flat.ptr, flat.len);
        assert_non_null(call);
        assert_int_equal(call[8 + TELL_FLAT_MAX], '"');
        assert_non_null(memmem(text.ptr, text.len, name, len));
        assert_null(memmem(text.ptr, text.len, "nx\"", 3));
        kit_pen_free(&out);
        kit_pieces_free(&k);
        free(a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_string_is_what_the_user_says),
        cmocka_unit_test(test_messages_in_both_forms),
        cmocka_unit_test(test_what_the_model_said_in_a_row_is_one_turn),
        cmocka_unit_test(test_thoughts_and_who_signed_them),
        cmocka_unit_test(test_what_ran_at_the_provider_is_left_out),
        cmocka_unit_test(test_what_only_its_provider_knows_cannot_be_said),
        cmocka_unit_test(test_what_is_malformed_is_told_with_its_place),
        cmocka_unit_test(test_tools_wherever_they_stand),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_allowed_tools_leave_the_others_out),
        cmocka_unit_test(test_its_own_form_goes_on_as_it_is),
        cmocka_unit_test(test_a_gemini_request_is_written),
        cmocka_unit_test(test_thoughts_go_to_their_maker_alone),
        cmocka_unit_test(test_what_cannot_be_written),
        cmocka_unit_test(test_recorded_requests_are_read),
        cmocka_unit_test(test_long_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
