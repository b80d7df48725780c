/* sign.c - see sign.h. Only translated requests are signed (Bedrock's Converse is no client's
 * API), so that the body is x->other->wire, all of it there. */
#include "engine/sign.h"
#include "engine/core.h"
#include "engine/exchange.h"
#include "engine/tables.h"
#include "engine/token.h"
#include "engine/translator.h"
#include "net/http.h"
#include "net/sigv4.h"

enum { TOKEN_ROOM = TOKEN_MAX + 64 };

static const struct catalog_provider *provider_of(const struct exchange *x, uint16_t *idx)
{
    const struct catalog *c = x->tables->catalog;
    *idx = c->model[x->model].provider;
    return &c->provider[*idx];
}

static const struct token *token_of(const struct exchange *x, uint16_t provider)
{
    return atomic_load_explicit(&x->tables->token[provider], memory_order_acquire);
}

const char *sign_lack(const struct core *core, const struct exchange *x)
{
    uint16_t i;
    if (provider_of(x, &i)->signs != SIGNS_TOKEN) return NULL;
    const struct token *t = token_of(x, i);
    return token_is_there(t, core->now_ns) ? NULL : token_why(t);
}

size_t sign_room(const struct catalog_provider *p)
{
    if (p->signs == SIGNS_AWS) return SIGV4_LINES_MAX;
    return p->signs == SIGNS_TOKEN ? TOKEN_ROOM : 0;
}

/* The value of the first of the fixed lines, which is the host (fixed.c). */
static struct bytes host_of(const struct exchange *x, uint16_t provider)
{
    struct bytes line = x->tables->fixed[provider][x->key], name = BYTES("host: ");
    assert(bytes_starts(line, name));
    bytes_cut(&line, name.len);
    line.len = bytes_find(line, '\r');
    return line;
}

static void hash_body(const struct core *core, const struct exchange *x,
                      uint8_t hash[SIGV4_HASH])
{
    SHA256_CTX sha;
    uint32_t at = x->other->wire.first, left = x->other->wire.count;
    struct bytes piece;
    (void)SHA256_Init(&sha);
    while (chain_next(&core->mem, &at, &left, &piece)) {
        (void)SHA256_Update(&sha, piece.ptr, piece.len);
    }
    (void)SHA256_Final(hash, &sha);
    explicit_bzero(&sha, sizeof sha);
}

void sign_put(const struct core *core, const struct exchange *x, struct bytes path,
              struct http_out *o)
{
    uint16_t i;
    uint8_t hash[SIGV4_HASH];
    const struct catalog_provider *p = provider_of(x, &i);
    if (p->signs == SIGNS_TOKEN) {
        bool there = token_put(token_of(x, i), core->now_ns, o);
        (void)there;
    }
    if (p->signs != SIGNS_AWS) return;
    assert(x->translated && x->other->wire.bytes > 0);
    struct sigv4_key k = {
        .id = bytes_of(p->access_key_id), .secret = bytes_of(p->secret_access_key),
        .token = bytes_of(p->session_token), .region = bytes_of(p->region),
        .service = BYTES("bedrock"),
    };
    hash_body(core, x, hash);
    size_t n = sigv4_put(&k, core->unix_ns / 1000000000u, host_of(x, i), path, hash,
                         o->out + o->len, o->room - o->len);
    if (n == 0) o->full = true;
    o->len += n;
}
