/*
 * The monitor's net processes: their start, what they say, and who follows one
 * that has ended. Runs as root; handles no client bytes and no passwords.
 */
#include <stdlib.h>
#include <sysexits.h>

#include "common/log.h"
#include "daemon/monitor_parts.h"
#include "daemon/notify.h"
#include "daemon/username.h"

/* A net that dies young is started again after a pause that doubles. */
#define RESTART_LAST_MS 30000
#define OLD_AGE_SEC     10

/* After a pause, and the next time after twice that. */
static void
restart_later(struct monitor *m)
{
	const struct timeval pause = monitor_interval(m->restart_ms);

	m->restart_ms *= 2;
	if (m->restart_ms > RESTART_LAST_MS)
		m->restart_ms = RESTART_LAST_MS;
	(void)event_add(m->restart_timer, &pause);
}

/* At once, for one that was not lost young: a client that kills net by some
 * fault gets slower, not the service. */
static void
replace(struct monitor *m, const struct member *lost)
{
	struct timeval now;

	(void)event_base_gettimeofday_cached(m->base, &now);
	if (now.tv_sec - lost->started.tv_sec >= OLD_AGE_SEC)
		m->restart_ms = RESTART_FIRST_MS;
	restart_later(m);
}

/* READY=1 during a reload would end that for the manager. */
static void
notify_serving(const struct monitor *m)
{
	if (m->next == NULL)
		notify_ready("Serving");
	else
		notify_status("Reloading");
}

static void
on_worker_ready(void *context, struct worker *worker)
{
	struct monitor *m = context;

	if (m->is_stopping)
		return;
	m->has_served = 1;
	if (worker == m->successor)
		monitor_reload_commit(m);
	log_event(LOG_LEVEL_NOTICE, "ready", NULL);
	notify_serving(m);
	notify_alive();
	monitor_reload_end(m);
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

/* The old net finishes what it has, as after a reload. */
static void
on_worker_spent(void *context, struct worker *worker)
{
	struct monitor *m = context;

	if (worker != m->current || m->is_stopping)
		return;
	m->current = NULL;
	worker_order(worker, CTL_DRAIN);
	replace(m, members_find(&m->members, worker_pid(worker)));
	notify_status("Not serving: the process with the keys does not answer "
		      "and will be started again");
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
	.spent = on_worker_spent,
	.admit = on_worker_admit,
	.listed = on_worker_listed,
	.forgotten = on_worker_forgotten,
};

struct worker *
monitor_start_worker(struct monitor *m, const struct generation *g)
{
	return members_start(
	    &m->members, m->base, g, m->clients_fd, &worker_callbacks, m);
}

static void
start_current(struct monitor *m)
{
	m->current = monitor_start_worker(m, m->now);
	if (m->current == NULL)
		restart_later(m);
}

void
on_restart_timer(evutil_socket_t fd, short what, void *context)
{
	struct monitor *m = context;

	(void)fd;
	(void)what;
	if (!m->is_stopping && m->current == NULL)
		start_current(m);
}

/* A first net that cannot even start will not do so the next time either. */
static void
current_ended(struct monitor *m, const struct member *member)
{
	if (m->is_stopping)
		return;
	if (m->has_served) {
		replace(m, member);
		notify_status("Not serving: the network process died and will "
			      "be started again");
		return;
	}
	m->is_stopping = 1;
	m->exit_status = EX_SOFTWARE;
}

void
monitor_member_ended(struct monitor *m, struct member *member, int status)
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
		monitor_reload_abandon(m, "the new net process ended", NULL);
	worker_free(worker);
	free(member);
}
