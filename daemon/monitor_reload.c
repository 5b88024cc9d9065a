/*
 * The monitor's reload: all or nothing, and no session is cut. Runs as root;
 * handles no client bytes and no passwords.
 */
#include <stdlib.h>
#include <time.h>

#include "common/log.h"
#include "daemon/monitor_parts.h"
#include "daemon/notify.h"

static void reload(struct monitor *m);

/* One at a time, and the start is the first: what it comes to is not yet known
 * before some net process has served. */
static int
may_reload(const struct monitor *m)
{
	return m->has_served && m->next == NULL && !m->is_stopping;
}

void
monitor_reload_end(struct monitor *m)
{
	if (m->reload_is_wanted && may_reload(m))
		reload(m);
}

/* The old net serves on until the new one has said that it does. */
void
monitor_reload_commit(struct monitor *m)
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

static void
notify_failed(const struct monitor *m)
{
	if (m->current != NULL && worker_is_serving(m->current))
		notify_ready("Serving as before: the last reload failed, see "
			     "the log");
	else
		notify_ready("Not serving: the network process will be started "
			     "again; the last reload failed, see the log");
}

/* said: the errors, a line each, or NULL. */
void
monitor_reload_abandon(struct monitor *m, const char *why, const char *said)
{
	const struct log_subject subject = { .reason = why };

	m->successor = NULL;
	generation_free(m->next);
	m->next = NULL;
	listen_set_restore_access(m->now->listens, m->now->config);
	log_event(LOG_LEVEL_ERROR, "reload_failed", &subject);
	if (!m->is_stopping)
		notify_failed(m);
	commands_reload_ended(m->commands, why, said);
	monitor_reload_end(m);
}

static void
reload(struct monitor *m)
{
	char *said = NULL;

	m->reload_is_wanted = 0;
	notify_reloading();
	commands_reload_begins(m->commands);
	m->next = generation_load_logged(m->config_path, m->now, &said);
	if (m->next != NULL)
		m->successor = monitor_start_worker(m, m->next);
	if (m->next == NULL)
		monitor_reload_abandon(
		    m, "the old configuration stays in force", said);
	else if (m->successor == NULL)
		monitor_reload_abandon(
		    m, "the new net process did not start", NULL);
	free(said);
}

void
monitor_reload_ask(struct monitor *m)
{
	m->reload_is_wanted = 1;
	monitor_reload_end(m);
}
