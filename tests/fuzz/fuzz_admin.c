/* fuzz_admin.c - properties of what the admin API reads, for any bytes. An input is a letter
 * (which route of the table), a query up to the first line end, and a body:
 *   1. it is refused with one fault of status 400 that says something, or every value taken is
 *      what its type promises and nothing required is missing;
 *   2. what was taken, written again, is taken again as the same values;
 *   3. a policy that was taken is sound, and its JSON makes the same policy; money is within
 *      its bounds, and its text is the same money;
 *   4. routing takes any path, and a path of the table finds its entry. */
#include "engine/admin/admin.h"
#include "engine/admin/admin_part.h"
#include "store/org.h"

#include <stdlib.h>

#define REQUIRE(x) do { if (!(x)) abort(); } while (0)

enum { ROOM = 64 << 10 };

static bool has_end(const struct admin_value *v)
{
    return memchr(v->text, '\0', sizeof(v->text)) != NULL;
}

static void check_text(const char *text)
{
    REQUIRE(text[0]);
    for (; *text; text++) REQUIRE((unsigned char)*text >= 0x20 && *text != 0x7f);
}

static void check_value(const struct admin_field *f, const struct admin_value *v)
{
    REQUIRE(has_end(v));
    REQUIRE(!f->refused && !f->later);
    REQUIRE(!v->null || (f->nullable && v->number == 0 && !v->text[0]));
    if (v->null) return;
    switch (f->type) {
    case ADMIN_EMAIL:
        REQUIRE(strchr(v->text, '@') && !strchr(v->text, ' '));
        check_text(v->text);
        break;
    case ADMIN_NAME: check_text(v->text); break;
    case ADMIN_WORD:
        for (uint64_t i = 0; i <= v->number; i++) REQUIRE(f->words[i]);
        REQUIRE(strcmp(f->words[v->number], v->text) == 0);
        break;
    case ADMIN_ID:
        REQUIRE(store_id_is_valid(v->number));
        REQUIRE(f->kinds & 1u << store_id_kind(v->number));
        break;
    case ADMIN_TIME: REQUIRE(v->number <= UINT64_C(16756761600) * 1000000000); break;
    case ADMIN_SPAN:
        REQUIRE(v->number <= (uint64_t)ADMIN_SPAN_S_MAX * 1000000000);
        break;
    case ADMIN_COUNT: REQUIRE(v->number >= 1 && v->number <= f->high); break;
    case ADMIN_FLAG: REQUIRE(v->number <= 1); break;
    case ADMIN_GROUPS: REQUIRE(v->number < 2 * GROUP_MONTH); break;
    case ADMIN_ROW: REQUIRE(v->number != 0); break;
    case ADMIN_MONEY:
        REQUIRE((int64_t)v->number <= LIMIT_NUSD_MAX);
        REQUIRE((int64_t)v->number >= (f->is_signed ? -LIMIT_NUSD_MAX : 0));
        break;
    case ADMIN_CREDIT: REQUIRE(v->number != 0); break;
    case ADMIN_LIMITS: REQUIRE(!v->text[0]); break;
    case ADMIN_POLICY: break;
    case ADMIN_GLOBS:
    case ADMIN_REGIONS:
    case ADMIN_SHARE:
    case ADMIN_BOOL:
    case ADMIN_RATE: REQUIRE(false);   /* of a policy, never by themselves */
    }
}

static void check_fault(const struct admin_fault *f)
{
    REQUIRE(f->status == 400 && f->code[0] && f->message[0]);
    REQUIRE(f->pointer[0] == '\0' || f->pointer[0] == '/');
    REQUIRE(memchr(f->pointer, '\0', sizeof(f->pointer)));
    REQUIRE(memchr(f->message, '\0', sizeof(f->message)));
}

/* Run both readers; false: refused. */
static bool take(struct admin_call *call, struct admin_work *work,
                 const struct admin_route *route)
{
    memset(work, 0, sizeof(*work));
    work->route = route;
    call->work = work;
    admin_query_read(call);
    if (!admin_has_fault(call)) admin_body_read(call);
    return !admin_has_fault(call);
}

static void check_all(struct admin_call *call)
{
    const struct admin_route *r = call->work->route;
    for (size_t i = 0; r->query && r->query[i].name; i++) {
        const struct admin_value *v = &call->work->query[i];
        REQUIRE(v->given || v->number == r->query[i].otherwise);
        if (v->given) check_value(&r->query[i], v);
    }
    for (size_t i = 0; r->body && r->body[i].name; i++) {
        const struct admin_value *v = &call->work->body[i];
        REQUIRE(v->given || !r->body[i].required);
        if (v->given) check_value(&r->body[i], v);
        bool has_limits = v->given && r->body[i].type == ADMIN_LIMITS;
        for (int w = 0; has_limits && w < WINDOWS; w++) {
            REQUIRE(call->work->limits.nusd[w] >= LIMIT_NONE);
            REQUIRE(call->work->limits.nusd[w] <= LIMIT_NUSD_MAX);
        }
    }
}

/* ---- writing again */

static void put_value(struct jsonw *w, const struct admin_field *f, const struct admin_value *v)
{
    jsonw_key(w, f->name);
    if (v->null) jsonw_null(w);
    else if (f->type == ADMIN_TIME) admin_put_time(w, v->number);
    else if (f->type == ADMIN_MONEY) jsonw_fixed_text(w, (int64_t)v->number, 9);
    else jsonw_text(w, v->text);
}

static void put_limits(struct jsonw *w, const struct limits *limits)
{
    jsonw_key(w, "limits");
    jsonw_array(w);
    for (unsigned i = 0; i < WINDOWS; i++) {
        if (limits->nusd[i] == LIMIT_NONE) continue;
        jsonw_object(w);
        admin_put_money(w, "usd", limits->nusd[i]);
        jsonw_key(w, "window");
        jsonw_text(w, window_name((enum window)i));
        jsonw_object_end(w);
    }
    jsonw_array_end(w);
}

static struct bytes write_body(struct admin_call *call, const struct policy *policy, char *room)
{
    const struct admin_route *r = call->work->route;
    struct jsonw w;
    jsonw_init(&w, room, ROOM);
    jsonw_object(&w);
    for (size_t i = 0; r->body && r->body[i].name; i++) {
        const struct admin_value *v = &call->work->body[i];
        if (!v->given) continue;
        if (r->body[i].type == ADMIN_POLICY) admin_put_policy(&w, policy);
        else if (r->body[i].type == ADMIN_LIMITS) put_limits(&w, &call->work->limits);
        else put_value(&w, &r->body[i], v);
    }
    jsonw_object_end(&w);
    REQUIRE(!w.full);
    return (struct bytes){room, w.len};
}

/* Every byte of every value as %XX. */
static struct bytes write_query(struct admin_call *call, char *room)
{
    static const char digits[] = "0123456789ABCDEF";
    const struct admin_route *r = call->work->route;
    size_t len = 0;
    for (size_t i = 0; r->query && r->query[i].name; i++) {
        const struct admin_value *v = &call->work->query[i];
        if (!v->given) continue;
        if (len) room[len++] = '&';
        for (const char *c = r->query[i].name; *c; c++) room[len++] = *c;
        room[len++] = '=';
        for (const char *c = v->text; *c; c++) {
            room[len++] = '%';
            room[len++] = digits[(unsigned char)*c >> 4];
            room[len++] = digits[*c & 15];
        }
    }
    return (struct bytes){room, len};
}

/* Was any text longer than what is kept of it? Then it cannot be written again. */
static bool is_cut(const struct admin_work *work)
{
    for (size_t i = 0; i < ADMIN_FIELDS_MAX; i++) {
        if (strlen(work->query[i].text) + 1 == sizeof(work->query[i].text)) return true;
    }
    return false;
}

static void same_values(const struct admin_work *a, const struct admin_work *b)
{
    for (size_t i = 0; i < ADMIN_FIELDS_MAX; i++) {
        REQUIRE(a->query[i].given == b->query[i].given);
        REQUIRE(a->query[i].number == b->query[i].number);
        REQUIRE(a->body[i].given == b->body[i].given);
        REQUIRE(a->body[i].number == b->body[i].number);
    }
    REQUIRE(memcmp(&a->limits, &b->limits, sizeof(a->limits)) == 0);
}

static void check_again(struct admin_call *call, struct admin_work *work)
{
    static struct admin_work again;
    static char body[ROOM], query[ROOM];
    struct policy policy = {0}, second = {0};
    if (!admin_policy_change(call, &policy)) {
        check_fault(&work->fault);
        return;
    }
    REQUIRE(policy_is_sound(&policy));
    if (is_cut(work)) return;
    call->body = write_body(call, &policy, body);
    call->query = write_query(call, query);
    REQUIRE(take(call, &again, work->route));
    same_values(work, &again);
    REQUIRE(admin_policy_change(call, &second));
    REQUIRE(policy.len == second.len && memcmp(policy.blob, second.blob, policy.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct admin_work work;
    if (size == 0) return 0;
    struct bytes in = {(const char *)data, size};
    (void)admin_writes((enum http_method)(data[0] % (HTTP_OTHER + 1)), in);
    size_t letter = (size_t)(unsigned char)*bytes_cut(&in, 1).ptr - 'a';
    const struct admin_route *route = &admin_routes[letter % admin_route_count];
    if (route->state != ROUTE_HERE) return 0;
    REQUIRE(admin_writes(route->method, bytes_of(route->pattern)) ==
            (route->needs == NEEDS_WRITE));
    struct admin_call call = {.method = route->method, .path = bytes_of(route->pattern)};
    call.query = bytes_cut(&in, bytes_find(in, '\n'));
    if (in.len > 0) bytes_cut(&in, 1);
    call.body = in;
    if (!take(&call, &work, route)) {
        check_fault(&work.fault);
        return 0;
    }
    check_all(&call);
    check_again(&call, &work);
    return 0;
}
