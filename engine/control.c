/* control.c - see control.h. */
#include "engine/control.h"
#include "engine/exchange.h"
#include "engine/sticky.h"
#include "net/http.h"
#include "route/plan.h"

enum { SESSION_MAX = 256 };     /* bytes of a session's name */

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

static const char *read_mode(struct control *c, struct bytes word)
{
    int mode = plan_mode_of(word);
    if (mode < 0) {
        return "x-weir-mode must be one of balanced, cost, latency, availability";
    }
    c->mode = (uint8_t)(1 + mode);
    return NULL;
}

static const char *read_priority(struct control *c, struct bytes word)
{
    static const char *const words[] = {
        [PRIORITY_NORMAL] = "normal", [PRIORITY_LOW] = "low", [PRIORITY_HIGH] = "high",
    };
    for (size_t i = 0; i < COUNT(words); i++) {
        if (bytes_eq(word, bytes_of(words[i]))) c->priority = (uint8_t)(1 + i);
    }
    return c->priority ? NULL : "x-weir-priority must be one of low, normal, high";
}

static const char *read_session(struct exchange *x, struct bytes name)
{
    if (name.len == 0 || name.len > SESSION_MAX) {
        return "x-weir-session must be a name of 1 to 256 bytes";
    }
    x->control.session = sticky_hash(sticky_seed(x->key_hash), name);
    return NULL;
}

unsigned control_cascade_of(struct bytes word)
{
    static const char *const words[] = {
        [ASKS_NO_CASCADE] = "never", [ASKS_CHECK] = "check", [ASKS_AGREE_2] = "agree=2",
        [ASKS_AGREE_3] = "agree=3",
    };
    for (unsigned i = ASKS_NO_CASCADE; i < COUNT(words); i++) {
        if (bytes_eq(word, bytes_of(words[i]))) return i;
    }
    return 0;
}

static const char *read_cascade(struct control *c, struct bytes word)
{
    c->cascade = (uint8_t)control_cascade_of(word);
    return c->cascade ? NULL : "x-weir-cascade must be one of never, check, agree=2, agree=3";
}

/* What steers the choice. */
static const char *read_choice(struct exchange *x, const struct http_head *head)
{
    struct bytes mode = head->field[HTTP_X_WEIR_MODE];
    struct bytes ttft = head->field[HTTP_X_WEIR_MAX_TTFT];
    struct bytes priority = head->field[HTTP_X_WEIR_PRIORITY];
    struct bytes session = head->field[HTTP_X_WEIR_SESSION];
    struct bytes cascade = head->field[HTTP_X_WEIR_CASCADE];
    const char *wrong = NULL;
    if (mode.ptr) wrong = read_mode(&x->control, mode);
    if (!wrong && ttft.ptr && !control_seconds(ttft, &x->control.max_ttft_ns)) {
        wrong = "x-weir-max-ttft must be seconds above 0 and up to 86400, such as 2 or 0.5";
    }
    if (!wrong && priority.ptr) wrong = read_priority(&x->control, priority);
    if (!wrong && session.ptr) wrong = read_session(x, session);
    if (!wrong && cascade.ptr) wrong = read_cascade(&x->control, cascade);
    return wrong;
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
    return read_choice(x, head);
}
