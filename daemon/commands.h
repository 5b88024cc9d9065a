/*
 * What the administrator may ask of the running daemon, and what follows; the
 * verbs are in common/control_protocol.h. Monitor only.
 */
#ifndef DAEMON_COMMANDS_H
#define DAEMON_COMMANDS_H

#include <event2/event.h>

#include "common/wire.h"
#include "conf/config.h"
#include "daemon/report.h"
#include "daemon/worker.h"

struct commands;

/* The monitor, for the commands. None may free the commands. */
struct commands_callbacks {
	void (*view)(void *context, struct report_view *view);
	/* Begins a reload, or has one follow that which is under way, or the
	 * start. */
	void (*reload)(void *context);
	/* Forgets a user's failures. 0 if there were none. */
	int (*unlock)(void *context, const char *user);
	/* The net process with this number, or the next higher one that has
	 * started, and its number; NULL if there is none. They count from 1. */
	struct worker *(*net)(void *context, unsigned *number);
};

/* NULL with errno. Free with commands_free(). */
struct commands *commands_new(struct event_base *base,
    const struct commands_callbacks *callbacks, void *context);

/* Serves the control socket of the configuration, as control_listen() does. */
void commands_listen(struct commands *commands, const struct config *config);

/* A reload begins, and has ended: why it failed is NULL if it did not; said,
 * its errors a line each, may be NULL. Who asked for it is answered. */
void commands_reload_begins(struct commands *commands);
void commands_reload_ended(
    struct commands *commands, const char *why, const char *said);

/* Answers of net processes. */
void commands_listed(struct commands *commands, const struct worker *worker,
    const struct ctl_listed *listed);
void commands_forgotten(struct commands *commands, const struct worker *worker,
    const struct ctl_forgotten *forgotten);

/* The daemon stops: nobody is served any more. */
void commands_stop(struct commands *commands);

/* May be NULL. */
void commands_free(struct commands *commands);

#endif
