/* ask.h - a request in the neutral form: what every dialect's reader gives, and every
 * dialect's writer takes. A superset: what one dialect alone can say has a place here too.
 * Nothing is copied: texts are spans of the client's body, as written there. Model: settings,
 * read once; then the conversation, part by part, and the tools, one by one; both can be begun
 * again, since a writer may need them in another order (Anthropic's system prompt stands
 * apart).
 *   ask_open -> settings; ask_rewind -> ask_next .. ASK_END; ask_tools -> ask_tool .. false */
#ifndef NET_TRANSLATE_ASK_H
#define NET_TRANSLATE_ASK_H

#include "net/dialect/api.h"
#include "net/translate/pen.h"
#include "net/translate/walk.h"

enum ask_role { ASK_SYSTEM, ASK_DEVELOPER, ASK_USER, ASK_MODEL,
                ASK_TOOL };     /* results of tools, wherever the dialect has them */

enum ask_kind {
    ASK_END,
    ASK_TURN,        /* a message begins: role, name. Readers join what is one turn (messages
                        and function_call items of the model's in Responses), and split what is
                        two: Anthropic's user message of results and text is ASK_TOOL, then
                        ASK_USER */
    ASK_TEXT, ASK_REFUSAL,
    ASK_IMAGE, ASK_DOCUMENT, ASK_AUDIO, ASK_VIDEO,
    ASK_THINKING,    /* text (may be absent: redacted, encrypted) and signature */
    ASK_CALL,
    ASK_RESULT,      /* of a call; its content follows, with inside set, up to ... */
    ASK_RESULT_END,
    ASK_OTHER,       /* what only its own dialect can say (hosted tools' items): raw */
};

struct ask_part {            /* spans are the insides of strings, as written, but for nodes */
    uint8_t kind;            /* enum ask_kind */
    uint8_t role;            /* enum ask_role, of its turn */
    uint8_t maker;           /* THINKING, CALL: enum ask_maker, of signature */
    bool inside;             /* it belongs to a result */
    bool custom;             /* CALL, RESULT: of a tool that takes any text */
    bool is_error;           /* RESULT */
    bool beside;             /* OTHER: it stands beside the content (chat: the model's audio) */
    struct walk_span text;   /* TEXT, REFUSAL, THINKING */
    struct node value;       /* TEXT, THINKING where text is absent: this is it: a JSON value
                                (Gemini's results are objects), or a text that a client of
                                Gemini's sends as the pieces it came in. For ask_text() */
    struct walk_span id;     /* CALL, RESULT: of the call. Not to be looked at: Gemini's calls
                                need none, and get ask_nth_id(). For ask_put_id() */
    struct walk_span name;   /* TURN: who speaks; CALL, RESULT: the tool; DOCUMENT: the file */
    struct walk_span space;  /* CALL: the namespace that name is in (Responses). For
                                ask_put_name() */
    struct node arguments;   /* CALL: an object, or a string that holds one; custom: a string */
    struct walk_span signature;  /* THINKING, CALL, TEXT: without our mark of its maker */
    struct walk_span data;   /* IMAGE .. VIDEO: base64 ... */
    struct walk_span url;    /* ... or where it is ... */
    struct walk_span file;   /* ... or its id at the provider */
    struct walk_span mime;   /* of data, or of url; absent: not said. DOCUMENT that is plain
                                text: it is in text. AUDIO: the type, or the part of it
                                behind "audio/" (wav, mp3) */
    struct walk_span detail; /* IMAGE: low, high, auto */
    struct node cache;       /* cache_control as written, or absent */
    struct node raw;         /* the part as written */
};

enum ask_tool_kind { ASK_FUNCTION, ASK_CUSTOM /* takes any text */, ASK_HOSTED /* raw only */ };

struct ask_tool {
    uint8_t kind;            /* enum ask_tool_kind */
    int8_t strict;           /* 1, 0; -1 unsaid */
    bool gemini;             /* schema is Gemini's own form: schema_put() */
    bool search;             /* HOSTED: it is chat's web_search_options, and in no list */
    struct walk_span name, description, space;
    struct node schema;      /* of its parameters; absent: it has none */
    struct node format;      /* custom: its grammar */
    struct node cache;
    struct node raw;         /* the tool as written */
};

enum ask_thinking { THINKING_UNSET, THINKING_OFF, THINKING_ON, THINKING_ADAPTIVE };

struct ask_settings {        /* nodes: as written, absent or null is absent */
    struct node temperature, top_p, top_k, seed, presence, frequency, bias;
    struct node stop;        /* a string, or an array of them */
    struct node user;        /* a string: end user's id (metadata.user_id) */
    struct node metadata;    /* an object of strings */
    struct node tier;        /* service_tier, a string */
    struct node safety;      /* Gemini: safetySettings */
    struct node cache_key;   /* prompt_cache_key */
    struct node verbosity;   /* a string */
    struct node audio;       /* chat: how the answer is to be spoken */
    struct node schema;      /* of the answer, an object */
    struct walk_span schema_name, schema_text;      /* its name and description */
    struct walk_span choice_name;                   /* tool_choice: the tool's */
    int64_t max_tokens;      /* of the answer; -1 unsaid */
    int64_t n;               /* choices; -1 unsaid */
    int64_t budget;          /* tokens for thinking; -1 unsaid (also: as the model likes) */
    int64_t top_logprobs;    /* -1 unsaid */
    uint8_t effort;          /* enum api_effort */
    uint8_t thinking;        /* enum ask_thinking */
    uint8_t format;          /* enum api_format */
    uint8_t choice;          /* enum api_choice */
    int8_t strict;           /* of schema; -1 unsaid */
    int8_t parallel;         /* parallel_tool_calls; -1 unsaid */
    int8_t thoughts;         /* summaries of thoughts are wanted; -1 unsaid */
    bool choice_said;
    bool gemini;             /* schema is Gemini's own form */
    bool stream, include_usage, logprobs, store;
    bool encrypted;          /* Responses: include has reasoning.encrypted_content */
};

enum { ASK_LEVELS = 4, ASK_CALLS = 128 };

struct ask_call { uint64_t id; struct walk_span name, space, said; };   /* id: hash of said,
                                which is the id as the call has it */

struct ask {                 /* a request that is being read. Large: not for a stack */
    struct walk walk;
    struct node root;
    struct ask_settings settings;
    enum api api;            /* whose form it has */
    char error[160];         /* what cannot be said, or is wrong: a sentence for the client */
    char pointer[80];        /* and where: a JSON pointer */
    bool unsayable;          /* a reader found what its own dialect alone can say, where no
                                part, tool or setting stands for it: error, pointer. Only
                                that dialect may be written */
    /* private: of readers */
    uint64_t calls;          /* so many were there */
    uint64_t step;           /* Gemini: calls before the latest turn of the model's, */
    uint64_t answered[2];    /* and which of that turn's have their result: bits */
    uint32_t message, element;          /* indexes, for pointer */
    uint32_t stage, flags;   /* a reader's own state */
    struct node at[8];       /* a reader's own places */
    uint8_t held_at, held_count, role;
    /* What follows is not zeroed by ask_open(). */
    struct walk_each each[ASK_LEVELS];  /* passes that are in progress, outermost first */
    struct walk_each tools_each[3];
    struct ask_part held[4]; /* parts that were made at once, to be given one by one */
    struct ask_call call[ASK_CALLS];    /* the latest calls */
};

/* What a provider is to read, besides what the client wrote. */
struct ask_target {
    enum api api;            /* the form to write */
    struct bytes model;      /* text; for APIs that have it in the body */
    struct bytes version;    /* Anthropic's body at another host (Vertex AI): anthropic_version,
                                in the place of the model; empty: none */
    int64_t output_max;      /* an upper limit for max_tokens; 0 none */
    int64_t output_default;  /* where the client gives no limit and the API must have one: put
                                by ask_output() for API_MESSAGES alone */
    uint64_t quirks;         /* bits of enum ask_quirk */
    uint8_t efforts;         /* bit per enum api_effort that the model takes; 0: not known */
    uint8_t effort;          /* enum api_effort that Weir asks for; UNSET: the client's */
    uint8_t thoughts;        /* enum ask_thoughts: chat's field for thoughts */
    uint8_t continues;       /* enum ask_continues: the conversation ends with an open turn
                                of the model's, that it is to go on with; else 0 */
    bool stream;             /* asked for as a stream */
    bool thinks;             /* the model can think */
    bool official;           /* it is the maker of the dialect itself (api.openai.com) */
};

/* Does the conversation end with a turn of the model's that it goes on with? A model does not
 * think in the middle of an answer, and Anthropic (extended thinking and structured outputs:
 * "not compatible with prefilling"), Alibaba (partial mode: "non-thinking mode") and llama.cpp
 * refuse one that is to. */
static inline bool ask_goes_on(const struct ask_target *t)
{
    return t->continues != ASK_CONTINUES_NOT && t->continues != ASK_CONTINUES_INSTRUCT;
}

/* Where providers who speak chat have an answer's thoughts (providers.tsv). */
enum ask_thoughts { THOUGHTS_NONE, THOUGHTS_REASONING_CONTENT, THOUGHTS_REASONING,
                    THOUGHTS_DETAILS /* OpenRouter's reasoning_details */ };

/* What a provider, or a model of it, does otherwise than its dialect says. The same bits as in
 * route/quirk.def. */
enum ask_quirk {
    ASK_COMPLETION_TOKENS = 1 << 0,  /* chat: max_completion_tokens, not max_tokens */
    ASK_NO_OPTIONS = 1 << 1,         /* chat: stream_options is refused */
    ASK_NO_SAMPLING = 1 << 2,        /* temperature, top_p, top_k are refused */
    ASK_ID_9 = 1 << 3,               /* ids of calls: exactly 9 letters and digits (Mistral) */
    ASK_NO_NAME = 1 << 4,            /* chat: messages[].name is refused */
    ASK_RANDOM_SEED = 1 << 5,        /* chat: seed is called random_seed */
    ASK_CHOICE_ANY = 1 << 6,         /* chat: tool_choice "any" for "required" */
    ASK_NO_EFFORT = 1 << 7,          /* chat: reasoning_effort is refused */
    ASK_ADAPTIVE = 1 << 8,           /* Anthropic: thinking adaptive and effort, no budget */
    ASK_NO_PREFILL = 1 << 9,         /* the last turn may not be the model's */
    ASK_KEEP_THOUGHTS = 1 << 10,     /* chat: thoughts of earlier turns must be sent back */
    ASK_NO_THOUGHTS = 1 << 11,       /* chat: thoughts inside messages are refused */
    ASK_SIGNED_CALLS = 1 << 12,      /* Gemini 3: a step's first call must have a signature */
    ASK_NO_PENALTIES = 1 << 13,
    ASK_NO_STOP = 1 << 14,
    ASK_NO_STRICT = 1 << 15,         /* strict in tools is refused */
    ASK_NO_PARALLEL = 1 << 16,       /* parallel_tool_calls is refused */
    ASK_NO_LOGPROBS = 1 << 17,
    ASK_ALTERNATE = 1 << 18,         /* user and assistant must take turns (Perplexity) */
    ASK_CACHE_MARKS = 1 << 19,       /* chat: cache_control is understood (OpenRouter) */
    ASK_NO_SCHEMA = 1 << 20,         /* response_format json_schema is refused: json_object */
    ASK_THINK_OBJECT = 1 << 21,      /* chat: thinking: {type} besides reasoning_effort */
    ASK_NO_TIER = 1 << 22,           /* service_tier is refused */
    ASK_COUNT_FLAT = 1 << 23,        /* Gemini's countTokens without generateContentRequest
                                        around it (Vertex AI) */
    ASK_NO_USER = 1 << 24,           /* user, metadata, store, cache keys are refused */
    ASK_PLAIN_TEXT = 1 << 25,        /* chat: content is a string, but for the user's */
    ASK_TOP_K = 1 << 26,             /* chat: top_k is taken */
    ASK_COOL = 1 << 27,              /* a temperature above 1 is refused */
    ASK_THINK_SWITCH = 1 << 28,      /* chat: enable_thinking, thinking_budget (Qwen) */
};

/* Is there a reader, a writer of that API's requests? */
bool ask_reads(enum api api);
/* The same for its writer. */
bool ask_writes(enum api api);
/* Begin with a request in the form of api. source, scratch: walk_open's. False: ASK_WRONG. */
MUST_USE bool ask_open(struct ask *a, enum api api, const struct walk_source *source,
                       struct json_index *scratch);
/* Begin the conversation (again). */
void ask_rewind(struct ask *a);
/* The next part of it; kind ASK_END behind the last. False: ASK_WRONG. */
MUST_USE bool ask_next(struct ask *a, struct ask_part *part);
/* Begin the tools (again). */
void ask_tools(struct ask *a);
/* The next tool. False: that was the last. */
bool ask_tool(struct ask *a, struct ask_tool *tool);
/* Write it in the target's form. p: what was written of it is of no use unless ASK_WRITTEN. */
MUST_USE enum ask_rc ask_write(struct ask *a, const struct ask_target *target, struct pen *p);

/* ---- for readers and writers ---- */

/* Say what is wrong, or cannot be said, and where. Keeps what was said first. */
void ask_blame(struct ask *a, const char *pointer, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Does the request want none of what only chat and Gemini can be asked for: several answers,
 * logprobs, speech; nor that its provider keeps it? Else blamed, where it stands in the
 * client's own form; dialect names the one that cannot. */
MUST_USE bool ask_is_plain(struct ask *a, const char *dialect);
/* Note a call, as readers do for each: a result may have only the id. */
void ask_note_call(struct ask *a, const struct ask_part *call);
/* The tool's name of that call; absent: it is not among the latest ASK_CALLS. */
struct walk_span ask_call_name(const struct ask *a, struct walk_span id);
/* The namespace of that name; absent: none. */
struct walk_span ask_call_space(const struct ask *a, struct walk_span id);
/* The name of a tool, or of a call, where there are no namespaces: "space__name", and where
 * that is longer than a name may be, or has other letters, one made of its hash. Gives a string
 * value; tell_name() knows the way back. */
void ask_put_name(struct pen *p, const struct walk *w, struct walk_span space,
                  struct walk_span name);
/* The schema of a tool that takes any text, where there are only functions: an object with one
 * string, `input`. ask_put_arguments() writes the same. */
void ask_put_custom_schema(struct pen *p);
/* Find our mark in front of a signature: gives its maker and takes it off; unmarked, own. */
uint8_t ask_maker(const struct walk *w, struct walk_span *signature, enum ask_maker own);
/* The mark to put in front of a signature of that maker, eight bytes of base64's letters, so
 * that what decodes it, or counts, does not stumble. Text for inside a string. */
struct bytes ask_mark(enum ask_maker maker);
/* Does a body hold such a mark of another maker than own? Then not even its own dialect may be
 * relayed as it is. (For api_reader's one pass: does this signature have one?) */
bool ask_is_marked(struct bytes signature);

enum ask_id { ID_CHAT /* <= 40 bytes of [A-Za-z0-9_-] */, ID_RESPONSES /* <= 64 */,
              ID_MESSAGES /* [A-Za-z0-9_-]+ */, ID_GEMINI /* any */, ID_NINE };
/* A call's id as the rule wants it: itself where it may stand, else one made of its hash, the
 * same for the call and its result. Gives a string value. */
void ask_put_id(struct pen *p, const struct walk *w, struct walk_span id, enum ask_id rule);
/* The id of a call that came without: its number in the conversation, which is the same in the
 * next request. No place of the document: for ask_put_id, ask_note_call, ask_call_name. */
static inline struct walk_span ask_nth_id(uint64_t nth)
{
    const uint64_t beyond = UINT64_C(1) << 62;  /* of any document */
    return (struct walk_span){beyond + nth, beyond + nth + 1};
}
/* Has a part TEXT or THINKING any text? */
static inline bool ask_has_text(const struct ask_part *part)
{
    return walk_has(part->text) || part->value.type != JSON_NONE;
}
/* The text of a part TEXT or THINKING, as part of a string that was begun. */
void ask_text(struct pen *p, const struct walk *w, const struct ask_part *part);
/* Data in base64, as part of a string that was begun: what is in the alphabet for URLs (RFC
 * 4648 section 5), as Gemini's clients may write it, becomes the usual one, padded. */
void ask_base64(struct pen *p, const struct walk *w, struct walk_span data);
/* All pieces from one string's inside to another's, both in contents of Gemini's that have
 * nothing but such texts between them, as a value for ask_text(). */
struct node ask_pieces(struct walk_span first, struct walk_span last);
/* The arguments of a call as an object. False: it holds none; blamed. */
MUST_USE bool ask_put_arguments(struct ask *a, struct pen *p, const struct ask_part *call);
/* The arguments of a call as a string that holds them. */
void ask_put_arguments_text(struct ask *a, struct pen *p, const struct ask_part *call);
/* An URL "data:MIME;base64,DATA": its parts; false: it is none. */
bool ask_data_url(const struct walk *w, struct walk_span url, struct walk_span *mime,
                  struct walk_span *data);
/* The effort that a budget stands for, and the budget for an effort with that limit of output
 * (<= 0: none known): Anthropic's and Gemini's documents give ranges, these are ours. */
enum api_effort ask_budget_effort(int64_t budget);
/* The other way. */
int64_t ask_effort_budget(enum api_effort effort, int64_t output);
/* The nearest effort that the target's model takes. */
enum api_effort ask_effort_for(const struct ask_target *t, enum api_effort wanted);
/* The output limit to write: the client's, the target's; -1: none. */
int64_t ask_output(const struct ask *a, const struct ask_target *t);

/* One dialect: what the functions above call. open NULL: no client speaks it. */
struct ask_dialect {
    bool (*open)(struct ask *a);     /* reads the settings */
    void (*rewind)(struct ask *a);
    bool (*next)(struct ask *a, struct ask_part *part);
    void (*tools)(struct ask *a);
    bool (*tool)(struct ask *a, struct ask_tool *tool);
    enum ask_rc (*write)(struct ask *a, const struct ask_target *t, struct pen *p);
};
extern const struct ask_dialect chat_ask, responses_ask, messages_ask, gemini_ask,
    converse_ask, cohere_ask;

#endif
