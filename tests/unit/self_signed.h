/* A certificate of our own, for tests that need TLS and nobody's trust. */
#ifndef TESTS_UNIT_SELF_SIGNED_H
#define TESTS_UNIT_SELF_SIGNED_H

#include <openssl/bio.h>
#include <openssl/x509.h>

/* Makes a key and a certificate of it for localhost, as PEM in memory. The
 * caller frees both with BIO_free(). */
void self_signed(BIO **certificate, BIO **key);

/* A certificate of a key of the caller's, who frees it; NULL if OpenSSL cannot.
 */
X509 *self_signed_for(EVP_PKEY *key);

#endif
