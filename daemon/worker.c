/*
 * One net process, as the monitor sees it. Runs as root in the monitor; what
 * comes from net is looked at by length, type and state before anything else.
 */
#include "daemon/worker.h"

#include <sys/socket.h>
#include <sys/time.h>
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
#include "daemon/process_tree.h"

#define START_SEC  10
#define SEND_SEC   5 /* a message, while it starts */
#define ANSWER_SEC 1 /* the same, while the monitor has others to serve */
#define LEAVE_SEC  5 /* what a net that drains may be late */

enum worker_state {
	WORKER_STARTING,
	WORKER_SERVING,
	WORKER_LEAVING
};

struct worker {
	pid_t pid;
	int control_fd;
	enum worker_state state;
	int told_to_leave;
	int is_killed;
	unsigned leave_ms; /* from CTL_DRAIN to its end */
	struct event *control_event;
	struct event *deadline; /* to be ready, and to have left */
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
	w->callbacks->ready(w->context, w);
	return WIRE_OK;
}

/* It becomes PAM_RHOST, and modules hand that to scripts; and it is what the
 * lists of networks are asked for. */
static int
address_ok(const char *address, size_t size)
{
	return wire_string_ok(address, size) &&
	    (*address == '\0' || cidr_is_peer(address));
}

static int
origin_ok(const struct wire_origin *origin)
{
	return address_ok(origin->address, sizeof(origin->address)) &&
	    wire_string_ok(origin->listener, sizeof(origin->listener)) &&
	    wire_string_ok(origin->tls, sizeof(origin->tls)) &&
	    address_ok(origin->proxy, sizeof(origin->proxy)) &&
	    wire_string_ok(origin->certificate, sizeof(origin->certificate));
}

static enum wire_result
on_admit_request(void *context, const void *message, int passed_fd)
{
	struct worker *w = context;
	const struct ctl_admit_request *request = message;

	(void)passed_fd;
	if (!origin_ok(&request->origin) ||
	    request->origin.address[0] == '\0' ||
	    !wire_string_ok(request->user, sizeof(request->user)) ||
	    request->user[0] == '\0')
		return WIRE_BAD;
	w->callbacks->admit(w->context, w, request);
	return WIRE_OK;
}

struct event_name {
	uint32_t event;
	enum log_level level;
	const char *name;
};

static const struct event_name event_names[] = {
	{ NET_EVENT_CLEAR_REFUSED, LOG_LEVEL_NOTICE, "clear_refused" },
	{ NET_EVENT_TLS_FAILED, LOG_LEVEL_INFO, "tls_failed" },
	{ NET_EVENT_STARTTLS_INJECTION, LOG_LEVEL_WARNING,
	    "starttls_injection" },
	{ NET_EVENT_PROTOCOL, LOG_LEVEL_INFO, "protocol_error" },
	{ NET_EVENT_TIMEOUT, LOG_LEVEL_INFO, "timeout" },
	{ NET_EVENT_ACCEPT_PAUSED, LOG_LEVEL_WARNING, "accept_paused" },
	{ NET_EVENT_PROXY_REFUSED, LOG_LEVEL_NOTICE, "proxy_refused" },
	{ NET_EVENT_REFUSED, LOG_LEVEL_NOTICE, "session_refused" },
	{ NET_EVENT_DROPPED, LOG_LEVEL_NOTICE, "session_dropped" },
	{ NET_EVENT_THROTTLED, LOG_LEVEL_NOTICE, "throttled" },
	{ NET_EVENT_NOTE, LOG_LEVEL_WARNING, "net_note" },
};

static enum wire_result
on_event(void *context, const void *message, int passed_fd)
{
	const struct ctl_event *event = message;
	const struct log_subject subject = { .origin = &event->origin,
		.reason = event->detail };

	(void)context;
	(void)passed_fd;
	if (!origin_ok(&event->origin) ||
	    !wire_string_ok(event->detail, sizeof(event->detail)))
		return WIRE_BAD;
	for (size_t i = 0; i < sizeof(event_names) / sizeof(*event_names);
	     i++) {
		if (event_names[i].event != event->event)
			continue;
		log_event(event_names[i].level, event_names[i].name, &subject);
		return WIRE_OK;
	}
	return WIRE_BAD;
}

static const struct wire_rule rules[] = {
	{ CTL_READY, WIRE_STATE(WORKER_STARTING), sizeof(struct ctl_order),
	    on_ready, 0 },
	{ CTL_ADMIT_REQUEST,
	    WIRE_STATE(WORKER_SERVING) | WIRE_STATE(WORKER_LEAVING),
	    sizeof(struct ctl_admit_request), on_admit_request, 0 },
	{ CTL_EVENT, WIRE_ANY_STATE, sizeof(struct ctl_event), on_event, 0 },
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
	(void)event_del(w->control_event);
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

/* Only what a sanitizer's runtime must be told goes along. */
static char **
make_environment(void)
{
	static char *environment[4];
	static const char *const kept[] = {
		"ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS="
	};
	size_t n = 0;

	for (char **e = environ; *e != NULL; e++) {
		for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++) {
			if (strncmp(*e, kept[i], strlen(kept[i])) == 0 &&
			    n < sizeof(environment) / sizeof(*environment) - 1)
				environment[n++] = *e;
		}
	}
	return environment;
}

/* Puts the descriptors where net looks for them: first out of the way of the
 * target numbers, then onto them. Everything else is close-on-exec. */
static int
place_descriptors(
    int control_fd, int clients_fd, const struct listen_set *listens)
{
	const int n = (int)listen_set_count(listens);
	const int above = WIRE_NET_LISTEN_FD + n;
	int *fds = calloc((size_t)above, sizeof(*fds));

	if (fds == NULL)
		return -1;
	fds[WIRE_NET_CONTROL_FD] = control_fd;
	fds[WIRE_NET_CLIENTS_FD] = clients_fd;
	for (int i = 0; i < n; i++)
		fds[WIRE_NET_LISTEN_FD + i] = listen_set_fd(listens, (size_t)i);
	for (int i = WIRE_NET_CONTROL_FD; i < above; i++) {
		fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, above);
		if (fds[i] == -1)
			return -1;
	}
	for (int i = WIRE_NET_CONTROL_FD; i < above; i++) {
		if (dup2(fds[i], i) == -1)
			return -1;
	}
	free(fds);
	return 0;
}

static void
become_net(int control_fd, int clients_fd, const struct listen_set *listens)
{
	static char name[] = WORKER_NAME;
	char *argv[] = { name, NULL };

	if (place_descriptors(control_fd, clients_fd, listens) == 0)
		(void)execve("/proc/self/exe", argv, make_environment());
	log_message(LOG_LEVEL_ERROR, "net: cannot start: %s", strerror(errno));
	_exit(EX_OSERR);
}

static int
send_blob(const struct worker *w, enum load_kind kind, size_t index,
    const char *bytes, size_t len)
{
	struct ctl_load *m = secret_memory_map(sizeof(*m), NULL);
	int result = -1;

	if (m == NULL)
		return -1;
	do {
		size_t n = len < sizeof(m->bytes) ? len : sizeof(m->bytes);

		m->type = CTL_LOAD;
		m->kind = kind;
		m->index = (uint32_t)index;
		m->len = (uint32_t)n;
		memcpy(m->bytes, bytes, n);
		if (wire_send(w->control_fd, m, sizeof(*m), -1) != WIRE_OK)
			goto out;
		len -= n;
		bytes += n;
	} while (len > 0);
	result = 0;
out:
	secret_memory_unmap(m, sizeof(*m));
	return result;
}

static int
send_config(const struct worker *w, const struct config *config)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int result = -1;

	if (out == NULL)
		return -1;
	if (config_dump(config, out) == 0 && fflush(out) == 0)
		result = send_blob(w, LOAD_CONFIG, 0, text, len);
	(void)fclose(out);
	free(text);
	return result;
}

static int
send_files(const struct worker *w, const struct tls_files *files)
{
	const char *bytes;
	size_t len;

	bytes = tls_files_client_ca(files, &len);
	if (bytes != NULL && send_blob(w, LOAD_CLIENT_CA, 0, bytes, len) == -1)
		return -1;
	for (size_t i = 0; i < tls_files_count(files); i++) {
		bytes = tls_files_certificate(files, i, &len);
		if (send_blob(w, LOAD_CERTIFICATE, i, bytes, len) == -1)
			return -1;
		bytes = tls_files_key(files, i, &len);
		if (send_blob(w, LOAD_KEY, i, bytes, len) == -1)
			return -1;
	}
	return send_blob(w, LOAD_END, 0, "", 0);
}

/* A net that does not read must not hold up the monitor. */
static void
limit_sending(const struct worker *w, time_t sec)
{
	const struct timeval limit = { .tv_sec = sec };

	(void)setsockopt(
	    w->control_fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

static int
spawn(struct worker *w, int clients_fd, const struct listen_set *listens)
{
	int fd[2];

	if (wire_pair(fd) == -1)
		return -1;
	w->control_fd = fd[0];
	limit_sending(w, SEND_SEC);
	w->pid = process_fork();
	if (w->pid == 0)
		become_net(fd[1], clients_fd, listens);
	(void)close(fd[1]);
	return w->pid == -1 ? -1 : 0;
}

static int
watch(struct worker *w, struct event_base *base)
{
	const struct timeval start = { .tv_sec = START_SEC };

	limit_sending(w, ANSWER_SEC);
	w->control_event = event_new(
	    base, w->control_fd, EV_READ | EV_PERSIST, on_worker_control, w);
	w->deadline = evtimer_new(base, on_worker_deadline, w);
	if (w->control_event == NULL || w->deadline == NULL)
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

	if (w == NULL) {
		log_message(LOG_LEVEL_ERROR, "net: %s", strerror(errno));
		return NULL;
	}
	w->control_fd = -1;
	w->leave_ms = config->drain_timeout_ms + config->change_timeout_ms +
	    LEAVE_SEC * 1000;
	w->callbacks = callbacks;
	w->context = context;
	if (spawn(w, clients_fd, listens) == 0 && send_config(w, config) == 0 &&
	    send_files(w, files) == 0 && watch(w, base) == 0)
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

int
worker_is_serving(const struct worker *worker)
{
	return worker->state == WORKER_SERVING;
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

void
worker_order(struct worker *worker, enum wire_type order)
{
	const struct ctl_order message = { .type = order };
	const struct timeval limit = { .tv_sec = worker->leave_ms / 1000,
		.tv_usec = (suseconds_t)(worker->leave_ms % 1000) * 1000 };

	worker->told_to_leave = 1;
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

void
worker_kill(struct worker *worker)
{
	worker->is_killed = 1;
	(void)kill(worker->pid, SIGKILL);
}

void
worker_report_exit(const struct worker *worker, int status)
{
	char how[64];
	const struct log_subject subject = { .reason = how };

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
	if (worker->control_event != NULL)
		event_free(worker->control_event);
	if (worker->deadline != NULL)
		event_free(worker->deadline);
	if (worker->control_fd != -1)
		(void)close(worker->control_fd);
	free(worker);
}
