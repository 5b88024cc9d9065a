/*
 * Accepting connections. Net only.
 */
#ifndef DAEMON_LISTENER_H
#define DAEMON_LISTENER_H

#include "daemon/net.h"

/* Watches the sockets from WIRE_NET_LISTEN_FD on, one for each listen directive
 * of net->config. 0 or -1. */
int listener_start_all(struct net *net);

/* A session has ended: accepts again if that was paused. */
void listener_resume_all(struct net *net);

/* Stops for good and closes the sockets; the monitor, or another net, still has
 * them. */
void listener_stop_all(struct net *net);

#endif
