/* mock_past.c - what a conversation has of the answer already; see mock.h. The answer to a
 * user's turn is one fixed text. Where the turn behind it is the model's and is how that text
 * begins, the answer goes on from there, as a provider does that takes a prefix; any other turn
 * of a model's is none of ours, and the answer begins anew.
 *   user                       -> the whole text
 *   user, model                -> from where the model's turn leaves off
 *   user, model, user          -> the same, with `asked`; else the whole text
 * Rule: strings are compared as written, byte for byte; a backslash is no word of ours. */
#include "engine/conn.h"
#include "engine/core.h"
#include "tools/mock.h"

enum { TURNS = 3, PIECES = 8 };

enum role { ROLE_OTHER, ROLE_USER, ROLE_MODEL };

struct turn {                  /* of a conversation */
    uint8_t role;              /* enum role */
    bool long_text;            /* more pieces than are kept */
    uint32_t count;
    struct api_span piece[PIECES];     /* insides of strings, in order */
};

struct past {
    enum member member;        /* which holds the turns */
    struct turn turn[TURNS];   /* the latest, that first */
    enum { KEY_OTHER, KEY_ROLE, KEY_CONTENT } key;    /* of a turn: whose value comes */
    bool text;                 /* of a part: its text comes */
};

/* Where in the text a comparison is. */
struct match { uint32_t token, byte; bool fine; };

static void next_turn(struct past *p)
{
    for (int i = TURNS - 1; i > 0; i--) p->turn[i] = p->turn[i - 1];
    p->turn[0] = (struct turn){.role = ROLE_USER};     /* Gemini's need not say it */
}

static void add_piece(struct turn *turn, uint64_t start, uint64_t end)
{
    if (turn->count == PIECES) turn->long_text = true;
    else turn->piece[turn->count++] = (struct api_span){start + 1, end - 1};
}

static void on_key(struct past *p, const struct json_token *t)
{
    struct bytes key = t->text.ptr ? t->text : (struct bytes){0};
    if (t->depth == 3) {
        bool content = bytes_eq(key, BYTES("content")) || bytes_eq(key, BYTES("parts"));
        p->key = bytes_eq(key, BYTES("role")) ? KEY_ROLE : content ? KEY_CONTENT : KEY_OTHER;
    } else if (t->depth == 5) {
        p->text = p->key == KEY_CONTENT && bytes_eq(key, BYTES("text"));
    }
}

static bool on_token(enum member member, const struct json_token *t, void *arg)
{
    struct past *p = arg;
    struct turn *turn = &p->turn[0];
    if (member != p->member) return true;
    if (t->type == JSON_OBJECT && t->depth == 2) next_turn(p);
    if (t->type == JSON_KEY) on_key(p, t);
    if (t->type != JSON_STRING) return true;
    if (t->depth == 1) {                   /* Responses: all of the input */
        turn->role = ROLE_USER;
        add_piece(turn, t->start, t->end);
    } else if (t->depth == 3 && p->key == KEY_ROLE) {
        struct bytes role = t->text.ptr ? t->text : (struct bytes){0};
        bool model = bytes_eq(role, BYTES("assistant")) || bytes_eq(role, BYTES("model"));
        turn->role = model ? ROLE_MODEL
                     : bytes_eq(role, BYTES("user")) ? ROLE_USER : ROLE_OTHER;
    } else if ((t->depth == 3 && p->key == KEY_CONTENT) || (t->depth == 5 && p->text)) {
        add_piece(turn, t->start, t->end);
    }
    return true;
}

/* Calls on_bytes for each part of a turn's text. */
static void each_part(const struct core *core, const struct chain *body,
                      const struct turn *turn, void (*on_bytes)(struct bytes b, void *arg),
                      void *arg)
{
    char part[4096];
    for (uint32_t i = 0; i < turn->count; i++) {
        uint64_t from = turn->piece[i].start, end = turn->piece[i].end;
        while (from < end) {
            size_t n = end - from < sizeof part ? (size_t)(end - from) : sizeof part;
            chain_read(&core->mem, body, from, part, n);
            on_bytes((struct bytes){part, n}, arg);
            from += n;
        }
    }
}

static void add_up(struct bytes b, void *arg)
{
    uint32_t *sum = arg;
    for (size_t i = 0; i < b.len; i++) *sum += (unsigned char)b.ptr[i];
}

struct compare { struct job *job; struct match at; };

static void compare(struct bytes b, void *arg)
{
    struct compare *c = arg;
    struct match *at = &c->at;
    while (at->fine && b.len > 0) {
        struct bytes word = words_said(c->job, at->token);
        bytes_cut(&word, at->byte);
        size_t n = word.len < b.len ? word.len : b.len;
        at->fine = memcmp(word.ptr, b.ptr, n) == 0;
        bytes_cut(&b, n);
        at->byte += (uint32_t)n;
        if (n < word.len) continue;
        at->token++;
        at->byte = 0;
    }
}

/* The answer goes on from `at`, or from before it where the script has it repeat. */
static void go_on(struct job *job, struct match at)
{
    const struct script *s = &job->script;
    uint32_t back = s->value[SCRIPT_OVERLAP];
    if (script_has(s, SCRIPT_ECHO)) return;
    if (back > 0) {                        /* a word that was begun is the last of them */
        uint32_t words = at.token + (at.byte > 0);
        at = (struct match){.token = words > back ? words - back : 0};
    }
    job->said_tokens = at.token;
    job->said_bytes = at.byte;
}

void past_read(struct core *core, struct job *job)
{
    struct past past = {.member = job->api == API_RESPONSES ? MEMBER_INPUT : MEMBER_TURNS};
    const struct script *s = &job->script;
    const struct chain *body = &job->c->body;
    assert(job->said_tokens == 0 && job->said_bytes == 0);
    data_scan(core, body, on_token, &past);
    const struct turn *model = &past.turn[0];
    if (script_has(s, SCRIPT_ASKED) && model->role == ROLE_USER) model++;
    bool has = model->role == ROLE_MODEL && model->count > 0 && !model->long_text;
    const struct turn *user = has ? model + 1 : &past.turn[0];
    bool asked = user < past.turn + TURNS && user->role == ROLE_USER;
    if (script_has(s, SCRIPT_VARY) && asked) {
        each_part(core, body, user, add_up, &job->turn);
        job->turn %= words_count();
    }
    if (!has || script_has(s, SCRIPT_ANEW) || words_call(job)) return;
    struct compare c = {.job = job, .at = {.fine = true}};
    each_part(core, body, model, compare, &c);
    if (c.at.fine) go_on(job, c.at);
}
