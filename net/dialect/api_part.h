/* api_part.h - what the files of net/dialect share among themselves. */
#ifndef NET_DIALECT_API_PART_H
#define NET_DIALECT_API_PART_H

#include "net/dialect/api.h"
#include "net/json_index.h"

enum api_form { API_FORM_OPENAI, API_FORM_RESPONSES, API_FORM_MESSAGES, API_FORM_GENERATE,
                API_FORM_CONVERSE, API_FORM_COHERE };

/* Which of the forms an API's answers, events and errors have. */
static inline enum api_form api_form(enum api api)
{
    static const uint8_t forms[APIS] = {
        [API_RESPONSES] = API_FORM_RESPONSES, [API_MESSAGES] = API_FORM_MESSAGES,
        [API_COUNT_TOKENS] = API_FORM_MESSAGES, [API_GENERATE] = API_FORM_GENERATE,
        [API_GENERATE_COUNT] = API_FORM_GENERATE, [API_CONVERSE] = API_FORM_CONVERSE,
        [API_COHERE] = API_FORM_COHERE, [API_RESPONSES_COUNT] = API_FORM_RESPONSES,
    };
    assert(api < APIS);
    return forms[api];
}

/* What a text is: the data of rows that are text (api_table.h). */
enum says { SAYS_TEXT, SAYS_MARK /* content, but no text of it */, SAYS_ANSWER, SAYS_ARGUMENTS,
            SAYS_REFUSAL };

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
    API_COUNT_IMAGE_IN,
    API_COUNT_WRITE_5M, API_COUNT_WRITE_1H,        /* Anthropic: parts of _CACHE_WRITE */
    API_COUNT_TOOL_PROMPT,      /* Gemini: on top of _PROMPT */
    API_COUNT_AUDIO_CACHED, API_COUNT_IMAGE_CACHED,   /* Gemini: parts of _CACHED */
    API_COUNT_DETAIL,           /* Gemini: of the element that is being read */
    API_COUNT_BILLED_IN, API_COUNT_BILLED_OUT,  /* Cohere: billed_units */
    API_COUNTS,
};

/* api_request_feed for forms with a file. */
enum net_rc api_upload_feed(struct api_reader *r, struct bytes in);
/* api_request_end for them. */
enum net_rc api_upload_end(struct api_reader *r);

/* Begin a usage object: an earlier one in the same answer counts no more. */
void api_fold_begin(struct api_fold *f);
/* Take the value of one of its members. t is borrowed. */
void api_fold_take(struct api_fold *f, enum api_count which,
                      const struct json_token *t);
/* The disjoint kinds of what was folded. out is overwritten. */
void api_fold_settle(const struct api_fold *f, enum api_form form, struct api_usage *out);
/* Anthropic: take what one event folded into what the stream told before. fresh: nothing was
 * told before. */
void api_fold_merge(const struct api_fold *f, bool fresh, struct api_stream *s);
/* The disjoint kinds of what was merged. out is overwritten. */
void api_stream_settle(const struct api_stream *s, struct api_usage *out);

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

/* A token of the list of messages, at this depth below it, 1..; its own end excepted. t is
 * borrowed. */
void api_turn_token(struct api_reader *r, const struct json_token *t, unsigned depth);
/* The same for the list that is token i of the index of text. Gives the messages in it. */
uint32_t api_turn_index(struct api_reader *r, const struct json_index *x, const char *text,
                        uint32_t i);
/* A string that is a message of the user's, all of it. t is borrowed. */
void api_turn_text(struct api_reader *r, const struct json_token *t);
/* A string that is a text of the system prompt. t is borrowed. */
void api_turn_system(struct api_reader *r, const struct json_token *t);

/* ---- what a request asks for besides its text: api_ask.c ---- */

/* The type of response_format, or a word that stands for it: the most that is asked counts. t
 * is borrowed. */
void api_ask_format(struct api_request *q, const struct json_token *t);
/* A word for the effort, as enum api_effort. t is borrowed. */
uint8_t api_ask_effort(const struct json_token *t);
/* The effort that a number of tokens for thinking stands for. t is borrowed. */
uint8_t api_ask_budget(const struct json_token *t);
/* tool_choice, or Gemini's mode; type: the type of an object that stands there. t is
 * borrowed. */
void api_ask_choice(struct api_request *q, const struct json_token *t, bool type);

enum { API_MARKS_MAX = 16 };

/* What the walk over an index notes for a shape. All zero to begin with. */
struct api_marks {
    struct api_span at[API_MARKS_MAX];  /* strings with their quotes, numbers and
                                                 literals that nobody reads; not all */
    struct api_span text;    /* of the last text that is not empty, without its quotes */
    unsigned count, text_count;
    uint8_t says;            /* what that text is */
};

/* Tell of an event that fits a shape; check (NULL: none) has its text. False: none fits, ev is
 * as it was. */
MUST_USE bool api_shapes_find(struct api_shapes *all, struct bytes data, enum api_form form,
                              struct api_check *check, struct api_event *ev);
/* What a text is decides which check it is for. raw as in api_check.h. */
void api_check_said(struct api_check *c, enum says says, struct bytes raw);
/* Make a shape of an event with one text, if it can have one: its data, and what was read of
 * it. Copies. */
void api_shapes_learn(struct api_shapes *all, struct bytes data,
                      const struct api_marks *marks, enum api_form form,
                      const struct api_event *ev);

enum api_stream_flag {
    API_STREAM_BEGUN = 1,       /* an event was read */
    API_STREAM_OPEN = 2,        /* Anthropic: a block is open */
    API_STREAM_NUMBERED = 2,    /* Responses: events have sequence numbers */
    API_STREAM_SAID = 4,        /* Responses: deltas told the item's text */
    API_STREAM_COUNTED = 8,     /* Responses: text was counted */
    API_STREAM_ABSURD = 16,     /* Anthropic: some count was */
    API_STREAM_USAGE = 32,      /* Anthropic: some usage was told */
    API_STREAM_INPUT = 64,      /* Anthropic: the input was */
    API_STREAM_OUTPUT = 128,    /* Anthropic: all of the output was */
};

enum { API_NO_NUMBER = INT32_MAX };

enum api_type {                 /* of an event, where that matters */
    API_TYPE_OTHER,
    API_TYPE_START, API_TYPE_BLOCK_START, API_TYPE_BLOCK_STOP, API_TYPE_STOP,   /* Anthropic */
    API_TYPE_ITEM, API_TYPE_ITEM_DONE, API_TYPE_AUDIO, API_TYPE_END,  /* Responses */
    API_TYPE_ERROR,
};

/* Begin the walk over an answer, or over an event of a stream (s, NULL: of none). */
void api_reply_begin(struct api_reply *w, enum api_form form, bool event,
                     struct api_stream *s);
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
