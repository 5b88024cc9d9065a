/*
 * The monitor's side of net and of helpers: the real objects in one process,
 * for liars at the other ends of their sockets.
 */
#include "tests/hostile/monitor_rig.h"

#include <sys/socket.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/process_tree.h"
#include "tests/unit/suite.h"

#define FIRST_PID 0x40000000 /* no kernel gives such a number */

static const char config_text[] =
    "listen 127.0.0.1:1 tls=implicit\ntls-certificate /none\nuser nobody\n"
    "max-helpers 4\n";

struct rig_seen rig_seen;
struct rig rig;
struct abuse_message rig_message;

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
	return ++rig_seen.last_pid;
}

int
__wrap_kill(pid_t pid, int signal)
{
	ck_assert_int_gt(pid, FIRST_PID);
	ck_assert_int_eq(signal, SIGKILL);
	/* A keeper, whose net has ended. */
	if (rig.worker != NULL && pid == worker_keeper_pid(rig.worker))
		return 0;
	rig_seen.n_killed++;
	return 0;
}

void
__wrap_process_tree_kill(pid_t root)
{
	ck_assert_int_eq(root, rig_seen.last_pid);
	rig_seen.n_trees_killed++;
}

void
__wrap_log_message(enum log_level level, const char *format, ...)
{
	(void)level;
	(void)format;
	rig_seen.n_lines++;
}

void
__wrap_log_event(
    enum log_level level, const char *event, const struct log_subject *subject)
{
	(void)level;
	(void)event;
	(void)subject;
	rig_seen.n_lines++;
}

uint64_t
__wrap_clock_now_ms(void)
{
	return rig_seen.now_ms;
}

int
__wrap_wire_pair(int fd[2])
{
	int result = __real_wire_pair(fd);

	ck_assert_int_eq(result, 0);
	if (rig_seen.far_end[1] != -1)
		(void)close(rig_seen.far_end[1]);
	rig_seen.far_end[1] = rig_seen.far_end[0];
	rig_seen.far_end[0] = fcntl(fd[1], F_DUPFD_CLOEXEC, 0);
	return result;
}

static void
on_ready(void *context, struct worker *worker)
{
	ck_assert_ptr_null(context);
	ck_assert_ptr_nonnull(worker);
	rig.n_ready++;
}

static void
on_alive(void *context, struct worker *worker)
{
	ck_assert_ptr_null(context);
	ck_assert_ptr_nonnull(worker);
	rig.n_alive++;
}

static void
on_spent(void *context, struct worker *worker)
{
	ck_assert_ptr_null(context);
	ck_assert_ptr_nonnull(worker);
	rig.n_listed++;
}

static void
on_admit(void *context, struct worker *worker,
    const struct ctl_admit_request *request)
{
	ck_assert_ptr_null(context);
	rig.last = *request;
	rig.n_admitted++;
	helper_pool_admit(rig.pool, worker, request);
}

static void
on_listed(void *context, struct worker *worker, const struct ctl_listed *listed)
{
	ck_assert_ptr_null(context);
	ck_assert_ptr_nonnull(worker);
	ck_assert_uint_le(listed->n, WIRE_SESSIONS_MAX);
	rig.n_listed++;
}

static void
on_forgotten(
    void *context, struct worker *worker, const struct ctl_forgotten *forgotten)
{
	ck_assert_ptr_null(context);
	ck_assert_ptr_nonnull(worker);
	ck_assert_ptr_nonnull(forgotten);
	rig.n_listed++;
}

static const struct worker_callbacks callbacks = { .ready = on_ready,
	.alive = on_alive,
	.spent = on_spent,
	.admit = on_admit,
	.listed = on_listed,
	.forgotten = on_forgotten };

void
rig_turn(void)
{
	(void)event_base_loop(rig.base, EVLOOP_NONBLOCK);
}

int
rig_take_far_end(int i)
{
	int fd = rig_seen.far_end[i];

	rig_seen.far_end[i] = -1;
	return fd;
}

void
rig_drain(int fd)
{
	static const struct ctl_order pong = { .type = CTL_PONG };
	static uint64_t buf[WIRE_MESSAGE_MAX / sizeof(uint64_t)];
	uint32_t type;

	while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0) {
		memcpy(&type, buf, sizeof(type));
		if (type == CTL_PING)
			(void)wire_send(fd, &pong, sizeof(pong), -1);
	}
}

void
rig_begin(void)
{
	memset(&rig.last, 0, sizeof(rig.last));
	rig.n_ready = rig.n_alive = rig.n_admitted = 0;
	rig_seen.n_killed = rig_seen.n_trees_killed = rig_seen.n_lines = 0;
	rig.worker = worker_start(
	    rig.base, rig.config, rig.files, rig.listens, -1, &callbacks, NULL);
	ck_assert_ptr_nonnull(rig.worker);
	rig.control = rig_take_far_end(0);
	rig_drain(rig.control);
}

void
rig_end(void)
{
	helper_pool_forget(rig.pool, rig.worker);
	worker_free(rig.worker);
	rig.worker = NULL;
	(void)close(rig.control);
	for (int i = 0; i < 2; i++) {
		int fd = rig_take_far_end(i);

		if (fd != -1)
			(void)close(fd);
	}
}

void
rig_setup(void)
{
	struct config_errors errors = { .out = stderr };

	rig_seen.last_pid = FIRST_PID;
	rig_seen.far_end[0] = rig_seen.far_end[1] = -1;
	rig.base = event_base_new();
	rig.config =
	    config_parse("text", config_text, sizeof(config_text) - 1, &errors);
	ck_assert_ptr_nonnull(rig.config);
	rig.config->n_pairs = rig.config->n_listens = 0;
	rig.files = tls_files_load(rig.config, &errors);
	rig.listens = listen_set_open(rig.config, NULL, &errors);
	rig.pool = helper_pool_new(rig.base);
	helper_pool_configure(rig.pool, rig.config);
	abuse_start();
}

void
rig_teardown(void)
{
	helper_pool_free(rig.pool);
	listen_set_free(rig.listens);
	tls_files_free(rig.files);
	event_base_free(rig.base);
}

void
rig_make_origin(struct wire_origin *origin)
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

void
rig_make_request(void)
{
	struct ctl_admit_request m;

	memset(&m, 0, sizeof(m));
	m.type = CTL_ADMIT_REQUEST;
	m.cookie = abuse_random();
	rig_make_origin(&m.origin);
	abuse_name(m.user, sizeof(m.user));
	abuse_set(&rig_message, &m, sizeof(m));
}

void
rig_make_ready(void)
{
	const struct ctl_order m = { .type = CTL_READY };

	abuse_set(&rig_message, &m, sizeof(m));
}

void
rig_send(int fd)
{
	ck_assert_int_eq(abuse_send(fd, &rig_message), 0);
	rig.n_messages++;
}

/* Every helper that runs ends, in some way. */
void
rig_end_helpers(void)
{
	static const int statuses[] = { OUTCOME_CHANGED << 8,
		OUTCOME_AUTH_FAILED << 8, SIGKILL, 0, 1 << 8, 255 << 8 };

	while (helper_pool_running(rig.pool) > 0) {
		pid_t pid = rig_seen.last_pid;

		while (!helper_pool_owns(rig.pool, pid))
			pid--;
		ck_assert_int_eq(helper_pool_reaped(rig.pool, pid,
				     statuses[abuse_below(N_OF(statuses))]),
		    1);
	}
}

size_t
rig_memory_in_use(void)
{
	return mallinfo2().uordblks;
}
