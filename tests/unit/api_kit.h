/* api_kit.h - what the tests of the dialects share: answers read in every way, streams read
 * from their first event to the last, what was read as a line of text. */
#ifndef TESTS_UNIT_API_KIT_H
#define TESTS_UNIT_API_KIT_H

#include "net/dialect/api.h"

/* What a whole stream said. */
struct kit_stream {
    size_t events, contents, finishes, dones, errors, bads;
    size_t before;              /* events before the first with content */
    uint64_t text_bytes;
    struct api_usage usage;     /* the last that was told */
    struct api_stream notes;
    int32_t error_status;       /* of the last error */
    char error_text[256];
};

/* Read an answer whole, at the end of readable memory, cut at every byte (at seeded ones, where
 * it is long), in pieces, and briefly: all must agree. NULL: it is not JSON. Borrows until the
 * next call. */
const struct api_answer *kit_answer(enum api api, struct bytes text);
/* Read all events of a stream's text, with shapes and without: both must agree. */
void kit_stream(enum api api, struct bytes text, struct kit_stream *out);
/* Read one event, at the end of readable memory, by its index and by the scanner. */
void kit_event(enum api api, const char *data, struct api_stream *s, struct api_event *ev);
/* The counts: "input cached cache_write cache_write_1h output reasoning audio_input
 * audio_output image_input", and " absurd", " open", " nothing"; "none" where it is not
 * present. Static text. */
const char *kit_usage(const struct api_usage *u);
/* A number at a path of names with dots; 0 where there is none. */
uint32_t kit_number(struct bytes doc, const char *path);
/* The member that is in braces behind the name, in a text of one; asserts that it is there. */
struct bytes kit_find(struct bytes doc, const char *path);

#endif
