/*
 * The monitor: owns configuration, keys, listening sockets, net processes and
 * helpers. Runs as root with few capabilities; handles no client bytes and no
 * passwords.
 */
#include "daemon/monitor.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/log.h"
#include "daemon/activation.h"
#include "daemon/client_throttle.h"
#include "daemon/commands.h"
#include "daemon/confine.h"
#include "daemon/generation.h"
#include "daemon/helper_pool.h"
#include "daemon/members.h"
#include "daemon/notify.h"
#include "daemon/process_tree.h"
#include "daemon/username.h"
#include "daemon/worker.h"

/* A net that dies young is started again after a pause that doubles. */
#define RESTART_FIRST_MS 100
#define RESTART_LAST_MS  30000
#define OLD_AGE_SEC      10

/* What a stop may take beyond the last change. */
#define STOP_MARGIN_MS 5000

enum signal_index {
	ON_CHILD,
	ON_RELOAD,
	ON_TERM,
	ON_INT,
	N_SIGNALS
};

struct monitor {
	const char *config_path;
	struct event_base *base;
	struct event *signals[N_SIGNALS];
	struct event *restart_timer;
	struct event *stop_timer;
	struct generation *now;
	struct generation *next;  /* while a reload waits for its net */
	struct worker *current;   /* serves, or will, with `now` */
	struct worker *successor; /* will serve with `next` */
	struct members members;
	struct helper_pool *helpers;
	struct commands *commands;
	time_t started;
	uint64_t started_ms; /* by the clock that nobody sets */
	unsigned n_generations;
	time_t loaded;
	int clients_fd; /* what net processes know of clients */
	unsigned restart_ms;
	int has_served; /* some net process has been ready once */
	int reload_is_wanted;
	int is_stopping;
	int exit_status;
};

static struct timeval
timeval_of_ms(unsigned ms)
{
	return (struct timeval){ .tv_sec = (time_t)(ms / 1000),
		.tv_usec = (suseconds_t)(ms % 1000) * 1000 };
}

static const struct worker_callbacks worker_callbacks;

static struct worker *
start_worker(struct monitor *m, const struct generation *g)
{
	return members_start(
	    &m->members, m->base, g, m->clients_fd, &worker_callbacks, m);
}

static void
finish_if_done(struct monitor *m)
{
	if (m->is_stopping && members_are_none(&m->members) &&
	    helper_pool_running(m->helpers) == 0)
		(void)event_base_loopbreak(m->base);
}

static void
start_current(struct monitor *m)
{
	const struct timeval pause = timeval_of_ms(m->restart_ms);

	m->current = start_worker(m, m->now);
	if (m->current == NULL)
		(void)event_add(m->restart_timer, &pause);
}

static void
on_restart_timer(evutil_socket_t fd, short what, void *context)
{
	struct monitor *m = context;

	(void)fd;
	(void)what;
	if (!m->is_stopping && m->current == NULL)
		start_current(m);
}

/* Doubles the pause for a net that died young, forgets it for one that did
 * not: a client that kills net by some fault gets slower, not the service. */
static void
restart_later(struct monitor *m, const struct member *dead)
{
	struct timeval now, pause;

	(void)event_base_gettimeofday_cached(m->base, &now);
	if (now.tv_sec - dead->started.tv_sec >= OLD_AGE_SEC)
		m->restart_ms = RESTART_FIRST_MS;
	pause = timeval_of_ms(m->restart_ms);
	m->restart_ms *= 2;
	if (m->restart_ms > RESTART_LAST_MS)
		m->restart_ms = RESTART_LAST_MS;
	(void)event_add(m->restart_timer, &pause);
}

static void reload(struct monitor *m);

static void
reload_end(struct monitor *m)
{
	if (m->reload_is_wanted)
		reload(m);
}

/* The old net serves on until the new one has said that it does. */
static void
reload_commit(struct monitor *m)
{
	struct worker *old = m->current;

	m->current = m->successor;
	m->successor = NULL;
	generation_free(m->now);
	m->now = m->next;
	m->next = NULL;
	m->n_generations++;
	m->loaded = time(NULL);
	helper_pool_configure(m->helpers, m->now->config);
	log_open(m->now->config->log_target, m->now->config->log_level);
	generation_warn(m->now);
	commands_listen(m->commands, m->now->config);
	(void)event_del(m->restart_timer);
	m->restart_ms = RESTART_FIRST_MS;
	if (old != NULL)
		worker_order(old, CTL_DRAIN);
	log_event(LOG_LEVEL_NOTICE, "reload_ok", NULL);
	commands_reload_ended(m->commands, NULL, NULL);
}

/* said: the errors, a line each, or NULL. */
static void
reload_abandon(struct monitor *m, const char *why, const char *said)
{
	const struct log_subject subject = { .reason = why };

	m->successor = NULL;
	generation_free(m->next);
	m->next = NULL;
	listen_set_restore_access(m->now->listens, m->now->config);
	log_event(LOG_LEVEL_ERROR, "reload_failed", &subject);
	notify_ready("Serving as before: the last reload failed, see the log");
	commands_reload_ended(m->commands, why, said);
	reload_end(m);
}

static void
on_worker_ready(void *context, struct worker *worker)
{
	struct monitor *m = context;

	if (m->is_stopping)
		return;
	m->has_served = 1;
	if (worker == m->successor)
		reload_commit(m);
	log_event(LOG_LEVEL_NOTICE, "ready", NULL);
	notify_ready("Serving");
	notify_alive();
	reload_end(m);
}

static void
on_worker_admit(void *context, struct worker *worker,
    const struct ctl_admit_request *request)
{
	struct monitor *m = context;
	struct ctl_admit_request canonical = *request;

	username_canonicalise(m->now->config, canonical.user);
	helper_pool_admit(m->helpers, worker, &canonical);
}

/* The manager's watchdog is about the service: net must have answered. */
static void
on_worker_alive(void *context, struct worker *worker)
{
	const struct monitor *m = context;

	if (worker == m->current)
		notify_alive();
}

static void
on_worker_listed(
    void *context, struct worker *worker, const struct ctl_listed *listed)
{
	const struct monitor *m = context;

	commands_listed(m->commands, worker, listed);
}

static void
on_worker_forgotten(
    void *context, struct worker *worker, const struct ctl_forgotten *forgotten)
{
	const struct monitor *m = context;

	commands_forgotten(m->commands, worker, forgotten);
}

static const struct worker_callbacks worker_callbacks = {
	.ready = on_worker_ready,
	.alive = on_worker_alive,
	.admit = on_worker_admit,
	.listed = on_worker_listed,
	.forgotten = on_worker_forgotten,
};

static void
reload(struct monitor *m)
{
	char *said = NULL;

	m->reload_is_wanted = 0;
	notify_reloading();
	commands_reload_begins(m->commands);
	m->next = generation_load_logged(m->config_path, m->now, &said);
	if (m->next != NULL)
		m->successor = start_worker(m, m->next);
	if (m->next == NULL)
		reload_abandon(m, "the old configuration stays in force", said);
	else if (m->successor == NULL)
		reload_abandon(m, "the new net process did not start", NULL);
	free(said);
}

static void
reload_ask(struct monitor *m)
{
	m->reload_is_wanted = 1;
	/* One at a time: a reload under way takes this one up at its end. */
	if (m->next == NULL)
		reload(m);
}

static void
on_monitor_reload(evutil_socket_t fd, short what, void *context)
{
	struct monitor *m = context;

	(void)fd;
	(void)what;
	if (!m->is_stopping)
		reload_ask(m);
}

/* Commits have their own deadline; what is left after it and a margin is
 * not worth waiting for. */
static void
on_stop_timer(evutil_socket_t fd, short what, void *context)
{
	struct monitor *m = context;

	(void)fd;
	(void)what;
	log_message(
	    LOG_LEVEL_ERROR, "stop: a net process does not end, killed");
	members_kill(&m->members);
}

static void
on_monitor_stop(evutil_socket_t fd, short what, void *context)
{
	struct monitor *m = context;
	const unsigned limit_ms =
	    m->now->config->change_timeout_ms + STOP_MARGIN_MS;
	const struct timeval limit = timeval_of_ms(limit_ms);

	(void)fd;
	(void)what;
	if (m->is_stopping)
		return;
	m->is_stopping = 1;
	m->reload_is_wanted = 0;
	log_event(LOG_LEVEL_NOTICE, "stop", NULL);
	notify_stopping(limit_ms + STOP_MARGIN_MS);
	commands_stop(m->commands);
	(void)event_del(m->restart_timer);
	(void)event_add(m->stop_timer, &limit);
	/* Nobody is to queue for a service that will not come. */
	generation_close_listens(m->now);
	generation_close_listens(m->next);
	members_order(&m->members, CTL_STOP);
	finish_if_done(m);
}

/* A first net that cannot even start will not do so the next time either. */
static void
current_ended(struct monitor *m, const struct member *member)
{
	if (m->is_stopping)
		return;
	if (m->has_served) {
		restart_later(m, member);
		notify_status("Not serving: the network process died and will "
			      "be started again");
		return;
	}
	m->is_stopping = 1;
	m->exit_status = EX_SOFTWARE;
}

static void
member_ended(struct monitor *m, struct member *member, int status)
{
	struct worker *worker = member->worker;

	worker_report_exit(worker, status);
	members_take_out(&m->members, member);
	helper_pool_forget(m->helpers, worker);
	if (worker == m->current) {
		m->current = NULL;
		current_ended(m, member);
	}
	if (worker == m->successor)
		reload_abandon(m, "the new net process ended", NULL);
	worker_free(worker);
	free(member);
}

static int
is_own_child(void *context, pid_t pid)
{
	struct monitor *m = context;

	return members_find(&m->members, pid) != NULL ||
	    members_find_keeper(&m->members, pid) != NULL ||
	    helper_pool_owns(m->helpers, pid);
}

static void
child_ended(struct monitor *m, pid_t pid, int status)
{
	struct member *member = members_find(&m->members, pid);
	struct worker *with_keys = members_find_keeper(&m->members, pid);
	int was_helper;

	if (member != NULL) {
		member_ended(m, member, status);
		return;
	}
	if (with_keys != NULL) {
		worker_keeper_ended(with_keys, status);
		return;
	}
	was_helper = helper_pool_reaped(m->helpers, pid, status);
	/* A helper that was killed could not look after its own children. One
	 * that ended well may have left one on purpose (pam_exec). What we have
	 * killed as an orphan may have left some in turn. */
	if (WIFSIGNALED(status) && (was_helper || WTERMSIG(status) == SIGKILL))
		process_tree_kill_orphans(is_own_child, m);
}

static void
on_monitor_child(evutil_socket_t fd, short what, void *context)
{
	struct monitor *m = context;
	int status;
	pid_t pid;

	(void)fd;
	(void)what;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		child_ended(m, pid, status);
	finish_if_done(m);
}

static void
on_command_view(void *context, struct report_view *view)
{
	const struct monitor *m = context;
	const struct member *member;

	*view = (struct report_view){ .started = m->started,
		.uptime_sec = (clock_now_ms() - m->started_ms) / 1000,
		.generation = m->n_generations,
		.loaded = m->loaded,
		.config = m->now->config,
		.files = m->now->files,
		.n_helpers = helper_pool_running(m->helpers),
		.n_waiting = helper_pool_waiting(m->helpers) };
	view->n_nets = members_count(&m->members);
	if (m->current == NULL)
		return;
	view->net_pid = worker_pid(m->current);
	member = members_find(&m->members, view->net_pid);
	view->net_started = member->started.tv_sec;
}

static void
on_command_reload(void *context)
{
	reload_ask(context);
}

static int
on_command_unlock(void *context, const char *user)
{
	const struct monitor *m = context;
	char canonical[WIRE_USER_SIZE];

	wire_string_set(canonical, sizeof(canonical), user);
	username_canonicalise(m->now->config, canonical);
	return helper_pool_unlock(m->helpers, canonical);
}

static struct worker *
on_command_net(void *context, unsigned *number)
{
	const struct monitor *m = context;

	return members_from(&m->members, number);
}

static const struct commands_callbacks commands_callbacks = {
	.view = on_command_view,
	.reload = on_command_reload,
	.unlock = on_command_unlock,
	.net = on_command_net,
};

struct signal_handler {
	int signal;
	event_callback_fn callback;
};

static const struct signal_handler signal_handlers[N_SIGNALS] = {
	[ON_CHILD] = { SIGCHLD, on_monitor_child },
	[ON_RELOAD] = { SIGHUP, on_monitor_reload },
	[ON_TERM] = { SIGTERM, on_monitor_stop },
	[ON_INT] = { SIGINT, on_monitor_stop },
};

static void
events_make(struct monitor *m)
{
	m->base = event_base_new();
	if (m->base == NULL)
		fatal(EX_OSERR, "event base: %s", strerror(errno));
	for (size_t i = 0; i < N_SIGNALS; i++) {
		m->signals[i] = evsignal_new(m->base, signal_handlers[i].signal,
		    signal_handlers[i].callback, m);
		if (m->signals[i] == NULL ||
		    event_add(m->signals[i], NULL) == -1)
			fatal(EX_OSERR, "signals: %s", strerror(errno));
	}
	m->restart_timer = evtimer_new(m->base, on_restart_timer, m);
	m->stop_timer = evtimer_new(m->base, on_stop_timer, m);
	m->helpers = helper_pool_new(m->base);
	m->commands = commands_new(m->base, &commands_callbacks, m);
	if (m->restart_timer == NULL || m->stop_timer == NULL ||
	    m->helpers == NULL || m->commands == NULL)
		fatal(EX_OSERR, "events: %s", strerror(errno));
}

/* Net needs two descriptors a session, and inherits what the monitor may. */
static void
raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static void
prepare_process(void)
{
	const struct rlimit none = { .rlim_cur = 0, .rlim_max = 0 };

	(void)signal(SIGPIPE, SIG_IGN);
	(void)umask(077);
	if (chdir("/") == -1)
		fatal(EX_OSERR, "/: %s", strerror(errno));
	(void)setrlimit(RLIMIT_CORE, &none);
	raise_file_limit();
	/* What outlives a helper comes to us, so that it can be ended. */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == -1)
		fatal(EX_OSERR, "subreaper: %s", strerror(errno));
	confine_monitor();
	if (geteuid() != 0)
		log_event(LOG_LEVEL_WARNING, "not_root",
		    &(struct log_subject){
			.reason = "no chroot and no change of user; only for "
				  "tests, containers and virtual users" });
}

static void
clients_make(struct monitor *m)
{
	m->clients_fd = client_throttle_memory();
	if (m->clients_fd == -1)
		fatal(EX_OSERR, "memory for failures of clients: %s",
		    strerror(errno));
}

static void
monitor_free(struct monitor *m)
{
	(void)close(m->clients_fd);
	for (size_t i = 0; i < N_SIGNALS; i++)
		event_free(m->signals[i]);
	event_free(m->restart_timer);
	event_free(m->stop_timer);
	helper_pool_free(m->helpers);
	commands_free(m->commands);
	generation_free(m->now);
	generation_free(m->next);
	event_base_free(m->base);
}

/* Sockets that were passed to us serve as those of an older generation. */
static struct generation *
load_first(const char *config_path)
{
	struct config_errors errors = { .out = stderr };
	struct generation passed = { .listens = activation_take(&errors) };
	struct generation *first = NULL;

	if (errors.n == 0)
		first = generation_load(config_path, &passed, stderr);
	generation_close_listens(&passed);
	return first;
}

int
monitor_main(const char *config_path)
{
	struct monitor m = { .config_path = config_path,
		.restart_ms = RESTART_FIRST_MS,
		.started = time(NULL),
		.started_ms = clock_now_ms(),
		.n_generations = 1 };

	members_init(&m.members);
	notify_open();
	m.now = load_first(config_path);
	if (m.now == NULL)
		return EX_CONFIG;
	m.loaded = time(NULL);
	log_open(m.now->config->log_target, m.now->config->log_level);
	prepare_process();
	events_make(&m);
	clients_make(&m);
	helper_pool_configure(m.helpers, m.now->config);
	log_event(LOG_LEVEL_NOTICE, "start",
	    &(struct log_subject){ .reason = "poppassd " POPPASSD_VERSION });
	generation_warn(m.now);
	m.current = start_worker(&m, m.now);
	m.exit_status = m.current != NULL ? EX_OK : EX_OSERR;
	if (m.current != NULL)
		commands_listen(m.commands, m.now->config);
	if (m.current != NULL)
		(void)event_base_dispatch(m.base);
	monitor_free(&m);
	return m.exit_status;
}
