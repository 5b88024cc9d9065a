/*
 * What one client says, and what it is answered: verbs, their order, the wait
 * for a helper. Knows no socket. Net only.
 */
#ifndef DAEMON_DIALOGUE_H
#define DAEMON_DIALOGUE_H

#include <stddef.h>
#include <stdint.h>

#include "common/wire.h"
#include "daemon/net.h"
#include "daemon/protocol.h"

/* What must happen before the next line is looked at. */
enum dialogue_wait {
	WAIT_NOTHING,
	WAIT_AUTH,
	WAIT_CHANGE,
	WAIT_DELAY /* a negative answer that is not due yet */
};

/* What follows when the reply has been sent. */
enum dialogue_next {
	NEXT_LINE,
	NEXT_TLS,
	NEXT_CLOSE
};

/*
 * Lives in secret memory: pending is the one place in net where a password is
 * kept. The session reads the fields down to due_ms and writes none.
 */
struct dialogue {
	enum dialogue_wait wait;
	enum dialogue_next next;
	enum protocol_state state;
	int has_spoken;                 /* a whole line has come */
	char reply[PROTOCOL_REPLY_MAX]; /* "" for none; not due while waiting */
	uint64_t due_ms; /* when dialogue_is_due() must be called; 0: never */

	struct txn_secret pending;
	char user[WIRE_USER_SIZE];
	uint64_t command_ms; /* when PASS or NEWPASS came */
	unsigned n_mistakes;
	int closes_when_answered;
	int is_local;
	struct net *net;
	const struct wire_origin *origin;
	struct transaction *transaction;
	void (*answered)(void *context);
	void *context;
};

/* Begins in clear. origin must live as long. answered is called, from the event
 * loop, when the wait for a helper has ended or only the delay is left. */
void dialogue_begin(struct dialogue *d, struct net *net,
    const struct wire_origin *origin, void (*answered)(void *context),
    void *context);

/* On a unix: socket: as after TLS, which there is none of. */
void dialogue_begin_local(struct dialogue *d);

/* TLS is up: everything begins anew, as if nothing had been said. */
void dialogue_restart(struct dialogue *d);

/* The longest line that is taken now. */
size_t dialogue_line_limit(const struct dialogue *d);

/* Answers a line without its end, or begins to wait. */
void dialogue_take_line(struct dialogue *d, const char *line, size_t len);

/* A line was longer than dialogue_line_limit(). */
void dialogue_take_long_line(struct dialogue *d);

/* The session has taken d->reply to send it. */
void dialogue_forget_reply(struct dialogue *d);

/* Now is due_ms or later. */
void dialogue_is_due(struct dialogue *d);

/* Cancels what can be and makes line (or nothing, if NULL) the last reply.
 * Returns 0, and waits on, if a new password is already with the helper: then
 * its answer is the last reply. */
int dialogue_finish(struct dialogue *d, const char *line);

/* The client is gone or its connection at its end: forgets the passwords and
 * the transaction, which goes on alone if it is changing the password. */
void dialogue_leave(struct dialogue *d);

#endif
