/*
 * The names in a certificate. Pure; net only.
 */
#ifndef DAEMON_TLS_NAMES_H
#define DAEMON_TLS_NAMES_H

#include <openssl/x509.h>

/* Is it for this name, or this address as text? Wildcards count. */
int tls_names_have(X509 *certificate, const char *name);

/* Do both have the same alternative names, in whatever order? Without any they
 * are not equal. */
int tls_names_are_equal(const X509 *a, const X509 *b);

#endif
