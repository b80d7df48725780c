/* responses_form.c - what a stream and a whole answer of a Responses client have in common:
 * the response object around the output, and how items begin.
 * Rule: every member that the official SDK's types demand is there; what the client asked for
 * and Weir did not keep is told by its default. */
#include "net/dialect/api_write.h"
#include "net/jsonw.h"
#include "net/translate/pen.h"
#include "net/translate/responses.h"

static const struct bytes words[] = {   /* by enum responses_status */
    [RESPONSES_RUNS] = BYTES_INIT("in_progress"),
    [RESPONSES_DONE] = BYTES_INIT("completed"),
    [RESPONSES_CUT] = BYTES_INIT("incomplete"),
    [RESPONSES_FILTERED] = BYTES_INIT("incomplete"),
};

static void key_text(struct pen *p, struct bytes key, struct bytes text)
{
    pen_key(p, key);
    pen_string(p, text);
}

enum responses_status responses_status(enum tell_finish finish)
{
    switch (finish) {
    case TELL_LENGTH: case TELL_CONTEXT: return RESPONSES_CUT;
    case TELL_FILTER: case TELL_REFUSED: return RESPONSES_FILTERED;
    default: return RESPONSES_DONE;
    }
}

void responses_put_head(struct pen *p, const struct tell_facts *facts,
                        enum responses_status status)
{
    assert(status < COUNT(words));
    pen_key(p, BYTES("id"));
    tell_put_id(p, facts, BYTES("resp_"), 0);
    key_text(p, BYTES("object"), BYTES("response"));
    pen_key(p, BYTES("created_at"));
    pen_int(p, facts->created);
    key_text(p, BYTES("status"), words[status]);
    pen_key(p, BYTES("background"));
    pen_bool(p, false);
    pen_key(p, BYTES("error"));
    pen_null(p);
    pen_key(p, BYTES("incomplete_details"));
    if (status == RESPONSES_CUT) {
        pen_value(p, BYTES("{\"reason\":\"max_output_tokens\"}"));
    } else if (status == RESPONSES_FILTERED) {
        pen_value(p, BYTES("{\"reason\":\"content_filter\"}"));
    } else {
        pen_null(p);
    }
    pen_key(p, BYTES("instructions"));
    pen_null(p);
    pen_key(p, BYTES("max_output_tokens"));
    pen_null(p);
    key_text(p, BYTES("model"), bytes_of(facts->model));
}

/* The usage object, its cost in it where that was asked for. */
static void put_usage(struct pen *p, const struct tell_facts *facts,
                      const struct api_usage *usage)
{
    char room[512], cost[32];
    size_t n = api_usage_json(API_RESPONSES, usage, room, sizeof room);
    assert(n > 2 && room[n - 1] == '}');
    pen_key(p, BYTES("usage"));
    if (facts->cost_nusd < 0) {
        pen_value(p, (struct bytes){room, n});
        return;
    }
    struct jsonw w;
    jsonw_init(&w, cost, sizeof cost);
    jsonw_fixed(&w, facts->cost_nusd, 9);
    pen_value(p, (struct bytes){room, n - 1});
    pen_put(p, BYTES(",\"cost\":"));
    pen_put(p, (struct bytes){cost, w.len});
    pen_put(p, BYTES("}"));
}

void responses_put_tail(struct pen *p, const struct tell_facts *facts,
                        const struct api_usage *usage)
{
    static const struct bytes nulls[] = {
        BYTES_INIT("previous_response_id"), BYTES_INIT("prompt_cache_key"),
        BYTES_INIT("safety_identifier"), BYTES_INIT("temperature"), BYTES_INIT("top_p"),
        BYTES_INIT("user"),
    };
    for (size_t i = 0; i < COUNT(nulls); i++) {
        pen_key(p, nulls[i]);
        pen_null(p);
    }
    pen_key(p, BYTES("parallel_tool_calls"));
    pen_bool(p, facts->parallel);
    pen_key(p, BYTES("reasoning"));
    pen_value(p, BYTES("{\"effort\":null,\"summary\":null}"));
    key_text(p, BYTES("service_tier"), BYTES("default"));
    pen_key(p, BYTES("store"));
    pen_bool(p, false);
    pen_key(p, BYTES("text"));
    pen_value(p, BYTES("{\"format\":{\"type\":\"text\"}}"));
    key_text(p, BYTES("tool_choice"), BYTES("auto"));
    pen_key(p, BYTES("tools"));
    pen_value(p, BYTES("[]"));
    key_text(p, BYTES("truncation"), BYTES("disabled"));
    pen_key(p, BYTES("metadata"));
    pen_value(p, BYTES("{}"));
    if (usage) {
        put_usage(p, facts, usage);
    } else {
        pen_key(p, BYTES("usage"));
        pen_null(p);
    }
}

void responses_put_id(struct pen *p, const struct tell_facts *facts, enum tell_block block,
                      bool custom, uint32_t index)
{
    struct bytes prefix = BYTES("msg_");
    if (block == TELL_THINKING) prefix = BYTES("rs_");
    else if (block == TELL_CALL) prefix = custom ? BYTES("ctc_") : BYTES("fc_");
    else if (block == TELL_IMAGE) prefix = BYTES("ig_");
    tell_put_id(p, facts, prefix, index + 1);
}

void responses_put_item(struct pen *p, enum tell_block block, bool custom,
                        enum responses_status status)
{
    struct bytes type = BYTES("message");
    if (block == TELL_THINKING) type = BYTES("reasoning");
    else if (block == TELL_CALL) type = custom ? BYTES("custom_tool_call")
                                               : BYTES("function_call");
    else if (block == TELL_IMAGE) type = BYTES("image_generation_call");
    assert(status < COUNT(words));
    key_text(p, BYTES("type"), type);
    if (block != TELL_THINKING) key_text(p, BYTES("status"), words[status]);
}

/* Where in the text it belongs, nobody said. */
void responses_put_cite(struct pen *p, const struct tell *cite)
{
    pen_object(p);
    key_text(p, BYTES("type"), BYTES("url_citation"));
    key_text(p, BYTES("url"), cite->url);
    key_text(p, BYTES("title"), cite->name);
    pen_key(p, BYTES("start_index"));
    pen_int(p, 0);
    pen_key(p, BYTES("end_index"));
    pen_int(p, 0);
    pen_object_end(p);
}
