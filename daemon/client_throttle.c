/*
 * Failures by client address, in memory that outlives a net process. Runs in
 * net, without privilege; the memory is made by the monitor, which never reads
 * it.
 */
#include "daemon/client_throttle.h"

#include <sys/mman.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/throttle.h"

struct memory {
	uint8_t key[KEYED_HASH_KEY_SIZE];
	struct throttle_entry entries[KEYED_TABLE_ENTRIES];
};

struct client_throttle {
	struct config_rate one;
	struct config_rate wide;
	struct memory *memory;
	struct keyed_table *table;
};

static int
prepare_memory(int fd)
{
	uint8_t key[KEYED_HASH_KEY_SIZE];

	if (ftruncate(fd, sizeof(struct memory)) == -1)
		return -1;
	if (keyed_hash_make_key(key) == -1) {
		errno = EIO;
		return -1;
	}
	if (pwrite(fd, key, sizeof(key), 0) != (ssize_t)sizeof(key))
		return -1;
	/* Or a net process could cut it off under the next one. */
	return fcntl(
	    fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
}

int
client_throttle_memory(void)
{
	int fd =
	    memfd_create("poppassd-clients", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int error;

	if (fd == -1 || prepare_memory(fd) == 0)
		return fd;
	error = errno;
	(void)close(fd);
	errno = error;
	return -1;
}

static struct memory *
map_memory(int fd)
{
	void *memory = mmap(NULL, sizeof(struct memory), PROT_READ | PROT_WRITE,
	    MAP_SHARED, fd, 0);

	(void)close(fd);
	if (memory == MAP_FAILED)
		return NULL;
	return memory;
}

struct client_throttle *
client_throttle_open(int fd, const struct config_rate *limit)
{
	struct client_throttle *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->one = t->wide = *limit;
	t->wide.n *= CLIENT_KEY_WIDE;
	t->memory = map_memory(fd);
	if (t->memory != NULL)
		t->table = keyed_table_new(t->memory->entries,
		    sizeof(struct throttle_entry), t->memory->key);
	if (t->table != NULL)
		return t;
	client_throttle_free(t);
	return NULL;
}

/* One of the networks that an address is in, and its limit. */
struct scope {
	const struct client_key *key;
	const struct config_rate *limit;
};

#define N_SCOPES 2

static void
set_scopes(struct scope scopes[N_SCOPES], const struct client_throttle *t,
    const struct client_keys *keys)
{
	scopes[0] = (struct scope){ &keys->one, &t->one };
	scopes[1] = (struct scope){ &keys->wide, &t->wide };
}

static struct throttle_entry *
find(struct client_throttle *t, const struct client_key *key)
{
	if (client_key_is_none(key))
		return NULL;
	return keyed_table_find(t->table, key, sizeof(*key));
}

int
client_throttle_lets_try(
    struct client_throttle *t, const struct client_keys *keys, uint64_t now_ms)
{
	struct throttle_entry *entries[N_SCOPES];
	struct scope scopes[N_SCOPES];

	set_scopes(scopes, t, keys);
	for (size_t i = 0; i < N_SCOPES; i++) {
		entries[i] = find(t, scopes[i].key);
		if (entries[i] != NULL &&
		    throttle_until(entries[i], now_ms) > now_ms)
			return 0;
	}
	for (size_t i = 0; i < N_SCOPES; i++) {
		if (entries[i] != NULL)
			throttle_take(entries[i], scopes[i].limit, now_ms);
	}
	return 1;
}

unsigned
client_throttle_failed(
    struct client_throttle *t, const struct client_keys *keys, uint64_t now_ms)
{
	struct scope scopes[N_SCOPES];
	unsigned longest = 0;

	set_scopes(scopes, t, keys);
	for (size_t i = 0; i < N_SCOPES; i++) {
		struct throttle_entry *entry;
		unsigned ms;

		if (client_key_is_none(scopes[i].key))
			continue;
		entry = keyed_table_get(
		    t->table, scopes[i].key, sizeof(*scopes[i].key), now_ms);
		ms = throttle_fail(entry, scopes[i].limit, now_ms);
		if (ms > longest)
			longest = ms;
	}
	return longest;
}

int
client_throttle_forget(
    struct client_throttle *t, const struct client_keys *keys)
{
	int found = 0;

	found |= keyed_table_remove(t->table, &keys->one, sizeof(keys->one));
	found |= keyed_table_remove(t->table, &keys->wide, sizeof(keys->wide));
	return found;
}

void
client_throttle_free(struct client_throttle *t)
{
	if (t == NULL)
		return;
	keyed_table_free(t->table);
	if (t->memory != NULL)
		(void)munmap(t->memory, sizeof(*t->memory));
	free(t);
}
