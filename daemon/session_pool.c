/*
 * The sessions that there are: where they live, how they begin, and how all are
 * told to stop. Runs in net, without privilege.
 */
#include "daemon/session.h"

#include <unistd.h>

#include "daemon/session_parts.h"

#define IMPLICIT_WAIT_MS 2000 /* then a silent peer is told about TLS */

int
session_arena_new(struct net *net, int *locked)
{
	net->sessions = secret_memory_map(
	    ((size_t)net->config->max_sessions + 1) * sizeof(struct session),
	    locked);
	return net->sessions != NULL ? 0 : -1;
}

static struct session *
find_free(struct net *net)
{
	for (size_t i = 0; i <= net->config->max_sessions; i++) {
		if (net->sessions[i].phase == PHASE_FREE)
			return &net->sessions[i];
	}
	return NULL;
}

static int
make_events(struct session *s)
{
	struct event_base *base = s->net->base;
	const int fd = s->connection.fd;

	s->read_event = event_new(base, fd, EV_READ, on_session_socket, s);
	s->write_event = event_new(base, fd, EV_WRITE, on_session_socket, s);
	s->timer = evtimer_new(base, on_session_timer, s);
	return s->read_event != NULL && s->write_event != NULL &&
		s->timer != NULL
	    ? 0
	    : -1;
}

int
session_has_room(const struct net *net)
{
	return net->n_sessions < net->config->max_sessions ||
	    (net->n_sessions == net->config->max_sessions &&
		clients_can_drop(net->clients));
}

/* Where it costs no handshake and nobody has to wait for it. */
static void
say_busy(struct session *s)
{
	if (s->phase != PHASE_TALK &&
	    (s->phase != PHASE_PEEK || s->listen->tls == LISTEN_TLS_IMPLICIT))
		return;
	connection_say(&s->connection, protocol_busy);
	(void)connection_flush(&s->connection);
	connection_finish(&s->connection, s->origin.tls[0] != '\0');
}

static void
make_room(struct session *newcomer)
{
	struct net *net = newcomer->net;
	struct session *s =
	    clients_pick(net->clients, &newcomer->claim, net->n_sessions);

	if (s == NULL)
		return;
	net_report_some(net, &net->drops, NET_EVENT_DROPPED, &s->origin,
	    "the oldest that had shown no password");
	say_busy(s);
	(void)session_end(s);
}

int
session_admit(struct session *s)
{
	struct net *net = s->net;

	if (clients_admit(net->clients, &s->claim, s->origin.address) == 0) {
		make_room(s);
		return 0;
	}
	net_report_some(net, &net->refusals, NET_EVENT_REFUSED, &s->origin,
	    "max-sessions-per-client");
	say_busy(s);
	(void)session_end(s);
	return -1;
}

/* No network, so no TLS: at once as far as others are after the handshake. */
static enum progress
begin_local(struct session *s)
{
	if (session_admit(s) == -1)
		return PROGRESS_ENDED;
	dialogue_begin_local(&s->dialogue);
	session_await_command(s);
	session_greet(s);
	return PROGRESS_AGAIN;
}

enum progress
session_begin_network(struct session *s)
{
	const enum listen_tls mode = s->listen->tls;

	s->phase = PHASE_PEEK;
	if (session_admit(s) == -1)
		return PROGRESS_ENDED;
	if (mode == LISTEN_TLS_STARTTLS) {
		session_await_command(s);
		session_greet(s);
		return PROGRESS_AGAIN;
	}
	s->owes_greeting = 1;
	session_set_due(s, DUE_PHASE,
	    mode == LISTEN_TLS_IMPLICIT ? IMPLICIT_WAIT_MS
					: s->net->config->greeting_delay_ms);
	return PROGRESS_AGAIN;
}

/* The proxy is not the client, so it is not what limits are about. */
static enum progress
begin_proxied(struct session *s)
{
	if (s->net->n_sessions > s->net->config->max_sessions)
		make_room(s);
	s->phase = PHASE_PROXY;
	session_set_due(s, DUE_PHASE, s->net->config->handshake_timeout_ms);
	return PROGRESS_AGAIN;
}

static enum progress
begin(struct session *s)
{
	session_set_due(s, DUE_TOTAL, s->net->config->session_timeout_ms);
	if (s->listen->is_unix)
		return begin_local(s);
	if (s->listen->is_proxied)
		return begin_proxied(s);
	return session_begin_network(s);
}

int
session_start(struct net *net, int fd, const struct wire_origin *origin,
    const struct config_listen *listen)
{
	struct session *s = find_free(net);

	if (s == NULL) {
		(void)close(fd);
		return -1;
	}
	s->net = net;
	s->connection.fd = fd;
	s->origin = *origin;
	s->listen = listen;
	s->began_ms = clock_now_ms();
	s->phase = PHASE_PEEK; /* no longer free */
	net->n_sessions++;
	clients_join(net->clients, &s->claim, s);
	dialogue_begin(&s->dialogue, net, &s->origin, on_dialogue_answered, s);
	if (make_events(s) == -1) {
		(void)session_end(s);
		return -1;
	}
	if (begin(s) != PROGRESS_ENDED)
		session_advance(s);
	return 0;
}

static void
stop(struct session *s)
{
	if (s->phase == PHASE_FREE || s->phase == PHASE_LINGER || s->is_closing)
		return;
	if (s->dialogue.state == STATE_CLEAR) {
		(void)session_end(s);
		return;
	}
	(void)dialogue_finish(&s->dialogue, protocol_shutting_down);
	session_advance(s);
}

void
session_stop_all(struct net *net)
{
	for (size_t i = 0; i <= net->config->max_sessions; i++)
		stop(&net->sessions[i]);
}
