/*
 * Which helpers run and who waits for one. Runs as root in the monitor.
 */
#include "daemon/helper_pool.h"

#include <sys/queue.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "daemon/gate.h"
#include "daemon/helper.h"
#include "daemon/user_throttle.h"

/* More than this many that wait are told at once that the server is busy. */
#define MAX_WAITING 1024

struct place {
	TAILQ_ENTRY(place) entry;
	struct helper_pool *pool;
	struct helper *helper;
	char name[WIRE_USER_SIZE]; /* of user_throttle_name() */
	enum gate_rank rank;       /* when it came */
	struct event *patience;    /* while waiting */
};

TAILQ_HEAD(place_list, place);

struct helper_pool {
	struct event_base *base;
	const struct config *config;
	struct place_list running;
	struct place_list waiting;
	size_t n_running;
	size_t n_waiting;
	struct gate *gate;
	struct event *pace_timer;
};

enum turn {
	TURN_NOW,
	TURN_LATER,
	TURN_THROTTLED
};

static void on_pool_pace(evutil_socket_t fd, short what, void *pool);

struct helper_pool *
helper_pool_new(struct event_base *base)
{
	struct helper_pool *pool = calloc(1, sizeof(*pool));

	if (pool == NULL)
		return NULL;
	pool->base = base;
	TAILQ_INIT(&pool->running);
	TAILQ_INIT(&pool->waiting);
	pool->pace_timer = evtimer_new(base, on_pool_pace, pool);
	pool->gate = gate_new();
	if (pool->pace_timer != NULL && pool->gate != NULL)
		return pool;
	helper_pool_free(pool);
	return NULL;
}

void
helper_pool_configure(struct helper_pool *pool, const struct config *config)
{
	pool->config = config;
	gate_configure(pool->gate, config);
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
find_by_name(struct helper_pool *pool, const char *name)
{
	struct place *p;

	TAILQ_FOREACH(p, &pool->running, entry)
	{
		if (strcmp(p->name, name) == 0)
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
has_room(const struct helper_pool *pool)
{
	return pool->n_running < pool->config->max_helpers &&
	    gate_wait_ms(pool->gate) == 0;
}

/* While a user has a helper, its outcome is not known: who is next is decided
 * then. */
static enum turn
turn_of(const struct place *p)
{
	if (find_by_name(p->pool, p->name) != NULL)
		return TURN_LATER;
	if (!gate_lets_try(p->pool->gate, p->helper))
		return TURN_THROTTLED;
	return has_room(p->pool) ? TURN_NOW : TURN_LATER;
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
	gate_begin(pool->gate);
	TAILQ_INSERT_TAIL(&pool->running, p, entry);
	pool->n_running++;
}

static void
refuse(struct place *p)
{
	gate_report_refusal(p->pool->gate, p->helper);
	helper_answer(p->helper, ADMISSION_THROTTLED, -1);
	place_free(p);
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

/* The last to come of the last in rank gives way to one that goes before it. */
static void
make_room_to_wait(struct helper_pool *pool, const struct place *newcomer)
{
	struct place *last = NULL, *p;

	TAILQ_FOREACH(p, &pool->waiting, entry)
	{
		if (p->rank > newcomer->rank &&
		    (last == NULL || p->rank >= last->rank))
			last = p;
	}
	if (last == NULL)
		return;
	stop_waiting(last);
	turn_away(last);
}

static void
set_pace_timer(struct helper_pool *pool)
{
	const uint64_t ms = gate_wait_ms(pool->gate);
	const struct timeval tv = { .tv_sec = (time_t)(ms / 1000),
		.tv_usec = (suseconds_t)(ms % 1000) * 1000 };

	if (ms > 0 && pool->n_waiting > 0)
		(void)event_add(pool->pace_timer, &tv);
}

static void
start_waiting(struct place *p)
{
	struct helper_pool *pool = p->pool;
	unsigned ms = pool->config->change_timeout_ms;
	const struct timeval patience = { .tv_sec = (time_t)(ms / 1000),
		.tv_usec = (suseconds_t)(ms % 1000) * 1000 };

	if (pool->n_waiting == MAX_WAITING)
		make_room_to_wait(pool, p);
	if (pool->n_waiting < MAX_WAITING)
		p->patience = evtimer_new(pool->base, on_helper_patience, p);
	if (p->patience == NULL || event_add(p->patience, &patience) == -1) {
		turn_away(p);
		return;
	}
	TAILQ_INSERT_TAIL(&pool->waiting, p, entry);
	pool->n_waiting++;
	set_pace_timer(pool);
}

/* One that did not wait so far, or no longer does. */
static void
admit(struct place *p)
{
	switch (turn_of(p)) {
	case TURN_NOW:
		run(p);
		break;
	case TURN_LATER:
		start_waiting(p);
		break;
	case TURN_THROTTLED:
		refuse(p);
		break;
	}
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
	user_throttle_name(p->name, request->user);
	p->rank = gate_rank(pool->gate, helper);
	admit(p);
}

static void
run_waiting(struct helper_pool *pool, enum gate_rank rank)
{
	struct place *p = TAILQ_FIRST(&pool->waiting);

	while (p != NULL && has_room(pool)) {
		struct place *next = TAILQ_NEXT(p, entry);

		if (p->rank == rank && find_by_name(pool, p->name) == NULL) {
			stop_waiting(p);
			admit(p);
		}
		p = next;
	}
}

static void
run_all_waiting(struct helper_pool *pool)
{
	for (int rank = 0; rank < GATE_N_RANKS; rank++)
		run_waiting(pool, (enum gate_rank)rank);
	set_pace_timer(pool);
}

static void
on_pool_pace(evutil_socket_t fd, short what, void *context)
{
	(void)fd;
	(void)what;
	run_all_waiting(context);
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
	gate_learn(pool->gate, p->helper, helper_reaped(p->helper, status));
	TAILQ_REMOVE(&pool->running, p, entry);
	pool->n_running--;
	place_free(p);
	run_all_waiting(pool);
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

size_t
helper_pool_waiting(const struct helper_pool *pool)
{
	return pool->n_waiting;
}

int
helper_pool_unlock(struct helper_pool *pool, const char *user)
{
	return gate_unlock(pool->gate, user);
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
	gate_free(pool->gate);
	if (pool->pace_timer != NULL)
		event_free(pool->pace_timer);
	free(pool);
}
