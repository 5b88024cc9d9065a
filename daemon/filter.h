/*
 * The system calls that each process may make, as seccomp filters.
 */
#ifndef DAEMON_FILTER_H
#define DAEMON_FILTER_H

/*
 * Net only; called last, when all files are read and no_new_privs is set: a
 * list of what serving takes, with arguments checked. Anything else kills the
 * process. Never skipped: fatal() if the kernel refuses it.
 */
void filter_net(void);

/* The same for a keeper: receiving, signing, sending. */
void filter_keeper(void);

/*
 * Monitor only, before it gives up CAP_SYS_ADMIN: what neither it nor a PAM
 * stack nor what a stack starts has a use for fails with EPERM, in this process
 * and all that come from it. Without CAP_SYS_ADMIN it takes no_new_privs, which
 * is set then. fatal() if the kernel refuses it.
 */
void filter_monitor(void);

#endif
