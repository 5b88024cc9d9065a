/*
 * The monitor's side of net, with a liar in net's place.
 */
#include <sys/socket.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/summary.h"
#include "tests/hostile/monitor_rig.h"
#include "tests/unit/suite.h"

static const struct abuse_string event_strings[] = {
	{ offsetof(struct ctl_event, origin.address), WIRE_ADDRESS_SIZE },
	{ offsetof(struct ctl_event, origin.listener), WIRE_LISTENER_SIZE },
	{ offsetof(struct ctl_event, origin.tls), WIRE_TLS_SIZE },
	{ offsetof(struct ctl_event, origin.proxy), WIRE_ADDRESS_SIZE },
	{ offsetof(struct ctl_event, origin.certificate), WIRE_SUBJECT_SIZE },
	{ offsetof(struct ctl_event, detail), WIRE_DETAIL_SIZE },
};

static const struct abuse_string request_strings[] = {
	{ offsetof(struct ctl_admit_request, origin.address),
	    WIRE_ADDRESS_SIZE },
	{ offsetof(struct ctl_admit_request, origin.listener),
	    WIRE_LISTENER_SIZE },
	{ offsetof(struct ctl_admit_request, origin.tls), WIRE_TLS_SIZE },
	{ offsetof(struct ctl_admit_request, origin.proxy), WIRE_ADDRESS_SIZE },
	{ offsetof(struct ctl_admit_request, origin.certificate),
	    WIRE_SUBJECT_SIZE },
	{ offsetof(struct ctl_admit_request, user), WIRE_USER_SIZE },
};

static void
make_event(void)
{
	struct ctl_event m;

	memset(&m, 0, sizeof(m));
	m.type = CTL_EVENT;
	m.event = NET_EVENT_CLEAR_REFUSED + abuse_below(NET_EVENT_NOTE);
	rig_make_origin(&m.origin);
	abuse_name(m.detail, sizeof(m.detail));
	abuse_set(&rig_message, &m, sizeof(m));
}

static void
make_listed(void)
{
	static struct ctl_listed m;

	memset(&m, 0, sizeof(m));
	m.type = CTL_LISTED;
	m.n = abuse_below(WIRE_SESSIONS_MAX + 1);
	m.cookie = abuse_random();
	m.next = abuse_below(100);
	for (uint32_t i = 0; i < m.n; i++) {
		rig_make_origin(&m.sessions[i].origin);
		abuse_name(m.sessions[i].state, sizeof(m.sessions[i].state));
	}
	abuse_set(&rig_message, &m, sizeof(m));
}

static void
make_forgotten(void)
{
	const struct ctl_forgotten m = { .type = CTL_FORGOTTEN,
		.found = abuse_below(3),
		.cookie = abuse_random() };

	abuse_set(&rig_message, &m, sizeof(m));
}

static void
make_keys_lost(void)
{
	const struct ctl_order m = { .type = CTL_KEYS_LOST };

	abuse_set(&rig_message, &m, sizeof(m));
}

/* An answer that nobody may have asked for. */
static void
answer(void)
{
	static void (*const makers[])(
	    void) = { make_listed, make_forgotten, make_keys_lost };
	int n = rig.n_listed;

	makers[abuse_below((uint32_t)N_OF(makers))]();
	rig_send(rig.control);
	rig_turn();
	ck_assert_int_eq(rig.n_listed, n + 1);
}

/* A good message of a net that serves; what it asks for is what is asked of the
 * pool. */
static void
behave(void)
{
	int n = rig.n_admitted;

	if (abuse_below(8) == 0) {
		answer();
		return;
	}
	if (abuse_below(3) != 0) {
		make_event();
		rig_send(rig.control);
		rig_turn();
		return;
	}
	rig_make_request();
	rig_send(rig.control);
	rig_turn();
	ck_assert_int_eq(rig.n_admitted, n + 1);
	ck_assert_int_eq(
	    memcmp(&rig.last, rig_message.bytes, sizeof(rig.last)), 0);
	ck_assert_uint_le(helper_pool_running(rig.pool), 4);
	rig_drain(rig.control);
	rig_end_helpers();
}

/* What is the monitor's or a helper's to say, or not the time for. */
static void
misdirect(int is_serving)
{
	static const uint32_t types[] = { CTL_LOAD, CTL_ADMIT_ANSWER, CTL_DRAIN,
		CTL_STOP, CTL_LIST, CTL_FORGET, TXN_BEGIN, TXN_AUTH, TXN_CHANGE,
		TXN_ANSWER, STATUS_IDENTITY, STATUS_PHASE, STATUS_DIALOGUE,
		STATUS_REASON };

	if (abuse_below(2) == 0)
		abuse_misdirect(&rig_message, types, (size_t)N_OF(types));
	else if (is_serving)
		rig_make_ready();
	else if (abuse_below(2) == 0)
		make_keys_lost();
	else
		rig_make_request();
}

static void
forge_address(void)
{
	static const char *const forged[] = { "", "192.0.2.1;reboot #",
		"nowhere", "192.0.2.0/24", "unix:/run/webmail.sock",
		"fe80::1%eth0" };
	struct ctl_admit_request *m = (void *)rig_message.bytes;
	const char *address = forged[abuse_below((uint32_t)N_OF(forged))];

	rig_make_request();
	wire_string_set(m->origin.address, sizeof(m->origin.address), address);
}

static void
forge_proxy(void)
{
	struct ctl_admit_request *m = (void *)rig_message.bytes;

	rig_make_request();
	wire_string_set(
	    m->origin.proxy, sizeof(m->origin.proxy), "peer=192.0.2.1");
}

static void
name_nobody(void)
{
	struct ctl_admit_request *m = (void *)rig_message.bytes;

	rig_make_request();
	memset(m->user, 0, sizeof(m->user));
}

static void
name_no_event(void)
{
	struct ctl_event *m = (void *)rig_message.bytes;

	make_event();
	m->event = abuse_below(2) == 0 ? 0 : NET_EVENT_NOTE + 1;
}

/* More sessions than it holds, or one that is told of without an end. */
static void
forge_listed(void)
{
	struct ctl_listed *m = (void *)rig_message.bytes;

	make_listed();
	m->n = WIRE_SESSIONS_MAX + 1 + (uint32_t)(abuse_random() >> 34);
	if (abuse_below(2) == 0)
		return;
	m->n = 1;
	rig_make_origin(&m->sessions[0].origin);
	memset(m->sessions[0].state, 'A', sizeof(m->sessions[0].state));
}

static void
misbehave(int is_serving)
{
	switch (abuse_below(11)) {
	case 0:
	case 1:
		misdirect(is_serving);
		break;
	case 2:
		forge_address();
		break;
	case 3:
		name_nobody();
		break;
	case 4:
		name_no_event();
		break;
	case 5:
		make_event();
		abuse_spoil(
		    &rig_message, event_strings, (size_t)N_OF(event_strings));
		break;
	case 6:
		rig_make_ready();
		abuse_spoil(&rig_message, NULL, 0);
		break;
	case 7:
		forge_proxy();
		break;
	case 8:
		forge_listed();
		break;
	case 9:
		make_forgotten();
		abuse_spoil(&rig_message, NULL, 0);
		break;
	default:
		rig_make_request();
		abuse_spoil(&rig_message, request_strings,
		    (size_t)N_OF(request_strings));
	}
	rig_send(rig.control);
	rig_turn();
}

/* One net: good messages, a bad one, and then what nobody may hear any more. */
static void
live(void)
{
	int is_serving = abuse_below(8) != 0;
	uint32_t n_steps = abuse_below(RIG_STEPS_MAX);
	int n_admitted;

	rig_begin();
	if (is_serving) {
		rig_make_ready();
		rig_send(rig.control);
		rig_turn();
		ck_assert_int_eq(worker_is_serving(rig.worker), 1);
		for (uint32_t i = 0; i < n_steps; i++)
			behave();
	}
	ck_assert_int_eq(rig_seen.n_killed, 0);
	n_admitted = rig.n_admitted;
	misbehave(is_serving);
	ck_assert_int_eq(rig_seen.n_killed, 1);
	rig_make_request();
	rig_send(rig.control);
	rig_turn();
	ck_assert_int_eq(rig.n_admitted, n_admitted);
	ck_assert_int_eq(rig.n_ready, is_serving);
	ck_assert_int_eq(rig_seen.n_killed, 1);
	rig_end();
}

START_TEST(test_net_lies)
{
	const uint64_t n = abuse_count(20000);
	uint64_t n_lives = 0;
	size_t memory;
	int n_fds;

	live();
	n_fds = abuse_count_fds();
	memory = rig_memory_in_use();
	for (rig.n_messages = 0; rig.n_messages < n; n_lives++)
		live();
	(void)printf("%ju messages, %ju nets killed\n",
	    (uintmax_t)rig.n_messages, (uintmax_t)n_lives);
	ck_assert_int_eq(abuse_count_fds(), n_fds);
	ck_assert_uint_le(rig_memory_in_use(), memory + RIG_MEMORY_SLOP);
}
END_TEST

/* It asks and asks, and reads no answer: killed once, and then nothing is sent
 * that could block again, though the socket is still open. */
START_TEST(test_net_does_not_read)
{
	rig_begin();
	rig_make_ready();
	rig_send(rig.control);
	rig_turn();
	while (rig_seen.n_killed == 0)
		worker_answer(rig.worker, 1, ADMISSION_BUSY, -1);
	for (int i = 0; i < 1000; i++)
		worker_answer(rig.worker, 1, ADMISSION_BUSY, -1);
	ck_assert_int_eq(rig_seen.n_killed, 1);
	rig_end();
}
END_TEST

/* It closes its end and lives on. */
START_TEST(test_net_hangs_up)
{
	rig_begin();
	(void)close(rig.control);
	rig_turn();
	ck_assert_int_eq(rig_seen.n_killed, 1);
	rig_end();
}
END_TEST

/* One that is told to leave before it is ready is killed, and what it has said
 * meanwhile comes to nothing. */
START_TEST(test_net_is_ready_too_late)
{
	rig_begin();
	worker_order(rig.worker, CTL_DRAIN);
	ck_assert_int_eq(rig_seen.n_killed, 1);
	rig_make_ready();
	rig_send(rig.control);
	rig_turn();
	ck_assert_int_eq(rig.n_ready, 0);
	ck_assert_int_eq(worker_is_serving(rig.worker), 0);
	rig_end();
}
END_TEST

/* It could have the service manager told as often as it likes. */
START_TEST(test_net_lives_unasked)
{
	const struct ctl_order pong = { .type = CTL_PONG };

	rig_begin();
	rig_make_ready();
	rig_send(rig.control);
	rig_turn();
	ck_assert_int_eq(rig.n_ready, 1);
	abuse_set(&rig_message, &pong, sizeof(pong));
	for (int i = 0; i < 100; i++) {
		rig_send(rig.control);
		rig_turn();
	}
	ck_assert_int_eq(rig.n_alive, 0);
	ck_assert_int_eq(rig_seen.n_killed, 0);
	rig_end();
}
END_TEST

/* A net has its share of the log, which no number of messages makes larger. */
START_TEST(test_net_floods_the_log)
{
	const int share = 1000;

	rig_begin();
	for (int i = 0; i < 3 * share; i++) {
		make_event();
		rig_send(rig.control);
		rig_turn();
	}
	ck_assert_int_eq(rig_seen.n_lines, share);
	rig_seen.now_ms += SUMMARY_EVERY_MS;
	make_event();
	rig_send(rig.control);
	rig_turn();
	ck_assert_int_eq(rig_seen.n_lines, share + 1);
	ck_assert_int_eq(rig_seen.n_killed, 0);
	rig_end();
}
END_TEST

#define N_WAITING 1024

/* Asks for a user of this number, which is the cookie as well. */
static void
ask_for(unsigned number)
{
	struct ctl_admit_request m = { .type = CTL_ADMIT_REQUEST,
		.cookie = number };

	wire_string_set(
	    m.origin.address, sizeof(m.origin.address), "192.0.2.1");
	(void)snprintf(m.user, sizeof(m.user), "user%u", number);
	helper_pool_admit(rig.pool, rig.worker, &m);
}

static void
expect_answer(unsigned number, enum admission admission)
{
	struct ctl_admit_answer m;
	int fd = -1;
	size_t len;

	ck_assert_int_eq(
	    wire_recv(rig.control, &m, sizeof(m), &len, &fd), WIRE_OK);
	ck_assert_uint_eq(m.cookie, number);
	ck_assert_uint_eq(m.admission, admission);
	if (fd != -1)
		(void)close(fd);
}

static void
end_last_helper(enum outcome outcome)
{
	ck_assert_int_eq(
	    helper_pool_reaped(rig.pool, rig_seen.last_pid, (int)outcome << 8),
	    1);
}

/* Whatever net asks for, so many wait and no more. Only who goes before others
 * takes the place of one, the last that came, and then is the next. */
START_TEST(test_queue_has_an_end)
{
	const unsigned n_running = rig.config->max_helpers;
	const unsigned owner = 1;
	const unsigned last = owner + n_running + N_WAITING;

	rig_begin();
	/* What is to be answered has been when the pool returns. */
	ck_assert_int_eq(fcntl(rig.control, F_SETFL, O_NONBLOCK), 0);
	ask_for(owner);
	expect_answer(owner, ADMISSION_GRANTED);
	end_last_helper(OUTCOME_AUTHENTICATED);
	for (unsigned i = owner + 1; i <= owner + n_running; i++) {
		ask_for(i);
		expect_answer(i, ADMISSION_GRANTED);
	}
	for (unsigned i = owner + n_running + 1; i <= last; i++)
		ask_for(i);
	ck_assert_uint_eq(helper_pool_waiting(rig.pool), N_WAITING);
	ask_for(last + 1);
	expect_answer(last + 1, ADMISSION_BUSY);
	ask_for(owner);
	expect_answer(last, ADMISSION_BUSY);
	ck_assert_uint_eq(helper_pool_waiting(rig.pool), N_WAITING);
	end_last_helper(OUTCOME_CHANGED);
	expect_answer(owner, ADMISSION_GRANTED);
	helper_pool_forget(rig.pool, rig.worker);
	ck_assert_uint_eq(helper_pool_waiting(rig.pool), 0);
	rig_end_helpers();
	rig_end();
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("monitor");

	tcase_set_timeout(tcase, 1200);
	tcase_add_checked_fixture(tcase, rig_setup, rig_teardown);
	tcase_add_test(tcase, test_net_lies);
	tcase_add_test(tcase, test_net_does_not_read);
	tcase_add_test(tcase, test_net_hangs_up);
	tcase_add_test(tcase, test_net_is_ready_too_late);
	tcase_add_test(tcase, test_net_lives_unasked);
	tcase_add_test(tcase, test_net_floods_the_log);
	tcase_add_test(tcase, test_queue_has_an_end);
	return suite_run("monitor", tcase);
}
