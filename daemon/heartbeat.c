/*
 * Whether a process answers. Runs as root in the monitor; handles no client
 * bytes.
 */
#include "daemon/heartbeat.h"

#include <stdlib.h>

#include "daemon/notify.h"

#define PACE_MS        5000
#define UNANSWERED_MAX 3

struct heartbeat {
	const struct heartbeat_callbacks *callbacks;
	void *context;
	struct event *timer;
	unsigned n_unanswered;
};

static struct timeval
pace(void)
{
	unsigned ms = notify_watchdog_ms() / (2 * UNANSWERED_MAX);

	if (ms == 0 || ms > PACE_MS)
		ms = PACE_MS;
	return (struct timeval){ .tv_sec = (time_t)(ms / 1000),
		.tv_usec = (suseconds_t)(ms % 1000) * 1000 };
}

static void
on_heartbeat(evutil_socket_t fd, short what, void *context)
{
	struct heartbeat *h = context;

	(void)fd;
	(void)what;
	if (h->n_unanswered == UNANSWERED_MAX) {
		heartbeat_stop(h);
		h->callbacks->on_silence(h->context);
		return;
	}
	h->n_unanswered++;
	h->callbacks->ask(h->context);
}

struct heartbeat *
heartbeat_new(struct event_base *base,
    const struct heartbeat_callbacks *callbacks, void *context)
{
	struct heartbeat *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->callbacks = callbacks;
	h->context = context;
	h->timer = event_new(base, -1, EV_PERSIST, on_heartbeat, h);
	if (h->timer != NULL)
		return h;
	free(h);
	return NULL;
}

void
heartbeat_start(struct heartbeat *heartbeat)
{
	const struct timeval tv = pace();

	(void)event_add(heartbeat->timer, &tv);
}

void
heartbeat_stop(struct heartbeat *heartbeat)
{
	(void)event_del(heartbeat->timer);
}

int
heartbeat_answered(struct heartbeat *heartbeat)
{
	const int was_asked = heartbeat->n_unanswered > 0;

	heartbeat->n_unanswered = 0;
	return was_asked;
}

void
heartbeat_free(struct heartbeat *heartbeat)
{
	if (heartbeat == NULL)
		return;
	event_free(heartbeat->timer);
	free(heartbeat);
}
