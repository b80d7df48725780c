/* control.c - see control.h. What no code stands behind yet is refused, never ignored. */
#include "engine/control.h"
#include "engine/exchange.h"
#include "net/http.h"

bool control_seconds(struct bytes text, uint64_t *ns)
{
    size_t dot = bytes_find(text, '.');
    struct bytes whole = {text.ptr, dot}, part = {0};
    uint64_t seconds, fraction = 0;
    if (dot < text.len) part = bytes_between(text.ptr + dot + 1, text.ptr + text.len);
    if (!bytes_u64(whole, &seconds) || seconds > 86400 || part.len > 9) return false;
    if (dot < text.len && !bytes_u64(part, &fraction)) return false;
    for (size_t i = part.len; i < 9; i++) fraction *= 10;
    *ns = seconds * 1000000000u + fraction;
    return *ns > 0 && *ns <= 86400 * 1000000000ull;
}

bool control_tags(struct bytes text)
{
    if (text.len == 0 || text.len > RECORD_TAGS_MAX) return false;
    while (text.len > 0) {
        struct bytes tag = bytes_cut(&text, bytes_find(text, ','));
        size_t eq = bytes_find(tag, '=');
        if (eq == 0 || eq == tag.len) return false;
        for (size_t i = 0; i < tag.len; i++) {
            if (tag.ptr[i] <= ' ' || tag.ptr[i] > '~') return false;
        }
        if (text.len == 1) return false;  /* a comma and nothing behind it */
        if (text.len > 0) bytes_cut(&text, 1);
    }
    return true;
}

static const char *not_built(const struct http_head *head)
{
    struct bytes mode = head->field[HTTP_X_WEIR_MODE];
    struct bytes priority = head->field[HTTP_X_WEIR_PRIORITY];
    if (mode.ptr && !bytes_eq(mode, BYTES("balanced"))) {
        bool known = bytes_eq(mode, BYTES("cost")) || bytes_eq(mode, BYTES("latency")) ||
                     bytes_eq(mode, BYTES("availability"));
        return known ? "x-weir-mode other than balanced is not in this release"
                     : "x-weir-mode must be one of balanced, cost, latency, availability";
    }
    if (head->field[HTTP_X_WEIR_MAX_TTFT].ptr) return "x-weir-max-ttft is not in this release";
    if (priority.ptr && !bytes_eq(priority, BYTES("normal"))) {
        return "x-weir-priority other than normal is not in this release";
    }
    if (head->field[HTTP_X_WEIR_SESSION].ptr) return "x-weir-session is not in this release";
    return NULL;
}

const char *control_read(struct exchange *x, const struct http_head *head)
{
    struct bytes timeout = head->field[HTTP_X_WEIR_TIMEOUT];
    struct bytes tags = head->field[HTTP_X_WEIR_TAGS];
    struct bytes alone = head->field[HTTP_X_WEIR_NO_FALLBACK];
    if (timeout.ptr && !control_seconds(timeout, &x->timeout_ns)) {
        return "x-weir-timeout must be seconds above 0 and up to 86400, such as 30 or 1.5";
    }
    if (tags.ptr) {
        if (!control_tags(tags)) {
            return "x-weir-tags must be name=value pairs joined by commas, at most 128 bytes";
        }
        memcpy(x->rec.tags, tags.ptr, tags.len);
    }
    if (alone.ptr && !bytes_eq(alone, BYTES("1")) && !bytes_eq(alone, BYTES("0"))) {
        return "x-weir-no-fallback must be 1 or 0";
    }
    x->control.no_fallback = alone.ptr && *alone.ptr == '1';
    return not_built(head);
}
