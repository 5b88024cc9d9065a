/*
 * A helper that was taken over by one of its PAM modules: lies to monitor and
 * net. Started by the real monitor in poppassd-pam's place; the user's name is
 * its seed.
 */
#include <sys/socket.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/wire.h"
#include "tests/hostile/abuse.h"

static struct abuse_message message;

static const struct abuse_string answer_strings[] = {
	{ offsetof(struct txn_answer, reason), WIRE_REASON_SIZE },
};

static const struct abuse_string reason_strings[] = {
	{ offsetof(struct status_reason, reason), WIRE_DETAIL_SIZE },
};

/* The monitor's first, then net's. */
static void
take_message(void)
{
	static struct txn_begin begin;
	const char *digits;

	if (recv(WIRE_HELPER_TRANSACTION_FD, &begin, sizeof(begin), 0) <= 0)
		_exit(OUTCOME_CANCELLED);
	if (begin.type != TXN_BEGIN)
		return;
	begin.user[sizeof(begin.user) - 1] = '\0';
	digits = strpbrk(begin.user, "0123456789");
	abuse_seed(digits != NULL ? strtoull(digits, NULL, 10) : 0);
}

static void
make_answer(uint32_t outcome)
{
	struct txn_answer m = { .type = TXN_ANSWER, .outcome = outcome };

	abuse_name(m.reason, sizeof(m.reason));
	abuse_set(&message, &m, sizeof(m));
}

static void
lie_to_monitor(void)
{
	abuse_make_reason(&message);
	if (abuse_below(2) == 0)
		abuse_make_phase(&message, abuse_below(8));
	if (abuse_below(3) == 0)
		abuse_spoil(&message, reason_strings, 1);
	(void)abuse_send(WIRE_HELPER_STATUS_FD, &message);
}

static void
lie_to_net(uint32_t outcome)
{
	make_answer(outcome);
	switch (abuse_below(4)) {
	case 0:
		abuse_spoil(&message, answer_strings, 1);
		break;
	case 1:
		make_answer((uint32_t)abuse_random());
		break;
	case 2:
		(void)abuse_send(WIRE_HELPER_TRANSACTION_FD, &message);
		break;
	default:
		break;
	}
	(void)abuse_send(WIRE_HELPER_TRANSACTION_FD, &message);
}

static void
end(void)
{
	if (abuse_below(4) == 0)
		(void)raise(SIGKILL);
	_exit((int)abuse_below(256));
}

static void
lie_or_end(uint32_t outcome)
{
	take_message();
	for (uint32_t n = abuse_below(4); n > 0; n--)
		lie_to_monitor();
	if (abuse_below(8) == 0)
		end();
	lie_to_net(outcome);
	if (abuse_below(4) == 0)
		end();
}

int
main(void)
{
	take_message();
	lie_or_end(OUTCOME_AUTHENTICATED);
	lie_or_end(
	    abuse_below(2) == 0 ? OUTCOME_CHANGED : OUTCOME_CHANGE_REFUSED);
	end();
}
