/*
 * The monitor's side of net and of helpers, with a liar at the other end of
 * both sockets. The real objects in one process: what they would fork is a
 * number, and what they would kill is counted.
 */
#include <sys/socket.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/helper_pool.h"
#include "daemon/process_tree.h"
#include "daemon/worker.h"
#include "tests/hostile/abuse.h"
#include "tests/unit/suite.h"

#define FIRST_PID   0x40000000 /* no kernel gives such a number */
#define STEPS_MAX   8
#define MEMORY_SLOP (64 * 1024)

static const char config_text[] =
    "listen 127.0.0.1:1 tls=implicit\ntls-certificate /none\nuser nobody\n"
    "max-helpers 4\n";

#define A_MINUTE_MS 60000

/* What the wrapped functions saw, and see. */
static struct {
	pid_t last_pid;
	int far_end[2]; /* of the two pairs that were made last, the later first
	                 */
	int n_killed;
	int n_trees_killed;
	int n_lines;
	uint64_t now_ms;
} seen;

static struct {
	struct event_base *base;
	struct config *config;
	struct tls_files *files;
	struct listen_set *listens;
	struct worker *worker;
	struct helper_pool *pool;
	struct ctl_admit_request last; /* that was let through */
	int control;                   /* the liar's end */
	int status;
	int n_ready;
	int n_alive;
	int n_admitted;
	int n_listed; /* or forgotten, or without keys */
	uint64_t n_messages;
} now;

pid_t __wrap_process_fork(void);
int __wrap_kill(pid_t pid, int signal);
void __wrap_process_tree_kill(pid_t root);
void __wrap_log_message(enum log_level level, const char *format, ...);
void __wrap_log_event(
    enum log_level level, const char *event, const struct log_subject *subject);
uint64_t __wrap_clock_now_ms(void);
int __wrap_wire_pair(int fd[2]);
int __real_wire_pair(int fd[2]);

pid_t
__wrap_process_fork(void)
{
	return ++seen.last_pid;
}

int
__wrap_kill(pid_t pid, int signal)
{
	ck_assert_int_gt(pid, FIRST_PID);
	ck_assert_int_eq(signal, SIGKILL);
	/* A keeper, whose net has ended. */
	if (now.worker != NULL && pid == worker_keeper_pid(now.worker))
		return 0;
	seen.n_killed++;
	return 0;
}

void
__wrap_process_tree_kill(pid_t root)
{
	ck_assert_int_eq(root, seen.last_pid);
	seen.n_trees_killed++;
}

void
__wrap_log_message(enum log_level level, const char *format, ...)
{
	(void)level;
	(void)format;
	seen.n_lines++;
}

void
__wrap_log_event(
    enum log_level level, const char *event, const struct log_subject *subject)
{
	(void)level;
	(void)event;
	(void)subject;
	seen.n_lines++;
}

uint64_t
__wrap_clock_now_ms(void)
{
	return seen.now_ms;
}

int
__wrap_wire_pair(int fd[2])
{
	int result = __real_wire_pair(fd);

	ck_assert_int_eq(result, 0);
	if (seen.far_end[1] != -1)
		(void)close(seen.far_end[1]);
	seen.far_end[1] = seen.far_end[0];
	seen.far_end[0] = fcntl(fd[1], F_DUPFD_CLOEXEC, 0);
	return result;
}

static struct abuse_message message;

static void
on_ready(void *context, struct worker *worker)
{
	ck_assert_ptr_null(context);
	ck_assert_ptr_nonnull(worker);
	now.n_ready++;
}

static void
on_alive(void *context, struct worker *worker)
{
	ck_assert_ptr_null(context);
	ck_assert_ptr_nonnull(worker);
	now.n_alive++;
}

static void
on_spent(void *context, struct worker *worker)
{
	ck_assert_ptr_null(context);
	ck_assert_ptr_nonnull(worker);
	now.n_listed++;
}

static void
on_admit(void *context, struct worker *worker,
    const struct ctl_admit_request *request)
{
	ck_assert_ptr_null(context);
	now.last = *request;
	now.n_admitted++;
	helper_pool_admit(now.pool, worker, request);
}

static void
on_listed(void *context, struct worker *worker, const struct ctl_listed *listed)
{
	ck_assert_ptr_null(context);
	ck_assert_ptr_nonnull(worker);
	ck_assert_uint_le(listed->n, WIRE_SESSIONS_MAX);
	now.n_listed++;
}

static void
on_forgotten(
    void *context, struct worker *worker, const struct ctl_forgotten *forgotten)
{
	ck_assert_ptr_null(context);
	ck_assert_ptr_nonnull(worker);
	ck_assert_ptr_nonnull(forgotten);
	now.n_listed++;
}

static const struct worker_callbacks callbacks = { .ready = on_ready,
	.alive = on_alive,
	.spent = on_spent,
	.admit = on_admit,
	.listed = on_listed,
	.forgotten = on_forgotten };

static void
turn(void)
{
	(void)event_base_loop(now.base, EVLOOP_NONBLOCK);
}

static int
take_far_end(int i)
{
	int fd = seen.far_end[i];

	seen.far_end[i] = -1;
	return fd;
}

static void
drain(int fd)
{
	static uint64_t buf[WIRE_MESSAGE_MAX / sizeof(uint64_t)];

	while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		continue;
}

static void
begin_life(void)
{
	memset(&now.last, 0, sizeof(now.last));
	now.n_ready = now.n_alive = now.n_admitted = 0;
	seen.n_killed = seen.n_trees_killed = seen.n_lines = 0;
	now.worker = worker_start(
	    now.base, now.config, now.files, now.listens, -1, &callbacks, NULL);
	ck_assert_ptr_nonnull(now.worker);
	now.control = take_far_end(0);
	drain(now.control);
}

static void
end_life(void)
{
	helper_pool_forget(now.pool, now.worker);
	worker_free(now.worker);
	now.worker = NULL;
	(void)close(now.control);
	for (int i = 0; i < 2; i++) {
		int fd = take_far_end(i);

		if (fd != -1)
			(void)close(fd);
	}
}

static void
setup(void)
{
	struct config_errors errors = { .out = stderr };

	seen.last_pid = FIRST_PID;
	seen.far_end[0] = seen.far_end[1] = -1;
	now.base = event_base_new();
	now.config =
	    config_parse("text", config_text, sizeof(config_text) - 1, &errors);
	ck_assert_ptr_nonnull(now.config);
	now.config->n_pairs = now.config->n_listens = 0;
	now.files = tls_files_load(now.config, &errors);
	now.listens = listen_set_open(now.config, NULL, &errors);
	now.pool = helper_pool_new(now.base);
	helper_pool_configure(now.pool, now.config);
	abuse_start();
}

static void
teardown(void)
{
	helper_pool_free(now.pool);
	listen_set_free(now.listens);
	tls_files_free(now.files);
	event_base_free(now.base);
}

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
make_origin(struct wire_origin *origin)
{
	memset(origin, 0, sizeof(*origin));
	wire_string_set(
	    origin->address, sizeof(origin->address), "2001:db8::1");
	abuse_name(origin->listener, sizeof(origin->listener));
	abuse_name(origin->tls, sizeof(origin->tls));
	wire_string_set(origin->proxy, sizeof(origin->proxy), "192.0.2.7");
	abuse_name(origin->certificate, sizeof(origin->certificate));
	origin->port = (uint16_t)abuse_random();
}

static void
make_event(void)
{
	struct ctl_event m;

	memset(&m, 0, sizeof(m));
	m.type = CTL_EVENT;
	m.event = NET_EVENT_CLEAR_REFUSED + abuse_below(NET_EVENT_NOTE);
	make_origin(&m.origin);
	abuse_name(m.detail, sizeof(m.detail));
	abuse_set(&message, &m, sizeof(m));
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
		make_origin(&m.sessions[i].origin);
		abuse_name(m.sessions[i].state, sizeof(m.sessions[i].state));
	}
	abuse_set(&message, &m, sizeof(m));
}

static void
make_forgotten(void)
{
	const struct ctl_forgotten m = { .type = CTL_FORGOTTEN,
		.found = abuse_below(3),
		.cookie = abuse_random() };

	abuse_set(&message, &m, sizeof(m));
}

static void
make_request(void)
{
	struct ctl_admit_request m;

	memset(&m, 0, sizeof(m));
	m.type = CTL_ADMIT_REQUEST;
	m.cookie = abuse_random();
	make_origin(&m.origin);
	abuse_name(m.user, sizeof(m.user));
	abuse_set(&message, &m, sizeof(m));
}

static void
make_keys_lost(void)
{
	const struct ctl_order m = { .type = CTL_KEYS_LOST };

	abuse_set(&message, &m, sizeof(m));
}

static void
make_ready(void)
{
	const struct ctl_order m = { .type = CTL_READY };

	abuse_set(&message, &m, sizeof(m));
}

static void
send_on(int fd)
{
	ck_assert_int_eq(abuse_send(fd, &message), 0);
	now.n_messages++;
}

/* Every helper that runs ends, in some way. */
static void
end_helpers(void)
{
	static const int statuses[] = { OUTCOME_CHANGED << 8,
		OUTCOME_AUTH_FAILED << 8, SIGKILL, 0, 1 << 8, 255 << 8 };

	while (helper_pool_running(now.pool) > 0) {
		pid_t pid = seen.last_pid;

		while (!helper_pool_owns(now.pool, pid))
			pid--;
		ck_assert_int_eq(helper_pool_reaped(now.pool, pid,
				     statuses[abuse_below(N_OF(statuses))]),
		    1);
	}
}

/* An answer that nobody may have asked for. */
static void
answer(void)
{
	static void (*const makers[])(
	    void) = { make_listed, make_forgotten, make_keys_lost };
	int n = now.n_listed;

	makers[abuse_below((uint32_t)N_OF(makers))]();
	send_on(now.control);
	turn();
	ck_assert_int_eq(now.n_listed, n + 1);
}

/* A good message of a net that serves; what it asks for is what is asked of the
 * pool. */
static void
behave(void)
{
	int n = now.n_admitted;

	if (abuse_below(8) == 0) {
		answer();
		return;
	}
	if (abuse_below(3) != 0) {
		make_event();
		send_on(now.control);
		turn();
		return;
	}
	make_request();
	send_on(now.control);
	turn();
	ck_assert_int_eq(now.n_admitted, n + 1);
	ck_assert_int_eq(memcmp(&now.last, message.bytes, sizeof(now.last)), 0);
	ck_assert_uint_le(helper_pool_running(now.pool), 4);
	drain(now.control);
	end_helpers();
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
		abuse_misdirect(&message, types, (size_t)N_OF(types));
	else if (is_serving)
		make_ready();
	else if (abuse_below(2) == 0)
		make_keys_lost();
	else
		make_request();
}

static void
forge_address(void)
{
	static const char *const forged[] = { "", "192.0.2.1;reboot #",
		"nowhere", "192.0.2.0/24", "unix:/run/webmail.sock",
		"fe80::1%eth0" };
	struct ctl_admit_request *m = (void *)message.bytes;
	const char *address = forged[abuse_below((uint32_t)N_OF(forged))];

	make_request();
	wire_string_set(m->origin.address, sizeof(m->origin.address), address);
}

static void
forge_proxy(void)
{
	struct ctl_admit_request *m = (void *)message.bytes;

	make_request();
	wire_string_set(
	    m->origin.proxy, sizeof(m->origin.proxy), "peer=192.0.2.1");
}

static void
name_nobody(void)
{
	struct ctl_admit_request *m = (void *)message.bytes;

	make_request();
	memset(m->user, 0, sizeof(m->user));
}

static void
name_no_event(void)
{
	struct ctl_event *m = (void *)message.bytes;

	make_event();
	m->event = abuse_below(2) == 0 ? 0 : NET_EVENT_NOTE + 1;
}

/* More sessions than it holds, or one that is told of without an end. */
static void
forge_listed(void)
{
	struct ctl_listed *m = (void *)message.bytes;

	make_listed();
	m->n = WIRE_SESSIONS_MAX + 1 + (uint32_t)(abuse_random() >> 34);
	if (abuse_below(2) == 0)
		return;
	m->n = 1;
	make_origin(&m->sessions[0].origin);
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
		    &message, event_strings, (size_t)N_OF(event_strings));
		break;
	case 6:
		make_ready();
		abuse_spoil(&message, NULL, 0);
		break;
	case 7:
		forge_proxy();
		break;
	case 8:
		forge_listed();
		break;
	case 9:
		make_forgotten();
		abuse_spoil(&message, NULL, 0);
		break;
	default:
		make_request();
		abuse_spoil(
		    &message, request_strings, (size_t)N_OF(request_strings));
	}
	send_on(now.control);
	turn();
}

/* One net: good messages, a bad one, and then what nobody may hear any more. */
static void
live(void)
{
	int is_serving = abuse_below(8) != 0;
	uint32_t n_steps = abuse_below(STEPS_MAX);
	int n_admitted;

	begin_life();
	if (is_serving) {
		make_ready();
		send_on(now.control);
		turn();
		ck_assert_int_eq(worker_is_serving(now.worker), 1);
		for (uint32_t i = 0; i < n_steps; i++)
			behave();
	}
	ck_assert_int_eq(seen.n_killed, 0);
	n_admitted = now.n_admitted;
	misbehave(is_serving);
	ck_assert_int_eq(seen.n_killed, 1);
	make_request();
	send_on(now.control);
	turn();
	ck_assert_int_eq(now.n_admitted, n_admitted);
	ck_assert_int_eq(now.n_ready, is_serving);
	ck_assert_int_eq(seen.n_killed, 1);
	end_life();
}

static size_t
memory_in_use(void)
{
	return mallinfo2().uordblks;
}

START_TEST(test_net_lies)
{
	const uint64_t n = abuse_count(20000);
	uint64_t n_lives = 0;
	size_t memory;
	int n_fds;

	live();
	n_fds = abuse_count_fds();
	memory = memory_in_use();
	for (now.n_messages = 0; now.n_messages < n; n_lives++)
		live();
	(void)printf("%ju messages, %ju nets killed\n",
	    (uintmax_t)now.n_messages, (uintmax_t)n_lives);
	ck_assert_int_eq(abuse_count_fds(), n_fds);
	ck_assert_uint_le(memory_in_use(), memory + MEMORY_SLOP);
}
END_TEST

static const struct abuse_string reason_strings[] = {
	{ offsetof(struct status_reason, reason), WIRE_DETAIL_SIZE },
};

static void
make_identity(void)
{
	const struct status_identity m = { .type = STATUS_IDENTITY,
		.known = (uint32_t)abuse_random() };

	abuse_set(&message, &m, sizeof(m));
}

static void
make_phase(uint32_t phase)
{
	const struct status_phase m = { .type = STATUS_PHASE, .phase = phase };

	abuse_set(&message, &m, sizeof(m));
}

static void
make_reason(void)
{
	struct status_reason m = { .type = STATUS_REASON };

	abuse_name(m.reason, sizeof(m.reason));
	abuse_set(&message, &m, sizeof(m));
}

/* Phases that do not come after this one. */
static void
make_wrong_phase(uint32_t phase)
{
	make_phase(abuse_below(2) == 0
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
		abuse_misdirect(&message, types, (size_t)N_OF(types));
		break;
	case 2:
		make_identity(); /* again */
		if (abuse_below(2) == 0)
			abuse_spoil(&message, NULL, 0);
		break;
	case 3:
		make_phase(phase + 1);
		abuse_spoil(&message, NULL, 0);
		break;
	default:
		make_reason();
		abuse_spoil(
		    &message, reason_strings, (size_t)N_OF(reason_strings));
	}
}

/* Good messages of a helper; the phase that it says it is in. */
static uint32_t
speak_as_helper(void)
{
	uint32_t phase = PHASE_STARTING;

	make_identity();
	send_on(now.status);
	for (uint32_t i = abuse_below(STEPS_MAX); i > 0; i--) {
		if (phase < PHASE_CHANGE && abuse_below(2) == 0)
			make_phase(++phase);
		else
			make_reason();
		send_on(now.status);
	}
	for (int i = 0; i < STEPS_MAX + 2; i++)
		turn();
	return phase;
}

static void
live_as_helper(void)
{
	uint32_t phase;

	/* None of the helpers before slows this one down. */
	seen.now_ms += A_MINUTE_MS;
	make_request();
	helper_pool_admit(now.pool, now.worker, (void *)message.bytes);
	ck_assert_uint_eq(helper_pool_running(now.pool), 1);
	now.status = take_far_end(0);
	seen.n_trees_killed = 0;
	phase = speak_as_helper();
	ck_assert_int_eq(seen.n_trees_killed, 0);
	lie_about_status(phase);
	send_on(now.status);
	turn();
	/* One without bytes is the end of the helper's talking, no lie. */
	ck_assert_int_eq(seen.n_trees_killed, message.len == 0 ? 0 : 1);
	make_reason();
	send_on(now.status);
	turn();
	end_helpers();
	drain(now.control);
	(void)close(now.status);
}

START_TEST(test_helper_lies)
{
	const uint64_t n = abuse_count(20000) / 4;
	uint64_t n_lives = 0;
	size_t memory;
	int n_fds;

	begin_life();
	/* Or it has ten seconds. */
	make_ready();
	send_on(now.control);
	turn();
	live_as_helper();
	n_fds = abuse_count_fds();
	memory = memory_in_use();
	for (now.n_messages = 0; now.n_messages < n; n_lives++)
		live_as_helper();
	(void)printf("%ju messages, %ju helpers killed\n",
	    (uintmax_t)now.n_messages, (uintmax_t)n_lives);
	ck_assert_int_eq(abuse_count_fds(), n_fds);
	ck_assert_uint_le(memory_in_use(), memory + MEMORY_SLOP);
	ck_assert_int_eq(seen.n_killed, 0);
	end_life();
}
END_TEST

/* What a helper left behind holds its socket and fills it as fast as it is
 * emptied. */
START_TEST(test_helper_is_dead_and_talks)
{
	pid_t talker;

	begin_life();
	make_request();
	helper_pool_admit(now.pool, now.worker, (void *)message.bytes);
	now.status = take_far_end(0);
	talker = fork();
	ck_assert_int_ne(talker, -1);
	if (talker == 0) {
		make_reason();
		while (abuse_send(now.status, &message) == 0)
			continue;
		_exit(0);
	}
	(void)close(now.status);
	end_helpers();
	ck_assert_uint_eq(helper_pool_running(now.pool), 0);
	end_life();
}
END_TEST

/* It asks and asks, and reads no answer: killed once, and then nothing is sent
 * that could block again, though the socket is still open. */
START_TEST(test_net_does_not_read)
{
	begin_life();
	make_ready();
	send_on(now.control);
	turn();
	while (seen.n_killed == 0)
		worker_answer(now.worker, 1, ADMISSION_BUSY, -1);
	for (int i = 0; i < 1000; i++)
		worker_answer(now.worker, 1, ADMISSION_BUSY, -1);
	ck_assert_int_eq(seen.n_killed, 1);
	end_life();
}
END_TEST

/* It closes its end and lives on. */
START_TEST(test_net_hangs_up)
{
	begin_life();
	(void)close(now.control);
	turn();
	ck_assert_int_eq(seen.n_killed, 1);
	end_life();
}
END_TEST

/* One that is told to leave before it is ready is killed, and what it has said
 * meanwhile comes to nothing. */
START_TEST(test_net_is_ready_too_late)
{
	begin_life();
	worker_order(now.worker, CTL_DRAIN);
	ck_assert_int_eq(seen.n_killed, 1);
	make_ready();
	send_on(now.control);
	turn();
	ck_assert_int_eq(now.n_ready, 0);
	ck_assert_int_eq(worker_is_serving(now.worker), 0);
	end_life();
}
END_TEST

/* It could have the service manager told as often as it likes. */
START_TEST(test_net_lives_unasked)
{
	const struct ctl_order pong = { .type = CTL_PONG };

	begin_life();
	make_ready();
	send_on(now.control);
	turn();
	ck_assert_int_eq(now.n_ready, 1);
	abuse_set(&message, &pong, sizeof(pong));
	for (int i = 0; i < 100; i++) {
		send_on(now.control);
		turn();
	}
	ck_assert_int_eq(now.n_alive, 0);
	ck_assert_int_eq(seen.n_killed, 0);
	end_life();
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
	helper_pool_admit(now.pool, now.worker, &m);
}

static void
expect_answer(unsigned number, enum admission admission)
{
	struct ctl_admit_answer m;
	int fd = -1;
	size_t len;

	ck_assert_int_eq(
	    wire_recv(now.control, &m, sizeof(m), &len, &fd), WIRE_OK);
	ck_assert_uint_eq(m.cookie, number);
	ck_assert_uint_eq(m.admission, admission);
	if (fd != -1)
		(void)close(fd);
}

static void
end_last_helper(enum outcome outcome)
{
	ck_assert_int_eq(
	    helper_pool_reaped(now.pool, seen.last_pid, (int)outcome << 8), 1);
}

/* Whatever net asks for, so many wait and no more. Only who goes before others
 * takes the place of one, the last that came, and then is the next. */
START_TEST(test_queue_has_an_end)
{
	const unsigned n_running = now.config->max_helpers;
	const unsigned owner = 1;
	const unsigned last = owner + n_running + N_WAITING;

	begin_life();
	/* What is to be answered has been when the pool returns. */
	ck_assert_int_eq(fcntl(now.control, F_SETFL, O_NONBLOCK), 0);
	ask_for(owner);
	expect_answer(owner, ADMISSION_GRANTED);
	end_last_helper(OUTCOME_AUTHENTICATED);
	for (unsigned i = owner + 1; i <= owner + n_running; i++) {
		ask_for(i);
		expect_answer(i, ADMISSION_GRANTED);
	}
	for (unsigned i = owner + n_running + 1; i <= last; i++)
		ask_for(i);
	ck_assert_uint_eq(helper_pool_waiting(now.pool), N_WAITING);
	ask_for(last + 1);
	expect_answer(last + 1, ADMISSION_BUSY);
	ask_for(owner);
	expect_answer(last, ADMISSION_BUSY);
	ck_assert_uint_eq(helper_pool_waiting(now.pool), N_WAITING);
	end_last_helper(OUTCOME_CHANGED);
	expect_answer(owner, ADMISSION_GRANTED);
	helper_pool_forget(now.pool, now.worker);
	ck_assert_uint_eq(helper_pool_waiting(now.pool), 0);
	end_helpers();
	end_life();
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("monitor");

	tcase_set_timeout(tcase, 1200);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_net_lies);
	tcase_add_test(tcase, test_helper_lies);
	tcase_add_test(tcase, test_helper_is_dead_and_talks);
	tcase_add_test(tcase, test_net_does_not_read);
	tcase_add_test(tcase, test_net_hangs_up);
	tcase_add_test(tcase, test_net_is_ready_too_late);
	tcase_add_test(tcase, test_net_lives_unasked);
	tcase_add_test(tcase, test_queue_has_an_end);
	return suite_run("monitor", tcase);
}
