/* admin_idem.c - answers of POSTs kept for a day, for clients that repeat one because they did
 * not hear the answer (Idempotency-Key).
 *   "idem:<hash>"          time, hash of the request, status, answer
 *   "idemt:<time><hash>"   nothing: the same in the order of time, for forgetting
 * Both lie in DB_META and are written in the transaction of the change itself: the change and
 * the memory of it are there together, or neither is. hash is the SHA-256 of method, path and
 * key. Only good answers are kept: what was refused may be tried again.
 * Rule: no secret is kept. */
#include "engine/admin/admin.h"
#include "engine/admin/admin_part.h"

#include <openssl/sha.h>
#include <stdlib.h>

enum {
    HASH_HEX = 2 * SHA256_DIGEST_LENGTH,
    TIME_HEX = 16,
    NAME_MAX_BYTES = 6 + TIME_HEX + HASH_HEX,
    FORGET_MAX = 32,    /* entries forgotten at most for each one kept */
};
static const char count_name[] = "idem_count";
static const char time_prefix[] = "idemt:";
static const char note[] =
    ",\"note\":\"the secret was shown in the first answer to this Idempotency-Key\"}";

struct kept {                     /* as stored, little-endian; the answer follows */
    uint64_t unix_ns;
    uint8_t request[SHA256_DIGEST_LENGTH];   /* of query and body */
    uint32_t status;
    uint32_t len;                 /* bytes of the answer */
};
static_assert(sizeof(struct kept) == 48, "layout");

static void hex_put(char *out, const uint8_t *in, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[in[i] >> 4];
        out[2 * i + 1] = digits[in[i] & 15];
    }
}

/* Hash two texts; the first one's length goes along, so that no two pairs look alike. */
static void pair_hash(struct bytes a, struct bytes b, uint8_t out[SHA256_DIGEST_LENGTH])
{
    SHA256_CTX sha;
    uint64_t len = a.len;
    SHA256_Init(&sha);
    SHA256_Update(&sha, &len, sizeof(len));
    if (a.len > 0) SHA256_Update(&sha, a.ptr, a.len);
    if (b.len > 0) SHA256_Update(&sha, b.ptr, b.len);
    SHA256_Final(out, &sha);
}

/* "idem:<hash>" of the call. Gives its length. The method is POST, always. */
static size_t name_make(const struct admin_call *call, char out[NAME_MAX_BYTES])
{
    uint8_t hash[SHA256_DIGEST_LENGTH];
    pair_hash(call->path, call->idempotency_key, hash);
    memcpy(out, "idem:", 5);
    hex_put(out + 5, hash, sizeof(hash));
    return 5 + HASH_HEX;
}

/* "idemt:<time><hash>" of an entry of that name and time. Gives its length. */
static size_t time_name_make(const char *name, uint64_t unix_ns, char out[NAME_MAX_BYTES])
{
    uint8_t time[8];
    db_be64(time, unix_ns);
    memcpy(out, time_prefix, 6);
    hex_put(out + 6, time, sizeof(time));
    memcpy(out + 6 + TIME_HEX, name + 5, HASH_HEX);
    return NAME_MAX_BYTES;
}

static MDB_val val_of(const void *data, size_t len)
{
    return (MDB_val){len, (void *)(uintptr_t)data};  /* LMDB does not write through it */
}

static enum store_rc meta_drop(struct admin_call *call, const char *name, size_t len)
{
    struct db *db = call->host->db;
    MDB_val key = val_of(name, len);
    return db_rc(db, mdb_del(call->txn, db->dbi[DB_META], &key, NULL), "forget an answer");
}

static bool is_over(const struct admin_call *call, uint64_t unix_ns)
{
    static const uint64_t day_ns = (uint64_t)ADMIN_IDEM_S * UINT64_C(1000000000);
    return call->now_unix_ns > unix_ns && call->now_unix_ns - unix_ns >= day_ns;
}

static void answer_again(struct admin_call *call, const struct kept *kept, const char *answer)
{
    call->answer = malloc(kept->len);
    if (!call->answer) {
        admin_fault(call, 503, "overloaded", NULL, "out of memory");
        return;
    }
    memcpy(call->answer, answer, kept->len);
    call->answer_len = kept->len;
    call->status = kept->status;
}

static bool key_is_good(struct bytes key)
{
    bool good = key.len <= ADMIN_IDEM_KEY_MAX;
    for (size_t i = 0; good && i < key.len; i++) {
        unsigned char c = (unsigned char)key.ptr[i];
        good = c >= 0x20 && c != 0x7f;
    }
    return good;
}

bool admin_idem_find(struct admin_call *call)
{
    struct db *db = call->host->db;
    char name[NAME_MAX_BYTES];
    uint8_t request[SHA256_DIGEST_LENGTH];
    struct kept kept;
    assert(call->idempotency_key.len > 0);
    if (!key_is_good(call->idempotency_key)) {
        admin_fault(call, 400, "invalid_request", NULL,
                    "an Idempotency-Key has 1 to %d bytes without control bytes",
                    ADMIN_IDEM_KEY_MAX);
        return true;
    }
    MDB_val key = val_of(name, name_make(call, name)), data;
    int code = mdb_get(call->txn, db->dbi[DB_META], &key, &data);
    if (code == MDB_NOTFOUND) return false;
    if (!admin_check(call, db_rc(db, code, "read an answer"), "answer", NULL)) return true;
    bool whole = data.mv_size >= sizeof(kept);
    if (whole) memcpy(&kept, data.mv_data, sizeof(kept));
    if (!whole || kept.len != data.mv_size - sizeof(kept) || kept.status > 599) {
        admin_check(call, db_damaged(db, "a kept answer"), "answer", NULL);
        return true;
    }
    if (is_over(call, kept.unix_ns)) return false;
    pair_hash(call->query, call->body, request);
    if (memcmp(request, kept.request, sizeof(request)) == 0) {
        answer_again(call, &kept, (const char *)data.mv_data + sizeof(kept));
    } else {
        admin_fault(call, 409, "idempotency_conflict", NULL,
                    "this Idempotency-Key came with another request before");
    }
    return true;
}

/* The oldest entry's time name, its time and whether there is one. */
static enum store_rc oldest(struct admin_call *call, char name[NAME_MAX_BYTES])
{
    struct db *db = call->host->db;
    MDB_cursor *cursor;
    MDB_val key = val_of(time_prefix, 6), data;
    int code = mdb_cursor_open(call->txn, db->dbi[DB_META], &cursor);
    if (code != 0) return db_rc(db, code, "forget answers");
    code = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
    bool is_ours = code == 0 && key.mv_size == NAME_MAX_BYTES &&
                   memcmp(key.mv_data, time_prefix, 6) == 0;
    if (is_ours) memcpy(name, key.mv_data, NAME_MAX_BYTES);
    mdb_cursor_close(cursor);
    if (code == 0 && !is_ours) return STORE_NOT_FOUND;
    return db_rc(db, code, "forget answers");
}

static uint64_t time_of(const char name[NAME_MAX_BYTES])
{
    uint64_t value = 0;
    for (size_t i = 6; i < 6 + TIME_HEX; i++) {
        char c = name[i];
        value = value << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return value;
}

/* Forget an entry by its time name. */
static enum store_rc forget(struct admin_call *call, const char time_name[NAME_MAX_BYTES])
{
    char name[NAME_MAX_BYTES];
    memcpy(name, "idem:", 5);
    memcpy(name + 5, time_name + 6 + TIME_HEX, HASH_HEX);
    enum store_rc rc = meta_drop(call, name, 5 + HASH_HEX);
    return rc == STORE_OK ? meta_drop(call, time_name, NAME_MAX_BYTES) : rc;
}

/* Make room: what is over goes, and the oldest while there are too many. */
static enum store_rc make_room(struct admin_call *call, uint64_t *count)
{
    for (unsigned i = 0; i < FORGET_MAX; i++) {
        char name[NAME_MAX_BYTES];
        enum store_rc rc = oldest(call, name);
        if (rc == STORE_NOT_FOUND) return STORE_OK;
        if (rc != STORE_OK) return rc;
        if (*count < ADMIN_IDEM_MAX && !is_over(call, time_of(name))) return STORE_OK;
        rc = forget(call, name);
        if (rc != STORE_OK) return rc == STORE_NOT_FOUND ? STORE_FAIL : rc;
        if (*count > 0) (*count)--;
    }
    return STORE_OK;
}

/* An entry of this very name is over, or admin_idem_find had answered: forget it too. */
static enum store_rc forget_same(struct admin_call *call, const char *name, size_t len,
                                 uint64_t *count)
{
    struct db *db = call->host->db;
    MDB_val key = val_of(name, len), data;
    int code = mdb_get(call->txn, db->dbi[DB_META], &key, &data);
    if (code == MDB_NOTFOUND) return STORE_OK;
    if (code != 0) return db_rc(db, code, "read an answer");
    struct kept kept;
    char time_name[NAME_MAX_BYTES];
    assert(data.mv_size >= sizeof(kept));
    memcpy(&kept, data.mv_data, sizeof(kept));
    time_name_make(name, kept.unix_ns, time_name);
    if (*count > 0) (*count)--;
    return forget(call, time_name);
}

/* The answer as it is kept: a secret becomes null, and a note says so. Gives its length. */
static size_t answer_strip(const struct admin_call *call, char *out)
{
    const struct admin_work *work = call->work;
    struct bytes answer = {call->answer, call->w.len};
    if (work->secret_end == 0) {
        memcpy(out, answer.ptr, answer.len);
        return answer.len;
    }
    assert(work->secret_at < work->secret_end);
    assert(answer.ptr[answer.len - 1] == '}');
    char *at = out;
    memcpy(at, answer.ptr, work->secret_at);
    at += work->secret_at;
    memcpy(at, "null", 4);
    at += 4;
    size_t rest = answer.len - 1 - work->secret_end;
    memcpy(at, answer.ptr + work->secret_end, rest);
    at += rest;
    memcpy(at, note, sizeof(note) - 1);
    return (size_t)(at - out) + sizeof(note) - 1;
}

static enum store_rc keep(struct admin_call *call, const char *name, size_t name_len)
{
    struct db *db = call->host->db;
    struct kept kept = {.unix_ns = call->now_unix_ns, .status = call->status};
    char *out = malloc(sizeof(kept) + call->w.len + sizeof(note) + 4);
    if (!out) return STORE_FULL;
    kept.len = (uint32_t)answer_strip(call, out + sizeof(kept));
    pair_hash(call->query, call->body, kept.request);
    memcpy(out, &kept, sizeof(kept));
    MDB_val key = val_of(name, name_len), data = val_of(out, sizeof(kept) + kept.len);
    int code = mdb_put(call->txn, db->dbi[DB_META], &key, &data, 0);
    free(out);
    if (code != 0) return db_rc(db, code, "keep an answer");
    char time_name[NAME_MAX_BYTES];
    key = val_of(time_name, time_name_make(name, kept.unix_ns, time_name));
    data = val_of("", 0);
    return db_rc(db, mdb_put(call->txn, db->dbi[DB_META], &key, &data, 0), "keep an answer");
}

void admin_idem_put(struct admin_call *call)
{
    struct db *db = call->host->db;
    char name[NAME_MAX_BYTES];
    uint64_t count;
    assert(call->status < 300);
    size_t len = name_make(call, name);
    enum store_rc rc = db_meta_get(db, call->txn, count_name, &count);
    if (rc == STORE_OK) rc = forget_same(call, name, len, &count);
    if (rc == STORE_OK) rc = make_room(call, &count);
    if (rc == STORE_OK) rc = keep(call, name, len);
    if (rc == STORE_OK) rc = db_meta_put(db, call->txn, count_name, count + 1);
    admin_check(call, rc == STORE_NOT_FOUND ? STORE_FAIL : rc, "answer", NULL);
}
