/* fuzz_tell_converse.c - answers in the form of Bedrock's Converse: see translate.h. */
#include "translate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_tell(API_CONVERSE, data, size);
}
