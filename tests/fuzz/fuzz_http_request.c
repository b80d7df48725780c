/* fuzz_http_request.c - properties of request heads:
 *   the end of a head is found at the same place however the bytes arrive;
 *   what stands behind the head does not change how it is read, and a part of it is refused;
 *   an accepted head, composed anew from its fields, is accepted and means the same. */
#include "fuzz.h"
#include "net/http.h"

enum { ROOM = 256 * 1024 };

/* libFuzzer's entry: borrows data; always 0. A broken property ends the program. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same_value(struct bytes a, struct bytes b)
{
    return (a.ptr == NULL) == (b.ptr == NULL) && bytes_eq(a, b);
}

/* Both heads frame and mean the same. */
static void must_agree(const struct http_head *a, const struct http_head *b)
{
    must(bytes_eq(a->method_text, b->method_text) && a->method == b->method);
    must(bytes_eq(a->target, b->target) && bytes_eq(a->path, b->path));
    must(bytes_eq(a->query, b->query) && a->framing == b->framing);
    must(a->content_length == b->content_length && a->field_count == b->field_count);
    must(a->connection_count == b->connection_count && a->keep_alive == b->keep_alive);
    must(a->expect_continue == b->expect_continue);
    must(a->upgrade_websocket == b->upgrade_websocket);
    for (size_t i = 0; i < HTTP_FIELD_COUNT; i++) must(same_value(a->field[i], b->field[i]));
}

static void check_ends(struct bytes in)
{
    size_t whole = 0, resumed = 0;
    const enum net_rc rc = http_head_end(in, &whole);
    must(rc == NET_OK || whole == in.len || in.len == 1);  /* a lone CR is left */
    const size_t step = in.len > 2000 ? in.len / 1000 : 1;  /* linear in what is fuzzed */
    for (size_t cut = 0; cut <= in.len; cut += step) {
        if (http_head_end((struct bytes){in.ptr, cut}, &resumed) != NET_OK) continue;
        must(rc == NET_OK && resumed == whole && cut >= whole);
        return;
    }
}

static void check_written(const struct http_head *head)
{
    static char room[ROOM];
    struct http_out o = {.out = room, .room = sizeof(room)};
    struct bytes at = head->fields, name, value;
    size_t count = 0;
    http_out_request(&o, head->method_text, head->target);
    for (; http_field_next(&at, &name, &value); count++) {
        http_out_field(&o, name, value);
        const enum http_field id = http_field_find(name);
        must(id >= HTTP_FIELD_COUNT || head->field[id].ptr != NULL);
    }
    must(count == head->field_count);
    http_out_end(&o);
    if (o.full || head->minor == 0) return;  /* requests are written as HTTP/1.1 only */
    struct http_head again;
    must(http_request((struct bytes){o.out, o.len}, &again) == NET_OK);
    must(again.bytes == o.len);
    must_agree(head, &again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes in = {(const char *)data, size};
    bytes_cut(&in, size ? http_blank_lines(in) : 0);
    if (in.len == 0) return 0;
    check_ends(in);
    size_t end = 0;
    const bool ended = http_head_end(in, &end) == NET_OK;
    struct http_head head, part;
    const enum net_rc rc = http_request(in, &head);
    must(rc == NET_OK || (rc == NET_BAD && head.error != HTTP_FINE));
    must(strlen(http_why(head.error)) > 0);
    if (rc != NET_OK) return 0;
    must(ended && head.bytes == end && head.error == HTTP_FINE);
    must(http_request((struct bytes){in.ptr, end}, &part) == NET_OK);
    must_agree(&head, &part);
    must(http_request((struct bytes){in.ptr, end - 1}, &part) == NET_BAD);
    must(!(head.field[HTTP_CONTENT_LENGTH].ptr && head.field[HTTP_TRANSFER_ENCODING].ptr));
    must(head.minor == 0 || head.field[HTTP_HOST].ptr);
    must(head.framing != HTTP_UNTIL_CLOSE);  /* a request never ends by close */
    check_written(&head);
    return 0;
}
