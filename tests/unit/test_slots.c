/* Run slots: first come, first served. */
#include "daemon/slots.h"

#include <string.h>

#include "tests/unit/suite.h"

#define N_CLAIMS 5

static struct slots slots;
static struct slot_claim claims[N_CLAIMS];
static int order[N_CLAIMS];
static int n_granted;

static void
on_granted(void *context)
{
	const struct slot_claim *claim = context;

	order[n_granted++] = (int)(claim - claims);
}

static void
setup(void)
{
	memset(claims, 0, sizeof(claims));
	for (int i = 0; i < N_CLAIMS; i++) {
		claims[i].granted = on_granted;
		claims[i].context = &claims[i];
	}
	n_granted = 0;
	slots_init(&slots, 2);
}

static void
claim_all(void)
{
	for (int i = 0; i < N_CLAIMS; i++)
		slots_claim(&slots, &claims[i]);
}

START_TEST(test_claim_grants_what_is_free)
{
	claim_all();
	ck_assert_int_eq(n_granted, 2);
	ck_assert_int_eq(claims[1].state, SLOT_HELD);
	ck_assert_int_eq(claims[2].state, SLOT_WAITING);
}
END_TEST

START_TEST(test_release_grants_in_order)
{
	claim_all();
	slots_release(&slots, &claims[1]);
	slots_release(&slots, &claims[0]);
	ck_assert_int_eq(n_granted, 4);
	ck_assert_int_eq(order[2], 2);
	ck_assert_int_eq(order[3], 3);
	ck_assert_int_eq(claims[0].state, SLOT_NONE);
}
END_TEST

START_TEST(test_release_of_a_waiting_claim_leaves_the_queue)
{
	claim_all();
	slots_release(&slots, &claims[2]);
	slots_release(&slots, &claims[0]);
	ck_assert_int_eq(n_granted, 3);
	ck_assert_int_eq(order[2], 3);
}
END_TEST

START_TEST(test_release_of_nothing_gives_no_slot)
{
	slots_release(&slots, &claims[0]);
	slots_release(&slots, &claims[0]);
	claim_all();
	ck_assert_int_eq(n_granted, 2);
}
END_TEST

START_TEST(test_release_makes_slots_free_again)
{
	claim_all();
	for (int i = 0; i < N_CLAIMS; i++)
		slots_release(&slots, &claims[i]);
	ck_assert_int_eq(n_granted, N_CLAIMS);
	n_granted = 0;
	claim_all();
	ck_assert_int_eq(n_granted, 2);
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("slots");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, test_claim_grants_what_is_free);
	tcase_add_test(tcase, test_release_grants_in_order);
	tcase_add_test(tcase, test_release_of_a_waiting_claim_leaves_the_queue);
	tcase_add_test(tcase, test_release_of_nothing_gives_no_slot);
	tcase_add_test(tcase, test_release_makes_slots_free_again);
	return suite_run("slots", tcase);
}
