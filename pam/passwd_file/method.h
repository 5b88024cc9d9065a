/*
 * How new passwords are hashed. Any process that loads the module; pure but for
 * the kernel's random bytes.
 */
#ifndef PAM_PASSWD_FILE_METHOD_H
#define PAM_PASSWD_FILE_METHOD_H

#include <stddef.h>

#define METHOD_COST_MAX 100000000UL

/* For messages. */
#define METHOD_NAMES "CRYPT (yescrypt), BLF-CRYPT, SHA512-CRYPT, ARGON2ID"

/* Room for any hash and its NUL: crypt(3)'s is the longest. */
#define METHOD_HASH_SIZE 384

struct method {
	const char *scheme; /* Dovecot's name */
	const char *start;  /* of every hash that it makes */
	unsigned long cost; /* if none is asked for; see crypt(5) */
	unsigned long cost_low;
	unsigned long cost_high;
	size_t max_len; /* bytes of a password that count */
	int is_argon2;
};

/* By Dovecot's name in any case; NULL if there is none, or this build has no
 * library for it. */
const struct method *method_find(const char *scheme);

/* The one that a new password gets if nothing else is said: yescrypt. */
const struct method *method_default(void);

/* That made this hash; NULL if it is none that new passwords should have. */
const struct method *method_of_hash(const char *hash);

int method_cost_ok(const struct method *method, unsigned long cost);

/*
 * Hashes with a new salt; cost 0 is the method's own. out has room for
 * METHOD_HASH_SIZE bytes. Takes as long as a hash does. -1 with errno.
 */
int method_hash(const struct method *method, unsigned long cost,
    const char *password, char *out);

/* Does the password have this hash? Any that crypt(3), or libsodium if it is
 * there, can check; compares in constant time. */
int method_verify(const char *hash, const char *password);

#endif
