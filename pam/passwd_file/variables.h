/*
 * Dovecot's variables %u, %n and %d in a path or a name. Any process that
 * loads the module; pure.
 */
#ifndef PAM_PASSWD_FILE_VARIABLES_H
#define PAM_PASSWD_FILE_VARIABLES_H

#include <stddef.h>

/* Is every `%` in the template one of %u, %n, %d, %%, with L for lower case
 * between (%Lu)? */
int variables_ok(const char *template);

/*
 * Writes the template with the user's name (%u), the part before the last `@`
 * (%n) and the part behind it (%d). -1 if it does not fit into size bytes, or a
 * value that is used is empty. *first (may be NULL) is where in out the first
 * value begins, or the length if there is none.
 */
int variables_expand(const char *template, const char *user, char *out,
    size_t size, size_t *first);

#endif
