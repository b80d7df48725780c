/* fuzz_tell_responses.c - answers in the form of Responses: see translate.h. */
#include "translate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_tell(API_RESPONSES, data, size);
}
