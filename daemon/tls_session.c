/*
 * TLS on one connection. Runs in net, without privilege; every byte that it
 * decrypts is a stranger's.
 */
#include "daemon/tls_session.h"

#include <limits.h>
#include <stdio.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "daemon/tls.h"
#include "daemon/tls_clients.h"

static SSL *
handle(struct tls_session *session)
{
	return (SSL *)(void *)session;
}

static const SSL *
const_handle(const struct tls_session *session)
{
	return (const SSL *)(const void *)session;
}

struct tls_session *
tls_session_new(struct tls_server *server, int fd)
{
	SSL *ssl = SSL_new(tls_server_context(server));

	if (ssl == NULL)
		return NULL;
	if (SSL_set_fd(ssl, fd) != 1) {
		SSL_free(ssl);
		return NULL;
	}
	SSL_set_accept_state(ssl);
	return (struct tls_session *)(void *)ssl;
}

void
tls_session_ask_certificate(struct tls_session *session, int is_required)
{
	SSL_set_verify(handle(session),
	    is_required ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
			: SSL_VERIFY_PEER,
	    NULL);
}

static enum tls_result
result_of(SSL *ssl, int code)
{
	switch (SSL_get_error(ssl, code)) {
	case SSL_ERROR_NONE:
		return TLS_DONE;
	case SSL_ERROR_WANT_READ:
		return TLS_WANTS_READ;
	case SSL_ERROR_WANT_WRITE:
		return TLS_WANTS_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return TLS_EOF;
	default:
		return TLS_FAILED;
	}
}

enum tls_result
tls_handshake(struct tls_session *session)
{
	ERR_clear_error();
	return result_of(handle(session), SSL_accept(handle(session)));
}

enum tls_result
tls_read(struct tls_session *session, char *buf, size_t size, size_t *len)
{
	int n;

	*len = 0;
	ERR_clear_error();
	n = SSL_read(
	    handle(session), buf, size > INT_MAX ? INT_MAX : (int)size);
	if (n > 0)
		*len = (size_t)n;
	return result_of(handle(session), n);
}

enum tls_result
tls_write(
    struct tls_session *session, const char *bytes, size_t len, size_t *written)
{
	int n;

	*written = 0;
	ERR_clear_error();
	n = SSL_write(
	    handle(session), bytes, len > INT_MAX ? INT_MAX : (int)len);
	if (n > 0)
		*written = (size_t)n;
	return result_of(handle(session), n);
}

enum tls_result
tls_shutdown(struct tls_session *session)
{
	int n;

	ERR_clear_error();
	n = SSL_shutdown(handle(session));
	if (n >= 0)
		return TLS_DONE;
	return result_of(handle(session), n) == TLS_WANTS_WRITE
	    ? TLS_WANTS_WRITE
	    : TLS_DONE;
}

const char *
tls_version(const struct tls_session *session)
{
	return SSL_get_version(const_handle(session));
}

void
tls_subject(const struct tls_session *session, char *out, size_t size)
{
	tls_clients_subject(const_handle(session), out, size);
}

const char *
tls_session_reason(const struct tls_session *session)
{
	static char text[192];
	const char *certificate = tls_clients_reason(const_handle(session));

	if (certificate == NULL)
		return tls_reason();
	(void)snprintf(text, sizeof(text), "%s: %s", tls_reason(), certificate);
	return text;
}

void
tls_session_free(struct tls_session *session)
{
	SSL_free(handle(session));
}
