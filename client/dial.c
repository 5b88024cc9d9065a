/*
 * Reaching a server. Runs as the user.
 */
#include "client/dial.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"

int
dial_wait(int fd, short events, uint64_t until_ms)
{
	struct pollfd p = { .fd = fd, .events = events };

	for (;;) {
		const uint64_t now = clock_now_ms();
		const uint64_t left = until_ms > now ? until_ms - now : 0;
		int n = poll(&p, 1, left < INT_MAX ? (int)left : INT_MAX);

		if (n == 1)
			return 0;
		if (n == 0)
			errno = ETIMEDOUT;
		if (n == 0 || errno != EINTR)
			return -1;
	}
}

static int
resolve(const char *host, const char *port, unsigned limit_sec,
    struct addrinfo **list, struct failure *failure)
{
	static const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	/* Static: what is looked up when the time is over goes on. */
	static struct gaicb request;
	struct gaicb *requests[] = { &request };
	const struct timespec limit = { .tv_sec = (time_t)limit_sec };
	int code;

	memset(&request, 0, sizeof(request));
	request.ar_name = host;
	request.ar_service = port;
	request.ar_request = &hints;
	code = getaddrinfo_a(GAI_NOWAIT, requests, 1, NULL);
	if (code == 0) {
		while (gai_suspend((const struct gaicb *const *)requests, 1,
			   &limit) == EAI_INTR)
			continue;
		code = gai_error(&request);
	}
	*list = request.ar_result;
	if (code == EAI_INPROGRESS)
		return failure_set(failure, EX_NOHOST,
		    "unknown host: the name servers do not answer within %u s",
		    limit_sec);
	if (code != 0)
		return failure_set(failure, EX_NOHOST, "unknown %s: %s",
		    code == EAI_SERVICE ? "port" : "host", gai_strerror(code));
	return 0;
}

/* 0, or an error number. */
static int
connect_until(int fd, const struct addrinfo *address, uint64_t until_ms)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (connect(fd, address->ai_addr, address->ai_addrlen) == 0)
		return 0;
	if (errno != EINPROGRESS || dial_wait(fd, POLLOUT, until_ms) == -1 ||
	    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		return errno;
	return error;
}

static int
connect_address(const struct addrinfo *address, uint64_t until_ms)
{
	int error, fd;

	fd = socket(address->ai_family,
	    address->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    address->ai_protocol);
	if (fd == -1)
		return -1;
	error = connect_until(fd, address, until_ms);
	if (error == 0)
		return fd;
	(void)close(fd);
	errno = error;
	return -1;
}

/* The addresses share the time, so that one that swallows everything leaves
 * some for the next. */
static int
connect_any(const struct addrinfo *list, unsigned limit_sec)
{
	const uint64_t until_ms = clock_now_ms() + (uint64_t)limit_sec * 1000;
	uint64_t n = 0;
	int fd = -1;

	for (const struct addrinfo *a = list; a != NULL; a = a->ai_next)
		n++;
	for (const struct addrinfo *a = list; fd == -1 && a != NULL;
	     a = a->ai_next, n--) {
		const uint64_t now = clock_now_ms();
		const uint64_t left = until_ms > now ? until_ms - now : 0;

		fd = connect_address(a, now + left / n);
	}
	return fd;
}

int
dial_tcp(const char *host, const char *port, unsigned limit_sec,
    struct failure *failure)
{
	struct addrinfo *list;
	int fd;

	if (resolve(host, port, limit_sec, &list, failure) == -1)
		return -1;
	fd = connect_any(list, limit_sec);
	if (fd == -1)
		(void)failure_set(failure, EX_UNAVAILABLE, "cannot connect: %s",
		    strerror(errno));
	freeaddrinfo(list);
	return fd;
}

int
dial_unix(const char *path, unsigned limit_sec, struct failure *failure)
{
	/* The time limit of connect(2) is that of sending, socket(7). */
	const struct timeval limit = { .tv_sec = (time_t)limit_sec };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return failure_set(failure, EX_UNAVAILABLE,
		    "cannot connect: a socket's path may have %zu bytes",
		    sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd != -1 &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) ==
		0 &&
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)) ==
		0 &&
	    fcntl(fd, F_SETFL, O_NONBLOCK) == 0)
		return fd;
	(void)failure_set(failure, EX_UNAVAILABLE, "cannot connect: %s",
	    strerror(errno == EAGAIN ? ETIMEDOUT : errno));
	if (fd != -1)
		(void)close(fd);
	return -1;
}
