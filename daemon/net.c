/*
 * The network process: start-up, its end of the control socket, drain and stop.
 * Starts with the monitor's privilege, reads nothing from a client before it
 * has given that up.
 */
#include "daemon/net.h"

#include <sys/socket.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "daemon/clients.h"
#include "daemon/confine.h"
#include "daemon/listener.h"
#include "daemon/load.h"
#include "daemon/session.h"
#include "daemon/transaction.h"
#include "daemon/worker.h"

/* Descriptors beside those of sessions, helpers and listeners: standard ones,
 * control, epoll, a reserve. */
#define MORE_FILES 32

/* Enough to see who has trouble, even while somebody makes some. */
#define ENDED_LINES 50

/* Lines for the log that the monitor's socket had no room for. Requests for
 * admission are never lost to them: there is one a session at most. */
#define QUEUED_EVENTS_MAX 256

struct queued {
	STAILQ_ENTRY(queued) entry;
	size_t len;
	char bytes[];
};

STAILQ_HEAD(queue, queued);

/* The control socket's side of struct net; there is one per process. */
static struct control {
	struct net net;
	struct queue queue;
	size_t n_queued;
	unsigned n_dropped; /* events, since the last one that was sent */
	struct event *read_event;
	struct event *write_event;
	struct event *drain_timer;
	int is_lost; /* the monitor is gone */
	int status;  /* of this process at its end */
} control;

struct timeval
net_interval(uint64_t ms)
{
	return (struct timeval){ .tv_sec = (time_t)(ms / 1000),
		.tv_usec = (suseconds_t)(ms % 1000) * 1000 };
}

void
net_finish_if_done(struct net *net)
{
	if (net->is_draining && net->n_sessions == 0 &&
	    TAILQ_EMPTY(&net->transactions))
		(void)event_base_loopbreak(net->base);
}

static int
enqueue(const void *message, size_t len)
{
	struct queued *q;

	if (control.n_queued >=
	    QUEUED_EVENTS_MAX + control.net.config->max_sessions)
		return -1;
	q = malloc(sizeof(*q) + len);
	if (q == NULL)
		return -1;
	q->len = len;
	memcpy(q->bytes, message, len);
	STAILQ_INSERT_TAIL(&control.queue, q, entry);
	control.n_queued++;
	return event_add(control.write_event, NULL);
}

int
net_send(struct net *net, const void *message, size_t len)
{
	(void)net;
	if (control.is_lost)
		return -1;
	if (control.n_queued > 0)
		return enqueue(message, len);
	switch (wire_send(WIRE_NET_CONTROL_FD, message, len, -1)) {
	case WIRE_OK:
		return 0;
	case WIRE_AGAIN:
		return enqueue(message, len);
	case WIRE_EOF:
	case WIRE_BAD:
	case WIRE_ERROR:
		break;
	}
	return -1;
}

void
net_report(struct net *net, enum net_event event,
    const struct wire_origin *origin, const char *detail)
{
	struct ctl_event message;

	memset(&message, 0, sizeof(message));
	message.type = CTL_EVENT;
	message.event = event;
	if (origin != NULL)
		message.origin = *origin;
	wire_string_set(message.detail, sizeof(message.detail), detail);
	if (control.n_queued >= QUEUED_EVENTS_MAX ||
	    net_send(net, &message, sizeof(message)) == -1)
		control.n_dropped++;
}

void
net_report_some(struct net *net, struct summary *summary, enum net_event event,
    const struct wire_origin *origin, const char *detail)
{
	const char *line = summary_line(summary, detail, clock_now_ms());

	if (line != NULL)
		net_report(net, event, origin, line);
}

void
net_report_ended(struct net *net, enum net_event event,
    const struct wire_origin *origin, const char *detail)
{
	struct summary *summary = &net->ended[event];

	summary->n_extra = ENDED_LINES - 1;
	net_report_some(net, summary, event, origin, detail);
}

void
net_lose_keys(struct net *net)
{
	const struct ctl_order lost = { .type = CTL_KEYS_LOST };

	if (net->has_lost_keys || control.is_lost)
		return;
	net->has_lost_keys = 1;
	/* Whoever connects from now on is the next net's. */
	listener_stop_all(net);
	if (net_send(net, &lost, sizeof(lost)) == 0)
		return;
	control.status = EX_UNAVAILABLE;
	(void)event_base_loopbreak(net->base);
}

static void
report_dropped(void)
{
	char detail[WIRE_DETAIL_SIZE];

	if (control.n_dropped == 0)
		return;
	(void)snprintf(detail, sizeof(detail),
	    "%u lines for the log were lost: the monitor was too busy",
	    control.n_dropped);
	control.n_dropped = 0;
	net_report(&control.net, NET_EVENT_NOTE, NULL, detail);
}

static void
on_control_writable(evutil_socket_t fd, short what, void *context)
{
	struct queued *q;

	(void)what;
	(void)context;
	while ((q = STAILQ_FIRST(&control.queue)) != NULL) {
		if (wire_send(fd, q->bytes, q->len, -1) == WIRE_AGAIN) {
			(void)event_add(control.write_event, NULL);
			return;
		}
		STAILQ_REMOVE_HEAD(&control.queue, entry);
		control.n_queued--;
		explicit_bzero(q->bytes, q->len);
		free(q);
	}
	report_dropped();
}

static void
stop(struct net *net)
{
	net->is_draining = 1;
	net->is_stopping = 1;
	listener_stop_all(net);
	session_stop_all(net);
	transaction_stop_all(net);
	net_finish_if_done(net);
}

static void
on_drain_timeout(evutil_socket_t fd, short what, void *context)
{
	(void)fd;
	(void)what;
	stop(context);
}

static enum wire_result
on_drain(void *context, const void *message, int passed_fd)
{
	struct net *net = context;
	const struct timeval tv = net_interval(net->config->drain_timeout_ms);

	(void)message;
	(void)passed_fd;
	net->is_draining = 1;
	listener_stop_all(net);
	(void)event_add(control.drain_timer, &tv);
	net_finish_if_done(net);
	return WIRE_OK;
}

static enum wire_result
on_stop(void *context, const void *message, int passed_fd)
{
	(void)message;
	(void)passed_fd;
	stop(context);
	return WIRE_OK;
}

static enum wire_result
on_ping(void *context, const void *message, int passed_fd)
{
	const struct ctl_order pong = { .type = CTL_PONG };

	(void)message;
	(void)passed_fd;
	(void)net_send(context, &pong, sizeof(pong));
	return WIRE_OK;
}

static enum wire_result
on_admit_answer(void *context, const void *message, int passed_fd)
{
	const struct ctl_admit_answer *answer = message;

	if ((answer->admission == ADMISSION_GRANTED) != (passed_fd != -1) ||
	    answer->admission < ADMISSION_GRANTED ||
	    answer->admission > ADMISSION_THROTTLED) {
		if (passed_fd != -1)
			(void)close(passed_fd);
		return WIRE_BAD;
	}
	transaction_admitted(context, answer->cookie,
	    (enum admission)answer->admission, passed_fd);
	return WIRE_OK;
}

static enum wire_result
on_list(void *context, const void *message, int passed_fd)
{
	const struct ctl_list *list = message;
	static struct ctl_listed listed;

	(void)passed_fd;
	session_list(context, list->from, &listed);
	listed.type = CTL_LISTED;
	listed.cookie = list->cookie;
	(void)net_send(context, &listed, sizeof(listed));
	return WIRE_OK;
}

static enum wire_result
on_forget(void *context, const void *message, int passed_fd)
{
	struct net *net = context;
	const struct ctl_forget *forget = message;
	struct ctl_forgotten forgotten;

	(void)passed_fd;
	if (!wire_string_ok(forget->address, sizeof(forget->address)))
		return WIRE_BAD;
	memset(&forgotten, 0, sizeof(forgotten));
	forgotten.type = CTL_FORGOTTEN;
	forgotten.cookie = forget->cookie;
	forgotten.found = clients_forget(net->clients, forget->address) ? 1 : 0;
	(void)net_send(net, &forgotten, sizeof(forgotten));
	return WIRE_OK;
}

static const struct wire_rule rules[] = {
	{ CTL_ADMIT_ANSWER, WIRE_ANY_STATE, sizeof(struct ctl_admit_answer),
	    on_admit_answer, 1 },
	{ CTL_DRAIN, WIRE_ANY_STATE, sizeof(struct ctl_order), on_drain, 0 },
	{ CTL_STOP, WIRE_ANY_STATE, sizeof(struct ctl_order), on_stop, 0 },
	{ CTL_PING, WIRE_ANY_STATE, sizeof(struct ctl_order), on_ping, 0 },
	{ CTL_LIST, WIRE_ANY_STATE, sizeof(struct ctl_list), on_list, 0 },
	{ CTL_FORGET, WIRE_ANY_STATE, sizeof(struct ctl_forget), on_forget, 0 },
};

/* Nobody is left to order a stop, so this is one. */
static void
lose_monitor(struct net *net)
{
	control.is_lost = 1;
	(void)event_del(control.read_event);
	(void)event_del(control.write_event);
	stop(net);
}

static void
on_control_readable(evutil_socket_t fd, short what, void *context)
{
	uint64_t buf[128 / sizeof(uint64_t)];

	(void)what;
	switch (wire_dispatch(fd, rules, sizeof(rules) / sizeof(*rules), 0, buf,
	    sizeof(buf), context)) {
	case WIRE_OK:
	case WIRE_AGAIN:
		return;
	case WIRE_BAD:
		net_report(context, NET_EVENT_NOTE, NULL,
		    "the monitor broke the protocol");
		control.status = EX_PROTOCOL;
		break;
	case WIRE_EOF:
	case WIRE_ERROR:
		break;
	}
	lose_monitor(context);
}

/* A session has two, and a transaction that outlives its session one as long as
 * there is a helper. */
static unsigned
count_files(const struct net *net)
{
	const struct config *config = net->config;

	return 2 * (config->max_sessions + 1) + config->max_helpers +
	    (unsigned)config->n_listens + MORE_FILES;
}

static void
make_events(struct net *net)
{
	net->base = event_base_new();
	if (net->base == NULL)
		fatal(EX_OSERR, "net: event base: %s", strerror(errno));
	STAILQ_INIT(&control.queue);
	control.read_event = event_new(net->base, WIRE_NET_CONTROL_FD,
	    EV_READ | EV_PERSIST, on_control_readable, net);
	control.write_event = event_new(
	    net->base, WIRE_NET_CONTROL_FD, EV_WRITE, on_control_writable, net);
	control.drain_timer = evtimer_new(net->base, on_drain_timeout, net);
	if (control.read_event == NULL || control.write_event == NULL ||
	    control.drain_timer == NULL ||
	    event_add(control.read_event, NULL) == -1 ||
	    listener_start_all(net) == -1)
		fatal(EX_OSERR, "net: events: %s", strerror(errno));
}

static void
prepare_process(const struct net *net)
{
	static const int ignored[] = { SIGPIPE, SIGHUP, SIGINT, SIGTERM };

	for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
		(void)signal(ignored[i], SIG_IGN);
	(void)fcntl(WIRE_NET_CONTROL_FD, F_SETFD, FD_CLOEXEC);
	for (size_t i = 0; i < net->config->n_listens; i++)
		(void)fcntl(WIRE_NET_LISTEN_FD + (int)i, F_SETFD, FD_CLOEXEC);
	if (fcntl(WIRE_NET_CONTROL_FD, F_SETFL, O_NONBLOCK) == -1)
		fatal(EX_OSERR, "net: control: %s", strerror(errno));
}

static void
say_ready(struct net *net)
{
	const struct ctl_order ready = { .type = CTL_READY };

	if (net_send(net, &ready, sizeof(ready)) == -1)
		fatal(EX_OSERR, "net: the monitor is gone");
}

int
net_main(void)
{
	struct net *net = &control.net;
	int memory_is_locked;

	TAILQ_INIT(&net->transactions);
	load_from_monitor(net);
	prepare_process(net);
	slots_init(&net->slots, net->config->run_slots);
	net->clients = clients_new(net->config, WIRE_NET_CLIENTS_FD);
	if (net->clients == NULL ||
	    session_arena_new(net, &memory_is_locked) == -1)
		fatal(EX_OSERR, "net: memory for %u sessions: %s",
		    net->config->max_sessions, strerror(errno));
	make_events(net);
	confine_net(net->config, count_files(net));
	say_ready(net);
	if (!memory_is_locked)
		net_report(net, NET_EVENT_NOTE, NULL,
		    "memory for passwords is not locked; raise RLIMIT_MEMLOCK "
		    "or lower max-sessions");
	(void)event_base_dispatch(net->base);
	return control.status;
}
