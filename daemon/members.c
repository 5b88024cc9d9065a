/*
 * The net processes that there are. Runs as root in the monitor.
 */
#include "daemon/members.h"

#include <stdlib.h>

void
members_init(struct members *members)
{
	TAILQ_INIT(&members->list);
	members->n_started = 0;
}

struct worker *
members_start(struct members *members, struct event_base *base,
    const struct generation *generation, int clients_fd,
    const struct worker_callbacks *callbacks, void *context)
{
	struct member *member = calloc(1, sizeof(*member));

	if (member == NULL)
		return NULL;
	member->worker =
	    worker_start(base, generation->config, generation->files,
		generation->listens, clients_fd, callbacks, context);
	if (member->worker == NULL) {
		free(member);
		return NULL;
	}
	(void)event_base_gettimeofday_cached(base, &member->started);
	member->number = ++members->n_started;
	TAILQ_INSERT_TAIL(&members->list, member, entry);
	return member->worker;
}

int
members_are_none(const struct members *members)
{
	return TAILQ_EMPTY(&members->list);
}

size_t
members_count(const struct members *members)
{
	const struct member *member;
	size_t n = 0;

	TAILQ_FOREACH(member, &members->list, entry)
	n++;
	return n;
}

void
members_order(const struct members *members, enum wire_type order)
{
	struct member *member;

	TAILQ_FOREACH(member, &members->list, entry)
	worker_order(member->worker, order);
}

void
members_kill(const struct members *members)
{
	struct member *member;

	TAILQ_FOREACH(member, &members->list, entry)
	worker_kill(member->worker);
}

struct member *
members_find(const struct members *members, pid_t pid)
{
	struct member *member;

	TAILQ_FOREACH(member, &members->list, entry)
	{
		if (worker_pid(member->worker) == pid)
			break;
	}
	return member;
}

struct worker *
members_find_keeper(const struct members *members, pid_t pid)
{
	struct member *member;

	TAILQ_FOREACH(member, &members->list, entry)
	{
		if (worker_keeper_pid(member->worker) == pid)
			return member->worker;
	}
	return NULL;
}

struct worker *
members_from(const struct members *members, unsigned *number)
{
	struct member *member;

	TAILQ_FOREACH(member, &members->list, entry)
	{
		if (member->number < *number ||
		    !worker_has_started(member->worker))
			continue;
		*number = member->number;
		return member->worker;
	}
	return NULL;
}

void
members_take_out(struct members *members, struct member *member)
{
	TAILQ_REMOVE(&members->list, member, entry);
}
