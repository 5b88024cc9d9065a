/*
 * Whose rights the file system sees. Any process that loads the module.
 */
#ifndef PAM_PASSWD_FILE_ACTOR_H
#define PAM_PASSWD_FILE_ACTOR_H

#include <sys/types.h>

/*
 * With the effective uid 0: this thread's file system uid becomes uid, and with
 * it go the capabilities that files know, until actor_return(). Without: does
 * nothing. Returns what actor_return() wants; keeps errno.
 */
uid_t actor_become(uid_t uid);

void actor_return(uid_t before);

#endif
