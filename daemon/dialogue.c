/*
 * What one client says, and what it is answered. Runs in net, without
 * privilege; every line that it handles is a stranger's.
 */
#include "daemon/dialogue.h"

#include <string.h>

#include "common/clock.h"
#include "daemon/clients.h"
#include "daemon/transaction.h"

#define MAX_MISTAKES     6
#define NEGATIVE_STEP_MS 500

/* The part of the time for an answer in which nothing is begun any more: a
 * change that starts in the last moment would end as "unknown". */
#define LAST_PART 8

void
dialogue_begin(struct dialogue *d, struct net *net,
    const struct wire_origin *origin, void (*answered)(void *context),
    void *context)
{
	d->net = net;
	d->origin = origin;
	d->answered = answered;
	d->context = context;
	d->state = STATE_CLEAR;
}

void
dialogue_restart(struct dialogue *d)
{
	d->state = STATE_TLS;
	d->next = NEXT_LINE;
	d->n_mistakes = 0;
	d->has_spoken = 0;
	d->reply[0] = '\0';
}

void
dialogue_begin_local(struct dialogue *d)
{
	dialogue_restart(d);
	d->is_local = 1;
}

size_t
dialogue_line_limit(const struct dialogue *d)
{
	return d->state == STATE_CLEAR ? PROTOCOL_CLEAR_LINE_MAX
				       : PROTOCOL_LINE_MAX;
}

static void
reply(struct dialogue *d, const char *line)
{
	wire_string_set(d->reply, sizeof(d->reply), line);
}

static void
reply_and_close(struct dialogue *d, const char *line)
{
	reply(d, line);
	d->next = NEXT_CLOSE;
}

void
dialogue_forget_reply(struct dialogue *d)
{
	d->reply[0] = '\0';
}

static void
forget_transaction(struct dialogue *d)
{
	transaction_abandon(d->transaction);
	d->transaction = NULL;
	secret_wipe(&d->pending.secret);
}

/* In steps, so that the time says nothing about what the answer cost. */
static void
refuse_after_delay(struct dialogue *d, const char *line)
{
	const uint64_t now = clock_now_ms();
	uint64_t due = d->command_ms + d->net->config->fail_delay_ms;

	if (due < now)
		due += (now - due + NEGATIVE_STEP_MS - 1) / NEGATIVE_STEP_MS *
		    NEGATIVE_STEP_MS;
	forget_transaction(d);
	reply_and_close(d, line);
	d->wait = WAIT_DELAY;
	d->due_ms = due;
}

static void
stop_waiting(struct dialogue *d)
{
	d->wait = WAIT_NOTHING;
	d->due_ms = 0;
}

static void
on_transaction_authenticated(void *context)
{
	struct dialogue *d = context;

	stop_waiting(d);
	d->state = STATE_AUTHENTICATED;
	reply(d, protocol_ask_new_password);
	d->answered(d->context);
}

static void
on_transaction_refused(void *context, enum outcome outcome)
{
	struct dialogue *d = context;

	d->transaction = NULL;
	refuse_after_delay(d,
	    outcome_is_wrong_password(outcome) ? protocol_wrong_password
					       : protocol_temporary);
	d->answered(d->context);
}

static void
on_transaction_busy(void *context)
{
	struct dialogue *d = context;

	d->transaction = NULL;
	refuse_after_delay(d, protocol_busy);
	d->answered(d->context);
}

/* What the helper could not mean leaves nobody the wiser. */
static void
reply_to_change(struct dialogue *d, enum outcome outcome, const char *reason)
{
	if (outcome == OUTCOME_CHANGED) {
		d->state = STATE_CHANGED;
		reply(d, protocol_changed);
		if (d->closes_when_answered)
			d->next = NEXT_CLOSE;
		return;
	}
	d->next = NEXT_CLOSE;
	if (outcome != OUTCOME_CHANGE_REFUSED && outcome != OUTCOME_TEMPORARY)
		reply(d, protocol_unknown_result);
	else if (*reason != '\0')
		protocol_refusal(d->reply, reason);
	else if (outcome == OUTCOME_TEMPORARY)
		reply(d, protocol_temporary);
	else
		reply(d, protocol_not_changed);
}

static void
on_transaction_changed(void *context, enum outcome outcome, const char *reason)
{
	struct dialogue *d = context;

	d->transaction = NULL;
	secret_wipe(&d->pending.secret);
	/* A helper that died while the client was thinking: NEWPASS will find
	 * out. */
	if (d->wait != WAIT_CHANGE)
		return;
	stop_waiting(d);
	reply_to_change(d, outcome, reason);
	d->answered(d->context);
}

static const struct transaction_callbacks transaction_callbacks = {
	.authenticated = on_transaction_authenticated,
	.refused = on_transaction_refused,
	.changed = on_transaction_changed,
	.busy = on_transaction_busy,
};

static void
wait_for_answer(struct dialogue *d, enum dialogue_wait wait)
{
	const unsigned ms = d->net->config->change_timeout_ms;

	d->wait = wait;
	d->command_ms = clock_now_ms();
	d->due_ms = d->command_ms + ms - ms / LAST_PART;
}

/* Who was heard in time is waited for to the end. */
static int
has_time_left(struct dialogue *d)
{
	const uint64_t end = d->command_ms + d->net->config->change_timeout_ms;

	if (transaction_is_queued(d->transaction) || clock_now_ms() >= end)
		return 0;
	d->due_ms = end;
	return 1;
}

static void
take_user(struct dialogue *d, const struct protocol_step *step)
{
	memcpy(d->user, step->argument, step->argument_len);
	d->user[step->argument_len] = '\0';
	d->state = STATE_IDENTIFIED;
	reply(d, protocol_ask_password);
}

static void
take_pass(struct dialogue *d, const struct protocol_step *step)
{
	wait_for_answer(d, WAIT_AUTH);
	if (!clients_let_try(
		d->net->clients, d->origin->address, d->command_ms)) {
		net_report_some(d->net, &d->net->throttled, NET_EVENT_THROTTLED,
		    d->origin, "attempt not checked");
		refuse_after_delay(d, protocol_wrong_password);
		return;
	}
	d->pending.type = TXN_AUTH;
	(void)secret_set(
	    &d->pending.secret, step->argument, step->argument_len);
	d->transaction = transaction_begin(
	    d->net, d->origin, d->user, &d->pending, &transaction_callbacks, d);
	if (d->transaction == NULL)
		refuse_after_delay(d, protocol_temporary);
}

static void
take_newpass(struct dialogue *d, const struct protocol_step *step)
{
	if (d->transaction == NULL) {
		reply_and_close(d, protocol_temporary);
		return;
	}
	d->pending.type = TXN_CHANGE;
	(void)secret_set(
	    &d->pending.secret, step->argument, step->argument_len);
	wait_for_answer(d, WAIT_CHANGE);
	transaction_change(d->transaction, &d->pending);
}

static void
report_refusal(const struct dialogue *d, const char *line)
{
	char detail[WIRE_DETAIL_SIZE];

	if (line == protocol_tls_required) {
		net_report_ended(
		    d->net, NET_EVENT_CLEAR_REFUSED, d->origin, "");
		return;
	}
	/* Without "500 " and the CRLF. */
	wire_string_set(detail, sizeof(detail), line + 4);
	detail[strcspn(detail, "\r\n")] = '\0';
	net_report_ended(d->net, NET_EVENT_PROTOCOL, d->origin, detail);
}

static void
take_mistake(struct dialogue *d, const struct protocol_step *step)
{
	reply(d,
	    d->is_local && step->verb == VERB_STARTTLS ? protocol_no_tls_here
						       : step->reply);
	if (++d->n_mistakes < MAX_MISTAKES)
		return;
	d->next = NEXT_CLOSE;
	net_report_ended(d->net, NET_EVENT_PROTOCOL, d->origin,
	    "too many commands that are unknown or out of order");
}

void
dialogue_take_line(struct dialogue *d, const char *line, size_t len)
{
	const struct protocol_step step = protocol_step(d->state, line, len);

	d->has_spoken = 1;
	switch (step.action) {
	case ACTION_REPLY:
		reply(d, step.reply);
		break;
	case ACTION_MISTAKE:
		take_mistake(d, &step);
		break;
	case ACTION_CLOSE:
		reply_and_close(d, step.reply);
		if (step.reply != protocol_bye)
			report_refusal(d, step.reply);
		break;
	case ACTION_STARTTLS:
		reply(d, step.reply);
		d->next = NEXT_TLS;
		break;
	case ACTION_USER:
		take_user(d, &step);
		break;
	case ACTION_PASS:
		take_pass(d, &step);
		break;
	case ACTION_NEWPASS:
		take_newpass(d, &step);
		break;
	}
}

void
dialogue_take_long_line(struct dialogue *d)
{
	const char *line = d->state == STATE_CLEAR
	    ? protocol_clear_line_too_long
	    : protocol_line_too_long;

	d->has_spoken = 1;
	reply_and_close(d, line);
	report_refusal(d, line);
}

/* Past the time in which a client waits for an answer. What was not sent to
 * the helper has not happened. */
static void
give_up_on_helper(struct dialogue *d)
{
	const enum dialogue_wait waited_for = d->wait;
	const int is_queued = transaction_is_queued(d->transaction);
	const int is_committing = transaction_is_committing(d->transaction);

	forget_transaction(d);
	stop_waiting(d);
	if (waited_for == WAIT_AUTH)
		refuse_after_delay(
		    d, is_queued ? protocol_busy : protocol_temporary);
	else if (is_committing)
		reply_and_close(d, protocol_unknown_result);
	else
		reply_and_close(d, protocol_busy);
}

void
dialogue_is_due(struct dialogue *d)
{
	if (d->wait == WAIT_DELAY)
		stop_waiting(d);
	else if (d->wait != WAIT_NOTHING && !has_time_left(d))
		give_up_on_helper(d);
}

int
dialogue_finish(struct dialogue *d, const char *line)
{
	if (d->wait == WAIT_CHANGE &&
	    transaction_is_committing(d->transaction)) {
		d->closes_when_answered = 1;
		return 0;
	}
	forget_transaction(d);
	stop_waiting(d);
	reply_and_close(d, line != NULL ? line : "");
	return 1;
}

void
dialogue_leave(struct dialogue *d)
{
	forget_transaction(d);
	stop_waiting(d);
	d->reply[0] = '\0';
	d->next = NEXT_CLOSE;
}
