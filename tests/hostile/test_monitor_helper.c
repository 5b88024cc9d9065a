/*
 * The monitor's side of helpers, with a liar in a helper's place.
 */
#include <sys/socket.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/hostile/monitor_rig.h"
#include "tests/unit/suite.h"

#define A_MINUTE_MS 60000

static const struct abuse_string reason_strings[] = {
	{ offsetof(struct status_reason, reason), WIRE_DETAIL_SIZE },
};

static void
make_identity(void)
{
	const struct status_identity m = { .type = STATUS_IDENTITY,
		.known = (uint32_t)abuse_random() };

	abuse_set(&rig_message, &m, sizeof(m));
}

/* Phases that do not come after this one. */
static void
make_wrong_phase(uint32_t phase)
{
	abuse_make_phase(&rig_message,
	    abuse_below(2) == 0
		? abuse_below(phase + 1)
		: PHASE_CHANGE + 1 + (uint32_t)(abuse_random() >> 34));
}

static void
lie_about_status(uint32_t phase)
{
	static const uint32_t types[] = { CTL_LOAD, CTL_ADMIT_ANSWER, CTL_READY,
		CTL_ADMIT_REQUEST, CTL_EVENT, CTL_LISTED, CTL_FORGOTTEN,
		TXN_BEGIN, TXN_AUTH, TXN_CHANGE, TXN_ANSWER, STATUS_DIALOGUE };

	switch (abuse_below(5)) {
	case 0:
		make_wrong_phase(phase);
		break;
	case 1:
		abuse_misdirect(&rig_message, types, (size_t)N_OF(types));
		break;
	case 2:
		make_identity(); /* again */
		if (abuse_below(2) == 0)
			abuse_spoil(&rig_message, NULL, 0);
		break;
	case 3:
		abuse_make_phase(&rig_message, phase + 1);
		abuse_spoil(&rig_message, NULL, 0);
		break;
	default:
		abuse_make_reason(&rig_message);
		abuse_spoil(
		    &rig_message, reason_strings, (size_t)N_OF(reason_strings));
	}
}

/* Good messages of a helper; the phase that it says it is in. */
static uint32_t
speak_as_helper(void)
{
	uint32_t phase = PHASE_STARTING;

	make_identity();
	rig_send(rig.status);
	for (uint32_t i = abuse_below(RIG_STEPS_MAX); i > 0; i--) {
		if (phase < PHASE_CHANGE && abuse_below(2) == 0)
			abuse_make_phase(&rig_message, ++phase);
		else
			abuse_make_reason(&rig_message);
		rig_send(rig.status);
	}
	for (int i = 0; i < RIG_STEPS_MAX + 2; i++)
		rig_turn();
	return phase;
}

static void
live_as_helper(void)
{
	uint32_t phase;

	/* None of the helpers before slows this one down. */
	rig_seen.now_ms += A_MINUTE_MS;
	rig_make_request();
	helper_pool_admit(rig.pool, rig.worker, (void *)rig_message.bytes);
	ck_assert_uint_eq(helper_pool_running(rig.pool), 1);
	rig.status = rig_take_far_end(0);
	rig_seen.n_trees_killed = 0;
	phase = speak_as_helper();
	ck_assert_int_eq(rig_seen.n_trees_killed, 0);
	lie_about_status(phase);
	rig_send(rig.status);
	rig_turn();
	/* One without bytes is the end of the helper's talking, no lie. */
	ck_assert_int_eq(rig_seen.n_trees_killed, rig_message.len == 0 ? 0 : 1);
	abuse_make_reason(&rig_message);
	rig_send(rig.status);
	rig_turn();
	rig_end_helpers();
	rig_drain(rig.control);
	(void)close(rig.status);
}

START_TEST(test_helper_lies)
{
	const uint64_t n = abuse_count(20000) / 4;
	uint64_t n_lives = 0;
	size_t memory;
	int n_fds;

	rig_begin();
	/* Or it has ten seconds. */
	rig_make_ready();
	rig_send(rig.control);
	rig_turn();
	live_as_helper();
	n_fds = abuse_count_fds();
	memory = rig_memory_in_use();
	for (rig.n_messages = 0; rig.n_messages < n; n_lives++)
		live_as_helper();
	(void)printf("%ju messages, %ju helpers killed\n",
	    (uintmax_t)rig.n_messages, (uintmax_t)n_lives);
	ck_assert_int_eq(abuse_count_fds(), n_fds);
	ck_assert_uint_le(rig_memory_in_use(), memory + RIG_MEMORY_SLOP);
	ck_assert_int_eq(rig_seen.n_killed, 0);
	rig_end();
}
END_TEST

/* What a helper left behind holds its socket and fills it as fast as it is
 * emptied. */
START_TEST(test_helper_is_dead_and_talks)
{
	pid_t talker;

	rig_begin();
	rig_make_request();
	helper_pool_admit(rig.pool, rig.worker, (void *)rig_message.bytes);
	rig.status = rig_take_far_end(0);
	talker = fork();
	ck_assert_int_ne(talker, -1);
	if (talker == 0) {
		abuse_make_reason(&rig_message);
		while (abuse_send(rig.status, &rig_message) == 0)
			continue;
		_exit(0);
	}
	(void)close(rig.status);
	rig_end_helpers();
	ck_assert_uint_eq(helper_pool_running(rig.pool), 0);
	rig_end();
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("monitor_helper");

	tcase_set_timeout(tcase, 1200);
	tcase_add_checked_fixture(tcase, rig_setup, rig_teardown);
	tcase_add_test(tcase, test_helper_lies);
	tcase_add_test(tcase, test_helper_is_dead_and_talks);
	return suite_run("monitor_helper", tcase);
}
