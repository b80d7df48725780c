/* converse.h - what the files of Bedrock's dialect share. */
#ifndef NET_TRANSLATE_CONVERSE_H
#define NET_TRANSLATE_CONVERSE_H

#include "net/bytes.h"

/* In front of what a redactedContent holds, so that it is not taken for the signature of
 * thoughts without words when it comes back; the same as Anthropic's, who makes it. */
#define CONVERSE_REDACTED BYTES("redacted")

#endif
