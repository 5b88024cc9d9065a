/*
 * The password field of a passwd-file. Runs with the privilege of the program
 * that loads the module.
 */
#include "pam/passwd_file/scheme.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "pam/passwd_file/digest.h"

#define NAME_SIZE 32

enum scheme_kind {
	KIND_HASH,  /* crypt(3) or argon2 */
	KIND_PLAIN, /* the password itself */
	KIND_DIGEST,
};

struct scheme {
	const char *name;
	enum scheme_kind kind;
	const char *digest; /* OpenSSL's name */
	int is_salted;
	enum digest_encoding encoding; /* if the field names none */
};

static const struct scheme schemes[] = {
	{ "CRYPT", KIND_HASH, NULL, 0, DIGEST_AS_IS },
	{ "BLF-CRYPT", KIND_HASH, NULL, 0, DIGEST_AS_IS },
	{ "SHA512-CRYPT", KIND_HASH, NULL, 0, DIGEST_AS_IS },
	{ "SHA256-CRYPT", KIND_HASH, NULL, 0, DIGEST_AS_IS },
	{ "MD5-CRYPT", KIND_HASH, NULL, 0, DIGEST_AS_IS },
	{ "DES-CRYPT", KIND_HASH, NULL, 0, DIGEST_AS_IS },
#ifdef POPPASSD_HAVE_SODIUM
	{ "ARGON2ID", KIND_HASH, NULL, 0, DIGEST_AS_IS },
	{ "ARGON2I", KIND_HASH, NULL, 0, DIGEST_AS_IS },
#endif
	{ "PLAIN", KIND_PLAIN, NULL, 0, DIGEST_AS_IS },
	{ "CLEARTEXT", KIND_PLAIN, NULL, 0, DIGEST_AS_IS },
	{ "CLEAR", KIND_PLAIN, NULL, 0, DIGEST_AS_IS },
	{ "SHA", KIND_DIGEST, "SHA1", 0, DIGEST_BY_LENGTH },
	{ "SHA1", KIND_DIGEST, "SHA1", 0, DIGEST_BY_LENGTH },
	{ "SSHA", KIND_DIGEST, "SHA1", 1, DIGEST_BASE64 },
	{ "SHA256", KIND_DIGEST, "SHA256", 0, DIGEST_BY_LENGTH },
	{ "SSHA256", KIND_DIGEST, "SHA256", 1, DIGEST_BASE64 },
	{ "SHA512", KIND_DIGEST, "SHA512", 0, DIGEST_BY_LENGTH },
	{ "SSHA512", KIND_DIGEST, "SHA512", 1, DIGEST_BASE64 },
	{ "PLAIN-MD5", KIND_DIGEST, "MD5", 0, DIGEST_BY_LENGTH },
	{ "LDAP-MD5", KIND_DIGEST, "MD5", 0, DIGEST_BY_LENGTH },
	{ "SMD5", KIND_DIGEST, "MD5", 1, DIGEST_BASE64 },
};

struct encoding_name {
	const char *name;
	enum digest_encoding encoding;
};

static const struct encoding_name encoding_names[] = {
	{ ".HEX", DIGEST_HEX },
	{ ".B64", DIGEST_BASE64 },
	{ ".BASE64", DIGEST_BASE64 },
};

/* A field taken apart. */
struct parts {
	const struct scheme *scheme; /* NULL: one that is not in the table */
	enum digest_encoding encoding;
	size_t prefix_len; /* with its braces; 0 if there is none */
	const char *data;
};

static const struct scheme *
find_scheme(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
		if (strlen(schemes[i].name) == len &&
		    strncasecmp(schemes[i].name, name, len) == 0)
			return &schemes[i];
	}
	return NULL;
}

/* Takes the name of an encoding off the end of a scheme's. */
static size_t
split_encoding(const char *name, size_t len, enum digest_encoding *encoding)
{
	size_t n = sizeof(encoding_names) / sizeof(*encoding_names);

	for (size_t i = 0; i < n; i++) {
		size_t end = strlen(encoding_names[i].name);

		if (len > end &&
		    strncasecmp(
			name + len - end, encoding_names[i].name, end) == 0) {
			*encoding = encoding_names[i].encoding;
			return len - end;
		}
	}
	return len;
}

/* Without a prefix it is crypt's: Dovecot's default for passwd-files. */
static struct parts
take_apart(const char *field)
{
	const char *end = field[0] == '{' ? strchr(field, '}') : NULL;
	struct parts parts = { .data = field };
	size_t len;

	if (end == NULL) {
		parts.scheme = find_scheme("CRYPT", 5);
		parts.encoding = DIGEST_AS_IS;
		return parts;
	}
	parts.prefix_len = (size_t)(end - field) + 1;
	parts.data = end + 1;
	len = parts.prefix_len - 2;
	parts.encoding = DIGEST_BY_SCHEME;
	len = split_encoding(field + 1, len, &parts.encoding);
	parts.scheme = find_scheme(field + 1, len);
	if (parts.scheme != NULL && parts.encoding == DIGEST_BY_SCHEME)
		parts.encoding = parts.scheme->encoding;
	return parts;
}

static int
is_hash(const struct parts *parts)
{
	return parts->scheme != NULL && parts->scheme->kind == KIND_HASH &&
	    parts->encoding == DIGEST_AS_IS;
}

enum scheme_verdict
scheme_verify(const char *field, const char *password)
{
	const struct parts parts = take_apart(field);
	int is_right;

	if (parts.scheme == NULL)
		return SCHEME_UNSUPPORTED;
	if (parts.scheme->kind == KIND_HASH) {
		if (parts.encoding != DIGEST_AS_IS)
			return SCHEME_UNSUPPORTED;
		is_right = method_verify(parts.data, password);
	} else {
		is_right =
		    digest_verify(parts.scheme->digest, parts.scheme->is_salted,
			parts.encoding, parts.data, password);
	}
	return is_right ? SCHEME_MATCH : SCHEME_MISMATCH;
}

int
scheme_is_slow(const char *field)
{
	const struct parts parts = take_apart(field);

	return is_hash(&parts) && method_of_hash(parts.data) != NULL;
}

void
scheme_name(const char *field, char *name, size_t size)
{
	const struct parts parts = take_apart(field);
	const char *from = parts.prefix_len > 0 ? field + 1 : "CRYPT";
	size_t len = parts.prefix_len > 0 ? parts.prefix_len - 2 : 5;

	if (len >= size)
		len = size - 1;
	for (size_t i = 0; i < len; i++)
		name[i] = from[i] > ' ' && from[i] < 0x7f ? from[i] : '?';
	name[len] = '\0';
}

const struct method *
scheme_method(const char *field)
{
	const struct parts parts = take_apart(field);
	const struct method *method = NULL;

	if (is_hash(&parts))
		method = method_of_hash(parts.data);
	return method != NULL ? method : method_default();
}

/* {CRYPT} and no prefix stand for whatever crypt(3) can read; an empty field
 * says nothing of what the site's default is. */
static int
prefix_fits(const struct parts *parts, const struct method *method)
{
	if (!is_hash(parts) ||
	    (parts->prefix_len == 0 && parts->data[0] == '\0'))
		return 0;
	if (strcmp(parts->scheme->name, "CRYPT") == 0)
		return !method->is_argon2;
	return strcmp(parts->scheme->name, method->scheme) == 0;
}

int
scheme_make(const char *old_field, const struct method *method,
    unsigned long cost, const char *password, char *out)
{
	const struct parts parts = take_apart(old_field);
	char hash[METHOD_HASH_SIZE];

	if (method_hash(method, cost, password, hash) == -1)
		return -1;
	if (prefix_fits(&parts, method) && parts.prefix_len < NAME_SIZE)
		(void)snprintf(out, SCHEME_FIELD_SIZE, "%.*s%s",
		    (int)parts.prefix_len, old_field, hash);
	else
		(void)snprintf(
		    out, SCHEME_FIELD_SIZE, "{%s}%s", method->scheme, hash);
	explicit_bzero(hash, sizeof(hash));
	return 0;
}

void
scheme_spend(
    const struct method *method, unsigned long cost, const char *password)
{
	char hash[METHOD_HASH_SIZE];

	(void)method_hash(method, cost, password, hash);
	explicit_bzero(hash, sizeof(hash));
}
