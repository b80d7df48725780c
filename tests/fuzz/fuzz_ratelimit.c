/* fuzz_ratelimit.c - a head's word on rate limits: whatever a provider writes, what is read of
 * it is in bounds, does not depend on the case of names, and where no name comes twice, not
 * even with its words in another order, not on the order of the lines; a time is the same with
 * zeros in front of it. The input's first eight bytes are the time now, each line of the rest
 * is a field line. */
#include "net/ratelimit.h"
#include "tests/fuzz/fuzz.h"

enum { SIZE_MAX_IN = 2000, LINES_MAX = RATELIMIT_KINDS_MAX };

struct lines {
    struct bytes at[LINES_MAX];
    size_t count;
};

/* libFuzzer's entry: borrows data; always 0. A broken property ends the program. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_bounds(const struct ratelimit *r)
{
    must(r->room <= RATELIMIT_ONE && r->wait_ms <= RATELIMIT_MS_MAX);
    must(r->reset_ms <= RATELIMIT_MS_MAX && (r->said || r->room == RATELIMIT_ONE));
    must(r->wait_ms == 0 || r->room == 0);
}

/* Do two names have the same letters? */
static bool is_like(struct bytes a, struct bytes b)
{
    int count[256] = {0};
    for (size_t i = 0; i < a.len; i++) count[(uint8_t)byte_lower(a.ptr[i])]++;
    for (size_t i = 0; i < b.len; i++) count[(uint8_t)byte_lower(b.ptr[i])]--;
    for (int i = 0; i < 256; i++) {
        if (count[i] && i != '-') return false;
    }
    return true;
}

/* False: there are more, or two of one name. */
static bool split(struct bytes all, struct lines *out)
{
    out->count = 0;
    while (all.len > 0) {
        struct bytes line = bytes_cut(&all, bytes_find(all, '\n'));
        if (all.len > 0) bytes_cut(&all, 1);
        struct bytes name = {line.ptr, bytes_find(line, ':')};
        for (size_t i = 0; i < out->count; i++) {
            struct bytes other = {out->at[i].ptr, bytes_find(out->at[i], ':')};
            if (is_like(name, other)) return false;
        }
        if (out->count == LINES_MAX) return false;
        out->at[out->count++] = line;
    }
    return true;
}

static void check_same(struct bytes head, uint64_t now_ns, const struct ratelimit *want)
{
    struct ratelimit r;
    ratelimit_read(head, now_ns, &r);
    must(r.said == want->said && r.room == want->room && r.wait_ms == want->wait_ms);
    must(r.reset_ms == want->reset_ms);
}

static void check_case(struct bytes head, uint64_t now_ns, const struct ratelimit *want)
{
    char *text = malloc(head.len + 1);
    must(text);
    bool name = true;
    for (size_t i = 0; i < head.len; i++) {
        char c = head.ptr[i];
        if (c == ':') name = false;
        if (c == '\n') name = true;
        text[i] = name && c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
    }
    check_same((struct bytes){text, head.len}, now_ns, want);
    free(text);
}

static void check_order(struct bytes head, uint64_t now_ns, const struct ratelimit *want)
{
    struct lines lines;
    if (!split(head, &lines)) return;
    char *text = malloc(head.len + 2);
    must(text);
    size_t len = 0;
    for (size_t i = lines.count; i-- > 0;) {
        if (lines.at[i].len) memcpy(text + len, lines.at[i].ptr, lines.at[i].len);
        len += lines.at[i].len;
        text[len++] = '\n';
    }
    check_same((struct bytes){text, len}, now_ns, want);
    free(text);
}

static void check_time(struct bytes text, uint64_t now_ns)
{
    uint64_t ms = 0, again = 0;
    char longer[64];
    bool ok = ratelimit_time(text, now_ns, &ms);
    must(!ok || ms <= RATELIMIT_MS_MAX);
    bool number = text.len > 0 && *text.ptr >= '0' && *text.ptr <= '9';
    if (!ok || !number || text.len > 12 || bytes_find(text, '-') < text.len) return;
    memcpy(longer, "000", 3);
    memcpy(longer + 3, text.ptr, text.len);
    must(ratelimit_time((struct bytes){longer, text.len + 3}, now_ns, &again) && again == ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t now_ns;
    if (size < sizeof now_ns || size > SIZE_MAX_IN) return 0;
    memcpy(&now_ns, data, sizeof now_ns);
    struct bytes head = {(const char *)data + sizeof now_ns, size - sizeof now_ns};
    struct ratelimit r;
    ratelimit_read(head, now_ns, &r);
    check_bounds(&r);
    check_case(head, now_ns, &r);
    check_order(head, now_ns, &r);
    struct bytes value = head;
    bytes_cut(&value, bytes_find(value, ':'));
    if (value.len > 0) bytes_cut(&value, 1);
    value.len = bytes_find(value, '\n');
    check_time(value, now_ns);
    return 0;
}
