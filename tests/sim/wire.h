/* wire.h - the simulated network: sockets, the bytes between them, listeners and wakes. A
 * connection has two ends, the engine's (a descriptor of ring.h) and an actor's (a client or a
 * provider, by the same numbers). What one end puts the other takes, in order, after a time,
 * until an end (FIN) or a reset (RST).
 * Rule: the engine touches only descriptors that are open and its own; all else is a
 * violation, not an error code: the kernel might have given the number to somebody else. */
#ifndef TESTS_SIM_WIRE_H
#define TESTS_SIM_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sockaddr;

enum {
    WIRE_FD = 1000,            /* the first descriptor */
    WIRE_MAX = 512,            /* sockets at once */
    WIRE_ROOM = 32768,         /* bytes under way in one direction, at most */
    WIRE_BACKLOG = 64,
    WIRE_AGAIN = -1,           /* nothing now */
    WIRE_RESET = -2,
    WIRE_PIPE = -3,            /* the other end takes no more */
};

enum sock_kind { SOCK_FREE, SOCK_LISTENER, SOCK_DIALLING, SOCK_CONNECTED, SOCK_WAKE };

struct sock {
    uint8_t kind;              /* enum sock_kind */
    bool open;                 /* its owner has not closed it */
    bool engine;               /* the engine's end */
    bool reset;                /* a RST came */
    bool fin;                  /* a FIN came behind the bytes */
    bool shut_read, shut_write;
    int peer;                  /* the other end; -1 none */
    uint32_t room, head, len;  /* bytes that came and were not taken: a ring in bytes */
    uint64_t ready_ns;         /* when they can be taken */
    uint32_t wakes;
    int backlog[WIRE_BACKLOG];
    uint32_t backlog_len;
    char *bytes;
};

/* What becomes of a dial: after_ns, then rc (0, or -errno), then `server` as told. */
struct wire_dial { uint64_t after_ns; int rc; int server; };

struct wire {
    struct sock sock[WIRE_MAX];
    /* The world's answer to a dial. */
    struct wire_dial (*dial)(const struct sockaddr *to);
    /* A dial has connected: end is the provider's. */
    void (*connected)(int end, int server);
};

/* The one network. */
struct wire *wire(void);
/* All as new; the callbacks stay. */
void wire_begin(void);
/* The socket behind a descriptor: open, or a violation that names `doing`. */
struct sock *wire_sock(int fd, const char *doing);
/* A listener of the engine. Its descriptor. */
int wire_listen(void);
/* A client connects: its end; -1 when nobody listens or the backlog is full. */
int wire_connect(int listener);
/* The engine accepts: its descriptor; WIRE_AGAIN. */
int wire_accept(int listener);
/* A connection that was dialled stands: the provider's end. */
int wire_join(int fd);
/* Send up to len bytes from end: how many were taken (0: no room now); WIRE_RESET or
 * WIRE_PIPE. */
long wire_put(int end, const char *bytes, size_t len);
/* Receive up to len bytes: how many; 0 the end; WIRE_AGAIN; WIRE_RESET. */
long wire_take(int end, char *out, size_t len);
/* Would wire_take() give anything but WIRE_AGAIN? *at_ns: if not, when (UINT64_MAX never). */
bool wire_ready(int end, uint64_t *at_ns);
/* shutdown(2): SHUT_RD, SHUT_WR, SHUT_RDWR. */
void wire_shut(int end, int how);
/* Close one end: a FIN, or a RST where bytes were not taken. */
void wire_close(int end);
/* Close one end with a RST. */
void wire_abort(int end);
/* The network resets a connection: both ends see it. */
void wire_break(int end);
/* The engine's process died: all its descriptors close. */
void wire_kill(void);
/* Descriptors of the engine that are open and of that kind. */
uint32_t wire_engine_open(enum sock_kind kind);

#endif
