/*
 * One helper: how it starts, how long each phase may take, how it ended.
 * Monitor only.
 */
#ifndef DAEMON_HELPER_H
#define DAEMON_HELPER_H

#include <sys/types.h>

#include <event2/event.h>

#include "common/wire.h"
#include "conf/config.h"
#include "daemon/worker.h"

struct helper;

/* For a request of worker; nothing runs yet. NULL with errno. Free with
 * helper_free(). */
struct helper *helper_new(struct event_base *base, struct worker *worker,
    const struct ctl_admit_request *request);

/*
 * Forks, decides in the child about the user, executes poppassd-pam, and gives
 * the net process its end of the transaction, with ADMISSION_GRANTED. -1, with
 * a line in the log, if nothing was started; then the caller answers. From now
 * on the helper is killed, with all below it, when a phase takes too long.
 * config need not outlive the call. Never blocks.
 */
int helper_start(struct helper *helper, const struct config *config);

/* Answers the request, unless the net process that asked has gone. */
void helper_answer(
    const struct helper *helper, enum admission admission, int fd);

/* 0 before it was started. */
pid_t helper_pid(const struct helper *helper);

const char *helper_user(const struct helper *helper);

/* The net process that asked; NULL once it has gone. */
const struct worker *helper_worker(const struct helper *helper);
void helper_forget_worker(struct helper *helper);

/* Where the request comes from, as net says. */
const struct wire_origin *helper_origin(const struct helper *helper);

/* May a log name the user? Known at the helper's end. */
int helper_user_is_loggable(const struct helper *helper);

/* It has ended with this status of waitpid(): says in the log how, and returns
 * it. */
enum outcome helper_reaped(struct helper *helper, int status);

/* Frees the monitor's side; may be NULL. Ends no process. */
void helper_free(struct helper *helper);

#endif
