/* client.c - see client.h.
 *   COMING -> TALKING -> (DEAF: its side is shut) -> GONE
 * It parses answers by itself, strictly, and tells the model what it saw. */
#include "tests/sim/client.h"
#include "tests/sim/available.h"
#include "tests/sim/machine.h"
#include "tests/sim/model.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum { MS = 1000000, ASKS_EACH = 5, SPREAD_MS = 200000 };

enum client_state { CLIENT_NONE, CLIENT_COMING, CLIENT_TALKING };
enum part { PART_HEAD, PART_BODY, PART_SIZE, PART_DATA, PART_END, PART_TRAILER };

struct client {
    uint8_t state, part;
    bool pipelined, slow, closing, stays, half_close;
    bool crowds;                   /* comes to the first listener, as the others do */
    int sock;
    uint64_t write_ns, read_ns;    /* when it goes on */
    uint64_t leave_ns;             /* when it leaves, whatever comes; 0: not */
    size_t leave_bytes;            /* after how many bytes it leaves; 0: not */
    size_t got;
    uint32_t ask[ASKS_EACH], ask_count, sent, answered;
    size_t out_at;                 /* bytes sent of ask[sent] */
    struct text in;
    uint64_t left;                 /* of the body or the chunk */
};

struct clients {
    struct client client[CLIENTS_MAX];
    int listener[8], listener_count;
    bool calm;
};

static struct clients the;

static enum ask_kind draw_kind(bool tame)
{
    if (available()->on) return available()->stream ? ASK_STREAM : ASK_WHOLE;
    uint32_t n = draw(100);
    if (n < 40) return ASK_WHOLE;
    if (n < 84 || tame) return ASK_STREAM;
    return (enum ask_kind)draw_range(ASK_MODELS, ASK_MALFORMED);
}

static void plan(struct client *c, bool tame)
{
    *c = (struct client){.state = CLIENT_COMING, .sock = -1};
    c->write_ns = machine()->now_ns + (uint64_t)draw(draw_maybe(700) ? 400 : 6000) * MS;
    c->pipelined = draw_maybe(250);
    c->slow = draw_maybe(200);
    c->stays = draw_maybe(300);
    uint32_t count = draw_maybe(500) ? 1 : draw_range(2, ASKS_EACH);
    if (available()->on) {
        c->write_ns = machine()->now_ns + (uint64_t)draw(SPREAD_MS) * MS;
        c->pipelined = c->slow = c->stays = false;
        count = ASKS_EACH;
    }
    bool says_close = draw_maybe(200);
    for (uint32_t i = 0; i < count; i++) {
        enum ask_kind kind = draw_kind(tame);
        bool last = i + 1 == count && says_close;
        c->ask[c->ask_count++] = model_ask(kind, last);
        if (kind == ASK_MALFORMED) break;
    }
    if (tame || !model_plays()) return;
    if (draw_maybe(200)) c->leave_ns = c->write_ns + (uint64_t)draw(4000) * MS;
    if (draw_maybe(100)) c->leave_bytes = draw_range(1, 3000);
    c->half_close = draw_maybe(50);
}

void client_begin(void)
{
    memset(the.client, 0, sizeof the.client);
    the.calm = false;
    bool crowd = draw_maybe(60), aside = draw_maybe(700);
    uint32_t count = crowd ? draw_range(20, 40) : draw_range(2, 10);
    if (available()->on) count = CLIENTS_MAX, crowd = false;
    for (uint32_t i = 0; i < count; i++) {
        plan(&the.client[i], crowd && draw_maybe(800));
        the.client[i].crowds = crowd && aside;
    }
}

void client_listeners(const int *fd, int count)
{
    assert(count <= 8);
    for (int i = 0; i < count; i++) the.listener[i] = fd[i];
    the.listener_count = count;
}

int client_count(void)
{
    int count = 0;
    for (int i = 0; i < CLIENTS_MAX; i++) count += the.client[i].state != CLIENT_NONE;
    return count;
}

void client_calm_down(void)
{
    the.calm = true;
    for (int i = 0; i < CLIENTS_MAX; i++) {
        struct client *c = &the.client[i];
        if (c->state == CLIENT_COMING) c->state = CLIENT_NONE;
        c->slow = c->stays = false;
        c->write_ns = c->read_ns = 0;
    }
}

static void leave(struct client *c, bool reset)
{
    note("client-leaves", (uint64_t)c->sock, reset, c->answered);
    if (reset) wire_abort(c->sock);
    else wire_close(c->sock);
    c->state = CLIENT_NONE;
    if (model()->calm && c->answered < c->ask_count) {
        violated("calm", "sim-%u was not answered though nothing failed", c->ask[c->answered]);
    }
}

/* --- answers */

static struct ask *asked(const struct client *c)
{
    return &model()->ask[c->ask[c->answered]];
}

static void done(struct client *c)
{
    model_done(asked(c));
    c->answered++;
    c->part = PART_HEAD;
}

static void eat(struct client *c, size_t n)
{
    assert(n <= c->in.len);
    memmove(c->in.at, c->in.at + n, c->in.len - n);
    c->in.len -= n;
    if (c->in.at) c->in.at[c->in.len] = 0;
}

static bool field(const char *head, const char *name, char *out, size_t room)
{
    const char *at = strcasestr(head, name);
    if (!at || at[-1] != '\n') return false;
    at += strlen(name);
    size_t n = strcspn(at, "\r");
    if (n >= room) n = room - 1;
    memcpy(out, at, n);
    out[n] = 0;
    return true;
}

static void bad(const struct client *c, const char *what)
{
    uint32_t at = c->answered < c->ask_count ? c->answered : 0;
    violated("answer", "sim-%u: %s: %.300s", c->ask[at], what, c->in.len ? c->in.at : "");
}

static void check_id(struct client *c, const char *head)
{
    char id[80] = "", want[24];
    const struct ask *a = asked(c);
    (void)snprintf(want, sizeof want, "sim-%u", c->ask[c->answered]);
    if (!field(head, "x-request-id: ", id, sizeof id)) bad(c, "no request id");
    if (a->kind != ASK_MALFORMED && strcmp(id, want) != 0 && a->status < 400) {
        bad(c, "the answer to another request");
    }
}

/* A head is there whole, of n bytes. */
static void on_head(struct client *c, size_t n)
{
    char value[80];
    char *head = strndup(c->in.at, n);
    unsigned status;
    assert(head);
    if (c->answered >= c->sent + (c->out_at > 0)) bad(c, "an answer that nobody asked for");
    if (sscanf(head, "HTTP/1.1 %u ", &status) != 1) bad(c, "no status line");
    if (status == 100) {
        eat(c, n);
        free(head);
        return;
    }
    bool sse = field(head, "content-type: ", value, sizeof value) &&
               strncmp(value, "text/event-stream", 17) == 0;
    model_head(asked(c), status, sse);
    check_id(c, head);
    (void)field(head, "x-weir-cascade: ", asked(c)->verdict, sizeof asked(c)->verdict);
    if (!field(head, "connection: ", value, sizeof value)) bad(c, "no connection field");
    c->closing = strcmp(value, "close") == 0;
    bool sized = field(head, "content-length: ", value, sizeof value);
    bool chunked = strcasestr(head, "\ntransfer-encoding: chunked\r\n") != NULL;
    if (sized == chunked) bad(c, "its framing");
    c->left = sized ? strtoull(value, NULL, 10) : 0;
    c->part = sized ? PART_BODY : PART_SIZE;
    free(head);
    eat(c, n);
    if (sized && c->left == 0) done(c);
}

static void on_data(struct client *c)
{
    size_t n = c->in.len < c->left ? c->in.len : (size_t)c->left;
    model_body(asked(c), c->in.at, n);
    c->left -= n;
    eat(c, n);
    if (c->left > 0) return;
    if (c->part == PART_BODY) done(c);
    else c->part = PART_END;
}

/* A line of the chunked coding: the size, the end of a chunk, the end of all. */
static void on_line(struct client *c, size_t n)
{
    char *end;
    switch ((enum part)c->part) {
    case PART_SIZE:
        c->left = strtoull(c->in.at, &end, 16);
        if (end == c->in.at || *end != '\r') bad(c, "a chunk's size");
        c->part = c->left ? PART_DATA : PART_TRAILER;
        break;
    case PART_END: case PART_TRAILER:
        if (n != 2) bad(c, "a chunk's end");
        break;
    default: assert(false);
    }
    eat(c, n);
    if (c->part == PART_END) c->part = PART_SIZE;
    else if (c->part == PART_TRAILER && n == 2) done(c);
}

/* Go on with what is in c->in. False: more is needed. */
static bool parse(struct client *c)
{
    if (c->in.len == 0) return false;
    if (c->part == PART_HEAD) {
        const char *end = strstr(c->in.at, "\r\n\r\n");
        if (!end) return false;
        if (c->answered == c->ask_count) bad(c, "one answer too many");
        on_head(c, (size_t)(end - c->in.at) + 4);
        return true;
    }
    if (c->part == PART_BODY || c->part == PART_DATA) {
        on_data(c);
        return true;
    }
    const char *end = strchr(c->in.at, '\n');
    if (!end) return false;
    on_line(c, (size_t)(end - c->in.at) + 1);
    return true;
}

/* --- one client */

static void come(struct client *c)
{
    if (the.listener_count == 0) {
        c->write_ns = machine()->now_ns + 50 * MS;   /* it is being started */
        return;
    }
    uint32_t to = c->crowds ? 0 : draw((uint32_t)the.listener_count);
    c->sock = wire_connect(the.listener[to]);
    if (c->sock < 0) {
        c->state = CLIENT_NONE;
        if (model()->calm) violated("calm", "a connection was refused");
        return;
    }
    c->state = CLIENT_TALKING;
    c->read_ns = c->write_ns;
}

static void send_some(struct client *c)
{
    struct ask *a = &model()->ask[c->ask[c->sent]];
    if (c->out_at == 0) a->sent_ns = machine()->now_ns;
    size_t most = chance(4) ? 1 + chance(16384) : 1 + chance(40);
    size_t left = a->wire.len - c->out_at;
    long n = wire_put(c->sock, a->wire.at + c->out_at, left < most ? left : most);
    c->write_ns = machine()->now_ns + (chance(20) || !model_plays() ? chance(MS)
                                       : (uint64_t)chance(the.calm ? 1 : 2500) * MS);
    if (n < 0) {
        c->sent = c->ask_count;         /* what is there may still be read */
        return;
    }
    c->out_at += (size_t)n;
    if (n == 0) c->write_ns += MS;
    if (c->out_at < a->wire.len) return;
    c->sent++;
    c->out_at = 0;
    if (c->sent == c->ask_count && c->half_close) wire_shut(c->sock, SHUT_WR);
}

/* Where a request was refused before its body was read, the connection may end with that. */
static bool refused_early(const struct client *c)
{
    if (!c->closing || c->answered == 0) return false;
    const struct ask *a = &model()->ask[c->ask[c->answered - 1]];
    return a->kind != ASK_WHOLE && a->kind != ASK_STREAM;
}

static void receive(struct client *c)
{
    char part[8192];
    size_t most = c->slow ? 1 + chance(600) : sizeof part;
    long n = wire_take(c->sock, part, most);
    uint64_t lazy = model()->calm ? 20 * MS : chance(30) ? 30 * MS : 4000ull * MS;
    c->read_ns = machine()->now_ns + (c->slow ? chance((uint32_t)lazy) : 0);
    if (n <= 0) {
        if (n != WIRE_AGAIN) leave(c, false);
        return;
    }
    c->got += (size_t)n;
    text_bytes(&c->in, part, (size_t)n);
    while (parse(c)) {}
    bool all = c->answered == c->ask_count || (c->closing && c->part == PART_HEAD);
    if (all && refused_early(c)) c->ask_count = c->answered;
    bool enough = c->leave_bytes && c->got >= c->leave_bytes;
    if (enough || (all && !c->stays && !c->closing)) leave(c, chance(4) == 0 && enough);
}

static bool may_send(const struct client *c)
{
    if (c->sent >= c->ask_count) return false;
    return c->pipelined || c->sent <= c->answered;
}

bool client_step(int i)
{
    struct client *c = &the.client[i];
    uint64_t now = machine()->now_ns, when;
    if (c->state == CLIENT_NONE) return false;
    if (c->state == CLIENT_COMING) {
        if (now < c->write_ns) return false;
        come(c);
        return true;
    }
    if (c->leave_ns && now >= c->leave_ns) {
        leave(c, chance(2));
        return true;
    }
    bool reads = now >= c->read_ns && wire_ready(c->sock, &when);
    bool writes = now >= c->write_ns && may_send(c);
    if (reads && (!writes || chance(2))) receive(c);
    else if (writes) send_some(c);
    return reads || writes;
}

uint64_t client_next(int i)
{
    const struct client *c = &the.client[i];
    uint64_t when, next = UINT64_MAX;
    if (c->state == CLIENT_NONE) return UINT64_MAX;
    if (c->state == CLIENT_COMING) return c->write_ns;
    if (may_send(c)) next = c->write_ns;
    (void)wire_ready(c->sock, &when);
    if (when != UINT64_MAX && when < c->read_ns) when = c->read_ns;
    if (when < next) next = when;
    if (c->leave_ns && c->leave_ns < next) next = c->leave_ns;
    return next;
}
