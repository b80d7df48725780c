/* eventstream.c - see eventstream.h. Nothing is kept between calls: what an unfinished message
 * costs again is its first 12 bytes. A message whose kind nobody says is an event. */
#include "net/eventstream.h"

enum { PRELUDE = 12, CRC_BYTES = 4 };

uint32_t eventstream_crc(uint32_t crc, struct bytes more)
{
    /* half a byte at a time: remainders of 0..15 */
    static const uint32_t nibble[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    crc = ~crc;
    for (size_t i = 0; i < more.len; i++) {
        crc ^= (uint8_t)more.ptr[i];
        crc = crc >> 4 ^ nibble[crc & 15];
        crc = crc >> 4 ^ nibble[crc & 15];
    }
    return ~crc;
}

static uint32_t number(const char *p)
{
    uint32_t value = 0;
    for (size_t i = 0; i < 4; i++) value = value << 8 | (uint8_t)p[i];
    return value;
}

/* Cut a value of this type off *in; *out: its bytes, where it is text or bytes. False: there is
 * no such type, or it does not fit. */
static bool cut_value(struct bytes *in, uint8_t type, struct bytes *out)
{
    enum { BYTES_TYPE = 6, TEXT = 7, TYPES = 10 };
    static const uint8_t sizes[TYPES] = {0, 0, 1, 2, 4, 8, 2, 2, 8, 16};
    *out = (struct bytes){0};
    if (type >= TYPES || in->len < sizes[type]) return false;
    struct bytes head = bytes_cut(in, sizes[type]);
    if (type != BYTES_TYPE && type != TEXT) return true;
    size_t len = (size_t)(uint8_t)head.ptr[0] << 8 | (uint8_t)head.ptr[1];
    if (in->len < len) return false;
    *out = bytes_cut(in, len);
    return true;
}

static void take_kind(struct eventstream_message *m, struct bytes value)
{
    if (bytes_eq(value, BYTES("exception"))) m->kind = EVENTSTREAM_EXCEPTION;
    else if (bytes_eq(value, BYTES("error"))) m->kind = EVENTSTREAM_ERROR;
}

static bool read_headers(struct bytes in, struct eventstream_message *m)
{
    struct bytes named[3] = {{0}}, value;
    while (in.len > 0) {
        size_t len = (uint8_t)*bytes_cut(&in, 1).ptr;
        if (len == 0 || in.len < len + 1) return false;
        struct bytes name = bytes_cut(&in, len);
        uint8_t type = (uint8_t)*bytes_cut(&in, 1).ptr;
        if (!cut_value(&in, type, &value)) return false;
        if (bytes_eq(name, BYTES(":message-type"))) take_kind(m, value);
        else if (bytes_eq(name, BYTES(":event-type"))) named[EVENTSTREAM_EVENT] = value;
        else if (bytes_eq(name, BYTES(":exception-type"))) named[EVENTSTREAM_EXCEPTION] = value;
        else if (bytes_eq(name, BYTES(":error-code"))) named[EVENTSTREAM_ERROR] = value;
        else if (bytes_eq(name, BYTES(":error-message"))) m->text = value;
    }
    m->name = named[m->kind];
    return true;
}

enum net_rc eventstream_next(struct bytes *in, struct eventstream_message *m, size_t *need)
{
    *need = PRELUDE;
    if (in->len < PRELUDE) return NET_MORE;
    size_t total = number(in->ptr), headers = number(in->ptr + 4);
    uint32_t crc = eventstream_crc(0, (struct bytes){in->ptr, PRELUDE - CRC_BYTES});
    if (crc != number(in->ptr + PRELUDE - CRC_BYTES)) return NET_BAD;
    if (total < EVENTSTREAM_MIN || total > EVENTSTREAM_MAX) return NET_BAD;
    if (headers > EVENTSTREAM_HEADERS_MAX || headers > total - EVENTSTREAM_MIN) return NET_BAD;
    *need = total;
    if (in->len < total) return NET_MORE;
    struct bytes body = {in->ptr, total - CRC_BYTES};
    bytes_cut(&body, PRELUDE - CRC_BYTES);
    crc = eventstream_crc(crc, body);  /* goes on behind what the prelude's covered */
    bytes_cut(&body, CRC_BYTES);
    if (crc != number(in->ptr + total - CRC_BYTES)) return NET_BAD;
    *m = (struct eventstream_message){0};
    if (!read_headers(bytes_cut(&body, headers), m)) return NET_BAD;
    m->payload = body;
    bytes_cut(in, total);
    assert(m->payload.len == total - EVENTSTREAM_MIN - headers);
    return NET_OK;
}
