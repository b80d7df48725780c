/* fuzz_http_response.c - properties of response heads: one end however the bytes arrive, a
 * part is refused, a head composed anew from its fields means the same, no body where the
 * status or the method allows none. */
#include "fuzz.h"
#include "net/http.h"

enum { ROOM = 256 * 1024 };

/* libFuzzer's entry: borrows data; always 0. A broken property ends the program. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_agree(const struct http_head *a, const struct http_head *b)
{
    must(a->status == b->status && a->framing == b->framing);
    must(a->content_length == b->content_length && a->field_count == b->field_count);
    must(a->connection_count == b->connection_count && a->keep_alive == b->keep_alive);
    for (size_t i = 0; i < HTTP_FIELD_COUNT; i++) {
        must((a->field[i].ptr == NULL) == (b->field[i].ptr == NULL));
        must(bytes_eq(a->field[i], b->field[i]));
    }
}

static void check_written(const struct http_head *head)
{
    static char room[ROOM];
    struct http_out o = {.out = room, .room = sizeof(room)};
    struct bytes at = head->fields, name, value;
    http_out_status(&o, head->status);
    while (http_field_next(&at, &name, &value)) http_out_field(&o, name, value);
    http_out_end(&o);
    if (o.full || head->minor == 0) return;
    struct http_head again;
    must(http_response((struct bytes){o.out, o.len}, false, &again) == NET_OK);
    must(again.bytes == o.len);
    must_agree(head, &again);
}

static void check_dates(const struct http_head *head)
{
    uint64_t unix_s;
    char text[30];
    if (!http_date_parse(head->field[HTTP_DATE], &unix_s)) return;
    must(http_date(unix_s, text) == 29);
    must(bytes_eq(bytes_of(text), head->field[HTTP_DATE]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct bytes in = {(const char *)data, size};
    struct http_head head, other;
    if (size == 0) return 0;
    const enum net_rc rc = http_response(in, false, &head);
    const enum net_rc to_head = http_response(in, true, &other);
    must(rc == to_head);  /* HEAD changes the body, not what is well-formed */
    must(rc == NET_OK || (rc == NET_BAD && head.error != HTTP_FINE));
    if (rc != NET_OK) return 0;
    must(other.framing == HTTP_NO_BODY && other.content_length == 0);
    size_t end = 0, resumed = 0;
    must(http_head_end(in, &end) == NET_OK && end == head.bytes);
    for (size_t cut = 0; cut < end; cut++)
        must(http_head_end((struct bytes){in.ptr, cut}, &resumed) == NET_MORE);
    must(http_response((struct bytes){in.ptr, end - 1}, false, &other) == NET_BAD);
    must(http_response((struct bytes){in.ptr, end}, false, &other) == NET_OK);
    must_agree(&head, &other);
    if (head.status < 200 || head.status == 204 || head.status == 304)
        must(head.framing == HTTP_NO_BODY);
    must(head.framing != HTTP_UNTIL_CLOSE || !head.keep_alive);
    must(head.status >= 100 && head.status <= 599);
    check_written(&head);
    check_dates(&head);
    return 0;
}
