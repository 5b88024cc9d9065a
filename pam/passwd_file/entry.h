/*
 * One user's line of a passwd-file:
 *
 *   user:password:uid:gid:gecos:home:shell:extra fields
 *
 * Any process that loads the module; reads the file, changes nothing.
 */
#ifndef PAM_PASSWD_FILE_ENTRY_H
#define PAM_PASSWD_FILE_ENTRY_H

#include <sys/types.h>
#include <stddef.h>

#include "pam/passwd_file/scheme.h"

/* Longest line, with its end. Dovecot's own limit is lower. */
#define ENTRY_LINE_MAX 65536

#define ENTRY_EXTRA_SIZE 4096

struct entry {
	unsigned long line; /* its number in the file, from 1 */
	off_t password_at;  /* where field 2 begins in the file */
	size_t password_len;
	char password[SCHEME_FIELD_SIZE];
	char extra[ENTRY_EXTRA_SIZE]; /* field 8 to the end of the line */
};

enum entry_result {
	ENTRY_FOUND,
	ENTRY_MISSING,
	ENTRY_TWICE,  /* entry->line is the second one */
	ENTRY_BROKEN, /* line entry->line cannot be read: a NUL byte, too long,
	                 or the user's own without a password field */
	ENTRY_ERROR   /* errno says which */
};

/* Could a line begin with this name? Not if it is empty, begins with `#`, or
 * has a `:` or a line's end in it. */
int entry_name_ok(const char *name);

/*
 * Reads the whole file from its start, in bounded memory, for the line of name;
 * the rest of it too, so that a name that is there twice is seen. Blank lines
 * and those that begin with `#` are passed over; a line may end in CRLF, and
 * the last one in nothing. Blocks on the disk. The entry holds a password's
 * hash: wipe it.
 */
enum entry_result entry_find(int fd, const char *name, struct entry *entry);

enum entry_login {
	ENTRY_LOGIN_OK,
	ENTRY_LOGIN_NEVER,   /* nologin, fail or noauthenticate */
	ENTRY_LOGIN_EXPIRED, /* expires=YYYY-MM-DD is over */
	ENTRY_LOGIN_UNCLEAR  /* expires= is no date */
};

/* What the extra fields say of logins at a time, in seconds since the epoch: a
 * user expires with the first second, UTC, of the date. Pure. */
enum entry_login entry_login(const struct entry *entry, time_t now);

#endif
