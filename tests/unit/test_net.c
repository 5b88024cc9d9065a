/*
 * The whole network process, between a monitor, helpers and clients that the
 * test plays: what no real helper does on demand.
 */
#include <sysexits.h>
#include <unistd.h>

#include "tests/unit/net_dialogue.h"
#include "tests/unit/net_peer.h"
#include "tests/unit/suite.h"

START_TEST(test_change_goes_through)
{
	struct peer_client *c;
	int helper;

	peer_start(PATIENT);
	c = dialogue_changing(&helper);
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
	c = dialogue_heard(&helper);
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
	c = dialogue_heard(&helper);
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
	c = dialogue_changing(&helper);
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
	c = dialogue_admitted("USER bob\r\n", "bob", &helper);
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
	c = dialogue_logged_in(&helper);
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
	c = dialogue_changing(&helper);
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
	c = dialogue_logged_in(&helper);
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
	c = dialogue_admitted("USER bob\r\n", "bob", &helper);
	peer_expect(c, TEMPORARY);
	peer_expect_close(c);
}
END_TEST

START_TEST(test_newpass_that_is_never_answered)
{
	struct peer_client *c;
	int helper;

	peer_start(QUICK);
	c = dialogue_changing(&helper);
	peer_expect(c, UNKNOWN);
	peer_expect_close(c);
	/* The change goes on: only the helper ends it. */
	peer_expect_nothing(helper, 100);
	peer_answer(helper, OUTCOME_CHANGED, "");
	peer_expect_eof(helper);
}
END_TEST

START_TEST(test_stop_lets_a_change_finish)
{
	struct peer_client *c, *idle;
	int helper;

	peer_start(PATIENT);
	idle = peer_connect();
	c = dialogue_changing(&helper);
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
	c = dialogue_logged_in(&helper);
	checking = dialogue_admitted("USER eve\r\n", "eve", &checking_helper);
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
	c = dialogue_heard(&helper);
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
	c = dialogue_logged_in(&helper);
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
	c = dialogue_changing(&helper);
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

	tcase_set_timeout(tcase, 300);
	tcase_add_checked_fixture(tcase, NULL, peer_clean_up);
	add_answers(tcase);
	add_ends(tcase);
	return suite_run("net", tcase);
}
