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
#include <signal.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "daemon/activation.h"
#include "daemon/client_throttle.h"
#include "daemon/confine.h"
#include "daemon/monitor_parts.h"
#include "daemon/notify.h"
#include "daemon/process_tree.h"
#include "daemon/username.h"

/* What a stop may take beyond the last change. */
#define STOP_MARGIN_MS 5000

struct timeval
monitor_interval(unsigned ms)
{
	return (struct timeval){ .tv_sec = (time_t)(ms / 1000),
		.tv_usec = (suseconds_t)(ms % 1000) * 1000 };
}

static void
finish_if_done(struct monitor *m)
{
	if (m->is_stopping && members_are_none(&m->members) &&
	    helper_pool_running(m->helpers) == 0)
		(void)event_base_loopbreak(m->base);
}

static void
on_monitor_reload(evutil_socket_t fd, short what, void *context)
{
	struct monitor *m = context;

	(void)fd;
	(void)what;
	if (!m->is_stopping)
		monitor_reload_ask(m);
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
	const struct timeval limit = monitor_interval(limit_ms);

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
		monitor_member_ended(m, member, status);
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
	monitor_reload_ask(context);
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

/* Who started us may have blocked any. SIGHUP waits until somebody is there to
 * take it: it would end us. */
static void
block_only(int signal)
{
	sigset_t blocked;

	(void)sigemptyset(&blocked);
	if (signal != 0)
		(void)sigaddset(&blocked, signal);
	(void)sigprocmask(SIG_SETMASK, &blocked, NULL);
}

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
	block_only(0);
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

	activation_close_others();
	block_only(SIGHUP);
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
	m.current = monitor_start_worker(&m, m.now);
	m.exit_status = m.current != NULL ? EX_OK : EX_OSERR;
	if (m.current != NULL)
		commands_listen(m.commands, m.now->config);
	if (m.current != NULL)
		(void)event_base_dispatch(m.base);
	monitor_free(&m);
	return m.exit_status;
}
