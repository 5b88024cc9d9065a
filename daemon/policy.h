/*
 * Whom the daemon lets change a password at all, and as whom the helper then
 * runs. Monitor's forked child only: NSS may block, and the monitor may not.
 */
#ifndef DAEMON_POLICY_H
#define DAEMON_POLICY_H

#include <sys/types.h>

#include "conf/config.h"

struct policy_identity {
	uid_t uid; /* the helper's real uid */
	gid_t gid;
	int known;              /* NSS knows the user */
	int admitted;           /* if not, PAM is not asked */
	const char *refused_by; /* the directive; static, NULL if admitted */
};

/*
 * Looks the user up and decides. user is canonical (daemon/username.h), address
 * the client's, or "unix". Refused is who fails one of: deny-from, allow-from,
 * username-domain, virtual-users (for a user that NSS does not know), min-uid
 * (root always), deny-users, allow-users, deny-groups, allow-groups. A virtual
 * user runs as virtual-user-account (as the caller itself, if that is not
 * root). 0, or -1 if NSS failed to say: the user may exist, or be in a group.
 */
int policy_resolve(const struct config *config, const char *user,
    const char *address, struct policy_identity *identity);

/* Does the helper need CAP_DAC_OVERRIDE, as pam-dac-override says? Looks at
 * files. */
int policy_wants_dac_override(const struct config *config);

#endif
