/*
 * The password field of a passwd-file: "{SCHEME}data", as Dovecot writes it.
 * Any process that loads the module; pure but for the kernel's random bytes.
 */
#ifndef PAM_PASSWD_FILE_SCHEME_H
#define PAM_PASSWD_FILE_SCHEME_H

#include <stddef.h>

#include "pam/passwd_file/method.h"

/* Longest field, with its NUL, that is read or written. */
#define SCHEME_FIELD_SIZE 1024

enum scheme_verdict {
	SCHEME_MISMATCH,
	SCHEME_MATCH,
	SCHEME_UNSUPPORTED /* scheme_name() says which */
};

/* Is password the one of this field? Compares in constant time. Takes as long
 * as the scheme does: see scheme_is_slow(). */
enum scheme_verdict scheme_verify(const char *field, const char *password);

/* Does a check take as long as a hash should? Plain digests do not, nor do the
 * old hashes of crypt(3). */
int scheme_is_slow(const char *field);

/* The name in the field, without the braces, what is not printable as `?`;
 * "CRYPT" if there is none. */
void scheme_name(const char *field, char *name, size_t size);

/* The method that a new password for this field gets: its own if that is a
 * strong one, or else the default. */
const struct method *scheme_method(const char *field);

/*
 * Writes the field for a new password: hashed by method at cost (0: the
 * method's own), with the prefix spelled as in the old field wherever it still
 * says the truth. out has room for SCHEME_FIELD_SIZE bytes. -1 with errno.
 */
int scheme_make(const char *old_field, const struct method *method,
    unsigned long cost, const char *password, char *out);

/* Spends as long as a hash by method takes, for a user that is not there. */
void scheme_spend(
    const struct method *method, unsigned long cost, const char *password);

#endif
