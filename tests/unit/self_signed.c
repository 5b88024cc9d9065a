/* A certificate of our own, for tests that need TLS and nobody's trust. */
#include "tests/unit/self_signed.h"

#include <openssl/pem.h>

#include "tests/unit/suite.h"

X509 *
self_signed_for(EVP_PKEY *key)
{
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);

	(void)ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	(void)X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	(void)X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	(void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
	    (const unsigned char *)"localhost", -1, -1, 0);
	(void)X509_set_issuer_name(x, name);
	(void)X509_set_pubkey(x, key);
	if (X509_sign(x, key, EVP_sha256()) > 0)
		return x;
	X509_free(x);
	return NULL;
}

void
self_signed(BIO **certificate, BIO **key)
{
	EVP_PKEY *pkey = EVP_EC_gen("P-256");
	X509 *x = self_signed_for(pkey);

	ck_assert_ptr_nonnull(x);
	*certificate = BIO_new(BIO_s_mem());
	*key = BIO_new(BIO_s_mem());
	ck_assert_int_eq(PEM_write_bio_X509(*certificate, x), 1);
	ck_assert_int_eq(
	    PEM_write_bio_PrivateKey(*key, pkey, NULL, NULL, 0, NULL, NULL), 1);
	X509_free(x);
	EVP_PKEY_free(pkey);
}
