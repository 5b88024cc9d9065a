/*
 * Net's end of one password change. Runs without privilege; holds no password:
 * the message that has one is the session's.
 */
#include "daemon/transaction.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "daemon/clients.h"
#include "daemon/net.h"

enum transaction_state {
	TRANSACTION_ADMISSION, /* the monitor has been asked */
	TRANSACTION_AUTH_QUEUED,
	TRANSACTION_AUTH,
	TRANSACTION_IDLE,
	TRANSACTION_CHANGE_QUEUED,
	TRANSACTION_CHANGE
};

struct transaction {
	TAILQ_ENTRY(transaction) entry;
	struct net *net;
	enum transaction_state state;
	uint64_t cookie;
	int fd;
	struct event *answer_event;
	struct slot_claim claim;
	struct wire_origin origin;
	struct client_keys keys;   /* whose failure it would be */
	struct txn_secret *secret; /* while queued */
	const struct transaction_callbacks *callbacks;
	void *session; /* NULL once abandoned */
};

static void
transaction_free(struct transaction *t)
{
	struct net *net = t->net;

	TAILQ_REMOVE(&net->transactions, t, entry);
	if (t->answer_event != NULL)
		event_free(t->answer_event);
	if (t->fd != -1)
		(void)close(t->fd);
	slots_release(&net->slots, &t->claim);
	free(t);
	net_finish_if_done(net);
}

/* Each of these ends the transaction before it tells the session, which may
 * end itself in turn. */
static void
end_refused(struct transaction *t, enum outcome outcome)
{
	const struct transaction_callbacks *callbacks = t->callbacks;
	void *session = t->session;

	transaction_free(t);
	if (session != NULL)
		callbacks->refused(session, outcome);
}

static void
end_changed(struct transaction *t, enum outcome outcome, const char *reason)
{
	const struct transaction_callbacks *callbacks = t->callbacks;
	void *session = t->session;

	transaction_free(t);
	if (session != NULL)
		callbacks->changed(session, outcome, reason);
}

static void
end_busy(struct transaction *t)
{
	const struct transaction_callbacks *callbacks = t->callbacks;
	void *session = t->session;

	transaction_free(t);
	if (session != NULL)
		callbacks->busy(session);
}

/* The helper is gone without an answer. */
static void
end_lost(struct transaction *t)
{
	if (t->state == TRANSACTION_CHANGE)
		end_changed(t, OUTCOME_UNKNOWN, "");
	else if (t->state >= TRANSACTION_IDLE)
		end_changed(t, OUTCOME_TEMPORARY, "");
	else
		end_refused(t, OUTCOME_TEMPORARY);
}

/* Also for a session that did not wait to hear it. */
static void
count_failure(const struct transaction *t)
{
	const unsigned ms =
	    clients_failed(t->net->clients, &t->keys, clock_now_ms());
	char detail[WIRE_DETAIL_SIZE];

	if (ms == 0)
		return;
	(void)snprintf(
	    detail, sizeof(detail), "delay of %u s for the address", ms / 1000);
	net_report(t->net, NET_EVENT_THROTTLED, &t->origin, detail);
}

static enum wire_result
on_auth_answer(void *context, const void *message, int passed_fd)
{
	struct transaction *t = context;
	const struct txn_answer *answer = message;

	(void)passed_fd;
	if (outcome_is_wrong_password((enum outcome)answer->outcome))
		count_failure(t);
	if (answer->outcome != OUTCOME_AUTHENTICATED) {
		end_refused(t, (enum outcome)answer->outcome);
		return WIRE_OK;
	}
	if (t->session == NULL) {
		transaction_free(t);
		return WIRE_OK;
	}
	t->state = TRANSACTION_IDLE;
	slots_release(&t->net->slots, &t->claim);
	t->callbacks->authenticated(t->session);
	return WIRE_OK;
}

static enum wire_result
on_change_answer(void *context, const void *message, int passed_fd)
{
	struct transaction *t = context;
	const struct txn_answer *answer = message;

	(void)passed_fd;
	if (!wire_string_ok(answer->reason, sizeof(answer->reason)))
		return WIRE_BAD;
	end_changed(t, (enum outcome)answer->outcome, answer->reason);
	return WIRE_OK;
}

static const struct wire_rule rules[] = {
	{ TXN_ANSWER, WIRE_STATE(TRANSACTION_AUTH), sizeof(struct txn_answer),
	    on_auth_answer, 0 },
	{ TXN_ANSWER, WIRE_STATE(TRANSACTION_CHANGE), sizeof(struct txn_answer),
	    on_change_answer, 0 },
};

static void
on_helper_answer(evutil_socket_t fd, short what, void *context)
{
	struct transaction *t = context;
	uint64_t buf[1024 / sizeof(uint64_t)];

	(void)what;
	switch (wire_dispatch(fd, rules, sizeof(rules) / sizeof(*rules),
	    t->state, buf, sizeof(buf), t)) {
	case WIRE_OK:
	case WIRE_AGAIN:
		return;
	case WIRE_EOF:
	case WIRE_BAD:
	case WIRE_ERROR:
		end_lost(t);
	}
}

static void
on_slot_granted(void *context)
{
	struct transaction *t = context;
	enum wire_result result =
	    wire_send(t->fd, t->secret, sizeof(*t->secret), -1);

	secret_wipe(&t->secret->secret);
	t->secret = NULL;
	/* A helper that is gone has not had the password, so the state stays.
	 * Ending here would pull the claim from under the queue. */
	if (result != WIRE_OK)
		event_active(t->answer_event, EV_READ, 0);
	else if (t->state == TRANSACTION_AUTH_QUEUED)
		t->state = TRANSACTION_AUTH;
	else
		t->state = TRANSACTION_CHANGE;
}

struct transaction *
transaction_begin(struct net *net, const struct wire_origin *origin,
    const char *user, struct txn_secret *secret,
    const struct transaction_callbacks *callbacks, void *session)
{
	struct transaction *t = calloc(1, sizeof(*t));
	struct ctl_admit_request request;

	if (t == NULL)
		return NULL;
	memset(&request, 0, sizeof(request));
	request.type = CTL_ADMIT_REQUEST;
	request.cookie = ++net->next_cookie;
	request.origin = *origin;
	wire_string_set(request.user, sizeof(request.user), user);
	if (net_send(net, &request, sizeof(request)) == -1) {
		free(t);
		return NULL;
	}
	t->net = net;
	t->cookie = request.cookie;
	t->origin = *origin;
	clients_keys(net->clients, origin->address, &t->keys);
	t->fd = -1;
	t->secret = secret;
	t->callbacks = callbacks;
	t->session = session;
	t->claim.granted = on_slot_granted;
	t->claim.context = t;
	TAILQ_INSERT_TAIL(&net->transactions, t, entry);
	return t;
}

void
transaction_change(struct transaction *transaction, struct txn_secret *secret)
{
	transaction->secret = secret;
	transaction->state = TRANSACTION_CHANGE_QUEUED;
	slots_claim(&transaction->net->slots, &transaction->claim);
}

int
transaction_is_queued(const struct transaction *transaction)
{
	return transaction->state == TRANSACTION_ADMISSION ||
	    transaction->state == TRANSACTION_AUTH_QUEUED ||
	    transaction->state == TRANSACTION_CHANGE_QUEUED;
}

int
transaction_is_committing(const struct transaction *transaction)
{
	return transaction->state == TRANSACTION_CHANGE;
}

void
transaction_abandon(struct transaction *transaction)
{
	if (transaction == NULL)
		return;
	transaction->session = NULL;
	transaction->secret = NULL;
	/* A helper that is at work keeps its slot: clients that come and go
	 * must not make more of them work than there are CPUs. */
	if (transaction->state == TRANSACTION_CHANGE ||
	    (transaction->state == TRANSACTION_AUTH &&
		!transaction->net->is_stopping))
		return;
	transaction_free(transaction);
}

void
transaction_stop_all(struct net *net)
{
	struct transaction *t = TAILQ_FIRST(&net->transactions);

	while (t != NULL) {
		struct transaction *next = TAILQ_NEXT(t, entry);

		if (t->session == NULL && t->state == TRANSACTION_AUTH)
			transaction_free(t);
		t = next;
	}
}

static int
connect_helper(struct transaction *t, int fd)
{
	t->fd = fd;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) == -1)
		return -1;
	t->answer_event = event_new(
	    t->net->base, fd, EV_READ | EV_PERSIST, on_helper_answer, t);
	if (t->answer_event == NULL)
		return -1;
	return event_add(t->answer_event, NULL);
}

void
transaction_admitted(
    struct net *net, uint64_t cookie, enum admission admission, int fd)
{
	struct transaction *t;

	TAILQ_FOREACH(t, &net->transactions, entry)
	{
		if (t->cookie == cookie && t->state == TRANSACTION_ADMISSION)
			break;
	}
	if (t == NULL || admission != ADMISSION_GRANTED) {
		if (fd != -1)
			(void)close(fd);
		if (t != NULL && admission == ADMISSION_BUSY)
			end_busy(t);
		else if (t != NULL && admission == ADMISSION_THROTTLED)
			end_refused(t, OUTCOME_AUTH_FAILED);
		else if (t != NULL)
			end_refused(t, OUTCOME_TEMPORARY);
		return;
	}
	if (fd == -1 || connect_helper(t, fd) == -1) {
		end_refused(t, OUTCOME_TEMPORARY);
		return;
	}
	t->state = TRANSACTION_AUTH_QUEUED;
	slots_claim(&net->slots, &t->claim);
}
