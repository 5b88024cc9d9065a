/*
 * TLS contexts for net, from PEM text. Net only, but for tls_reason() and the
 * check of a pair by the monitor; nothing here opens a file or blocks.
 */
#ifndef DAEMON_TLS_H
#define DAEMON_TLS_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/types.h>

struct tls_server;

/* minimum_version is TLS1_2_VERSION or TLS1_3_VERSION. NULL with errno. */
struct tls_server *tls_server_new(int minimum_version);

/* Sets, before any certificate is added, who may issue those of clients, as
 * PEM. -1 and *why (static) if that is no good. */
int tls_server_set_client_ca(
    struct tls_server *server, const char *pem, size_t len, const char **why);

/*
 * Adds a certificate chain and its key, as PEM. Pairs with the same names share
 * a context, so that a client may have ECDSA or RSA; the first pair is the
 * default. -1 if OpenSSL refuses it: *why (static) says why.
 */
int tls_server_add(struct tls_server *server, const char *certificate,
    size_t certificate_len, const char *key, size_t key_len, const char **why);

/* The same with a key that the keeper has; see remote_key_new(). */
int tls_server_add_remote(struct tls_server *server, const char *certificate,
    size_t len, uint32_t index, const char **why);

/* A pem_password_cb that has none: OpenSSL's own would ask at the terminal.
 * Keeper, too. */
int tls_no_passphrase(char *buf, int size, int is_writing, void *context);

/* Runs a handshake in memory for every context and version, so that whatever
 * OpenSSL loads late is there before files are out of reach. -1 if one fails.
 */
int tls_server_warm_up(struct tls_server *server);

void tls_server_free(struct tls_server *server);

/* The context that a connection begins with, until the client has named a
 * server; owned by server. */
SSL_CTX *tls_server_context(const struct tls_server *server);

/* Why the last call failed, in OpenSSL's words; static. */
const char *tls_reason(void);

#endif
