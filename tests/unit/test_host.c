/* test_host.c - provider addresses: one entry per (host, port, TLS), literals known at once, a
 * stale address kept, and copies that never mix two versions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/host.h"

enum { LOOKS = 200000 };

static struct hosts *hosts_make(void)
{
    struct hosts *h = calloc(1, sizeof *h);
    assert_non_null(h);
    return h;
}

static void hosts_free(struct hosts *h)
{
    for (uint32_t i = 0; i < h->count; i++) free(h->at[i]);
    free(h);
}

static void test_one_entry_each(void **state)
{
    (void)state;
    static const struct { const char *name; uint16_t port; bool tls; } cases[] = {
        {"api.example.com", 443, true}, {"api.example.com", 443, false},
        {"api.example.com", 80, true}, {"api.example.org", 443, true},
        {"API.example.com", 443, true},      /* conf lowers names; here they are bytes */
    };
    struct hosts *h = hosts_make();
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < COUNT(cases); i++) {
            assert_int_equal(hosts_find(h, cases[i].name, cases[i].port, cases[i].tls, false),
                             i);
        }
    }
    assert_int_equal(h->count, COUNT(cases));
    struct host_addresses a;
    assert_false(host_look(h->at[0], &a));   /* nothing is known before it was resolved */
    hosts_free(h);
}

static void test_literals_are_known_at_once(void **state)
{
    (void)state;
    struct hosts *h = hosts_make();
    struct host_addresses a;
    int32_t four = hosts_find(h, "192.0.2.7", 8080, false, true);
    assert_true(host_look(h->at[four], &a));
    assert_int_equal(a.count, 1);
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)&a.at[0];
    assert_int_equal(in->sin_family, AF_INET);
    assert_int_equal(in->sin_port, htons(8080));
    assert_int_equal(in->sin_addr.s_addr, inet_addr("192.0.2.7"));
    assert_int_equal(a.len[0], sizeof *in);
    int32_t six = hosts_find(h, "2001:db8::1", 443, true, true);
    assert_true(host_look(h->at[six], &a));
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)&a.at[0];
    assert_int_equal(in6->sin6_family, AF_INET6);
    assert_int_equal(in6->sin6_port, htons(443));
    assert_int_equal(a.len[0], sizeof *in6);
    assert_true(h->at[six]->resolved_ns > 0);
    hosts_free(h);
}

static void test_the_table_fills(void **state)
{
    (void)state;
    struct hosts *h = hosts_make();
    for (uint16_t i = 0; i < HOSTS_MAX; i++) {
        assert_int_equal(hosts_find(h, "a.example", (uint16_t)(1 + i), false, false), i);
    }
    assert_int_equal(hosts_find(h, "a.example", HOSTS_MAX + 1, false, false), -1);
    assert_int_equal(hosts_find(h, "a.example", 7, false, false), 6);   /* old ones still */
    hosts_free(h);
}

static void test_the_longest_name(void **state)
{
    (void)state;
    struct hosts *h = hosts_make();
    char name[HOST_NAME_MAX_BYTES + 1];
    memset(name, 'n', sizeof name);
    name[HOST_NAME_MAX_BYTES] = 0;
    assert_int_equal(hosts_find(h, name, 1, false, false), -1);
    name[HOST_NAME_MAX_BYTES - 1] = 0;
    assert_int_equal(hosts_find(h, name, 1, false, false), 0);
    assert_string_equal(h->at[0]->name, name);
    hosts_free(h);
}

static void test_a_stale_address_beats_none(void **state)
{
    (void)state;
    struct hosts *h = hosts_make();
    struct host_addresses a;
    int32_t i = hosts_find(h, "127.0.0.1", 80, false, true);
    uint64_t since = h->at[i]->resolved_ns;
    (void)snprintf(h->at[i]->name, HOST_NAME_MAX_BYTES, "not an address");
    assert_false(host_resolve(h->at[i], since + 5));
    assert_int_equal(h->at[i]->resolved_ns, since);
    assert_true(host_look(h->at[i], &a));
    assert_int_equal(a.count, 1);
    (void)snprintf(h->at[i]->name, HOST_NAME_MAX_BYTES, "127.0.0.2");
    assert_true(host_resolve(h->at[i], since + 5));
    assert_int_equal(h->at[i]->resolved_ns, since + 5);
    assert_true(host_look(h->at[i], &a));
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)&a.at[0];
    assert_int_equal(in->sin_addr.s_addr, inet_addr("127.0.0.2"));
    hosts_free(h);
}

/* RFC 8305 section 4: families alternate, so that the second try is of the other one. */
static void test_localhost_alternates(void **state)
{
    (void)state;
    struct hosts *h = hosts_make();
    struct host_addresses a;
    int32_t i = hosts_find(h, "localhost", 80, false, false);
    if (!host_resolve(h->at[i], 0)) {          /* a machine without /etc/hosts */
        print_message("localhost has no address here: skipped\n");
        hosts_free(h);
        skip();
    }
    assert_true(h->at[i]->resolved_ns > 0);    /* 0 would say never */
    assert_true(host_look(h->at[i], &a));
    bool six = false;
    for (uint32_t k = 0; k < a.count; k++) six |= a.at[k].ss_family == AF_INET6;
    if (six) assert_int_equal(a.at[0].ss_family, AF_INET6);
    if (six && a.count > 1) assert_int_equal(a.at[1].ss_family, AF_INET);
    hosts_free(h);
}

struct writer {
    struct host *h;
    _Atomic bool stop;
};

/* Two addresses by turns, whose every part differs. */
static void *write_on(void *arg)
{
    struct writer *w = arg;
    for (uint64_t i = 1; !atomic_load(&w->stop); i++) {
        bool six = i & 1;
        (void)snprintf(w->h->name, HOST_NAME_MAX_BYTES, "%s",
                       six ? "2001:db8::1" : "192.0.2.1");
        w->h->port = six ? 6666 : 4444;
        if (!host_resolve(w->h, i)) return w;
    }
    return NULL;
}

static void test_copies_are_of_one_version(void **state)
{
    (void)state;
    struct hosts *h = hosts_make();
    struct writer w = {.h = h->at[hosts_find(h, "192.0.2.1", 4444, false, true)]};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_on, &w), 0);
    for (int i = 0; i < LOOKS; i++) {
        struct host_addresses a;
        if (!host_look(w.h, &a)) continue;       /* the writer was in the middle throughout */
        assert_int_equal(a.count, 1);
        bool six = a.at[0].ss_family == AF_INET6;
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)&a.at[0];
        assert_int_equal(in->sin_port, htons(six ? 6666 : 4444));
        assert_int_equal(a.len[0], six ? sizeof(struct sockaddr_in6)
                                       : sizeof(struct sockaddr_in));
        if (!six) assert_int_equal(in->sin_addr.s_addr, inet_addr("192.0.2.1"));
    }
    atomic_store(&w.stop, true);
    void *failed = &w;
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    hosts_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_entry_each),
        cmocka_unit_test(test_literals_are_known_at_once),
        cmocka_unit_test(test_the_table_fills),
        cmocka_unit_test(test_the_longest_name),
        cmocka_unit_test(test_a_stale_address_beats_none),
        cmocka_unit_test(test_localhost_alternates),
        cmocka_unit_test(test_copies_are_of_one_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
