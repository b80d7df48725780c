/* forwarded.c - see forwarded.h. */
#include "net/forwarded.h"
#include "net/http.h"

/* One element: an address, and a port where the proxy adds one ("1.2.3.4:567",
 * "[2001:db8::1]:567"). */
static bool read_element(struct bytes text, struct addr *out)
{
    uint64_t port;
    if (text.len && *text.ptr == '[') {
        bytes_cut(&text, 1);
        struct bytes inside = bytes_cut(&text, bytes_find(text, ']'));
        if (text.len == 0 || bytes_find(inside, ':') == inside.len) return false;
        bytes_cut(&text, 1);
        if (!addr_parse(inside, out)) return false;
    } else {
        size_t colon = bytes_find(text, ':');
        bool six = colon < text.len && memchr(text.ptr + colon + 1, ':', text.len - colon - 1);
        if (!addr_parse(bytes_cut(&text, six ? text.len : colon), out)) return false;
    }
    if (text.len == 0) return true;
    return *text.ptr == ':' && bytes_u64((struct bytes){text.ptr + 1, text.len - 1}, &port) &&
           port <= UINT16_MAX;
}

/* Take the last element off a list; true while there are more. */
static bool last(struct bytes *list, struct bytes *element)
{
    size_t at = list->len;
    while (at > 0 && list->ptr[at - 1] != ',') at--;
    *element = bytes_trim((struct bytes){list->ptr + at, list->len - at});
    list->len = at > 0 ? at - 1 : 0;
    return at > 0;
}

enum net_rc forwarded_client(struct bytes fields, const struct addr_net *trusted, size_t count,
                             struct addr *client)
{
    struct bytes line[FORWARDED_LINES_MAX], name, value;
    struct addr found = {0};
    size_t lines = 0;
    assert(client);
    while (http_field_next(&fields, &name, &value)) {
        if (!bytes_ieq(name, BYTES("x-forwarded-for"))) continue;
        if (lines == COUNT(line)) return NET_BAD;
        line[lines++] = value;
    }
    /* lines of one field are one list (RFC 9110 section 5.2) */
    while (lines > 0) {
        struct bytes list = line[--lines], element;
        for (bool more = list.len > 0; more;) {
            more = last(&list, &element);
            if (!read_element(element, &found)) return NET_BAD;
            if (addr_net_has(trusted, count, &found)) continue;
            *client = found;
            return NET_OK;
        }
    }
    if (found.kind == ADDR_NONE) return NET_DONE;
    *client = found;
    return NET_OK;
}
