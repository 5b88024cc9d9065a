/*
 * What the administrator is told of the sessions. Runs in net, without
 * privilege.
 */
#include "daemon/session.h"

#include <string.h>

#include "daemon/session_parts.h"

static const char *const phases[] = {
	[PHASE_PROXY] = "proxy-header",
	[PHASE_PEEK] = "connected",
	[PHASE_HANDSHAKE] = "handshake",
	[PHASE_LINGER] = "closing",
};

/* What is waited for; of PHASE_TALK. */
static const char *const states[] = {
	[STATE_CLEAR] = "starttls",
	[STATE_TLS] = "user",
	[STATE_IDENTIFIED] = "pass",
	[STATE_AUTHENTICATED] = "newpass",
	[STATE_CHANGED] = "quit",
};

static const char *const waits[] = {
	[WAIT_AUTH] = "checking",
	[WAIT_CHANGE] = "changing",
	[WAIT_DELAY] = "delayed",
};

static const char *
state_of(const struct session *s)
{
	if (s->phase != PHASE_TALK)
		return phases[s->phase];
	if (s->dialogue.wait != WAIT_NOTHING)
		return waits[s->dialogue.wait];
	return states[s->dialogue.state];
}

static void
tell(struct wire_session *out, const struct session *s, uint64_t now_ms)
{
	out->origin = s->origin;
	wire_string_set(out->state, sizeof(out->state), state_of(s));
	out->age_sec = (uint32_t)((now_ms - s->began_ms) / 1000);
}

void
session_list(const struct net *net, uint32_t from, struct ctl_listed *listed)
{
	const uint64_t now_ms = clock_now_ms();

	memset(listed, 0, sizeof(*listed));
	for (uint32_t i = from; i <= net->config->max_sessions; i++) {
		const struct session *s = &net->sessions[i];

		if (s->phase == PHASE_FREE)
			continue;
		if (listed->n == WIRE_SESSIONS_MAX) {
			listed->next = i;
			return;
		}
		tell(&listed->sessions[listed->n++], s, now_ms);
	}
}
