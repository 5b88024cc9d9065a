/*
 * How new passwords are hashed. Runs with the privilege of the program that
 * loads the module.
 */
#include "pam/passwd_file/method.h"

#include <crypt.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/crypto.h>

#ifdef POPPASSD_HAVE_SODIUM
#include <sodium.h>
#endif

/* bcrypt's cost 12: the library's own 5 is a quarter of a millisecond's work.
 * SHA-512's rounds take about as long as yescrypt's default. */
static const struct method methods[] = {
	{ "CRYPT", "$y$", 5, 1, 11, 511, 0 },
	{ "BLF-CRYPT", "$2y$", 12, 4, 20, 72, 0 },
	{ "SHA512-CRYPT", "$6$", 200000, 1000, METHOD_COST_MAX, 511, 0 },
#ifdef POPPASSD_HAVE_SODIUM
	{ "ARGON2ID", "$argon2id$", crypto_pwhash_OPSLIMIT_INTERACTIVE, 1, 64,
	    511, 1 },
#endif
};

#define N_METHODS (sizeof(methods) / sizeof(*methods))

const struct method *
method_find(const char *scheme)
{
	for (size_t i = 0; i < N_METHODS; i++) {
		if (strcasecmp(methods[i].scheme, scheme) == 0)
			return &methods[i];
	}
	return NULL;
}

const struct method *
method_default(void)
{
	return &methods[0];
}

const struct method *
method_of_hash(const char *hash)
{
	for (size_t i = 0; i < N_METHODS; i++) {
		if (strncmp(hash, methods[i].start, strlen(methods[i].start)) ==
		    0)
			return &methods[i];
	}
	/* The other spellings of bcrypt without the bugs of old ones. */
	return strncmp(hash, "$2b$", 4) == 0 ? method_find("BLF-CRYPT") : NULL;
}

int
method_cost_ok(const struct method *method, unsigned long cost)
{
	return cost >= method->cost_low && cost <= method->cost_high;
}

/* crypt(3)'s work area holds the password; it is too large for the stack of a
 * stranger's thread. The hash is copied to out, "" if there is none. */
static int
hash_with(const char *setting, const char *password, char *out)
{
	struct crypt_data *data = calloc(1, sizeof(*data));
	const char *hash;
	int result = -1;

	out[0] = '\0';
	if (data == NULL)
		return -1;
	hash = crypt_r(password, setting, data);
	if (hash != NULL && hash[0] != '*' && strlen(hash) < METHOD_HASH_SIZE) {
		(void)strcpy(out, hash);
		result = 0;
	}
	explicit_bzero(data, sizeof(*data));
	free(data);
	return result;
}

#ifdef POPPASSD_HAVE_SODIUM
static int
hash_argon2(unsigned long cost, const char *password, char *out)
{
	_Static_assert(crypto_pwhash_STRBYTES <= METHOD_HASH_SIZE, "room");
	if (sodium_init() != -1 &&
	    crypto_pwhash_str(out, password, strlen(password), cost,
		crypto_pwhash_MEMLIMIT_INTERACTIVE) == 0)
		return 0;
	errno = ENOMEM;
	return -1;
}

static int
verify_argon2(const char *hash, const char *password)
{
	return sodium_init() != -1 &&
	    crypto_pwhash_str_verify(hash, password, strlen(password)) == 0;
}
#else
static int
hash_argon2(unsigned long cost, const char *password, char *out)
{
	(void)cost;
	(void)password;
	(void)out;
	errno = ENOSYS;
	return -1;
}

static int
verify_argon2(const char *hash, const char *password)
{
	(void)hash;
	(void)password;
	return 0;
}
#endif

int
method_hash(const struct method *method, unsigned long cost,
    const char *password, char *out)
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];

	if (cost == 0)
		cost = method->cost;
	if (method->is_argon2)
		return hash_argon2(cost, password, out);
	if (crypt_gensalt_rn(method->start, cost, NULL, 0, setting,
		(int)sizeof(setting)) == NULL)
		return -1;
	return hash_with(setting, password, out);
}

int
method_verify(const char *hash, const char *password)
{
	char again[METHOD_HASH_SIZE];
	const size_t len = strlen(hash);
	int is_same;

	if (strncmp(hash, "$argon2", 7) == 0)
		return verify_argon2(hash, password);
	is_same = hash_with(hash, password, again) == 0 &&
	    strlen(again) == len && CRYPTO_memcmp(again, hash, len) == 0;
	explicit_bzero(again, sizeof(again));
	return is_same;
}
