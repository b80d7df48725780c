/* tr_client.h - a strict client of a stream: it holds every event to what its dialect promises
 * (ids and names that stay, numbers that follow one another, blocks, items and parts that begin
 * once and end, one finish, one end), and keeps the text. */
#ifndef TESTS_UNIT_TR_CLIENT_H
#define TESTS_UNIT_TR_CLIENT_H

#include "net/bytes.h"
#include "net/dialect/api_kind.h"

enum { CLIENT_ITEMS = 64, CLIENT_TEXT_MAX = 1 << 19 };

struct client {              /* what it knows of a stream; bad: what it would not bear */
    enum api api;
    const char *bad;
    char id[512], model[256];
    size_t len;              /* of text */
    unsigned finishes, usages, ends, events;
    int64_t number;          /* of the last event, or block; -1 none */
    int64_t open;            /* the open block; -1 none */
    struct {
        char id[256];
        unsigned parts;
        bool added, done, part, text;
    } item[CLIENT_ITEMS];
    char text[CLIENT_TEXT_MAX];     /* last: not to be zeroed */
};

/* Begin. */
void client_begin(struct client *c, enum api api);
/* The data of one event. */
void client_see(struct client *c, struct bytes data);
/* All events of a stream, or of a part of it. */
void client_see_all(struct client *c, struct bytes stream);
/* The stream is over: it must have ended well. */
void client_end(struct client *c);

#endif
