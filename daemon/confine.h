/*
 * Giving up privilege, for good, and making sure that it is gone.
 */
#ifndef DAEMON_CONFINE_H
#define DAEMON_CONFINE_H

#include <sys/types.h>

#include "conf/config.h"

/*
 * Net only; called once, when all files are read and all memory is there.
 * Started as root: the user of the configuration, no supplementary groups, an
 * empty folder without a name as root, no capabilities. Always: no_new_privs,
 * not dumpable, RLIMIT_NPROC, RLIMIT_FSIZE and RLIMIT_CORE of zero,
 * RLIMIT_NOFILE of n_files, Landlock where the kernel has it, a seccomp
 * allow-list that kills. What could be undone is tried, and must fail. Any
 * failure is fatal(): it returns only from inside the sandbox.
 */
void confine_net(const struct config *config, unsigned n_files);

/* The same for a keeper, with its own list of system calls. */
void confine_keeper(const struct config *config);

/*
 * Monitor only: a filter of system calls that its children inherit, see
 * filter_monitor(). Then keeps the capabilities that it and its helpers use and
 * drops the others from every set, if started as root. fatal() on failure.
 */
void confine_monitor(void);

/*
 * Monitor's forked child only, just before it becomes the helper: gid as given,
 * the user's supplementary groups if user is not NULL, and of the capabilities
 * only those that a password change needs, CAP_DAC_OVERRIDE among them or not.
 * The helper itself sets its real uid and no_new_privs: a process with both
 * loses its effective uid when it calls execve(). Not started as root: nothing.
 * 0 or -1 with errno.
 */
int confine_helper(gid_t gid, const char *user, int with_dac_override);

#endif
