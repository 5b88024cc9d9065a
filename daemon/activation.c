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

/* As told: more than PASSED_MAX, perhaps. */
static uintmax_t
count_passed(void)
{
	const char *pid = getenv("LISTEN_PID");
	const char *n = getenv("LISTEN_FDS");

	if (pid == NULL || n == NULL || strtoimax(pid, NULL, 10) != getpid())
		return 0;
	return strtoumax(n, NULL, 10);
}

void
activation_close_others(void)
{
	const uintmax_t n = count_passed();

	closefrom(FIRST_FD + (n <= PASSED_MAX ? (int)n : 0));
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
	const uintmax_t n = count_passed();

	if (n > PASSED_MAX)
		config_error(errors, NULL,
		    "LISTEN_FDS: %s: no more than %d sockets can be passed",
		    getenv("LISTEN_FDS"), PASSED_MAX);
	else if (n > 0) {
		set_names(passed, (size_t)n, getenv("LISTEN_FDNAMES"));
		set = listen_set_adopt(passed, (size_t)n, errors);
	}
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	return set;
}
