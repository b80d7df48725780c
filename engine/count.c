/* count.c - see count.h. Rule: a count costs nothing and is never refused for want of a
 * provider that counts: agents ask for dozens of them at once, and only to show a number. */
#include "engine/count.h"
#include "engine/book.h"
#include "engine/conn.h"
#include "engine/core.h"
#include "engine/dialect.h"
#include "engine/exchange.h"
#include "engine/reply.h"

#include <stdio.h>

enum { COUNT_TEXT_MAX = 192 };

static size_t put_count(enum api api, uint64_t tokens, char *text)
{
    unsigned long long n = tokens;
    assert(dialect_counts(api));
    int len = api == API_COUNT_TOKENS
                  ? snprintf(text, COUNT_TEXT_MAX, "{\"input_tokens\":%llu}", n)
              : api == API_RESPONSES_COUNT
                  ? snprintf(text, COUNT_TEXT_MAX, "{\"object\":\"response.input_tokens\","
                             "\"input_tokens\":%llu}", n)
                  : snprintf(text, COUNT_TEXT_MAX, "{\"totalTokens\":%llu,"
                             "\"promptTokensDetails\":[{\"modality\":\"TEXT\","
                             "\"tokenCount\":%llu}]}", n, n);
    assert(len > 0 && len < COUNT_TEXT_MAX);
    return (size_t)len;
}

void count_estimate(struct core *core, struct exchange *x)
{
    char text[COUNT_TEXT_MAX];
    uint32_t tokens = book_prompt_tokens(x);
    size_t len = put_count((enum api)x->api, tokens ? tokens : 1, text);
    assert(x->c && !x->head_sent && !x->u);
    book_end(core, x, CLOSE_DONE, 200);
    reply_body(core, x->c, x, NULL, 200, BYTES("application/json"), (struct bytes){text, len},
               BYTES("x-weir-estimated: tokens\r\n"));
    exchange_finish(core, x, false);
}
