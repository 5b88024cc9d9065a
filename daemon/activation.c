/*
 * Listening sockets that a service manager passed. Runs as root in the monitor;
 * handles no client bytes.
 */
#include "daemon/activation.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_FD   3
#define PASSED_MAX 64

static int
is_for_us(void)
{
	const char *pid = getenv("LISTEN_PID");

	return pid != NULL && strtoimax(pid, NULL, 10) == getpid();
}

static size_t
count_passed(struct config_errors *errors)
{
	const char *text = getenv("LISTEN_FDS");
	uintmax_t n = text != NULL ? strtoumax(text, NULL, 10) : 0;

	if (n <= PASSED_MAX)
		return (size_t)n;
	config_error(errors, NULL,
	    "LISTEN_FDS: %s: no more than %d sockets can be passed", text,
	    PASSED_MAX);
	return 0;
}

/* The manager's names for the sockets, separated by colons. */
static void
set_names(struct listen_passed *passed, size_t n, char *names)
{
	char *rest = names;

	for (size_t i = 0; i < n; i++) {
		const char *name = rest != NULL ? strsep(&rest, ":") : NULL;

		passed[i].fd = FIRST_FD + (int)i;
		passed[i].name =
		    name != NULL && *name != '\0' ? name : "unknown";
	}
}

struct listen_set *
activation_take(struct config_errors *errors)
{
	struct listen_passed passed[PASSED_MAX];
	struct listen_set *set = NULL;
	size_t n = is_for_us() ? count_passed(errors) : 0;

	set_names(passed, n, getenv("LISTEN_FDNAMES"));
	if (n > 0)
		set = listen_set_adopt(passed, n, errors);
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	return set;
}
