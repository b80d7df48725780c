/* crc.h - CRC-32C (Castagnoli; RFC 3720 section 12.1), the checksum of journal records. One
 * answer, two ways: the processor's instruction where it has one, else a table. */
#ifndef STORE_CRC_H
#define STORE_CRC_H

#include "store/store.h"

/* CRC-32C of len bytes, by the fastest way this processor has. */
uint32_t crc32c(const void *data, size_t len);
/* The same by the table alone: what crc32c is checked against. */
uint32_t crc32c_table(const void *data, size_t len);

#endif
