/*
 * One change of a password over a connection.
 */
#ifndef CLIENT_CHANGE_H
#define CLIENT_CHANGE_H

#include "client/connection.h"

/* Exit statuses of poppasswd(1) beside those of sysexits.h. */
#define CHANGE_DONE    0
#define CHANGE_REFUSED 1
#define CHANGE_UNKNOWN 2

/*
 * Gets the passwords, from a terminal or from two lines of standard input,
 * then has the server change the user's. Tells the user all on standard error,
 * success on standard output. Returns the exit status. Blocks.
 */
int change_run(
    const struct connection_target *target, const char *user, int reads_stdin);

#endif
