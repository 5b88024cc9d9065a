/* Users: limits, delays, and who gets the turn, on a simulated clock. */
#include "daemon/user_throttle.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/suite.h"

#define START_MS 1000000U

static const struct config_rate limit = { .n = 5, .window_ms = 600000 };
static struct user_throttle *throttle;
static uint64_t now;

static void
setup(void)
{
	throttle = user_throttle_new();
	ck_assert_ptr_nonnull(throttle);
	user_throttle_set_limit(throttle, &limit);
	now = START_MS;
}

static void
teardown(void)
{
	user_throttle_free(throttle);
}

static int
may_try(const char *user, const char *address)
{
	return user_throttle_may_try(throttle, user, address, now);
}

/* A guess: 1 if it was checked, and so failed. */
static int
guess(const char *user, const char *address)
{
	if (!may_try(user, address))
		return 0;
	(void)user_throttle_failed(throttle, user, now);
	return 1;
}

static void
fail_times(const char *user, int n)
{
	while (n-- > 0)
		(void)user_throttle_failed(throttle, user, now);
}

START_TEST(test_try_is_free_below_the_limit)
{
	fail_times("bob", 4);
	ck_assert_int_eq(may_try("bob", "192.0.2.1"), 1);
	fail_times("bob", 1);
	ck_assert_int_eq(may_try("bob", "192.0.2.1"), 0);
	ck_assert_int_eq(may_try("alice", "192.0.2.1"), 1);
}
END_TEST

START_TEST(test_delay_grows_to_its_end)
{
	static const unsigned delays[] = { 0, 0, 0, 0, 2000, 4000, 8000, 16000,
		30000, 30000, 30000 };

	for (int i = 0; i < N_OF(delays); i++) {
		ck_assert_uint_eq(
		    user_throttle_failed(throttle, "bob", now), delays[i]);
		now += 1000;
	}
}
END_TEST

START_TEST(test_unchecked_attempts_do_not_prolong_the_delay)
{
	fail_times("bob", 5);
	for (int i = 0; i < 2000; i++) {
		ck_assert_int_eq(may_try("bob", "192.0.2.1"), 0);
		now++;
	}
	ck_assert_int_eq(may_try("bob", "192.0.2.1"), 1);
}
END_TEST

START_TEST(test_names_are_compared_without_case_and_blanks)
{
	fail_times("Bob", 2);
	fail_times("bob ", 2);
	fail_times("b ob", 1);
	ck_assert_int_eq(may_try("BOB", "192.0.2.1"), 0);
}
END_TEST

START_TEST(test_limit_holds_for_earlier_failures)
{
	const struct config_rate strict = { .n = 2, .window_ms = 600000 };

	fail_times("bob", 2);
	ck_assert_int_eq(may_try("bob", "192.0.2.1"), 1);
	user_throttle_set_limit(throttle, &strict);
	ck_assert_uint_eq(user_throttle_failed(throttle, "bob", now), 4000);
}
END_TEST

START_TEST(test_success_leaves_the_failures)
{
	fail_times("bob", 4);
	user_throttle_succeeded(throttle, "bob", "192.0.2.1", now);
	ck_assert_uint_eq(user_throttle_failed(throttle, "bob", now), 2000);
}
END_TEST

START_TEST(test_forget_ends_the_delay)
{
	fail_times("bob", 9);
	ck_assert_int_eq(user_throttle_is_clean(throttle, "bob", now), 0);
	ck_assert_int_eq(user_throttle_forget(throttle, "Bob"), 1);
	ck_assert_int_eq(user_throttle_forget(throttle, "bob"), 0);
	ck_assert_int_eq(user_throttle_is_clean(throttle, "bob", now), 1);
	ck_assert_int_eq(may_try("bob", "192.0.2.1"), 1);
}
END_TEST

START_TEST(test_turn_is_kept_for_who_asked_least)
{
	fail_times("bob", 5);
	ck_assert_int_eq(may_try("bob", "192.0.2.1"), 0);
	ck_assert_int_eq(may_try("bob", "192.0.2.2"), 0);
	now += 2000;
	ck_assert_int_eq(may_try("bob", "192.0.2.2"), 0);
	ck_assert_int_eq(may_try("bob", "192.0.2.3"), 0);
	ck_assert_int_eq(may_try("bob", "192.0.2.1"), 1);
	fail_times("bob", 1);
	/* Both have asked in a delay before; this one is new. */
	ck_assert_int_eq(may_try("bob", "192.0.2.1"), 0);
	ck_assert_int_eq(may_try("bob", "192.0.2.4"), 0);
	now += 4000;
	ck_assert_int_eq(may_try("bob", "192.0.2.1"), 0);
	ck_assert_int_eq(may_try("bob", "192.0.2.2"), 0);
	ck_assert_int_eq(may_try("bob", "192.0.2.4"), 1);
}
END_TEST

START_TEST(test_turn_is_anybodys_after_the_grace)
{
	fail_times("bob", 5);
	ck_assert_int_eq(may_try("bob", "192.0.2.1"), 0);
	now += 2000 + 9999;
	ck_assert_int_eq(may_try("bob", "192.0.2.2"), 0);
	now += 1;
	ck_assert_int_eq(may_try("bob", "192.0.2.2"), 1);
}
END_TEST

START_TEST(test_networks_of_ipv6_are_64)
{
	fail_times("bob", 5);
	ck_assert_int_eq(may_try("bob", "2001:db8::1"), 0);
	now += 2000;
	ck_assert_int_eq(may_try("bob", "2001:db8:0:1::1"), 0);
	ck_assert_int_eq(may_try("bob", "2001:db8::2"), 1);
}
END_TEST

START_TEST(test_known_network_comes_before_new_ones)
{
	user_throttle_succeeded(throttle, "bob", "192.0.2.9", now);
	fail_times("bob", 5);
	ck_assert_int_eq(may_try("bob", "192.0.2.1"), 0);
	now += 2000;
	ck_assert_int_eq(may_try("bob", "192.0.2.9"), 1);
}
END_TEST

/* 10,000 guesses from 1,000 networks, in turns of so many milliseconds. */
struct attack {
	unsigned step_ms;
	unsigned joined_ms; /* when the owner comes, from the start on */
	unsigned retry_ms;
	int n_checked;
	unsigned owner_ms; /* how long the owner took; 0: not yet */
};

#define N_NETWORKS 1000
#define N_GUESSES  10000

static void
network(char address[WIRE_ADDRESS_SIZE], unsigned i)
{
	(void)snprintf(
	    address, WIRE_ADDRESS_SIZE, "10.0.%u.%u", i / 250, i % 250);
}

static void
run_attack(struct attack *a)
{
	const uint64_t start = now, joined = start + a->joined_ms;
	uint64_t next_try = joined;

	for (unsigned i = 0; i < N_GUESSES || a->owner_ms == 0; i++) {
		char address[WIRE_ADDRESS_SIZE];

		now = start + (uint64_t)i * a->step_ms;
		while (a->owner_ms == 0 && next_try <= now) {
			const uint64_t guess_ms = now;

			now = next_try;
			if (may_try("bob", "203.0.113.5"))
				a->owner_ms = (unsigned)(now - joined) + 1;
			next_try += a->retry_ms;
			now = guess_ms;
		}
		network(address, i % N_NETWORKS);
		a->n_checked += guess("bob", address);
	}
}

/* Guesses at 100, 20 and 3 a second; the owner comes when each network has
 * asked once, and at five times of the half minute after that. */
static const unsigned steps[] = { 10, 50, 333 };

START_TEST(test_owner_gets_in_within_35_s)
{
	const unsigned step = steps[_i / 5];
	struct attack a = { .step_ms = step,
		.joined_ms =
		    step * N_NETWORKS + 31000 + (unsigned)(_i % 5) * 6000,
		.retry_ms = 4900 };

	run_attack(&a);
	ck_assert_uint_ne(a.owner_ms, 0);
	ck_assert_uint_le(a.owner_ms - 1, 35000);
}
END_TEST

/* One a delay, for all that they are many. */
START_TEST(test_guesses_are_bounded_over_all_networks)
{
	struct attack a = {
		.step_ms = 50, .joined_ms = 90000, .retry_ms = 4900
	};

	run_attack(&a);
	/* 500 s: five, and those after 2, 4, 8, 16 and every 30 s. */
	ck_assert_int_le(a.n_checked, 5 + 4 + 500 / 30 + 1);
	ck_assert_int_ge(a.n_checked, 10);
}
END_TEST

START_TEST(test_a_million_names_take_no_more_memory)
{
	char user[WIRE_USER_SIZE];

	for (unsigned i = 0; i < 1000000; i++) {
		(void)snprintf(user, sizeof(user), "user%u", i);
		(void)user_throttle_failed(throttle, user, now);
		now++;
	}
	ck_assert_int_eq(user_throttle_is_clean(throttle, user, now), 0);
	ck_assert_int_eq(user_throttle_is_clean(throttle, "user0", now), 1);
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("user_throttle");

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_try_is_free_below_the_limit);
	tcase_add_test(tcase, test_delay_grows_to_its_end);
	tcase_add_test(tcase, test_unchecked_attempts_do_not_prolong_the_delay);
	tcase_add_test(tcase, test_names_are_compared_without_case_and_blanks);
	tcase_add_test(tcase, test_limit_holds_for_earlier_failures);
	tcase_add_test(tcase, test_success_leaves_the_failures);
	tcase_add_test(tcase, test_forget_ends_the_delay);
	tcase_add_test(tcase, test_turn_is_kept_for_who_asked_least);
	tcase_add_test(tcase, test_turn_is_anybodys_after_the_grace);
	tcase_add_test(tcase, test_networks_of_ipv6_are_64);
	tcase_add_test(tcase, test_known_network_comes_before_new_ones);
	tcase_add_loop_test(
	    tcase, test_owner_gets_in_within_35_s, 0, 5 * N_OF(steps));
	tcase_add_test(tcase, test_guesses_are_bounded_over_all_networks);
	tcase_add_test(tcase, test_a_million_names_take_no_more_memory);
	return suite_run("user_throttle", tcase);
}
