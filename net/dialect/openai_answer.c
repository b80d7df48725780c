/* openai_answer.c - a whole JSON answer, read as it comes in. */
#include "net/dialect/openai_part.h"

void openai_answer_begin(struct openai_answer_reader *r)
{
    memset(&r->ans, 0, sizeof r->ans);
    json_init(&r->json, JSON_DEPTH_MAX);
    openai_reply_begin(&r->reply);
}

void openai_answer_begin_brief(struct openai_answer_reader *r)
{
    openai_answer_begin(r);
    r->reply.brief = true;
}

enum net_rc openai_answer_feed(struct openai_answer_reader *r, struct bytes in)
{
    assert(r->ans.choice_count == 0);  /* not ended */
    return openai_reply_feed(&r->reply, &r->json, in);
}

enum net_rc openai_answer_end(struct openai_answer_reader *r)
{
    struct openai_reply *w = &r->reply;
    struct openai_answer *a = &r->ans;
    enum net_rc rc = openai_reply_end(w, &r->json);
    if (rc != NET_DONE) return rc;
    openai_fold_settle(&w->usage, &a->usage);
    if (w->usage_object && a->usage.present) a->usage_at = w->usage_at.value;
    if (!a->usage.present) openai_fold_settle(&w->groq, &a->usage);
    a->text_bytes = w->text_bytes;
    a->choice_count = w->choice_count;
    a->error = w->error;
    a->error_status = w->error_status;
    memcpy(a->error_text, w->error_text, sizeof a->error_text);
    a->finish_length = w->finish_length;
    assert(a->usage_at.end == 0 || a->usage_at.start < a->usage_at.end);
    return NET_DONE;
}
