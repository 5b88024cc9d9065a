/*
 * The network process: start-up, its end of the control socket, drain and stop.
 */
#ifndef DAEMON_NET_H
#define DAEMON_NET_H

/*
 * Runs the network process on the descriptors that the monitor left open (see
 * common/wire.h): reads configuration and keys from the control socket, builds
 * the TLS contexts, confines itself, says CTL_READY and serves until it is told
 * to stop or the monitor is gone. Returns the exit status.
 */
int net_main(void);

#endif
