/*
 * Which helpers run and who waits for one. Monitor only.
 */
#ifndef DAEMON_HELPER_POOL_H
#define DAEMON_HELPER_POOL_H

#include <sys/types.h>
#include <stddef.h>

#include <event2/event.h>

#include "common/wire.h"
#include "conf/config.h"
#include "daemon/worker.h"

struct helper_pool;

/* NULL with errno if there is no memory. Free with helper_pool_free(). */
struct helper_pool *helper_pool_new(struct event_base *base);

/* The configuration for helpers that start from now on; stays the caller's and
 * must live until the next call. */
void helper_pool_configure(
    struct helper_pool *pool, const struct config *config);

/*
 * Handles an admission request of a net process: starts a helper and answers;
 * or answers ADMISSION_THROTTLED, if the user's failures do not let another
 * attempt be checked now; or lets it wait while max-helpers are running, this
 * user has one, or passwords are found wrong too fast over all users. Who waits
 * for change-timeout is answered ADMISSION_BUSY. Who goes first: gate_rank().
 * What is known of failures lives as long as the pool. Never blocks.
 */
void helper_pool_admit(struct helper_pool *pool, struct worker *worker,
    const struct ctl_admit_request *request);

/* The net process has gone: forgets what waits for it. Its helpers go on until
 * they see that nobody is at the other end. */
void helper_pool_forget(struct helper_pool *pool, const struct worker *worker);

/* A child was reaped. 0 if it was no helper. Writes its outcome to the log and
 * starts who waits. */
int helper_pool_reaped(struct helper_pool *pool, pid_t pid, int status);

int helper_pool_owns(const struct helper_pool *pool, pid_t pid);

/* Those that run, without those that wait. */
size_t helper_pool_running(const struct helper_pool *pool);

/* Those that wait. */
size_t helper_pool_waiting(const struct helper_pool *pool);

/* Forgets the failures of a user, named as in an admission request. 0 if there
 * were none. */
int helper_pool_unlock(struct helper_pool *pool, const char *user);

/* Frees the monitor's side; may be NULL. Ends no process. */
void helper_pool_free(struct helper_pool *pool);

#endif
