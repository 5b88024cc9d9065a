/* The peers of a network process, for its test. */
#include "tests/unit/net_peer.h"

#include <sys/socket.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "daemon/client_throttle.h"
#include "daemon/keeper.h"
#include "daemon/net.h"
#include "tests/unit/self_signed.h"
#include "tests/unit/suite.h"

#define N_LISTENERS 2
#define N_FILES     (WIRE_NET_LISTEN_FD - WIRE_NET_CONTROL_FD + N_LISTENERS)
#define EVENTS_MAX  32

static struct {
	pid_t pid;
	pid_t keeper_pid;
	int control;
	in_port_t ports[N_LISTENERS];
	struct ctl_event events[EVENTS_MAX];
	int n_events;
	SSL_CTX *client_ctx;
} peer = { .control = -1 };

int64_t
peer_now_ms(void)
{
	struct timespec ts;

	ck_assert_int_eq(clock_gettime(CLOCK_MONOTONIC, &ts), 0);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int
is_readable_within(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

static void
send_message(int fd, const void *message, size_t len, int pass_fd)
{
	ck_assert_int_eq(wire_send(fd, message, len, pass_fd), WIRE_OK);
}

static void
send_blob(enum load_kind kind, const char *bytes, size_t len)
{
	static struct ctl_load m;

	ck_assert_uint_le(len, sizeof(m.bytes));
	memset(&m, 0, sizeof(m));
	m.type = CTL_LOAD;
	m.kind = kind;
	m.len = (uint32_t)len;
	if (len > 0)
		memcpy(m.bytes, bytes, len);
	send_message(peer.control, &m, sizeof(m), -1);
}

static void
send_bio(enum load_kind kind, BIO *bio)
{
	char *bytes;
	long len = BIO_get_mem_data(bio, &bytes);

	send_blob(kind, bytes, (size_t)len);
	(void)BIO_free(bio);
}

/* A process that has this key and signs with it; net's end of its socket. */
static int
start_keeper(BIO *key)
{
	char *bytes;
	long len = BIO_get_mem_data(key, &bytes);
	int fd[2];

	ck_assert_int_eq(wire_pair(fd), 0);
	peer.keeper_pid = fork();
	ck_assert_int_ne(peer.keeper_pid, -1);
	if (peer.keeper_pid == 0) {
		struct keeper *keeper = keeper_new();

		(void)close(fd[0]);
		if (keeper_add(keeper, bytes, (size_t)len) == 0)
			(void)keeper_serve(keeper, fd[1]);
		keeper_free(keeper);
		_exit(0);
	}
	(void)close(fd[1]);
	return fd[0];
}

static int
listen_on_loopback(in_port_t *port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	ck_assert_int_eq(listen(fd, 16), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	*port = sin.sin_port;
	return fd;
}

static void
become_net(const int fds[N_FILES])
{
	int high[N_FILES];

	for (int i = 0; i < N_FILES; i++)
		high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 64);
	for (int i = 0; i < N_FILES; i++)
		(void)dup2(high[i], WIRE_NET_CONTROL_FD + i);
	(void)close_range(WIRE_NET_LISTEN_FD + N_LISTENERS, ~0U, 0);
	_exit(net_main());
}

static void
receive_event(void)
{
	struct ctl_event *e = &peer.events[peer.n_events];
	size_t len;

	ck_assert_int_lt(peer.n_events, EVENTS_MAX);
	ck_assert_int_eq(
	    wire_recv(peer.control, e, sizeof(*e), &len, NULL), WIRE_OK);
	ck_assert_uint_eq(len, sizeof(*e));
	ck_assert_uint_eq(e->type, CTL_EVENT);
	peer.n_events++;
}

static uint32_t
next_type(void)
{
	uint32_t type = 0;

	ck_assert_msg(is_readable_within(peer.control, PEER_WAIT_MS),
	    "net: nothing came over the control socket");
	ck_assert_int_eq(
	    recv(peer.control, &type, sizeof(type), MSG_PEEK), sizeof(type));
	return type;
}

/* Events may come at any time. */
static void
expect_message(uint32_t type, void *message, size_t size)
{
	size_t len;

	while (next_type() == CTL_EVENT)
		receive_event();
	ck_assert_int_eq(
	    wire_recv(peer.control, message, size, &len, NULL), WIRE_OK);
	ck_assert_uint_eq(*(uint32_t *)message, type);
	ck_assert_uint_eq(len, size);
}

void
peer_start(const char *directives)
{
	struct ctl_order ready;
	BIO *certificate, *key;
	char text[1024];
	int fd[2], fds[N_FILES];

	self_signed(&certificate, &key);
	fds[2] = start_keeper(key);
	(void)BIO_free(key);
	ck_assert_int_eq(wire_pair(fd), 0);
	fds[0] = fd[1];
	fds[1] = client_throttle_memory();
	ck_assert_int_ne(fds[1], -1);
	for (int i = 0; i < N_LISTENERS; i++)
		fds[i + 3] = listen_on_loopback(&peer.ports[i]);
	peer.pid = fork();
	ck_assert_int_ne(peer.pid, -1);
	if (peer.pid == 0)
		become_net(fds);
	for (int i = 0; i < N_FILES; i++)
		(void)close(fds[i]);
	peer.control = fd[0];
	(void)snprintf(text, sizeof(text),
	    "listen 127.0.0.1:1 tls=implicit\nlisten 127.0.0.1:2 tls=auto\n"
	    "tls-certificate /none\nuser nobody\ngreeting hello\n%s\n",
	    directives);
	send_blob(LOAD_CONFIG, text, strlen(text));
	send_bio(LOAD_CERTIFICATE, certificate);
	send_blob(LOAD_END, NULL, 0);
	expect_message(CTL_READY, &ready, sizeof(ready));
	peer.client_ctx = SSL_CTX_new(TLS_client_method());
	ck_assert_ptr_nonnull(peer.client_ctx);
}

static int
wait_end(void)
{
	const int64_t until = peer_now_ms() + PEER_WAIT_MS;
	int status;

	/* Its end is also the end of the control socket. */
	while (is_readable_within(peer.control, PEER_WAIT_MS) &&
	    peer_now_ms() < until) {
		char byte;

		if (recv(peer.control, &byte, 1, MSG_PEEK) <= 0)
			break;
		receive_event();
	}
	ck_assert_msg(peer_now_ms() < until, "net: did not end");
	ck_assert_int_eq(waitpid(peer.pid, &status, 0), peer.pid);
	peer.pid = 0;
	return status;
}

int
peer_wait_exit(void)
{
	int status = wait_end();

	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

int
peer_wait_death(void)
{
	int status = wait_end();

	ck_assert(WIFSIGNALED(status));
	return WTERMSIG(status);
}

void
peer_clean_up(void)
{
	if (peer.pid > 0) {
		(void)kill(peer.pid, SIGKILL);
		(void)waitpid(peer.pid, NULL, 0);
	}
	/* It has seen the end of net. */
	if (peer.keeper_pid > 0)
		(void)waitpid(peer.keeper_pid, NULL, 0);
	SSL_CTX_free(peer.client_ctx);
	(void)close(peer.control);
	memset(&peer, 0, sizeof(peer));
	peer.control = -1;
}

void
peer_order(enum wire_type order)
{
	const struct ctl_order m = { .type = order };

	send_message(peer.control, &m, sizeof(m), -1);
}

void
peer_expect_order(enum wire_type type)
{
	struct ctl_order m;

	expect_message(type, &m, sizeof(m));
}

void
peer_send_raw(const void *bytes, size_t len)
{
	send_message(peer.control, bytes, len, -1);
}

void
peer_hang_up(void)
{
	(void)shutdown(peer.control, SHUT_WR);
}

uint64_t
peer_expect_request(const char *user)
{
	struct ctl_admit_request m;

	expect_message(CTL_ADMIT_REQUEST, &m, sizeof(m));
	ck_assert_str_eq(m.user, user);
	ck_assert_str_eq(m.origin.address, "127.0.0.1");
	return m.cookie;
}

int
peer_admit(uint64_t cookie, enum admission admission)
{
	struct ctl_admit_answer m = { .type = CTL_ADMIT_ANSWER,
		.admission = admission,
		.cookie = cookie };
	int fd[2] = { -1, -1 };

	if (admission == ADMISSION_GRANTED)
		ck_assert_int_eq(wire_pair(fd), 0);
	send_message(peer.control, &m, sizeof(m), fd[1]);
	if (fd[1] != -1)
		(void)close(fd[1]);
	return fd[0];
}

static int
is_event(const struct ctl_event *e, enum net_event event, const char *detail)
{
	return e->event == event &&
	    strncmp(e->detail, detail, strlen(detail)) == 0;
}

void
peer_expect_event(enum net_event event, const char *detail)
{
	for (int i = 0;; i++) {
		if (i == peer.n_events) {
			ck_assert_uint_eq(next_type(), CTL_EVENT);
			receive_event();
		}
		if (is_event(&peer.events[i], event, detail))
			return;
	}
}

int
peer_has_event(enum net_event event)
{
	for (int i = 0; i < peer.n_events; i++) {
		if (peer.events[i].event == event)
			return 1;
	}
	return 0;
}

void
peer_expect_secret(int helper, enum wire_type type, const char *secret)
{
	struct txn_secret m;
	size_t len;

	ck_assert_msg(is_readable_within(helper, PEER_WAIT_MS),
	    "net: nothing came over the transaction");
	ck_assert_int_eq(wire_recv(helper, &m, sizeof(m), &len, NULL), WIRE_OK);
	ck_assert_uint_eq(len, sizeof(m));
	ck_assert_uint_eq(m.type, type);
	ck_assert(secret_valid(&m.secret));
	ck_assert_str_eq(m.secret.bytes, secret);
}

void
peer_expect_nothing(int helper, int ms)
{
	ck_assert(!is_readable_within(helper, ms));
}

void
peer_expect_eof(int helper)
{
	uint64_t buf[128];
	size_t len;

	ck_assert_msg(is_readable_within(helper, PEER_WAIT_MS),
	    "net: the transaction is still open");
	ck_assert_int_eq(
	    wire_recv(helper, buf, sizeof(buf), &len, NULL), WIRE_EOF);
}

void
peer_answer(int helper, enum outcome outcome, const char *reason)
{
	struct txn_answer m = { .type = TXN_ANSWER, .outcome = outcome };

	wire_string_set(m.reason, sizeof(m.reason), reason);
	send_message(helper, &m, sizeof(m), -1);
}

struct peer_client *
peer_connect(void)
{
	struct peer_client *c = peer_client_new(peer.ports[0], peer.client_ctx);

	peer_expect(c, "200 hello\r\n");
	return c;
}

struct peer_client *
peer_connect_clear(void)
{
	return peer_client_new(peer.ports[1], NULL);
}

int
peer_is_answered(struct peer_client *c)
{
	struct pollfd p[] = { { .fd = peer.control, .events = POLLIN },
		{ .fd = peer_client_fd(c), .events = POLLIN } };

	for (;;) {
		ck_assert_int_gt(poll(p, 2, PEER_WAIT_MS), 0);
		if (p[0].revents == 0)
			return 1;
		if (next_type() != CTL_EVENT)
			return 0;
		receive_event();
	}
}
