/*
 * Bytes over a socket, in clear or in TLS. Runs as the user.
 */
#include "client/stream.h"

#include <sys/socket.h>
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include <openssl/err.h>

#include "client/dial.h"
#include "common/clock.h"

int
stream_wait_tls(struct stream *stream, int result)
{
	switch (SSL_get_error(stream->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return dial_wait(stream->fd, POLLIN, stream->until_ms);
	case SSL_ERROR_WANT_WRITE:
		return dial_wait(stream->fd, POLLOUT, stream->until_ms);
	case SSL_ERROR_SYSCALL:
		return -1;
	default:
		errno = 0;
		return -1;
	}
}

/* Within one call OpenSSL reads on and on past messages that mean nothing: a
 * peer that never runs out of them must not make that call last. */
static long
on_tls_read(BIO *bio, int operation, const char *bytes, size_t len, int arg_i,
    long arg_l, int result, size_t *processed)
{
	const struct stream *s = (const void *)BIO_get_callback_arg(bio);

	(void)bytes;
	(void)len;
	(void)arg_i;
	(void)arg_l;
	(void)processed;
	if (operation != BIO_CB_READ || clock_now_ms() < s->until_ms)
		return result;
	BIO_clear_retry_flags(bio);
	errno = ETIMEDOUT;
	return -1;
}

int
stream_feed_tls(struct stream *stream)
{
	BIO *bio = BIO_new_socket(stream->fd, BIO_NOCLOSE);

	if (bio == NULL)
		return -1;
	BIO_set_callback_ex(bio, on_tls_read);
	BIO_set_callback_arg(bio, (char *)stream);
	SSL_set0_rbio(stream->ssl, bio);
	return 0;
}

static int
wait_clear(struct stream *s, short events, ssize_t result)
{
	if (result == -1 && errno == EAGAIN)
		return dial_wait(s->fd, events, s->until_ms);
	if (result == 0)
		errno = 0;
	return -1;
}

static int
read_byte_tls(struct stream *s, char *byte)
{
	int result;

	do {
		ERR_clear_error();
		errno = 0;
		result = SSL_read(s->ssl, byte, 1);
		if (result == 1)
			return 0;
	} while (stream_wait_tls(s, result) == 0);
	return -1;
}

static int
read_byte_clear(struct stream *s, char *byte)
{
	ssize_t n;

	do {
		n = recv(s->fd, byte, 1, 0);
		if (n == 1)
			return 0;
	} while (wait_clear(s, POLLIN, n) == 0);
	return -1;
}

int
stream_read_byte(struct stream *stream, char *byte)
{
	return stream->ssl != NULL ? read_byte_tls(stream, byte)
				   : read_byte_clear(stream, byte);
}

/* Without partial writes: the same call again until all has left. */
static int
write_tls(struct stream *s, const char *bytes, size_t len)
{
	int result;

	do {
		ERR_clear_error();
		errno = 0;
		result = SSL_write(s->ssl, bytes, (int)len);
		if (result > 0)
			return 0;
	} while (stream_wait_tls(s, result) == 0);
	return -1;
}

static int
write_clear(struct stream *s, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = send(s->fd, bytes, len, MSG_NOSIGNAL);

		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		} else if (wait_clear(s, POLLOUT, n) == -1) {
			return -1;
		}
	}
	return 0;
}

int
stream_write(struct stream *stream, const char *bytes, size_t len)
{
	return stream->ssl != NULL ? write_tls(stream, bytes, len)
				   : write_clear(stream, bytes, len);
}

void
stream_close(struct stream *stream)
{
	if (stream->ssl != NULL)
		(void)SSL_shutdown(stream->ssl);
	SSL_free(stream->ssl);
	stream->ssl = NULL;
	if (stream->fd != -1)
		(void)close(stream->fd);
	stream->fd = -1;
}
