/* cheap.c - see cheap.h. The model beside it: an answer will do where it says what all others
 * say that must agree (or where nothing shows that it is bad, if one is asked alone); else the
 * strong one's is due. Rule: what a verdict claims must be true in any run; where nothing fails
 * the verdict itself is known, and so is each call's end. */
#include "tests/sim/cheap.h"
#include "engine/stats.h"
#include "tests/sim/machine.h"

#include <stdio.h>
#include <string.h>

static unsigned number_of(const struct ask *a) { return (unsigned)(a - model()->ask); }

/* ---- what is asked and answered ---- */

void cheap_begin(void)
{
    static const uint8_t agree[] = {0, 2, 2, 3};
    model()->strong = (uint8_t)draw(MODEL_PROVIDERS);
    model()->agree = agree[draw(4)];
}

void cheap_config(struct text *t)
{
    text_put(t, ", cascade: {mode: always, agree: %u}", model()->agree);
}

void cheap_quality(struct text *t, uint32_t provider)
{
    bool strong = provider == model()->strong;
    text_put(t, "quality: %u, context: 1000000, ", strong ? 95 : 58 + provider);
}

void cheap_question(struct text *prompt)
{
    text_put(prompt, ": What is 17 times 23 minus the integral of x^2 from 0 to 3? "
                     "Answer with a number. ");
}

void cheap_ask(struct text *wire, struct ask *a)
{
    static const char *const said[] = {"never", "check", "agree=2", "agree=3"};
    a->truth = 100 + draw(900);
    a->need = model()->agree;
    if (!draw_maybe(400)) return;
    uint32_t way = draw(4);
    a->denied = way == 0;
    a->need = (uint8_t)(way < 2 ? 0 : way);
    text_put(wire, "x-weir-cascade: %s\r\n", said[way]);
}

void cheap_reply(struct reply *p, const struct ask *a)
{
    bool other = draw_maybe(250);
    p->says = other ? 100 + draw(900) : a->truth;
    if (p->provider == 1 || p->provider == 3 || !draw_maybe(200)) return;
    p->unfit = true;
    p->finish = draw_maybe(500) ? "length" : "content_filter";
}

void cheap_tail(struct text *words, const struct reply *p)
{
    if (model()->world == WORLD_CHEAP) text_put(words, "\\n#### %u", p->says);
}

/* ---- what came of it ---- */

static bool is_cheap(const struct reply *p) { return p->provider != model()->strong; }

/* Answers of cheap ones that say the same as p, p among them, and nothing shows to be bad. */
static unsigned count_same(const struct ask *a, const struct reply *p)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < a->reply_count; i++) {
        const struct reply *q = &a->reply[i];
        bool fine = q->status == 200 && !q->unfit && !q->onward;
        if (fine && q->says == p->says) count++;
    }
    return count;
}

/* What is claimed of the answer that was sent. */
static void check_claim(const struct ask *a)
{
    unsigned n = number_of(a), count;
    const struct reply *p = a->from;
    if (sscanf(a->verdict, "agreed=%u", &count) == 1) {
        unsigned same = count_same(a, p);
        if (count != a->need || same < count || p->unfit) {
            violated("cascade", "sim-%u: %s, %u must, %u say %u", n, a->verdict, a->need, same,
                     p->says);
        }
    }
    if (strcmp(a->verdict, "taken") == 0 && (p->unfit || a->need)) {
        violated("cascade", "sim-%u: an answer was taken that will not do (%s, %u must agree)",
                 n, p->finish, a->need);
    }
    bool none = a->denied || a->kind == ASK_MODELS;
    if (none && a->verdict[0]) violated("cascade", "sim-%u asked for none: %s", n, a->verdict);
}

/* ---- where nothing fails ---- */

enum { HEARD_MAX = 60000 };    /* bytes: what comes in a larger event is not compared */

struct outcome { unsigned cheap, fine; bool agree, unfit, strong, deaf; };

static struct outcome outcome_of(const struct ask *a)
{
    struct outcome o = {.agree = true};
    uint32_t said = 0;
    for (uint32_t i = 0; i < a->reply_count; i++) {
        const struct reply *p = &a->reply[i];
        if (!is_cheap(p)) {
            o.strong = true;
            continue;
        }
        if (p->event_max > HEARD_MAX) o.deaf = true;
        if (o.cheap++ > 0 && p->says != said) o.agree = false;
        said = p->says;
        if (p->unfit) o.unfit = true;
        else o.fine++;
    }
    o.agree = o.agree && !o.unfit;
    return o;
}

/* What all of them said, for who reads a violation. */
static void tell_replies(const struct ask *a, struct text *out)
{
    for (uint32_t i = 0; i < a->reply_count; i++) {
        const struct reply *p = &a->reply[i];
        text_put(out, "%sp%u: %u %s%s, %zu bytes", i ? "; " : "", p->provider, p->says,
                 p->finish, p->sent ? "" : " (cut)", p->wire.len);
    }
}

/* Which verdict is due, and whose answer. */
static void check_verdict(const struct ask *a, const struct outcome *o)
{
    char want[16] = "taken";
    unsigned all = a->need ? a->need : 1;
    bool known = strncmp(a->verdict, "none", 4) != 0 && a->verdict[0] &&
                 strcmp(a->verdict, "unchecked") != 0;
    if (o->deaf || !known) return;
    if (a->need) (void)snprintf(want, sizeof want, "agreed=%u", a->need);
    bool went_up = strncmp(a->verdict, "escalated: ", 11) == 0;
    bool right = o->agree ? strcmp(a->verdict, want) == 0 && !o->strong && is_cheap(a->from)
                          : went_up && o->strong && !is_cheap(a->from);
    bool why = !went_up || (o->unfit ? true : strstr(a->verdict, "no agreement") != NULL);
    if (right && why && (o->cheap == all || !o->agree)) return;
    struct text replies = {0};
    tell_replies(a, &replies);
    violated("cascade", "sim-%u: %s; %u must agree: %s", number_of(a), a->verdict, all,
             replies.at);
}

/* The end that a call had whose answer is not the client's: what was all there is told from
 * what was cut short. Where no verdict was told, the client had the head before it, with
 * comments to keep awake; what is longer than may be held goes out beside a strong one, too. */
static void check_end(const struct ask *a, const struct record *r, const struct outcome *o)
{
    bool open = strcmp(a->verdict, "unchecked") == 0 || a->verdict[0] == 0;
    bool voted = open || strncmp(a->verdict, "agreed", 6) == 0;
    bool right = r->close == CLOSE_NOT_NEEDED ||
                 (o->strong && r->close == CLOSE_ESCALATED) ||
                 ((open || !o->strong) && voted && r->close == CLOSE_OUTVOTED);
    if (right) return;
    violated("cascade", "sim-%u (%s): %.40s ended as %u, strong: %d", number_of(a), a->verdict,
             r->model, r->close, o->strong);
}

void cheap_settle(const struct ask *a)
{
    bool asks = a->kind == ASK_WHOLE || a->kind == ASK_STREAM;
    if (!asks || !a->complete || a->status != 200 || !a->from) return;
    struct outcome o = outcome_of(a);
    check_claim(a);
    if (model()->calm) check_verdict(a, &o);
    for (uint32_t i = 0; i < a->booked_count; i++) {
        const struct record *r = &a->booked[i].r;
        if (r->kind == RECORD_ATTEMPT && model()->calm) check_end(a, r, &o);
    }
}
