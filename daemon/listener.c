/*
 * Accepting connections. Runs in net, without privilege.
 */
#include "daemon/listener.h"

#include <sys/socket.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/address.h"
#include "daemon/session.h"

/* With no descriptors or memory left, looking again at once would only burn the
 * CPU that the others need. */
#define PAUSE_MS 1000

/* At most so many a turn, so that those who are here get theirs. */
#define ACCEPT_BURST 16

struct listener {
	struct net *net;
	const struct config_listen *directive;
	int fd;
	struct event *accept_event;
	struct event *pause_timer;
	struct summary pauses;
};

/* A socket's peer that left before we asked is uid -1. */
static void
set_credentials(struct wire_origin *origin, int fd)
{
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(peer);

	(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len);
	wire_string_set(
	    origin->address, sizeof(origin->address), WIRE_UNIX_ADDRESS);
	origin->uid = peer.uid;
	origin->pid = (uint32_t)peer.pid;
}

static void
set_origin(struct wire_origin *origin, const struct listener *l, int fd,
    const struct sockaddr_storage *peer)
{
	memset(origin, 0, sizeof(*origin));
	wire_string_set(
	    origin->listener, sizeof(origin->listener), l->directive->address);
	if (l->directive->is_unix)
		set_credentials(origin, fd);
	else
		address_format(peer, origin->address, sizeof(origin->address),
		    &origin->port);
}

static void
pause_accepting(struct listener *l, const char *why)
{
	const struct timeval tv = net_interval(PAUSE_MS);
	struct wire_origin origin;

	(void)event_del(l->accept_event);
	(void)event_add(l->pause_timer, &tv);
	memset(&origin, 0, sizeof(origin));
	wire_string_set(
	    origin.listener, sizeof(origin.listener), l->directive->address);
	net_report_some(
	    l->net, &l->pauses, NET_EVENT_ACCEPT_PAUSED, &origin, why);
}

/* What only more room helps against. Everything else is an error of the one
 * connection, which accept(2) on Linux passes on. */
static int
is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS ||
	    error == ENOMEM;
}

/* On a listener with proxy=yes, whoever connects is asked for whom. */
static int
may_speak_for_others(const struct listener *l, const struct wire_origin *origin)
{
	return !l->directive->is_proxied ||
	    cidr_list_has(&l->net->config->proxy_trust, origin->address);
}

static int
accept_one(struct listener *l)
{
	const int on = 1;
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	struct wire_origin origin;
	int fd;

	if (!session_has_room(l->net)) {
		pause_accepting(l, "all max-sessions are in use");
		return -1;
	}
	fd = accept4(l->fd, (struct sockaddr *)&peer, &len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd == -1) {
		if (is_shortage(errno))
			pause_accepting(l, strerror(errno));
		return -1;
	}
	if (!l->directive->is_unix)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	set_origin(&origin, l, fd, &peer);
	if (!may_speak_for_others(l, &origin)) {
		net_report_some(l->net, &l->net->strangers,
		    NET_EVENT_PROXY_REFUSED, &origin, "is not in proxy-trust");
		(void)close(fd);
		return 0;
	}
	return session_start(l->net, fd, &origin, l->directive);
}

static void
on_listener_connection(evutil_socket_t fd, short what, void *context)
{
	const struct listener *l = context;

	(void)fd;
	(void)what;
	/* A session that has just begun may be the one that stops us. */
	for (int i = 0; i < ACCEPT_BURST && l->fd != -1; i++) {
		if (accept_one(context) == -1)
			break;
	}
}

static void
resume(struct listener *l)
{
	if (l->fd == -1 || event_pending(l->accept_event, EV_READ, NULL))
		return;
	(void)event_del(l->pause_timer);
	(void)event_add(l->accept_event, NULL);
}

static void
on_listener_pause_end(evutil_socket_t fd, short what, void *context)
{
	(void)fd;
	(void)what;
	resume(context);
}

int
listener_start_all(struct net *net)
{
	size_t n = net->config->n_listens;

	net->listeners = calloc(n, sizeof(*net->listeners));
	if (net->listeners == NULL)
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct listener *l = &net->listeners[i];

		l->net = net;
		l->directive = &net->config->listens[i];
		l->fd = WIRE_NET_LISTEN_FD + (int)i;
		l->accept_event = event_new(net->base, l->fd,
		    EV_READ | EV_PERSIST, on_listener_connection, l);
		l->pause_timer =
		    evtimer_new(net->base, on_listener_pause_end, l);
		if (l->accept_event == NULL || l->pause_timer == NULL ||
		    event_add(l->accept_event, NULL) == -1)
			return -1;
	}
	return 0;
}

void
listener_resume_all(struct net *net)
{
	for (size_t i = 0; i < net->config->n_listens; i++)
		resume(&net->listeners[i]);
}

void
listener_stop_all(struct net *net)
{
	for (size_t i = 0; i < net->config->n_listens; i++) {
		struct listener *l = &net->listeners[i];

		if (l->fd == -1)
			continue;
		(void)event_del(l->accept_event);
		(void)event_del(l->pause_timer);
		(void)close(l->fd);
		l->fd = -1;
	}
}
