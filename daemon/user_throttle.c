/*
 * Which attempt to log in as a user is checked. Pure; runs in the monitor.
 */
#include "daemon/user_throttle.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/client_key.h"

/* A client that tries every few seconds has then come back. */
#define GRACE_MS 10000

/* Delays in which a network has asked that was never seen. One from which the
 * password was right has 0. */
#define ASKED_BY_STRANGER 1

struct user_entry {
	struct throttle_entry failures;
	/* The turn after the delay that ends at delay_ms. */
	uint64_t delay_ms;
	uint64_t holder; /* tag of its network's rival_entry */
	uint32_t holder_asked;
};

/* A network that asks for a user. */
struct rival_entry {
	struct keyed_head head;
	uint64_t delay_ms; /* end of the last delay in which it asked */
	uint32_t asked;    /* in so many delays */
};

struct rival_key {
	char user[WIRE_USER_SIZE];
	struct client_key network;
};

struct user_throttle {
	struct config_rate limit;
	struct keyed_table *users;
	struct keyed_table *rivals;
};

static struct keyed_table *
new_table(size_t entry_size)
{
	uint8_t key[KEYED_HASH_KEY_SIZE];

	if (keyed_hash_make_key(key) == -1)
		return NULL;
	return keyed_table_new(NULL, entry_size, key);
}

struct user_throttle *
user_throttle_new(void)
{
	struct user_throttle *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->users = new_table(sizeof(struct user_entry));
	t->rivals = new_table(sizeof(struct rival_entry));
	if (t->users != NULL && t->rivals != NULL)
		return t;
	user_throttle_free(t);
	return NULL;
}

void
user_throttle_set_limit(
    struct user_throttle *t, const struct config_rate *limit)
{
	t->limit = *limit;
}

void
user_throttle_name(char name[WIRE_USER_SIZE], const char *user)
{
	size_t n = 0;

	memset(name, 0, WIRE_USER_SIZE);
	for (const char *p = user; *p != '\0' && n < WIRE_USER_SIZE - 1; p++) {
		if (*p >= 'A' && *p <= 'Z')
			name[n++] = (char)(*p - 'A' + 'a');
		else if (*p != ' ' && *p != '\t')
			name[n++] = *p;
	}
}

static struct user_entry *
find_user(struct user_throttle *t, const char *user)
{
	char name[WIRE_USER_SIZE];

	user_throttle_name(name, user);
	return keyed_table_find(t->users, name, sizeof(name));
}

static void
set_rival_key(struct rival_key *key, const char *user, const char *address)
{
	struct client_keys keys;

	memset(key, 0, sizeof(*key));
	user_throttle_name(key->user, user);
	if (client_keys_of(address, &keys))
		key->network = keys.one;
}

static struct rival_entry *
get_rival(struct user_throttle *t, const char *user, const char *address,
    uint64_t now_ms)
{
	struct rival_key key;
	struct rival_entry *r;

	set_rival_key(&key, user, address);
	r = keyed_table_get(t->rivals, &key, sizeof(key), now_ms);
	if (r->head.touched_ms == 0)
		r->asked = ASKED_BY_STRANGER;
	r->head.touched_ms = now_ms;
	return r;
}

/* The network asks for the turn that follows this delay. */
static struct rival_entry *
ask(struct user_throttle *t, const char *user, const char *address,
    uint64_t delay_ms, uint64_t now_ms)
{
	struct rival_entry *r = get_rival(t, user, address, now_ms);

	if (r->delay_ms != delay_ms && r->asked < UINT32_MAX)
		r->asked++;
	r->delay_ms = delay_ms;
	return r;
}

static void
reserve(struct user_entry *u, const struct rival_entry *r)
{
	if (u->delay_ms == r->delay_ms && u->holder_asked <= r->asked)
		return;
	u->delay_ms = r->delay_ms;
	u->holder = r->head.tag;
	u->holder_asked = r->asked;
}

int
user_throttle_may_try(struct user_throttle *t, const char *user,
    const char *address, uint64_t now_ms)
{
	struct user_entry *u = find_user(t, user);
	const struct rival_entry *r;
	uint64_t until;

	if (u == NULL)
		return 1;
	until = throttle_until(&u->failures, now_ms);
	if (now_ms >= until &&
	    !throttle_is_over(&u->failures, &t->limit, now_ms))
		return 1;
	r = ask(t, user, address, until, now_ms);
	reserve(u, r);
	if (now_ms < until)
		return 0;
	return u->holder == r->head.tag || now_ms >= until + GRACE_MS;
}

int
user_throttle_is_clean(
    struct user_throttle *t, const char *user, uint64_t now_ms)
{
	const struct user_entry *u = find_user(t, user);

	return u == NULL ||
	    throttle_failures(&u->failures, &t->limit, now_ms) == 0;
}

int
user_throttle_is_known(
    struct user_throttle *t, const char *user, const char *address)
{
	const struct rival_entry *r;
	struct rival_key key;

	set_rival_key(&key, user, address);
	r = keyed_table_find(t->rivals, &key, sizeof(key));
	return r != NULL && r->asked == 0;
}

unsigned
user_throttle_failed(struct user_throttle *t, const char *user, uint64_t now_ms)
{
	char name[WIRE_USER_SIZE];
	struct user_entry *u;

	user_throttle_name(name, user);
	u = keyed_table_get(t->users, name, sizeof(name), now_ms);
	return throttle_fail(&u->failures, &t->limit, now_ms);
}

void
user_throttle_succeeded(struct user_throttle *t, const char *user,
    const char *address, uint64_t now_ms)
{
	get_rival(t, user, address, now_ms)->asked = 0;
}

int
user_throttle_forget(struct user_throttle *t, const char *user)
{
	char name[WIRE_USER_SIZE];

	user_throttle_name(name, user);
	return keyed_table_remove(t->users, name, sizeof(name));
}

void
user_throttle_free(struct user_throttle *t)
{
	if (t == NULL)
		return;
	keyed_table_free(t->users);
	keyed_table_free(t->rivals);
	free(t);
}
