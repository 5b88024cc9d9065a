/* Failures in a window, their table, and the pace over all. */
#include "daemon/throttle.h"

#include <malloc.h>
#include <string.h>

#include "daemon/client_key.h"
#include "daemon/pace.h"
#include "tests/unit/suite.h"

#define START_MS 1000000U

static const struct config_rate limit = { .n = 3, .window_ms = 9000 };
static struct throttle_entry entry;
static struct keyed_table *table;
static uint64_t now;

static void
setup(void)
{
	uint8_t key[KEYED_HASH_KEY_SIZE];

	ck_assert_int_eq(keyed_hash_make_key(key), 0);
	table = keyed_table_new(NULL, sizeof(struct throttle_entry), key);
	ck_assert_ptr_nonnull(table);
	memset(&entry, 0, sizeof(entry));
	now = START_MS;
}

static void
teardown(void)
{
	keyed_table_free(table);
}

START_TEST(test_fail_counts_for_a_window)
{
	(void)throttle_fail(&entry, &limit, now);
	for (unsigned ms = 0; ms < limit.window_ms; ms += 100)
		ck_assert_uint_eq(
		    throttle_failures(&entry, &limit, now + ms), 1);
	ck_assert_uint_eq(throttle_failures(&entry, &limit,
			      now + limit.window_ms * 4 / 3 + 8),
	    0);
}
END_TEST

/* Whatever the window's parts, so many in a window bring the delay. */
START_TEST(test_fail_delays_from_the_limit_on)
{
	const uint64_t start = START_MS + (unsigned)_i * 100;

	ck_assert_uint_eq(throttle_fail(&entry, &limit, start), 0);
	ck_assert_uint_eq(throttle_fail(&entry, &limit, start + 4000), 0);
	ck_assert_uint_eq(throttle_fail(&entry, &limit, start + 8999), 2000);
	ck_assert_uint_eq(throttle_until(&entry, start + 9000), start + 10999);
	ck_assert_int_eq(throttle_is_over(&entry, &limit, start + 8999), 1);
}
END_TEST

START_TEST(test_fail_forgets_those_before_the_window)
{
	ck_assert_uint_eq(throttle_fail(&entry, &limit, now), 0);
	ck_assert_uint_eq(throttle_fail(&entry, &limit, now), 0);
	now += limit.window_ms * 4 / 3 + 8;
	ck_assert_uint_eq(throttle_fail(&entry, &limit, now), 0);
	ck_assert_uint_eq(throttle_failures(&entry, &limit, now), 1);
}
END_TEST

START_TEST(test_take_leaves_one_turn_a_delay)
{
	throttle_take(&entry, &limit, now);
	ck_assert_uint_le(throttle_until(&entry, now), now);
	for (unsigned i = 0; i < limit.n; i++)
		(void)throttle_fail(&entry, &limit, now);
	now = throttle_until(&entry, now);
	throttle_take(&entry, &limit, now);
	ck_assert_uint_eq(throttle_until(&entry, now), now + 4000);
	ck_assert_uint_eq(throttle_failures(&entry, &limit, now), limit.n);
}
END_TEST

START_TEST(test_count_has_an_end)
{
	for (unsigned i = 0; i < 70000; i++)
		(void)throttle_fail(&entry, &limit, now);
	ck_assert_uint_eq(throttle_failures(&entry, &limit, now), UINT16_MAX);
	ck_assert_uint_eq(throttle_until(&entry, now), now + THROTTLE_LAST_MS);
}
END_TEST

/* What an earlier net process may have left behind. */
START_TEST(test_any_bytes_are_forgotten_in_time)
{
	const uint64_t end = now + THROTTLE_LAST_MS;

	memset(&entry, 0xff, sizeof(entry));
	ck_assert_uint_le(throttle_until(&entry, now), end);
	ck_assert_uint_le(throttle_until(&entry, end), end);
	entry.until_ms = end;
	ck_assert_uint_eq(throttle_until(&entry, now), end);
	entry.until_ms = end + 1;
	ck_assert_uint_le(throttle_until(&entry, now), now);
	ck_assert_uint_eq(throttle_failures(&entry, &limit, now), 0);
	entry.head.touched_ms = now;
	ck_assert_int_eq(throttle_is_over(&entry, &limit, now), 1);
	now += 2 * limit.window_ms;
	ck_assert_int_eq(throttle_is_over(&entry, &limit, now), 0);
	ck_assert_uint_eq(throttle_fail(&entry, &limit, now), 0);
}
END_TEST

START_TEST(test_table_takes_no_memory_for_a_million_addresses)
{
	const struct mallinfo2 before = mallinfo2();
	struct throttle_entry *e;
	struct mallinfo2 after;

	for (uint32_t i = 0; i < 1000000; i++) {
		e = keyed_table_get(table, &i, sizeof(i), now);
		(void)throttle_fail(e, &limit, now);
		now++;
	}
	after = mallinfo2();
	ck_assert_uint_eq(before.uordblks, after.uordblks);
	ck_assert_uint_eq(before.hblkhd, after.hblkhd);
}
END_TEST

START_TEST(test_table_forgets_the_stalest)
{
	const uint32_t first = 0, kept = 1;
	struct throttle_entry *e;

	e = keyed_table_get(table, &first, sizeof(first), now);
	(void)throttle_fail(e, &limit, now);
	for (uint32_t i = 1; i < 4 * KEYED_TABLE_ENTRIES; i++) {
		now++;
		e = keyed_table_get(table, &i, sizeof(i), now);
		(void)throttle_fail(e, &limit, now);
		e = keyed_table_get(table, &kept, sizeof(kept), now);
		e->head.touched_ms = now;
	}
	ck_assert_ptr_null(keyed_table_find(table, &first, sizeof(first)));
	ck_assert_ptr_nonnull(keyed_table_find(table, &kept, sizeof(kept)));
}
END_TEST

START_TEST(test_table_does_not_keep_what_is_of_the_future)
{
	struct throttle_entry *e;

	for (uint32_t i = 0; i < 2 * KEYED_TABLE_ENTRIES; i++) {
		e = keyed_table_get(table, &i, sizeof(i), now);
		e->head.touched_ms = UINT64_MAX;
	}
	for (uint32_t i = 0; i < 1000; i++) {
		const uint32_t key = UINT32_MAX - i;

		e = keyed_table_get(table, &key, sizeof(key), now);
		ck_assert_uint_eq(e->head.touched_ms, 0);
		e->head.touched_ms = now;
		ck_assert_ptr_eq(keyed_table_find(table, &key, sizeof(key)), e);
	}
}
END_TEST

START_TEST(test_table_removes)
{
	const uint32_t key = 7;

	ck_assert_int_eq(keyed_table_remove(table, &key, sizeof(key)), 0);
	(void)keyed_table_get(table, &key, sizeof(key), now);
	ck_assert_int_eq(keyed_table_remove(table, &key, sizeof(key)), 1);
	ck_assert_ptr_null(keyed_table_find(table, &key, sizeof(key)));
}
END_TEST

/* The vector of SipHash-2-4's authors: bytes 0 to 15 as the key, 0 to 14 as the
 * text. */
START_TEST(test_hash_is_siphash)
{
	uint8_t bytes[16];
	struct keyed_hash *hash;

	for (uint8_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = i;
	hash = keyed_hash_new(bytes);
	ck_assert_ptr_nonnull(hash);
	for (int i = 0; i < 2; i++)
		ck_assert_uint_eq(
		    keyed_hash_of(hash, bytes, 15), 0xa129ca6149be45e5U);
	keyed_hash_free(hash);
}
END_TEST

START_TEST(test_pace_is_free_up_to_600)
{
	struct pace pace = { 0 };

	for (int i = 0; i < 600; i++) {
		ck_assert_uint_eq(pace_wait_ms(&pace, now), 0);
		pace_spend(&pace, now);
	}
	ck_assert_uint_eq(pace_wait_ms(&pace, now), PACE_MS);
}
END_TEST

START_TEST(test_pace_is_ten_a_second_then)
{
	struct pace pace = { 0 };
	const uint64_t end = now + 100000;
	int n = 0;

	for (; now < end; now++) {
		while (pace_wait_ms(&pace, now) == 0) {
			pace_spend(&pace, now);
			n++;
		}
	}
	ck_assert_int_eq(n, 600 + 1000 - 1);
}
END_TEST

START_TEST(test_pace_costs_nothing_for_a_success)
{
	struct pace pace = { 0 };

	for (int i = 0; i < 10000; i++) {
		ck_assert_uint_eq(pace_wait_ms(&pace, now), 0);
		pace_spend(&pace, now);
		pace_give_back(&pace);
	}
}
END_TEST

struct key_case {
	const char *a;
	const char *b;
	int same_one;
	int same_wide;
};

static const struct key_case key_cases[] = {
	{ "192.0.2.1", "::ffff:192.0.2.1", 1, 1 },
	{ "192.0.2.1", "192.0.2.2", 0, 1 },
	{ "2001:db8::1", "2001:db8::ffff:1", 1, 1 },
	{ "2001:db8::1", "2001:db8:0:1::1", 0, 1 },
	{ "2001:db8::1", "2001:db8:1::1", 0, 0 },
};

START_TEST(test_keys_are_networks)
{
	const struct key_case *c = &key_cases[_i];
	struct client_keys a, b;

	ck_assert_int_eq(client_keys_of(c->a, &a), 1);
	ck_assert_int_eq(client_keys_of(c->b, &b), 1);
	ck_assert_int_eq(client_key_equal(&a.one, &b.one), c->same_one);
	ck_assert_int_eq(client_key_equal(&a.wide, &b.wide), c->same_wide);
	ck_assert_int_eq(client_key_is_none(&a.wide), strchr(c->a, '.') != 0);
}
END_TEST

static const char *const no_addresses[] = { "", "unix", "192.0.2.0/24", "x" };

START_TEST(test_keys_of_no_address)
{
	struct client_keys keys;

	ck_assert_int_eq(client_keys_of(no_addresses[_i], &keys), 0);
	ck_assert_int_eq(client_key_is_none(&keys.one), 1);
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("throttle");

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_fail_counts_for_a_window);
	tcase_add_loop_test(tcase, test_fail_delays_from_the_limit_on, 0, 40);
	tcase_add_test(tcase, test_fail_forgets_those_before_the_window);
	tcase_add_test(tcase, test_take_leaves_one_turn_a_delay);
	tcase_add_test(tcase, test_count_has_an_end);
	tcase_add_test(tcase, test_any_bytes_are_forgotten_in_time);
	tcase_add_test(
	    tcase, test_table_takes_no_memory_for_a_million_addresses);
	tcase_add_test(tcase, test_table_forgets_the_stalest);
	tcase_add_test(tcase, test_table_does_not_keep_what_is_of_the_future);
	tcase_add_test(tcase, test_table_removes);
	tcase_add_test(tcase, test_hash_is_siphash);
	tcase_add_test(tcase, test_pace_is_free_up_to_600);
	tcase_add_test(tcase, test_pace_is_ten_a_second_then);
	tcase_add_test(tcase, test_pace_costs_nothing_for_a_success);
	tcase_add_loop_test(tcase, test_keys_are_networks, 0, N_OF(key_cases));
	tcase_add_loop_test(
	    tcase, test_keys_of_no_address, 0, N_OF(no_addresses));
	return suite_run("throttle", tcase);
}
