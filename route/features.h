/* features.h - what the router knows of one request: a fixed vector of numbers, made in one
 * pass over short excerpts of its text. No allocation, no text is kept, and the same text
 * gives the same numbers however its JSON was escaped (as long as no excerpt is cut).
 * The trainer (tools/train), the bench and the gateway call this very code. */
#ifndef ROUTE_FEATURES_H
#define ROUTE_FEATURES_H

#include "route/quality.h"

/* What is asked for, by rule; finer than a family. */
enum task {
    TASK_CHAT,          /* nothing else was recognised */
    TASK_QA,            /* a question about facts */
    TASK_CHOICE,        /* a question with options to choose from */
    TASK_MATH,          /* calculate, solve */
    TASK_PROOF,         /* prove, derive */
    TASK_CODE,          /* write, mend or read a program */
    TASK_REASONING,     /* puzzles, plans, step by step */
    TASK_WRITE,         /* stories, letters, poems, advertisements */
    TASK_SUMMARISE,
    TASK_CLASSIFY,
    TASK_EXTRACT,
    TASK_TRANSLATE,
    TASK_REWRITE,       /* paraphrase, correct, shorten */
    TASK_EXPLAIN,
    TASK_ROLEPLAY,
    TASK_TOOLS,         /* tools are offered and the turn is the user's */
    TASK_AGENT,         /* tools were called in this conversation already */
    TASKS
};

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_SCHEMA };
enum tool_choice { TOOLS_AUTO, TOOLS_NONE, TOOLS_REQUIRED, TOOLS_NAMED };

enum language {
    LANGUAGE_OTHER, LANGUAGE_ENGLISH, LANGUAGE_GERMAN, LANGUAGE_FRENCH, LANGUAGE_SPANISH,
    LANGUAGE_ITALIAN, LANGUAGE_PORTUGUESE, LANGUAGE_DUTCH, LANGUAGE_CYRILLIC, LANGUAGE_CHINESE,
    LANGUAGE_JAPANESE, LANGUAGE_KOREAN, LANGUAGE_ARABIC, LANGUAGE_HINDI, LANGUAGES
};

/* Excerpts, and how many bytes of each are read. */
enum features_text {
    TEXT_SYSTEM,        /* head of the system prompt */
    TEXT_FIRST,         /* head of the first user text; empty where that is the last one */
    TEXT_LAST,          /* the last user text: whole up to FEATURES_LAST_MAX, else its head */
    TEXT_LAST_TAIL,     /* its tail where it is longer, else empty */
    TEXT_TOOLS,         /* head of the tools, brackets and all (JSON, not a string) */
    FEATURES_TEXTS
};

enum {
    FEATURES_SYSTEM_MAX = 192,
    FEATURES_FIRST_MAX = 192,
    FEATURES_LAST_MAX = 512,    /* a longer text given whole is cut to the two below */
    FEATURES_HEAD_MAX = 256,
    FEATURES_TAIL_MAX = 256,
    FEATURES_TOOLS_MAX = 768,
    FEATURES_WORDS_MAX = 256,   /* distinct words and pairs of words that are kept */
    FEATURES_WORD_BITS = 14,    /* of a hashed word */
    FEATURES_LEARNED = 30,      /* dimensions in which a tenant's correction is learned */
};

/* What is asked, as the reader of the body noted it. Zero is an empty request. */
struct features_ask {
    uint64_t prompt_bytes;      /* of all texts of the prompt, as written in JSON */
    uint64_t system_bytes, last_bytes, tool_bytes;      /* whole, not of the excerpt */
    uint32_t message_count, user_turns, assistant_turns, tool_turns;
    uint32_t tool_count, image_count, audio_count;
    int64_t max_tokens;         /* -1 absent */
    uint8_t format;             /* enum format */
    uint8_t effort;             /* enum effort */
    uint8_t tool_choice;        /* enum tool_choice */
    bool stream;
    struct bytes text[FEATURES_TEXTS];  /* contents of JSON strings as written, escapes and
                                           all; may be cut anywhere; borrow */
};

/* The dense numbers, by name: see features.def. */
enum feature {
#define F(name, group, text) FEATURE_##name,
#include "route/features.def"
#undef F
    FEATURES
};

struct features {
    int16_t dense[FEATURES];    /* fixed point, see features.def; never beyond +-16000 */
    uint16_t word_count;
    uint16_t word[FEATURES_WORDS_MAX];  /* distinct, hashed to FEATURES_WORD_BITS; in the order
                                           they came */
    uint8_t task, family, language;     /* enum task, family, language */
    uint8_t effort;                     /* enum effort */
};

/* What is remembered of a request until its outcome is known: numbers only. */
struct features_kept {
    int16_t x[FEATURES_LEARNED];        /* the dimensions a tenant learns in; 4096 is 1 */
    int16_t gain;               /* what was expected without the tenant's correction, of
                                   GAIN_ONE; may be negative */
    uint8_t task, family, language;
};
static_assert(sizeof(struct features_kept) <= 128, "many are kept per core");

/* Make the numbers of one request. out is written whole. Reads nothing of ask's texts beyond
 * the limits above. */
void features_make(const struct features_ask *ask, struct features *out);
/* The names used in answers and logs. Static text. */
const char *task_name(enum task task);
/* See task_name(). */
const char *language_name(enum language language);
/* See task_name(). */
const char *feature_name(enum feature feature);
/* The family whose quality figures count for a task (texts only: vision and long context are
 * told from the request's sizes). */
enum family task_family(enum task task);

#endif
