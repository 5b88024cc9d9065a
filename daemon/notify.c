/*
 * What the service manager is told. Runs as root in the monitor; handles no
 * client bytes.
 */
#include "daemon/notify.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"

#define MESSAGE_SIZE 512

static struct {
	struct sockaddr_un address;
	socklen_t address_len;
	int fd;
	unsigned watchdog_ms;
} notify = { .fd = -1 };

/* A path, or "@name" for an abstract one. */
static int
read_address(const char *text)
{
	size_t len = strlen(text);

	if ((text[0] != '/' && text[0] != '@') ||
	    len >= sizeof(notify.address.sun_path))
		return -1;
	notify.address.sun_family = AF_UNIX;
	memcpy(notify.address.sun_path, text, len);
	notify.address_len =
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	if (text[0] == '@')
		notify.address.sun_path[0] = '\0';
	else
		notify.address_len++;
	return 0;
}

static void
open_socket(const char *text)
{
	const struct timeval limit = { .tv_sec = 1 };

	if (read_address(text) == -1) {
		log_message(LOG_LEVEL_WARNING,
		    "NOTIFY_SOCKET: %s: is no address of a Unix socket", text);
		return;
	}
	notify.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (notify.fd == -1 ||
	    setsockopt(notify.fd, SOL_SOCKET, SO_SNDTIMEO, &limit,
		sizeof(limit)) == -1)
		log_message(LOG_LEVEL_WARNING, "NOTIFY_SOCKET: %s: %s", text,
		    strerror(errno));
}

/* The variables are inherited by whatever a service starts: they mean the
 * process that WATCHDOG_PID names. */
static unsigned
read_watchdog_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC");
	const char *pid = getenv("WATCHDOG_PID");
	uintmax_t ms;

	if (usec == NULL)
		return 0;
	if (pid != NULL && strtoimax(pid, NULL, 10) != getpid())
		return 0;
	ms = strtoumax(usec, NULL, 10) / 1000;
	return ms < UINT_MAX ? (unsigned)ms : 0;
}

void
notify_open(void)
{
	const char *text = getenv("NOTIFY_SOCKET");

	notify.watchdog_ms = read_watchdog_ms();
	if (text != NULL)
		open_socket(text);
	(void)unsetenv("NOTIFY_SOCKET");
	(void)unsetenv("WATCHDOG_USEC");
	(void)unsetenv("WATCHDOG_PID");
}

unsigned
notify_watchdog_ms(void)
{
	return notify.watchdog_ms;
}

static void send_state(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* By address each time: a manager that was restarted has bound it anew. */
static void
send_state(const char *format, ...)
{
	char message[MESSAGE_SIZE];
	va_list args;

	if (notify.fd == -1)
		return;
	va_start(args, format);
	(void)vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	if (sendto(notify.fd, message, strlen(message), MSG_NOSIGNAL,
		(const struct sockaddr *)&notify.address,
		notify.address_len) == -1)
		log_message(LOG_LEVEL_WARNING,
		    "the service manager cannot be told: %s", strerror(errno));
}

void
notify_ready(const char *status)
{
	send_state("READY=1\nSTATUS=%s", status);
}

void
notify_status(const char *status)
{
	send_state("STATUS=%s", status);
}

/* The time tells a manager that asked for the reload that this is the one. */
void
notify_reloading(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	send_state("RELOADING=1\nMONOTONIC_USEC=%ju\nSTATUS=Reloading",
	    (uintmax_t)ts.tv_sec * 1000000 + (uintmax_t)ts.tv_nsec / 1000);
}

void
notify_stopping(unsigned limit_ms)
{
	send_state("STOPPING=1\nEXTEND_TIMEOUT_USEC=%ju\n"
		   "STATUS=Stopping, once the running changes are stored",
	    (uintmax_t)limit_ms * 1000);
}

void
notify_alive(void)
{
	if (notify.watchdog_ms != 0)
		send_state("WATCHDOG=1");
}
