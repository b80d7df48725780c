/* api_upload.c - requests that are forms with a file: what Weir reads of their fields, which is
 * the model, whether a stream is asked for, and how long the prompt is. The file is passed
 * over, wherever it stands. Source: OpenAI's reference of audio/transcriptions and
 * audio/translations.
 * Rule: as for JSON. The model is there once, under its own name, and is what it says. */
#include "net/dialect/api_part.h"

#include <stdio.h>

static enum net_rc refuse(struct api_reader *r, const char *field, const char *why)
{
    assert(!r->bad);
    r->bad = true;
    r->code = "invalid_request_error";
    (void)snprintf(r->error, sizeof r->error, "%s", why);
    (void)snprintf(r->pointer, sizeof r->pointer, "%s", field);
    return NET_BAD;
}

static enum net_rc take_model(struct api_reader *r, const struct multipart_part *p)
{
    struct api_request *q = &r->req;
    if (q->model.len > 0) return refuse(r, "/model", "the field 'model' is repeated");
    if (p->file) return refuse(r, "/model", "the field 'model' must not be a file");
    if (p->encoded) return refuse(r, "/model", "the field 'model' must not be encoded");
    if (p->start == p->end) return refuse(r, "/model", "the field 'model' is empty");
    if (!p->value.ptr || p->value.len > API_NAME_MAX) {
        return refuse(r, "/model", "the field 'model' is longer than 256 bytes");
    }
    for (size_t i = 0; i < p->value.len; i++) {
        if (p->value.ptr[i] < ' ' || p->value.ptr[i] > '~') {
            return refuse(r, "/model", "the field 'model' must be ASCII without controls");
        }
    }
    memcpy(q->pool, p->value.ptr, p->value.len);
    q->model = (struct bytes){q->pool, p->value.len};
    q->pool_len = p->value.len;
    q->model_at.value = (struct api_span){p->start, p->end};
    return NET_MORE;
}

static enum net_rc take_part(struct api_reader *r, const struct multipart_part *p)
{
    struct bytes model = BYTES("model"), stream = BYTES("stream");
    if (bytes_eq(p->name, model)) return take_model(r, p);
    bool streams = bytes_eq(p->name, stream);
    if (bytes_ieq(p->name, model) || (bytes_ieq(p->name, stream) && !streams)) {
        return refuse(r, "", "a field's name is one of the API's but for its case");
    }
    if (streams && !bytes_ieq(p->value, BYTES("false"))) {
        return refuse(r, "/stream", "stream is not in this release for transcriptions");
    }
    if (bytes_eq(p->name, BYTES("prompt"))) r->req.prompt_bytes += p->end - p->start;
    return NET_MORE;
}

bool api_request_upload(struct api_reader *r, struct bytes type)
{
    assert(api_is_upload(r->api) && r->fed == 0);
    r->bad = false;
    if (multipart_begin(&r->upload, type)) return true;
    (void)refuse(r, "", r->upload.error);
    return false;
}

enum net_rc api_upload_feed(struct api_reader *r, struct bytes in)
{
    struct multipart_part part;
    enum net_rc rc;
    r->fed += in.len;
    r->req.body_bytes = r->fed;
    while ((rc = multipart_next(&r->upload, &in, &part)) == NET_OK) {
        if (take_part(r, &part) == NET_BAD) return NET_BAD;
    }
    return rc == NET_BAD ? refuse(r, "", r->upload.error) : rc;
}

enum net_rc api_upload_end(struct api_reader *r)
{
    if (multipart_end(&r->upload) == NET_BAD) return refuse(r, "", r->upload.error);
    if (r->req.model.len == 0) return refuse(r, "/model", "the field 'model' is missing");
    return NET_DONE;
}
