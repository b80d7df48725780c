/* test_boot.c - what start-up does before there are threads: listeners, limits, the admin
 * token, the first start, and publishing a version of the tables. */
#include <openssl/sha.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/boot.h"
#include "engine/conf.h"
#include "engine/core.h"
#include "engine/engine.h"
#include "engine/tables.h"
#include "store/keys.h"
#include "store/org.h"
#include "tests/unit/conf_kit.h"
#include "tests/unit/data_dir.h"
#include "tests/unit/serve_none.h"

/* --- listening --- */

static bool connects(const char *bound)
{
    const char *colon = strrchr(bound, ':');
    bool six = bound[0] == '[';
    uint16_t port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    struct { struct sockaddr_in four; struct sockaddr_in6 six; } at = {
        {.sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
        {.sin6_family = AF_INET6, .sin6_port = port, .sin6_addr = IN6ADDR_LOOPBACK_INIT},
    };
    int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = six ? connect(fd, (struct sockaddr *)&at.six, sizeof at.six)
                 : connect(fd, (struct sockaddr *)&at.four, sizeof at.four);
    (void)close(fd);
    return rc == 0;
}

static void test_listening_on_a_free_port(void **state)
{
    (void)state;
    static const struct { const char *address, *bound; } cases[] = {
        {"127.0.0.1:0", "127.0.0.1:"}, {"0.0.0.0:0", "0.0.0.0:"}, {"[::1]:0", "[::1]:"},
        {"[::]:0", "[::]:"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (uint32_t count = 1; count <= 3; count++) {
            int fd[3];
            char bound[300], why[256] = "";
            if (boot_listen(cases[i].address, count, fd, bound, sizeof bound, why) != 0) {
                if (cases[i].address[0] == '[') break;      /* a machine without IPv6 */
                fail_msg("%s: %s", cases[i].address, why);
            }
            assert_int_equal(strncmp(bound, cases[i].bound, strlen(cases[i].bound)), 0);
            assert_true(strtoul(strrchr(bound, ':') + 1, NULL, 10) > 0);
            assert_true(connects(bound));
            for (uint32_t k = 0; k < count; k++) {
                assert_true(fcntl(fd[k], F_GETFD) & FD_CLOEXEC);
                (void)close(fd[k]);
            }
            assert_false(connects(bound));
        }
    }
}

/* A second program on the port is noticed although both would share it (SO_REUSEPORT). */
static void test_a_taken_port(void **state)
{
    (void)state;
    int fd[2], other[2];
    char bound[300], again[300], why[256] = "";
    assert_int_equal(boot_listen("127.0.0.1:0", 2, fd, bound, sizeof bound, why), 0);
    assert_int_equal(boot_listen(bound, 2, other, again, sizeof again, why), -1);
    assert_string_equal(why, "the port is taken by another program");
    assert_int_equal(boot_listen(bound, 1, other, again, sizeof again, why), -1);
    (void)close(fd[0]);
    assert_int_equal(boot_listen(bound, 1, other, again, sizeof again, why), -1);
    (void)close(fd[1]);
    assert_int_equal(boot_listen(bound, 1, other, again, sizeof again, why), 0);
    assert_string_equal(again, bound);
    (void)close(other[0]);
}

static void test_no_addresses(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "", "127.0.0.1", "127.0.0.1:", ":8080", "127.0.0.1:65536", "127.0.0.1:-1",
        "127.0.0.1:http", "example.com:80", "256.0.0.1:80", "127.0.0:80", "[::1:80", "::1:80",
        "[::g]:80", "127.0.0.1:80:80", "[]:80", "192.0.2.1:0",   /* not of this machine */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int fd = -1;
        char bound[300], why[256] = "";
        if (boot_listen(cases[i], 1, &fd, bound, sizeof bound, why) != -1) {
            fail_msg("'%s' was taken", cases[i]);
        }
        assert_true(strlen(why) > 3);
    }
}

/* --- limits --- */

static void test_limits(void **state)
{
    (void)state;
    struct conf *conf = conf_of("limits: {connections: 100, memory: 256MiB}\n"
                                "zero_retention: false\n");
    struct core_limits l;
    uint64_t lowered = 99;
    boot_limits(conf, 2, false, &l, &lowered);
    assert_int_equal(lowered, 0);
    assert_int_equal(l.conns, 100);
    assert_true(l.upstreams >= l.conns && l.exchanges == l.conns);
    assert_int_equal(l.region_bytes, conf->limit_memory / 2);
    assert_false(l.wipe);
    assert_int_equal(l.rx_count & (l.rx_count - 1), 0);      /* what the ring asks for */
    assert_true(l.segs >= l.region_bytes / MEM_PAGE);
    assert_true(l.conns < RING_SLOTS_MAX && l.upstreams < RING_SLOTS_MAX);
    boot_limits(conf, 256, false, &l, &lowered);             /* never too little to work with */
    assert_int_equal(l.region_bytes, 16 << 20);
    boot_limits(conf, 2, true, &l, &lowered);
    assert_true(l.wipe && l.conns > 0 && l.region_bytes > 0);
    conf_free(conf);
    conf = conf_of("");
    boot_limits(conf, 1, false, &l, &lowered);
    assert_true(l.wipe);                                     /* zero_retention, by default */
    assert_true(l.region_bytes >= 16 << 20 && l.region_bytes <= 1024ull << 20);
    conf_free(conf);
}

static void test_connections_are_lowered_to_what_can_be_open(void **state)
{
    (void)state;
    struct conf *conf = conf_of("");
    struct core_limits l;
    uint64_t lowered = 0;
    conf->limit_connections = 1ull << 40;
    boot_limits(conf, 1, false, &l, &lowered);
    assert_true(lowered > 0 && lowered < 1ull << 32);
    assert_int_equal(l.conns, lowered);
    conf->limit_connections = lowered;
    boot_limits(conf, 1, false, &l, &lowered);
    assert_int_equal(lowered, 0);
    conf->limit_connections = l.conns + 1;
    boot_limits(conf, 1, false, &l, &lowered);
    assert_int_equal(lowered, l.conns);
    conf_free(conf);
}

/* --- token and first start --- */

static struct engine *engine_of(struct data_dir *d)
{
    struct engine *e = calloc(1, sizeof *e);
    assert_non_null(e);
    e->db = data_dir_open(d);
    return e;
}

/* What the engine goes by is the hash of token. */
static void check_token(const struct engine *e, const char *token, size_t len)
{
    uint8_t hash[32];
    (void)SHA256((const uint8_t *)token, len, hash);
    assert_memory_equal(e->admin_token_hash, hash, sizeof hash);
}

static void test_the_token(void **state)
{
    struct data_dir *d = *state;
    struct engine *e = engine_of(d), *again = calloc(1, sizeof *again);
    again->db = e->db;
    struct conf *conf = conf_of("");
    char why[1400] = "", path[600], token[256];
    assert_true(boot_token(e, conf, why, sizeof why));
    (void)snprintf(path, sizeof path, "%s/admin.token", d->path);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = read(fd, token, sizeof token);
    (void)close(fd);
    assert_true(len > 40 && token[len - 1] == '\n');
    check_token(e, token, (size_t)len - 1);
    assert_true(boot_token(again, conf, why, sizeof why));
    check_token(again, token, (size_t)len - 1);                 /* read, not made anew */
    assert_int_equal(unlink(path), 0);
    assert_true(boot_token(again, conf, why, sizeof why));
    assert_memory_not_equal(again->admin_token_hash, e->admin_token_hash, 32);
    (void)snprintf(conf->admin_token, sizeof conf->admin_token, "from-the-configuration");
    assert_true(boot_token(again, conf, why, sizeof why));
    check_token(again, "from-the-configuration", 22);
    conf->admin_token[0] = 0;
    fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);            /* written by a person */
    assert_int_equal(write(fd, "by hand \r\n\n", 11), 11);
    (void)close(fd);
    assert_true(boot_token(again, conf, why, sizeof why));
    check_token(again, "by hand", 7);
    fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);            /* empty: no token at all */
    (void)close(fd);
    assert_false(boot_token(again, conf, why, sizeof why));
    assert_non_null(strstr(why, path));
    conf_free(conf);
    free(e);
    free(again);
}

static bool count_unit(const struct unit *u, void *arg)
{
    unsigned *count = arg;
    count[store_id_kind(u->id)]++;
    return true;
}

static void test_the_first_start(void **state)
{
    struct data_dir *d = *state;
    struct engine *e = engine_of(d);
    char secret[64] = "before", none[64] = "before";
    assert_true(boot_first_start(e, secret));
    assert_true(strlen(secret) >= 32);
    MDB_txn *txn = data_dir_begin(d, false);
    unsigned units[UNIT_KINDS] = {0};
    assert_int_equal(org_list(e->db, txn, 0, 0, count_unit, units), STORE_OK);
    assert_int_equal(units[UNIT_ORGANIZATION], 1);
    assert_int_equal(data_dir_rows(d, txn, DB_KEYS), 1);
    uint8_t hash[STORE_KEY_HASH];
    struct key_view *view = calloc(1, sizeof *view);
    keys_hash(secret, strlen(secret), hash);
    assert_int_equal(keys_find(e->db, txn, hash, 1, view), STORE_OK);
    assert_int_equal(store_id_kind(view->path.unit[UNIT_MEMBER]), UNIT_MEMBER);
    free(view);
    db_abort(txn);
    assert_true(boot_first_start(e, none));                     /* only once */
    assert_string_equal(none, "");
    e->db = data_dir_open(d);
    assert_true(boot_first_start(e, none));
    assert_string_equal(none, "");
    txn = data_dir_begin(d, false);
    assert_int_equal(data_dir_rows(d, txn, DB_KEYS), 1);
    db_abort(txn);
    free(e);
}

/* --- publishing --- */

struct adopter {
    struct engine *engine;
    _Atomic bool stop;
};

/* What the cores do at the end of a turn. */
static void *adopt_on(void *arg)
{
    struct adopter *a = arg;
    while (!atomic_load(&a->stop)) {
        struct tables *newest = atomic_load(&a->engine->tables);
        atomic_store(&a->engine->core[0]->adopted, newest);
        atomic_store(&a->engine->admin->adopted, newest);
        (void)usleep(1000);
    }
    return NULL;
}

static void test_publishing_waits_for_all(void **state)
{
    (void)state;
    struct engine *e = calloc(1, sizeof *e);
    e->core_count = 1;
    e->core[0] = calloc(1, sizeof *e->core[0]);
    e->admin = calloc(1, sizeof *e->admin);
    e->core[0]->wake_fd = e->admin->wake_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct adopter a = {.engine = e};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, adopt_on, &a), 0);
    struct tables *t[3];
    for (int i = 0; i < 3; i++) {
        t[i] = tables_make(conf_of(""), &e->hosts, i ? t[i - 1] : NULL);
        assert_non_null(t[i]);
        boot_publish(e, t[i]);
        assert_ptr_equal(atomic_load(&e->core[0]->adopted), t[i]);
        assert_ptr_equal(atomic_load(&e->admin->adopted), t[i]);
        assert_ptr_equal(t[i]->older, i ? t[i - 1] : NULL);
    }
    boot_collect(e);                       /* just replaced: a reader may still look */
    assert_ptr_equal(t[2]->older, t[1]);
    assert_ptr_equal(t[1]->older, t[0]);
    tables_pin(t[0], 0);
    atomic_store(&t[0]->replaced_ns, 1);   /* long ago */
    atomic_store(&t[1]->replaced_ns, 1);
    boot_collect(e);
    assert_ptr_equal(t[2]->older, t[0]);   /* an exchange holds it */
    tables_unpin(t[0], 0);
    boot_collect(e);
    assert_null(t[2]->older);
    atomic_store(&a.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    (void)close(e->admin->wake_fd);
    tables_free(t[2]);
    free(e->core[0]);
    free(e->admin);
    for (uint32_t i = 0; i < e->hosts.count; i++) free(e->hosts.at[i]);
    free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listening_on_a_free_port),
        cmocka_unit_test(test_a_taken_port),
        cmocka_unit_test(test_no_addresses),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_connections_are_lowered_to_what_can_be_open),
        DATA_TEST(test_the_token),
        DATA_TEST(test_the_first_start),
        cmocka_unit_test(test_publishing_waits_for_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
