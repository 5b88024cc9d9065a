/*
 * One net process, as the monitor sees it. Runs as root in the monitor; what
 * comes from net is looked at by length, type and state before anything else.
 */
#include "daemon/worker.h"

#include <sys/time.h>
#include <sys/wait.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "daemon/heartbeat.h"
#include "daemon/net_messages.h"
#include "daemon/start.h"
#include "daemon/worker_spawn.h"

#define START_SEC  10
#define ANSWER_SEC 1 /* a message, while the monitor has others to serve */
#define LEAVE_SEC  5 /* what a net that drains may be late */

/* Of the log, in ten seconds: more than one that keeps its own bounds has to
 * write, and less than fills a disk. */
#define LINES_MAX 1000

enum worker_state {
	WORKER_STARTING,
	WORKER_SERVING,
	WORKER_LEAVING
};

struct worker {
	pid_t pid;
	pid_t keeper_pid; /* of its private keys; 0 once it has ended */
	int control_fd;
	enum worker_state state;
	int told_to_leave;
	int is_killed;
	unsigned leave_ms; /* from CTL_DRAIN to its end */
	struct summary lines;
	struct event *control_event;
	struct event *deadline;      /* to be ready, and to have left */
	struct heartbeat *heartbeat; /* while it serves */
	const struct worker_callbacks *callbacks;
	void *context;
};

static enum wire_result
on_ready(void *context, const void *message, int passed_fd)
{
	struct worker *w = context;

	(void)message;
	(void)passed_fd;
	w->state = WORKER_SERVING;
	(void)event_del(w->deadline);
	heartbeat_start(w->heartbeat);
	w->callbacks->ready(w->context, w);
	return WIRE_OK;
}

static enum wire_result
on_pong(void *context, const void *message, int passed_fd)
{
	struct worker *w = context;

	(void)message;
	(void)passed_fd;
	/* What was not asked for says nothing, however often it comes. */
	if (heartbeat_answered(w->heartbeat))
		w->callbacks->alive(w->context, w);
	return WIRE_OK;
}

static enum wire_result
on_keys_lost(void *context, const void *message, int passed_fd)
{
	struct worker *w = context;

	(void)message;
	(void)passed_fd;
	/* One that leaves has a deadline of its own. */
	if (w->state == WORKER_LEAVING)
		return WIRE_OK;
	log_message(LOG_LEVEL_ERROR,
	    "keys: process %d: does not answer; another net takes over",
	    (int)w->keeper_pid);
	w->callbacks->spent(w->context, w);
	return WIRE_OK;
}

static enum wire_result
on_admit_request(void *context, const void *message, int passed_fd)
{
	struct worker *w = context;
	const struct ctl_admit_request *request = message;

	(void)passed_fd;
	if (!net_message_admit_ok(request))
		return WIRE_BAD;
	w->callbacks->admit(w->context, w, request);
	return WIRE_OK;
}

static enum wire_result
on_listed(void *context, const void *message, int passed_fd)
{
	struct worker *w = context;

	(void)passed_fd;
	if (!net_message_listed_ok(message))
		return WIRE_BAD;
	w->callbacks->listed(w->context, w, message);
	return WIRE_OK;
}

static enum wire_result
on_forgotten(void *context, const void *message, int passed_fd)
{
	struct worker *w = context;

	(void)passed_fd;
	w->callbacks->forgotten(w->context, w, message);
	return WIRE_OK;
}

static enum wire_result
on_event(void *context, const void *message, int passed_fd)
{
	struct worker *w = context;

	(void)passed_fd;
	return net_message_log_event(message, &w->lines, clock_now_ms()) == 0
	    ? WIRE_OK
	    : WIRE_BAD;
}

static const struct wire_rule rules[] = {
	{ CTL_READY, WIRE_STATE(WORKER_STARTING), sizeof(struct ctl_order),
	    on_ready, 0 },
	{ CTL_ADMIT_REQUEST,
	    WIRE_STATE(WORKER_SERVING) | WIRE_STATE(WORKER_LEAVING),
	    sizeof(struct ctl_admit_request), on_admit_request, 0 },
	{ CTL_EVENT, WIRE_ANY_STATE, sizeof(struct ctl_event), on_event, 0 },
	{ CTL_PONG, WIRE_STATE(WORKER_SERVING) | WIRE_STATE(WORKER_LEAVING),
	    sizeof(struct ctl_order), on_pong, 0 },
	{ CTL_KEYS_LOST,
	    WIRE_STATE(WORKER_SERVING) | WIRE_STATE(WORKER_LEAVING),
	    sizeof(struct ctl_order), on_keys_lost, 0 },
	{ CTL_LISTED, WIRE_STATE(WORKER_SERVING) | WIRE_STATE(WORKER_LEAVING),
	    sizeof(struct ctl_listed), on_listed, 0 },
	{ CTL_FORGOTTEN,
	    WIRE_STATE(WORKER_SERVING) | WIRE_STATE(WORKER_LEAVING),
	    sizeof(struct ctl_forgotten), on_forgotten, 0 },
};

static void
on_worker_control(evutil_socket_t fd, short what, void *context)
{
	struct worker *w = context;
	uint64_t buf[WIRE_MESSAGE_MAX / sizeof(uint64_t)];

	(void)what;
	switch (wire_dispatch(fd, rules, sizeof(rules) / sizeof(*rules),
	    w->state, buf, sizeof(buf), w)) {
	case WIRE_OK:
	case WIRE_AGAIN:
		return;
	case WIRE_EOF:
		/* It has ended, or it lives on where nobody can reach it. */
		break;
	case WIRE_BAD:
		log_message(LOG_LEVEL_ERROR,
		    "net: process %d: broke the protocol, killed", (int)w->pid);
		break;
	case WIRE_ERROR:
		log_message(LOG_LEVEL_ERROR, "net: process %d: %s, killed",
		    (int)w->pid, strerror(errno));
		break;
	}
	worker_kill(w);
}

static void
on_worker_deadline(evutil_socket_t fd, short what, void *context)
{
	struct worker *w = context;

	(void)fd;
	(void)what;
	if (w->told_to_leave)
		log_message(LOG_LEVEL_ERROR,
		    "net: process %d: does not leave, killed", (int)w->pid);
	else
		log_message(LOG_LEVEL_ERROR,
		    "net: process %d: not ready after %d s, killed",
		    (int)w->pid, START_SEC);
	worker_kill(w);
}

static void
send_or_kill(struct worker *w, const void *message, size_t len, int fd)
{
	/* Somebody else may hold the other end of the socket: to wait for one
	 * that is as good as dead, once for each answer, would be its weapon.
	 */
	if (w->is_killed)
		return;
	switch (wire_send(w->control_fd, message, len, fd)) {
	case WIRE_OK:
	case WIRE_EOF:
		return;
	case WIRE_AGAIN:
	case WIRE_BAD:
	case WIRE_ERROR:
		log_message(LOG_LEVEL_ERROR,
		    "net: process %d: does not read (%s), killed", (int)w->pid,
		    strerror(errno));
		worker_kill(w);
	}
}

static void
on_worker_ask(void *context)
{
	const struct ctl_order ping = { .type = CTL_PING };
	struct worker *w = context;

	send_or_kill(w, &ping, sizeof(ping), -1);
}

static void
on_worker_silence(void *context)
{
	struct worker *w = context;

	log_message(LOG_LEVEL_ERROR, "net: process %d: does not answer, killed",
	    (int)w->pid);
	worker_kill(w);
}

static const struct heartbeat_callbacks heartbeat_callbacks = {
	.ask = on_worker_ask,
	.on_silence = on_worker_silence,
};

static int
watch(struct worker *w, struct event_base *base)
{
	const struct timeval start = { .tv_sec = START_SEC };

	start_limit_sending(w->control_fd, ANSWER_SEC);
	w->control_event = event_new(
	    base, w->control_fd, EV_READ | EV_PERSIST, on_worker_control, w);
	w->deadline = evtimer_new(base, on_worker_deadline, w);
	w->heartbeat = heartbeat_new(base, &heartbeat_callbacks, w);
	if (w->control_event == NULL || w->deadline == NULL ||
	    w->heartbeat == NULL)
		return -1;
	if (event_add(w->control_event, NULL) == -1)
		return -1;
	return event_add(w->deadline, &start);
}

/* It is ours to wait for only here: nobody knows its number yet. */
static void
give_up(struct worker *w)
{
	if (w->pid > 0) {
		worker_kill(w);
		(void)waitpid(w->pid, NULL, 0);
	}
	worker_free(w);
}

struct worker *
worker_start(struct event_base *base, const struct config *config,
    const struct tls_files *files, const struct listen_set *listens,
    int clients_fd, const struct worker_callbacks *callbacks, void *context)
{
	struct worker *w = calloc(1, sizeof(*w));
	struct worker_processes started;
	int result;

	if (w == NULL) {
		log_message(LOG_LEVEL_ERROR, "net: %s", strerror(errno));
		return NULL;
	}
	w->leave_ms = config->drain_timeout_ms + config->change_timeout_ms +
	    LEAVE_SEC * 1000;
	w->lines.n_extra = LINES_MAX - 1;
	w->callbacks = callbacks;
	w->context = context;
	result = worker_spawn(&started, config, files, listens, clients_fd);
	w->pid = started.net_pid;
	w->keeper_pid = started.keeper_pid;
	w->control_fd = started.control_fd;
	if (result == 0 && watch(w, base) == 0)
		return w;
	log_message(LOG_LEVEL_ERROR, "net: cannot start: %s", strerror(errno));
	give_up(w);
	return NULL;
}

pid_t
worker_pid(const struct worker *worker)
{
	return worker->pid;
}

pid_t
worker_keeper_pid(const struct worker *worker)
{
	return worker->keeper_pid;
}

void
worker_keeper_ended(struct worker *worker, int status)
{
	const int pid = (int)worker->keeper_pid;

	worker->keeper_pid = 0;
	/* It ends well when net has. One that leaves may do so without. */
	if (worker->is_killed || worker->told_to_leave ||
	    (WIFEXITED(status) && WEXITSTATUS(status) == 0))
		return;
	log_message(LOG_LEVEL_ERROR,
	    "keys: process %d: ended; net, which needs it, is started again",
	    pid);
	worker_kill(worker);
}

int
worker_is_serving(const struct worker *worker)
{
	return worker->state == WORKER_SERVING;
}

void
worker_order(struct worker *worker, enum wire_type order)
{
	const struct ctl_order message = { .type = order };
	const struct timeval limit = { .tv_sec = worker->leave_ms / 1000,
		.tv_usec = (suseconds_t)(worker->leave_ms % 1000) * 1000 };

	worker->told_to_leave = 1;
	/* To leave has a deadline of its own. */
	heartbeat_stop(worker->heartbeat);
	(void)event_add(worker->deadline, &limit);
	if (worker->state == WORKER_STARTING) {
		worker_kill(worker);
		return;
	}
	worker->state = WORKER_LEAVING;
	send_or_kill(worker, &message, sizeof(message), -1);
}

void
worker_answer(
    struct worker *worker, uint64_t cookie, enum admission admission, int fd)
{
	struct ctl_admit_answer message;

	memset(&message, 0, sizeof(message));
	message.type = CTL_ADMIT_ANSWER;
	message.admission = admission;
	message.cookie = cookie;
	send_or_kill(worker, &message, sizeof(message), fd);
}

int
worker_has_started(const struct worker *worker)
{
	return worker->state != WORKER_STARTING && !worker->is_killed;
}

void
worker_ask(struct worker *worker, const void *message, size_t len)
{
	send_or_kill(worker, message, len, -1);
}

void
worker_kill(struct worker *worker)
{
	worker->is_killed = 1;
	/* What it has said last is not to be believed any more. */
	if (worker->control_event != NULL)
		(void)event_del(worker->control_event);
	(void)kill(worker->pid, SIGKILL);
}

void
worker_report_exit(const struct worker *worker, int status)
{
	char how[64];
	const struct log_subject subject = { .reason = how };

	/* The order to one that has not started yet is its end. */
	if (worker->told_to_leave && worker->state == WORKER_STARTING)
		return;
	if (worker->told_to_leave && WIFEXITED(status) &&
	    WEXITSTATUS(status) == 0)
		return;
	if (WIFSIGNALED(status))
		(void)snprintf(how, sizeof(how), "process %d: signal %d (%s)",
		    (int)worker->pid, WTERMSIG(status),
		    strsignal(WTERMSIG(status)));
	else
		(void)snprintf(how, sizeof(how), "process %d: exit status %d",
		    (int)worker->pid, WEXITSTATUS(status));
	log_event(LOG_LEVEL_ERROR, "net_died", &subject);
}

void
worker_free(struct worker *worker)
{
	if (worker == NULL)
		return;
	/* It sees the end of net, unless net has hidden its end of the socket
	 * somewhere. Waited for, so that no key outlives the service; it does
	 * nothing that could hold up its death. */
	if (worker->keeper_pid > 0) {
		(void)kill(worker->keeper_pid, SIGKILL);
		(void)waitpid(worker->keeper_pid, NULL, 0);
	}
	if (worker->control_event != NULL)
		event_free(worker->control_event);
	if (worker->deadline != NULL)
		event_free(worker->deadline);
	heartbeat_free(worker->heartbeat);
	if (worker->control_fd != -1)
		(void)close(worker->control_fd);
	free(worker);
}
