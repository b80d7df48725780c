/* fuzz_tell_cohere.c - answers in the form of Cohere's v2 chat: see translate.h. */
#include "translate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_tell(API_COHERE, data, size);
}
