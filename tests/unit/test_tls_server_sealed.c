/* test_tls_server_sealed.c - the tests of net/tls_server.c again, on the pool of engine/heap.c
 * and with malloc trapped while a call is made: what a core thread may do. */
#define TEST_SEALED
#include "engine/heap_trap.c"
#include "tests/unit/test_tls_server.c"
