/* vault.h - where secrets lie, and what of the process a core dump may hold. Provider keys, the
 * configuration they came in and a core's scratch lie in mappings that no core dump has; what
 * handlers leave on a stack is wiped when their thread has nothing to do. */
#ifndef ENGINE_VAULT_H
#define ENGINE_VAULT_H

#include <stdbool.h>
#include <stddef.h>

/* Take zeroed memory of its own pages, left out of core dumps. NULL: the machine has none. */
void *vault_take(size_t bytes);
/* Wipe and give back; bytes as taken. takes ptr (NULL is fine). */
void vault_give(void *ptr, size_t bytes);
/* Leave the environment, where provider keys come from, out of core dumps. It stays readable:
 * a reload looks into it again. Main thread. */
void vault_hide_environment(void);
/* May the process leave a core dump at all? While it may not, other processes of the same user
 * cannot look into its memory either (prctl(2), PR_SET_DUMPABLE). Main thread. */
void vault_allow_dumps(bool allow);
/* Zero what functions that have returned left on the stack below the caller, and in vector
 * registers, through which bytes are copied. Any thread. */
void vault_forget(void);

#endif
