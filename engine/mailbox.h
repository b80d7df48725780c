/* mailbox.h - messages between threads without a lock: any thread posts, one takes all. A
 * message embeds struct mail. */
#ifndef ENGINE_MAILBOX_H
#define ENGINE_MAILBOX_H

#include <stdatomic.h>
#include <stddef.h>

struct mail { struct mail *next; };

struct mailbox { _Atomic(struct mail *) newest; };   /* all zero is empty */

/* Put m in. The box owns it until it is taken. */
static inline void mailbox_post(struct mailbox *box, struct mail *m)
{
    struct mail *head = atomic_load_explicit(&box->newest, memory_order_relaxed);
    do {
        m->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&box->newest, &head, m,
                                                    memory_order_release,
                                                    memory_order_relaxed));
}

/* Take everything, oldest first, as a list through next; NULL when empty. */
static inline struct mail *mailbox_take(struct mailbox *box)
{
    struct mail *m = atomic_exchange_explicit(&box->newest, NULL, memory_order_acquire);
    struct mail *oldest = NULL;
    while (m) {
        struct mail *next = m->next;
        m->next = oldest;
        oldest = m;
        m = next;
    }
    return oldest;
}

#endif
