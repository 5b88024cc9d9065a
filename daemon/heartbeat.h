/*
 * Whether a process answers. Monitor only.
 *
 * It is asked at a steady pace, and silent once it has left three questions in
 * a row unanswered. The questions are counted, not the time: a machine that
 * slept, or a service that was frozen as a whole, is not a silent process.
 */
#ifndef DAEMON_HEARTBEAT_H
#define DAEMON_HEARTBEAT_H

#include <event2/event.h>

struct heartbeat;

/* Called from the event loop; on_silence may free the heartbeat. */
struct heartbeat_callbacks {
	void (*ask)(void *context);
	void (*on_silence)(void *context);
};

/*
 * Does nothing before heartbeat_start(). The pace is five seconds, or a sixth
 * of the service manager's watchdog if that is less, so that a silent process
 * is found and replaced before the manager loses patience with us. NULL with
 * errno. Free with heartbeat_free().
 */
struct heartbeat *heartbeat_new(struct event_base *base,
    const struct heartbeat_callbacks *callbacks, void *context);

void heartbeat_start(struct heartbeat *heartbeat);

void heartbeat_stop(struct heartbeat *heartbeat);

/* An answer has come. 0 if nothing was asked. */
int heartbeat_answered(struct heartbeat *heartbeat);

/* May be NULL. */
void heartbeat_free(struct heartbeat *heartbeat);

#endif
