/*
 * Listening sockets that a service manager passed: the protocol of
 * sd_listen_fds(3). Monitor only.
 */
#ifndef DAEMON_ACTIVATION_H
#define DAEMON_ACTIVATION_H

#include "daemon/listen_set.h"

/* Closes every descriptor but the standard ones and what was passed: nothing
 * that the caller left open is to reach a child. Once, before everything else
 * is opened. */
void activation_close_others(void);

/*
 * Takes LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES out of the environment and
 * the sockets that they mean into a set, for the `old` of listen_set_open().
 * NULL if there are none, or with an error in errors. Once, before anything
 * else is opened. Free with listen_set_free().
 */
struct listen_set *activation_take(struct config_errors *errors);

#endif
