/*
 * flock(2) with a limit, and who else is at a lock. Runs with the privilege of
 * the program that loads the module.
 */
#include "pam/passwd_file/lock.h"

#include <sys/file.h>
#include <sys/stat.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TRY_EVERY_MS 2

uint64_t
lock_now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void
lock_pause(unsigned ms)
{
	struct timespec left = { .tv_sec = (time_t)(ms / 1000),
		.tv_nsec = (long)(ms % 1000) * 1000000 };

	while (nanosleep(&left, &left) == -1 && errno == EINTR)
		continue;
}

int
lock_take(int fd, int operation, uint64_t deadline_ms)
{
	while (flock(fd, operation | LOCK_NB) == -1) {
		if (errno != EINTR && errno != EWOULDBLOCK)
			return -1;
		if (lock_now_ms() >= deadline_ms) {
			errno = EWOULDBLOCK;
			return -1;
		}
		lock_pause(TRY_EVERY_MS);
	}
	return 0;
}

/* "1: FLOCK  ADVISORY  WRITE 19705 fe:00:24 0 EOF", with "-> " before FLOCK for
 * one that waits; see proc_locks(5). */
static int
is_others(const char *line, uintmax_t inode)
{
	const char *p = strstr(line, "FLOCK ");
	uintmax_t other;
	long pid;

	if (p == NULL ||
	    sscanf(p, "FLOCK %*s %*s %ld %*x:%*x:%" SCNuMAX, &pid, &other) != 2)
		return 0;
	return other == inode && pid != (long)getpid();
}

int
lock_is_wanted(int fd)
{
	char line[256];
	struct stat st;
	int is_wanted = 0;
	FILE *file;

	if (fstat(fd, &st) == -1)
		return 0;
	file = fopen("/proc/locks", "re");
	if (file == NULL)
		return 0;
	while (!is_wanted && fgets(line, sizeof(line), file) != NULL)
		is_wanted = is_others(line, (uintmax_t)st.st_ino);
	(void)fclose(file);
	return is_wanted;
}
