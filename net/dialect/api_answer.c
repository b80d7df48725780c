/* api_answer.c - a whole JSON answer, read as it comes in. */
#include "net/dialect/api_part.h"

void api_answer_begin(struct api_answer_reader *r, enum api api)
{
    assert(api < APIS);
    memset(&r->ans, 0, sizeof r->ans);
    json_init(&r->json, JSON_DEPTH_MAX);
    api_reply_begin(&r->reply, api_form(api), false, NULL);
    r->counts_only = api == API_COUNT_TOKENS || api == API_GENERATE_COUNT ||
                     api == API_RESPONSES_COUNT;
}

void api_answer_begin_brief(struct api_answer_reader *r, enum api api)
{
    api_answer_begin(r, api);
    r->reply.brief = true;
}

void api_answer_check(struct api_answer_reader *r, struct api_check *check)
{
    assert(!r->reply.brief && r->reply.fed == 0);
    r->reply.check = check;
}

enum net_rc api_answer_feed(struct api_answer_reader *r, struct bytes in)
{
    assert(r->ans.choice_count == 0);  /* not ended */
    return api_reply_feed(&r->reply, &r->json, in);
}

enum net_rc api_answer_end(struct api_answer_reader *r)
{
    struct api_reply *w = &r->reply;
    struct api_answer *a = &r->ans;
    enum net_rc rc = api_reply_end(w, &r->json);
    if (rc != NET_DONE) return rc;
    api_fold_settle(&w->usage, w->form, &a->usage);
    if (w->usage_object && a->usage.present) a->usage_at = w->usage_at.value;
    if (!a->usage.present) api_fold_settle(&w->groq, w->form, &a->usage);
    if (r->counts_only) a->usage = (struct api_usage){.present = true, .nothing = true};
    a->text_bytes = w->text_bytes;
    a->choice_count = w->choice_count;
    a->error = w->error;
    a->error_status = w->error_status;
    memcpy(a->error_text, w->error_text, sizeof a->error_text);
    a->finish_length = (w->outcome & API_OUTCOME_LENGTH) != 0;
    a->outcome = w->check ? (uint8_t)api_check_end(w->check, w->outcome) : w->outcome;
    assert(a->usage_at.end == 0 || a->usage_at.start < a->usage_at.end);
    return NET_DONE;
}
