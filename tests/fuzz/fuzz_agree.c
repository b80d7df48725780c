/* fuzz_agree.c - gists of answers: however they are cut they are the same, what the project's
 * own reader takes for JSON is JSON here too, and no word of an answer is left behind. The
 * first byte: what it is told as, and the size of the pieces. */
#include "fuzz.h"
#include "net/translate/agree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { AS_TEXT, AS_JSON, AS_CALL, AS_INPUT, WAYS };

/* Told in pieces of step bytes, each in memory of its own. */
static struct agree told(struct bytes in, unsigned way, size_t step)
{
    struct agree_reader r, zeros;
    bool call = way == AS_CALL || way == AS_INPUT;
    struct tell t = {.kind = TELL_OPEN, .block = call ? TELL_CALL : TELL_TEXT,
                     .name = BYTES("f"), .custom = way == AS_INPUT};
    agree_begin(&r, way == AS_JSON);
    must(agree_take(&r, &t));
    t.kind = TELL_MORE;
    t.value = way == AS_CALL;
    struct bytes piece;
    while (piece_next(&in, step, &piece)) {
        t.text = piece;
        must(agree_take(&r, &t));
        piece_free(piece);
    }
    struct agree a = agree_end(&r);
    memset(&zeros, 0, sizeof zeros);
    must(memcmp(&r, &zeros, sizeof r) == 0);
    return a;
}

/* Does the reader of JSON take all of it for one document, no deeper than gists go? */
static bool is_json(struct bytes in)
{
    struct json j;
    struct json_token t;
    json_init(&j, GIST_DEPTH);
    enum net_rc rc;
    while ((rc = json_next(&j, &in, &t)) == NET_OK) continue;
    if (rc == NET_BAD) return false;
    while ((rc = json_finish(&j, &t)) == NET_OK) continue;
    return rc == NET_DONE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    struct bytes in = {(const char *)data + 1, size - 1};
    unsigned way = data[0] % WAYS;
    struct agree whole = told(in, way, size), cut = told(in, way, 1 + data[0] / WAYS % 16);
    must(memcmp(&whole, &cut, sizeof whole) == 0);
    must(agree_same(&whole, &cut) == (whole.form != AGREE_NONE));
    if (way == AS_CALL && is_json(in)) must(whole.form == AGREE_CALLS);
    return 0;
}
