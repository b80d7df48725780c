/* tr_kit.c - see tr_kit.h. Model: pieces stand in one memory, a byte of rubbish behind each;
 * a window is memory of its own, so that a byte too far shows. */
#include "net/json.h"
#include "tr_kit.h"

#include <stdlib.h>

static void *must(void *memory)
{
    if (!memory) abort();
    return memory;
}

static struct bytes piece_of(void *arg, uint64_t at)
{
    const struct kit_pieces *k = arg;
    size_t i = (size_t)at / k->step, in = (size_t)at % k->step;
    size_t end = (i + 1) * k->step < k->len ? k->step : k->len - i * k->step;
    assert(at < k->len);
    return (struct bytes){k->room + i * (k->step + 1) + in, end - in};
}

struct walk_source kit_pieces(struct kit_pieces *k, struct bytes text, size_t step)
{
    if (step == 0) step = text.len + 1;
    size_t room = text.len + text.len / step + 1;
    *k = (struct kit_pieces){.room = must(malloc(room)), .step = step, .len = text.len};
    memset(k->room, 0xFF, room);
    for (size_t at = 0; at < text.len; at += step) {
        size_t n = text.len - at < step ? text.len - at : step;
        memcpy(k->room + at / step * (step + 1), text.ptr + at, n);
    }
    return (struct walk_source){.piece = piece_of, .arg = k, .size = text.len};
}

void kit_pieces_free(struct kit_pieces *k)
{
    free(k->room);
    *k = (struct kit_pieces){0};
}

static void keep(struct kit_pen *k, const char *at, size_t n)
{
    if (k->len + n > k->room) {
        k->room = (k->len + n) * 2;
        k->out = must(realloc(k->out, k->room));
    }
    if (n > 0) memcpy(k->out + k->len, at, n);
    k->len += n;
}

static bool more(struct pen *p)
{
    struct kit_pen *k = p->arg;
    keep(k, p->at, p->len);
    free(k->at);
    k->at = NULL;
    if (k->limit > 0 && k->len >= k->limit) return false;
    p->at = k->at = must(malloc(k->window));
    p->room = k->window;
    p->len = 0;
    return true;
}

static bool view(struct pen *p, uint64_t from, uint64_t to)
{
    struct kit_pen *k = p->arg;
    assert(p->len == 0);
    k->views++;
    while (from < to) {
        struct bytes b = k->source->piece(k->source->arg, from);
        if (b.len > to - from) b.len = (size_t)(to - from);
        keep(k, b.ptr, b.len);
        from += b.len;
    }
    return true;
}

void kit_pen(struct kit_pen *k, size_t window, const struct walk_source *source)
{
    *k = (struct kit_pen){.window = window < PEN_NEED_MAX ? PEN_NEED_MAX : window,
                          .source = source};
    pen_init(&k->pen, NULL, 0);
    k->pen.more = more;
    if (source) k->pen.view = view;
    k->pen.arg = k;
}

struct bytes kit_pen_text(struct kit_pen *k)
{
    keep(k, k->pen.at, k->pen.len);
    k->pen.wrote += k->pen.len;
    k->pen.len = 0;
    return (struct bytes){k->out, k->len};
}

void kit_pen_free(struct kit_pen *k)
{
    free(k->out);
    free(k->at);
    *k = (struct kit_pen){0};
}

bool kit_is_json(struct bytes text)
{
    struct json j;
    struct json_token t;
    enum net_rc rc;
    json_init(&j, JSON_DEPTH_MAX);
    while ((rc = json_next(&j, &text, &t)) == NET_OK) continue;
    if (rc == NET_BAD) return false;
    while ((rc = json_finish(&j, &t)) == NET_OK) continue;
    return rc == NET_DONE;
}
