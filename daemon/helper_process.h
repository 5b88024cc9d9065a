/*
 * The start of a poppassd-pam. Monitor, and --test-login in its place.
 */
#ifndef DAEMON_HELPER_PROCESS_H
#define DAEMON_HELPER_PROCESS_H

#include <sys/types.h>

#include "common/wire.h"
#include "conf/config.h"

enum helper_manner {
	HELPER_SILENT,
	HELPER_TELLS_DIALOGUE /* by STATUS_DIALOGUE */
};

/*
 * Writes TXN_BEGIN for the request to fd, what will be net's end of the
 * transaction: the monitor names the user, so net cannot be admitted for alice
 * and change bob. 0, or -1 with errno.
 */
int helper_process_begin(const struct config *config,
    const struct ctl_admit_request *request, enum helper_manner manner, int fd);

/*
 * Forks; the child decides about the user of the request, who is canonical, and
 * executes poppassd-pam with these ends of the transaction and of the status
 * socket, which stay the caller's. Returns the child, or 0 with errno. Never
 * blocks: what asks NSS is the child.
 */
pid_t helper_process_fork(const struct config *config,
    const struct ctl_admit_request *request, int transaction_fd, int status_fd);

#endif
