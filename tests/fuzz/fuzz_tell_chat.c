/* fuzz_tell_chat.c - answers in the form of chat completions: see translate.h. */
#include "translate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_tell(API_CHAT, data, size);
}
