/*
 * The keeper: a process that holds the private keys and only signs. Runs
 * without privilege, as confined as net; handles no client bytes but digests.
 */
#include "daemon/keeper.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "common/wire.h"
#include "daemon/tls.h"

struct keeper {
	size_t n;
	EVP_PKEY **keys;
};

struct keeper *
keeper_new(void)
{
	return calloc(1, sizeof(struct keeper));
}

int
keeper_add(struct keeper *keeper, const char *pem, size_t len)
{
	BIO *bio = BIO_new_mem_buf(pem, (int)len);
	EVP_PKEY *key =
	    PEM_read_bio_PrivateKey(bio, NULL, tls_no_passphrase, NULL);
	EVP_PKEY **keys;

	BIO_free(bio);
	if (key == NULL)
		return -1;
	keys = reallocarray(keeper->keys, keeper->n + 1, sizeof(*keys));
	if (keys == NULL) {
		EVP_PKEY_free(key);
		return -1;
	}
	keeper->keys = keys;
	keeper->keys[keeper->n++] = key;
	return 0;
}

/* The digests that TLS 1.2 and 1.3 sign; no two are of one length. */
static const EVP_MD *
digest_of(uint32_t len)
{
	switch (len) {
	case 32:
		return EVP_sha256();
	case 48:
		return EVP_sha384();
	case 64:
		return EVP_sha512();
	default:
		return NULL;
	}
}

static int
set_padding(EVP_PKEY_CTX *ctx, const EVP_PKEY *key, uint32_t padding)
{
	if (EVP_PKEY_is_a(key, "EC"))
		return padding == KEY_PADDING_NONE;
	if (padding == KEY_PADDING_PKCS1)
		return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) ==
		    1;
	return padding == KEY_PADDING_PSS &&
	    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
	    EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
}

/* A refusal is an answer of no bytes. */
static void
sign(const struct keeper *keeper, const struct key_request *request,
    struct key_answer *answer)
{
	const EVP_MD *digest = digest_of(request->digest_len);
	size_t len = sizeof(answer->signature);
	EVP_PKEY_CTX *ctx = NULL;

	if (digest == NULL || request->index >= keeper->n)
		return;
	ctx = EVP_PKEY_CTX_new(keeper->keys[request->index], NULL);
	if (ctx != NULL && EVP_PKEY_sign_init(ctx) == 1 &&
	    set_padding(ctx, keeper->keys[request->index], request->padding) &&
	    EVP_PKEY_CTX_set_signature_md(ctx, digest) == 1 &&
	    EVP_PKEY_sign(ctx, answer->signature, &len, request->digest,
		request->digest_len) == 1)
		answer->len = (uint32_t)len;
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
}

void
keeper_warm_up(const struct keeper *keeper)
{
	for (uint32_t i = 0; i < keeper->n; i++) {
		struct key_request request = { .index = i,
			.padding = EVP_PKEY_is_a(keeper->keys[i], "EC")
			    ? KEY_PADDING_NONE
			    : KEY_PADDING_PSS,
			.digest_len = 32 };
		struct key_answer answer = { .len = 0 };

		sign(keeper, &request, &answer);
	}
}

struct serving {
	const struct keeper *keeper;
	int fd;
};

static enum wire_result
on_request(void *context, const void *message, int passed_fd)
{
	const struct serving *s = context;
	const struct key_request *request = message;
	struct key_answer answer;

	(void)passed_fd;
	memset(&answer, 0, sizeof(answer));
	answer.type = KEY_ANSWER;
	answer.number = request->number;
	sign(s->keeper, request, &answer);
	return wire_send(s->fd, &answer, sizeof(answer), -1);
}

static const struct wire_rule rules[] = {
	{ KEY_REQUEST, WIRE_ANY_STATE, sizeof(struct key_request), on_request,
	    0 },
};

int
keeper_serve(const struct keeper *keeper, int fd)
{
	struct serving s = { .keeper = keeper, .fd = fd };
	uint64_t buf[sizeof(struct key_request) / sizeof(uint64_t) + 1];
	enum wire_result result;

	do
		result = wire_dispatch(fd, rules, 1, 0, buf, sizeof(buf), &s);
	while (result == WIRE_OK);
	return result == WIRE_EOF ? 0 : -1;
}

void
keeper_free(struct keeper *keeper)
{
	if (keeper == NULL)
		return;
	for (size_t i = 0; i < keeper->n; i++)
		EVP_PKEY_free(keeper->keys[i]);
	free(keeper->keys);
	free(keeper);
}
