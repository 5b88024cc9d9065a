/*
 * Starting the daemon's own processes: this program again, in another role.
 * Monitor only.
 */
#ifndef DAEMON_START_H
#define DAEMON_START_H

#include <sys/types.h>
#include <stddef.h>

#include "common/wire.h"
#include "conf/config.h"

/* The descriptors that it finds open, from WIRE_NET_CONTROL_FD on. */
struct start_files {
	const int *fds;
	int n;
};

/*
 * Forks and executes this program as name (its argv[0]), with these descriptors
 * and nothing else of ours. The pid, or -1 with errno; that execve() failed is
 * seen by the end of the process.
 */
pid_t start_process(const char *name, const struct start_files *files);

/* Limits how long a send over fd may block. */
void start_limit_sending(int fd, time_t sec);

/* Sends a text in CTL_LOAD messages. 0 or -1 with errno. Blocks until the
 * other end has taken it, or for the limit. */
int start_send_blob(
    int fd, enum load_kind kind, size_t index, const char *bytes, size_t len);

/* The same with the configuration. */
int start_send_config(int fd, const struct config *config);

#endif
