/*
 * One helper: how it starts, how long each phase may take, how it ended. Runs
 * as root in the monitor; sees user names and outcomes, never a password.
 */
#include "daemon/helper.h"

#include <sys/socket.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/helper_process.h"
#include "daemon/process_tree.h"

/* Messages that are still read when a helper has ended. */
#define LAST_WORDS_MAX 64

struct helper {
	struct event_base *base;
	unsigned command_timeout_ms;
	unsigned change_timeout_ms;
	struct worker *worker; /* who asked; NULL once it has gone */
	struct ctl_admit_request request;
	pid_t pid; /* 0 while waiting */
	int status_fd;
	enum helper_phase phase;
	int is_identified; /* NSS has answered */
	int user_is_known; /* by NSS, or by a right password */
	int is_past_deadline;
	char reason[WIRE_DETAIL_SIZE];
	struct event *status_event;
	struct event *deadline;
};

struct helper *
helper_new(struct event_base *base, struct worker *worker,
    const struct ctl_admit_request *request)
{
	struct helper *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->base = base;
	h->worker = worker;
	h->request = *request;
	h->status_fd = -1;
	return h;
}

pid_t
helper_pid(const struct helper *h)
{
	return h->pid;
}

const char *
helper_user(const struct helper *h)
{
	return h->request.user;
}

const struct wire_origin *
helper_origin(const struct helper *h)
{
	return &h->request.origin;
}

int
helper_user_is_loggable(const struct helper *h)
{
	return h->user_is_known;
}

const struct worker *
helper_worker(const struct helper *h)
{
	return h->worker;
}

void
helper_forget_worker(struct helper *h)
{
	h->worker = NULL;
}

void
helper_free(struct helper *h)
{
	if (h == NULL)
		return;
	if (h->status_event != NULL)
		event_free(h->status_event);
	if (h->deadline != NULL)
		event_free(h->deadline);
	if (h->status_fd != -1)
		(void)close(h->status_fd);
	free(h);
}

void
helper_answer(const struct helper *h, enum admission admission, int fd)
{
	if (h->worker != NULL)
		worker_answer(h->worker, h->request.cookie, admission, fd);
}

static void
set_deadline(struct helper *h, unsigned ms)
{
	const struct timeval tv = { .tv_sec = (time_t)(ms / 1000),
		.tv_usec = (suseconds_t)(ms % 1000) * 1000 };

	if (event_add(h->deadline, &tv) == -1)
		log_message(
		    LOG_LEVEL_ERROR, "helper: deadline: %s", strerror(errno));
}

/*
 * How long a phase may take. Net's own timers are shorter where it waits for
 * a client; these are for a net, or a PAM module, that has gone astray.
 */
static unsigned
phase_limit_ms(const struct helper *h, enum helper_phase phase)
{
	if (phase == PHASE_IDLE)
		return h->command_timeout_ms + h->change_timeout_ms;
	return h->change_timeout_ms;
}

/* A phase is only ever followed by the next one, and there is one identity:
 * nothing that the helper says gives it a deadline twice. */
static enum wire_result
on_phase(void *context, const void *message, int passed_fd)
{
	struct helper *h = context;
	const struct status_phase *m = message;

	(void)passed_fd;
	if (m->phase <= (uint32_t)h->phase || m->phase > PHASE_CHANGE)
		return WIRE_BAD;
	h->phase = (enum helper_phase)m->phase;
	set_deadline(h, phase_limit_ms(h, h->phase));
	return WIRE_OK;
}

static enum wire_result
on_identity(void *context, const void *message, int passed_fd)
{
	struct helper *h = context;
	const struct status_identity *m = message;

	(void)passed_fd;
	if (h->is_identified)
		return WIRE_BAD;
	h->is_identified = 1;
	h->user_is_known = m->known == 1;
	/* It waits for net now, and net for a run slot. */
	set_deadline(h, phase_limit_ms(h, PHASE_IDLE));
	return WIRE_OK;
}

static enum wire_result
on_reason(void *context, const void *message, int passed_fd)
{
	struct helper *h = context;
	const struct status_reason *m = message;

	(void)passed_fd;
	if (!wire_string_ok(m->reason, sizeof(m->reason)))
		return WIRE_BAD;
	wire_string_set(h->reason, sizeof(h->reason), m->reason);
	return WIRE_OK;
}

static const struct wire_rule rules[] = {
	{ STATUS_IDENTITY, WIRE_STATE(PHASE_STARTING),
	    sizeof(struct status_identity), on_identity, 0 },
	{ STATUS_PHASE, WIRE_ANY_STATE, sizeof(struct status_phase), on_phase,
	    0 },
	{ STATUS_REASON, WIRE_ANY_STATE, sizeof(struct status_reason),
	    on_reason, 0 },
};

static enum wire_result
read_status(struct helper *h)
{
	uint64_t buf[512 / sizeof(uint64_t)];

	return wire_dispatch(h->status_fd, rules,
	    sizeof(rules) / sizeof(*rules), h->phase, buf, sizeof(buf), h);
}

static void
on_helper_status(evutil_socket_t fd, short what, void *context)
{
	struct helper *h = context;

	(void)fd;
	(void)what;
	switch (read_status(h)) {
	case WIRE_OK:
	case WIRE_AGAIN:
		return;
	case WIRE_EOF:
		(void)event_del(h->status_event);
		return;
	case WIRE_BAD:
	case WIRE_ERROR:
		(void)event_del(h->status_event);
		log_message(LOG_LEVEL_ERROR,
		    "helper: process %d: broke the protocol, killed",
		    (int)h->pid);
		process_tree_kill(h->pid);
	}
}

static void
on_helper_deadline(evutil_socket_t fd, short what, void *context)
{
	struct helper *h = context;

	(void)fd;
	(void)what;
	h->is_past_deadline = 1;
	process_tree_kill(h->pid);
}

static int
watch(struct helper *h)
{
	h->status_event = event_new(
	    h->base, h->status_fd, EV_READ | EV_PERSIST, on_helper_status, h);
	h->deadline = evtimer_new(h->base, on_helper_deadline, h);
	if (h->status_event == NULL || h->deadline == NULL)
		return -1;
	return event_add(h->status_event, NULL);
}

int
helper_start(struct helper *h, const struct config *config)
{
	int txn[2] = { -1, -1 }, status[2] = { -1, -1 };
	int result = -1;

	h->command_timeout_ms = config->command_timeout_ms;
	h->change_timeout_ms = config->change_timeout_ms;
	if (wire_pair(txn) == -1 || wire_pair(status) == -1)
		goto out;
	h->status_fd = status[0];
	if (helper_process_begin(config, &h->request, HELPER_SILENT, txn[1]) ==
		-1 ||
	    watch(h) == -1)
		goto out;
	h->pid = helper_process_fork(config, &h->request, txn[0], status[1]);
	if (h->pid == 0)
		goto out;
	h->phase = PHASE_STARTING;
	/* NSS comes first, and may hang. */
	set_deadline(h, h->change_timeout_ms);
	helper_answer(h, ADMISSION_GRANTED, txn[1]);
	result = 0;
out:
	if (result == -1)
		log_message(LOG_LEVEL_ERROR, "helper: cannot start: %s",
		    strerror(errno));
	if (txn[0] != -1)
		(void)close(txn[0]);
	if (txn[1] != -1)
		(void)close(txn[1]);
	if (status[1] != -1)
		(void)close(status[1]);
	return result;
}

struct outcome_event {
	enum outcome outcome;
	enum log_level level;
	const char *name; /* or NULL: nothing worth a line */
	int proves_user;  /* the password was right: the name is one */
};

static const struct outcome_event outcome_events[] = {
	{ OUTCOME_CANCELLED, LOG_LEVEL_DEBUG, "cancelled", 0 },
	{ OUTCOME_AUTHENTICATED, LOG_LEVEL_INFO, "login_ok", 1 },
	{ OUTCOME_AUTH_FAILED, LOG_LEVEL_NOTICE, "auth_failed", 0 },
	{ OUTCOME_ACCOUNT_REFUSED, LOG_LEVEL_NOTICE, "account_refused", 1 },
	{ OUTCOME_POLICY_REFUSED, LOG_LEVEL_NOTICE, "policy_refused", 0 },
	{ OUTCOME_TEMPORARY, LOG_LEVEL_ERROR, "temporary_failure", 0 },
	{ OUTCOME_CHANGE_REFUSED, LOG_LEVEL_NOTICE, "change_refused", 1 },
	{ OUTCOME_UNKNOWN, LOG_LEVEL_ERROR, "change_unknown", 1 },
	{ OUTCOME_CHANGED, LOG_LEVEL_INFO, "change_ok", 1 },
};

static const struct outcome_event *
event_of(enum outcome outcome)
{
	size_t n = sizeof(outcome_events) / sizeof(*outcome_events);

	for (size_t i = 0; i < n; i++) {
		if (outcome_events[i].outcome == outcome)
			return &outcome_events[i];
	}
	return NULL;
}

/* Said by the exit status, or it was not said. */
static const struct outcome_event *
judge(const struct helper *h, int status)
{
	const struct outcome_event *said = NULL;

	if (WIFEXITED(status))
		said = event_of((enum outcome)WEXITSTATUS(status));
	if (said != NULL)
		return said;
	return event_of(
	    h->phase == PHASE_CHANGE ? OUTCOME_UNKNOWN : OUTCOME_TEMPORARY);
}

static void
explain_death(struct helper *h, int status)
{
	if (h->is_past_deadline)
		(void)snprintf(h->reason, sizeof(h->reason),
		    "helper killed: its time was over (change-timeout)");
	else if (WIFSIGNALED(status))
		(void)snprintf(h->reason, sizeof(h->reason),
		    "helper died of signal %d", WTERMSIG(status));
	else if (event_of((enum outcome)WEXITSTATUS(status)) == NULL)
		(void)snprintf(h->reason, sizeof(h->reason),
		    "helper ended with status %d and no verdict",
		    WEXITSTATUS(status));
}

static enum outcome
log_outcome(struct helper *h, int status)
{
	const struct outcome_event *event = judge(h, status);
	struct log_subject subject = { .origin = &h->request.origin,
		.reason = h->reason };

	h->user_is_known |= event->proves_user;
	if (h->user_is_known)
		subject.user = h->request.user;
	explain_death(h, status);
	log_event(event->level, event->name, &subject);
	return event->outcome;
}

enum outcome
helper_reaped(struct helper *h, int status)
{
	/* Its last words may still be in the socket. What it left behind may
	 * go on talking. */
	(void)fcntl(h->status_fd, F_SETFL, O_NONBLOCK);
	for (int i = 0; i < LAST_WORDS_MAX && read_status(h) == WIRE_OK; i++)
		continue;
	return log_outcome(h, status);
}
