/*
 * SipHash with a random key: whoever chooses what is hashed cannot choose where
 * it falls. Monitor and net.
 */
#ifndef DAEMON_KEYED_HASH_H
#define DAEMON_KEYED_HASH_H

#include <stddef.h>
#include <stdint.h>

#define KEYED_HASH_KEY_SIZE 16

struct keyed_hash;

/* NULL if there is no memory. Free with keyed_hash_free(). */
struct keyed_hash *keyed_hash_new(const uint8_t key[KEYED_HASH_KEY_SIZE]);

/* Fills key with random bytes. 0, or -1 if there are none. */
int keyed_hash_make_key(uint8_t key[KEYED_HASH_KEY_SIZE]);

/* Never 0. Allocates nothing. */
uint64_t keyed_hash_of(struct keyed_hash *hash, const void *bytes, size_t len);

/* May be NULL. */
void keyed_hash_free(struct keyed_hash *hash);

#endif
