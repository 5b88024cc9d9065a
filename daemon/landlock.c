/*
 * Landlock: no rights to files and networks, whatever else goes wrong. Runs in
 * net, which needs none; handles no client bytes.
 */
#include "daemon/landlock.h"

#include <sys/syscall.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

/* The kernel's interface, newer than many a header: Documentation/
 * userspace-api/landlock.rst. libc has no functions for it. */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_restrict_self  446
#endif

#define CREATE_RULESET_VERSION 1U

struct ruleset {
	uint64_t handled_files;
	uint64_t handled_network;
	uint64_t scoped;
};

struct level {
	int version;
	struct ruleset ruleset;
	size_t size; /* what this version knows of struct ruleset */
};

#define ONLY_FILES   offsetof(struct ruleset, handled_network)
#define AND_NETWORKS offsetof(struct ruleset, scoped)

/* All rights that each version can take away: one bit each. */
static const struct level levels[] = {
	{ 6, { 0xffff, 0x3, 0x3 }, sizeof(struct ruleset) },
	{ 5, { 0xffff, 0x3, 0 }, AND_NETWORKS },
	{ 4, { 0x7fff, 0x3, 0 }, AND_NETWORKS },
	{ 3, { 0x7fff, 0, 0 }, ONLY_FILES },
	{ 2, { 0x3fff, 0, 0 }, ONLY_FILES },
	{ 1, { 0x1fff, 0, 0 }, ONLY_FILES },
};

int
landlock_version(void)
{
	long version = syscall(
	    SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);

	return version > 0 ? (int)version : 0;
}

/* A ruleset without rules allows nothing that it handles. */
static int
restrict_to_nothing(const struct level *level)
{
	long fd = syscall(
	    SYS_landlock_create_ruleset, &level->ruleset, level->size, 0);
	long result;

	if (fd == -1)
		return -1;
	result = syscall(SYS_landlock_restrict_self, fd, 0);
	(void)close((int)fd);
	return (int)result;
}

int
landlock_restrict(void)
{
	const int version = landlock_version();

	for (size_t i = 0; i < sizeof(levels) / sizeof(*levels); i++) {
		if (version >= levels[i].version)
			return restrict_to_nothing(&levels[i]);
	}
	return 0;
}
