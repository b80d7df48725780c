/* cascade.c - see cascade.h. A family's state is that of its members: who is parked, what is
 * wrong with each answer, what it comes down to. Whenever one of them changes, all of them are
 * looked at: take, wait, or go on to the strong one. */
#include "engine/cascade.h"
#include "engine/answer.h"
#include "engine/attempt.h"
#include "engine/book.h"
#include "engine/conf.h"
#include "engine/core.h"
#include "engine/endpoint.h"
#include "engine/exchange.h"
#include "engine/learn.h"
#include "engine/stream.h"
#include "engine/tables.h"
#include "engine/translator.h"
#include "engine/twin.h"
#include "engine/upstream.h"
#include "net/http.h"
#include "net/json_index.h"
#include "net/translate/agree.h"
#include "net/translate/walk.h"
#include "store/maybe.h"

enum part { NO_PART, CHEAP, STRONG };

enum says {
    SAYS_NOTHING, SAYS_TAKEN, SAYS_AGREED, SAYS_UNCHECKED, SAYS_LENGTH, SAYS_REFUSAL, SAYS_JSON,
    SAYS_DISAGREED, SAYS_FAILED, SAYS_NO_ROOM, SAYS_UNAFFORDABLE, SAYS_UNAVAILABLE
};

struct listener {                    /* of a stream, in a page */
    struct tell_reader tell;
    struct agree_reader agree;
};
static_assert(sizeof(struct listener) <= MEM_PAGE, "a page");

/* ---- the family ---- */

static struct exchange *next_of(struct exchange *x)
{
    return x->lead ? x->next_twin : x->twins;
}

static struct exchange *find_strong(struct exchange *lead)
{
    for (struct exchange *x = lead; x; x = next_of(x)) {
        if (x->cascade.part == STRONG) return x;
    }
    return NULL;
}

static bool same(const struct exchange *a, const struct exchange *b)
{
    const struct cascading *p = &a->cascade, *q = &b->cascade;
    struct agree one = {.gist = {{p->gist[0], p->gist[1]}}, .form = p->form};
    struct agree other = {.gist = {{q->gist[0], q->gist[1]}}, .form = q->form};
    return agree_same(&one, &other);
}

/* Answers without fault that say what x's says, x among them. */
static unsigned count_same(struct exchange *lead, const struct exchange *x)
{
    unsigned count = 0;
    for (struct exchange *m = lead; m; m = next_of(m)) {
        if (m->cascade.parked && m->cascade.faults == 0 && same(m, x)) count++;
    }
    return count;
}

/* The answer to take: without fault, agreed on by all, the first of the plan. NULL: there is
 * none; *hope: there may be one yet. */
static struct exchange *find_taken(struct exchange *lead, bool *hope)
{
    struct exchange *best = NULL;
    unsigned need = lead->cascade.need, most = 0, running = 0;
    for (struct exchange *x = lead; x; x = next_of(x)) {
        bool runs = x->cascade.part == CHEAP && !x->cascade.parked;
        if (runs) running++;
        if (!x->cascade.parked || x->cascade.faults) continue;
        unsigned count = need ? count_same(lead, x) : 1;
        if (count > most) most = count;
        if (count < need && !PLANT(takes_any)) continue;
        x->cascade.count = (uint8_t)count;
        if (!best || x->cascade.place < best->cascade.place) best = x;
    }
    *hope = running > 0 && most + running >= need;
    return best;
}

/* The best answer where no strong one comes: without fault, else with the fewest. */
static struct exchange *find_best(struct exchange *lead)
{
    struct exchange *best = NULL;
    for (struct exchange *x = lead; x; x = next_of(x)) {
        if (!x->cascade.parked) continue;
        bool less = best && x->cascade.faults < best->cascade.faults;
        bool before = best && x->cascade.faults == best->cascade.faults &&
                      x->cascade.place < best->cascade.place;
        if (!best || less || before) best = x;
    }
    return best;
}

/* ---- listening ---- */

static void keep_gist(struct exchange *x, const struct agree *a)
{
    x->cascade.gist[0] = a->gist.h[0];
    x->cascade.gist[1] = a->gist.h[1];
    x->cascade.form = a->form;
}

static bool wants_json(const struct exchange *x)
{
    return exchange_request(x)->format != API_FORMAT_TEXT;
}

void cascade_forget(struct core *core, struct exchange *x)
{
    struct cascading *c = &x->cascade;
    if (c->listener) mem_page_give(&core->mem, c->page, sizeof *c->listener);
    c->listener = NULL;
    c->deaf = c->held = false;
    c->form = AGREE_NONE;
}

static struct listener *listener_of(struct core *core, struct exchange *x)
{
    struct cascading *c = &x->cascade;
    char *page;
    if (c->listener || c->deaf) return c->listener;
    c->deaf = !mem_page_take(&core->mem, &c->page, &page);
    if (c->deaf) return NULL;
    c->listener = (void *)page;
    agree_begin(&c->listener->agree, wants_json(x));
    tell_begin(&c->listener->tell, (enum api)x->peer, 0, agree_take, &c->listener->agree);
    return c->listener;
}

void cascade_event(struct core *core, struct exchange *x, struct bytes name,
                   struct bytes data)
{
    struct walk_source source;
    struct json_index index;
    struct walk w;
    struct node root;
    if (x->cascade.need == 0 || !cascade_holds(x)) return;
    struct listener *l = listener_of(core, x);
    if (!l) return;
    walk_source_of(&source, &data);
    bool is_doc = data.len > 0 && walk_open(&w, &source, &index, &root);
    if (is_doc && !tell_event(&l->tell, name, &w, root)) x->cascade.deaf = true;
}

/* What the answer comes down to. */
static void hear(struct core *core, struct exchange *x)
{
    struct cascading *c = &x->cascade;
    struct agree_reader whole;
    struct agree a = {.form = AGREE_NONE};
    if (c->need == 0) return;
    if (!x->is_sse) {
        agree_begin(&whole, wants_json(x));
        bool told = translator_tell(core, x, agree_take, &whole);
        a = agree_end(&whole);
        if (!told) a.form = AGREE_NONE;
    } else if (c->listener) {
        bool told = tell_end(&c->listener->tell) && !c->deaf;
        a = agree_end(&c->listener->agree);
        if (!told) a.form = AGREE_NONE;
        mem_page_give(&core->mem, c->page, sizeof *c->listener);
        c->listener = NULL;
    }
    keep_gist(x, &a);
}

/* What of the answer's outcome counts, by routing.cascade.on; an empty list is for answers
 * that are compared. Nothing at all is as good as a refusal. A limit that a budget set is no
 * fault of the model's. */
static uint8_t faults_of(const struct exchange *x)
{
    unsigned on = x->tables->conf->cascade_on, bits = 0, outcome = x->rec.outcome;
    bool capped = x->spend.output_max > 0 && !x->spend.model_max;
    if (x->is_sse) outcome = api_check_end(&x->check, x->notes.outcome);
    else if (x->text_bytes == 0) outcome |= API_OUTCOME_REFUSAL;
    if (x->cascade.need == 0 && on == 0) on = CONF_ON_ALL;
    if (on & CONF_ON_JSON) bits |= API_OUTCOME_JSON | API_OUTCOME_ARGUMENTS;
    if (on & CONF_ON_REFUSAL) bits |= API_OUTCOME_REFUSAL;
    if (on & CONF_ON_LENGTH && !capped) bits |= API_OUTCOME_LENGTH;
    return PLANT(takes_unfit) ? 0 : (uint8_t)(outcome & bits);
}

static enum says says_of(uint8_t faults)
{
    if (faults & (API_OUTCOME_JSON | API_OUTCOME_ARGUMENTS)) return SAYS_JSON;
    if (faults & API_OUTCOME_REFUSAL) return SAYS_REFUSAL;
    return faults & API_OUTCOME_LENGTH ? SAYS_LENGTH : SAYS_DISAGREED;
}

/* ---- verdicts ---- */

/* Let go of the provider; the answer stays. */
static void rest(struct core *core, struct exchange *x)
{
    assert(x->cascade.parked && (x->state == X_HOLD || x->state == X_WAIT));
    attempt_good(core, x);
    book_price(core, x);
    if (!PLANT(keeps_room)) endpoint_leave(core, x, book_tokens(&x->rec));
    if (x->u) upstream_close(core, x->u);
    x->u = NULL;
    x->wait_ns = x->until_ns = x->deadline_ns = 0;
    x->cascade.parked_ns = core->now_ns;
    exchange_set_timer(core, x);
}

/* Send an answer that has waited: what is learned of its speed does not see that. */
static void send_parked(struct core *core, struct exchange *x)
{
    assert(x->cascade.parked && !x->booked);
    x->attempt_ns += core->now_ns - x->cascade.parked_ns;
    if (x->first_ns > 0 && x->first_ns < x->attempt_ns) x->first_ns = x->attempt_ns;
    if (x->is_sse) stream_deliver(core, x);
    else answer_deliver(core, x, x->cascade.usage_at);
}

/* Why the strong one is asked: the worst that can be said of a cheap answer. */
static enum says why_escalated(struct exchange *lead)
{
    enum says why = SAYS_DISAGREED;
    for (struct exchange *x = lead; x; x = next_of(x)) {
        bool fault = x->cascade.parked && x->cascade.faults;
        if (fault && why == SAYS_DISAGREED) why = says_of(x->cascade.faults);
    }
    if (why == SAYS_DISAGREED && lead->cascade.lost) why = SAYS_FAILED;
    return why;
}

static void become_strong(struct exchange *x, enum says why)
{
    x->cascade.part = STRONG;
    x->cascade.parked = false;
    x->cascade.escalated = true;
    x->cascade.says = (uint8_t)why;
    if (x->timeout_ns) x->deadline_ns = x->admitted_ns + x->timeout_ns;
}

static void note_escalated(struct exchange *lead)
{
    for (struct exchange *x = lead; x; x = next_of(x)) x->cascade.escalated = true;
}

/* The strong one and who may stand in for it: below the floor nobody is better than who has
 * answered. */
static unsigned count_strong(const struct exchange *lead)
{
    unsigned next = lead->plan_next, count = 0;
    while (next + count < lead->plan_count &&
           (count == 0 || lead->plan[next + count].reason != PLAN_BELOW_FLOOR)) count++;
    return count;
}

/* Those that run yet can agree with nobody, and there is an answer to send should the strong
 * one fail: they are ended. */
static void end_running(struct core *core, struct exchange *lead)
{
    struct exchange *best = find_best(lead), *next;
    if (!best) return;
    if (!lead->cascade.parked) {
        twin_promote(core, best);
        lead = best;
    }
    for (struct exchange *x = lead->twins; x; x = next) {
        next = x->next_twin;
        bool runs = x->cascade.part == CHEAP && !x->cascade.parked;
        if (runs) twin_end(core, x, CLOSE_NOT_NEEDED);
    }
}

/* Ask the strong one, as a twin: the lead has an answer to keep, or may have. */
static void escalate(struct core *core, struct exchange *lead)
{
    enum says why = why_escalated(lead);
    bool late = lead->timeout_ns && core->now_ns >= lead->admitted_ns + lead->timeout_ns;
    unsigned strong = late ? 0 : count_strong(lead);
    assert(!lead->lead && lead->cascade.part == CHEAP && !lead->cascade.escalated);
    note_escalated(lead);
    struct exchange *twin = strong ? twin_make(core, lead, lead->plan_next, strong) : NULL;
    if (!twin) {
        struct exchange *best = find_best(lead);
        if (best) best->cascade.says = SAYS_UNAVAILABLE;
        if (best) send_parked(core, best);
        return;                           /* else who runs yet is all there is */
    }
    twin->cascade = (struct cascading){.need = lead->cascade.need};
    become_strong(twin, why);
    end_running(core, lead);
    attempt_next(core, twin);
}

/* Somebody of the family has changed. now: its answer is here, and is not parked yet, where it
 * is somebody's; else NULL. True: it is the one. */
static bool decide(struct core *core, struct exchange *lead, struct exchange *now)
{
    bool hope;
    struct exchange *best = find_taken(lead, &hope);
    bool over = lead->cascade.escalated && !find_strong(lead);
    if (over) best = find_best(lead);
    if (best) {
        best->cascade.says = over                 ? SAYS_UNAVAILABLE
                             : best->cascade.need ? SAYS_AGREED : SAYS_TAKEN;
        if (best == now) return true;
    }
    if (now) rest(core, now);
    if (best) send_parked(core, best);
    else if ((!hope || PLANT(eager)) && !lead->cascade.escalated) escalate(core, lead);
    return false;
}

bool cascade_holds(const struct exchange *x) { return x->cascade.part == CHEAP; }

/* Can the client be told this answer? One that is parked cannot fail any more. */
static bool can_be_told(struct core *core, struct exchange *x)
{
    struct chain said = {0};
    if (!x->translated || x->is_sse) return true;
    bool told = translator_whole(core, x, &said);
    chain_drop(&core->mem, &said);
    return told;
}

bool cascade_takes(struct core *core, struct exchange *x, uint64_t usage_at)
{
    assert(cascade_holds(x) && !x->cascade.parked && !x->booked);
    if (x->stream && !x->is_sse) {        /* no stream, though one was asked for: as it is, */
        cascade_unchecked(x);             /* before the client has the head of one */
        return true;
    }
    if (!can_be_told(core, x)) {
        attempt_failed(core, x, ATTEMPT_NO_ROOM, 0, 0);
        return false;
    }
    hear(core, x);
    x->cascade.faults = faults_of(x);
    x->cascade.usage_at = usage_at;
    x->cascade.parked = true;
    return decide(core, twin_lead(x), x);
}

void cascade_unchecked(struct exchange *x)
{
    if (!cascade_holds(x)) return;
    x->cascade.part = NO_PART;
    x->cascade.says = SAYS_UNCHECKED;
}

/* ---- failures ---- */

/* x has failed, and the strong one is asked already: it may go on to whom x would have asked,
 * should it fail too. */
static void leave_to(struct exchange *strong, struct exchange *x)
{
    strong->lent = (uint8_t)(strong->lent + twin_inherit(strong, x));
    x->plan_count = x->plan_next;
}

bool cascade_goes_on(struct exchange *x)
{
    struct cascading *c = &x->cascade;
    assert(x->plan_next < x->plan_count);
    bool poor = x->plan[x->plan_next].reason == PLAN_BELOW_FLOOR;
    if (c->part == STRONG && poor && find_best(twin_lead(x))) x->plan_count = x->plan_next;
    if (c->part != CHEAP || x->lead || x->plan_next == 0) return x->plan_next < x->plan_count;
    assert(!c->parked);
    if (!c->escalated) {
        note_escalated(x);
        become_strong(x, SAYS_FAILED);
        return true;
    }
    struct exchange *strong = find_strong(x);
    c->part = NO_PART;
    if (strong) leave_to(strong, x);
    return !strong;
}

bool cascade_rescues(struct core *core, struct exchange *x)
{
    if (x->cascade.part != STRONG) return false;
    struct exchange *best = find_best(twin_lead(x));
    if (!best) return false;
    bool poor = x->note_count > 0;
    for (unsigned i = 0; i < x->note_count; i++) {
        poor = poor && x->note[i].end == ATTEMPT_UNAFFORDABLE;
    }
    best->cascade.says = poor ? SAYS_UNAFFORDABLE : SAYS_UNAVAILABLE;
    if (!twin_fails(core, x)) return false;
    send_parked(core, best);
    return true;
}

void cascade_lost(struct core *core, struct exchange *lead)
{
    lead->cascade.lost = true;
    if (lead->cascade.part != CHEAP || lead->cascade.busy || lead->state == X_DONE) return;
    bool taken = decide(core, lead, NULL);
    assert(!taken);
}

enum close_why cascade_reason(const struct exchange *twin, enum close_why why)
{
    bool answered = why == CLOSE_HEDGE_LOST || why == CLOSE_NOT_NEEDED;
    assert(twin->lead);
    if (!twin->cascade.part || !answered) return why;
    if (!twin->cascade.parked) return CLOSE_NOT_NEEDED;     /* nobody raced it */
    bool strong = (twin->lead->cascade.part == STRONG) != PLANT(wrong_end);
    return strong ? CLOSE_ESCALATED : CLOSE_OUTVOTED;
}

uint8_t cascade_sign(struct core *core, struct exchange *twin)
{
    struct cascading *lead = &twin->lead->cascade;
    uint8_t faults = twin->cascade.faults;
    if (lead->taught || !faults) return 0;
    lead->taught = true;
    learn_escalated(core, twin);
    return faults;
}

/* ---- the beginning ---- */

/* Twins cannot be made: there is no cascade. */
static void give_up(struct core *core, struct exchange *x, unsigned made)
{
    twin_end_all(core, x, CLOSE_NOT_NEEDED);
    x->plan_next = (uint8_t)(x->cascade.cheap - made);
    become_strong(x, SAYS_NO_ROOM);
    attempt_next(core, x);
}

void cascade_begin(struct core *core, struct exchange *x)
{
    struct cascading *c = &x->cascade;
    struct exchange *twin[PLAN_MAX] = {NULL};
    assert(c->cheap < PLAN_MAX && x->plan_next == 0);
    if (c->cheap > 0) c->part = CHEAP;
    for (unsigned i = 1; i < c->cheap; i++) {
        twin[i] = twin_make(core, x, 1, 1);
        if (!twin[i]) {
            give_up(core, x, i - 1);
            return;
        }
        twin[i]->cascade = *c;
        twin[i]->cascade.place = (uint8_t)i;
    }
    c->busy = true;
    for (unsigned i = 1; i < c->cheap; i++) attempt_next(core, twin[i]);
    c->busy = false;
    if (c->lost) {                        /* too few are left to agree */
        x->plan_next = 1;
        note_escalated(x);
        become_strong(x, SAYS_FAILED);
    }
    attempt_next(core, x);
}

/* ---- what is said ---- */

void cascade_field(struct http_out *o, const struct exchange *x)
{
    static const char *const words[] = {
        [SAYS_TAKEN] = "taken", [SAYS_AGREED] = "agreed=", [SAYS_UNCHECKED] = "unchecked",
        [SAYS_LENGTH] = "escalated: length", [SAYS_REFUSAL] = "escalated: refusal",
        [SAYS_JSON] = "escalated: json", [SAYS_DISAGREED] = "escalated: no agreement",
        [SAYS_FAILED] = "escalated: failed", [SAYS_NO_ROOM] = "escalated: no room",
        [SAYS_UNAFFORDABLE] = "unaffordable", [SAYS_UNAVAILABLE] = "unavailable",
    };
    const struct cascading *c = &x->cascade;
    bool asked = x->control.cascade > ASKS_NO_CASCADE && c->why != CASCADE_FINE;
    if (c->says == SAYS_NOTHING && !asked) return;
    http_out_text(o, BYTES("x-weir-cascade: "));
    if (c->says == SAYS_NOTHING) {
        http_out_text(o, BYTES("none: "));
        http_out_text(o, bytes_of(cascade_why_text((enum cascade_why)c->why)));
    } else {
        assert(c->says < COUNT(words));
        http_out_text(o, bytes_of(words[c->says]));
        if (c->says == SAYS_AGREED) http_out_digits(o, c->count, 1);
    }
    http_out_text(o, BYTES("\r\n"));
}
