/*
 * One client's connection, from accept to the last byte. Runs without
 * privilege; every byte that it handles is a stranger's.
 */
#include "daemon/session.h"

#include <sys/socket.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/listener.h"
#include "daemon/protocol.h"
#include "daemon/transaction.h"

#define MAX_MISTAKES              6
#define IMPLICIT_WAIT_MS          2000 /* then a silent peer is told about TLS */
#define NEGATIVE_STEP_MS          500
#define LINGER_MS                 2000
#define LINGER_BYTES              (1024 * 1024)
#define TLS_RECORD_ALERT_OR_HELLO 0x16

enum session_phase {
	PHASE_FREE,
	PHASE_PEEK, /* is the first byte TLS? */
	PHASE_CLEAR,
	PHASE_HANDSHAKE,
	PHASE_TLS,
	PHASE_LINGER /* all is said; let it arrive */
};

enum session_wait {
	WAIT_NOTHING,
	WAIT_AUTH,
	WAIT_CHANGE,
	WAIT_DELAY /* a negative answer that is not due yet */
};

struct session {
	/* The one place in net where a password is kept. */
	struct txn_secret pending;
	char in[PROTOCOL_LINE_MAX + 64];
	size_t in_len;
	char out[PROTOCOL_REPLY_MAX + 1];
	size_t out_len;
	size_t out_sent;
	enum session_phase phase;
	enum session_wait wait;
	enum protocol_state state;
	enum listen_tls mode;
	int closes_after_reply;
	int closes_when_answered; /* told to stop while a change runs */
	int starts_tls_after_reply;
	int owes_greeting; /* after STARTTLS there is none */
	int is_at_eof;
	unsigned n_mistakes;
	size_t n_discarded;
	uint64_t command_ms; /* when PASS or NEWPASS came */
	char user[WIRE_USER_SIZE];
	struct wire_origin origin;
	int fd;
	struct net *net;
	struct tls_session *tls;
	struct transaction *transaction;
	struct event *read_event;
	struct event *write_event;
	struct event *timer;       /* of the phase, or between commands */
	struct event *reply_timer; /* until an answer is due */
	struct event *total_timer;
};

static void session_advance(struct session *s);

int
session_arena_new(struct net *net, int *locked)
{
	net->sessions = secret_memory_map(
	    net->config->max_sessions * sizeof(struct session), locked);
	return net->sessions != NULL ? 0 : -1;
}

static void
report(struct session *s, enum net_event event, const char *detail)
{
	net_report(s->net, event, &s->origin, detail);
}

static void
arm(struct event *event, uint64_t ms)
{
	const struct timeval tv = net_interval(ms);

	(void)event_add(event, &tv);
}

static void
free_event(struct event *event)
{
	if (event != NULL)
		event_free(event);
}

static void
session_end(struct session *s)
{
	struct net *net = s->net;

	transaction_abandon(s->transaction);
	free_event(s->read_event);
	free_event(s->write_event);
	free_event(s->timer);
	free_event(s->reply_timer);
	free_event(s->total_timer);
	tls_session_free(s->tls);
	(void)close(s->fd);
	explicit_bzero(s, sizeof(*s));
	net->n_sessions--;
	listener_resume_all(net);
	net_finish_if_done(net);
}

/* The last text must not be lost to a reset: everything that the client still
 * sends is read, and thrown away. */
static void
begin_linger(struct session *s)
{
	if (s->tls != NULL && s->phase == PHASE_TLS)
		(void)tls_shutdown(s->tls);
	(void)shutdown(s->fd, SHUT_WR);
	explicit_bzero(s->in, sizeof(s->in));
	transaction_abandon(s->transaction);
	s->transaction = NULL;
	secret_wipe(&s->pending.secret);
	s->phase = PHASE_LINGER;
	(void)event_del(s->reply_timer);
	(void)event_del(s->total_timer);
	(void)event_del(s->write_event);
	arm(s->timer, LINGER_MS);
}

static void
reply(struct session *s, const char *line)
{
	s->out_len = strlen(line);
	s->out_sent = 0;
	memcpy(s->out, line, s->out_len + 1);
}

static void
greet(struct session *s)
{
	s->owes_greeting = 0;
	(void)snprintf(
	    s->out, sizeof(s->out), "200 %s\r\n", s->net->config->greeting);
	s->out_len = strlen(s->out);
}

static void
reply_and_close(struct session *s, const char *line)
{
	reply(s, line);
	s->closes_after_reply = 1;
}

/* The text is said while nothing else is under way: a timer's, a stop's. */
static void
say_last_words(struct session *s, const char *line)
{
	s->wait = WAIT_NOTHING;
	if (s->out_len == 0)
		reply(s, line);
	s->closes_after_reply = 1;
	session_advance(s);
}

/* Steps, so that the time says nothing about what the answer cost. */
static void
refuse_after_delay(struct session *s, const char *line)
{
	uint64_t due = s->command_ms + s->net->config->fail_delay_ms;
	uint64_t now = net_now_ms();

	s->transaction = NULL;
	while (due < now)
		due += NEGATIVE_STEP_MS;
	reply_and_close(s, line);
	s->wait = WAIT_DELAY;
	arm(s->reply_timer, due - now);
}

static void
on_transaction_authenticated(void *context)
{
	struct session *s = context;

	(void)event_del(s->reply_timer);
	s->wait = WAIT_NOTHING;
	s->state = STATE_AUTHENTICATED;
	reply(s, protocol_ask_new_password);
	session_advance(s);
}

static void
on_transaction_refused(void *context, enum outcome outcome)
{
	struct session *s = context;
	int is_verdict = outcome == OUTCOME_AUTH_FAILED ||
	    outcome == OUTCOME_ACCOUNT_REFUSED ||
	    outcome == OUTCOME_POLICY_REFUSED;

	refuse_after_delay(
	    s, is_verdict ? protocol_wrong_password : protocol_temporary);
}

static void
on_transaction_busy(void *context)
{
	refuse_after_delay(context, protocol_busy);
}

static void
on_transaction_changed(void *context, enum outcome outcome, const char *reason)
{
	struct session *s = context;
	char line[PROTOCOL_REPLY_MAX];

	s->transaction = NULL;
	/* A helper that died while the client was thinking: NEWPASS will find
	 * out. */
	if (s->wait != WAIT_CHANGE)
		return;
	(void)event_del(s->reply_timer);
	s->wait = WAIT_NOTHING;
	if (outcome == OUTCOME_CHANGED) {
		s->state = STATE_CHANGED;
		reply(s, protocol_changed);
		s->closes_after_reply = s->closes_when_answered;
	} else if (outcome != OUTCOME_CHANGE_REFUSED &&
	    outcome != OUTCOME_TEMPORARY) {
		reply_and_close(s, protocol_unknown_result);
	} else if (*reason != '\0') {
		protocol_refusal(line, reason);
		reply_and_close(s, line);
	} else {
		reply_and_close(s,
		    outcome == OUTCOME_TEMPORARY ? protocol_temporary
						 : protocol_not_changed);
	}
	session_advance(s);
}

static const struct transaction_callbacks transaction_callbacks = {
	.authenticated = on_transaction_authenticated,
	.refused = on_transaction_refused,
	.changed = on_transaction_changed,
	.busy = on_transaction_busy,
};

static void
on_session_reply_timer(evutil_socket_t fd, short what, void *context)
{
	struct session *s = context;
	enum session_wait waited_for = s->wait;

	(void)fd;
	(void)what;
	s->wait = WAIT_NOTHING;
	if (waited_for == WAIT_AUTH) {
		transaction_abandon(s->transaction);
		refuse_after_delay(s, protocol_temporary);
	} else if (waited_for == WAIT_CHANGE) {
		reply_and_close(s,
		    transaction_is_committing(s->transaction)
			? protocol_unknown_result
			: protocol_busy);
		transaction_abandon(s->transaction);
		s->transaction = NULL;
	}
	session_advance(s);
}

static void
take_user(struct session *s, const struct protocol_step *step)
{
	memcpy(s->user, step->argument, step->argument_len);
	s->user[step->argument_len] = '\0';
	s->state = STATE_IDENTIFIED;
	reply(s, protocol_ask_password);
}

static void
wait_for_answer(struct session *s, enum session_wait wait)
{
	s->wait = wait;
	s->command_ms = net_now_ms();
	arm(s->reply_timer, s->net->config->change_timeout_ms);
}

static void
take_pass(struct session *s, const struct protocol_step *step)
{
	s->pending.type = TXN_AUTH;
	(void)secret_set(
	    &s->pending.secret, step->argument, step->argument_len);
	wait_for_answer(s, WAIT_AUTH);
	s->transaction = transaction_begin(s->net, &s->origin, s->user,
	    &s->pending, &transaction_callbacks, s);
	if (s->transaction == NULL)
		refuse_after_delay(s, protocol_temporary);
}

static void
take_newpass(struct session *s, const struct protocol_step *step)
{
	if (s->transaction == NULL) {
		reply_and_close(s, protocol_temporary);
		return;
	}
	s->pending.type = TXN_CHANGE;
	(void)secret_set(
	    &s->pending.secret, step->argument, step->argument_len);
	wait_for_answer(s, WAIT_CHANGE);
	transaction_change(s->transaction, &s->pending);
}

/* Bytes that came with STARTTLS were meant to be read as if they had come
 * inside TLS. */
static int
has_injected_bytes(const struct session *s)
{
	char byte;

	return s->in_len > 0 ||
	    recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static void
handle_line(struct session *s, size_t len)
{
	const struct protocol_step step = protocol_step(s->state, s->in, len);

	switch (step.action) {
	case ACTION_REPLY:
		reply(s, step.reply);
		break;
	case ACTION_MISTAKE:
		reply(s, step.reply);
		s->closes_after_reply = ++s->n_mistakes >= MAX_MISTAKES;
		break;
	case ACTION_CLOSE:
		reply_and_close(s, step.reply);
		if (s->state == STATE_CLEAR && step.verb != VERB_QUIT)
			report(s, NET_EVENT_CLEAR_REFUSED, "");
		break;
	case ACTION_STARTTLS:
		s->starts_tls_after_reply = 1;
		reply(s, step.reply);
		break;
	case ACTION_USER:
		take_user(s, &step);
		break;
	case ACTION_PASS:
		take_pass(s, &step);
		break;
	case ACTION_NEWPASS:
		take_newpass(s, &step);
		break;
	}
}

/* The line that was handled, and its copy behind what moves up, are wiped. */
static void
consume(struct session *s, size_t n)
{
	memmove(s->in, s->in + n, s->in_len - n);
	explicit_bzero(s->in + s->in_len - n, n);
	s->in_len -= n;
}

static size_t
line_limit(const struct session *s)
{
	return s->state == STATE_CLEAR ? PROTOCOL_CLEAR_LINE_MAX
				       : PROTOCOL_LINE_MAX;
}

/* 1 if there was a line, or one too long. */
static int
take_line(struct session *s)
{
	const char *newline = memchr(s->in, '\n', s->in_len);
	size_t len, used;

	if (newline == NULL) {
		if (s->in_len <= line_limit(s) + 1)
			return 0;
		reply_and_close(s, protocol_line_too_long);
		return 1;
	}
	used = (size_t)(newline - s->in) + 1;
	len = used - 1;
	if (len > 0 && s->in[len - 1] == '\r')
		len--;
	arm(s->timer, s->net->config->command_timeout_ms);
	if (len > line_limit(s))
		reply_and_close(s, protocol_line_too_long);
	else
		handle_line(s, len);
	consume(s, used);
	if (s->starts_tls_after_reply && has_injected_bytes(s)) {
		report(s, NET_EVENT_STARTTLS_INJECTION, "");
		s->out_len = 0;
		s->closes_after_reply = 1;
	}
	return 1;
}

static enum tls_result
read_clear(struct session *s, char *buf, size_t size, size_t *len)
{
	ssize_t n = recv(s->fd, buf, size, 0);

	*len = n > 0 ? (size_t)n : 0;
	if (n > 0)
		return TLS_DONE;
	if (n == 0)
		return TLS_EOF;
	return errno == EAGAIN || errno == EINTR ? TLS_WANTS_READ : TLS_FAILED;
}

static enum tls_result
write_clear(struct session *s, const char *bytes, size_t len, size_t *n_sent)
{
	ssize_t n = send(s->fd, bytes, len, MSG_NOSIGNAL);

	*n_sent = n > 0 ? (size_t)n : 0;
	if (n >= 0)
		return TLS_DONE;
	return errno == EAGAIN || errno == EINTR ? TLS_WANTS_WRITE : TLS_FAILED;
}

enum progress {
	PROGRESS_AGAIN,   /* something was done; look again */
	PROGRESS_BLOCKED, /* an event will call */
	PROGRESS_ENDED    /* the session is no more */
};

/* Waits for what the connection needs next. */
static enum progress
block_on(struct session *s, enum tls_result result)
{
	if (result == TLS_WANTS_WRITE)
		(void)event_add(s->write_event, NULL);
	else
		(void)event_add(s->read_event, NULL);
	return PROGRESS_BLOCKED;
}

/* A client that left may still have a change running, or lines of its own
 * waiting: replies to it are lost, the lines are not. */
static void
give_up_writing(struct session *s)
{
	s->out_len = s->out_sent = 0;
	s->is_at_eof = 1;
}

static enum progress
flush(struct session *s)
{
	const char *from = s->out + s->out_sent;
	size_t len = s->out_len - s->out_sent;
	enum tls_result result;
	size_t n;

	if (s->tls != NULL)
		result = tls_write(s->tls, from, len, &n);
	else
		result = write_clear(s, from, len, &n);
	if (result == TLS_WANTS_READ || result == TLS_WANTS_WRITE)
		return block_on(s, result);
	if (result != TLS_DONE) {
		give_up_writing(s);
		return PROGRESS_AGAIN;
	}
	s->out_sent += n;
	if (s->out_sent == s->out_len)
		s->out_len = s->out_sent = 0;
	return PROGRESS_AGAIN;
}

static enum progress
fill(struct session *s)
{
	char *to = s->in + s->in_len;
	size_t room = sizeof(s->in) - s->in_len;
	enum tls_result result;
	size_t n;

	if (s->state == STATE_CLEAR && room > PROTOCOL_CLEAR_LINE_MAX + 2)
		room = PROTOCOL_CLEAR_LINE_MAX + 2;
	if (s->tls != NULL)
		result = tls_read(s->tls, to, room, &n);
	else
		result = read_clear(s, to, room, &n);
	if (result == TLS_WANTS_READ || result == TLS_WANTS_WRITE)
		return block_on(s, result);
	if (result != TLS_DONE) {
		s->is_at_eof = 1;
		return PROGRESS_AGAIN;
	}
	if (s->state == STATE_CLEAR && s->in_len == 0 &&
	    *to == TLS_RECORD_ALERT_OR_HELLO)
		reply_and_close(s, protocol_clear_text_here);
	s->in_len += n;
	return PROGRESS_AGAIN;
}

static void
begin_handshake(struct session *s)
{
	s->starts_tls_after_reply = 0;
	s->in_len = 0;
	s->phase = PHASE_HANDSHAKE;
	s->tls = tls_session_new(s->net->tls, s->fd);
	arm(s->timer, s->net->config->handshake_timeout_ms);
}

static enum progress
handshake(struct session *s)
{
	enum tls_result result =
	    s->tls != NULL ? tls_handshake(s->tls) : TLS_FAILED;

	if (result == TLS_WANTS_READ || result == TLS_WANTS_WRITE)
		return block_on(s, result);
	if (result != TLS_DONE) {
		report(s, NET_EVENT_TLS_FAILED, tls_reason());
		session_end(s);
		return PROGRESS_ENDED;
	}
	s->phase = PHASE_TLS;
	s->state = STATE_TLS;
	wire_string_set(
	    s->origin.tls, sizeof(s->origin.tls), tls_version(s->tls));
	arm(s->timer, s->net->config->command_timeout_ms);
	if (s->owes_greeting)
		greet(s);
	return PROGRESS_AGAIN;
}

static void
refuse_clear(struct session *s, const char *line)
{
	s->phase = PHASE_CLEAR;
	reply_and_close(s, line);
	report(s, NET_EVENT_CLEAR_REFUSED, "");
}

/* The first byte decides, and stays in the socket. */
static enum progress
peek(struct session *s)
{
	char byte;
	ssize_t n = recv(s->fd, &byte, 1, MSG_PEEK);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return block_on(s, TLS_WANTS_READ);
	if (n <= 0) {
		session_end(s);
		return PROGRESS_ENDED;
	}
	if (byte == TLS_RECORD_ALERT_OR_HELLO)
		begin_handshake(s);
	else
		refuse_clear(s,
		    s->mode == LISTEN_TLS_IMPLICIT ? protocol_port_requires_tls
						   : protocol_tls_required);
	return PROGRESS_AGAIN;
}

static enum progress
discard(struct session *s)
{
	ssize_t n = recv(s->fd, s->in, sizeof(s->in), 0);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return block_on(s, TLS_WANTS_READ);
	if (n > 0)
		s->n_discarded += (size_t)n;
	if (n > 0 && s->n_discarded < LINGER_BYTES)
		return PROGRESS_AGAIN;
	session_end(s);
	return PROGRESS_ENDED;
}

/* One step inside the dialogue, clear or TLS. */
static enum progress
converse(struct session *s)
{
	if (s->wait != WAIT_NOTHING)
		return PROGRESS_BLOCKED;
	if (s->out_len > 0)
		return flush(s);
	if (s->closes_after_reply) {
		begin_linger(s);
		return PROGRESS_AGAIN;
	}
	if (s->starts_tls_after_reply) {
		begin_handshake(s);
		return PROGRESS_AGAIN;
	}
	if (take_line(s))
		return PROGRESS_AGAIN;
	if (!s->is_at_eof)
		return fill(s);
	session_end(s);
	return PROGRESS_ENDED;
}

static enum progress
step(struct session *s)
{
	switch (s->phase) {
	case PHASE_PEEK:
		return peek(s);
	case PHASE_HANDSHAKE:
		return handshake(s);
	case PHASE_CLEAR:
	case PHASE_TLS:
		return converse(s);
	case PHASE_LINGER:
		return discard(s);
	case PHASE_FREE:
		break;
	}
	return PROGRESS_ENDED;
}

static void
session_advance(struct session *s)
{
	while (step(s) == PROGRESS_AGAIN)
		continue;
}

static void
on_session_socket(evutil_socket_t fd, short what, void *context)
{
	struct session *s = context;

	(void)fd;
	(void)what;
	session_advance(s);
}

static void
end_silently(struct session *s)
{
	if (s->phase == PHASE_HANDSHAKE)
		report(s, NET_EVENT_TIMEOUT, "handshake");
	session_end(s);
}

/* Silence where TLS or a greeting is waited for. */
static void
end_peeking(struct session *s)
{
	if (s->mode == LISTEN_TLS_IMPLICIT) {
		refuse_clear(s, protocol_port_requires_tls);
	} else {
		s->phase = PHASE_CLEAR;
		arm(s->timer, s->net->config->command_timeout_ms);
		greet(s);
	}
	session_advance(s);
}

static void
on_session_timer(evutil_socket_t fd, short what, void *context)
{
	struct session *s = context;

	(void)fd;
	(void)what;
	if (s->phase == PHASE_PEEK) {
		end_peeking(s);
	} else if (s->phase == PHASE_HANDSHAKE || s->phase == PHASE_LINGER ||
	    s->out_len > 0) {
		end_silently(s);
	} else if (s->wait == WAIT_NOTHING) {
		report(s, NET_EVENT_TIMEOUT, "command");
		say_last_words(s, protocol_timed_out);
	}
}

static void
on_session_total_timer(evutil_socket_t fd, short what, void *context)
{
	struct session *s = context;

	(void)fd;
	(void)what;
	/* A change that runs has the reply timer. */
	if (s->wait == WAIT_CHANGE)
		return;
	report(s, NET_EVENT_TIMEOUT, "session");
	if (s->phase == PHASE_TLS || s->phase == PHASE_CLEAR) {
		s->closes_after_reply = 1;
		arm(s->timer, LINGER_MS);
		say_last_words(s, protocol_timed_out);
	} else {
		end_silently(s);
	}
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

	s->read_event = event_new(base, s->fd, EV_READ, on_session_socket, s);
	s->write_event = event_new(base, s->fd, EV_WRITE, on_session_socket, s);
	s->timer = evtimer_new(base, on_session_timer, s);
	s->reply_timer = evtimer_new(base, on_session_reply_timer, s);
	s->total_timer = evtimer_new(base, on_session_total_timer, s);
	return s->read_event != NULL && s->write_event != NULL &&
		s->timer != NULL && s->reply_timer != NULL &&
		s->total_timer != NULL
	    ? 0
	    : -1;
}

static void
begin(struct session *s)
{
	const struct config *config = s->net->config;

	arm(s->total_timer, config->session_timeout_ms);
	if (s->mode == LISTEN_TLS_STARTTLS) {
		s->phase = PHASE_CLEAR;
		arm(s->timer, config->command_timeout_ms);
		greet(s);
		return;
	}
	s->phase = PHASE_PEEK;
	s->owes_greeting = 1;
	arm(s->timer,
	    s->mode == LISTEN_TLS_IMPLICIT ? IMPLICIT_WAIT_MS
					   : config->greeting_delay_ms);
}

int
session_start(struct net *net, int fd, const struct wire_origin *origin,
    enum listen_tls mode)
{
	struct session *s = find_free(net);

	if (s == NULL) {
		(void)close(fd);
		return -1;
	}
	s->net = net;
	s->fd = fd;
	s->origin = *origin;
	s->mode = mode;
	s->phase = PHASE_PEEK;
	net->n_sessions++;
	if (make_events(s) == -1) {
		session_end(s);
		return -1;
	}
	begin(s);
	session_advance(s);
	return 0;
}

static void
stop(struct session *s)
{
	if (s->phase == PHASE_FREE || s->phase == PHASE_LINGER ||
	    s->wait == WAIT_DELAY)
		return;
	if (s->wait == WAIT_CHANGE &&
	    transaction_is_committing(s->transaction)) {
		s->closes_when_answered = 1;
		return;
	}
	if (s->phase != PHASE_TLS) {
		session_end(s);
		return;
	}
	(void)event_del(s->reply_timer);
	say_last_words(s, protocol_shutting_down);
}

void
session_stop_all(struct net *net)
{
	for (size_t i = 0; i < net->config->max_sessions; i++)
		stop(&net->sessions[i]);
}
