/* fuzz_ask_responses.c - requests in the form of Responses: see translate.h. */
#include "translate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_ask(API_RESPONSES, data, size);
}
