/* mock_form.h - what the answers of Anthropic, OpenAI's Responses and Gemini have in common in
 * weir-mock: the events of a stream are steps, in one order for all; a form passes over those
 * it has no event for. A whole answer is written by the form itself.
 *   mock_form.c       the steps, their framing, errors
 *   mock_messages.c   Anthropic Messages
 *   mock_responses.c  OpenAI Responses
 *   mock_gemini.c     Gemini generateContent */
#ifndef TOOLS_MOCK_FORM_H
#define TOOLS_MOCK_FORM_H

#include "net/bytes.h"

struct core;
struct job;
struct text;

enum form_step {
    STEP_BEGIN, STEP_BEGUN,
    STEP_THINK, STEP_THINK_PART, STEP_THOUGHT, STEP_THOUGHT_SAID, STEP_THOUGHT_PART,
    STEP_THOUGHT_END,
    STEP_ITEM, STEP_PART, STEP_SAY, STEP_SAID, STEP_SAID_PART, STEP_ITEM_END,
    STEP_FINISH, STEP_DONE,
    STEP_END,
};

struct form {
    /* The event of a step; NULL: the form has none. call: where the answer calls a tool. */
    const char *said[STEP_END], *call[STEP_END];
    bool named;                /* the name is sent, as an event field */
    bool crlf;                 /* lines end so */
};

/* --- mock_form.c --- */
/* True when the next event of the stream is a token, which has its time. */
bool form_is_token(struct job *job);
/* Write the next event, framed; job->phase is PHASE_END behind the last. */
void form_event(struct core *core, struct job *job, struct text *t);
/* The event of a script's error, framed. */
void form_error(struct core *core, struct job *job, struct text *t);
/* Bytes that are no JSON, framed as an event. */
void form_garbage(struct core *core, struct job *job, struct text *t);
/* The whole answer. */
void form_whole(struct core *core, struct job *job, struct text *t);
/* The content, or what a call's arguments are, as the inside of a JSON string. */
void form_text(struct core *core, const struct job *job, struct text *t);
/* The token that is next, the same way; job->token moves on. */
void form_token(struct core *core, struct job *job, struct text *t);
/* `,"name":n`. */
void form_count(struct text *t, struct bytes name, uint64_t n);

/* --- one file each --- */
extern const struct form messages_form, responses_form, gemini_form;
/* The data of the event of this step. */
void messages_data(struct core *core, struct job *job, enum form_step step, struct text *t);
/* The same. */
void responses_data(struct core *core, struct job *job, enum form_step step, struct text *t);
/* The same. */
void gemini_data(struct core *core, struct job *job, enum form_step step, struct text *t);
/* The whole answer. */
void messages_whole(struct core *core, struct job *job, struct text *t);
/* The same. */
void responses_whole(struct core *core, struct job *job, struct text *t);
/* The same. */
void gemini_whole(struct core *core, struct job *job, struct text *t);

#endif
