/*
 * The control socket: who may ask, a line at a time, and the answers. What is
 * asked and what follows is daemon/commands.h. Monitor only; never blocks, but
 * for control_listen().
 */
#ifndef DAEMON_CONTROL_H
#define DAEMON_CONTROL_H

#include <sys/types.h>
#include <stdint.h>

#include <event2/event.h>

#include "common/control_protocol.h"
#include "conf/config.h"

struct control;
struct control_client;

/* Handles a request: says something, and then ends it, now or later; argument
 * is "" if there is none. */
typedef void control_handler(
    void *context, struct control_client *client, const char *argument);

struct control_verb {
	const char *name;
	int takes_argument;
	control_handler *handle;
};

/* What a client that was not answered at once waits for. */
enum control_awaited {
	AWAITS_NOTHING,
	AWAITS_NEXT_RELOAD, /* that has not begun */
	AWAITS_RELOAD,      /* that has begun */
	AWAITS_NET,
	AWAITS_ROOM /* for more of the answer */
};

/* NULL with errno. Free with control_free(). */
struct control *control_new(struct event_base *base,
    const struct control_verb *verbs, size_t n_verbs, void *context);

/*
 * Serves the socket of the directive from now on, which is nowhere without an
 * address; one that is served already stays. What is wrong goes to the log: the
 * service does without. One that was not configured and has no folder is not
 * missed but by root. Blocks on the disk.
 */
void control_listen(
    struct control *control, const struct config_listen *directive);

/* Serves nobody new, and fails whatever is not answered yet, asked or not. */
void control_stop(struct control *control, const char *why);

/* A line of the answer; bytes that are not printable become `?`. */
void control_say(struct control_client *client, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The end of the answer. */
void control_succeed(struct control_client *client);
void control_fail(struct control_client *client, const char *why);

/* It is not answered yet. Waiting for AWAITS_NET has an end. */
void control_await(struct control_client *client, enum control_awaited awaited);

/* A client that waits for this, or NULL. */
struct control_client *control_waiting(
    struct control *control, enum control_awaited awaited);

/* A number that is no other client's, ever. */
uint64_t control_client_cookie(const struct control_client *client);

/* The client that waits for AWAITS_NET under this cookie, or NULL. */
struct control_client *control_find(struct control *control, uint64_t cookie);

/* Calls `more` once all that was said is on its way, so that a long answer need
 * not be kept; never if the client goes. */
void control_when_written(struct control_client *client,
    void (*more)(void *context, struct control_client *client));

/* What a request keeps between answers of net processes; zeroed at first. */
struct control_place {
	unsigned net; /* number of the one that is asked */
	pid_t pid;    /* and its own */
	uint32_t from;
};

struct control_place *control_place(struct control_client *client);

/* Closes all; may be NULL. */
void control_free(struct control *control);

#endif
