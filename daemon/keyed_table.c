/*
 * A table of fixed size that forgets. Pure; runs in the monitor and in net.
 */
#include "daemon/keyed_table.h"

#include <sys/mman.h>
#include <stdlib.h>
#include <string.h>

struct keyed_table {
	struct keyed_hash *hash;
	size_t entry_size;
	char *entries;
	void *own; /* entries, if they are the table's to unmap */
};

size_t
keyed_table_size(size_t entry_size)
{
	return KEYED_TABLE_ENTRIES * entry_size;
}

/* All there at once: who fills the table takes no more memory. Not copied by
 * fork(): the monitor does that for every helper. */
static void *
map_entries(size_t entry_size)
{
	void *entries =
	    mmap(NULL, keyed_table_size(entry_size), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (entries == MAP_FAILED)
		return NULL;
	(void)madvise(entries, keyed_table_size(entry_size), MADV_DONTFORK);
	return entries;
}

struct keyed_table *
keyed_table_new(
    void *memory, size_t entry_size, const uint8_t key[KEYED_HASH_KEY_SIZE])
{
	struct keyed_table *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->entry_size = entry_size;
	t->hash = keyed_hash_new(key);
	if (memory == NULL)
		memory = t->own = map_entries(entry_size);
	t->entries = memory;
	if (t->hash != NULL && memory != NULL)
		return t;
	keyed_table_free(t);
	return NULL;
}

uint64_t
keyed_table_tag(struct keyed_table *t, const void *key, size_t len)
{
	return keyed_hash_of(t->hash, key, len);
}

static struct keyed_head *
entry_at(const struct keyed_table *t, uint64_t tag, size_t way)
{
	const size_t n_sets = KEYED_TABLE_ENTRIES / KEYED_TABLE_WAYS;
	const size_t i = (size_t)(tag % n_sets) * KEYED_TABLE_WAYS + way;

	return (struct keyed_head *)(void *)(t->entries + i * t->entry_size);
}

static struct keyed_head *
find(const struct keyed_table *t, uint64_t tag)
{
	for (size_t way = 0; way < KEYED_TABLE_WAYS; way++) {
		struct keyed_head *head = entry_at(t, tag, way);

		if (head->tag == tag)
			return head;
	}
	return NULL;
}

void *
keyed_table_find(struct keyed_table *t, const void *key, size_t len)
{
	return find(t, keyed_table_tag(t, key, len));
}

/* Free entries were last touched at 0. One of the future was not written by
 * this code, and must not stay for ever. */
static uint64_t
last_touched(const struct keyed_head *head, uint64_t now_ms)
{
	return head->touched_ms <= now_ms ? head->touched_ms : 0;
}

static struct keyed_head *
stalest(const struct keyed_table *t, uint64_t tag, uint64_t now_ms)
{
	struct keyed_head *found = entry_at(t, tag, 0);

	for (size_t way = 1; way < KEYED_TABLE_WAYS; way++) {
		struct keyed_head *head = entry_at(t, tag, way);

		if (last_touched(head, now_ms) < last_touched(found, now_ms))
			found = head;
	}
	return found;
}

void *
keyed_table_get(
    struct keyed_table *t, const void *key, size_t len, uint64_t now_ms)
{
	const uint64_t tag = keyed_table_tag(t, key, len);
	struct keyed_head *head = find(t, tag);

	if (head != NULL)
		return head;
	head = stalest(t, tag, now_ms);
	memset(head, 0, t->entry_size);
	head->tag = tag;
	return head;
}

int
keyed_table_remove(struct keyed_table *t, const void *key, size_t len)
{
	struct keyed_head *head = keyed_table_find(t, key, len);

	if (head == NULL)
		return 0;
	memset(head, 0, t->entry_size);
	return 1;
}

void
keyed_table_free(struct keyed_table *t)
{
	if (t == NULL)
		return;
	keyed_hash_free(t->hash);
	if (t->own != NULL)
		(void)munmap(t->own, keyed_table_size(t->entry_size));
	free(t);
}
