/* fuzz_openai_event.c - properties of the event and answer readers, which see the same
 * document. The first byte is the size of the answer's pieces.
 *   - a document in one piece, which is read from its index, tells what the scanner tells of
 *     it in two or more pieces; briefly read too, but for the text;
 *   - both agree on what is JSON, on usage, text, errors; pieces give what the whole gives;
 *   - an event is told alike whether one of its shape came before or not, whatever byte of it
 *     changes, comes or goes;
 *   - cutting the usage member out leaves JSON without usage that says the same otherwise;
 *   - kinds are consistent, counts are within their limits. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum net_rc read_pieces(struct api_answer_reader *r, struct bytes in, size_t step)
{
    api_answer_begin(r, API_CHAT);
    return feed_answer(r, in, step);
}

static void same_usage(const struct api_usage *a, const struct api_usage *b)
{
    must(a->present == b->present && a->absurd == b->absurd);
    must(a->input == b->input && a->cached == b->cached && a->output == b->output);
    must(a->audio_input == b->audio_input && a->audio_output == b->audio_output);
    must(a->reasoning == b->reasoning && a->cache_write == b->cache_write);
    const uint64_t max = UINT64_C(1) << 31;
    must((uint64_t)a->input + a->cached + a->audio_input + a->cache_write <= max);
    must((uint64_t)a->output + a->audio_output <= max);
    must(a->reasoning <= (uint64_t)a->output + a->audio_output);
}

static void check_cut(struct bytes in, const struct api_event *ev)
{
    struct api_event less;
    struct api_stream stream = {0};
    struct api_span cut = api_member_cut(&ev->usage_at);
    must(cut.start < cut.end && cut.end <= in.len);
    size_t len = in.len - (size_t)(cut.end - cut.start);
    char *out = malloc(len + 1);
    must(out != NULL);
    memcpy(out, in.ptr, (size_t)cut.start);
    memcpy(out + cut.start, in.ptr + cut.end, in.len - (size_t)cut.end);
    api_event_read((struct bytes){out, len}, API_CHAT, &stream, &less);
    free(out);
    must(less.kind != API_EVENT_BAD);
    if (less.usage_at.key.end > 0) return;  /* there were two of them */
    must(less.has_content == ev->has_content && less.has_finish == ev->has_finish);
    must(less.text_bytes == ev->text_bytes && less.error_status == ev->error_status);
    must(less.kind == ev->kind || ev->kind == API_EVENT_USAGE);
}

static void check_kind(const struct api_event *ev)
{
    must(ev->error_status == 0 || (ev->error_status >= 400 && ev->error_status <= 599));
    must(memchr(ev->error_text, '\0', sizeof ev->error_text) != NULL);
    if (ev->kind == API_EVENT_CONTENT) must(ev->has_content && !ev->has_finish);
    if (ev->kind == API_EVENT_FINISH) must(ev->has_finish);
    if (ev->kind == API_EVENT_META) must(!ev->has_content && !ev->has_finish);
    if (ev->text_bytes > 0) must(ev->has_content);
}

static void same_event(const struct api_event *a, const struct api_event *b)
{
    must(a->kind == b->kind && a->text_bytes == b->text_bytes);
    must(a->has_content == b->has_content && a->has_finish == b->has_finish);
    same_usage(&a->usage, &b->usage);
    must(memcmp(&a->usage_at, &b->usage_at, sizeof a->usage_at) == 0);
    must(a->usage_first == b->usage_first && a->error_status == b->error_status);
    must(strcmp(a->error_text, b->error_text) == 0);
}

/* Read text after in, whose shape may be known by then. text is at the end of its memory. */
static void check_after(struct bytes in, struct bytes text)
{
    static struct api_shapes shapes;
    struct api_event plain, like;
    struct api_stream stream = {0}, other = {0};
    memset(&shapes, 0, sizeof shapes);
    api_event_read_like(in, API_CHAT, &stream, &shapes, &like);
    api_event_read(text, API_CHAT, &other, &plain);
    api_event_read_like(text, API_CHAT, &stream, &shapes, &like);
    same_event(&plain, &like);
}

/* Bytes of data choose places and what is put there. */
static void check_shapes(struct bytes in, const uint8_t *data, size_t size)
{
    uint64_t seed = size;
    for (size_t i = 0; i < size; i++) seed = seed * 0x9E3779B97F4A7C15u + data[i];
    for (unsigned i = 0; i < 12; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        size_t at = (size_t)(seed >> 33) % (in.len + 1), gone = seed >> 8 & 3;
        size_t come = seed >> 10 & 3;
        if (i == 0) at = gone = come = 0;
        if (gone > in.len - at) gone = in.len - at;
        size_t len = in.len - gone + come;
        char *text = malloc(len + 1), *end = text;
        must(text != NULL);
        memcpy(end, in.ptr, at);
        end += at;
        for (size_t k = 0; k < come; k++) {
            *end++ = "a\"\\}\n0\xC3 9:"[(seed >> (16 + 4 * k)) % 10];
        }
        memcpy(end, in.ptr + at + gone, in.len - at - gone);
        check_after(in, (struct bytes){text, len});
        free(text);
    }
}

/* Briefly, by the index and, cut before its last byte, by the scanner. */
static void check_brief(struct bytes in, const struct api_answer *a)
{
    static struct api_answer_reader r;
    for (size_t last = 0; last < 2 && last < in.len; last++) {
        struct bytes end = in;
        api_answer_begin_brief(&r, API_CHAT);
        must(api_answer_feed(&r, bytes_cut(&end, in.len - last)) == NET_MORE);
        if (last) must(api_answer_feed(&r, end) == NET_MORE);
        must(api_answer_end(&r) == NET_DONE);
        same_usage(&a->usage, &r.ans.usage);
        must(a->error == r.ans.error && a->error_status == r.ans.error_status);
        must(strcmp(a->error_text, r.ans.error_text) == 0);
        must(a->choice_count == r.ans.choice_count);
        must(a->finish_length == r.ans.finish_length && r.ans.text_bytes == 0);
        must(a->usage_at.start == r.ans.usage_at.start);
        must(a->usage_at.end == r.ans.usage_at.end);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct api_answer_reader whole, cut;
    struct api_event ev;
    struct api_stream stream = {0};
    if (size == 0) return 0;
    struct bytes in = {(const char *)data + 1, size - 1};
    char *copy = malloc(size);
    must(copy != NULL);
    memcpy(copy, in.ptr, in.len);
    api_event_read((struct bytes){copy, in.len}, API_CHAT, &stream, &ev);
    free(copy);
    check_shapes(in, data, size);
    if (ev.kind == API_EVENT_DONE) return 0;
    enum net_rc rc = read_pieces(&whole, in, size);
    must(read_pieces(&cut, in, (size_t)data[0] + 1) == rc);
    must((rc == NET_DONE) == (ev.kind != API_EVENT_BAD));
    if (rc != NET_DONE) return 0;
    check_kind(&ev);
    const struct api_answer *a = &whole.ans, *b = &cut.ans;
    same_usage(&a->usage, &b->usage);
    same_usage(&a->usage, &ev.usage);
    must(a->text_bytes == b->text_bytes && a->text_bytes == ev.text_bytes);
    must(a->error == b->error && a->error == (ev.kind == API_EVENT_ERROR));
    must(a->error_status == b->error_status && a->error_status == ev.error_status);
    must(strcmp(a->error_text, b->error_text) == 0);
    must(strcmp(a->error_text, ev.error_text) == 0);
    must(a->choice_count == b->choice_count && a->finish_length == b->finish_length);
    must(a->usage_at.start == b->usage_at.start && a->usage_at.end == b->usage_at.end);
    check_brief(in, a);
    if (ev.usage_at.key.end > 0) check_cut(in, &ev);
    return 0;
}
