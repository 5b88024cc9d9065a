/*
 * Who opens a file while it is being replaced. Runs with the privilege of the
 * program that loads the module, and as the file's owner.
 */
#include "pam/passwd_file/watch.h"

#include <sys/inotify.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define EVENTS_SIZE 512

int
watch_begin(int fd)
{
	const int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	char path[64];

	if (watch == -1)
		return -1;
	/* The very file, whatever has its name by now. */
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (inotify_add_watch(watch, path, IN_OPEN | IN_CLOSE) != -1)
		return watch;
	(void)close(watch);
	return -1;
}

uint32_t
watch_take(int watch)
{
	char events[EVENTS_SIZE];
	struct inotify_event event;
	uint32_t seen = 0;
	ssize_t n;

	if (watch == -1)
		return 0;
	while ((n = read(watch, events, sizeof(events))) > 0) {
		for (const char *p = events; p < events + n;
		     p += sizeof(event) + event.len) {
			memcpy(&event, p, sizeof(event));
			seen |= event.mask;
		}
	}
	/* Too many to be told one by one are some of each. */
	if ((seen & IN_Q_OVERFLOW) != 0)
		seen |= IN_OPEN;
	return seen & (IN_OPEN | IN_CLOSE);
}
