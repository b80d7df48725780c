/* fuzz_tell_gemini.c - answers in Gemini's form: see translate.h. */
#include "translate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_tell(API_GENERATE, data, size);
}
