/*
 * Failures by client address, in memory that outlives a net process. Net only,
 * but for the making of the memory.
 *
 * The monitor makes the memory once and hands it to every net process; two may
 * use it at once, while one drains. It is plain data of fixed size and without
 * pointers, its size is sealed, and each entry is read as a stranger's: an
 * earlier net may have been broken into. What two processes write at once may
 * be lost or mixed; that is an entry like any other.
 */
#ifndef DAEMON_CLIENT_THROTTLE_H
#define DAEMON_CLIENT_THROTTLE_H

#include <stdint.h>

#include "conf/config.h"
#include "daemon/client_key.h"

struct client_throttle;

/* Monitor only: a descriptor of new memory, close-on-exec; -1 with errno. */
int client_throttle_memory(void);

/* Maps the memory behind fd, which is closed. limit is that of one address.
 * NULL with errno. Nothing is allocated later. Free with
 * client_throttle_free(). */
struct client_throttle *client_throttle_open(
    int fd, const struct config_rate *limit);

/* May a password from these networks be checked now? If they are over the
 * limit, this takes the one turn of the delay. Always for networks of none. */
int client_throttle_lets_try(struct client_throttle *throttle,
    const struct client_keys *keys, uint64_t now_ms);

/* A check has failed. Returns the milliseconds of the delay that this begins,
 * or 0. */
unsigned client_throttle_failed(struct client_throttle *throttle,
    const struct client_keys *keys, uint64_t now_ms);

/* Forgets an address and the networks that it is in. 0 if there was nothing. */
int client_throttle_forget(
    struct client_throttle *throttle, const struct client_keys *keys);

/* May be NULL. The memory stays. */
void client_throttle_free(struct client_throttle *throttle);

#endif
