/* fuzz_ask_gemini.c - requests in Gemini's form: see translate.h. */
#include "translate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_ask(API_GENERATE, data, size);
}
