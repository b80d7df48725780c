/* api.h - what Weir reads of requests, answers and stream events, and the few edits it makes
 * to a request that stays in its dialect. Sans-IO and incremental: no tree, the body stays
 * where it is. Covers OpenAI's chat completions, completions, embeddings, moderations and
 * Responses, Anthropic's Messages, Gemini's generateContent; the answers of Bedrock's Converse
 * and Cohere's v2 chat; what Weir itself says in them is api_write.h's. Sources: the API
 * references of OpenAI, Anthropic, Google, Amazon, Cohere; quirks of providers who imitate
 * OpenAI: DeepSeek prompt_cache_hit_tokens, Groq x_groq.usage, OpenRouter `models`,
 * `provider`, `usage: {include}`. Where recordings show something else, they are believed. */
#ifndef NET_DIALECT_API_H
#define NET_DIALECT_API_H

#include "net/dialect/api_check.h"
#include "net/dialect/api_kind.h"
#include "net/json.h"
#include "net/multipart.h"

enum {
    API_NAME_MAX = 256,      /* bytes of a model or provider name, escapes resolved */
    API_NAMES_MAX = 8,       /* entries of models, provider.order, .only, .ignore */
    API_EDITS_MAX = 14,
    API_POOL = 2048,         /* bytes of all names of one request */
    API_REQUEST_DEPTH_MAX = 128,        /* nesting of a request body */
    API_TOKEN_BYTES = 4,     /* a token id in a prompt or input counts as so many bytes */
    API_HEAD = 256,          /* first bytes kept of a string that pieces cut */
    API_LEVELS = 4,          /* nesting of the request's objects that are read */
    API_SHAPES = 4,          /* shapes of events that are kept */
    API_SHAPE_BYTES = 256,   /* before, and behind, the text of an event with a shape */
    API_REPLY_DEPTH = 8,     /* nesting of the answer's containers that are read */
};

enum api_tier { API_TIER_NONE, API_TIER_FLEX, API_TIER_PRIORITY };  /* service_tier, as far as
                                                       Weir acts on it */

struct api_span { uint64_t start, end; };   /* offsets in the body; end 0: absent */

/* Texts of a request that tell what it is about: the contents of strings, as written. */
enum api_text {
    API_TEXT_SYSTEM,            /* the first of the system prompt, wherever the API has it */
    API_TEXT_FIRST,             /* of the user's messages: the first text of the first, */
    API_TEXT_LAST,              /* the last text of the last */
    API_TEXT_TOOLS,             /* no string: tools, or functions, brackets and all */
    API_TEXTS
};
enum api_format { API_FORMAT_TEXT, API_FORMAT_JSON, API_FORMAT_SCHEMA };  /* of the answer */
/* How much the model is to think; where a number of tokens says it, by its size. */
enum api_effort { API_EFFORT_UNSET, API_EFFORT_NONE, API_EFFORT_MINIMAL, API_EFFORT_LOW,
                  API_EFFORT_MEDIUM, API_EFFORT_HIGH, API_EFFORT_XHIGH, API_EFFORTS };
/* Tokens for thinking, at most so many: where a budget stands for a word. OpenRouter makes
 * budgets of words by shares of the output limit; these are their usual sizes. */
enum { API_BUDGET_MINIMAL = 1024, API_BUDGET_LOW = 4096, API_BUDGET_MEDIUM = 16384 };
enum api_choice { API_CHOICE_AUTO, API_CHOICE_NONE, API_CHOICE_REQUIRED,
                  API_CHOICE_NAMED };   /* tool_choice; auto where there is none */
/* What a model must be able to do to answer a request: bits. */
enum api_need { API_NEED_TOOLS = 1, API_NEED_VISION = 2, API_NEED_SCHEMA = 4,
                API_NEED_AUDIO = 8, API_NEED_DOCUMENT = 16 };

struct api_member {          /* a member of the root object, for removal or replacement */
    struct api_span key;     /* the key with its quotes */
    struct api_span value;
    uint64_t before;            /* end of the value before it; 0: it is the first */
    uint64_t after;             /* start of the key behind it; 0: it is the last */
    uint32_t index;             /* members before it */
};

struct api_limit {
    struct api_span at;         /* of its value; end 0: absent */
    int64_t value;              /* -1: null */
};

struct api_head {            /* private: the start of a string that the end of a piece cut */
    uint16_t len;
    uint8_t state;
    char at[API_HEAD];
};

struct api_names { struct bytes at[API_NAMES_MAX]; uint8_t count; };  /* into pool */

struct api_request {         /* results; valid after api_request_end() said NET_DONE.
                                   Names point into pool: not to be copied as a struct */
    struct bytes model;         /* unescaped, in pool; for moderations without a model (it is
                                   optional there) the API's default, and model_at is absent */
    struct api_names models, order, only, ignore;
    struct api_member model_at, models_at, provider_at, usage_at, stream_options_at;
    struct api_span include_usage_at;   /* its value inside stream_options */
    struct api_limit limit[2];  /* output limits: max_tokens or what it is called there, and
                                   max_completion_tokens */
    struct api_member limit_at[2];      /* their members; chat and completions */
    struct api_member sampling_at[3];   /* temperature, top_p, top_k; not Gemini's */
    struct api_span config_at;  /* Gemini: generationConfig's value, an object or null */
    struct api_span inner_model_at;     /* Gemini's countTokens: generateContentRequest.model */
    struct bytes previous;      /* Responses: previous_response_id, in pool; empty: none */
    uint64_t object_start;      /* offset of the root "{" */
    uint64_t body_bytes;        /* of the whole document as fed */
    int64_t max_tokens;         /* most output tokens of one choice: the larger one of
                                   max_completion_tokens and max_tokens; max_output_tokens;
                                   maxOutputTokens; -1 absent */
    int64_t output_min;         /* the least limit that the provider would take: 1; Responses
                                   16; Anthropic thinking.budget_tokens + 1 */
    int64_t n;                  /* choices: n, candidateCount; -1 absent */
    int64_t max_prompt, max_completion;    /* provider.max_price, pico-dollars per token; 0 none
                                              (a limit of 0 dollars is 1: what costs nothing) */
    uint32_t message_count, tool_count;
    uint32_t member_count;      /* of the root object */
    uint64_t prompt_bytes;      /* bytes of all strings below messages, input or prompt as
                                   written (images and audio left out: "data:" urls and the
                                   members data, file_data, b64_json; a token id is 4), for
                                   the token estimate */
    uint64_t tool_bytes;        /* bytes of tools and functions, brackets included */
    struct api_span text[API_TEXTS];    /* by enum api_text; none of them is empty */
    uint64_t system_bytes;      /* of all texts of the system prompt */
    uint64_t last_bytes;        /* of all texts of the user's last message */
    uint32_t user_turns, assistant_turns, tool_turns;   /* messages of the user, of the model,
                                   and results of tools */
    uint32_t image_count, audio_count, document_count;  /* parts of messages; a video is a
                                   document */
    struct api_span schema_at;  /* the schema that is asked for, an object or array */
    uint8_t format;             /* enum api_format */
    uint8_t effort;             /* enum api_effort */
    uint8_t choice;             /* enum api_choice */
    bool effort_said;           /* there is a member for the effort, whatever it says */
    bool audio_out;             /* chat: the answer is to be spoken (a member audio) */
    uint8_t api;                /* enum api */
    uint8_t tier;               /* enum api_tier */
    char sort;                  /* provider.sort: 'p', 't', 'l'; 0 absent */
    bool stream, include_usage, usage_include;
    bool zdr, allow_fallbacks;  /* allow_fallbacks: true unless the body says false */
    bool root_empty;            /* the root object has no members */
    bool stream_options_empty;  /* stream_options is {} */
    bool stream_options_null;   /* stream_options is null */
    bool config_empty, config_null;     /* generationConfig is {}, null */
    bool store;                 /* Responses: the body says "store": true */
    bool conversation;          /* Responses: a conversation that the provider keeps is named */
    bool background;            /* Responses: "background": true: the answer is no answer */
    size_t pool_len;
    char pool[API_POOL];     /* last: only pool_len bytes of it mean anything */
};

struct api_turn {            /* private: the message that is being read */
    struct api_span first, last;        /* of its texts */
    uint64_t bytes;
    uint8_t role, key;
    bool result;                /* it holds a tool's result */
    bool content, nested, media;        /* what the open containers are */
};

struct api_reader {          /* private but for the results and the error */
    struct api_request req;
    struct json json;
    enum api api;
    char error[160];            /* after NET_BAD: a sentence for the client */
    char pointer[80];           /* JSON pointer of the place ("/stream_options"), "" the root */
    const char *code;           /* "invalid_json" or "invalid_request_error" */
    /* private */
    const struct api_field *field;      /* of the key whose value comes; NULL: not read */
    struct api_member member;           /* the root's member that is being read */
    struct api_member *kept;            /* where it goes; NULL: nowhere */
    struct api_member *previous;        /* the same of the member before the coming key */
    struct api_names *names;            /* the list that is being read */
    struct {
        const struct api_field *field;  /* whose value this is; NULL at the root */
        uint64_t start;                    /* offset of its bracket */
        uint16_t depth;
        uint8_t place;
        bool list;                         /* an array */
    } at[API_LEVELS];                   /* the open objects and arrays that are read */
    uint64_t seen;              /* a bit per enum what of api_field.h */
    uint64_t fed;               /* bytes of the pieces before this one */
    uint64_t token_end;         /* offset behind the last token */
    uint64_t member_end;        /* offset behind the last root member */
    struct api_head head;
    struct api_turn turn;
    uint32_t element;           /* index in the list that is being read */
    uint8_t level;              /* entries of at that are in use */
    bool binary;                /* the coming value belongs to a key such as "data" */
    bool texts;                 /* to the key "text" */
    uint8_t thought[2];         /* effort as Anthropic and Gemini have it: by word, by tokens */
    bool pass;                  /* the coming value is to be passed over */
    bool token_ids;             /* the prompt holds numbers */
    bool bad;
    struct multipart upload;    /* last: forms alone begin it */
};

/* Begin reading a request body. */
void api_request_begin(struct api_reader *r, enum api api);
/* Gemini, after begin: the model and whether to stream, which stand in the path. model copies,
 * percent-decoded, without "models/". False: it is empty or longer than a name may be. */
MUST_USE bool api_request_path(struct api_reader *r, struct bytes model, bool stream);
/* Forms with a file, after begin: the request's Content-Type, which has the boundary; without
 * it nothing is read. type copies. False: it is none of a form; error says so. */
MUST_USE bool api_request_upload(struct api_reader *r, struct bytes type);
/* Feed the next piece. NET_MORE: fine so far; NET_BAD: error, pointer, code say why. */
MUST_USE enum net_rc api_request_feed(struct api_reader *r, struct bytes in);
/* The body ended. NET_DONE: r->req holds what was read. NET_BAD otherwise. Refused (code
 * invalid_request_error): root not an object; model missing, empty, not a string; among the
 * keys that are read a repeated one, an escaped one, or one that another parser may take for
 * it (Go ignores case: "Model"); wrong types; integers that json_integer refuses; n or
 * max_tokens < 1; names with a NUL or an unpaired surrogate, too long or too many.
 * stream_options without stream is passed. Unknown members pass. For Gemini the path has the
 * model; a member of that name is removed by the edits. */
MUST_USE enum net_rc api_request_end(struct api_reader *r);

/* What a model must be able to do to answer it: bits of enum api_need. */
unsigned api_request_needs(const struct api_request *req);

/* One edit of the body: put replaces del bytes at offset at. */
struct api_edit { uint64_t at, del; struct bytes put; };
/* What the provider is to read otherwise than the client wrote it. */
struct api_change {
    struct bytes model;         /* name to ask for, raw; borrows */
    bool want_usage;            /* chat, completions: stream_options.include_usage is to be
                                   true; only for streams */
    bool completion_tokens;     /* chat without any limit: it is put as max_completion_tokens,
                                   as api.openai.com has it, else as max_tokens */
    bool no_max, no_completion; /* chat: the provider refuses a limit called max_tokens, or
                                   max_completion_tokens: the client's gets the other name. Not
                                   both */
    bool no_options;            /* it refuses stream_options: the client's goes, none is put */
    bool no_sampling;           /* it refuses temperature, top_p and top_k: they go */
    int64_t output_max;         /* the output limit is to be this, unless it is lower; 0: is
                                   left alone */
    bool vertex;                /* Anthropic: the model stands in the path, and in its place
                                   anthropic_version; counts have both */
    uint8_t effort;             /* enum api_effort; chat, Responses: to be put where the body
                                   has no member for it */
};
/* The edits that turn the client's body into the provider's, ascending and not overlapping:
 * the model's name (a JSON string; not for Gemini, whose path has it; in a form, where nothing
 * else is edited, the bytes of its field), include_usage, the output limit and the effort,
 * which are put where the body has none; OpenRouter's models, provider, usage members, and
 * what the provider refuses, are removed with the right comma.
 *   scratch    room for >= 12 * model.len + 384 bytes; edits borrow from it
 * Gives the count (<= API_EDITS_MAX). */
size_t api_request_edits(const struct api_request *req, const struct api_change *change,
                         struct api_edit *out, char *scratch, size_t room);

struct api_answer {          /* what a whole answer says */
    struct api_usage usage;     /* of API_COUNT_TOKENS and _GENERATE_COUNT: nothing */
    struct api_span usage_at;     /* OpenAI, but for Responses: the object in the body that
                                     usage was read from */
    uint64_t text_bytes;        /* of content, reasoning, refusal, tool arguments as written:
                                   for own counts */
    uint32_t choice_count;
    bool error;                 /* a member "error" that says something in the root or a
                                   choice, "object":"error", or a statusCode from 400 with
                                   no choices */
    int32_t error_status;       /* its numeric code 400..599, else 0 */
    char error_text[256];       /* its message, cut */
    bool finish_length;         /* some finish_reason is "length" */
    uint8_t outcome;            /* enum api_outcome: what it says, and what was checked */
};

/* What is noted of a stream: for its usage, which Anthropic tells in parts, and for an end that
 * Weir writes itself (api_write.h). All zero is a fresh one. Private, and no secret. */
struct api_stream {
    int64_t created;            /* as the provider writes it; 0: not told */
    struct api_check *check;    /* not private: set before the first event, and what is said is
                                   checked; NULL: it is not. Borrowed until the last */
    uint32_t count[6];          /* Anthropic's usage so far */
    uint32_t sequence;          /* Responses: the next sequence_number */
    uint32_t block;             /* Anthropic: index of the open block */
    uint8_t id_len, model_len;  /* as written in JSON: the id begins text, the model ends it */
    uint8_t flags;
    uint8_t outcome;            /* enum api_outcome, as events said it; not private */
    char text[84];
};
static_assert(sizeof(struct api_stream) <= 136, "one for every stream");

struct api_fold {            /* private: a usage object as it is being read */
    int64_t count[20];
    uint32_t seen;              /* a bit per count */
    bool absurd;
};

struct api_side {            /* private: what one of a choice's forms says */
    uint64_t bytes;
    uint64_t reasoning;         /* reasoning under several names is the same text */
    bool seen, content;
};

struct api_marks;            /* private */

struct api_reply {           /* private: the walk over a whole answer or one event */
    struct api_fold usage, groq;
    struct api_member usage_at;
    struct api_side side[3]; /* delta, message, text of the choice that is being read */
    const struct api_part *field;       /* of the key whose value comes */
    struct api_fold *fold;   /* the usage that is being read */
    struct api_marks *marks; /* what is noted for a shape; NULL: nothing */
    const struct api_part *top;     /* of the root's value; behind it, of a list's elements */
    struct api_stream *stream;      /* NULL: nothing is noted */
    struct api_check *check; /* NULL: nothing is checked */
    uint64_t text_bytes;
    uint64_t fed, token_end, member_end;
    uint32_t choice_count, member_count;
    int32_t error_status, root_status;
    uint8_t place[API_REPLY_DEPTH];     /* by depth of the open container */
    uint32_t index, sequence;   /* as the event says; API_NO_NUMBER: it does not */
    uint8_t which;              /* the side that is being read */
    uint8_t form;               /* enum api_form */
    uint8_t type;               /* enum api_type of the event */
    uint8_t details, modality;  /* of the list, and of its element, that is being read */
    bool event;                 /* an event is read, no answer */
    bool noting;                /* there is something to note */
    bool extent;                /* what is being skipped counts as text */
    bool usage_last;            /* the member before the coming key is the usage */
    bool usage_object;          /* usage is an object */
    bool content, finish;
    bool aside;                 /* Responses: the part that is read is not the answer's text */
    uint8_t outcome;            /* enum api_outcome */
    bool brief;                 /* what was said is skipped: no text_bytes */
    bool error, error_root, error_said;
    char error_text[256];
    struct api_head head;
};

struct api_answer_reader {
    struct api_answer ans;
    struct json json;
    struct api_reply reply;  /* private */
    bool counts_only;        /* private: tokens are counted, none used */
};
/* Read a whole JSON answer in pieces. */
void api_answer_begin(struct api_answer_reader *r, enum api api);
/* After begin: check what is said; the verdict is in ans.outcome. check is borrowed until the
 * end. Not with begin_brief, which sees nothing of it. */
void api_answer_check(struct api_answer_reader *r, struct api_check *check);
/* The same as begin without counting what was said (text_bytes stays 0): usage, finish and
 * errors only, at the speed of skipping. The grammar is checked all the same. */
void api_answer_begin_brief(struct api_answer_reader *r, enum api api);
/* Feed a piece: NET_MORE or NET_BAD (not JSON). */
MUST_USE enum net_rc api_answer_feed(struct api_answer_reader *r, struct bytes in);
/* The answer ended: NET_DONE or NET_BAD. */
MUST_USE enum net_rc api_answer_end(struct api_answer_reader *r);

enum api_event_kind {
    API_EVENT_META,          /* role, empty deltas, pings: nothing a client could miss */
    API_EVENT_CONTENT,       /* text, reasoning, tool call, refusal or audio: commits */
    API_EVENT_FINISH,        /* a finish_reason (may also hold content: then has_content) */
    API_EVENT_USAGE,         /* chat: choices empty and usage an object: the usage chunk */
    API_EVENT_DONE,          /* the good end, behind which nothing comes: [DONE],
                                message_stop, response.completed, response.incomplete. The
                                latter two have usage, has_finish, and has_content where they
                                hold some */
    API_EVENT_ERROR,         /* an error, as in struct api_answer; Anthropic's and Responses'
                                error events, response.failed */
    API_EVENT_BAD,           /* data that is not JSON */
};
struct api_event {
    enum api_event_kind kind;
    bool has_content, has_finish;
    struct api_usage usage;
    struct api_member usage_at;      /* offsets in data of a root member usage (null too) */
    bool usage_said;            /* its value is an object, the one usage was read from */
    bool usage_first;           /* usage is the root's first member (comma behind, not before);
                                   api_member_cut gives the bytes to leave out */
    uint32_t text_bytes;        /* bytes of content, reasoning, refusal, arguments */
    char error_text[256];
    int32_t error_status;       /* a numeric error.code 400..599, else 0 */
};
/* Read one event's data (whole, contiguous). Never fails: kind says what it is. s is its
 * stream's; usage is what the stream has told so far, the last of it counts. Gemini has no sign
 * of the good end: a chunk with has_finish, then the end of the body. */
void api_event_read(struct bytes data, enum api api, struct api_stream *s,
                    struct api_event *ev);
/* An error inside a stream whose framing says so itself (eventstream.h): the name of its kind,
 * a text where one came with it, and its data, which may have a message. ev is overwritten. */
void api_event_exception(struct bytes name, struct bytes text, struct bytes data,
                         struct api_event *ev);

struct api_event_reader {       /* an event too large to be whole in memory; private */
    struct api_reply reply;
    struct json json;
    struct api_stream *stream;
    bool bad;
};
/* Read one event's data in pieces. s is its stream's, borrowed until the end. */
void api_event_begin(struct api_event_reader *r, enum api api, struct api_stream *s);
/* Feed a piece. */
void api_event_feed(struct api_event_reader *r, struct bytes in);
/* It ended: what it says, as api_event_read() has it. */
void api_event_end(struct api_event_reader *r, struct api_event *ev);

struct api_shape_side {      /* private: what each byte may be, from low to high */
    int8_t low[API_SHAPE_BYTES], high[API_SHAPE_BYTES];
};
struct api_shape {           /* private: an event with content, but for its text */
    struct api_member usage_at;
    uint64_t text;              /* bytes of the text it was learned from */
    uint16_t head, tail;        /* bytes before and behind the text; head 0: no shape */
    uint8_t form;               /* enum api_form */
    uint8_t says;               /* what its text is, for a check */
    struct api_shape_side before, behind;  /* behind ends where its last lane does */
};
struct api_shapes {          /* of events that were read; all zero is fresh */
    struct api_shape at[API_SHAPES];
    uint32_t missed;            /* events in a row that might have had a shape, and had not */
    uint8_t last;               /* the shape that fitted last */
};
/* The same, but an event that differs from one before in its text, and in what nobody reads,
 * is told at a tenth of the price. shapes: of one thread, for events of any streams; what
 * was said in them is not kept. */
void api_event_read_like(struct bytes data, enum api api, struct api_stream *s,
                         struct api_shapes *shapes, struct api_event *ev);

/* The bytes to leave out so that a member (key.end > 0) goes with one comma. */
struct api_span api_member_cut(const struct api_member *m);

#endif
