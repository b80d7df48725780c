/* test_translate.c - every recorded request and answer, of every dialect, held to what must
 * hold of all (tr_props.h); and what translate.h does besides. */
#include "net/dialect/api.h"
#include "net/sse.h"
#include "net/translate/translate.h"
#include "openai_tape.h"
#include "tr_kit.h"
#include "tr_props.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct played { enum api api; size_t requests, answers, streams; const char *name; };

/* The data of all events, a line each. The caller frees. */
static struct bytes lines_of(struct bytes stream)
{
    char *lines = malloc(stream.len + 2);
    struct sse sse = {0};
    struct sse_event ev;
    size_t n = 0;
    assert_non_null(lines);
    while (sse_next(&sse, &stream, &ev) == NET_OK) {
        if (ev.data_lines == 0) continue;
        n += sse_join(&ev, lines + n);
        lines[n++] = '\n';
    }
    return (struct bytes){lines, n};
}

static void play(const struct tape *tape, void *arg)
{
    struct played *p = arg;
    if (getenv("WEIR_TAPES")) (void)fprintf(stderr, "%s\n", tape->name);
    if (tape->request.len > 0 && ask_reads(p->api)) {
        p->requests += props_ask(p->api, tape->request, tape->request.len % 61 + 1);
    }
    if (!tell_reads(p->api)) return;
    if (tape->answer.len > 0) {
        p->answers += props_tell_whole(p->api, tape->answer, tape->answer.len % 61 + 1);
    }
    if (tape->events.len > 0) {
        struct bytes lines = lines_of(tape->events);
        props_tell_stream(p->api, lines, lines.len % 61 + 1);
        props_tell_stream(p->api, lines, 1);
        free((void *)(uintptr_t)lines.ptr);
        p->streams++;
    }
}

static void test_recordings(void **state)
{
    (void)state;
    static const struct { const char *name; enum api api; } dialects[] = {
        {"openai-chat", API_CHAT}, {"openai-responses", API_RESPONSES},
        {"anthropic-messages", API_MESSAGES}, {"gemini-generate", API_GENERATE},
        {"cohere-chat", API_COHERE},
    };
    for (size_t i = 0; i < COUNT(dialects); i++) {
        struct played p = {.api = dialects[i].api, .name = dialects[i].name};
        if (!tapes_each(dialects[i].name, play, &p)) {
            print_message("no recordings here: skipped\n");
            skip();
        }
        print_message("%s: %zu requests, %zu answers, %zu streams\n", p.name, p.requests,
                      p.answers, p.streams);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recordings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
