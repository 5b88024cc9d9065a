/*
 * What a client address may, and which session gives way. Runs in net, without
 * privilege.
 */
#include "daemon/clients.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "daemon/client_throttle.h"
#include "daemon/keyed_hash.h"

#define DROP_RATE 30 /* of 100, when half of max-sessions are young */

LIST_HEAD(bucket, client_claim);
TAILQ_HEAD(young_list, client_claim);

struct clients {
	const struct config *config;
	struct client_throttle *throttle;
	struct keyed_hash *hash;
	struct bucket *buckets;  /* max_sessions of them */
	struct young_list young; /* the oldest first */
	unsigned n_young;
};

struct clients *
clients_new(const struct config *config, int throttle_fd)
{
	struct clients *c = calloc(1, sizeof(*c));
	uint8_t key[KEYED_HASH_KEY_SIZE];

	if (c == NULL)
		return NULL;
	c->config = config;
	TAILQ_INIT(&c->young);
	c->throttle =
	    client_throttle_open(throttle_fd, &config->client_failures);
	c->buckets = calloc(config->max_sessions, sizeof(*c->buckets));
	if (keyed_hash_make_key(key) == 0)
		c->hash = keyed_hash_new(key);
	if (c->throttle != NULL && c->buckets != NULL && c->hash != NULL)
		return c;
	clients_free(c);
	return NULL;
}

void
clients_keys(
    const struct clients *c, const char *address, struct client_keys *keys)
{
	if (client_keys_of(address, keys) &&
	    cidr_list_has(&c->config->trusted_clients, address))
		memset(keys, 0, sizeof(*keys));
}

void
clients_join(struct clients *c, struct client_claim *claim, void *session)
{
	claim->session = session;
	claim->is_young = 1;
	TAILQ_INSERT_TAIL(&c->young, claim, young);
	c->n_young++;
}

/* By the widest network, so that all of one are together. */
static struct bucket *
bucket_of(struct clients *c, const struct client_keys *keys)
{
	const struct client_key *key =
	    client_key_is_none(&keys->wide) ? &keys->one : &keys->wide;
	const uint64_t hash = keyed_hash_of(c->hash, key, sizeof(*key));

	return &c->buckets[hash % c->config->max_sessions];
}

static int
has_too_many(const struct clients *c, const struct bucket *bucket,
    const struct client_keys *keys)
{
	const unsigned limit = c->config->max_sessions_per_client;
	const struct client_claim *other;
	unsigned n_one = 0, n_wide = 0;

	LIST_FOREACH(other, bucket, neighbours)
	{
		n_one +=
		    (unsigned)client_key_equal(&other->keys.one, &keys->one);
		n_wide +=
		    (unsigned)client_key_equal(&other->keys.wide, &keys->wide);
	}
	if (client_key_is_none(&keys->wide))
		n_wide = 0;
	return n_one >= limit || n_wide / CLIENT_KEY_WIDE >= limit;
}

int
clients_admit(
    struct clients *c, struct client_claim *claim, const char *address)
{
	struct bucket *bucket;

	clients_keys(c, address, &claim->keys);
	if (client_key_is_none(&claim->keys.one)) {
		/* One that is trusted gives way to nobody. */
		clients_settle(c, claim);
		return 0;
	}
	bucket = bucket_of(c, &claim->keys);
	if (has_too_many(c, bucket, &claim->keys))
		return -1;
	LIST_INSERT_HEAD(bucket, claim, neighbours);
	claim->is_counted = 1;
	return 0;
}

void
clients_settle(struct clients *c, struct client_claim *claim)
{
	if (!claim->is_young)
		return;
	TAILQ_REMOVE(&c->young, claim, young);
	claim->is_young = 0;
	c->n_young--;
}

void
clients_leave(struct clients *c, struct client_claim *claim)
{
	clients_settle(c, claim);
	if (claim->is_counted)
		LIST_REMOVE(claim, neighbours);
	claim->is_counted = 0;
}

/* MaxStartups begin:rate:full, with half of full as begin. */
static int
lot_falls(unsigned n_young, unsigned full)
{
	const unsigned begin = full / 2;
	unsigned chance;
	uint16_t lot;

	if (n_young < begin || begin == full ||
	    RAND_bytes((unsigned char *)&lot, sizeof(lot)) != 1)
		return 0;
	chance =
	    DROP_RATE + (100 - DROP_RATE) * (n_young - begin) / (full - begin);
	return lot % 100 < chance;
}

void *
clients_pick(
    struct clients *c, const struct client_claim *claim, size_t n_sessions)
{
	const struct client_claim *oldest = TAILQ_FIRST(&c->young);

	if (oldest == claim)
		oldest = NULL;
	if (oldest == NULL ||
	    (n_sessions <= c->config->max_sessions &&
		!lot_falls(c->n_young - (unsigned)claim->is_young,
		    c->config->max_sessions)))
		return NULL;
	return oldest->session;
}

int
clients_can_drop(const struct clients *c)
{
	return !TAILQ_EMPTY(&c->young);
}

int
clients_let_try(struct clients *c, const char *address, uint64_t now_ms)
{
	struct client_keys keys;

	clients_keys(c, address, &keys);
	return client_throttle_lets_try(c->throttle, &keys, now_ms);
}

unsigned
clients_failed(
    struct clients *c, const struct client_keys *keys, uint64_t now_ms)
{
	return client_throttle_failed(c->throttle, keys, now_ms);
}

int
clients_forget(struct clients *c, const char *address)
{
	struct client_keys keys;

	return client_keys_of(address, &keys) &&
	    client_throttle_forget(c->throttle, &keys);
}

void
clients_free(struct clients *c)
{
	if (c == NULL)
		return;
	client_throttle_free(c->throttle);
	keyed_hash_free(c->hash);
	free(c->buckets);
	free(c);
}
