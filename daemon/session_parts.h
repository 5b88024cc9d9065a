/*
 * What session.c and session_*.c share, and nobody else includes. Net only.
 */
#ifndef DAEMON_SESSION_PARTS_H
#define DAEMON_SESSION_PARTS_H

#include <stdint.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/wire.h"
#include "conf/config.h"
#include "daemon/clients.h"
#include "daemon/connection.h"
#include "daemon/dialogue.h"
#include "daemon/net.h"

enum session_phase {
	PHASE_FREE,
	PHASE_PROXY, /* for whom does the proxy connect? */
	PHASE_PEEK,  /* is the first byte TLS? */
	PHASE_HANDSHAKE,
	PHASE_TALK,  /* in clear or inside TLS */
	PHASE_LINGER /* all is said; let it arrive */
};

/* Points in time, on clock_now_ms(); 0 is never. */
enum session_due {
	DUE_PHASE, /* of the phase; in PHASE_TALK, of the next command */
	DUE_TOTAL,
	N_DUE
};

struct session {
	struct connection connection;
	struct dialogue dialogue;
	enum session_phase phase;
	const struct config_listen *listen; /* where it came in */
	int owes_greeting;                  /* after STARTTLS there is none */
	int is_closing;                     /* what goes out is the last */
	int is_overdue; /* session-timeout came; what is under way still ends */
	uint64_t due_ms[N_DUE];
	uint64_t began_ms;
	struct wire_origin origin;
	struct client_claim claim;
	struct net *net;
	struct event *read_event;
	struct event *write_event;
	struct event *timer; /* the first of due_ms and the dialogue's */
};

enum progress {
	PROGRESS_AGAIN,   /* something was done; look again */
	PROGRESS_BLOCKED, /* an event will call */
	PROGRESS_ENDED    /* the session is no more */
};

/* Does what can be done now and waits for the rest. The session may be no more
 * afterwards. */
void session_advance(struct session *s);

/* In PHASE_PROXY: reads the header, and then begins as the listener says. */
enum progress session_read_proxy_header(struct session *s);

/* The client's address is known: admits it, and waits for its first byte or
 * greets it. */
enum progress session_begin_network(struct session *s);

/* Waits for what the connection needs next; always PROGRESS_BLOCKED. */
enum progress session_block_on(struct session *s, enum tls_result result);

/*
 * The address in s->origin is that of the client: counts the session for it,
 * and has an older one give way if there are too many. Called once, before the
 * client is served. -1, and the session is no more, if the address has as many
 * as it may.
 */
int session_admit(struct session *s);

/* Frees the session's slot; always PROGRESS_ENDED. */
enum progress session_end(struct session *s);

/* A line for the log, see net_report_ended(). */
void session_report(
    const struct session *s, enum net_event event, const char *detail);

/* Goes on in PHASE_TALK, with the time for a command from now. */
void session_await_command(struct session *s);

void session_greet(struct session *s);

/* Says line in clear, and no more. */
void session_refuse_clear(struct session *s, const char *line);

/* The last words to a client whose time is over. */
enum progress session_say_timed_out(struct session *s);

/* So many milliseconds from now. */
void session_set_due(struct session *s, enum session_due due, uint64_t ms);

/* Sets the one timer for whatever is due first. */
void session_set_timer(struct session *s);

/* Callbacks of the event loop and of the dialogue. */
void on_session_socket(evutil_socket_t fd, short what, void *context);
void on_session_timer(evutil_socket_t fd, short what, void *context);
void on_dialogue_answered(void *context);

#endif
