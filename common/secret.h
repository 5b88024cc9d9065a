/*
 * A password, and the memory that passwords live in. Any process.
 *
 * A password exists only as a struct secret inside memory from
 * secret_memory_map(). It is moved, not copied; it has no accessor that a log
 * call could take; and whoever holds one wipes it.
 */
#ifndef COMMON_SECRET_H
#define COMMON_SECRET_H

#include <stddef.h>
#include <stdint.h>

/* crypt(3)'s CRYPT_MAX_PASSPHRASE_SIZE and PAM's PAM_MAX_RESP_SIZE are both
 * 512 with the NUL. */
#define SECRET_MAX 511

/* Fixed-size and without pointers, so that it can be part of a message. */
struct secret {
	uint32_t len; /* bytes, without the NUL */
	char bytes[SECRET_MAX + 1];
};

/*
 * Memory for secrets: zeroed, locked, left out of core dumps, empty in a
 * forked child. len is in bytes, rounded up to whole pages. NULL with errno if
 * there is no memory. *locked (may be NULL) says whether the kernel agreed to
 * lock it: RLIMIT_MEMLOCK may forbid it, and the caller, which knows whom to
 * tell, warns. Does not block. Free with secret_memory_unmap().
 */
void *secret_memory_map(size_t len, int *locked);

/* Wipes and frees; p may be NULL; len is what was asked of map. */
void secret_memory_unmap(void *p, size_t len);

/* Takes len bytes. -1, and *s wiped, if they are more than SECRET_MAX or hold
 * a NUL. */
int secret_set(struct secret *s, const char *bytes, size_t len);

/* Overwrites the whole struct in a way that the compiler keeps. */
void secret_wipe(struct secret *s);

/* Is this what secret_set() would have made? For a secret out of a message. */
int secret_valid(const struct secret *s);

#endif
