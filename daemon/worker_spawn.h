/*
 * The start of a net process and of its keeper. Monitor only.
 */
#ifndef DAEMON_WORKER_SPAWN_H
#define DAEMON_WORKER_SPAWN_H

#include <sys/types.h>

#include "conf/config.h"
#include "daemon/listen_set.h"
#include "daemon/tls_files.h"

/* What was started, all of it the caller's. */
struct worker_processes {
	pid_t net_pid;    /* 0 or -1 for none */
	pid_t keeper_pid; /* the same */
	int control_fd;   /* to net, or -1 */
};

/*
 * Starts both and sends each what it is to have: the keeper the private keys,
 * net the certificates, the listening sockets and the memory behind clients_fd,
 * which stays the caller's. Blocks until they have taken it, 5 s at most a
 * message. -1 with errno if something failed; *processes tells what there is
 * then.
 */
int worker_spawn(struct worker_processes *processes,
    const struct config *config, const struct tls_files *files,
    const struct listen_set *listens, int clients_fd);

#endif
