/*
 * One client's connection, from accept to the last byte. Net only.
 */
#ifndef DAEMON_SESSION_H
#define DAEMON_SESSION_H

#include "common/wire.h"
#include "conf/config.h"
#include "daemon/net.h"

/* Memory for all sessions that may ever be, made before confinement; *locked as
 * in secret_memory_map(). 0 or -1. */
int session_arena_new(struct net *net, int *locked);

/* Fewer than max_sessions, or one more that has another give way? */
int session_has_room(const struct net *net);

/* Takes over fd, a connected non-blocking socket; ends the session at once if
 * its address has too many. -1, and fd closed, if there is no session free or
 * no memory. */
int session_start(struct net *net, int fd, const struct wire_origin *origin,
    const struct config_listen *listen);

/* Drain's end, or stop: closes every session, with a line to those inside TLS,
 * that has no change running. */
void session_stop_all(struct net *net);

/* Tells of the sessions that there are, from slot number from on, as many as
 * the answer holds: sets n, next and sessions, and zeroes the rest. */
void session_list(
    const struct net *net, uint32_t from, struct ctl_listed *listed);

#endif
