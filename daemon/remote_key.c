/*
 * Private keys that are somewhere else: an OpenSSL provider in net, without
 * privilege. It holds public keys, hashes what is to be signed, and asks the
 * keeper for the signature.
 */
#include "daemon/remote_key.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <string.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/params.h>
#include <openssl/provider.h>

#include "common/wire.h"

#define PROVIDER     "poppassd"
#define OURS         "provider=" PROVIDER
#define INDEX_PARAM  "poppassd-index"
#define PATIENCE_SEC 2

/* The ids that OpenSSL knows for an algorithm; both tables of functions serve
 * either. */
#define RSA_NAMES   "RSA:rsaEncryption:1.2.840.113549.1.1.1"
#define EC_NAMES    "EC:id-ecPublicKey:1.2.840.10045.2.1"
#define ECDSA_NAMES "ECDSA"

struct remote_key {
	EVP_PKEY *public; /* OpenSSL's own */
	uint32_t index;
	int has_private; /* does the keeper have it? */
	int is_ec;
};

struct signing {
	const struct remote_key *key;
	EVP_MD *digest;
	int padding; /* enum keeper_padding */
};

static struct {
	int fd;
	int is_lost; /* it has not answered, and is not asked again */
	uint64_t last_number;
	OSSL_PROVIDER *openssl, *ours; /* loaded for good */
} keeper = { .fd = -1 };

/* Any answer at all, be it a refusal. */
static int
take_answer(uint64_t number, struct key_answer *answer)
{
	size_t len;

	if (wire_recv(keeper.fd, answer, sizeof(*answer), &len, NULL) !=
		WIRE_OK ||
	    len != sizeof(*answer) || answer->type != KEY_ANSWER ||
	    answer->number != number || answer->len > sizeof(answer->signature))
		return -1;
	return 0;
}

/* Nobody is served while net waits here: who has been waited for in vain is not
 * waited for again. */
static int
ask_keeper(struct key_request *request, struct key_answer *answer)
{
	if (keeper.is_lost)
		return -1;
	request->type = KEY_REQUEST;
	request->number = ++keeper.last_number;
	keeper.is_lost =
	    wire_send(keeper.fd, request, sizeof(*request), -1) != WIRE_OK ||
	    take_answer(request->number, answer) == -1;
	return keeper.is_lost || answer->len == 0 ? -1 : 0;
}

int
remote_keys_are_lost(void)
{
	return keeper.is_lost;
}

static void *
new_key(int is_ec)
{
	struct remote_key *key = OPENSSL_zalloc(sizeof(*key));

	if (key != NULL)
		key->is_ec = is_ec;
	return key;
}

static void *
new_rsa(void *provider)
{
	(void)provider;
	return new_key(0);
}

static void *
new_ec(void *provider)
{
	(void)provider;
	return new_key(1);
}

static void
free_key(void *data)
{
	struct remote_key *key = data;

	if (key != NULL)
		EVP_PKEY_free(key->public);
	OPENSSL_free(key);
}

static int
key_has(const void *data, int selection)
{
	const struct remote_key *key = data;

	if (key->public == NULL)
		return 0;
	return (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) == 0 ||
	    key->has_private;
}

static int
key_match(const void *a, const void *b, int selection)
{
	const struct remote_key *x = a, *y = b;

	(void)selection;
	return EVP_PKEY_eq(x->public, y->public) == 1;
}

/* The public half, from us or out of a certificate. */
static int
import_key(void *data, int selection, const OSSL_PARAM params[])
{
	struct remote_key *key = data;
	const OSSL_PARAM *index = OSSL_PARAM_locate_const(params, INDEX_PARAM);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(
	    NULL, key->is_ec ? "EC" : "RSA", "provider=default");
	/* OpenSSL reads them only, and wants them writable. */
	OSSL_PARAM *copy = OSSL_PARAM_dup(params);
	int result = 0;

	(void)selection;
	if (ctx != NULL && copy != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
	    EVP_PKEY_fromdata(ctx, &key->public, EVP_PKEY_PUBLIC_KEY, copy) ==
		1)
		result = 1;
	if (result == 1 && index != NULL)
		result = key->has_private =
		    OSSL_PARAM_get_uint32(index, &key->index);
	OSSL_PARAM_free(copy);
	EVP_PKEY_CTX_free(ctx);
	return result;
}

static const OSSL_PARAM *
import_types(int selection)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_uint32(INDEX_PARAM, NULL), OSSL_PARAM_END
	};

	(void)selection;
	return types;
}

static int
get_key_params(void *data, OSSL_PARAM params[])
{
	const struct remote_key *key = data;

	return EVP_PKEY_get_params(key->public, params);
}

static const OSSL_PARAM *
gettable_key_params(void *provider)
{
	static const OSSL_PARAM types[] = { OSSL_PARAM_int(
						OSSL_PKEY_PARAM_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_END };

	(void)provider;
	return types;
}

static const char *
ec_operation_name(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

static void *
new_signing(void *provider, const char *properties)
{
	(void)provider;
	(void)properties;
	return OPENSSL_zalloc(sizeof(struct signing));
}

static void
free_signing(void *context)
{
	struct signing *s = context;

	if (s != NULL)
		EVP_MD_free(s->digest);
	OPENSSL_free(s);
}

static int
is_named(const OSSL_PARAM *p, const char *name, int number)
{
	int value;

	if (p->data_type == OSSL_PARAM_UTF8_STRING)
		return strcmp(p->data, name) == 0;
	return OSSL_PARAM_get_int(p, &value) == 1 && value == number;
}

/* What TLS asks for: PSS with a salt as long as the digest. PKCS #1 v1.5 is
 * what it does not ask for. */
static int
set_signing_params(void *context, const OSSL_PARAM params[])
{
	struct signing *s = context;
	const OSSL_PARAM *p;

	if (params == NULL)
		return 1;
	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE);
	if (p != NULL && is_named(p, OSSL_PKEY_RSA_PAD_MODE_PSS, 6))
		s->padding = KEY_PADDING_PSS;
	else if (p != NULL)
		return 0;
	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN);
	return p == NULL || is_named(p, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST, -1);
}

static const OSSL_PARAM *
settable_signing_params(void *context, void *provider)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
		OSSL_PARAM_utf8_string(
		    OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
		OSSL_PARAM_END
	};

	(void)context;
	(void)provider;
	return types;
}

static int
begin_signing(
    void *context, const char *digest, void *key, const OSSL_PARAM params[])
{
	struct signing *s = context;

	if (digest == NULL)
		return 0;
	s->key = key;
	s->padding = s->key->is_ec ? KEY_PADDING_NONE : KEY_PADDING_PKCS1;
	EVP_MD_free(s->digest);
	s->digest = EVP_MD_fetch(NULL, digest, NULL);
	return s->digest != NULL && set_signing_params(s, params);
}

static int
sign(void *context, unsigned char *signature, size_t *len, size_t size,
    const unsigned char *text, size_t text_len)
{
	const struct signing *s = context;
	struct key_request request;
	struct key_answer answer;
	unsigned n;

	if (signature == NULL) {
		*len = (size_t)EVP_PKEY_get_size(s->key->public);
		return 1;
	}
	memset(&request, 0, sizeof(request));
	request.index = s->key->index;
	request.padding = (uint32_t)s->padding;
	if (EVP_Digest(text, text_len, request.digest, &n, s->digest, NULL) !=
	    1)
		return 0;
	request.digest_len = n;
	if (ask_keeper(&request, &answer) == -1 || answer.len > size) {
		ERR_raise_data(ERR_LIB_PROV, ERR_R_OPERATION_FAIL,
		    "the keeper of the keys does not answer");
		return 0;
	}
	memcpy(signature, answer.signature, answer.len);
	*len = answer.len;
	return 1;
}

#define FUNCTION(id, function)                                                 \
	{                                                                      \
		(id), (void (*)(void))(function)                               \
	}

#define KEY_FUNCTIONS                                                          \
	FUNCTION(OSSL_FUNC_KEYMGMT_FREE, free_key),                            \
	    FUNCTION(OSSL_FUNC_KEYMGMT_HAS, key_has),                          \
	    FUNCTION(OSSL_FUNC_KEYMGMT_MATCH, key_match),                      \
	    FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT, import_key),                    \
	    FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, import_types),            \
	    FUNCTION(OSSL_FUNC_KEYMGMT_GET_PARAMS, get_key_params),            \
	    FUNCTION(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, gettable_key_params)

static const OSSL_DISPATCH rsa_functions[] = { KEY_FUNCTIONS,
	FUNCTION(OSSL_FUNC_KEYMGMT_NEW, new_rsa), { 0, NULL } };

static const OSSL_DISPATCH ec_functions[] = { KEY_FUNCTIONS,
	FUNCTION(OSSL_FUNC_KEYMGMT_NEW, new_ec),
	FUNCTION(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, ec_operation_name),
	{ 0, NULL } };

static const OSSL_DISPATCH signing_functions[] = {
	FUNCTION(OSSL_FUNC_SIGNATURE_NEWCTX, new_signing),
	FUNCTION(OSSL_FUNC_SIGNATURE_FREECTX, free_signing),
	FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, begin_signing),
	FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, sign),
	FUNCTION(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, set_signing_params),
	FUNCTION(
	    OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, settable_signing_params),
	{ 0, NULL }
};

static const OSSL_ALGORITHM keys[] = { { RSA_NAMES, OURS, rsa_functions, NULL },
	{ EC_NAMES, OURS, ec_functions, NULL }, { NULL, NULL, NULL, NULL } };

static const OSSL_ALGORITHM signatures[] = { { RSA_NAMES, OURS,
						 signing_functions, NULL },
	{ ECDSA_NAMES, OURS, signing_functions, NULL },
	{ NULL, NULL, NULL, NULL } };

static const OSSL_ALGORITHM *
query(void *provider, int operation, int *no_cache)
{
	(void)provider;
	*no_cache = 0;
	if (operation == OSSL_OP_KEYMGMT)
		return keys;
	return operation == OSSL_OP_SIGNATURE ? signatures : NULL;
}

static const OSSL_DISPATCH provider_functions[] = {
	FUNCTION(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query), { 0, NULL }
};

static int
start(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
    const OSSL_DISPATCH **out, void **provider)
{
	static char self;

	(void)handle;
	(void)in;
	*out = provider_functions;
	*provider = &self;
	return 1;
}

int
remote_key_init(int fd)
{
	const struct timeval limit = { .tv_sec = PATIENCE_SEC };

	keeper.fd = fd;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	/* Once one is loaded, the default one no longer comes by itself; and it
	 * is to stay the first choice for everything. */
	keeper.openssl = OSSL_PROVIDER_load(NULL, "default");
	if (keeper.openssl == NULL ||
	    OSSL_PROVIDER_add_builtin(NULL, PROVIDER, start) != 1)
		return -1;
	keeper.ours = OSSL_PROVIDER_load(NULL, PROVIDER);
	if (keeper.ours == NULL ||
	    EVP_set_default_properties(NULL, "?provider=default") != 1)
		return -1;
	return 0;
}

EVP_PKEY *
remote_key_new(X509 *certificate, uint32_t index)
{
	OSSL_PARAM number[] = { OSSL_PARAM_uint32(INDEX_PARAM, &index),
		OSSL_PARAM_END };
	EVP_PKEY *public = X509_get0_pubkey(certificate), *key = NULL;
	OSSL_PARAM *params = NULL, *all = NULL;
	EVP_PKEY_CTX *ctx = NULL;

	if (public == NULL ||
	    EVP_PKEY_todata(public, EVP_PKEY_PUBLIC_KEY, &params) != 1)
		return NULL;
	all = OSSL_PARAM_merge(params, number);
	ctx = EVP_PKEY_CTX_new_from_name(
	    NULL, EVP_PKEY_is_a(public, "EC") ? "EC" : "RSA", OURS);
	if (all == NULL || ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, all) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	OPENSSL_free(all);
	return key;
}
