/* stats.c - the texts of stats.def, close.def and of attempt endings. */
#include "engine/stats.h"

struct close_text { const char *label, *code, *sentence; unsigned status; };

static const struct close_text closes[CLOSE_COUNT] = {
#define X(id, label, status, code, sentence) [CLOSE_##id] = {label, code, sentence, status},
#include "engine/close.def"
#undef X
};

static const char *const attempts[ATTEMPT_ENDS] = {
    [ATTEMPT_GOOD] = "good", [ATTEMPT_REFUSED] = "connection refused",
    [ATTEMPT_UNREACHABLE] = "unreachable", [ATTEMPT_RESET] = "connection closed",
    [ATTEMPT_TIMEOUT] = "timeout", [ATTEMPT_NAME] = "name not resolved",
    [ATTEMPT_TLS] = "TLS failed", [ATTEMPT_PROTOCOL] = "malformed answer",
    [ATTEMPT_STATUS] = "status", [ATTEMPT_ERROR_EVENT] = "error event",
    [ATTEMPT_EMPTY] = "empty answer", [ATTEMPT_NOT_JSON] = "answer is not JSON",
    [ATTEMPT_LARGE] = "answer too large", [ATTEMPT_OPEN_BREAKER] = "cooling down",
    [ATTEMPT_ENCODED] = "encoded answer",
    [ATTEMPT_NO_ROOM] = "no room left", [ATTEMPT_UNAFFORDABLE] = "not affordable",
    [ATTEMPT_BUSY] = "no room at the provider", [ATTEMPT_OFF] = "taken out of rotation",
    [ATTEMPT_UNSAYABLE] = "cannot be asked so", [ATTEMPT_UNSIGNED] = "cannot be signed",
};

struct stat_text { const char *name, *help; };

static const struct stat_text stat_texts[STAT_COUNT] = {
#define X(id, metric, help) [STAT_##id] = {metric, help},
#include "engine/stats.def"
#undef X
};

unsigned close_status(enum close_why why)
{
    assert(why < CLOSE_COUNT);
    return closes[why].status;
}

const char *close_code(enum close_why why)
{
    assert(why < CLOSE_COUNT);
    return closes[why].code;
}

const char *close_sentence(enum close_why why)
{
    assert(why < CLOSE_COUNT);
    return closes[why].sentence;
}

const char *close_name(enum close_why why)
{
    assert(why < CLOSE_COUNT);
    return closes[why].label;
}

const char *attempt_words(enum attempt_end end)
{
    assert(end < ATTEMPT_ENDS);
    return attempts[end];
}

const char *stat_name(enum stat_id stat)
{
    assert(stat < STAT_COUNT);
    return stat_texts[stat].name;
}

const char *stat_help(enum stat_id stat)
{
    assert(stat < STAT_COUNT);
    return stat_texts[stat].help;
}
