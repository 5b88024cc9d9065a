/*
 * What monitor.c and monitor_*.c share, and nobody else includes. Monitor only.
 */
#ifndef DAEMON_MONITOR_PARTS_H
#define DAEMON_MONITOR_PARTS_H

#include <sys/time.h>
#include <stdint.h>
#include <time.h>

#include <event2/event.h>

#include "daemon/commands.h"
#include "daemon/generation.h"
#include "daemon/helper_pool.h"
#include "daemon/members.h"
#include "daemon/worker.h"

/* The pause before a net that died is started again, the first time. */
#define RESTART_FIRST_MS 100

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

struct timeval monitor_interval(unsigned ms);

/* Starts a net process that serves, or will, with this generation; see
 * worker_start(). NULL with a line in the log. Blocks as that does. */
struct worker *monitor_start_worker(
    struct monitor *m, const struct generation *generation);

/* A net process was reaped: takes leave of it and has another follow, if it was
 * the one that served. */
void monitor_member_ended(struct monitor *m, struct member *member, int status);

/* Begins a reload, or has one follow that which is under way, or the start.
 * Blocks on disk and NSS. */
void monitor_reload_ask(struct monitor *m);

/* The new net process is ready: its generation is in force, and the old one's
 * drains. */
void monitor_reload_commit(struct monitor *m);

/* It came to nothing: all stays as it was. said: the errors, a line each, or
 * NULL. */
void monitor_reload_abandon(
    struct monitor *m, const char *why, const char *said);

/* Perhaps none is under way any more, nor the start: then begins the one that
 * was asked for meanwhile. */
void monitor_reload_end(struct monitor *m);

/* Callback of the event loop. */
void on_restart_timer(evutil_socket_t fd, short what, void *context);

#endif
