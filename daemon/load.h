/*
 * What the monitor sends a net process at its start. Net only.
 */
#ifndef DAEMON_LOAD_H
#define DAEMON_LOAD_H

#include "daemon/net.h"

/*
 * Receives configuration and keys from the control socket and makes net->config
 * and net->tls of them; wipes the PEM text. fatal() if anything is not as the
 * monitor would send it. Blocks.
 */
void load_from_monitor(struct net *net);

#endif
