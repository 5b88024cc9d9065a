/*
 * The control socket: who may ask, a line at a time, and the answers. Runs as
 * root in the monitor; reads what root has sent.
 */
#include "daemon/control.h"

#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>

#include "common/log.h"
#include "daemon/listen_unix.h"

#define MAX_CLIENTS 16
#define LINE_SIZE   1024

static const struct timeval patience = { .tv_sec = CONTROL_PATIENCE_SEC };

struct control_client {
	TAILQ_ENTRY(control_client) entry;
	struct control *control;
	uint64_t cookie;
	int fd;
	enum control_awaited awaited;
	int is_answered;
	struct control_place place;
	void (*more)(void *context, struct control_client *client);
	char request[CONTROL_REQUEST_MAX];
	size_t request_len;
	struct evbuffer *out;
	struct event *readable;
	struct event *writable;
	struct event *timer; /* while AWAITS_NET; the events have their own */
};

TAILQ_HEAD(client_list, control_client);

struct control {
	struct event_base *base;
	const struct control_verb *verbs;
	size_t n_verbs;
	void *context;
	char *path; /* of the socket that is served, or NULL */
	int fd;
	struct socket_file *file;
	struct event *accept_event;
	struct client_list clients;
	size_t n_clients;
	uint64_t last_cookie;
};

static void
client_free(struct control_client *client)
{
	struct control *c = client->control;

	TAILQ_REMOVE(&c->clients, client, entry);
	c->n_clients--;
	if (client->readable != NULL)
		event_free(client->readable);
	if (client->writable != NULL)
		event_free(client->writable);
	if (client->timer != NULL)
		event_free(client->timer);
	if (client->out != NULL)
		evbuffer_free(client->out);
	(void)close(client->fd);
	free(client);
}

static void
add_line(struct control_client *client, const char *begin, const char *text)
{
	char line[LINE_SIZE];

	(void)snprintf(line, sizeof(line), "%s%s", begin, text);
	for (char *p = line; *p != '\0'; p++) {
		if ((unsigned char)*p < ' ' || (unsigned char)*p > '~')
			*p = '?';
	}
	(void)evbuffer_add_printf(client->out, "%s\n", line);
}

void
control_say(struct control_client *client, const char *format, ...)
{
	char text[LINE_SIZE];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	add_line(client, " ", text);
}

static void
answered(struct control_client *client)
{
	client->is_answered = 1;
	client->awaited = AWAITS_NOTHING;
	client->more = NULL;
	(void)event_del(client->timer);
	(void)event_add(client->writable, &patience);
}

void
control_succeed(struct control_client *client)
{
	add_line(client, CONTROL_OK, "");
	answered(client);
}

void
control_fail(struct control_client *client, const char *why)
{
	add_line(client, CONTROL_ERROR, why);
	answered(client);
}

void
control_await(struct control_client *client, enum control_awaited awaited)
{
	client->awaited = awaited;
	if (awaited == AWAITS_NET)
		(void)event_add(client->timer, &patience);
}

struct control_client *
control_waiting(struct control *c, enum control_awaited awaited)
{
	struct control_client *client;

	TAILQ_FOREACH(client, &c->clients, entry)
	{
		if (client->awaited == awaited)
			break;
	}
	return client;
}

uint64_t
control_client_cookie(const struct control_client *client)
{
	return client->cookie;
}

struct control_client *
control_find(struct control *c, uint64_t cookie)
{
	struct control_client *client;

	TAILQ_FOREACH(client, &c->clients, entry)
	{
		if (client->cookie == cookie && client->awaited == AWAITS_NET)
			break;
	}
	return client;
}

void
control_when_written(struct control_client *client,
    void (*more)(void *context, struct control_client *client))
{
	client->more = more;
	client->awaited = AWAITS_ROOM;
	(void)event_del(client->timer);
	(void)event_add(client->writable, &patience);
}

struct control_place *
control_place(struct control_client *client)
{
	return &client->place;
}

static void
on_client_silence(evutil_socket_t fd, short what, void *context)
{
	(void)fd;
	(void)what;
	control_fail(context, "the network process does not answer");
}

static void
on_client_writable(evutil_socket_t fd, short what, void *context)
{
	struct control_client *client = context;
	void (*more)(void *, struct control_client *) = client->more;

	if ((what & EV_TIMEOUT) != 0 ||
	    (evbuffer_get_length(client->out) > 0 &&
		evbuffer_write(client->out, fd) == -1 && errno != EAGAIN)) {
		client_free(client);
		return;
	}
	if (evbuffer_get_length(client->out) > 0) {
		(void)event_add(client->writable, &patience);
		return;
	}
	if (client->is_answered) {
		client_free(client);
		return;
	}
	client->more = NULL;
	if (more != NULL)
		more(client->control->context, client);
}

static const struct control_verb *
find_verb(const struct control *c, const char *name)
{
	for (size_t i = 0; i < c->n_verbs; i++) {
		if (strcmp(c->verbs[i].name, name) == 0)
			return &c->verbs[i];
	}
	return NULL;
}

/* Cuts the line. */
static void
handle_line(struct control_client *client, char *line)
{
	struct control *c = client->control;
	char *argument = strchr(line, ' ');
	const struct control_verb *verb;

	if (argument != NULL)
		*argument++ = '\0';
	verb = find_verb(c, line);
	if (verb == NULL)
		control_fail(client, "unknown request");
	else if (verb->takes_argument !=
	    (argument != NULL && *argument != '\0'))
		control_fail(client,
		    verb->takes_argument ? "the request wants an argument"
					 : "the request takes no argument");
	else
		verb->handle(
		    c->context, client, argument != NULL ? argument : "");
}

/* A whole line has come, or more than one may have. */
static void
take_request(struct control_client *client)
{
	char *end = memchr(client->request, '\n', client->request_len);

	if (end == NULL && client->request_len < sizeof(client->request)) {
		(void)event_add(client->readable, &patience);
		return;
	}
	if (end == NULL ||
	    memchr(client->request, '\0', client->request_len) != NULL) {
		control_fail(client, "the request is too long or holds a NUL");
		return;
	}
	*end = '\0';
	handle_line(client, client->request);
}

static void
on_client_readable(evutil_socket_t fd, short what, void *context)
{
	struct control_client *client = context;
	ssize_t n;

	if ((what & EV_TIMEOUT) != 0) {
		client_free(client);
		return;
	}
	n = recv(fd, client->request + client->request_len,
	    sizeof(client->request) - client->request_len, 0);
	if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
		(void)event_add(client->readable, &patience);
		return;
	}
	if (n <= 0) {
		client_free(client);
		return;
	}
	client->request_len += (size_t)n;
	take_request(client);
}

/* The mode of the socket says the same, but somebody may have changed it. */
static int
may_ask(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	    (peer.uid == 0 || peer.uid == geteuid());
}

static int
client_prepare(struct control_client *client)
{
	struct event_base *base = client->control->base;

	client->out = evbuffer_new();
	client->readable =
	    event_new(base, client->fd, EV_READ, on_client_readable, client);
	client->writable =
	    event_new(base, client->fd, EV_WRITE, on_client_writable, client);
	client->timer = evtimer_new(base, on_client_silence, client);
	return client->out != NULL && client->readable != NULL &&
		client->writable != NULL && client->timer != NULL
	    ? 0
	    : -1;
}

static void
client_start(struct control *c, int fd)
{
	struct control_client *client = calloc(1, sizeof(*client));

	if (client == NULL) {
		(void)close(fd);
		return;
	}
	client->control = c;
	client->fd = fd;
	client->cookie = ++c->last_cookie;
	TAILQ_INSERT_TAIL(&c->clients, client, entry);
	c->n_clients++;
	if (client_prepare(client) == -1)
		client_free(client);
	else if (!may_ask(fd))
		control_fail(client, "only root may ask");
	else if (c->n_clients > MAX_CLIENTS)
		control_fail(client, "too many ask at once, try again");
	else
		(void)event_add(client->readable, &patience);
}

static void
on_control_accept(evutil_socket_t listen_fd, short what, void *context)
{
	struct control *c = context;
	struct sockaddr_un peer;
	socklen_t len = sizeof(peer);
	int fd = accept4(listen_fd, (struct sockaddr *)&peer, &len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)what;
	if (fd == -1)
		return;
	/* Those that were turned away hold a place until they have read it. */
	if (c->n_clients >= 2 * MAX_CLIENTS)
		(void)close(fd);
	else
		client_start(c, fd);
}

struct control *
control_new(struct event_base *base, const struct control_verb *verbs,
    size_t n_verbs, void *context)
{
	struct control *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->base = base;
	c->verbs = verbs;
	c->n_verbs = n_verbs;
	c->context = context;
	c->fd = -1;
	TAILQ_INIT(&c->clients);
	return c;
}

static void
stop_listening(struct control *c)
{
	if (c->accept_event != NULL)
		event_free(c->accept_event);
	if (c->fd != -1)
		(void)close(c->fd);
	socket_file_release(c->file);
	free(c->path);
	c->accept_event = NULL;
	c->fd = -1;
	c->file = NULL;
	c->path = NULL;
}

static int
is_served(const struct control *c, const struct config_listen *directive)
{
	return c->path != NULL && strcmp(c->path, directive->address) == 0 &&
	    socket_file_is_there(c->file);
}

/* Opens it, or says in text, to free, why not. */
static int
open_socket(
    struct control *c, const struct config_listen *directive, char **text)
{
	size_t len = 0;
	struct config_errors errors = { .out = open_memstream(text, &len) };

	c->fd = listen_unix_open(directive, &c->file, &errors);
	if (errors.out != NULL)
		(void)fclose(errors.out);
	if (c->fd == -1)
		return -1;
	c->path = strdup(directive->address);
	c->accept_event = event_new(
	    c->base, c->fd, EV_READ | EV_PERSIST, on_control_accept, c);
	if (c->path != NULL && c->accept_event != NULL &&
	    event_add(c->accept_event, NULL) == 0)
		return 0;
	stop_listening(c);
	return -1;
}

void
control_listen(struct control *c, const struct config_listen *directive)
{
	const int is_configured = directive->place.file != NULL;
	char *text = NULL;

	if (directive->address == NULL) {
		stop_listening(c);
		return;
	}
	if (is_served(c, directive))
		return;
	stop_listening(c);
	if (open_socket(c, directive, &text) == -1 &&
	    (is_configured || geteuid() == 0))
		log_message(is_configured ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING,
		    "%.*s; poppassctl cannot be used",
		    (int)(text != NULL ? strcspn(text, "\n") : 0),
		    text != NULL ? text : "");
	free(text);
}

void
control_stop(struct control *c, const char *why)
{
	struct control_client *client;

	stop_listening(c);
	TAILQ_FOREACH(client, &c->clients, entry)
	{
		if (client->is_answered)
			continue;
		(void)event_del(client->readable);
		control_fail(client, why);
	}
}

void
control_free(struct control *c)
{
	struct control_client *client;

	if (c == NULL)
		return;
	stop_listening(c);
	while ((client = TAILQ_FIRST(&c->clients)) != NULL)
		client_free(client);
	free(c);
}
