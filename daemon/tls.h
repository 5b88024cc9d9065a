/*
 * TLS for net: contexts from PEM text, and OpenSSL's calls with results that
 * say what to wait for. Net only; nothing here opens a file or blocks.
 */
#ifndef DAEMON_TLS_H
#define DAEMON_TLS_H

#include <stddef.h>
#include <stdint.h>

struct tls_server;
struct tls_session;

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

enum tls_result {
	TLS_DONE,
	TLS_WANTS_READ,
	TLS_WANTS_WRITE,
	TLS_EOF,
	TLS_FAILED
};

/* The server's side of a connection on a non-blocking socket, which stays the
 * caller's. NULL if there is no memory. */
struct tls_session *tls_session_new(struct tls_server *server, int fd);

/* Before the handshake: has the client asked for a certificate. One that is
 * shown must be good, and if is_required, one must be shown. */
void tls_session_ask_certificate(struct tls_session *session, int is_required);

enum tls_result tls_handshake(struct tls_session *session);

/* At most size bytes into buf, their number into *len. */
enum tls_result tls_read(
    struct tls_session *session, char *buf, size_t size, size_t *len);

/* Some of len bytes; their number into *written. Call again with the rest. */
enum tls_result tls_write(struct tls_session *session, const char *bytes,
    size_t len, size_t *written);

/* Sends close_notify, once; TLS_DONE also if the peer is beyond hearing it. */
enum tls_result tls_shutdown(struct tls_session *session);

/* "TLSv1.3" */
const char *tls_version(const struct tls_session *session);

/* The subject of the client's certificate, cut to size; "" without one. */
void tls_subject(const struct tls_session *session, char *out, size_t size);

/* Why the last call failed, in OpenSSL's words; static. */
const char *tls_reason(void);

/* The same of a handshake, and what is wrong with a client's certificate. */
const char *tls_session_reason(const struct tls_session *session);

/* Wipes and frees; may be NULL. */
void tls_session_free(struct tls_session *session);

#endif
