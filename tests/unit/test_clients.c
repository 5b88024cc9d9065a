/* What net allows an address: passwords to be checked, sessions, and which
 * session gives way. */
#include "daemon/clients.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "daemon/client_throttle.h"
#include "daemon/gate.h"
#include "daemon/pace.h"
#include "tests/unit/suite.h"

#define N_CLAIMS 100

static const struct config_rate limit = { .n = 3, .window_ms = 600000 };
static struct config *config;
static struct client_throttle *throttle;
static struct clients *clients;
static struct client_claim claims[N_CLAIMS];
static int memory;
static uint64_t now = 1000000;

static struct client_throttle *
open_throttle(void)
{
	struct client_throttle *t =
	    client_throttle_open(fcntl(memory, F_DUPFD_CLOEXEC, 3), &limit);

	ck_assert_ptr_nonnull(t);
	return t;
}

static void
setup(void)
{
	static const char text[] =
	    "tls-certificate /none\nmax-sessions 10\n"
	    "max-sessions-per-client 2\nclient-failures 3 10m\n"
	    "trusted-clients 192.0.2.128/25 2001:db8:ff::/48\n";
	struct config_errors errors = { .out = stderr };

	config = config_parse("text", text, sizeof(text) - 1, &errors);
	ck_assert_ptr_nonnull(config);
	memory = client_throttle_memory();
	ck_assert_int_ne(memory, -1);
	throttle = open_throttle();
	clients = clients_new(config, fcntl(memory, F_DUPFD_CLOEXEC, 3));
	ck_assert_ptr_nonnull(clients);
	memset(claims, 0, sizeof(claims));
}

static void
teardown(void)
{
	clients_free(clients);
	client_throttle_free(throttle);
	config_free(config);
	(void)close(memory);
}

static struct client_keys
keys_of(const char *address)
{
	struct client_keys keys;

	ck_assert_int_eq(client_keys_of(address, &keys), 1);
	return keys;
}

static int
lets_try(const char *address)
{
	const struct client_keys keys = keys_of(address);

	return client_throttle_lets_try(throttle, &keys, now);
}

static unsigned
fail_from(const char *address)
{
	const struct client_keys keys = keys_of(address);

	return client_throttle_failed(throttle, &keys, now);
}

START_TEST(test_failures_of_one_address)
{
	ck_assert_uint_eq(fail_from("192.0.2.1"), 0);
	ck_assert_uint_eq(fail_from("192.0.2.1"), 0);
	ck_assert_int_eq(lets_try("192.0.2.1"), 1);
	ck_assert_uint_eq(fail_from("192.0.2.1"), 2000);
	ck_assert_int_eq(lets_try("192.0.2.1"), 0);
	ck_assert_int_eq(lets_try("192.0.2.2"), 1);
}
END_TEST

/* Several may be asked about at once: one of them has the turn. */
START_TEST(test_turn_is_given_once_a_delay)
{
	for (int i = 0; i < 3; i++)
		(void)fail_from("192.0.2.1");
	now += 2000;
	ck_assert_int_eq(lets_try("192.0.2.1"), 1);
	ck_assert_int_eq(lets_try("192.0.2.1"), 0);
	now += 4000;
	ck_assert_int_eq(lets_try("192.0.2.1"), 1);
}
END_TEST

START_TEST(test_failures_of_ipv6_are_those_of_64)
{
	for (int i = 0; i < 3; i++)
		(void)fail_from("2001:db8::1");
	ck_assert_int_eq(lets_try("2001:db8::ffff"), 0);
	ck_assert_int_eq(lets_try("2001:db8:0:1::1"), 1);
}
END_TEST

START_TEST(test_failures_of_48_may_be_eight_times_as_many)
{
	char address[64];

	for (int i = 0; i < 23; i++) {
		(void)snprintf(address, sizeof(address), "2001:db8:0:%x::1", i);
		ck_assert_uint_eq(fail_from(address), 0);
	}
	ck_assert_int_eq(lets_try("2001:db8:0:ffff::1"), 1);
	ck_assert_uint_eq(fail_from("2001:db8:0:ffff::1"), 2000);
	ck_assert_int_eq(lets_try("2001:db8:0:fffe::1"), 0);
	ck_assert_int_eq(lets_try("2001:db8:1::1"), 1);
}
END_TEST

/* A net process ends, another begins. */
START_TEST(test_failures_outlive_who_counted_them)
{
	for (int i = 0; i < 3; i++)
		(void)fail_from("192.0.2.1");
	client_throttle_free(throttle);
	throttle = open_throttle();
	ck_assert_int_eq(lets_try("192.0.2.1"), 0);
	ck_assert_uint_eq(fail_from("192.0.2.1"), 4000);
}
END_TEST

START_TEST(test_forget)
{
	struct client_keys keys = keys_of("2001:db8::1");

	for (int i = 0; i < 3; i++)
		(void)fail_from("2001:db8::1");
	ck_assert_int_eq(client_throttle_forget(throttle, &keys), 1);
	ck_assert_int_eq(client_throttle_forget(throttle, &keys), 0);
	ck_assert_int_eq(lets_try("2001:db8::1"), 1);
}
END_TEST

START_TEST(test_memory_cannot_be_resized)
{
	ck_assert_int_eq(ftruncate(memory, 0), -1);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_eq(fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE), -1);
}
END_TEST

/* Whatever an earlier net process has left there, it passes. */
START_TEST(test_memory_may_hold_anything)
{
	struct client_keys keys;
	struct stat st;
	uint32_t *words;

	ck_assert_int_eq(fstat(memory, &st), 0);
	words = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE,
	    MAP_SHARED, memory, 0);
	ck_assert_ptr_ne(words, MAP_FAILED);
	for (size_t i = 0; i < (size_t)st.st_size / sizeof(*words); i++)
		words[i] = _i == 0 ? UINT32_MAX : (uint32_t)(i * 2654435761U);
	(void)munmap(words, (size_t)st.st_size);
	memset(&keys, 0, sizeof(keys));
	keys.one.family = 4;
	for (uint32_t i = 0; i < 20000; i++) {
		memcpy(keys.one.bytes, &i, sizeof(i));
		(void)client_throttle_lets_try(throttle, &keys, now);
		ck_assert_uint_eq(
		    client_throttle_failed(throttle, &keys, now), 0);
		(void)client_throttle_failed(throttle, &keys, now);
		ck_assert_uint_eq(
		    client_throttle_failed(throttle, &keys, now), 2000);
		ck_assert_int_eq(
		    client_throttle_lets_try(throttle, &keys, now), 0);
	}
}
END_TEST

struct trust_case {
	const char *address;
	int is_limited;
};

static const struct trust_case trust_cases[] = {
	{ "192.0.2.1", 1 },
	{ "192.0.2.129", 0 },
	{ "2001:db8::1", 1 },
	{ "2001:db8:ff::1", 0 },
	{ "unix", 0 },
	{ "", 0 },
};

START_TEST(test_trusted_clients_are_not_limited)
{
	const struct trust_case *c = &trust_cases[_i];
	struct client_keys keys;

	clients_keys(clients, c->address, &keys);
	ck_assert_int_eq(!client_key_is_none(&keys.one), c->is_limited);
	for (int i = 0; i < 20; i++)
		(void)clients_failed(clients, &keys, now);
	ck_assert_int_eq(
	    clients_let_try(clients, c->address, now), !c->is_limited);
	for (int i = 0; i < 3; i++) {
		const int result = c->is_limited && i == 2 ? -1 : 0;

		clients_join(clients, &claims[i], &claims[i]);
		ck_assert_int_eq(
		    clients_admit(clients, &claims[i], c->address), result);
	}
	ck_assert_int_eq(clients_can_drop(clients), c->is_limited);
}
END_TEST

static int
begin(int i, const char *address)
{
	clients_join(clients, &claims[i], &claims[i]);
	if (clients_admit(clients, &claims[i], address) == 0)
		return 1;
	clients_leave(clients, &claims[i]);
	return 0;
}

START_TEST(test_sessions_are_counted_while_they_last)
{
	ck_assert_int_eq(begin(0, "192.0.2.1"), 1);
	ck_assert_int_eq(begin(1, "192.0.2.1"), 1);
	ck_assert_int_eq(begin(2, "192.0.2.1"), 0);
	ck_assert_int_eq(begin(3, "192.0.2.2"), 1);
	/* A right password does not make it one less. */
	clients_settle(clients, &claims[0]);
	ck_assert_int_eq(begin(4, "192.0.2.1"), 0);
	clients_leave(clients, &claims[0]);
	ck_assert_int_eq(begin(5, "192.0.2.1"), 1);
}
END_TEST

START_TEST(test_sessions_of_48_may_be_eight_times_as_many)
{
	char address[64];

	for (int i = 0; i < 16; i++) {
		(void)snprintf(address, sizeof(address), "2001:db8:0:%x::1", i);
		ck_assert_int_eq(begin(i, address), 1);
	}
	ck_assert_int_eq(begin(20, "2001:db8:0:ffff::1"), 0);
	ck_assert_int_eq(begin(21, "2001:db8:1::1"), 1);
}
END_TEST

static void
begin_some(int first, int n)
{
	char address[64];

	for (int i = first; i < first + n; i++) {
		(void)snprintf(address, sizeof(address), "192.0.2.%d", i);
		ck_assert_int_eq(begin(i, address), 1);
	}
}

START_TEST(test_nobody_gives_way_below_half)
{
	begin_some(0, 5);
	for (int i = 0; i < 1000; i++)
		ck_assert_ptr_null(clients_pick(clients, &claims[4], 5));
}
END_TEST

START_TEST(test_oldest_gives_way_always_when_full)
{
	begin_some(0, 11);
	clients_settle(clients, &claims[0]);
	for (int i = 0; i < 1000; i++)
		ck_assert_ptr_eq(
		    clients_pick(clients, &claims[10], 11), &claims[1]);
}
END_TEST

/* 30 of 100 at half; 1,000 lots leave no doubt about which side of 50. */
START_TEST(test_lots_are_drawn_from_half_on)
{
	int n_at_half = 0, n_near_full = 0;

	begin_some(0, 6);
	for (int i = 0; i < 1000; i++)
		n_at_half += clients_pick(clients, &claims[5], 6) != NULL;
	begin_some(6, 4);
	for (int i = 0; i < 1000; i++)
		n_near_full += clients_pick(clients, &claims[9], 10) != NULL;
	ck_assert_int_gt(n_at_half, 150);
	ck_assert_int_lt(n_at_half, 500);
	ck_assert_int_gt(n_near_full, 700);
}
END_TEST

START_TEST(test_newcomer_does_not_give_way_to_itself)
{
	begin_some(0, 1);
	ck_assert_ptr_null(clients_pick(clients, &claims[0], 11));
}
END_TEST

/* The monitor's side: over all users. */
START_TEST(test_gate_slows_down_over_all_users)
{
	struct ctl_admit_request request;
	struct gate *gate = gate_new();
	struct helper *helper;

	ck_assert_ptr_nonnull(gate);
	gate_configure(gate, config);
	memset(&request, 0, sizeof(request));
	wire_string_set(request.origin.address, sizeof(request.origin.address),
	    "192.0.2.1");
	for (int i = 0; gate_wait_ms(gate) == 0; i++) {
		ck_assert_int_lt(i, 700);
		(void)snprintf(request.user, sizeof(request.user), "user%d", i);
		helper = helper_new(NULL, NULL, &request);
		ck_assert_int_eq(gate_rank(gate, helper), GATE_RANK_CLEAN);
		ck_assert_int_eq(gate_lets_try(gate, helper), 1);
		/* What was no guess costs nothing. */
		gate_begin(gate);
		gate_learn(gate, helper, OUTCOME_CHANGED);
		gate_begin(gate);
		gate_learn(gate, helper, OUTCOME_TEMPORARY);
		gate_begin(gate);
		gate_learn(gate, helper, OUTCOME_POLICY_REFUSED);
		helper_free(helper);
	}
	ck_assert_uint_le(gate_wait_ms(gate), PACE_MS);
	gate_free(gate);
}
END_TEST

static enum gate_rank
rank_from(struct gate *gate, const char *address)
{
	struct ctl_admit_request request = { .user = "bob" };
	struct helper *helper;
	enum gate_rank rank;

	wire_string_set(
	    request.origin.address, sizeof(request.origin.address), address);
	helper = helper_new(NULL, NULL, &request);
	rank = gate_rank(gate, helper);
	helper_free(helper);
	return rank;
}

/* A failure puts a user last, but not the network that knew the password; one
 * that asks out of turn is as any other. */
START_TEST(test_gate_ranks)
{
	struct ctl_admit_request request = { .user = "bob",
		.origin.address = "192.0.2.1" };
	struct helper *helper = helper_new(NULL, NULL, &request);
	struct gate *gate = gate_new();

	gate_configure(gate, config);
	ck_assert_int_eq(rank_from(gate, "192.0.2.1"), GATE_RANK_CLEAN);
	gate_begin(gate);
	gate_learn(gate, helper, OUTCOME_AUTH_FAILED);
	ck_assert_int_eq(rank_from(gate, "192.0.2.1"), GATE_RANK_FAILED);
	gate_begin(gate);
	gate_learn(gate, helper, OUTCOME_AUTHENTICATED);
	ck_assert_int_eq(rank_from(gate, "192.0.2.1"), GATE_RANK_KNOWN);
	ck_assert_int_eq(rank_from(gate, "192.0.2.2"), GATE_RANK_FAILED);
	for (unsigned i = 1; i < config->user_failures.n; i++) {
		ck_assert_int_eq(gate_lets_try(gate, helper), 1);
		gate_begin(gate);
		gate_learn(gate, helper, OUTCOME_AUTH_FAILED);
	}
	ck_assert_int_eq(rank_from(gate, "192.0.2.1"), GATE_RANK_KNOWN);
	ck_assert_int_eq(gate_lets_try(gate, helper), 0);
	ck_assert_int_eq(rank_from(gate, "192.0.2.1"), GATE_RANK_FAILED);
	gate_free(gate);
	helper_free(helper);
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("clients");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_failures_of_one_address);
	tcase_add_test(tcase, test_turn_is_given_once_a_delay);
	tcase_add_test(tcase, test_failures_of_ipv6_are_those_of_64);
	tcase_add_test(tcase, test_failures_of_48_may_be_eight_times_as_many);
	tcase_add_test(tcase, test_failures_outlive_who_counted_them);
	tcase_add_test(tcase, test_forget);
	tcase_add_test(tcase, test_memory_cannot_be_resized);
	tcase_add_loop_test(tcase, test_memory_may_hold_anything, 0, 2);
	tcase_add_loop_test(
	    tcase, test_trusted_clients_are_not_limited, 0, N_OF(trust_cases));
	tcase_add_test(tcase, test_sessions_are_counted_while_they_last);
	tcase_add_test(tcase, test_sessions_of_48_may_be_eight_times_as_many);
	tcase_add_test(tcase, test_nobody_gives_way_below_half);
	tcase_add_test(tcase, test_oldest_gives_way_always_when_full);
	tcase_add_test(tcase, test_lots_are_drawn_from_half_on);
	tcase_add_test(tcase, test_newcomer_does_not_give_way_to_itself);
	tcase_add_test(tcase, test_gate_slows_down_over_all_users);
	tcase_add_test(tcase, test_gate_ranks);
	return suite_run("clients", tcase);
}
