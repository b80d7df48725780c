/* test_mailbox.c - messages between threads: none lost, none twice, each sender's in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/mailbox.h"

enum { SENDERS = 2, LETTERS = 100000 };

struct letter {
    struct mail mail;          /* first: a letter is found by its mail */
    uint32_t sender, number;
};

struct sender {
    struct mailbox *box;
    struct letter *letters;
    pthread_t thread;
};

static void test_oldest_first(void **state)
{
    (void)state;
    struct mailbox box = {NULL};
    struct letter l[5] = {0};
    assert_null(mailbox_take(&box));
    for (uint32_t i = 0; i < 5; i++) {
        l[i].number = i;
        mailbox_post(&box, &l[i].mail);
    }
    uint32_t next = 0;
    for (struct mail *m = mailbox_take(&box); m; m = m->next) {
        assert_int_equal(((struct letter *)(void *)m)->number, next++);
    }
    assert_int_equal(next, 5);
    assert_null(mailbox_take(&box));
    mailbox_post(&box, &l[3].mail);   /* a letter may be sent again */
    struct mail *m = mailbox_take(&box);
    assert_ptr_equal(m, &l[3].mail);
    assert_null(m->next);
}

static void *send_all(void *arg)
{
    struct sender *s = arg;
    for (uint32_t i = 0; i < LETTERS; i++) mailbox_post(s->box, &s->letters[i].mail);
    return NULL;
}

static void test_two_senders_one_reader(void **state)
{
    (void)state;
    struct mailbox box = {NULL};
    struct sender sender[SENDERS];
    uint32_t next[SENDERS] = {0}, got = 0;
    for (uint32_t s = 0; s < SENDERS; s++) {
        sender[s].box = &box;
        sender[s].letters = calloc(LETTERS, sizeof *sender[s].letters);
        assert_non_null(sender[s].letters);
        for (uint32_t i = 0; i < LETTERS; i++) {
            sender[s].letters[i].sender = s;
            sender[s].letters[i].number = i;
        }
        assert_int_equal(pthread_create(&sender[s].thread, NULL, send_all, &sender[s]), 0);
    }
    while (got < SENDERS * LETTERS) {
        struct mail *m = mailbox_take(&box);
        while (m) {
            struct letter *l = (struct letter *)(void *)m;
            m = m->next;
            assert_true(l->sender < SENDERS);
            assert_int_equal(l->number, next[l->sender]++);
            got++;
        }
    }
    for (uint32_t s = 0; s < SENDERS; s++) {
        assert_int_equal(pthread_join(sender[s].thread, NULL), 0);
        assert_int_equal(next[s], LETTERS);
        free(sender[s].letters);
    }
    assert_null(mailbox_take(&box));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_oldest_first),
        cmocka_unit_test(test_two_senders_one_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
