/*
 * Old password schemes: plain text, and digests with or without a salt. Runs
 * with the privilege of the program that loads the module.
 */
#include "pam/passwd_file/digest.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#define DATA_MAX 1024

struct data {
	unsigned char bytes[DATA_MAX];
	size_t len;
};

/* EVP_DecodeBlock() takes whole blocks and counts the padding as bytes. */
static int
decode_base64(const char *text, size_t len, struct data *out)
{
	unsigned char padded[DATA_MAX];
	size_t n_padding = 0;
	int n;

	while (len > 0 && text[len - 1] == '=')
		len--;
	if (len + 4 > sizeof(padded))
		return -1;
	memcpy(padded, text, len);
	while ((len + n_padding) % 4 != 0)
		padded[len + n_padding++] = '=';
	n = EVP_DecodeBlock(out->bytes, padded, (int)(len + n_padding));
	OPENSSL_cleanse(padded, sizeof(padded));
	if (n < 0 || (size_t)n < n_padding || n_padding > 2)
		return -1;
	out->len = (size_t)n - n_padding;
	return 0;
}

static size_t
digest_len(const EVP_MD *md)
{
	return md != NULL ? (size_t)EVP_MD_get_size(md) : 0;
}

static int
decode(const EVP_MD *md, enum digest_encoding encoding, const char *text,
    struct data *out)
{
	const size_t len = strlen(text);

	if (encoding == DIGEST_BY_LENGTH)
		encoding =
		    len == 2 * digest_len(md) ? DIGEST_HEX : DIGEST_BASE64;
	switch (encoding) {
	case DIGEST_BASE64:
		return decode_base64(text, len, out);
	case DIGEST_HEX:
		return OPENSSL_hexstr2buf_ex(out->bytes, sizeof(out->bytes),
			   &out->len, text, '\0') == 1
		    ? 0
		    : -1;
	case DIGEST_AS_IS:
	case DIGEST_BY_LENGTH:
	case DIGEST_BY_SCHEME:
		break;
	}
	if (len > sizeof(out->bytes))
		return -1;
	memcpy(out->bytes, text, len);
	out->len = len;
	return 0;
}

/* Over the whole buffers, so that the time does not tell the length. */
static int
is_plain(const struct data *data, const char *password)
{
	struct data typed = { .len = strlen(password) };
	int is_same = 0;

	if (typed.len <= sizeof(typed.bytes)) {
		memcpy(typed.bytes, password, typed.len);
		is_same = CRYPTO_memcmp(typed.bytes, data->bytes,
			      sizeof(typed.bytes)) == 0;
		is_same &= typed.len == data->len;
	}
	OPENSSL_cleanse(&typed, sizeof(typed));
	return is_same;
}

static int
compute(const EVP_MD *md, const char *password, const unsigned char *salt,
    size_t salt_len, unsigned char *out)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	int is_done = context != NULL &&
	    EVP_DigestInit_ex(context, md, NULL) == 1 &&
	    EVP_DigestUpdate(context, password, strlen(password)) == 1 &&
	    EVP_DigestUpdate(context, salt, salt_len) == 1 &&
	    EVP_DigestFinal_ex(context, out, NULL) == 1;

	EVP_MD_CTX_free(context);
	return is_done;
}

static int
is_digest(const EVP_MD *md, int is_salted, const struct data *data,
    const char *password)
{
	unsigned char typed[EVP_MAX_MD_SIZE];
	const size_t len = digest_len(md);
	int is_same;

	if (len == 0 || data->len < len || (data->len > len) != is_salted)
		return 0;
	is_same =
	    compute(md, password, data->bytes + len, data->len - len, typed) &&
	    CRYPTO_memcmp(typed, data->bytes, len) == 0;
	OPENSSL_cleanse(typed, sizeof(typed));
	return is_same;
}

int
digest_verify(const char *digest, int is_salted, enum digest_encoding encoding,
    const char *data, const char *password)
{
	const EVP_MD *md = digest != NULL ? EVP_get_digestbyname(digest) : NULL;
	struct data decoded = { .len = 0 };
	int is_same = 0;

	if (decode(md, encoding, data, &decoded) == 0)
		is_same = digest == NULL
		    ? is_plain(&decoded, password)
		    : is_digest(md, is_salted, &decoded, password);
	OPENSSL_cleanse(&decoded, sizeof(decoded));
	return is_same;
}
