/* openai_part.h - what the files of the OpenAI dialect share among themselves. */
#ifndef NET_DIALECT_OPENAI_PART_H
#define NET_DIALECT_OPENAI_PART_H

#include "net/dialect/openai.h"
#include "net/json_index.h"

enum openai_count {             /* index of openai_fold.count: the numbers of a usage object */
    OPENAI_COUNT_PROMPT,
    OPENAI_COUNT_COMPLETION,
    OPENAI_COUNT_TOTAL,
    OPENAI_COUNT_CACHED,        /* prompt_tokens_details.cached_tokens */
    OPENAI_COUNT_CACHED_ROOT,   /* usage.cached_tokens: Moonshot, Together */
    OPENAI_COUNT_CACHE_HIT,     /* prompt_cache_hit_tokens: DeepSeek */
    OPENAI_COUNT_CACHE_WRITE,   /* prompt_tokens_details.cache_write_tokens: OpenRouter */
    OPENAI_COUNT_AUDIO_IN,
    OPENAI_COUNT_AUDIO_OUT,
    OPENAI_COUNT_REASONING,
    OPENAI_COUNT_REASONING_ROOT,   /* usage.reasoning_tokens: Perplexity */
    OPENAI_COUNTS,
};

/* Begin a usage object: an earlier one in the same answer counts no more. */
void openai_fold_begin(struct openai_fold *f);
/* Take the value of one of its members. t is borrowed. */
void openai_fold_take(struct openai_fold *f, enum openai_count which,
                      const struct json_token *t);
/* The disjoint kinds of what was folded. out is overwritten. */
void openai_fold_settle(const struct openai_fold *f, struct openai_usage *out);

/* A token came: what is behind it starts afresh. */
static inline void openai_head_reset(struct openai_head *h)
{
    h->state = 0;
    h->len = 0;
}

/* The piece ended. tail borrows: its bytes behind the last token. */
void openai_head_watch(struct openai_head *h, struct bytes tail);
/* A string whose text the scanner gave up ends in this piece: take its last bytes too.
 * piece borrows; fed is the offset of its first byte. */
void openai_head_end(struct openai_head *h, const struct json_token *t, struct bytes piece,
                     uint64_t fed);
/* The same, if t is one: to be called before a token is used. */
static inline void openai_head_complete(struct openai_head *h, const struct json_token *t,
                                        struct bytes piece, uint64_t fed)
{
    if (t->type == JSON_STRING && !t->text.ptr) openai_head_end(h, t, piece, fed);
}

/* The first bytes (at most OPENAI_HEAD) of a string or number token, as written. Borrows
 * from the token or from h. The same whichever way the input was cut. */
struct bytes openai_head_text(const struct openai_head *h, const struct json_token *t);
/* The longest start of text (a string as written) of at most max bytes that cuts no
 * escape, surrogate pair or UTF-8 sequence. */
struct bytes openai_text_start(struct bytes text, size_t max);

/* Where what stands before token i > 0 of the index of text ends. */
static inline uint64_t openai_index_end(const struct json_index *x, const char *text,
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
struct json_token openai_index_token(const struct json_index *x, const char *text, uint32_t i,
                                     uint16_t depth);
/* The value that begins with token i as json_next would give it after json_skip. */
struct json_token openai_index_skipped(const struct json_index *x, const char *text,
                                       uint32_t i, uint16_t depth);

enum { OPENAI_MARKS_MAX = 16 };

/* What the walk over an index notes for a shape. All zero to begin with. */
struct openai_marks {
    struct openai_span at[OPENAI_MARKS_MAX];  /* strings with their quotes, numbers and
                                                 literals that nobody reads; not all */
    struct openai_span text;    /* of the last text that is not empty, without its quotes */
    unsigned count, text_count;
};

/* Tell of an event that fits a shape. False: none fits, ev is as it was. */
MUST_USE bool openai_shapes_find(struct openai_shapes *all, struct bytes data,
                                 struct openai_event *ev);
/* Make a shape of an event with one text, if it can have one: its data, and what was read of
 * it. Copies. */
void openai_shapes_learn(struct openai_shapes *all, struct bytes data,
                         const struct openai_marks *marks, const struct openai_event *ev);

/* Begin the walk over an answer or event. */
void openai_reply_begin(struct openai_reply *w);
/* Walk over one piece. NET_MORE or NET_BAD (not JSON). */
MUST_USE enum net_rc openai_reply_feed(struct openai_reply *w, struct json *j, struct bytes in);
/* Walk over a whole document in one piece, by its index, instead. False: it has none
 * (json_index.h), and w is as it was: feed the document. True: settle is to follow. */
MUST_USE bool openai_reply_whole(struct openai_reply *w, struct bytes in);
/* The input ended. NET_DONE or NET_BAD; settles, on NET_DONE. */
MUST_USE enum net_rc openai_reply_end(struct openai_reply *w, struct json *j);
/* Decide about the error, once all is read. */
void openai_reply_settle(struct openai_reply *w);

#endif
