/*
 * Starting a child, and ending one with everything that it started. Monitor
 * only.
 */
#ifndef DAEMON_PROCESS_TREE_H
#define DAEMON_PROCESS_TREE_H

#include <sys/types.h>

/*
 * fork(), but the child begins with every signal unblocked and at its default:
 * a handler of the event loop would write into a socket that the parent reads.
 */
pid_t process_fork(void);

/*
 * Kills root, a child of the caller that has not been waited for, and all its
 * descendants, in whatever sessions they are. A root that is a subreaper keeps
 * those that forked twice below itself. They are stopped first, so that none
 * can fork its way out. Reads /proc; without it only root's process group goes,
 * and what /proc hides (hidepid) goes as an orphan, see below.
 */
void process_tree_kill(pid_t root);

/*
 * Kills the children of the caller that is_known() does not claim, and all
 * below them: what a helper that died has left to the monitor.
 */
void process_tree_kill_orphans(
    int (*is_known)(void *context, pid_t pid), void *context);

#endif
