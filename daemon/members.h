/*
 * The net processes that there are: one that serves, one that will, and those
 * that drain. Monitor only; never blocks but in members_start().
 */
#ifndef DAEMON_MEMBERS_H
#define DAEMON_MEMBERS_H

#include <sys/queue.h>
#include <sys/time.h>
#include <sys/types.h>
#include <stddef.h>

#include <event2/event.h>

#include "common/wire.h"
#include "daemon/generation.h"
#include "daemon/worker.h"

struct member {
	TAILQ_ENTRY(member) entry;
	struct worker *worker;
	unsigned number; /* counts from 1 */
	struct timeval started;
};

TAILQ_HEAD(member_list, member);

struct members {
	struct member_list list;
	unsigned n_started; /* ever */
};

void members_init(struct members *members);

/* Starts one more with worker_start(), see there. NULL with a line in the log,
 * or without memory. */
struct worker *members_start(struct members *members, struct event_base *base,
    const struct generation *generation, int clients_fd,
    const struct worker_callbacks *callbacks, void *context);

int members_are_none(const struct members *members);

size_t members_count(const struct members *members);

/* CTL_DRAIN or CTL_STOP to all. */
void members_order(const struct members *members, enum wire_type order);

void members_kill(const struct members *members);

/* The one whose net process this is, or NULL. */
struct member *members_find(const struct members *members, pid_t pid);

/* The one whose keeper this is, or NULL. */
struct worker *members_find_keeper(const struct members *members, pid_t pid);

/* The first that serves or drains of those with *number or more, and its number
 * in *number; or NULL. */
struct worker *members_from(const struct members *members, unsigned *number);

/* It is the caller's now, and so is its worker. */
void members_take_out(struct members *members, struct member *member);

#endif
