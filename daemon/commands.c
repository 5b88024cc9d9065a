/*
 * What the administrator may ask of the running daemon, and what follows. Runs
 * as root in the monitor.
 */
#include "daemon/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "conf/cidr.h"
#include "daemon/control.h"

struct commands {
	const struct commands_callbacks *callbacks;
	void *context;
	struct control *control;
};

static void
on_status(void *context, struct control_client *client, const char *argument)
{
	const struct commands *c = context;
	struct report_view view;

	(void)argument;
	c->callbacks->view(c->context, &view);
	report_status(&view, client);
	control_succeed(client);
}

static void
say_stats(const struct commands *c, struct control_client *client,
    enum report_format format)
{
	struct report_view view;

	c->callbacks->view(c->context, &view);
	report_stats(&view, client, format);
	control_succeed(client);
}

static void
on_stats(void *context, struct control_client *client, const char *argument)
{
	(void)argument;
	say_stats(context, client, REPORT_PLAIN);
}

static void
on_openmetrics(
    void *context, struct control_client *client, const char *argument)
{
	(void)argument;
	say_stats(context, client, REPORT_OPENMETRICS);
}

static void
on_reload(void *context, struct control_client *client, const char *argument)
{
	const struct commands *c = context;

	(void)argument;
	control_await(client, AWAITS_NEXT_RELOAD);
	c->callbacks->reload(c->context);
}

void
commands_reload_begins(struct commands *c)
{
	struct control_client *client;

	while (
	    (client = control_waiting(c->control, AWAITS_NEXT_RELOAD)) != NULL)
		control_await(client, AWAITS_RELOAD);
}

static void
say_lines(struct control_client *client, const char *text)
{
	while (*text != '\0') {
		const size_t len = strcspn(text, "\n");

		control_say(client, "%.*s", (int)len, text);
		text += len;
		text += strspn(text, "\n");
	}
}

void
commands_reload_ended(struct commands *c, const char *why, const char *said)
{
	struct control_client *client;

	while ((client = control_waiting(c->control, AWAITS_RELOAD)) != NULL) {
		if (said != NULL)
			say_lines(client, said);
		if (why != NULL)
			control_fail(client, why);
		else
			control_succeed(client);
	}
}

/* Asks the net process whose turn it is, from where it has not told yet; when
 * all have been asked, that was the answer. */
static void
ask_for_sessions(void *context, struct control_client *client)
{
	const struct commands *c = context;
	struct control_place *place = control_place(client);
	struct ctl_list list = { .type = CTL_LIST,
		.cookie = control_client_cookie(client) };
	unsigned number = place->net;
	struct worker *worker = c->callbacks->net(c->context, &number);

	if (worker == NULL) {
		control_succeed(client);
		return;
	}
	if (number != place->net)
		place->from = 0;
	place->net = number;
	place->pid = worker_pid(worker);
	list.from = place->from;
	control_await(client, AWAITS_NET);
	worker_ask(worker, &list, sizeof(list));
}

static void
on_sessions(void *context, struct control_client *client, const char *argument)
{
	(void)argument;
	ask_for_sessions(context, client);
}

static void
say_session(struct control_client *client, const struct wire_session *s)
{
	const struct wire_origin *o = &s->origin;
	char peer[WIRE_ADDRESS_SIZE + 16];

	if (strcmp(o->address, WIRE_UNIX_ADDRESS) == 0)
		(void)snprintf(peer, sizeof(peer), "unix uid=%" PRIu32, o->uid);
	else
		(void)snprintf(
		    peer, sizeof(peer), "%s port=%u", o->address, o->port);
	control_say(client,
	    "peer=%s listener=%s tls=%s state=%s age=%" PRIu32 "s", peer,
	    o->listener, o->tls[0] != '\0' ? o->tls : "none", s->state,
	    s->age_sec);
}

/* The client that has asked this net process, or NULL: an answer may come late,
 * or from one that was broken into. */
static struct control_client *
find_asker(
    const struct commands *c, uint64_t cookie, const struct worker *worker)
{
	struct control_client *client = control_find(c->control, cookie);

	if (client != NULL && control_place(client)->pid == worker_pid(worker))
		return client;
	return NULL;
}

void
commands_listed(struct commands *c, const struct worker *worker,
    const struct ctl_listed *listed)
{
	struct control_client *client = find_asker(c, listed->cookie, worker);
	struct control_place *place;

	if (client == NULL)
		return;
	for (uint32_t i = 0; i < listed->n; i++)
		say_session(client, &listed->sessions[i]);
	place = control_place(client);
	/* Forward only, so that there is an end. */
	if (listed->n > 0 && listed->next > place->from) {
		place->from = listed->next;
	} else {
		place->from = 0;
		place->net++;
	}
	control_when_written(client, ask_for_sessions);
}

static void
say_unlocked(struct control_client *client, const char *what, int found)
{
	const struct log_subject subject = { .reason = what };

	control_say(client,
	    found ? "%s: failures forgotten" : "%s: there were no failures",
	    what);
	if (found)
		log_event(LOG_LEVEL_NOTICE, "unlocked", &subject);
	control_succeed(client);
}

static void
unlock_address(
    struct commands *c, struct control_client *client, const char *address)
{
	struct ctl_forget forget;
	unsigned number = 0;
	/* Any of them: all have the same memory. */
	struct worker *worker = c->callbacks->net(c->context, &number);

	if (worker == NULL) {
		control_fail(client, "no network process runs now, try again");
		return;
	}
	memset(&forget, 0, sizeof(forget));
	forget.type = CTL_FORGET;
	forget.cookie = control_client_cookie(client);
	wire_string_set(forget.address, sizeof(forget.address), address);
	control_place(client)->pid = worker_pid(worker);
	control_await(client, AWAITS_NET);
	worker_ask(worker, &forget, sizeof(forget));
}

void
commands_forgotten(struct commands *c, const struct worker *worker,
    const struct ctl_forgotten *forgotten)
{
	struct control_client *client =
	    find_asker(c, forgotten->cookie, worker);

	if (client != NULL)
		say_unlocked(client, "address", forgotten->found != 0);
}

static void
on_unlock(void *context, struct control_client *client, const char *argument)
{
	struct commands *c = context;

	if (cidr_is_peer(argument) && strcmp(argument, WIRE_UNIX_ADDRESS) != 0)
		unlock_address(c, client, argument);
	else if (strlen(argument) >= WIRE_USER_SIZE)
		control_fail(client, "the name is longer than 255 bytes");
	else
		say_unlocked(
		    client, "user", c->callbacks->unlock(c->context, argument));
}

static const struct control_verb verbs[] = {
	{ "status", 0, on_status },
	{ "stats", 0, on_stats },
	{ "openmetrics", 0, on_openmetrics },
	{ "sessions", 0, on_sessions },
	{ "reload", 0, on_reload },
	{ "unlock", 1, on_unlock },
};

struct commands *
commands_new(struct event_base *base,
    const struct commands_callbacks *callbacks, void *context)
{
	struct commands *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->callbacks = callbacks;
	c->context = context;
	c->control =
	    control_new(base, verbs, sizeof(verbs) / sizeof(*verbs), c);
	if (c->control != NULL)
		return c;
	free(c);
	return NULL;
}

void
commands_listen(struct commands *c, const struct config *config)
{
	control_listen(c->control, &config->control);
}

void
commands_stop(struct commands *c)
{
	control_stop(c->control, "poppassd is stopping");
}

void
commands_free(struct commands *c)
{
	if (c == NULL)
		return;
	control_free(c->control);
	free(c);
}
