/*
 * The messages between poppassd's processes. Any process.
 */
#include "common/wire.h"

#include <sys/socket.h>
#include <sys/uio.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

union control_buffer {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

int
wire_pair(int fd[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd);
}

static enum wire_result
result_of_errno(void)
{
	switch (errno) {
	case EAGAIN:
		return WIRE_AGAIN;
	case EPIPE:
	case ECONNRESET:
		return WIRE_EOF;
	default:
		return WIRE_ERROR;
	}
}

static void
attach_fd(struct msghdr *header, union control_buffer *control, int fd)
{
	struct cmsghdr *c;

	memset(control, 0, sizeof(*control));
	header->msg_control = control->bytes;
	header->msg_controllen = sizeof(control->bytes);
	c = CMSG_FIRSTHDR(header);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
}

enum wire_result
wire_send(int fd, const void *message, size_t len, int pass_fd)
{
	/* iovec has no const; sendmsg() does not write. */
	union {
		const void *in;
		void *out;
	} base = { .in = message };
	struct iovec iov = { .iov_base = base.out, .iov_len = len };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
	union control_buffer control;
	ssize_t n;

	if (pass_fd != -1)
		attach_fd(&header, &control, pass_fd);
	do
		n = sendmsg(fd, &header, MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return result_of_errno();
	return WIRE_OK;
}

/* The one descriptor that came, or -1. The padding of the buffer has room for
 * a second one: then both are closed, and *too_many is set. */
static int
detach_fd(struct msghdr *header, int *too_many)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(header);
	size_t n;
	int fd = -1;

	*too_many = 0;
	if (c == NULL || c->cmsg_level != SOL_SOCKET ||
	    c->cmsg_type != SCM_RIGHTS)
		return -1;
	n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	for (size_t i = 0; i < n; i++) {
		memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
		if (n > 1)
			(void)close(fd);
	}
	if (n > 1) {
		*too_many = 1;
		return -1;
	}
	return fd;
}

enum wire_result
wire_recv(int fd, void *buf, size_t size, size_t *len, int *passed_fd)
{
	struct iovec iov = { .iov_base = buf, .iov_len = size };
	union control_buffer control;
	struct msghdr header = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	int came, too_many;
	ssize_t n;

	if (passed_fd != NULL)
		*passed_fd = -1;
	do
		n = recvmsg(fd, &header, MSG_TRUNC | MSG_CMSG_CLOEXEC);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return result_of_errno();
	came = detach_fd(&header, &too_many);
	if (n == 0 && came == -1 && !too_many)
		return WIRE_EOF;
	/* MSG_CTRUNC: the kernel has closed what did not fit. */
	if (too_many || (header.msg_flags & MSG_CTRUNC) != 0 ||
	    (size_t)n > size || (size_t)n < sizeof(uint32_t) ||
	    (came != -1 && passed_fd == NULL)) {
		if (came != -1)
			(void)close(came);
		return WIRE_BAD;
	}
	if (passed_fd != NULL)
		*passed_fd = came;
	*len = (size_t)n;
	return WIRE_OK;
}

static const struct wire_rule *
rule_find(const struct wire_rule *rules, size_t n_rules, unsigned state,
    uint32_t type, size_t len)
{
	for (size_t i = 0; i < n_rules; i++) {
		if (rules[i].type != type)
			continue;
		if ((rules[i].states & WIRE_STATE(state)) == 0)
			continue;
		return rules[i].size == len ? &rules[i] : NULL;
	}
	return NULL;
}

enum wire_result
wire_dispatch(int fd, const struct wire_rule *rules, size_t n_rules,
    unsigned state, void *buf, size_t size, void *context)
{
	const struct wire_rule *rule;
	enum wire_result result;
	uint32_t type;
	size_t len;
	int passed_fd;

	result = wire_recv(fd, buf, size, &len, &passed_fd);
	if (result != WIRE_OK)
		return result;
	memcpy(&type, buf, sizeof(type));
	rule = rule_find(rules, n_rules, state, type, len);
	if (rule == NULL || (passed_fd != -1 && !rule->takes_fd)) {
		if (passed_fd != -1)
			(void)close(passed_fd);
		return WIRE_BAD;
	}
	return rule->handler(context, buf, passed_fd);
}

int
wire_string_ok(const char *field, size_t size)
{
	return memchr(field, '\0', size) != NULL;
}

void
wire_string_set(char *field, size_t size, const char *src)
{
	size_t len = strnlen(src, size - 1);

	memset(field, 0, size);
	memcpy(field, src, len);
}

int
outcome_is_wrong_password(enum outcome outcome)
{
	return outcome == OUTCOME_AUTH_FAILED ||
	    outcome == OUTCOME_ACCOUNT_REFUSED ||
	    outcome == OUTCOME_POLICY_REFUSED;
}

int
outcome_is_right_password(enum outcome outcome)
{
	return outcome == OUTCOME_AUTHENTICATED ||
	    outcome == OUTCOME_CHANGE_REFUSED || outcome == OUTCOME_UNKNOWN ||
	    outcome == OUTCOME_CHANGED;
}
