/* boot.h - building and ending the process around the cores: listeners, limits, first start,
 * threads, publishing, signals. Main thread only, but for boot_publish and boot_reload. */
#ifndef ENGINE_BOOT_H
#define ENGINE_BOOT_H

#include "net/bytes.h"

#include <signal.h>

struct conf;
struct core;
struct core_limits;
struct engine;
struct tables;

struct boot_options {              /* the command line's; NULL or 0 where not given */
    const char *config, *data, *listen, *admin;
    uint32_t cores;
};

/* Bind address for count listeners of one port (SO_REUSEPORT), after it was bound once alone,
 * so that another program on it is noticed; or make the file of "unix:/path" and count
 * descriptors of its one socket. fds: room for count. bound: the address as printed, with the
 * port found for 0, room bytes. Gives 0; or -1 with a sentence in why (256 bytes). */
MUST_USE int boot_listen(const char *address, uint32_t count, int *fds, char *bound,
                         size_t room, char *why);
/* The same for the file path of a unix socket: one socket, count descriptors of it. Its mode is
 * 0660. A file that nobody listens on any more is replaced. */
MUST_USE int boot_listen_unix(const char *path, uint32_t count, int *fds, char *why);
struct boot_socket {               /* the file of a unix listener; path "": none */
    char path[108];
    uint64_t device, inode;
};
/* Remember which file a listener made; bound is what boot_listen gave. */
void boot_socket_note(const char *bound, struct boot_socket *out);
/* Remove it, unless another program's stands there by now. */
void boot_socket_remove(const struct boot_socket *socket);
/* Slots, buffers and memory of a core from the configuration and the machine. admin: smaller.
 * Lowers connections to what the descriptor limit allows; *lowered then holds the new
 * number. */
void boot_limits(const struct conf *conf, uint32_t core_count, bool admin,
                 struct core_limits *out, uint64_t *lowered);
/* At the first start make one organisation, one member and one key, and print the key once. */
MUST_USE bool boot_first_start(struct engine *engine, char *secret);
/* Read or make the admin token (DATA/admin.token, mode 0600). False with a sentence in why. */
MUST_USE bool boot_token(struct engine *engine, const struct conf *conf, char *why,
                         size_t room);
/* Publish a version and wake every core. takes t. */
void boot_offer(struct engine *engine, struct tables *t);
/* Has every core adopted it? */
bool boot_adopted(const struct engine *engine, const struct tables *t);
/* boot_offer, and wait until every core has adopted it. Any thread but a core. */
void boot_publish(struct engine *engine, struct tables *t);
/* Free versions that nobody can hold any more. Main thread, under the reload lock. */
void boot_collect(struct engine *engine);
/* The whole of `weir serve`. Gives the exit status. */
int boot_serve(const struct boot_options *options);

#endif
