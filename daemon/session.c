/*
 * One client's connection, from accept to the last byte. Runs in net, without
 * privilege; every byte that it handles is a stranger's.
 */
#include "daemon/session.h"

#include <string.h>

#include "daemon/listener.h"
#include "daemon/remote_key.h"
#include "daemon/session_parts.h"

#define LINGER_MS            2000
#define LINGER_BYTES         (1024 * 1024)
#define TLS_HANDSHAKE_RECORD 0x16

/* So many steps a turn, then the others have theirs. */
#define STEPS_PER_TURN 32

void
session_report(
    const struct session *s, enum net_event event, const char *detail)
{
	net_report_ended(s->net, event, &s->origin, detail);
}

static void
free_event(struct event *event)
{
	if (event != NULL)
		event_free(event);
}

enum progress
session_end(struct session *s)
{
	struct net *net = s->net;

	dialogue_leave(&s->dialogue);
	clients_leave(net->clients, &s->claim);
	free_event(s->read_event);
	free_event(s->write_event);
	free_event(s->timer);
	connection_close(&s->connection);
	explicit_bzero(s, sizeof(*s));
	net->n_sessions--;
	listener_resume_all(net);
	net_finish_if_done(net);
	return PROGRESS_ENDED;
}

static enum progress
begin_linger(struct session *s)
{
	connection_finish(&s->connection, s->origin.tls[0] != '\0');
	dialogue_leave(&s->dialogue);
	s->phase = PHASE_LINGER;
	s->due_ms[DUE_TOTAL] = 0;
	session_set_due(s, DUE_PHASE, LINGER_MS);
	return PROGRESS_AGAIN;
}

void
session_await_command(struct session *s)
{
	s->phase = PHASE_TALK;
	session_set_due(s, DUE_PHASE, s->net->config->command_timeout_ms);
}

void
session_greet(struct session *s)
{
	char line[PROTOCOL_REPLY_MAX];

	s->owes_greeting = 0;
	protocol_greeting(line, s->net->config->greeting);
	connection_say(&s->connection, line);
}

void
session_refuse_clear(struct session *s, const char *line)
{
	session_await_command(s);
	(void)dialogue_finish(&s->dialogue, line);
}

static enum progress
begin_handshake(struct session *s)
{
	s->phase = PHASE_HANDSHAKE;
	session_set_due(s, DUE_PHASE, s->net->config->handshake_timeout_ms);
	if (connection_begin_tls(
		&s->connection, s->net->tls, s->listen->client_cert) == 0)
		return PROGRESS_AGAIN;
	session_report(s, NET_EVENT_NOTE, "no memory for a handshake");
	return session_end(s);
}

enum progress
session_block_on(struct session *s, enum tls_result result)
{
	(void)event_add(
	    result == TLS_WANTS_WRITE ? s->write_event : s->read_event, NULL);
	return PROGRESS_BLOCKED;
}

/* The first byte decides, and stays in the socket. */
static enum progress
peek(struct session *s)
{
	char byte;

	switch (connection_peek(&s->connection, &byte)) {
	case TLS_DONE:
		break;
	case TLS_WANTS_READ:
	case TLS_WANTS_WRITE:
		return session_block_on(s, TLS_WANTS_READ);
	case TLS_EOF:
	case TLS_FAILED:
		return session_end(s);
	}
	if (byte == TLS_HANDSHAKE_RECORD)
		return begin_handshake(s);
	session_refuse_clear(s,
	    s->listen->tls == LISTEN_TLS_IMPLICIT ? protocol_port_requires_tls
						  : protocol_tls_required);
	session_report(s, NET_EVENT_CLEAR_REFUSED, "");
	return PROGRESS_AGAIN;
}

static enum progress
end_handshake(struct session *s)
{
	if (remote_keys_are_lost())
		net_lose_keys(s->net);
	session_report(s, NET_EVENT_TLS_FAILED,
	    remote_keys_are_lost() ? "the keeper of the keys does not answer"
				   : tls_session_reason(s->connection.tls));
	return begin_linger(s);
}

static enum progress
handshake(struct session *s)
{
	enum tls_result result = tls_handshake(s->connection.tls);

	if (result == TLS_WANTS_READ || result == TLS_WANTS_WRITE)
		return session_block_on(s, result);
	if (result != TLS_DONE)
		return end_handshake(s);
	wire_string_set(s->origin.tls, sizeof(s->origin.tls),
	    tls_version(s->connection.tls));
	tls_subject(s->connection.tls, s->origin.certificate,
	    sizeof(s->origin.certificate));
	dialogue_restart(&s->dialogue);
	session_await_command(s);
	if (s->owes_greeting)
		session_greet(s);
	return PROGRESS_AGAIN;
}

static enum progress
discard(struct session *s)
{
	enum tls_result result =
	    connection_discard(&s->connection, LINGER_BYTES);

	if (result == TLS_DONE)
		return PROGRESS_AGAIN;
	if (result == TLS_WANTS_READ)
		return session_block_on(s, result);
	return session_end(s);
}

/* Bytes that came with STARTTLS were meant to be read as if they had come
 * inside TLS. */
static enum progress
refuse_injection(struct session *s)
{
	session_report(s, NET_EVENT_STARTTLS_INJECTION, "");
	return session_end(s);
}

static enum progress
take_reply(struct session *s)
{
	struct dialogue *d = &s->dialogue;

	if (d->next == NEXT_TLS && connection_has_more(&s->connection))
		return refuse_injection(s);
	connection_say(&s->connection, d->reply);
	dialogue_forget_reply(d);
	return PROGRESS_AGAIN;
}

static void
take_line(struct session *s, size_t len, size_t used)
{
	dialogue_take_line(&s->dialogue, s->connection.in, len);
	connection_consume(&s->connection, used);
	session_await_command(s);
}

static enum progress
fill(struct session *s, size_t limit)
{
	struct connection *c = &s->connection;
	enum tls_result result = connection_fill(c, limit);

	if (result == TLS_WANTS_READ || result == TLS_WANTS_WRITE)
		return session_block_on(s, result);
	if (c->tls == NULL && c->in_len > 0 && *c->in == TLS_HANDSHAKE_RECORD) {
		session_refuse_clear(s,
		    s->listen->is_unix ? protocol_no_tls_here
				       : protocol_clear_text_here);
		session_report(
		    s, NET_EVENT_PROTOCOL, "TLS where clear text is due");
	}
	return PROGRESS_AGAIN;
}

/* Whole lines count even if the client has left: the one that said NEWPASS and
 * did not wait for the answer wants the change. */
static enum progress
read_line(struct session *s)
{
	const size_t limit = dialogue_line_limit(&s->dialogue);
	size_t len, used;

	switch (connection_line(&s->connection, limit, &len, &used)) {
	case LINE_WHOLE:
		take_line(s, len, used);
		return PROGRESS_AGAIN;
	case LINE_TOO_LONG:
		dialogue_take_long_line(&s->dialogue);
		return PROGRESS_AGAIN;
	case LINE_NONE:
		break;
	}
	if (s->connection.is_deaf)
		return begin_linger(s);
	return fill(s, limit);
}

/* From here on only the last text has to get away, in bounded time. */
static void
begin_closing(struct session *s)
{
	s->is_closing = 1;
	s->due_ms[DUE_TOTAL] = 0;
	session_set_due(s, DUE_PHASE, LINGER_MS);
}

/* A client that has its change is told nothing that looks like the answer to
 * its QUIT. */
enum progress
session_say_timed_out(struct session *s)
{
	(void)dialogue_finish(&s->dialogue,
	    s->dialogue.state == STATE_CHANGED ? NULL : protocol_timed_out);
	return PROGRESS_AGAIN;
}

static enum progress
talk(struct session *s)
{
	struct dialogue *d = &s->dialogue;
	enum tls_result result;

	if (d->wait != WAIT_NOTHING)
		return PROGRESS_BLOCKED;
	if (d->reply[0] != '\0')
		return take_reply(s);
	if (d->next == NEXT_CLOSE && !s->is_closing)
		begin_closing(s);
	result = connection_flush(&s->connection);
	if (result != TLS_DONE)
		return session_block_on(s, result);
	if (d->next == NEXT_CLOSE)
		return begin_linger(s);
	if (d->next == NEXT_TLS)
		return begin_handshake(s);
	if (s->is_overdue)
		return session_say_timed_out(s);
	return read_line(s);
}

static enum progress
step(struct session *s)
{
	switch (s->phase) {
	case PHASE_PROXY:
		return session_read_proxy_header(s);
	case PHASE_PEEK:
		return peek(s);
	case PHASE_HANDSHAKE:
		return handshake(s);
	case PHASE_TALK:
		return talk(s);
	case PHASE_LINGER:
		return discard(s);
	case PHASE_FREE:
		break;
	}
	return PROGRESS_ENDED;
}

void
session_advance(struct session *s)
{
	const struct timeval at_once = { 0 };
	enum progress progress = PROGRESS_AGAIN;

	for (int i = 0; progress == PROGRESS_AGAIN && i < STEPS_PER_TURN; i++)
		progress = step(s);
	if (progress == PROGRESS_ENDED)
		return;
	session_set_timer(s);
	if (progress == PROGRESS_AGAIN)
		(void)event_add(s->read_event, &at_once);
}

void
on_session_socket(evutil_socket_t fd, short what, void *context)
{
	(void)fd;
	(void)what;
	session_advance(context);
}

void
on_dialogue_answered(void *context)
{
	struct session *s = context;

	if (s->dialogue.state == STATE_AUTHENTICATED)
		clients_settle(s->net->clients, &s->claim);
	if (s->dialogue.wait == WAIT_NOTHING)
		session_await_command(s);
	session_advance(s);
}
