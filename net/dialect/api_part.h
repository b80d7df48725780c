/* api_part.h - what the files of net/dialect share among themselves. */
#ifndef NET_DIALECT_API_PART_H
#define NET_DIALECT_API_PART_H

#include "net/dialect/api.h"
#include "net/json_index.h"

enum api_count {             /* index of api_fold.count: the numbers of a usage object */
    API_COUNT_PROMPT,
    API_COUNT_COMPLETION,
    API_COUNT_TOTAL,
    API_COUNT_CACHED,        /* prompt_tokens_details.cached_tokens */
    API_COUNT_CACHED_ROOT,   /* usage.cached_tokens: Moonshot, Together */
    API_COUNT_CACHE_HIT,     /* prompt_cache_hit_tokens: DeepSeek */
    API_COUNT_CACHE_WRITE,   /* prompt_tokens_details.cache_write_tokens: OpenRouter */
    API_COUNT_AUDIO_IN,
    API_COUNT_AUDIO_OUT,
    API_COUNT_REASONING,
    API_COUNT_REASONING_ROOT,   /* usage.reasoning_tokens: Perplexity */
    API_COUNTS,
};

/* Begin a usage object: an earlier one in the same answer counts no more. */
void api_fold_begin(struct api_fold *f);
/* Take the value of one of its members. t is borrowed. */
void api_fold_take(struct api_fold *f, enum api_count which,
                      const struct json_token *t);
/* The disjoint kinds of what was folded. out is overwritten. */
void api_fold_settle(const struct api_fold *f, struct api_usage *out);

/* A token came: what is behind it starts afresh. */
static inline void api_head_reset(struct api_head *h)
{
    h->state = 0;
    h->len = 0;
}

/* The piece ended. tail borrows: its bytes behind the last token. */
void api_head_watch(struct api_head *h, struct bytes tail);
/* A string whose text the scanner gave up ends in this piece: take its last bytes too.
 * piece borrows; fed is the offset of its first byte. */
void api_head_end(struct api_head *h, const struct json_token *t, struct bytes piece,
                     uint64_t fed);
/* The same, if t is one: to be called before a token is used. */
static inline void api_head_complete(struct api_head *h, const struct json_token *t,
                                        struct bytes piece, uint64_t fed)
{
    if (t->type == JSON_STRING && !t->text.ptr) api_head_end(h, t, piece, fed);
}

/* The first bytes (at most API_HEAD) of a string or number token, as written. Borrows
 * from the token or from h. The same whichever way the input was cut. */
struct bytes api_head_text(const struct api_head *h, const struct json_token *t);
/* The longest start of text (a string as written) of at most max bytes that cuts no
 * escape, surrogate pair or UTF-8 sequence. */
struct bytes api_text_start(struct bytes text, size_t max);

/* Where what stands before token i > 0 of the index of text ends. */
static inline uint64_t api_index_end(const struct json_index *x, const char *text,
                                        uint32_t i)
{
    assert(i > 0 && i < x->count);
    uint32_t end = x->at[i];
    for (;; end--) {
        char c = text[end - 1];
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r') return end;
    }
}

/* Token i of the index of text, no comma or colon, as json_next would give it at this depth;
 * but for escaped, surrogate and nul, which are false. Borrows from text. */
struct json_token api_index_token(const struct json_index *x, const char *text, uint32_t i,
                                     uint16_t depth);
/* The value that begins with token i as json_next would give it after json_skip. */
struct json_token api_index_skipped(const struct json_index *x, const char *text,
                                       uint32_t i, uint16_t depth);

enum { API_MARKS_MAX = 16 };

/* What the walk over an index notes for a shape. All zero to begin with. */
struct api_marks {
    struct api_span at[API_MARKS_MAX];  /* strings with their quotes, numbers and
                                                 literals that nobody reads; not all */
    struct api_span text;    /* of the last text that is not empty, without its quotes */
    unsigned count, text_count;
};

/* Tell of an event that fits a shape. False: none fits, ev is as it was. */
MUST_USE bool api_shapes_find(struct api_shapes *all, struct bytes data,
                                 struct api_event *ev);
/* Make a shape of an event with one text, if it can have one: its data, and what was read of
 * it. Copies. */
void api_shapes_learn(struct api_shapes *all, struct bytes data,
                         const struct api_marks *marks, const struct api_event *ev);

enum api_stream_flag { API_STREAM_BEGUN = 1 };  /* an event was read */

/* Begin the walk over an answer or event. */
void api_reply_begin(struct api_reply *w);
/* Walk over one piece. NET_MORE or NET_BAD (not JSON). */
MUST_USE enum net_rc api_reply_feed(struct api_reply *w, struct json *j, struct bytes in);
/* Walk over a whole document in one piece, by its index, instead. False: it has none
 * (json_index.h), and w is as it was: feed the document. True: settle is to follow. */
MUST_USE bool api_reply_whole(struct api_reply *w, struct bytes in);
/* The input ended. NET_DONE or NET_BAD; settles, on NET_DONE. */
MUST_USE enum net_rc api_reply_end(struct api_reply *w, struct json *j);
/* Decide about the error, once all is read. */
void api_reply_settle(struct api_reply *w);

#endif
