/*
 * Whom the daemon lets change a password at all. Runs as root in the monitor's
 * forked child; sees a user name, never a password.
 */
#include "daemon/policy.h"

#include <sys/stat.h>
#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

/* getpwnam() sets errno to any of these for a name that is not there, see
 * its manual. */
static int
errno_means_unknown(void)
{
	return errno == 0 || errno == ENOENT || errno == ESRCH ||
	    errno == EBADF || errno == EPERM;
}

/* A virtual name reaches modules that make it part of a path (pam_faillock's
 * tally, say). */
static int
name_is_plausible(const char *name)
{
	if (*name == '\0' || *name == '-' || *name == '.')
		return 0;
	for (const char *p = name; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;

		if (c <= ' ' || c == 0x7f || c == '/' || c == ':')
			return 0;
	}
	return 1;
}

static int
resolve_virtual(const struct config *config, const char *user,
    struct policy_identity *identity)
{
	const struct passwd *pw;

	identity->uid = geteuid();
	identity->gid = getegid();
	if (geteuid() == 0) {
		pw = getpwnam(config->user);
		if (pw == NULL)
			return -1;
		identity->uid = pw->pw_uid;
		identity->gid = pw->pw_gid;
	}
	identity->admitted = config->virtual_users && name_is_plausible(user);
	return 0;
}

int
policy_resolve(const struct config *config, const char *user,
    struct policy_identity *identity)
{
	const struct passwd *pw;

	memset(identity, 0, sizeof(*identity));
	errno = 0;
	pw = getpwnam(user);
	if (pw == NULL) {
		if (!errno_means_unknown())
			return -1;
		return resolve_virtual(config, user, identity);
	}
	identity->known = 1;
	identity->uid = pw->pw_uid;
	identity->gid = pw->pw_gid;
	identity->admitted = pw->pw_uid != 0 && pw->pw_uid >= config->min_uid;
	return 0;
}

int
policy_wants_dac_override(const struct config *config)
{
	struct stat st;

	if (config->pam_dac_override != CONFIG_CHOICE_AUTO)
		return config->pam_dac_override == CONFIG_CHOICE_YES;
	if (stat("/etc/shadow", &st) == 0 && (st.st_mode & S_IRUSR) == 0)
		return 1;
	/* pam_faillock's tallies belong to the users, and it opens them as
	 * root. */
	return stat("/run/faillock", &st) == 0;
}
