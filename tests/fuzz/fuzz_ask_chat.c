/* fuzz_ask_chat.c - requests in the form of chat completions: see translate.h. */
#include "translate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_ask(API_CHAT, data, size);
}
