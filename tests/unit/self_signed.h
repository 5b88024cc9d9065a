/* A certificate of our own, for tests that need TLS and nobody's trust. */
#ifndef TESTS_UNIT_SELF_SIGNED_H
#define TESTS_UNIT_SELF_SIGNED_H

#include <openssl/bio.h>

/* Makes a key and a certificate of it for localhost, as PEM in memory. The
 * caller frees both with BIO_free(). */
void self_signed(BIO **certificate, BIO **key);

#endif
