/*
 * The whole network process, between a monitor, helpers and clients that the
 * test plays: what no real helper does on demand.
 */
#include <sysexits.h>
#include <unistd.h>

#include "tests/unit/net_peer.h"
#include "tests/unit/suite.h"

#define ASK_OLD   "200 Your password please.\r\n"
#define ASK_NEW   "200 Your new password please.\r\n"
#define CHANGED   "200 Password changed, thank-you.\r\n"
#define BYE       "200 Bye.\r\n"
#define WRONG     "500 Old password is incorrect.\r\n"
#define BUSY      "500 Server busy, try again later.\r\n"
#define TEMPORARY "500 Temporary failure, try again later.\r\n"
#define REFUSED   "500 Password not changed.\r\n"
#define STOPPING  "500 Server is shutting down, try again later.\r\n"
#define TIMED_OUT "500 Timed out.\r\n"
#define UNKNOWN                                                                \
	"500 The result is unknown: either your old or your new password "     \
	"works now.\r\n"

#define FAIL_DELAY_MS 300
#define STEP_MS       500
#define QUICK         "fail-delay 300ms\nchange-timeout 1s\n"
#define PATIENT       "fail-delay 300ms\nchange-timeout 5s\n"

/* A client that has said PASS; *helper is its helper, who has the password. */
static struct peer_client *
connect_and_pass(const char *user_line, const char *user, int *helper)
{
	struct peer_client *c = peer_connect();

	peer_ask(c, user_line, ASK_OLD);
	peer_say(c, "PASS old\r\n");
	*helper = peer_admit(peer_expect_request(user), ADMISSION_GRANTED);
	return c;
}

static struct peer_client *
connect_and_be_heard(int *helper)
{
	struct peer_client *c = connect_and_pass("USER bob\r\n", "bob", helper);

	peer_expect_secret(*helper, TXN_AUTH, "old");
	return c;
}

static struct peer_client *
log_in(int *helper)
{
	struct peer_client *c = connect_and_be_heard(helper);

	peer_answer(*helper, OUTCOME_AUTHENTICATED, "");
	peer_expect(c, ASK_NEW);
	return c;
}

static struct peer_client *
begin_change(int *helper)
{
	struct peer_client *c = log_in(helper);

	peer_say(c, "NEWPASS new\r\n");
	peer_expect_secret(*helper, TXN_CHANGE, "new");
	return c;
}

START_TEST(test_change_goes_through)
{
	struct peer_client *c;
	int helper;

	peer_start(PATIENT);
	c = begin_change(&helper);
	peer_answer(helper, OUTCOME_CHANGED, "");
	peer_expect(c, CHANGED);
	peer_expect_eof(helper);
	peer_ask(c, "QUIT\r\n", BYE);
	peer_expect_close(c);
}
END_TEST

struct outcome_case {
	enum outcome outcome;
	const char *reason;
	const char *reply;
};

static const struct outcome_case auth_cases[] = {
	{ OUTCOME_AUTH_FAILED, "", WRONG },
	{ OUTCOME_ACCOUNT_REFUSED, "", WRONG },
	{ OUTCOME_POLICY_REFUSED, "", WRONG },
	/* Before the password was right, no reason is told. */
	{ OUTCOME_AUTH_FAILED, "locked due to 3 failed logins", WRONG },
	{ OUTCOME_TEMPORARY, "", TEMPORARY },
	{ OUTCOME_CHANGED, "", TEMPORARY },
	{ OUTCOME_NONE, "", TEMPORARY },
	{ (enum outcome)12345, "", TEMPORARY },
};

START_TEST(test_refused_pass_is_answered_after_the_delay)
{
	const struct outcome_case *o = &auth_cases[_i];
	struct peer_client *c;
	int64_t start;
	int helper;

	peer_start(PATIENT);
	start = peer_now_ms();
	c = connect_and_be_heard(&helper);
	peer_answer(helper, o->outcome, o->reason);
	peer_expect_eof(helper);
	peer_expect(c, o->reply);
	ck_assert_int_ge(peer_now_ms() - start, FAIL_DELAY_MS);
	peer_expect_close(c);
}
END_TEST

/* What it cost beyond the delay is not to be read from the time. */
START_TEST(test_late_refusal_leaves_at_a_step)
{
	struct peer_client *c;
	int64_t start;
	int helper;

	peer_start(PATIENT);
	start = peer_now_ms();
	c = connect_and_be_heard(&helper);
	peer_expect_nothing(helper, FAIL_DELAY_MS + 50);
	peer_answer(helper, OUTCOME_AUTH_FAILED, "");
	peer_expect(c, WRONG);
	ck_assert_int_ge(peer_now_ms() - start, FAIL_DELAY_MS + STEP_MS);
	peer_expect_close(c);
}
END_TEST

static const struct outcome_case change_cases[] = {
	{ OUTCOME_CHANGE_REFUSED, "BAD PASSWORD: it is too short",
	    "500 BAD PASSWORD: it is too short\r\n" },
	{ OUTCOME_CHANGE_REFUSED, "", REFUSED },
	{ OUTCOME_CHANGE_REFUSED, "a\r\n200 b", "500 a  200 b\r\n" },
	{ OUTCOME_TEMPORARY, "The password database is busy, try again later.",
	    "500 The password database is busy, try again later.\r\n" },
	{ OUTCOME_TEMPORARY, "", TEMPORARY },
	{ OUTCOME_UNKNOWN, "", UNKNOWN },
	{ OUTCOME_UNKNOWN, "never shown", UNKNOWN },
	{ OUTCOME_AUTHENTICATED, "", UNKNOWN },
	{ OUTCOME_AUTH_FAILED, "", UNKNOWN },
	{ OUTCOME_NONE, "", UNKNOWN },
	{ (enum outcome)12345, "", UNKNOWN },
};

START_TEST(test_newpass_is_told_the_truth)
{
	const struct outcome_case *o = &change_cases[_i];
	struct peer_client *c;
	int helper;

	peer_start(PATIENT);
	c = begin_change(&helper);
	peer_answer(helper, o->outcome, o->reason);
	peer_expect(c, o->reply);
	peer_expect_close(c);
}
END_TEST

struct admission_case {
	enum admission admission;
	const char *reply;
};

static const struct admission_case admission_cases[] = {
	{ ADMISSION_BUSY, BUSY },
	{ ADMISSION_THROTTLED, WRONG },
	{ ADMISSION_FAILED, TEMPORARY },
};

START_TEST(test_pass_without_admission)
{
	const struct admission_case *a = &admission_cases[_i];
	struct peer_client *c;

	peer_start(PATIENT);
	c = peer_connect();
	peer_ask(c, "USER bob\r\n", ASK_OLD);
	peer_say(c, "PASS old\r\n");
	(void)peer_admit(peer_expect_request("bob"), a->admission);
	peer_expect(c, a->reply);
	peer_expect_close(c);
}
END_TEST

START_TEST(test_helper_gone_before_it_answers_pass)
{
	struct peer_client *c;
	int helper;

	peer_start(PATIENT);
	c = connect_and_pass("USER bob\r\n", "bob", &helper);
	(void)close(helper);
	peer_expect(c, TEMPORARY);
	peer_expect_close(c);
}
END_TEST

START_TEST(test_helper_gone_while_the_client_thinks)
{
	struct peer_client *c;
	int helper;

	peer_start(PATIENT);
	c = log_in(&helper);
	(void)close(helper);
	peer_ask(c, "NOOP\r\n", "200 OK.\r\n");
	peer_ask(c, "NEWPASS new\r\n", TEMPORARY);
	peer_expect_close(c);
}
END_TEST

START_TEST(test_helper_gone_in_mid_change)
{
	struct peer_client *c;
	int helper;

	peer_start(PATIENT);
	c = begin_change(&helper);
	(void)close(helper);
	peer_expect(c, UNKNOWN);
	peer_expect_close(c);
}
END_TEST

START_TEST(test_helper_that_talks_out_of_turn)
{
	struct peer_client *c;
	int helper;

	peer_start(PATIENT);
	c = log_in(&helper);
	peer_answer(helper, OUTCOME_CHANGED, "");
	peer_expect_eof(helper);
	peer_ask(c, "NEWPASS new\r\n", TEMPORARY);
	peer_expect_close(c);
}
END_TEST

START_TEST(test_pass_that_is_never_admitted)
{
	struct peer_client *c;
	uint64_t cookie;

	peer_start(QUICK);
	c = peer_connect();
	peer_ask(c, "USER bob\r\n", ASK_OLD);
	peer_say(c, "PASS old\r\n");
	cookie = peer_expect_request("bob");
	peer_expect(c, BUSY);
	peer_expect_close(c);
	/* Too late: the session is gone. */
	peer_expect_eof(peer_admit(cookie, ADMISSION_GRANTED));
}
END_TEST

START_TEST(test_pass_that_is_never_answered)
{
	struct peer_client *c;
	int helper;

	peer_start(QUICK);
	c = connect_and_pass("USER bob\r\n", "bob", &helper);
	peer_expect(c, TEMPORARY);
	peer_expect_close(c);
}
END_TEST

START_TEST(test_newpass_that_is_never_answered)
{
	struct peer_client *c;
	int helper;

	peer_start(QUICK);
	c = begin_change(&helper);
	peer_expect(c, UNKNOWN);
	peer_expect_close(c);
	/* The change goes on: only the helper ends it. */
	peer_expect_nothing(helper, 100);
	peer_answer(helper, OUTCOME_CHANGED, "");
	peer_expect_eof(helper);
}
END_TEST

START_TEST(test_newpass_that_gets_no_slot)
{
	struct peer_client *c, *other;
	int helper, busy_helper;

	peer_start("run-slots 1\n" QUICK);
	c = log_in(&helper);
	other = connect_and_pass("USER eve\r\n", "eve", &busy_helper);
	peer_expect_secret(busy_helper, TXN_AUTH, "old");
	peer_say(c, "NEWPASS new\r\n");
	peer_expect(c, BUSY);
	peer_expect_close(c);
	peer_expect_eof(helper);
	peer_leave(other);
}
END_TEST

START_TEST(test_slots_are_first_come_first_served)
{
	struct peer_client *c[3];
	int helper[3];

	peer_start("run-slots 1\n" PATIENT);
	c[0] = connect_and_pass("USER a\r\n", "a", &helper[0]);
	c[1] = connect_and_pass("USER b\r\n", "b", &helper[1]);
	c[2] = connect_and_pass("USER c\r\n", "c", &helper[2]);
	for (int i = 0; i < 3; i++) {
		peer_expect_secret(helper[i], TXN_AUTH, "old");
		if (i < 2)
			peer_expect_nothing(helper[i + 1], 50);
		peer_answer(helper[i], OUTCOME_AUTHENTICATED, "");
		peer_expect(c[i], ASK_NEW);
		peer_leave(c[i]);
	}
}
END_TEST

START_TEST(test_slot_stays_with_the_helper_that_works)
{
	struct peer_client *c, *next;
	int helper, next_helper;

	peer_start("run-slots 1\n" QUICK);
	c = begin_change(&helper);
	peer_expect(c, UNKNOWN);
	peer_expect_close(c);
	next = connect_and_pass("USER eve\r\n", "eve", &next_helper);
	peer_expect_nothing(next_helper, 100);
	peer_answer(helper, OUTCOME_CHANGED, "");
	peer_expect_secret(next_helper, TXN_AUTH, "old");
	peer_leave(next);
}
END_TEST

START_TEST(test_client_that_leaves_cancels)
{
	struct peer_client *c;
	int helper;

	peer_start(PATIENT);
	c = log_in(&helper);
	peer_leave(c);
	peer_expect_eof(helper);
}
END_TEST

START_TEST(test_client_that_leaves_in_mid_change_does_not)
{
	struct peer_client *c;
	int helper;

	peer_start(PATIENT);
	c = begin_change(&helper);
	peer_leave(c);
	peer_expect_nothing(helper, 200);
	peer_answer(helper, OUTCOME_CHANGED, "");
	peer_expect_eof(helper);
}
END_TEST

START_TEST(test_session_timeout_waits_for_a_change)
{
	struct peer_client *c;
	int helper;

	peer_start("session-timeout 1s\nhandshake-timeout 1s\n" PATIENT);
	c = begin_change(&helper);
	peer_expect_nothing(helper, 1200);
	peer_answer(helper, OUTCOME_CHANGED, "");
	peer_expect(c, CHANGED);
	peer_expect_close(c);
	peer_expect_event(NET_EVENT_TIMEOUT, "session");
}
END_TEST

/* Who had yet to be greeted is, and that is all. */
START_TEST(test_session_timeout_comes_before_the_greeting)
{
	struct peer_client *c;

	peer_start("session-timeout 1s\nhandshake-timeout 1s\n"
		   "greeting-delay 3s\n" PATIENT);
	c = peer_connect_clear();
	peer_expect(c, "200 hello\r\n");
	peer_expect(c, TIMED_OUT);
	peer_expect_close(c);
}
END_TEST

START_TEST(test_command_timeout_begins_after_the_answer)
{
	struct peer_client *c;
	int helper;

	peer_start("command-timeout 1s\n" PATIENT);
	c = connect_and_pass("USER bob\r\n", "bob", &helper);
	peer_expect_secret(helper, TXN_AUTH, "old");
	peer_expect_nothing(helper, 1200);
	peer_answer(helper, OUTCOME_AUTHENTICATED, "");
	peer_expect(c, ASK_NEW);
	peer_expect(c, TIMED_OUT);
	peer_expect_close(c);
	peer_expect_eof(helper);
	peer_expect_event(NET_EVENT_TIMEOUT, "command");
}
END_TEST

START_TEST(test_silent_clients_are_no_news)
{
	struct peer_client *inside, *outside;

	peer_start("command-timeout 1s\ngreeting-delay 0ms\n" PATIENT);
	inside = peer_connect();
	outside = peer_connect_clear();
	peer_leave(peer_connect_clear());
	peer_expect(outside, "200 hello\r\n");
	peer_expect(inside, TIMED_OUT);
	peer_expect_close(inside);
	peer_expect(outside, TIMED_OUT);
	peer_expect_close(outside);
	peer_order(CTL_STOP);
	ck_assert_int_eq(peer_wait_exit(), EX_OK);
	ck_assert(!peer_has_event(NET_EVENT_TIMEOUT));
}
END_TEST

START_TEST(test_accept_pauses_when_all_sessions_are_in_use)
{
	struct peer_client *first, *second, *third;
	int helper, other;

	peer_start("max-sessions 2\ngreeting-delay 0ms\n" PATIENT);
	first = log_in(&helper);
	second = log_in(&other);
	third = peer_connect_clear();
	peer_expect_event(NET_EVENT_ACCEPT_PAUSED, "all max-sessions");
	peer_ask(first, "QUIT\r\n", BYE);
	peer_expect_close(first);
	peer_expect(third, "200 hello\r\n");
	peer_leave(third);
	peer_leave(second);
}
END_TEST

/* With one session whose password was right and one without, the latter goes.
 */
START_TEST(test_oldest_without_a_password_gives_way)
{
	struct peer_client *first, *second, *third;
	int helper;

	peer_start("max-sessions 2\ngreeting-delay 0ms\n" PATIENT);
	first = log_in(&helper);
	second = peer_connect();
	third = peer_connect();
	peer_expect(second, BUSY);
	peer_expect_event(NET_EVENT_DROPPED, "");
	peer_ask(third, "NOOP\r\n", "200 OK.\r\n");
	peer_ask(first, "NOOP\r\n", "200 OK.\r\n");
	peer_leave(third);
	peer_leave(second);
	peer_leave(first);
}
END_TEST

START_TEST(test_sessions_of_an_address_are_limited)
{
	struct peer_client *first, *second, *third;

	peer_start("max-sessions-per-client 2\n" PATIENT);
	first = peer_connect();
	second = peer_connect();
	third = peer_connect_clear();
	peer_expect(third, BUSY);
	peer_expect_event(NET_EVENT_REFUSED, "max-sessions-per-client");
	peer_leave(third);
	peer_ask(second, "QUIT\r\n", BYE);
	peer_expect_close(second);
	third = peer_connect();
	peer_ask(first, "NOOP\r\n", "200 OK.\r\n");
	peer_leave(third);
	peer_leave(first);
}
END_TEST

/* Two failures, then neither password nor name leave the process. */
START_TEST(test_failures_of_an_address_are_limited)
{
	struct peer_client *c;
	int helper;

	peer_start("client-failures 2 10m\n" PATIENT);
	for (int i = 0; i < 2; i++) {
		c = connect_and_pass("USER bob\r\n", "bob", &helper);
		peer_expect_secret(helper, TXN_AUTH, "old");
		/* Whether the client waits for it or not. */
		if (i == 1)
			peer_leave(c);
		peer_answer(helper, OUTCOME_AUTH_FAILED, "");
		if (i == 0) {
			peer_expect(c, WRONG);
			peer_expect_close(c);
		}
	}
	peer_expect_event(NET_EVENT_THROTTLED, "delay of 2 s");
	c = peer_connect();
	peer_ask(c, "USER bob\r\n", ASK_OLD);
	peer_ask(c, "PASS old\r\n", WRONG);
	peer_expect_close(c);
	peer_expect_event(NET_EVENT_THROTTLED, "attempt not checked");
}
END_TEST

START_TEST(test_stop_lets_a_change_finish)
{
	struct peer_client *c, *idle;
	int helper;

	peer_start(PATIENT);
	idle = peer_connect();
	c = begin_change(&helper);
	peer_order(CTL_STOP);
	peer_expect(idle, STOPPING);
	peer_expect_close(idle);
	peer_expect_nothing(helper, 100);
	peer_answer(helper, OUTCOME_CHANGED, "");
	peer_expect(c, CHANGED);
	peer_expect_close(c);
	ck_assert_int_eq(peer_wait_exit(), EX_OK);
}
END_TEST

START_TEST(test_stop_cancels_what_has_not_begun)
{
	struct peer_client *c, *checking;
	int helper, checking_helper;

	peer_start(PATIENT);
	c = log_in(&helper);
	checking = connect_and_pass("USER eve\r\n", "eve", &checking_helper);
	peer_expect_secret(checking_helper, TXN_AUTH, "old");
	peer_order(CTL_STOP);
	peer_expect(c, STOPPING);
	peer_expect_eof(helper);
	peer_expect(checking, STOPPING);
	peer_expect_eof(checking_helper);
	peer_expect_close(c);
	peer_expect_close(checking);
	ck_assert_int_eq(peer_wait_exit(), EX_OK);
}
END_TEST

START_TEST(test_stop_does_not_wait_for_a_check_that_nobody_needs)
{
	struct peer_client *c;
	int helper;

	peer_start(QUICK);
	c = connect_and_pass("USER bob\r\n", "bob", &helper);
	peer_expect_secret(helper, TXN_AUTH, "old");
	peer_expect(c, TEMPORARY);
	peer_expect_close(c);
	peer_expect_nothing(helper, 0);
	peer_order(CTL_STOP);
	peer_expect_eof(helper);
	ck_assert_int_eq(peer_wait_exit(), EX_OK);
}
END_TEST

START_TEST(test_ping_is_answered_at_any_time)
{
	struct peer_client *c;

	peer_start(PATIENT);
	peer_order(CTL_PING);
	peer_expect_order(CTL_PONG);
	c = peer_connect();
	peer_order(CTL_DRAIN);
	peer_order(CTL_PING);
	peer_expect_order(CTL_PONG);
	peer_leave(c);
	ck_assert_int_eq(peer_wait_exit(), EX_OK);
}
END_TEST

START_TEST(test_drain_lets_sessions_finish)
{
	struct peer_client *c;
	int helper;

	peer_start(PATIENT);
	c = log_in(&helper);
	peer_order(CTL_DRAIN);
	peer_say(c, "NEWPASS new\r\n");
	peer_expect_secret(helper, TXN_CHANGE, "new");
	peer_answer(helper, OUTCOME_CHANGED, "");
	peer_expect(c, CHANGED);
	peer_ask(c, "QUIT\r\n", BYE);
	peer_expect_close(c);
	ck_assert_int_eq(peer_wait_exit(), EX_OK);
}
END_TEST

START_TEST(test_drain_has_an_end)
{
	struct peer_client *c;

	peer_start("drain-timeout 300ms\n" PATIENT);
	c = peer_connect();
	peer_order(CTL_DRAIN);
	peer_expect(c, STOPPING);
	peer_expect_close(c);
	ck_assert_int_eq(peer_wait_exit(), EX_OK);
}
END_TEST

START_TEST(test_loss_of_the_monitor_is_a_stop)
{
	struct peer_client *c;
	int helper;

	peer_start(PATIENT);
	c = begin_change(&helper);
	peer_hang_up();
	peer_expect_nothing(helper, 100);
	peer_answer(helper, OUTCOME_CHANGED, "");
	peer_expect(c, CHANGED);
	peer_expect_close(c);
	ck_assert_int_eq(peer_wait_exit(), EX_OK);
}
END_TEST

static const uint32_t nonsense[] = { 0, CTL_LOAD, CTL_READY, CTL_EVENT,
	CTL_LISTED, CTL_FORGET, CTL_ADMIT_ANSWER, 0xffffffffU };

START_TEST(test_monitor_that_breaks_the_protocol)
{
	peer_start(PATIENT);
	peer_send_raw(&nonsense[_i], sizeof(nonsense[_i]));
	peer_expect_event(NET_EVENT_NOTE, "the monitor broke the protocol");
	ck_assert_int_eq(peer_wait_exit(), EX_PROTOCOL);
}
END_TEST

START_TEST(test_admission_without_a_descriptor_breaks_the_protocol)
{
	const struct ctl_admit_answer m = { .type = CTL_ADMIT_ANSWER,
		.admission = ADMISSION_GRANTED };

	peer_start(PATIENT);
	peer_send_raw(&m, sizeof(m));
	ck_assert_int_eq(peer_wait_exit(), EX_PROTOCOL);
}
END_TEST

static void
add_answers(TCase *tcase)
{
	tcase_add_test(tcase, test_change_goes_through);
	tcase_add_loop_test(tcase,
	    test_refused_pass_is_answered_after_the_delay, 0, N_OF(auth_cases));
	tcase_add_test(tcase, test_late_refusal_leaves_at_a_step);
	tcase_add_loop_test(
	    tcase, test_newpass_is_told_the_truth, 0, N_OF(change_cases));
	tcase_add_loop_test(
	    tcase, test_pass_without_admission, 0, N_OF(admission_cases));
	tcase_add_test(tcase, test_helper_gone_before_it_answers_pass);
	tcase_add_test(tcase, test_helper_gone_while_the_client_thinks);
	tcase_add_test(tcase, test_helper_gone_in_mid_change);
	tcase_add_test(tcase, test_helper_that_talks_out_of_turn);
	tcase_add_test(tcase, test_pass_that_is_never_admitted);
	tcase_add_test(tcase, test_pass_that_is_never_answered);
	tcase_add_test(tcase, test_newpass_that_is_never_answered);
}

static void
add_slots_and_times(TCase *tcase)
{
	tcase_add_test(tcase, test_newpass_that_gets_no_slot);
	tcase_add_test(tcase, test_slots_are_first_come_first_served);
	tcase_add_test(tcase, test_slot_stays_with_the_helper_that_works);
	tcase_add_test(tcase, test_client_that_leaves_cancels);
	tcase_add_test(tcase, test_client_that_leaves_in_mid_change_does_not);
	tcase_add_test(tcase, test_session_timeout_waits_for_a_change);
	tcase_add_test(tcase, test_session_timeout_comes_before_the_greeting);
	tcase_add_test(tcase, test_command_timeout_begins_after_the_answer);
	tcase_add_test(tcase, test_silent_clients_are_no_news);
	tcase_add_test(tcase, test_accept_pauses_when_all_sessions_are_in_use);
	tcase_add_test(tcase, test_oldest_without_a_password_gives_way);
	tcase_add_test(tcase, test_sessions_of_an_address_are_limited);
	tcase_add_test(tcase, test_failures_of_an_address_are_limited);
}

static void
add_ends(TCase *tcase)
{
	tcase_add_test(tcase, test_stop_lets_a_change_finish);
	tcase_add_test(tcase, test_stop_cancels_what_has_not_begun);
	tcase_add_test(
	    tcase, test_stop_does_not_wait_for_a_check_that_nobody_needs);
	tcase_add_test(tcase, test_ping_is_answered_at_any_time);
	tcase_add_test(tcase, test_drain_lets_sessions_finish);
	tcase_add_test(tcase, test_drain_has_an_end);
	tcase_add_test(tcase, test_loss_of_the_monitor_is_a_stop);
	tcase_add_loop_test(
	    tcase, test_monitor_that_breaks_the_protocol, 0, N_OF(nonsense));
	tcase_add_test(
	    tcase, test_admission_without_a_descriptor_breaks_the_protocol);
}

int
main(void)
{
	TCase *tcase = tcase_create("net");

	tcase_set_timeout(tcase, 30);
	tcase_add_checked_fixture(tcase, NULL, peer_clean_up);
	add_answers(tcase);
	add_slots_and_times(tcase);
	add_ends(tcase);
	return suite_run("net", tcase);
}
