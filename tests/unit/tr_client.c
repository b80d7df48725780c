/* tr_client.c - see tr_client.h. Rule: it reads by names alone, and shares nothing with the
 * readers that it is to check. */
#include "tr_client.h"
#include "net/json.h"
#include "net/sse.h"
#include "net/translate/walk.h"

#include <stdio.h>

static void complain(struct client *c, bool fine, const char *what)
{
    if (!fine && !c->bad) c->bad = what;
}

static struct bytes member(const struct walk *w, struct node of, const char *name, char *room,
                           size_t max)
{
    return walk_short(w, walk_member(w, of, bytes_of(name)), room, max);
}

static int64_t number(const struct walk *w, struct node of, const char *name)
{
    int64_t value;
    return walk_int(w, walk_member(w, of, bytes_of(name)), &value) ? value : -1;
}

/* It is the same in all events that have it. */
static void same(struct client *c, char *known, size_t max, struct bytes now, const char *what)
{
    if (now.len == 0) return;
    if (known[0] == '\0') (void)snprintf(known, max, "%.*s", (int)now.len, now.ptr);
    complain(c, bytes_eq(bytes_of(known), now), what);
}

static void more_text(struct client *c, const struct walk *w, struct node text)
{
    struct walk_text t = walk_text(w, walk_inside(text));
    char room[256];
    for (;;) {
        struct bytes b = walk_text_next(&t, room, sizeof room);
        if (b.len == 0) return;
        assert(c->len + b.len < sizeof c->text);
        memcpy(c->text + c->len, b.ptr, b.len);
        c->len += b.len;
    }
}

static void see_chat(struct client *c, const struct walk *w, struct node root)
{
    struct walk_each each, parts;
    struct node key, choice, part;
    char id[512], model[256];
    struct node choices = walk_member(w, root, BYTES("choices"));
    struct node usage = walk_member(w, root, BYTES("usage"));
    if (walk_count(w, choices) == 0) {
        c->usages += usage.type == JSON_OBJECT;
        return;
    }
    same(c, c->id, sizeof c->id, member(w, root, "id", id, sizeof id), "id");
    same(c, c->model, sizeof c->model, member(w, root, "model", model, sizeof model), "model");
    int64_t created = number(w, root, "created");
    complain(c, c->number < 0 || created == c->number, "created");
    c->number = created;
    walk_begin(w, choices, &each);
    while (walk_next(&each, &key, &choice)) {
        struct node delta = walk_member(w, choice, BYTES("delta"));
        struct node finish = walk_member(w, choice, BYTES("finish_reason"));
        struct node text = walk_member(w, delta, BYTES("content"));
        complain(c, c->finishes == 0 || !walk_has(walk_inside(text)), "text behind the finish");
        more_text(c, w, text);
        walk_begin(w, text, &parts);
        while (walk_next(&parts, &key, &part)) {    /* Mistral's */
            more_text(c, w, walk_member(w, part, BYTES("text")));
        }
        if (finish.type == JSON_STRING) c->finishes++;
    }
}

static void see_messages(struct client *c, const struct walk *w, struct node root)
{
    static const struct bytes words[] = {
        BYTES_INIT("message_start"), BYTES_INIT("content_block_start"),
        BYTES_INIT("content_block_delta"), BYTES_INIT("content_block_stop"),
        BYTES_INIT("message_delta"), BYTES_INIT("message_stop")};
    enum { START, BEGIN, DELTA, STOP, FINISH, END };
    size_t word = walk_word(w, walk_member(w, root, BYTES("type")), words, COUNT(words));
    int64_t index = number(w, root, "index");
    struct node delta = walk_member(w, root, BYTES("delta"));
    complain(c, (word == START) == (c->events == 0) || word > END, "message_start");
    if (word == BEGIN) {
        complain(c, c->open < 0 && index == c->number + 1, "block_start");
        c->open = c->number = index;
        struct node block = walk_member(w, root, BYTES("content_block"));
        more_text(c, w, walk_member(w, block, BYTES("text")));
    }
    if (word == DELTA || word == STOP) complain(c, c->open == index, "block");
    if (word == DELTA) more_text(c, w, walk_member(w, delta, BYTES("text")));
    if (word == STOP) c->open = -1;
    if (word == FINISH) c->finishes++;
    if (word == END) c->ends++;
    complain(c, c->finishes == 0 || c->open < 0, "a block is open at the end");
}

static void see_item(struct client *c, const struct walk *w, struct node root, bool done)
{
    char room[256];
    int64_t i = number(w, root, "output_index");
    struct node item = walk_member(w, root, BYTES("item"));
    struct bytes id = member(w, item, "id", room, sizeof room);
    if (i < 0 || i >= CLIENT_ITEMS) return;
    complain(c, !c->item[i].done && c->item[i].added == done, "item");
    if (done) complain(c, bytes_eq(bytes_of(c->item[i].id), id), "id of an item");
    (void)snprintf(c->item[i].id, sizeof c->item[i].id, "%.*s", (int)id.len, id.ptr);
    c->item[i].added = true;
    c->item[i].done = done;
    if (done) complain(c, !c->item[i].part, "a part is open");
    c->open += done ? -1 : 1;
}

static void see_part(struct client *c, const struct walk *w, struct node root, bool done)
{
    int64_t i = number(w, root, "output_index"), part = number(w, root, "content_index");
    if (i < 0 || i >= CLIENT_ITEMS) return;
    complain(c, c->item[i].added && !c->item[i].done && c->item[i].part == done, "part");
    complain(c, part == (int64_t)c->item[i].parts - done, "number of a part");
    if (!done) c->item[i].parts++;
    c->item[i].part = !done;
    c->item[i].text = false;
}

static void see_whole(struct client *c, const struct walk *w, struct node response)
{
    struct walk_each each;
    struct node key, item;
    char room[256], id[512], model[256];
    same(c, c->id, sizeof c->id, member(w, response, "id", id, sizeof id), "id");
    same(c, c->model, sizeof c->model, member(w, response, "model", model, sizeof model),
         "model");
    walk_begin(w, walk_member(w, response, BYTES("output")), &each);
    while (walk_next(&each, &key, &item)) {
        struct bytes one = member(w, item, "id", room, sizeof room);
        bool known = false;
        for (unsigned i = 0; i < CLIENT_ITEMS; i++) {
            known |= bytes_eq(bytes_of(c->item[i].id), one);
        }
        complain(c, known, "an item that nobody added");
    }
}

static void see_responses(struct client *c, const struct walk *w, struct node root)
{
    static const struct bytes words[] = {
        BYTES_INIT("response.output_item.added"), BYTES_INIT("response.output_item.done"),
        BYTES_INIT("response.content_part.added"), BYTES_INIT("response.content_part.done"),
        BYTES_INIT("response.output_text.delta"), BYTES_INIT("response.completed"),
        BYTES_INIT("response.incomplete"), BYTES_INIT("response.created"),
        BYTES_INIT("response.output_text.done")};
    enum { ADDED, DONE, PART, PART_DONE, DELTA, COMPLETED, INCOMPLETE, CREATED, TEXT };
    size_t word = walk_word(w, walk_member(w, root, BYTES("type")), words, COUNT(words));
    int64_t n = number(w, root, "sequence_number"), i = number(w, root, "output_index");
    char room[256];
    struct bytes of = member(w, root, "item_id", room, sizeof room);
    complain(c, n == c->number + 1, "sequence_number");
    c->number = n;
    if (of.len > 0 && i >= 0 && i < CLIENT_ITEMS) {
        complain(c, bytes_eq(bytes_of(c->item[i].id), of), "item_id");
    }
    if (word <= DONE) see_item(c, w, root, word == DONE);
    if (word == PART || word == PART_DONE) see_part(c, w, root, word == PART_DONE);
    if (word == DELTA) more_text(c, w, walk_member(w, root, BYTES("delta")));
    if ((word == DELTA || word == TEXT) && i >= 0 && i < CLIENT_ITEMS) {
        complain(c, c->item[i].part && !c->item[i].text, "no text is open");
        c->item[i].text = word == TEXT;
    }
    if (word >= COMPLETED && word <= CREATED) {
        see_whole(c, w, walk_member(w, root, BYTES("response")));
    }
    if (word != COMPLETED && word != INCOMPLETE) return;
    c->finishes++;
    c->ends++;
    complain(c, c->open < 0, "an item is open at the end");
}

static void see_gemini(struct client *c, const struct walk *w, struct node root)
{
    struct walk_each each, all;
    struct node key, candidate, part;
    char id[512], model[256];
    same(c, c->id, sizeof c->id, member(w, root, "responseId", id, sizeof id), "responseId");
    same(c, c->model, sizeof c->model, member(w, root, "modelVersion", model, sizeof model),
         "modelVersion");
    walk_begin(w, walk_member(w, root, BYTES("candidates")), &each);
    while (walk_next(&each, &key, &candidate)) {
        struct node content = walk_member(w, candidate, BYTES("content"));
        struct node finish = walk_member(w, candidate, BYTES("finishReason"));
        walk_begin(w, walk_member(w, content, BYTES("parts")), &all);
        while (walk_next(&all, &key, &part)) {
            if (walk_member(w, part, BYTES("thought")).type == JSON_TRUE) continue;
            more_text(c, w, walk_member(w, part, BYTES("text")));
        }
        if (finish.type == JSON_STRING) c->finishes++;
    }
}

void client_begin(struct client *c, enum api api)
{
    memset(c, 0, offsetof(struct client, text));
    c->api = api;
    c->number = c->open = -1;
}

void client_see(struct client *c, struct bytes data)
{
    static void (*const how[APIS])(struct client *, const struct walk *, struct node) = {
        [API_CHAT] = see_chat, [API_MESSAGES] = see_messages,
        [API_RESPONSES] = see_responses, [API_GENERATE] = see_gemini};
    struct walk_source source;
    struct walk w;
    struct node root;
    complain(c, c->ends == 0, "events behind the end");
    if (bytes_eq(data, BYTES("[DONE]"))) c->ends++;
    walk_source_of(&source, &data);
    if (!walk_open(&w, &source, NULL, &root)) return;
    how[c->api](c, &w, root);
    c->events++;
}

void client_see_all(struct client *c, struct bytes stream)
{
    struct sse sse = {0};
    struct sse_event ev;
    while (sse_next(&sse, &stream, &ev) == NET_OK) {
        if (ev.data_lines == 1) client_see(c, ev.data);
    }
    complain(c, stream.len == 0, "half an event");
}

void client_end(struct client *c)
{
    complain(c, c->finishes == 1, "finish");
    complain(c, c->usages <= 1, "usage");
    complain(c, c->api == API_GENERATE || c->ends == 1, "end");
}
