/* onward.c - see onward.h. The text is looked at, not the bytes: behind the break they are
 * Weir's own. Rule: a good end stands behind the whole text of the last one, or nowhere. */
#include "tests/sim/onward.h"
#include "tests/sim/foreign.h"
#include "tests/sim/machine.h"
#include "tests/sim/money.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char comment[] = ": continued by p";

static unsigned number_of(const struct ask *a) { return (unsigned)(a - model()->ask); }

static const char *find(const char *at, const char *end, const char *what)
{
    return memmem(at, (size_t)(end - at), what, strlen(what));
}

static unsigned times(const char *at, const char *end, const char *what)
{
    unsigned count = 0;
    for (; (at = find(at, end, what)) != NULL; at++) count++;
    return count;
}

static bool begins(const struct ask *a, const char *with)
{
    size_t len = strlen(with), left = a->body.len - a->checked;
    return memcmp(a->body.at + a->checked, with, left < len ? left : len) == 0;
}

bool onward_starts(const struct ask *a)
{
    char end[64];
    if (model()->resume == GOES_NEVER || !a->from) return false;
    if (begins(a, comment) || begins(a, ": waiting for the provider\n\n")) return true;
    (void)snprintf(end, sizeof end, "data: {\"id\":\"sim-%u#%u\",\"object\":", number_of(a),
                   (unsigned)(a->from - a->reply));
    const char *at = a->body.at;
    return find(at, at + a->checked, "\"finish_reason\":\"stop\"") && begins(a, end);
}

static bool starts_with(const struct text *t, const struct text *with)
{
    return with->len == 0 || (t->len >= with->len && memcmp(t->at, with->at, with->len) == 0);
}

/* Is that what was asked to be gone on with, where `have` is what the client had? Blanks at the
 * end are left out. */
static bool is_before(const struct text *before, const struct text *have)
{
    if (!starts_with(have, before)) return false;
    for (size_t i = before->len; i < have->len; i++) {
        bool last = i + 1 == have->len;
        bool escape = have->at[i] == '\\' && !last && strchr("nrt", have->at[i + 1]);
        if (have->at[i] != ' ' && !escape) return false;
        i += escape;
    }
    return true;
}

/* Is all of got what p said, as far as it came? */
static bool agrees(const struct reply *p, const struct text *got)
{
    return starts_with(&p->said, got);
}

/* Whose text stands behind a comment that names its provider: one that was asked to go on with
 * what its client had. One provider may have been asked for that several times, and have broken
 * off before its first text but the last time: where more than one would fit, the stream's end
 * (last) is the last one's, and a part that others follow the first one's. Where there were
 * blanks only it is asked as the first one was. */
static const struct reply *next_reply(const struct ask *a, unsigned provider,
                                      const struct text *have, const struct text *got,
                                      bool last)
{
    const struct reply *after = a->went_on ? a->by[a->went_on - 1] : a->from, *found = NULL;
    for (uint32_t i = 0; i < a->reply_count; i++) {
        const struct reply *p = &a->reply[i];
        if (p <= after || p->provider != provider || p->status != 200) continue;
        if (!is_before(&p->before, have)) continue;
        bool fits = agrees(p, got), better = !found || (fits && !agrees(found, got));
        if (better || (last && fits)) found = p;
    }
    if (found) return found;
    violated("onward", "sim-%u: provider %u was not asked to go on with: %.*s", number_of(a),
             provider, (int)(have->len > 300 ? 300 : have->len), have->at);
}

/* What one says of its text, up to where the next begins; gives whether it is all of it. */
static bool check_part(const struct ask *a, const struct reply *p, const struct text *got)
{
    const struct text *want = &p->said;
    size_t at = 0, common = got->len < want->len ? got->len : want->len;
    if (agrees(p, got)) return got->len == want->len;
    while (at < common && got->at[at] == want->at[at]) at++;
    size_t from = at < 60 ? 0 : at - 60;
    violated("onward", "sim-%u: %zu of %zu bytes of provider %u's text, from %zu on other.\n"
             " got: %.*s\nsent: %.*s", number_of(a), got->len, want->len, p->provider, at,
             (int)(got->len - from < 200 ? got->len - from : 200), got->at + from,
             (int)(want->len - from < 200 ? want->len - from : 200), want->at + from);
}

/* The end of it all; whole: the last one's text is complete. */
static void check_end(struct ask *a, const char *last, bool whole)
{
    static const char done_event[] = "data: [DONE]\n\n";
    const char *at = a->body.at, *end = at + a->body.len;
    size_t len = sizeof done_event - 1;
    bool done = a->body.len > len && memcmp(end - len, done_event, len) == 0;
    bool error = find(last, end, "data: {\"error\":") != NULL;
    unsigned finishes = times(at, end, "\"finish_reason\":\"");
    unsigned usages = times(at, end, "\"prompt_tokens\":");
    a->broken = !done;
    a->stopped = done && money()->binds && find(last, end, "\"length\"") != NULL;
    if (done == error) violated("onward", "sim-%u: [DONE] %d, error %d", number_of(a), done,
                                error);
    if (done && !whole && !a->stopped) {
        violated("onward", "sim-%u: a good end on half an answer", number_of(a));
    }
    if (done && (finishes != 1 || usages != a->want_usage)) {
        violated("onward", "sim-%u: %u finishes, %u usages: %.*s", number_of(a), finishes,
                 usages, (int)(end - last < 900 ? end - last : 900), last);
    }
}

bool onward_done(struct ask *a)
{
    const char *at = a->body.at, *end = at + a->body.len;
    const char *next = a->kind == ASK_STREAM && a->body.len ? find(at, end, comment) : NULL;
    if (!next) return false;
    struct text have = {0};
    const char *from = at, *named = NULL;      /* the comment before from */
    bool whole = false;
    for (;;) {
        struct text got = foreign_texts(from, (size_t)((next ? next : end) - from));
        const struct reply *p = a->from;
        if (named) {
            unsigned provider = (unsigned)(named[sizeof comment - 1] - '0');
            p = a->by[a->went_on] = next_reply(a, provider, &have, &got, next == NULL);
            a->went_on++;
        }
        whole = check_part(a, p, &got);
        text_bytes(&have, got.at, got.len);
        free(got.at);
        if (!next) break;
        from = named = next;
        next = find(from + 1, end, comment);
    }
    check_end(a, from, whole);
    free(have.at);
    note("onward", number_of(a), a->went_on, a->broken);
    return true;
}

/* --- what is booked */

void onward_settle(const struct ask *a)
{
    uint32_t began = 0;
    char name[MODEL_ID_MAX];
    for (uint32_t i = 0; i < a->booked_count; i++) {
        const struct record *r = &a->booked[i].r;
        if (r->kind != RECORD_ATTEMPT || !(r->flags & RECORD_BEGAN)) continue;
        const struct reply *p = began == 0 ? a->from : a->by[began - 1];
        if (began > a->went_on) violated("onward", "sim-%u: too many attempts", number_of(a));
        model_id(p->provider, name);
        if (strcmp(r->model, name) != 0) {
            violated("onward", "sim-%u: attempt %u is booked to %s, %s broke", number_of(a),
                     began, r->model, name);
        }
        began++;
    }
    bool right = began == a->went_on || (a->broken && began == a->went_on + 1);
    if (right) return;
    violated("onward", "sim-%u: %u broke after they began, %u are booked", number_of(a),
             a->went_on, began);
}
