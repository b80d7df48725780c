/* responses_tell_whole.c - writes a whole answer for a Responses client.
 * Model: the answer is told twice. First what has to be known before it is reached: how it
 * ends, which calls are signed. Then it is written as it is told; a text's sources, which are
 * told among its pieces, are written behind it, by telling again.
 * Rule: an item is closed by the next one, so that texts that follow one another are one. */
#include "net/translate/custom.h"
#include "net/translate/ask.h"
#include "net/translate/responses.h"

enum { SIGNED_MAX = 128 };   /* blocks whose signature is looked for */

struct whole {
    const struct tell_facts *facts;
    const struct tell_story *story;
    struct pen *p;
    struct custom_input input;          /* of the open call, where wrapped */
    uint64_t sealed[SIGNED_MAX / 64];   /* a bit per block: a call that is signed */
    uint32_t index;          /* items so far */
    uint32_t first, last;    /* blocks of the open text */
    uint32_t block_open;     /* the block that is being written */
    uint8_t finish;
    uint8_t block;           /* enum tell_block */
    bool item, part, string; /* what is open: an item, a message's part, a string */
    bool custom, wrapped, said, cited, gauged, signed_;
};

static void key_text(struct pen *p, struct bytes key, struct bytes text)
{
    pen_key(p, key);
    pen_string(p, text);
}

static bool is_text(unsigned block)
{
    return block == TELL_TEXT || block == TELL_REFUSAL || block == TELL_TRANSCRIPT;
}

/* ---- before it is written ---- */

static bool look(void *arg, const struct tell *t)
{
    struct whole *x = arg;
    if (t->choice > 0) return true;
    if (t->kind == TELL_FINISH) x->finish = t->finish;
    if (t->kind == TELL_SIGN && t->block == TELL_CALL && t->item < SIGNED_MAX) {
        x->sealed[t->item / 64] |= UINT64_C(1) << t->item % 64;
    }
    return true;
}

static bool is_sealed(const struct whole *x, uint32_t item)
{
    return item < SIGNED_MAX && x->sealed[item / 64] >> item % 64 & 1;
}

/* ---- by telling again ---- */

struct gather {              /* one kind of event, of some blocks, as elements or parts */
    struct pen *p;
    uint32_t first, last;
    uint8_t kind;            /* enum tell_kind */
    bool begun;
};

static bool gather(void *arg, const struct tell *t)
{
    struct gather *g = arg;
    if (t->choice > 0 || t->kind != g->kind) return true;
    if (t->item < g->first || t->item > g->last) return true;
    if (t->kind == TELL_CITE) {
        responses_put_cite(g->p, t);
    } else if (t->kind == TELL_LOGPROBS && t->text.len > 2) {
        pen_value(g->p, (struct bytes){t->text.ptr + 1, t->text.len - 2});
    } else if (t->kind == TELL_SIGN) {
        if (!g->begun) pen_part(g->p, ask_mark((enum ask_maker)t->maker));
        g->begun = true;
        pen_part(g->p, t->text);
    }
    return !g->p->full;
}

static bool gather_all(struct whole *x, enum tell_kind kind, uint32_t first, uint32_t last)
{
    struct gather g = {.p = x->p, .first = first, .last = last, .kind = (uint8_t)kind};
    return x->story->again(x->story, gather, &g);
}

/* An array of what was told among a text's pieces. */
static bool put_list(struct whole *x, struct bytes key, bool any, enum tell_kind kind)
{
    pen_key(x->p, key);
    pen_array(x->p);
    bool right = !any || gather_all(x, kind, x->first, x->last);
    pen_array_end(x->p);
    return right;
}

/* ---- items ---- */

static void string_end(struct whole *x)
{
    if (x->string) pen_end(x->p);
    x->string = false;
}

static bool part_end(struct whole *x)
{
    bool right = true;
    if (!x->part) return true;
    string_end(x);
    if (x->block != TELL_REFUSAL) {
        right = put_list(x, BYTES("annotations"), x->cited, TELL_CITE) &&
                put_list(x, BYTES("logprobs"), x->gauged, TELL_LOGPROBS);
    }
    pen_object_end(x->p);
    x->part = x->cited = x->gauged = false;
    return right;
}

/* The summary of a thought is over; its signature may follow. */
static void summary_end(struct whole *x)
{
    string_end(x);
    if (x->said) pen_object_end(x->p);
    pen_array_end(x->p);
}

static void call_end(struct whole *x)
{
    assert(x->string);
    if (x->wrapped) custom_end(&x->input);
    else if (!x->said && !x->custom) pen_part(x->p, BYTES("{}"));
    string_end(x);
}

/* The open item is over, if there is one. */
static bool item_end(struct whole *x)
{
    bool right = true;
    if (!x->item) return true;
    if (is_text(x->block)) {
        right = part_end(x);
        pen_array_end(x->p);
    } else if (x->block == TELL_CALL) {
        call_end(x);
    } else if (x->block == TELL_THINKING && !x->signed_) {
        summary_end(x);
    } else {
        string_end(x);
    }
    pen_object_end(x->p);
    x->item = x->said = x->signed_ = x->wrapped = x->custom = false;
    return right;
}

static void item_begin(struct whole *x, const struct tell *t, bool custom)
{
    assert(!x->item);
    pen_object(x->p);
    pen_key(x->p, BYTES("id"));
    responses_put_id(x->p, x->facts, (enum tell_block)t->block, custom, x->index++);
    responses_put_item(x->p, (enum tell_block)t->block, custom, RESPONSES_DONE);
    x->item = true;
    x->block = t->block;
    x->custom = custom;
}

static bool open_text(struct whole *x, const struct tell *t)
{
    bool refusal = t->block == TELL_REFUSAL;
    bool goes_on = x->item && is_text(x->block);
    x->last = t->item;
    if (goes_on && (x->block == TELL_REFUSAL) == refusal) return true;
    if (goes_on ? !part_end(x) : !item_end(x)) return false;
    if (!goes_on) {
        item_begin(x, t, false);
        key_text(x->p, BYTES("role"), BYTES("assistant"));
        pen_key(x->p, BYTES("content"));
        pen_array(x->p);
    }
    pen_object(x->p);
    key_text(x->p, BYTES("type"), refusal ? BYTES("refusal") : BYTES("output_text"));
    pen_key(x->p, refusal ? BYTES("refusal") : BYTES("text"));
    pen_begin(x->p);
    x->block = t->block;
    x->first = t->item;
    x->part = x->string = true;
    return true;
}

/* Thoughts that are a signature alone, which belongs to the call that follows. */
static bool put_seal(struct whole *x, const struct tell *call)
{
    struct tell thought = {.block = TELL_THINKING};
    item_begin(x, &thought, false);
    pen_key(x->p, BYTES("summary"));
    pen_array(x->p);
    pen_array_end(x->p);
    pen_key(x->p, BYTES("encrypted_content"));
    pen_begin(x->p);
    bool right = gather_all(x, TELL_SIGN, call->item, call->item);
    x->string = x->signed_ = true;
    return right && item_end(x);
}

static bool open_call(struct whole *x, const struct tell *t)
{
    struct tell_name name = tell_name(x->facts, t->name);
    bool custom = t->custom || name.custom;
    if (!item_end(x) || (is_sealed(x, t->item) && !put_seal(x, t))) return false;
    item_begin(x, t, custom);
    key_text(x->p, BYTES("call_id"), t->id);
    key_text(x->p, BYTES("name"), name.name);
    if (name.space.len > 0) key_text(x->p, BYTES("namespace"), name.space);
    pen_key(x->p, custom ? BYTES("input") : BYTES("arguments"));
    pen_begin(x->p);
    x->string = true;
    x->wrapped = name.custom && !t->custom;
    if (x->wrapped) custom_begin(&x->input, x->p);
    return true;
}

static bool on_open(struct whole *x, const struct tell *t)
{
    if (t->block == TELL_AUDIO) return true;  /* its transcript is told */
    x->block_open = t->item;
    if (is_text(t->block)) return open_text(x, t);
    if (t->block == TELL_CALL) return open_call(x, t);
    if (!item_end(x)) return false;
    item_begin(x, t, false);
    pen_key(x->p, t->block == TELL_IMAGE ? BYTES("result") : BYTES("summary"));
    if (t->block == TELL_IMAGE) pen_begin(x->p);
    else pen_array(x->p);
    x->string = t->block == TELL_IMAGE;
    return true;
}

static void more_thought(struct whole *x, const struct tell *t)
{
    if (!x->facts->want_thoughts || x->signed_) return;
    if (!x->said) {
        pen_object(x->p);
        key_text(x->p, BYTES("type"), BYTES("summary_text"));
        pen_key(x->p, BYTES("text"));
        pen_begin(x->p);
    }
    x->said = x->string = true;
    pen_part(x->p, t->text);
}

static void on_more(struct whole *x, const struct tell *t)
{
    if (!x->item || t->item != x->block_open || t->text.len == 0) return;
    if (t->block == TELL_THINKING) {
        more_thought(x, t);
        return;
    }
    x->said = true;
    if (x->wrapped) custom_feed(&x->input, t->text, !t->value);
    else if (t->value) pen_part_text(x->p, t->text);
    else pen_part(x->p, t->text);
}

static void on_sign(struct whole *x, const struct tell *t)
{
    if (!x->item || x->block != TELL_THINKING || t->item != x->block_open) return;
    if (!x->signed_) {
        summary_end(x);
        pen_key(x->p, BYTES("encrypted_content"));
        pen_begin(x->p);
        if (t->maker != MAKER_RESPONSES) pen_part(x->p, ask_mark((enum ask_maker)t->maker));
    }
    x->signed_ = x->string = true;
    pen_part(x->p, t->text);
}

static bool put_output(void *arg, const struct tell *t)
{
    struct whole *x = arg;
    bool right = true;
    if (t->choice > 0) return true;
    switch ((enum tell_kind)t->kind) {
    case TELL_OPEN: right = on_open(x, t); break;
    case TELL_MORE: on_more(x, t); break;
    case TELL_SIGN: on_sign(x, t); break;
    case TELL_CITE: x->cited = x->part; break;
    case TELL_LOGPROBS: x->gauged = x->part; break;
    case TELL_END: right = item_end(x); break;
    default: break;
    }
    return right && !x->p->full;
}

bool responses_tell_whole(const struct tell_facts *facts, const struct tell_story *story,
                          struct pen *p)
{
    struct whole x = {.facts = facts, .story = story, .p = p};
    if (!story->again(story, look, &x)) return false;
    pen_object(p);
    responses_put_head(p, facts, responses_status((enum tell_finish)x.finish));
    pen_key(p, BYTES("output"));
    pen_array(p);
    bool right = story->again(story, put_output, &x) && !x.item;
    explicit_bzero(&x.input, sizeof x.input);
    if (!right) return false;
    pen_array_end(p);
    responses_put_tail(p, facts, &facts->usage);
    pen_object_end(p);
    return !p->full;
}
