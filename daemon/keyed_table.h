/*
 * A table of fixed size that forgets: what is not in it is as if it had never
 * been seen. Pure; monitor and net.
 */
#ifndef DAEMON_KEYED_TABLE_H
#define DAEMON_KEYED_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/keyed_hash.h"

#define KEYED_TABLE_ENTRIES 65536
#define KEYED_TABLE_WAYS    8 /* entries that share a place */

/* What every entry begins with. */
struct keyed_head {
	uint64_t tag;        /* hash of the key; 0 for a free entry */
	uint64_t touched_ms; /* the least is forgotten first */
};

struct keyed_table;

/*
 * A table of entries of so many bytes each, which lie in memory: zeroed, or
 * left by an earlier process with the same key; the caller's, and as large as
 * keyed_table_size(). With NULL the table has memory of its own. NULL if there
 * is none. Nothing is allocated later. Free with keyed_table_free().
 */
struct keyed_table *keyed_table_new(
    void *memory, size_t entry_size, const uint8_t key[KEYED_HASH_KEY_SIZE]);

size_t keyed_table_size(size_t entry_size);

/* The hash by which the table knows a key. */
uint64_t keyed_table_tag(
    struct keyed_table *table, const void *key, size_t len);

/* The entry of a key, or NULL. */
void *keyed_table_find(struct keyed_table *table, const void *key, size_t len);

/* The entry of a key; if there was none, one zeroed but for its tag, in place
 * of the stalest of those that share its place. Never NULL. The caller sets
 * touched_ms, to now_ms. */
void *keyed_table_get(
    struct keyed_table *table, const void *key, size_t len, uint64_t now_ms);

/* Forgets a key. 0 if it was not there. */
int keyed_table_remove(struct keyed_table *table, const void *key, size_t len);

/* May be NULL. */
void keyed_table_free(struct keyed_table *table);

#endif
