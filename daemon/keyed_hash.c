/*
 * SipHash with a random key. Runs in the monitor and in net; what it hashes is
 * a stranger's.
 */
#include "daemon/keyed_hash.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

struct keyed_hash {
	OSSL_LIB_CTX *library;
	EVP_MAC *mac;
	EVP_MAC_CTX *ctx;
	uint8_t key[KEYED_HASH_KEY_SIZE];
};

/* A library context of its own: a machine that allows FIPS algorithms only
 * has no SipHash in the common one, and this protects no secret. */
struct keyed_hash *
keyed_hash_new(const uint8_t key[KEYED_HASH_KEY_SIZE])
{
	struct keyed_hash *h = calloc(1, sizeof(*h));
	size_t size = sizeof(uint64_t);
	const OSSL_PARAM params[] = { OSSL_PARAM_construct_size_t(
					  OSSL_MAC_PARAM_SIZE, &size),
		OSSL_PARAM_construct_end() };

	if (h == NULL)
		return NULL;
	memcpy(h->key, key, sizeof(h->key));
	h->library = OSSL_LIB_CTX_new();
	if (h->library != NULL)
		h->mac = EVP_MAC_fetch(h->library, "SIPHASH", NULL);
	if (h->mac != NULL)
		h->ctx = EVP_MAC_CTX_new(h->mac);
	if (h->ctx != NULL && EVP_MAC_CTX_set_params(h->ctx, params) == 1)
		return h;
	keyed_hash_free(h);
	return NULL;
}

int
keyed_hash_make_key(uint8_t key[KEYED_HASH_KEY_SIZE])
{
	return RAND_bytes(key, KEYED_HASH_KEY_SIZE) == 1 ? 0 : -1;
}

/* None of these calls can fail with a context and a key of the right size. */
uint64_t
keyed_hash_of(struct keyed_hash *h, const void *bytes, size_t len)
{
	uint64_t value = 0;
	size_t n = 0;

	if (EVP_MAC_init(h->ctx, h->key, sizeof(h->key), NULL) != 1 ||
	    EVP_MAC_update(h->ctx, bytes, len) != 1 ||
	    EVP_MAC_final(h->ctx, (unsigned char *)&value, &n, sizeof(value)) !=
		1)
		abort();
	return value != 0 ? value : 1;
}

void
keyed_hash_free(struct keyed_hash *h)
{
	if (h == NULL)
		return;
	EVP_MAC_CTX_free(h->ctx);
	EVP_MAC_free(h->mac);
	OSSL_LIB_CTX_free(h->library);
	explicit_bzero(h->key, sizeof(h->key));
	free(h);
}
