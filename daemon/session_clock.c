/*
 * What a session does when a time is over. Runs in net, without privilege.
 */
#include "daemon/session_parts.h"

void
session_set_due(struct session *s, enum session_due due, uint64_t ms)
{
	s->due_ms[due] = clock_now_ms() + ms;
}

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	if (a == 0 || b == 0)
		return a + b;
	return a < b ? a : b;
}

/* One event for all, so that none is left behind when the phase changes. */
void
session_set_timer(struct session *s)
{
	const uint64_t now = clock_now_ms();
	uint64_t first = s->due_ms[DUE_TOTAL];
	struct timeval tv;

	/* A command is waited for only while none is being answered. */
	if (s->dialogue.wait == WAIT_NOTHING)
		first = earlier(first, s->due_ms[DUE_PHASE]);
	first = earlier(first, s->dialogue.due_ms);
	tv = net_interval(first > now ? first - now : 0);
	if (first == 0)
		(void)event_del(s->timer);
	else
		(void)event_add(s->timer, &tv);
}

/* Silence where TLS or a greeting is waited for. */
static enum progress
end_peeking(struct session *s)
{
	if (s->listen->tls == LISTEN_TLS_IMPLICIT) {
		session_refuse_clear(s, protocol_port_requires_tls);
	} else {
		session_await_command(s);
		session_greet(s);
	}
	return PROGRESS_AGAIN;
}

/* Who has said nothing is no news: scanners and health checks do that. */
static enum progress
end_talk(struct session *s, const char *timeout)
{
	if (s->is_closing || s->connection.out_len > 0)
		return session_end(s);
	if (s->dialogue.has_spoken)
		session_report(s, NET_EVENT_TIMEOUT, timeout);
	return session_say_timed_out(s);
}

static enum progress
end_phase(struct session *s, const char *timeout)
{
	switch (s->phase) {
	case PHASE_PEEK:
		return end_peeking(s);
	case PHASE_TALK:
		return end_talk(s, timeout);
	case PHASE_PROXY:
		session_report(s, NET_EVENT_TIMEOUT, "PROXY header");
		break;
	case PHASE_HANDSHAKE:
		session_report(s, NET_EVENT_TIMEOUT, "handshake");
		break;
	case PHASE_LINGER:
	case PHASE_FREE:
		break;
	}
	return session_end(s);
}

static enum progress
end_total(struct session *s)
{
	s->due_ms[DUE_TOTAL] = 0;
	s->is_overdue = 1;
	if (s->dialogue.wait == WAIT_NOTHING)
		return end_phase(s, "session");
	session_report(s, NET_EVENT_TIMEOUT, "session");
	return PROGRESS_AGAIN;
}

static enum progress
end_wait(struct session *s)
{
	dialogue_is_due(&s->dialogue);
	if (s->dialogue.wait == WAIT_NOTHING)
		session_await_command(s);
	return PROGRESS_AGAIN;
}

static int
has_come(uint64_t due_ms)
{
	return due_ms != 0 && due_ms <= clock_now_ms();
}

/* The event loop's clock is a coarse one: it may call some milliseconds early,
 * and then the timer is only set again. */
void
on_session_timer(evutil_socket_t fd, short what, void *context)
{
	struct session *s = context;
	enum progress progress = PROGRESS_AGAIN;

	(void)fd;
	(void)what;
	if (has_come(s->dialogue.due_ms))
		progress = end_wait(s);
	else if (s->dialogue.wait == WAIT_NOTHING &&
	    has_come(s->due_ms[DUE_PHASE]))
		progress = end_phase(s, "command");
	else if (has_come(s->due_ms[DUE_TOTAL]))
		progress = end_total(s);
	if (progress != PROGRESS_ENDED)
		session_advance(s);
}
