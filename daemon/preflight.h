/*
 * Is there everything that the configuration names? Monitor only.
 */
#ifndef DAEMON_PREFLIGHT_H
#define DAEMON_PREFLIGHT_H

#include "conf/config.h"

/*
 * Checks the account of the network process (if started as root), the PAM
 * service file (without one PAM would silently use `other`) and the helper
 * program. What is missing goes to errors. Blocks on NSS and the disk.
 */
void preflight_check(const struct config *config, struct config_errors *errors);

/* The path of poppassd-pam, found from that of the running program. NULL if
 * that is unknown. Static; do not free. */
const char *preflight_helper_path(void);

#endif
