/*
 * Whose rights the file system sees. Runs with the privilege of the program
 * that loads the module.
 */
#include "pam/passwd_file/actor.h"

#include <sys/fsuid.h>
#include <errno.h>
#include <unistd.h>

/* setfsuid(2) returns the uid before, and says no error: one that did not work
 * is seen when the file refuses. */
static uid_t
set(uid_t uid)
{
	const int saved = errno;
	uid_t before = uid;

	if (geteuid() == 0)
		before = (uid_t)setfsuid(uid);
	errno = saved;
	return before;
}

uid_t
actor_become(uid_t uid)
{
	return set(uid);
}

void
actor_return(uid_t before)
{
	(void)set(before);
}
