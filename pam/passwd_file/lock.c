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

/* One line of /proc/locks. */
struct listed {
	long pid;
	unsigned major, minor; /* of the file system */
	uintmax_t inode;
};

/* "1: FLOCK  ADVISORY  WRITE 19705 fe:00:24 0 EOF", with "-> " before FLOCK for
 * one that waits; see proc_locks(5). 0 at the end of the file. */
static int
next_listed(FILE *file, struct listed *l)
{
	char line[256];

	while (fgets(line, sizeof(line), file) != NULL) {
		const char *p = strstr(line, "FLOCK ");

		if (p != NULL &&
		    sscanf(p, "FLOCK %*s %*s %ld %x:%x:%" SCNuMAX, &l->pid,
			&l->major, &l->minor, &l->inode) == 4)
			return 1;
	}
	return 0;
}

/* The line of our own lock. Its file system has a number of its own there: on
 * btrfs it is not that of stat(2). */
static int
find_own(FILE *file, ino_t inode, struct listed *own)
{
	while (next_listed(file, own)) {
		if (own->pid == (long)getpid() && own->inode == inode)
			return 1;
	}
	return 0;
}

static int
find_others(FILE *file, ino_t inode, const struct listed *own)
{
	struct listed l;

	while (next_listed(file, &l)) {
		if (l.pid != (long)getpid() && l.inode == inode &&
		    l.major == own->major && l.minor == own->minor)
			return 1;
	}
	return 0;
}

int
lock_is_wanted(int fd, int held_fd)
{
	struct stat st, held;
	struct listed own;
	int is_wanted = 0;
	FILE *file;

	if (fstat(fd, &st) == -1 || fstat(held_fd, &held) == -1)
		return 0;
	file = fopen("/proc/locks", "re");
	if (file == NULL)
		return 0;
	if (find_own(file, held.st_ino, &own)) {
		rewind(file);
		is_wanted = find_others(file, st.st_ino, &own);
	}
	(void)fclose(file);
	return is_wanted;
}
