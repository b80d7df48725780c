/* test_boot_unix.c - listeners that are a file: what may be in the way of one, its mode, who
 * removes it; and who is at the other end of each kind of connection (sock.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/boot.h"
#include "engine/sock.h"

static char dir[] = "/tmp/weir-unix-XXXXXX", path[108], address[128], why[256];

static int setup(void **state)
{
    (void)state;
    if (!mkdtemp(dir)) return -1;
    (void)snprintf(path, sizeof path, "%s/weir.sock", dir);
    (void)snprintf(address, sizeof address, "unix:%s", path);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(dir);
}

static int dial(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    memcpy(at.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&at, sizeof at) == 0) return fd;
    (void)close(fd);
    return -1;
}

static void listen_on(uint32_t count, int *fds)
{
    char bound[300];
    if (boot_listen(address, count, fds, bound, sizeof bound, why) != 0) fail_msg("%s", why);
    assert_string_equal(bound, address);
}

static void close_all(const int *fds, int count)
{
    for (int i = 0; i < count; i++) (void)close(fds[i]);
}

/* One socket: what any descriptor accepts is everybody's, and it lives with the last one. */
static void test_one_socket_for_all(void **state)
{
    (void)state;
    int fds[3];
    struct stat st;
    mode_t before = umask(0077);
    listen_on(3, fds);
    (void)umask(before);
    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);    /* whatever the mask says */
    for (int i = 0; i < 3; i++) {
        assert_true(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
        int client = dial(), server = accept(fds[i], NULL, NULL);
        assert_true(client >= 0 && server >= 0);
        (void)close(client);
        (void)close(server);
    }
    close_all(fds, 2);
    int client = dial();
    assert_true(client >= 0);
    (void)close(client);
    (void)close(fds[2]);
    assert_int_equal(dial(), -1);
    assert_int_equal(unlink(path), 0);
}

static void test_a_dead_file_is_replaced(void **state)
{
    (void)state;
    int first, second;
    listen_on(1, &first);
    (void)close(first);                             /* the file stays, as after a crash */
    assert_int_equal(access(path, F_OK), 0);
    listen_on(1, &second);
    int client = dial();
    assert_true(client >= 0);
    (void)close(client);
    (void)close(second);
    assert_int_equal(unlink(path), 0);
}

static void test_what_is_in_the_way(void **state)
{
    (void)state;
    int live, other;
    char bound[300], text[] = "precious", read_back[16] = "";
    listen_on(1, &live);
    assert_int_equal(boot_listen(address, 1, &other, bound, sizeof bound, why), -1);
    assert_string_equal(why, "the socket is in use by another program");
    int client = dial();
    assert_true(client >= 0);                       /* it is not harmed */
    (void)close(client);
    (void)close(live);
    (void)unlink(path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, text, 8), 8);
    assert_int_equal(boot_listen(address, 1, &other, bound, sizeof bound, why), -1);
    assert_string_equal(why, "there is a file that is no socket");
    assert_int_equal(pread(fd, read_back, 8, 0), 8);
    assert_string_equal(read_back, text);
    (void)close(fd);
    (void)unlink(path);
    assert_int_equal(symlink("/dev/null", path), 0);
    assert_int_equal(boot_listen(address, 1, &other, bound, sizeof bound, why), -1);
    assert_int_equal(unlink(path), 0);
}

static void test_no_paths(void **state)
{
    char text[256];
    int fd;
    (void)state;
    assert_int_equal(boot_listen_unix("/no/such/directory/s", 1, &fd, why), -1);
    assert_string_equal(why, "No such file or directory");
    (void)snprintf(text, sizeof text, "/tmp/%0*d", 108 - 5, 0);    /* no room for its end */
    assert_int_equal(boot_listen_unix(text, 1, &fd, why), -1);
    assert_string_equal(why, "the path of the socket is too long");
}

/* Only the file that was made is removed, and by whoever made it. */
static void test_removing(void **state)
{
    (void)state;
    int fd, other;
    struct boot_socket made, none;
    listen_on(1, &fd);
    boot_socket_note(address, &made);
    boot_socket_note("127.0.0.1:80", &none);
    boot_socket_remove(&none);
    assert_string_equal(made.path, path);
    assert_int_equal(access(path, F_OK), 0);
    /* another program's under the same name; the first inode is still in use by a link */
    char keep[128];
    (void)snprintf(keep, sizeof keep, "%s/keep", dir);
    assert_int_equal(rename(path, keep), 0);
    listen_on(1, &other);
    boot_socket_remove(&made);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(rename(keep, path), 0);
    boot_socket_remove(&made);
    assert_int_equal(access(path, F_OK), -1);
    boot_socket_remove(&made);                      /* gone already */
    (void)close(fd);
    (void)close(other);
}

/* --- who is at the other end --- */

static void check_peer(int fd, const char *want)
{
    char text[ADDR_TEXT_MAX + 1];
    struct addr a = sock_peer(fd);
    text[addr_text(&a, text)] = 0;
    assert_string_equal(text, want);
}

static void test_peers(void **state)
{
    (void)state;
    int pair[2], fd;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    check_peer(pair[0], "unix");
    (void)close(pair[0]);
    (void)close(pair[1]);
    check_peer(-1, "-");
    /* a dual-stack listener sees an IPv4 client as a mapped address: it is IPv4 */
    struct sockaddr_in6 at = {.sin6_family = AF_INET6};
    socklen_t len = sizeof at;
    int off = 0, six = socket(AF_INET6, SOCK_STREAM, 0);
    if (six < 0 || setsockopt(six, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0 ||
        bind(six, (struct sockaddr *)&at, sizeof at) != 0) {
        skip();                                     /* a machine without IPv6 */
    }
    assert_int_equal(listen(six, 4), 0);
    assert_int_equal(getsockname(six, (struct sockaddr *)&at, &len), 0);
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = at.sin6_port,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int client = socket(AF_INET, SOCK_STREAM, 0);
    check_peer(client, "-");                        /* not connected */
    assert_int_equal(connect(client, (struct sockaddr *)&four, sizeof four), 0);
    assert_true((fd = accept(six, NULL, NULL)) >= 0);
    check_peer(fd, "127.0.0.1");
    check_peer(client, "127.0.0.1");
    (void)close(fd);
    (void)close(client);
    at.sin6_addr = in6addr_loopback;
    client = socket(AF_INET6, SOCK_STREAM, 0);
    if (connect(client, (struct sockaddr *)&at, sizeof at) == 0) {
        assert_true((fd = accept(six, NULL, NULL)) >= 0);
        check_peer(fd, "::1");
        (void)close(fd);
    }
    (void)close(client);
    (void)close(six);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_socket_for_all),
        cmocka_unit_test(test_a_dead_file_is_replaced),
        cmocka_unit_test(test_what_is_in_the_way),
        cmocka_unit_test(test_no_paths),
        cmocka_unit_test(test_removing),
        cmocka_unit_test(test_peers),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
