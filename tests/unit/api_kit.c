/* api_kit.c - see api_kit.h. */
#include "api_kit.h"
#include "net/sse.h"
#include "openai_tape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <cmocka.h>

enum { PAGE = 4096, AREA = 512 * PAGE, CUTS = 150, EACH_BELOW = 3000 };

/* The first byte that must not be read; mapped once. */
static char *wall(void)
{
    static char *at;
    if (at) return at;
    char *map = mmap(NULL, AREA + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                     -1, 0);
    assert_true(map != MAP_FAILED);
    assert_int_equal(mprotect(map + AREA, PAGE, PROT_NONE), 0);
    at = map + AREA;
    return at;
}

/* text, moved to the end of readable memory. */
static struct bytes to_wall(struct bytes text)
{
    assert_true(text.len <= AREA);
    if (text.len > 0) memcpy(wall() - text.len, text.ptr, text.len);
    return (struct bytes){wall() - text.len, text.len};
}

static enum net_rc read_cut(struct api_answer_reader *r, enum api api, struct bytes text,
                            size_t cut, size_t step)
{
    api_answer_begin(r, api);
    while (text.len > 0) {
        size_t n = step ? step : cut ? cut : text.len;
        if (n > text.len) n = text.len;
        cut = 0;
        struct bytes piece = to_wall(bytes_cut(&text, n));
        if (api_answer_feed(r, piece) == NET_BAD) return NET_BAD;
    }
    return api_answer_end(r);
}

static void same_answer(const struct api_answer *a, const struct api_answer *b, bool brief)
{
    char usage[160];
    (void)snprintf(usage, sizeof usage, "%s", kit_usage(&a->usage));
    assert_string_equal(usage, kit_usage(&b->usage));
    assert_int_equal(a->usage_at.start, b->usage_at.start);
    assert_int_equal(a->usage_at.end, b->usage_at.end);
    if (!brief) assert_int_equal(a->text_bytes, b->text_bytes);
    assert_int_equal(a->choice_count, b->choice_count);
    assert_int_equal(a->error, b->error);
    assert_int_equal(a->error_status, b->error_status);
    assert_string_equal(a->error_text, b->error_text);
    assert_int_equal(a->finish_length, b->finish_length);
}

const struct api_answer *kit_answer(enum api api, struct bytes text)
{
    static struct api_answer_reader r, other;
    enum net_rc rc = read_cut(&r, api, text, 0, 0);
    uint64_t seed = text.len;
    size_t cuts = text.len < EACH_BELOW ? text.len : CUTS;
    for (size_t i = 1; i < cuts; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        size_t cut = cuts == text.len ? i : 1 + (size_t)(seed >> 33) % (text.len - 1);
        assert_int_equal(read_cut(&other, api, text, cut, 0), rc);
        if (rc == NET_DONE) same_answer(&r.ans, &other.ans, false);
    }
    for (size_t step = 1; step < 2000; step += 1 + step / 2) {
        assert_int_equal(read_cut(&other, api, text, 0, step), rc);
        if (rc == NET_DONE) same_answer(&r.ans, &other.ans, false);
    }
    if (rc != NET_DONE) return NULL;
    api_answer_begin_brief(&other, api);
    assert_int_equal(api_answer_feed(&other, to_wall(text)), NET_MORE);
    assert_int_equal(api_answer_end(&other), NET_DONE);
    same_answer(&r.ans, &other.ans, true);
    assert_int_equal(other.ans.text_bytes, 0);
    return &r.ans;
}

static void same_event(const struct api_event *a, const struct api_event *b)
{
    char usage[160];
    (void)snprintf(usage, sizeof usage, "%s", kit_usage(&a->usage));
    assert_string_equal(usage, kit_usage(&b->usage));
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->has_content, b->has_content);
    assert_int_equal(a->has_finish, b->has_finish);
    assert_int_equal(a->text_bytes, b->text_bytes);
    assert_int_equal(a->error_status, b->error_status);
    assert_string_equal(a->error_text, b->error_text);
    assert_memory_equal(&a->usage_at, &b->usage_at, sizeof a->usage_at);
}

/* A document that begins with a blank of so many bytes has no index: it is scanned. */
static struct bytes scanned(struct bytes data)
{
    enum { BLANK = 1 << 17 };
    static char room[BLANK + (1 << 20)];
    assert_true(data.len <= sizeof room - BLANK);
    memset(room, ' ', BLANK);
    memcpy(room + BLANK, data.ptr, data.len);
    return (struct bytes){room, BLANK + data.len};
}

void kit_event(enum api api, const char *data, struct api_stream *s, struct api_event *ev)
{
    struct api_stream other = *s;
    struct api_event slow;
    memset(ev, 0xAA, sizeof *ev);
    api_event_read(to_wall(bytes_of(data)), api, s, ev);
    api_event_read(scanned(bytes_of(data)), api, &other, &slow);
    slow.usage_at = ev->usage_at;
    same_event(ev, &slow);
    assert_memory_equal(s, &other, sizeof other);
}

static void count_event(struct kit_stream *out, const struct api_event *ev)
{
    if (out->contents == 0 && !ev->has_content) out->before++;
    out->events++;
    out->contents += ev->has_content;
    out->finishes += ev->has_finish;
    out->dones += ev->kind == API_EVENT_DONE;
    out->errors += ev->kind == API_EVENT_ERROR;
    out->bads += ev->kind == API_EVENT_BAD;
    out->text_bytes += ev->text_bytes;
    if (ev->usage.present) out->usage = ev->usage;
    if (ev->kind != API_EVENT_ERROR) return;
    out->error_status = ev->error_status;
    memcpy(out->error_text, ev->error_text, sizeof out->error_text);
}

void kit_stream(enum api api, struct bytes text, struct kit_stream *out)
{
    struct sse sse = {0};
    struct sse_event event;
    struct api_event ev, like;
    struct api_shapes *shapes = calloc(1, sizeof *shapes);
    struct api_stream notes = {0};
    assert_non_null(shapes);
    memset(out, 0, sizeof *out);
    while (sse_next(&sse, &text, &event) == NET_OK) {
        if (event.data_lines == 0) continue;
        assert_int_equal(event.data_lines, 1);
        struct bytes data = to_wall(event.data);
        memset(&ev, 0xAA, sizeof ev);
        memset(&like, 0xAA, sizeof like);
        api_event_read(data, api, &out->notes, &ev);
        api_event_read_like(data, api, &notes, shapes, &like);
        same_event(&ev, &like);
        assert_memory_equal(&notes, &out->notes, sizeof notes);
        count_event(out, &ev);
    }
    free(shapes);
}

const char *kit_usage(const struct api_usage *u)
{
    static char text[160];
    if (!u->present) return "none";
    (void)snprintf(text, sizeof text, "%u %u %u %u %u %u %u %u %u%s%s%s", u->input, u->cached,
                   u->cache_write, u->cache_write_1h, u->output, u->reasoning, u->audio_input,
                   u->audio_output, u->image_input, u->absurd ? " absurd" : "",
                   u->open ? " open" : "", u->nothing ? " nothing" : "");
    return text;
}

uint32_t kit_number(struct bytes doc, const char *path)
{
    struct bytes text;
    uint64_t value;
    if (!tape_path(doc, path, &text) || !bytes_u64(text, &value)) return 0;
    return (uint32_t)value;
}

struct bytes kit_find(struct bytes doc, const char *path)
{
    struct bytes text;
    if (!tape_path(doc, path, &text)) fail_msg("no %s in %.*s", path, (int)doc.len, doc.ptr);
    return text;
}
