/* Messages between processes: whole, of the right size, in the right state. */
#include "common/wire.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/suite.h"

#define STATE_A 0
#define STATE_B 1

struct small {
	uint32_t type;
	uint32_t value;
};

static int pair[2];
static uint64_t buf[16];

static struct {
	int n_calls;
	uint32_t value;
	int fd;
} seen;

static void
setup(void)
{
	ck_assert_int_eq(wire_pair(pair), 0);
	memset(&seen, 0, sizeof(seen));
	seen.fd = -1;
}

static void
teardown(void)
{
	(void)close(pair[0]);
	(void)close(pair[1]);
}

static enum wire_result
on_small(void *context, const void *message, int passed_fd)
{
	const struct small *m = message;

	ck_assert_ptr_eq(context, &seen);
	seen.n_calls++;
	seen.value = m->value;
	seen.fd = passed_fd;
	return WIRE_OK;
}

static const struct wire_rule rules[] = {
	{ 1, WIRE_STATE(STATE_A), sizeof(struct small), on_small, 0 },
	{ 2, WIRE_ANY_STATE, sizeof(struct small), on_small, 1 },
};

static enum wire_result
dispatch(unsigned state)
{
	return wire_dispatch(pair[1], rules, 2, state, buf, sizeof(buf), &seen);
}

static void
send_small(uint32_t type, int fd)
{
	const struct small m = { .type = type, .value = 7 };

	ck_assert_int_eq(wire_send(pair[0], &m, sizeof(m), fd), WIRE_OK);
}

static int
fd_is_open(int fd)
{
	return fcntl(fd, F_GETFD) != -1;
}

/* The number that the next descriptor would get: it moves if one leaks. */
static int
next_fd(void)
{
	int fd = dup(0);

	(void)close(fd);
	return fd;
}

START_TEST(test_dispatch_calls_the_handler)
{
	send_small(1, -1);
	ck_assert_int_eq(dispatch(STATE_A), WIRE_OK);
	ck_assert_int_eq(seen.n_calls, 1);
	ck_assert_uint_eq(seen.value, 7);
	ck_assert_int_eq(seen.fd, -1);
}
END_TEST

START_TEST(test_dispatch_refuses_wrong_state)
{
	send_small(1, -1);
	ck_assert_int_eq(dispatch(STATE_B), WIRE_BAD);
	ck_assert_int_eq(seen.n_calls, 0);
}
END_TEST

START_TEST(test_dispatch_refuses_unknown_type)
{
	send_small(3, -1);
	ck_assert_int_eq(dispatch(STATE_A), WIRE_BAD);
	ck_assert_int_eq(seen.n_calls, 0);
}
END_TEST

static const size_t wrong_sizes[] = { 1, 3, 4, 7, 9, 16, sizeof(buf),
	sizeof(buf) + 1, 2 * sizeof(buf) };

START_TEST(test_dispatch_refuses_wrong_size)
{
	char m[2 * sizeof(buf)] = { 0 };
	const uint32_t type = 1;

	memcpy(m, &type, sizeof(type));
	ck_assert_int_eq(wire_send(pair[0], m, wrong_sizes[_i], -1), WIRE_OK);
	ck_assert_int_eq(dispatch(STATE_A), WIRE_BAD);
	ck_assert_int_eq(seen.n_calls, 0);
}
END_TEST

START_TEST(test_dispatch_passes_a_descriptor)
{
	struct stat sent, came;

	send_small(2, pair[0]);
	ck_assert_int_eq(dispatch(STATE_B), WIRE_OK);
	ck_assert_int_ne(seen.fd, -1);
	ck_assert_int_eq(fstat(pair[0], &sent), 0);
	ck_assert_int_eq(fstat(seen.fd, &came), 0);
	ck_assert_uint_eq(sent.st_ino, came.st_ino);
	ck_assert_int_eq(fcntl(seen.fd, F_GETFD), FD_CLOEXEC);
	(void)close(seen.fd);
}
END_TEST

START_TEST(test_dispatch_closes_a_descriptor_nobody_wants)
{
	int before = next_fd();

	send_small(1, pair[0]);
	ck_assert_int_eq(dispatch(STATE_A), WIRE_BAD);
	ck_assert_int_eq(seen.n_calls, 0);
	ck_assert_int_eq(next_fd(), before);
}
END_TEST

/* SCM_RIGHTS with more than the one that any message may bring. */
START_TEST(test_recv_refuses_two_descriptors)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(2 * sizeof(int))];
	} control;
	struct small m = { .type = 2 };
	struct iovec iov = { &m, sizeof(m) };
	struct msghdr header = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	const int fds[2] = { pair[0], pair[1] };
	int before, passed;
	size_t len;

	memset(&control, 0, sizeof(control));
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(&control.header), fds, sizeof(fds));
	ck_assert_int_eq(sendmsg(pair[0], &header, 0), sizeof(m));
	before = next_fd();
	ck_assert_int_eq(
	    wire_recv(pair[1], buf, sizeof(buf), &len, &passed), WIRE_BAD);
	ck_assert_int_eq(passed, -1);
	ck_assert_int_eq(next_fd(), before);
}
END_TEST

START_TEST(test_recv_without_room_for_a_descriptor_closes_it)
{
	int before = next_fd();
	size_t len;

	send_small(2, pair[0]);
	ck_assert_int_eq(
	    wire_recv(pair[1], buf, sizeof(buf), &len, NULL), WIRE_BAD);
	ck_assert_int_eq(next_fd(), before);
}
END_TEST

START_TEST(test_recv_says_eof)
{
	size_t len;

	(void)close(pair[0]);
	ck_assert_int_eq(
	    wire_recv(pair[1], buf, sizeof(buf), &len, NULL), WIRE_EOF);
	pair[0] = -1;
}
END_TEST

START_TEST(test_recv_says_again)
{
	size_t len;

	ck_assert_int_eq(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq(
	    wire_recv(pair[1], buf, sizeof(buf), &len, NULL), WIRE_AGAIN);
}
END_TEST

START_TEST(test_send_to_a_closed_peer_is_eof_and_no_signal)
{
	const struct small m = { .type = 1 };

	(void)close(pair[1]);
	pair[1] = -1;
	ck_assert_int_eq(wire_send(pair[0], &m, sizeof(m), -1), WIRE_EOF);
}
END_TEST

START_TEST(test_send_says_again_when_full)
{
	const struct small m = { .type = 1 };
	enum wire_result result = WIRE_OK;

	ck_assert_int_eq(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
	for (int i = 0; i < 100000 && result == WIRE_OK; i++)
		result = wire_send(pair[0], &m, sizeof(m), -1);
	ck_assert_int_eq(result, WIRE_AGAIN);
}
END_TEST

START_TEST(test_pair_is_close_on_exec)
{
	ck_assert_int_eq(fcntl(pair[0], F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fcntl(pair[1], F_GETFD), FD_CLOEXEC);
	ck_assert(fd_is_open(pair[0]));
}
END_TEST

START_TEST(test_string_set_cuts_and_clears)
{
	char field[8];

	memset(field, 'x', sizeof(field));
	wire_string_set(field, sizeof(field), "ab");
	ck_assert_mem_eq(field, "ab\0\0\0\0\0\0", 8);
	wire_string_set(field, sizeof(field), "123456789");
	ck_assert_str_eq(field, "1234567");
}
END_TEST

START_TEST(test_string_ok_wants_a_nul)
{
	ck_assert_int_eq(wire_string_ok("abc", 4), 1);
	ck_assert_int_eq(wire_string_ok("abc", 3), 0);
}
END_TEST

#define FITS(type) ck_assert_uint_le(sizeof(struct type), WIRE_MESSAGE_MAX)

START_TEST(test_no_message_is_larger_than_the_buffers)
{
	FITS(ctl_load);
	FITS(ctl_admit_request);
	FITS(ctl_event);
	FITS(txn_begin);
	FITS(txn_secret);
	FITS(txn_answer);
	FITS(status_reason);
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("wire");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_dispatch_calls_the_handler);
	tcase_add_test(tcase, test_dispatch_refuses_wrong_state);
	tcase_add_test(tcase, test_dispatch_refuses_unknown_type);
	tcase_add_loop_test(tcase, test_dispatch_refuses_wrong_size, 0,
	    sizeof(wrong_sizes) / sizeof(*wrong_sizes));
	tcase_add_test(tcase, test_dispatch_passes_a_descriptor);
	tcase_add_test(tcase, test_dispatch_closes_a_descriptor_nobody_wants);
	tcase_add_test(tcase, test_recv_refuses_two_descriptors);
	tcase_add_test(
	    tcase, test_recv_without_room_for_a_descriptor_closes_it);
	tcase_add_test(tcase, test_recv_says_eof);
	tcase_add_test(tcase, test_recv_says_again);
	tcase_add_test(tcase, test_send_to_a_closed_peer_is_eof_and_no_signal);
	tcase_add_test(tcase, test_send_says_again_when_full);
	tcase_add_test(tcase, test_pair_is_close_on_exec);
	tcase_add_test(tcase, test_string_set_cuts_and_clears);
	tcase_add_test(tcase, test_string_ok_wants_a_nul);
	tcase_add_test(tcase, test_no_message_is_larger_than_the_buffers);
	return suite_run("wire", tcase);
}
