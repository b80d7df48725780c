/* resume.c - see resume.h. Model: r->raw is a tail of what the client has, everything before it
 * is in the translator's writer and in r->said. Rule: nothing is decided while the stream runs
 * well but whether keeping is in vain; then what was kept goes at once. */
#include "engine/resume.h"
#include "engine/attempt.h"
#include "engine/book.h"
#include "engine/compose.h"
#include "engine/conf.h"
#include "engine/core.h"
#include "engine/endpoint.h"
#include "engine/exchange.h"
#include "engine/stream.h"
#include "engine/tables.h"
#include "engine/translator.h"
#include "engine/twin.h"
#include "net/translate/splice.h"
#include "net/translate/translate.h"
#include "store/maybe.h"

static_assert(sizeof(struct resume) <= MEM_PAGE, "a page");

/* What may pass again: a thought ends, and what has finished is whole. */
enum { PASSING = LACK_THOUGHT | LACK_FINISHED };

/* ---- who can ---- */

static enum ask_continues continues_of(const struct exchange *x, uint32_t model)
{
    const struct catalog *c = x->tables->catalog;
    const struct catalog_model *m = &c->model[model];
    unsigned own = m->continues;
    if (own == CONTINUES_UNSAID) own = c->provider[m->provider].continues;
    return own == CONTINUES_NO ? ASK_CONTINUES_NOT : (enum ask_continues)own;
}

/* Is there a candidate behind the current one that can go on, and may it be asked? Or one that
 * may be asked once more, as the current one itself. */
static bool somebody_can(const struct exchange *x)
{
    bool repeats = attempt_may_repeat(x);
    if (twin_attempts(x) >= x->tables->conf->max_attempts) return false;
    for (unsigned i = repeats ? 0 : x->plan_next; i < x->plan_count; i++) {
        bool left = i + 1 >= x->plan_next || x->fleeting >> i & 1;
        if (left && continues_of(x, x->plan[i].model) != ASK_CONTINUES_NOT) return true;
    }
    return false;
}

bool resume_goes_on(const struct exchange *x) { return x->resume && x->resume->went_on; }

bool resume_takes(struct exchange *x)
{
    assert(resume_goes_on(x));
    x->resume->how = (uint8_t)continues_of(x, x->model);
    return x->resume->how != ASK_CONTINUES_NOT || PLANT(asks_anybody);
}

void resume_bound(struct exchange *x)
{
    const struct api_request *q = exchange_request(x);
    assert(resume_goes_on(x));
    if (q->max_tokens < 1) return;
    uint64_t most = (uint64_t)q->max_tokens, used = tokens_of(x->resume->said.bytes,
                                                              x->tokens.answer_ratio);
    uint64_t left = used < most ? most - used : 1;
    if (left > UINT32_MAX || (x->spend.output_max && x->spend.output_max <= left)) return;
    x->spend.output_max = (uint32_t)left;
    x->spend.model_max = true;     /* no budget lowered it */
}

/* ---- why not ---- */

static const char nobody_can[] = "no candidate is left that can";
static const char no_memory[] = "there is no memory for it";

/* The first that holds, in the order of how much it says. Static text. */
static const char *lack_words(unsigned lacks)
{
    static const struct { unsigned lack; const char *words; } all[] = {
        {LACK_CALL, "a tool call had begun"},
        {LACK_THOUGHT, "a signed thought was open"},
        {LACK_REFUSAL, "the model had refused"},
        {LACK_MEDIA, "it holds more than text"},
        {LACK_CHOICES, "several answers were asked for"},
        {LACK_LOGPROBS, "log probabilities were asked for"},
        {LACK_TEXT_LOST, "its text was not kept"},
    };
    for (size_t i = 0; i < COUNT(all); i++) {
        if (lacks & all[i].lack) return all[i].words;
    }
    return NULL;
}

/* ---- keeping ---- */

/* translate_said.put */
static bool put_said(void *arg, struct bytes text)
{
    struct resume *r = arg;
    if (r->lost || r->said.bytes + text.len > r->said_max) return false;
    if (PLANT(forgets_said)) return true;
    return chain_copy(r->mem, &r->said, text);
}

/* What was kept is in vain, for those reasons. */
static void forget(struct core *core, struct exchange *x, unsigned lacks)
{
    struct resume *r = x->resume;
    assert(!r->lost && (uint8_t)lacks != 0);
    r->lost = (uint8_t)lacks;
    chain_drop(&core->mem, &r->raw);
    chain_drop(&core->mem, &r->said);
    if (!x->translated) translator_drop(core, x);
}

/* The same, and nobody needs the request. */
static void lose(struct core *core, struct exchange *x, unsigned lacks)
{
    forget(core, x, lacks);
    exchange_release_request(core, x);
}

void resume_lose(struct core *core, struct exchange *x)
{
    if (!x->resume->lost) lose(core, x, LACK_TEXT_LOST);
}

static bool is_wanted(const struct exchange *x)
{
    const struct conf *conf = x->tables->conf;
    if (conf->resume == RESUME_NEVER || x->done_seen) return false;
    return conf->resume == RESUME_ALWAYS || x->rec.mode == MODE_AVAILABILITY;
}

static bool is_talk(const struct exchange *x)
{
    bool talks = x->api == API_CHAT || x->api == API_RESPONSES || x->api == API_MESSAGES ||
                 x->api == API_GENERATE;
    return talks && x->stream && x->is_sse;
}

/* What the request itself rules out: several answers, sound, and what a provider keeps. */
static const char *unfit(const struct exchange *x)
{
    const struct api_request *q = exchange_request(x);
    if (q->n > 1) return lack_words(LACK_CHOICES);
    if (q->audio_out) return lack_words(LACK_MEDIA);
    bool kept = q->store || q->conversation || q->background || q->previous.len > 0;
    return kept ? "a part of it lies at its provider" : NULL;
}

void resume_arm(struct core *core, struct exchange *x)
{
    struct mem *m = &core->mem;
    struct resume *r;
    char *page;
    uint32_t idx;
    assert(x->state == X_RELAY && !x->resume);
    x->unarmed = NULL;
    if (!is_wanted(x) || !is_talk(x)) return;
    x->unarmed = unfit(x);
    if (!x->unarmed && !somebody_can(x)) x->unarmed = nobody_can;
    if (x->unarmed) return;
    /* Requests go before what may never be needed. */
    bool room = !mem_is_tight(m) && mem_page_take(m, &idx, &page);
    if (!room) x->unarmed = no_memory;
    if (!room) return;
    r = (void *)page;
    *r = (struct resume){.mem = m, .page = idx, .said_max = x->tables->conf->limit_hold};
    x->resume = r;
    if (x->translated) {
        translator_listen(x, put_said, r);
        return;
    }
    uint32_t at = x->answer.first, left = x->answer.count;
    struct bytes piece;
    bool ok = true;
    /* An array's entries are no events: those before the first content say nothing that the
     * others do not. */
    while (ok && !x->array && chain_next(m, &at, &left, &piece)) {
        ok = chain_copy(m, &r->raw, piece);
    }
    if (!ok) lose(core, x, LACK_TEXT_LOST);
}

/* Tell the translator what was relayed. It is more than the window only behind the commit, of
 * what was held before: Responses begins with all instructions and tools, twice. False: no
 * room. */
static bool fold(struct core *core, struct exchange *x)
{
    struct resume *r = x->resume;
    bool told = true;
    static_assert((int)RESUME_WINDOW <= (int)CORE_SCRATCH / 2, "the scratch holds it");
    assert(!x->translated);
    if (!r->folded && !translator_follow(core, x, put_said, r)) return false;
    r->folded = true;
    exchange_release_request(core, x);     /* to memory of its own, where it is not yet */
    if (r->lost) return false;
    for (uint64_t at = 0; told && at < r->raw.bytes;) {
        uint64_t left = r->raw.bytes - at;
        size_t n = left < CORE_SCRATCH ? (size_t)left : CORE_SCRATCH;
        struct bytes events = {core->text, n};
        chain_read(&core->mem, &r->raw, at, core->text, n);
        core_text_put(core, n);
        told = translator_fold(core, x, &events, n == left) && events.len < n;
        at += n - events.len;
    }
    chain_drop(&core->mem, &r->raw);
    return told;
}

void resume_kept(struct core *core, struct exchange *x, struct bytes event)
{
    struct resume *r = x->resume;
    if (r->lost) return;
    assert(!x->translated);
    r->sequence = x->notes.sequence;
    bool ok = r->raw.bytes + event.len <= RESUME_WINDOW || fold(core, x);
    struct bytes one = event;
    if (ok && event.len > RESUME_WINDOW) ok = translator_fold(core, x, &one, true);
    else if (ok) ok = chain_copy(&core->mem, &r->raw, event);
    if (r->lost) return;
    if (!ok) lose(core, x, LACK_TEXT_LOST);
    else if (r->folded) resume_told(core, x);
}

void resume_told(struct core *core, struct exchange *x)
{
    if (x->resume->lost) return;
    unsigned lacks = translator_lacks(x) & ~(unsigned)PASSING;
    if (lacks) lose(core, x, lacks);
}

bool resume_needs_request(struct core *core, struct exchange *x)
{
    struct resume *r = x->resume;
    if (!r || r->lost) return false;
    compose_restore(core, x);
    if (chain_own(&core->mem, &x->body)) return true;
    forget(core, x, LACK_TEXT_LOST);
    return false;
}

void resume_drop(struct core *core, struct exchange *x)
{
    struct resume *r = x->resume;
    if (!r) return;
    chain_drop(&core->mem, &r->raw);
    chain_drop(&core->mem, &r->said);
    x->resume = NULL;
    mem_page_give(&core->mem, r->page, sizeof *r);
}

/* ---- going on ---- */

/* May the answer be cut where it ends now? JSON not inside of a token. */
static bool may_cut(struct core *core, const struct exchange *x)
{
    const struct chain *said = &x->resume->said;
    struct place place;
    place_begin(&place, &core->mem, said, 0, said->bytes);
    struct walk_source source = place_source(&place);
    return said->bytes == 0 || splice_may_cut(exchange_request(x)->format, &source);
}

/* Why x cannot be gone on with; NULL: it can. lacks: what the translator says. */
static const char *obstacle(struct core *core, struct exchange *x, enum attempt_end end,
                            unsigned *lacks)
{
    struct resume *r = x->resume;
    *lacks = r->lost;
    if (r->lost) return lack_words(r->lost);
    if (end == ATTEMPT_NO_ROOM) return no_memory;
    if (x->tail_big && !x->translated) return "it broke inside of a large event";
    if (!x->translated && !fold(core, x)) return lack_words(LACK_TEXT_LOST);
    if (!x->translated) translator_folded(x, x->resume->sequence);
    *lacks = translator_lacks(x);
    if (*lacks & LACK_FINISHED) return NULL;
    const char *words = lack_words(*lacks);
    if (words) return words;
    if (x->deadline_ns && core->now_ns >= x->deadline_ns) return "its time is over";
    if (!somebody_can(x)) return nobody_can;
    if (!may_cut(core, x)) return "JSON was cut inside of a token";
    return NULL;
}

/* The answer had finished: its end is all that it lacks. Of what was relayed as it came, the
 * writer is asked only where more than the sign of the end is due. */
static void say_end(struct core *core, struct exchange *x)
{
    bool usage_due = x->api == API_CHAT && x->want_usage && !x->usage.present;
    if (!x->translated && usage_due) x->translated = true;
    x->finished = true;
    stream_finish(core, x);
}

bool resume_try(struct core *core, struct exchange *x, enum attempt_end end, const char **why)
{
    struct resume *r = x->resume;
    unsigned lacks;
    *why = NULL;
    if (x->state != X_RELAY) return false;
    *why = x->unarmed;
    if (!r) return false;
    assert(x->c && x->head_sent && x->is_sse);
    *why = obstacle(core, x, end, &lacks);
    if (*why && PLANT(half_is_whole)) lacks = LACK_FINISHED;
    else if (*why) {
        core_count(core, STAT_RESUME_FAILED);
        return false;
    }
    if (lacks & LACK_FINISHED) {
        say_end(core, x);
        return true;
    }
    endpoint_void(core, x);
    if (!book_attempt(core, x, attempt_close(end))) {
        *why = "the ledger has no room for it";
        core_count(core, STAT_RESUME_FAILED);
        return false;
    }
    r->broken = (uint8_t)end;
    r->broken_model = x->model;
    r->went_on++;
    /* The next one's prompt is longer by what was said; its answer alone cannot be checked. */
    x->tokens.prompt += tokens_of(r->said.bytes - r->billed_bytes, x->tokens.answer_ratio);
    r->billed_bytes = r->said.bytes;
    x->check = (struct api_check){0};
    attempt_onward(core, x, end);
    return true;
}
