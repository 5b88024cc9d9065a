/*
 * Net's end of one password change: from the request for admission to the
 * helper's last answer. It may outlive its session. Net only.
 */
#ifndef DAEMON_TRANSACTION_H
#define DAEMON_TRANSACTION_H

#include "common/wire.h"

struct net;
struct transaction;

/* How it went, for the session; called from the event loop. reason is clean
 * text or "". None is called after transaction_abandon(). */
struct transaction_callbacks {
	void (*authenticated)(void *session);
	void (*refused)(void *session, enum outcome outcome);
	void (*changed)(
	    void *session, enum outcome outcome, const char *reason);
	void (*busy)(void *session);
};

/*
 * Asks the monitor for admission of user, then has the old password checked.
 * secret is a TXN_AUTH message in secret memory, sent and wiped when a slot is
 * free; it stays the session's. NULL if the monitor cannot be asked.
 */
struct transaction *transaction_begin(struct net *net,
    const struct wire_origin *origin, const char *user,
    struct txn_secret *secret, const struct transaction_callbacks *callbacks,
    void *session);

/* After authenticated(): has the password changed. secret as above, a
 * TXN_CHANGE message. */
void transaction_change(
    struct transaction *transaction, struct txn_secret *secret);

/* Does it wait for the monitor or for others, with no password sent? */
int transaction_is_queued(const struct transaction *transaction);

/* Has the new password been sent? Then nobody but the helper ends it. */
int transaction_is_committing(const struct transaction *transaction);

/*
 * The session loses interest: nothing is reported any more, and secret is not
 * touched. What has not begun to commit is cancelled, a helper that is at work
 * as soon as it answers; what has begun goes on. Both keep their run slot until
 * then. May be NULL.
 */
void transaction_abandon(struct transaction *transaction);

/* Net stops: whoever only checks a password for a session that has left is
 * cancelled, and from now on transaction_abandon() does so at once. */
void transaction_stop_all(struct net *net);

/* The monitor's answer, by the cookie of the request; takes over fd, or -1. */
void transaction_admitted(
    struct net *net, uint64_t cookie, enum admission admission, int fd);

#endif
