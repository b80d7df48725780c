/* boot_unix.c - listeners that are a file: `unix:/path`. A program that died leaves its file
 * behind, and bind(2) refuses what exists: a file on which nobody answers is removed, anything
 * else there is an error. SO_REUSEPORT does not exist for these sockets, so all cores share
 * one, each through a descriptor of its own (core.c spreads what is accepted). */
#include "engine/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { BACKLOG = 4096, MODE = 0660 };

static int failed(char *why, const char *text)
{
    (void)snprintf(why, 256, "%s", text);
    return -1;
}

/* Does anybody listen there? A full backlog is somebody too. */
static bool is_live(const struct sockaddr_un *at)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return true;
    bool refused = connect(fd, (const struct sockaddr *)at, sizeof *at) != 0 &&
                   errno == ECONNREFUSED;
    (void)close(fd);
    return !refused;
}

/* What is in the way: 0 it was removed; -1 with why. The kernel takes a ring apart some
 * milliseconds after its process has ended, and its listener with it: so a live one is asked
 * again for a second. */
static int clear_way(const struct sockaddr_un *at, char *why)
{
    struct timespec pause = {.tv_nsec = 20000000};
    struct stat st;
    if (lstat(at->sun_path, &st) != 0) {
        return errno == ENOENT ? 0 : failed(why, strerror(errno));
    }
    if (!S_ISSOCK(st.st_mode)) return failed(why, "there is a file that is no socket");
    for (int i = 0; i < 50; i++) {
        if (!is_live(at)) {
            return unlink(at->sun_path) == 0 ? 0 : failed(why, strerror(errno));
        }
        (void)nanosleep(&pause, NULL);
    }
    return failed(why, "the socket is in use by another program");
}

static int bind_file(const struct sockaddr_un *at, char *why)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return failed(why, strerror(errno));
    int rc = bind(fd, (const struct sockaddr *)at, sizeof *at);
    if (rc != 0 && errno == EADDRINUSE) {
        if (clear_way(at, why) != 0) {
            (void)close(fd);
            return -1;
        }
        rc = bind(fd, (const struct sockaddr *)at, sizeof *at);
    }
    /* nobody can connect before listen(2), so the mode is right from the first one on */
    if (rc == 0) rc = chmod(at->sun_path, MODE);
    if (rc == 0) rc = listen(fd, BACKLOG);
    if (rc == 0) return fd;
    (void)failed(why, strerror(errno));
    (void)close(fd);
    return -1;
}

int boot_listen_unix(const char *path, uint32_t count, int *fds, char *why)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    assert(count > 0);
    if (len >= sizeof at.sun_path) return failed(why, "the path of the socket is too long");
    memcpy(at.sun_path, path, len + 1);
    fds[0] = bind_file(&at, why);
    if (fds[0] < 0) return -1;
    for (uint32_t i = 1; i < count; i++) {
        fds[i] = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
        if (fds[i] >= 0) continue;
        (void)failed(why, strerror(errno));
        (void)unlink(path);
        while (i > 0) (void)close(fds[--i]);
        return -1;
    }
    return 0;
}

void boot_socket_note(const char *bound, struct boot_socket *out)
{
    struct bytes prefix = BYTES("unix:");
    struct stat st;
    *out = (struct boot_socket){0};
    if (!bytes_starts(bytes_of(bound), prefix)) return;
    const char *path = bound + prefix.len;
    if (lstat(path, &st) != 0 || strlen(path) >= sizeof out->path) return;
    memcpy(out->path, path, strlen(path) + 1);
    out->device = st.st_dev;
    out->inode = st.st_ino;
}

void boot_socket_remove(const struct boot_socket *socket)
{
    struct stat st;
    if (!socket->path[0] || lstat(socket->path, &st) != 0) return;
    if (st.st_dev == socket->device && st.st_ino == socket->inode) (void)unlink(socket->path);
}
