/*
 * One net process, as the monitor sees it. Monitor only.
 */
#ifndef DAEMON_WORKER_H
#define DAEMON_WORKER_H

#include <sys/types.h>

#include <event2/event.h>

#include "common/wire.h"
#include "conf/config.h"
#include "daemon/listen_set.h"
#include "daemon/tls_files.h"

/* argv[0] of a net process; by it main() knows its role. */
#define WORKER_NAME "poppassd: net"

struct worker;

/* Called from the event loop. None may free the worker. */
struct worker_callbacks {
	void (*ready)(void *context, struct worker *worker);
	void (*alive)(void *context, struct worker *worker);
	/* It takes no more connections; those that it has go on. */
	void (*spent)(void *context, struct worker *worker);
	void (*admit)(void *context, struct worker *worker,
	    const struct ctl_admit_request *request);
	void (*listed)(void *context, struct worker *worker,
	    const struct ctl_listed *listed);
	void (*forgotten)(void *context, struct worker *worker,
	    const struct ctl_forgotten *forgotten);
};

/*
 * Starts a net process and sends it configuration and keys; clients_fd is
 * memory of client_throttle_memory() and stays the caller's. It has 10 s to say
 * that it is ready; then, or if it breaks the protocol, or once it serves and
 * does not answer (daemon/heartbeat.h), it is killed. `alive` is called for
 * each sign of life that it was asked for. Blocks
 * until it has taken what it needs, 5 s at most a message. NULL with a line in
 * the log. Its end comes as SIGCHLD: see worker_pid(). Free with
 * worker_free().
 */
struct worker *worker_start(struct event_base *base,
    const struct config *config, const struct tls_files *files,
    const struct listen_set *listens, int clients_fd,
    const struct worker_callbacks *callbacks, void *context);

pid_t worker_pid(const struct worker *worker);

/* The process that holds this net's keys; 0 if it has ended. */
pid_t worker_keeper_pid(const struct worker *worker);

/* That one was reaped: net is killed, unless it has ended or leaves, to be
 * started again with another. */
void worker_keeper_ended(struct worker *worker, int status);

/* Has it said that it serves, and not been told to stop? */
int worker_is_serving(const struct worker *worker);

/* Has it said once that it serves? Only then can it be asked. */
int worker_has_started(const struct worker *worker);

/* Sends CTL_LIST or CTL_FORGET; the answer comes as `listed` or `forgotten`.
 * Blocks as worker_answer() does. */
void worker_ask(struct worker *worker, const void *message, size_t len);

/* CTL_DRAIN or CTL_STOP; a later order may follow an earlier one. One that has
 * not left a while after drain-timeout and change-timeout is killed. */
void worker_order(struct worker *worker, enum wire_type order);

/* Answers an admission request; fd, or -1, goes along and stays the caller's.
 * Blocks for 1 s at the most, and then the worker is killed; one that is killed
 * gets no answer. */
void worker_answer(
    struct worker *worker, uint64_t cookie, enum admission admission, int fd);

/* Kills it, and hears nothing of it any more; the end comes as SIGCHLD. */
void worker_kill(struct worker *worker);

/* After its end: says in the log how it ended, unless it was told to and did
 * well. */
void worker_report_exit(const struct worker *worker, int status);

/* Frees the monitor's side and ends the keeper; may be NULL. Does not end the
 * net process. */
void worker_free(struct worker *worker);

#endif
