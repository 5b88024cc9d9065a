/*
 * TLS on one connection: OpenSSL's calls, with results that say what to wait
 * for. Net only; nothing here blocks but the signature of a handshake, see
 * daemon/remote_key.h.
 */
#ifndef DAEMON_TLS_SESSION_H
#define DAEMON_TLS_SESSION_H

#include <stddef.h>

struct tls_server;
struct tls_session;

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

/* Why the handshake failed, in OpenSSL's words, and what is wrong with the
 * client's certificate; static. */
const char *tls_session_reason(const struct tls_session *session);

/* Wipes and frees; may be NULL. */
void tls_session_free(struct tls_session *session);

#endif
