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
	    net->config->max_sessions * sizeof(struct session), locked);
	return net->sessions != NULL ? 0 : -1;
}

static struct session *
find_free(struct net *net)
{
	for (size_t i = 0; i < net->config->max_sessions; i++) {
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

/* No network, so no TLS: at once as far as others are after the handshake. */
static void
begin_local(struct session *s)
{
	dialogue_begin_local(&s->dialogue);
	session_await_command(s);
	session_greet(s);
}

void
session_begin_network(struct session *s)
{
	const enum listen_tls mode = s->listen->tls;

	s->phase = PHASE_PEEK;
	if (mode == LISTEN_TLS_STARTTLS) {
		session_await_command(s);
		session_greet(s);
		return;
	}
	s->owes_greeting = 1;
	session_set_due(s, DUE_PHASE,
	    mode == LISTEN_TLS_IMPLICIT ? IMPLICIT_WAIT_MS
					: s->net->config->greeting_delay_ms);
}

static void
begin_proxied(struct session *s)
{
	s->phase = PHASE_PROXY;
	session_set_due(s, DUE_PHASE, s->net->config->handshake_timeout_ms);
}

static void
begin(struct session *s)
{
	session_set_due(s, DUE_TOTAL, s->net->config->session_timeout_ms);
	if (s->listen->is_unix)
		begin_local(s);
	else if (s->listen->is_proxied)
		begin_proxied(s);
	else
		session_begin_network(s);
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
	s->phase = PHASE_PEEK; /* no longer free */
	net->n_sessions++;
	dialogue_begin(&s->dialogue, net, &s->origin, on_dialogue_answered, s);
	if (make_events(s) == -1) {
		(void)session_end(s);
		return -1;
	}
	begin(s);
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
	for (size_t i = 0; i < net->config->max_sessions; i++)
		stop(&net->sessions[i]);
}
