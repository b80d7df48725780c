/* provider.c - see provider.h.
 *   READ -> THINK -> WRITE -> READ (keep-alive) | STALLED | gone
 * A connection whose other end went away is closed as soon as that is seen. */
#include "tests/sim/provider.h"
#include "engine/host.h"
#include "route/catalog.h"
#include "tests/sim/foreign.h"
#include "tests/sim/hedged.h"
#include "tests/sim/machine.h"
#include "tests/sim/model.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MS = 1000000, ADDRESSES = 3, BLACK_HOLE_S = 130 };

enum end_state { END_NONE, END_READ, END_THINK, END_WRITE, END_STALLED };
enum cut_way { CUT_FIN, CUT_RST, CUT_STALL };

struct end {                   /* one connection, the provider's side */
    uint8_t state, provider, cut_way;
    bool early;                /* answers before it has the whole request */
    bool extra;                /* sends something behind its answer */
    bool slow, checked;
    int sock;
    uint64_t next_ns;
    struct text in;
    struct ask *ask;
    struct reply *reply;
    size_t sent, stop;
    size_t owed;               /* bytes of the request still to come */
    char path[96];             /* what the head began with: for verbose notes */
};

struct providers {
    struct end end[PROVIDER_ENDS];
    uint8_t health[MODEL_PROVIDERS][ADDRESSES];   /* 0 fine, 1 sometimes, 2 refuses, 3 silent */
    bool calm;                 /* the end of the run: nobody plays tricks */
};

static struct providers the;

void provider_calm_down(void)
{
    the.calm = true;
    for (int i = 0; i < PROVIDER_ENDS; i++) {
        if (the.end[i].state == END_STALLED) the.end[i].next_ns = machine()->now_ns;
    }
}

int provider_count(void)
{
    int count = 0;
    for (int i = 0; i < PROVIDER_ENDS; i++) count += the.end[i].state != END_NONE;
    return count;
}

/* --- dials */

static int address_of(const struct sockaddr *to, uint32_t *provider)
{
    *provider = 4;
    if (to->sa_family == AF_INET6) return 0;
    const struct sockaddr_in *a = (const struct sockaddr_in *)(const void *)to;
    uint32_t ip = ntohl(a->sin_addr.s_addr);
    if (ip >> 8 == 0x0a0001) return (int)(ip & 0xff);
    *provider = (ip & 0xff) - 1;
    assert(ip >> 8 == 0x0a0000 && *provider < 4);
    return 0;
}

static struct wire_dial on_dial(const struct sockaddr *to)
{
    uint32_t provider;
    int address = address_of(to, &provider);
    assert(address < ADDRESSES);
    uint8_t health = the.calm ? 0 : the.health[provider][address];
    struct wire_dial d = {chance(2 * MS), 0, (int)provider};
    if (health == 1 && chance(3) == 0) {
        static const int bad[] = {-ECONNREFUSED, -EHOSTUNREACH, -ECONNRESET, -ETIMEDOUT, 0};
        d.rc = bad[chance(5)];
        d.after_ns = (uint64_t)chance(1500) * MS;
    }
    if (health == 2) d.rc = -ECONNREFUSED;
    if (health == 3) d = (struct wire_dial){BLACK_HOLE_S * 1000ull * MS, -ETIMEDOUT, 0};
    note("dial", provider, (uint64_t)(int64_t)d.rc, d.after_ns);
    return d;
}

/* On a sealed thread: no heap. */
static void on_connected(int sock, int server)
{
    for (int i = 0; i < PROVIDER_ENDS; i++) {
        struct end *e = &the.end[i];
        if (e->state != END_NONE) continue;
        struct text in = {e->in.at, 0, e->in.room};
        *e = (struct end){.state = END_READ, .provider = (uint8_t)server, .sock = sock,
                          .in = in};
        return;
    }
    violated("world", "more connections to providers than %d", PROVIDER_ENDS);
}

void provider_begin(void)
{
    memset(&the, 0, sizeof the);
    wire()->dial = on_dial;
    wire()->connected = on_connected;
    if (!model_plays()) return;
    for (int i = 0; i < MODEL_PROVIDERS; i++) {
        for (int k = 0; k < ADDRESSES; k++) {
            the.health[i][k] = draw_maybe(600) ? 0 : (uint8_t)draw_range(1, 3);
        }
    }
}

void provider_addresses(struct host *h)
{
    struct host_addresses *to = &h->addresses;
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(h->port)};
    six.sin6_addr.s6_addr[0] = 0xfd;
    memcpy(&to->at[0], &six, sizeof six);
    to->len[0] = sizeof six;
    for (uint32_t i = 1; i < ADDRESSES; i++) {
        struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(h->port),
                                   .sin_addr.s_addr = htonl(0x0a000100u + i)};
        memcpy(&to->at[i], &four, sizeof four);
        to->len[i] = sizeof four;
    }
    to->count = ADDRESSES;
}

/* --- one connection */

static void leave(struct end *e, bool reset)
{
    note("provider-leaves", (uint64_t)e->sock, reset, 0);
    if (reset) wire_abort(e->sock);
    else wire_close(e->sock);
    e->state = END_NONE;
}

static uint64_t pause_ns(const struct end *e)
{
    if (the.calm || !model_plays() || !e->slow) return chance(MS);
    return chance(8) ? chance(20 * MS) : chance(1500 * MS);
}

/* How the answer is to be sent. */
static void plan(struct end *e)
{
    struct reply *p = e->reply;
    bool tricks = model_plays() && !the.calm;
    e->state = END_THINK;
    e->sent = 0;
    e->stop = p->wire.len;
    e->extra = tricks && draw_maybe(50) && !p->until_close;  /* there it would be body */
    e->slow = tricks && draw_maybe(300);
    e->next_ns = machine()->now_ns + chance(20 * MS);
    e->next_ns += hedged_pause_ns();
    if (tricks && draw_maybe(100)) e->next_ns += (uint64_t)draw(2500) * MS;
    if (model()->tight && draw_maybe(700)) e->next_ns += (uint64_t)draw(2000) * MS;
    if (tricks && model()->patient && draw_maybe(400)) {
        e->next_ns += (uint64_t)draw(35000) * MS;
    }
    bool breaks = tricks ? draw_maybe(200) : p->breaks > 0;
    if (!breaks) return;
    p->cut = true;
    e->stop = draw((uint32_t)p->wire.len);
    e->cut_way = p->breaks ? (uint8_t)(p->breaks - 1) : (uint8_t)draw(3);
}

static bool field(const struct text *in, size_t end, const char *name, char *out, size_t room)
{
    size_t len = strlen(name);
    for (size_t i = 0; i + len < end; i++) {
        if (in->at[i] != '\n' || strncasecmp(in->at + i + 1, name, len) != 0) continue;
        const char *from = in->at + i + 1 + len, *to = strchr(from, '\r');
        assert(to);
        size_t n = (size_t)(to - from);
        if (n >= room) n = room - 1;
        memcpy(out, from, n);
        out[n] = 0;
        return true;
    }
    return false;
}

/* What the client wrote must have arrived as it is (model and options may differ). */
static void check_request(const struct end *e, const char *body, size_t len)
{
    const struct ask *a = e->ask;
    if (foreign_is(e->provider)) {
        foreign_request(a, e->provider, e->in.at, body, len);
        return;
    }
    bool whole = memmem(body, len, a->prompt.at, a->prompt.len) != NULL;
    bool named = memmem(body, len, "\"model\":\"m\"", 11) != NULL;
    bool usage = memmem(body, len, "\"include_usage\":true", 20) != NULL;
    if (!whole || !named) violated("request", "provider %u got: %.200s", e->provider, body);
    if (usage != (a->kind == ASK_STREAM)) violated("request", "usage was asked for: %d", usage);
}

static void on_head(struct end *e, size_t end)
{
    char id[80], length[32], authorization[80], want[80], other[80];
    struct text *in = &e->in;
    const char *before, *in_field = foreign_key_field(e->provider, &before);
    bool ok = field(in, end, "x-request-id: ", id, sizeof id) &&
              field(in, end, "content-length: ", length, sizeof length) &&
              field(in, end, in_field, authorization, sizeof authorization);
    e->ask = ok ? model_find(id, strlen(id)) : NULL;
    if (!e->ask) violated("request", "provider %u got: %.*s", e->provider, (int)end, in->at);
    (void)snprintf(want, sizeof want, "%sk%u-a", before, e->provider);
    (void)snprintf(other, sizeof other, "%sother", before);
    if (strcmp(authorization, want) != 0 && strcmp(authorization, other) != 0) {
        violated("request", "provider %u got the key %s", e->provider, authorization);
    }
    e->owed = end + strtoul(length, NULL, 10);
    bool first = e->ask->reply_count == 0;     /* else it may hold what was said before */
    e->early = first && model_plays() && draw_maybe(e->owed > 3000 ? 250 : 40);
}

static const char *body_of(const struct end *e, size_t *len)
{
    const char *body = strstr(e->in.at, "\r\n\r\n") + 4;
    *len = e->owed - (size_t)(body - e->in.at);
    return body;
}

/* It is asked to go on: only who can, and in the way that it was said to need. */
static void check_onward(const struct end *e, const char *body, size_t len)
{
    static const char *const mark[CONTINUES] = {
        [CONTINUES_PREFIX] = "\"prefix\":true", [CONTINUES_PREFIX_ECHO] = "\"prefix\":true",
        [CONTINUES_PARTIAL] = "\"partial\":true",
        [CONTINUES_FINAL] = "\"continue_final_message\":true"};
    uint8_t how = model()->continues[e->provider];
    if (how == CONTINUES_UNSAID || how == CONTINUES_NO) {
        violated("request", "provider %u is asked to go on, and cannot", e->provider);
    }
    for (int i = 0; i < CONTINUES; i++) {
        bool is = mark[i] && memmem(body, len, mark[i], strlen(mark[i])) != NULL;
        bool want = mark[i] && mark[how] && strcmp(mark[i], mark[how]) == 0;
        if (is != want) violated("request", "provider %u, way %u: %.300s", e->provider, how,
                                 body);
    }
}

static bool is_blank(const struct text *t)
{
    for (size_t i = 0; i < t->len; i++) {
        bool escape = t->at[i] == '\\' && i + 1 < t->len && strchr("nrt", t->at[i + 1]);
        if (t->at[i] != ' ' && !escape) return false;
        i += escape;
    }
    return true;
}

/* A request after its client has a part of an answer must go on with that. */
static void check_again(const struct ask *a, const struct text *before)
{
    struct text seen = foreign_texts(a->body.at, a->body.len);
    if (a->from && a->from->status == 200 && before->len == 0 && !is_blank(&seen)) {
        violated("ends-once", "sim-%u is asked anew after its answer began",
                 (unsigned)(a - model()->ask));
    }
    free(seen.at);
}

static void on_request(struct end *e)
{
    struct text before = {0};
    size_t len;
    note("request", (uint64_t)e->sock, (uint64_t)(e->ask - model()->ask), e->provider);
    if (e->in.len >= e->owed) {
        const char *body = body_of(e, &len);
        before = foreign_before(e->provider, body, len);
        if (before.len > 0) check_onward(e, body, len);
    }
    check_again(e->ask, &before);
    e->reply = model_reply(e->ask, e->provider, &before);
    free(before.at);
    if (!e->reply) leave(e, true);
    else plan(e);
}

/* Also where the answer began before the request was there: its memory must have lasted. */
static void check_whole(struct end *e)
{
    if (e->checked || e->owed == 0 || e->in.len < e->owed) return;
    size_t len;
    const char *body = body_of(e, &len);
    check_request(e, body, len);
    e->checked = true;
}

static void read_request(struct end *e)
{
    struct text *in = &e->in;
    if (e->owed == 0) {
        const char *end = in->len ? strstr(in->at, "\r\n\r\n") : NULL;
        if (!end) return;
        on_head(e, (size_t)(end - in->at) + 4);
    }
    if (in->len < e->owed && !e->early) return;
    check_whole(e);
    on_request(e);
}

/* Bytes, or the other end's end. False: e is gone. */
static bool take(struct end *e)
{
    char part[4096];
    long n = wire_take(e->sock, part, sizeof part);
    if (n == WIRE_AGAIN) return true;
    if (n <= 0) {
        leave(e, false);
        return false;
    }
    text_bytes(&e->in, part, (size_t)n);
    if (e->state == END_READ) read_request(e);
    else check_whole(e);
    return e->state != END_NONE;
}

static void answered(struct end *e)
{
    struct reply *p = e->reply;
    if (p->cut) {
        note("cut", (uint64_t)e->sock, e->stop, e->cut_way);
        if (e->cut_way == CUT_STALL && !the.calm) e->state = END_STALLED;
        else leave(e, e->cut_way == CUT_RST);
        e->next_ns = UINT64_MAX;
        return;
    }
    p->sent = true;
    if (e->extra) (void)wire_put(e->sock, "HTTP/1.1 200 OK\r\n\r\n", 19);
    bool keep = !p->close && p->kind != REPLY_GARBAGE && e->in.len >= e->owed;
    if (!keep || (model_plays() && draw_maybe(60))) {
        bool reset = model_plays() && draw_maybe(200);
        if (reset) p->sent = false;        /* what is under way is lost */
        leave(e, reset);
        return;
    }
    size_t more = e->in.len - e->owed;
    if (more > 0) violated("request", "%zu bytes behind a request", more);
    e->in.len = e->owed = 0;
    e->checked = false;
    e->state = END_READ;
    e->next_ns = draw_maybe(300) ? machine()->now_ns + (uint64_t)draw(3000) * MS : UINT64_MAX;
}

static void write_answer(struct end *e)
{
    struct reply *p = e->reply;
    size_t most = e->slow ? 1 + chance(300) : 1 + chance(16384);
    size_t left = e->stop - e->sent;
    long n = left ? wire_put(e->sock, p->wire.at + e->sent, left < most ? left : most) : 0;
    if (n < 0) {
        leave(e, false);
        return;
    }
    e->sent += (size_t)n;
    e->next_ns = machine()->now_ns + (n == 0 && left ? MS : pause_ns(e));
    if (e->sent == e->stop) answered(e);
}

/* Bytes of an answer that nobody asked for, on a connection that lies in a pool. Not a good
 * one: where a request is on its way to meet it, nobody could tell that it is not its own. */
static void unasked(const struct end *e)
{
    static const char text[] =
        "HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
    note("unasked", (uint64_t)e->sock, 0, 0);
    (void)wire_put(e->sock, text, sizeof text - 1);
}

/* Who answers early reads the rest of the request in between. */
static bool is_busy(const struct end *e)
{
    return e->early && e->in.len < e->owed && (e->state == END_THINK || e->state == END_WRITE);
}

bool provider_step(int i)
{
    struct end *e = &the.end[i];
    uint64_t now = machine()->now_ns, when;
    if (e->state == END_NONE) return false;
    if (wire_ready(e->sock, &when) && (!is_busy(e) || chance(3) == 0)) {
        (void)take(e);
        return true;
    }
    if (e->next_ns == 0 || now < e->next_ns) return false;
    switch ((enum end_state)e->state) {
    case END_READ:                       /* idled enough */
        e->next_ns = UINT64_MAX;
        if (model_plays() && !the.calm && draw_maybe(300)) unasked(e);
        else leave(e, model_plays() && draw_maybe(300));
        break;
    case END_STALLED: leave(e, false); break;
    case END_THINK: e->state = END_WRITE; break;
    case END_WRITE: write_answer(e); break;
    case END_NONE: break;
    }
    return true;
}

uint64_t provider_next(int i)
{
    const struct end *e = &the.end[i];
    uint64_t when;
    if (e->state == END_NONE) return UINT64_MAX;
    if (is_busy(e)) return e->next_ns;
    if (wire_ready(e->sock, &when)) return 0;
    if (e->next_ns != 0 && e->next_ns < when) when = e->next_ns;
    return when;
}
