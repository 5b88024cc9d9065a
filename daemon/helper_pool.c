/*
 * Which helpers run and who waits for one. Runs as root in the monitor.
 */
#include "daemon/helper_pool.h"

#include <sys/queue.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "daemon/helper.h"

/* More than this many that wait are told at once that the server is busy. */
#define MAX_WAITING 1024

struct place {
	TAILQ_ENTRY(place) entry;
	struct helper_pool *pool;
	struct helper *helper;
	struct event *patience; /* while waiting */
};

TAILQ_HEAD(place_list, place);

struct helper_pool {
	struct event_base *base;
	const struct config *config;
	struct place_list running;
	struct place_list waiting;
	size_t n_running;
	size_t n_waiting;
};

struct helper_pool *
helper_pool_new(struct event_base *base)
{
	struct helper_pool *pool = calloc(1, sizeof(*pool));

	if (pool == NULL)
		return NULL;
	pool->base = base;
	TAILQ_INIT(&pool->running);
	TAILQ_INIT(&pool->waiting);
	return pool;
}

void
helper_pool_configure(struct helper_pool *pool, const struct config *config)
{
	pool->config = config;
}

static void
place_free(struct place *p)
{
	if (p->patience != NULL)
		event_free(p->patience);
	helper_free(p->helper);
	free(p);
}

static struct place *
find_by_user(struct helper_pool *pool, const char *user)
{
	struct place *p;

	TAILQ_FOREACH(p, &pool->running, entry)
	{
		if (strcmp(helper_user(p->helper), user) == 0)
			break;
	}
	return p;
}

static struct place *
find_by_pid(const struct helper_pool *pool, pid_t pid)
{
	struct place *p;

	TAILQ_FOREACH(p, &pool->running, entry)
	{
		if (helper_pid(p->helper) == pid)
			break;
	}
	return p;
}

static int
may_run(struct helper_pool *pool, const struct place *p)
{
	return pool->n_running < pool->config->max_helpers &&
	    find_by_user(pool, helper_user(p->helper)) == NULL;
}

static void
run(struct place *p)
{
	struct helper_pool *pool = p->pool;

	if (helper_start(p->helper, pool->config) == -1) {
		helper_answer(p->helper, ADMISSION_FAILED, -1);
		place_free(p);
		return;
	}
	TAILQ_INSERT_TAIL(&pool->running, p, entry);
	pool->n_running++;
}

static void
stop_waiting(struct place *p)
{
	TAILQ_REMOVE(&p->pool->waiting, p, entry);
	p->pool->n_waiting--;
	event_free(p->patience);
	p->patience = NULL;
}

static void
turn_away(struct place *p)
{
	helper_answer(p->helper, ADMISSION_BUSY, -1);
	place_free(p);
}

static void
on_helper_patience(evutil_socket_t fd, short what, void *context)
{
	struct place *p = context;

	(void)fd;
	(void)what;
	stop_waiting(p);
	turn_away(p);
}

static void
start_waiting(struct place *p)
{
	struct helper_pool *pool = p->pool;
	unsigned ms = pool->config->change_timeout_ms;
	const struct timeval patience = { .tv_sec = (time_t)(ms / 1000),
		.tv_usec = (suseconds_t)(ms % 1000) * 1000 };

	if (pool->n_waiting < MAX_WAITING)
		p->patience = evtimer_new(pool->base, on_helper_patience, p);
	if (p->patience == NULL || event_add(p->patience, &patience) == -1) {
		turn_away(p);
		return;
	}
	TAILQ_INSERT_TAIL(&pool->waiting, p, entry);
	pool->n_waiting++;
}

void
helper_pool_admit(struct helper_pool *pool, struct worker *worker,
    const struct ctl_admit_request *request)
{
	struct helper *helper = helper_new(pool->base, worker, request);
	struct place *p = helper != NULL ? calloc(1, sizeof(*p)) : NULL;

	if (p == NULL) {
		log_message(LOG_LEVEL_ERROR, "helper: %s", strerror(errno));
		helper_free(helper);
		worker_answer(worker, request->cookie, ADMISSION_FAILED, -1);
		return;
	}
	p->pool = pool;
	p->helper = helper;
	if (may_run(pool, p))
		run(p);
	else
		start_waiting(p);
}

static void
run_waiting(struct helper_pool *pool)
{
	struct place *p = TAILQ_FIRST(&pool->waiting);

	while (p != NULL) {
		struct place *next = TAILQ_NEXT(p, entry);

		if (may_run(pool, p)) {
			stop_waiting(p);
			run(p);
		}
		p = next;
	}
}

void
helper_pool_forget(struct helper_pool *pool, const struct worker *worker)
{
	struct place *p = TAILQ_FIRST(&pool->waiting);

	while (p != NULL) {
		struct place *next = TAILQ_NEXT(p, entry);

		if (helper_worker(p->helper) == worker) {
			stop_waiting(p);
			place_free(p);
		}
		p = next;
	}
	TAILQ_FOREACH(p, &pool->running, entry)
	{
		if (helper_worker(p->helper) == worker)
			helper_forget_worker(p->helper);
	}
}

int
helper_pool_reaped(struct helper_pool *pool, pid_t pid, int status)
{
	struct place *p = find_by_pid(pool, pid);

	if (p == NULL)
		return 0;
	helper_reaped(p->helper, status);
	TAILQ_REMOVE(&pool->running, p, entry);
	pool->n_running--;
	place_free(p);
	run_waiting(pool);
	return 1;
}

int
helper_pool_owns(const struct helper_pool *pool, pid_t pid)
{
	return find_by_pid(pool, pid) != NULL;
}

size_t
helper_pool_running(const struct helper_pool *pool)
{
	return pool->n_running;
}

static void
free_list(struct place_list *list)
{
	struct place *p;

	while ((p = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, p, entry);
		place_free(p);
	}
}

void
helper_pool_free(struct helper_pool *pool)
{
	if (pool == NULL)
		return;
	free_list(&pool->running);
	free_list(&pool->waiting);
	free(pool);
}
