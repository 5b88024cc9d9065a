/*
 * Certificates of clients: who may issue them, and whose one is. Net; the
 * monitor, to see whether a file is good. Nothing here opens a file or blocks.
 */
#ifndef DAEMON_TLS_CLIENTS_H
#define DAEMON_TLS_CLIENTS_H

#include <stddef.h>

#include <openssl/ssl.h>

struct tls_clients;

/* From PEM text: clients must have a certificate that one of these has issued,
 * or is. NULL, and in *why (static) why, if there is none or a broken one.
 * Free with tls_clients_free(). */
struct tls_clients *tls_clients_new(
    const char *pem, size_t len, const char **why);

/* Verifies one of them, for nothing but what OpenSSL and libc load at the first
 * time (the time zone). 0 or -1 without memory. */
int tls_clients_warm_up(const struct tls_clients *clients);

/* Has the context verify with them; what it needs it keeps. 0 or -1. */
int tls_clients_apply(const struct tls_clients *clients, SSL_CTX *ctx);

/* The subject of the certificate that the client has shown and that was
 * verified, as RFC 2253 writes it, cut to size; "" if it has shown none. */
void tls_clients_subject(const SSL *ssl, char *out, size_t size);

/* Why a certificate was refused; static. NULL if it was not. */
const char *tls_clients_reason(const SSL *ssl);

/* May be NULL. */
void tls_clients_free(struct tls_clients *clients);

#endif
