/*
 * The one spelling of a user's name: what PAM, the policy and the log are
 * given. Pure; monitor and its forked child.
 */
#ifndef DAEMON_USERNAME_H
#define DAEMON_USERNAME_H

#include "conf/config.h"

/* Changes name, in place, into what username-domain and username-case make of
 * it. It never gets longer, nor empty. */
void username_canonicalise(const struct config *config, char *name);

/* Is a name that went through the above one that username-domain allows? */
int username_is_allowed(const struct config *config, const char *name);

#endif
