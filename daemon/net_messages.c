/*
 * What the fields of a net process's messages must be, and what its events are
 * in the log. Runs as root in the monitor; nothing here trusts net.
 */
#include "daemon/net_messages.h"

#include "common/log.h"
#include "conf/cidr.h"

/* It becomes PAM_RHOST, and modules hand that to scripts; and it is what the
 * lists of networks are asked for. */
static int
address_ok(const char *address, size_t size)
{
	return wire_string_ok(address, size) &&
	    (*address == '\0' || cidr_is_peer(address));
}

static int
origin_ok(const struct wire_origin *origin)
{
	return address_ok(origin->address, sizeof(origin->address)) &&
	    wire_string_ok(origin->listener, sizeof(origin->listener)) &&
	    wire_string_ok(origin->tls, sizeof(origin->tls)) &&
	    address_ok(origin->proxy, sizeof(origin->proxy)) &&
	    wire_string_ok(origin->certificate, sizeof(origin->certificate));
}

int
net_message_admit_ok(const struct ctl_admit_request *request)
{
	return origin_ok(&request->origin) &&
	    request->origin.address[0] != '\0' &&
	    wire_string_ok(request->user, sizeof(request->user)) &&
	    request->user[0] != '\0';
}

int
net_message_listed_ok(const struct ctl_listed *listed)
{
	if (listed->n > WIRE_SESSIONS_MAX)
		return 0;
	for (uint32_t i = 0; i < listed->n; i++) {
		const struct wire_session *s = &listed->sessions[i];

		if (!origin_ok(&s->origin) ||
		    !wire_string_ok(s->state, sizeof(s->state)))
			return 0;
	}
	return 1;
}

struct event_name {
	uint32_t event;
	enum log_level level;
	const char *name;
};

static const struct event_name event_names[] = {
	{ NET_EVENT_CLEAR_REFUSED, LOG_LEVEL_NOTICE, "clear_refused" },
	{ NET_EVENT_TLS_FAILED, LOG_LEVEL_INFO, "tls_failed" },
	{ NET_EVENT_STARTTLS_INJECTION, LOG_LEVEL_WARNING,
	    "starttls_injection" },
	{ NET_EVENT_PROTOCOL, LOG_LEVEL_INFO, "protocol_error" },
	{ NET_EVENT_TIMEOUT, LOG_LEVEL_INFO, "timeout" },
	{ NET_EVENT_ACCEPT_PAUSED, LOG_LEVEL_WARNING, "accept_paused" },
	{ NET_EVENT_PROXY_REFUSED, LOG_LEVEL_NOTICE, "proxy_refused" },
	{ NET_EVENT_REFUSED, LOG_LEVEL_NOTICE, "session_refused" },
	{ NET_EVENT_DROPPED, LOG_LEVEL_NOTICE, "session_dropped" },
	{ NET_EVENT_THROTTLED, LOG_LEVEL_NOTICE, "throttled" },
	{ NET_EVENT_NOTE, LOG_LEVEL_WARNING, "net_note" },
};

static const struct event_name *
name_of(uint32_t event)
{
	for (size_t i = 0; i < sizeof(event_names) / sizeof(*event_names);
	     i++) {
		if (event_names[i].event == event)
			return &event_names[i];
	}
	return NULL;
}

int
net_message_log_event(
    const struct ctl_event *event, struct summary *share, uint64_t now_ms)
{
	const struct event_name *name = name_of(event->event);
	struct log_subject subject = { .origin = &event->origin };

	if (name == NULL || !origin_ok(&event->origin) ||
	    !wire_string_ok(event->detail, sizeof(event->detail)))
		return -1;
	subject.reason = summary_line(share, event->detail, now_ms);
	if (subject.reason != NULL)
		log_event(name->level, name->name, &subject);
	return 0;
}
