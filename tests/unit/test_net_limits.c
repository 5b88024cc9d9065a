/*
 * What a network process allows: run slots, times, sessions, failures; between
 * a monitor, helpers and clients that the test plays.
 */
#include <sysexits.h>

#include "tests/unit/net_dialogue.h"
#include "tests/unit/suite.h"

START_TEST(test_newpass_that_gets_no_slot)
{
	struct peer_client *c, *other;
	int helper, busy_helper;

	peer_start("run-slots 1\n" QUICK);
	c = dialogue_logged_in(&helper);
	other = dialogue_admitted("USER eve\r\n", "eve", &busy_helper);
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
	c[0] = dialogue_admitted("USER a\r\n", "a", &helper[0]);
	c[1] = dialogue_admitted("USER b\r\n", "b", &helper[1]);
	c[2] = dialogue_admitted("USER c\r\n", "c", &helper[2]);
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
	c = dialogue_changing(&helper);
	peer_expect(c, UNKNOWN);
	peer_expect_close(c);
	next = dialogue_admitted("USER eve\r\n", "eve", &next_helper);
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
	c = dialogue_logged_in(&helper);
	peer_leave(c);
	peer_expect_eof(helper);
}
END_TEST

START_TEST(test_client_that_leaves_in_mid_change_does_not)
{
	struct peer_client *c;
	int helper;

	peer_start(PATIENT);
	c = dialogue_changing(&helper);
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

	peer_start("session-timeout 3s\nhandshake-timeout 3s\n" PATIENT);
	c = dialogue_changing(&helper);
	peer_expect_nothing(helper, 3200);
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
		   "greeting-delay 5s\n" PATIENT);
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

	peer_start("command-timeout 3s\n" PATIENT);
	c = dialogue_heard(&helper);
	peer_expect_nothing(helper, 3200);
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
	first = dialogue_logged_in(&helper);
	second = dialogue_logged_in(&other);
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
	first = dialogue_logged_in(&helper);
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

static void
guess_wrong(struct peer_client *c, uint64_t cookie)
{
	int helper = peer_admit(cookie, ADMISSION_GRANTED);

	peer_expect_secret(helper, TXN_AUTH, "old");
	peer_answer(helper, OUTCOME_AUTH_FAILED, "");
	peer_expect(c, WRONG);
	peer_expect_close(c);
}

/* Two failures, then neither password nor name leave the process. Where the
 * machine is so busy that the delay is over by then, another doubles it. */
START_TEST(test_failures_of_an_address_are_limited)
{
	struct peer_client *c;
	int helper;

	peer_start("client-failures 2 10m\n" PATIENT);
	c = dialogue_pass("USER bob\r\n");
	guess_wrong(c, peer_expect_request("bob"));
	/* Whether the client waits for it or not. */
	c = dialogue_heard(&helper);
	peer_leave(c);
	peer_answer(helper, OUTCOME_AUTH_FAILED, "");
	peer_expect_event(NET_EVENT_THROTTLED, "delay of 2 s");
	c = dialogue_pass("USER bob\r\n");
	for (int i = 0; i < 5 && !peer_is_answered(c); i++) {
		guess_wrong(c, peer_expect_request("bob"));
		c = dialogue_pass("USER bob\r\n");
	}
	peer_expect(c, WRONG);
	peer_expect_close(c);
	peer_expect_event(NET_EVENT_THROTTLED, "attempt not checked");
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("net_limits");

	tcase_set_timeout(tcase, 300);
	tcase_add_checked_fixture(tcase, NULL, peer_clean_up);
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
	return suite_run("net_limits", tcase);
}
