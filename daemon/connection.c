/*
 * The bytes of one connection. Runs in net, without privilege; every byte that
 * it handles is a stranger's.
 */
#include "daemon/connection.h"

#include <sys/socket.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

static enum tls_result
result_of_clear(ssize_t n, enum tls_result would_block)
{
	if (n > 0)
		return TLS_DONE;
	if (n == 0)
		return TLS_EOF;
	return errno == EAGAIN || errno == EINTR ? would_block : TLS_FAILED;
}

static enum tls_result
read_clear(struct connection *c, char *buf, size_t size, size_t *len)
{
	ssize_t n = recv(c->fd, buf, size, 0);

	*len = n > 0 ? (size_t)n : 0;
	return result_of_clear(n, TLS_WANTS_READ);
}

static enum tls_result
write_clear(struct connection *c, const char *bytes, size_t len, size_t *sent)
{
	ssize_t n = send(c->fd, bytes, len, MSG_NOSIGNAL);

	*sent = n > 0 ? (size_t)n : 0;
	return result_of_clear(n, TLS_WANTS_WRITE);
}

void
connection_say(struct connection *c, const char *line)
{
	size_t len = strlen(line);

	if (c->is_mute || len > sizeof(c->out) - c->out_len)
		return;
	memcpy(c->out + c->out_len, line, len);
	c->out_len += len;
}

enum tls_result
connection_flush(struct connection *c)
{
	while (c->out_len > 0) {
		enum tls_result result;
		size_t n;

		if (c->tls != NULL)
			result = tls_write(c->tls, c->out, c->out_len, &n);
		else
			result = write_clear(c, c->out, c->out_len, &n);
		if (result == TLS_WANTS_READ || result == TLS_WANTS_WRITE)
			return result;
		/* Replies to a peer that left are lost, its commands are not:
		 * they may still be there to be read. */
		if (result != TLS_DONE) {
			c->is_mute = 1;
			c->out_len = 0;
			break;
		}
		memmove(c->out, c->out + n, c->out_len - n);
		c->out_len -= n;
	}
	return TLS_DONE;
}

enum tls_result
connection_fill(struct connection *c, size_t limit)
{
	size_t room = sizeof(c->in) - c->in_len;
	enum tls_result result;
	size_t n;

	if (room > limit)
		room = limit;
	if (c->tls != NULL)
		result = tls_read(c->tls, c->in + c->in_len, room, &n);
	else
		result = read_clear(c, c->in + c->in_len, room, &n);
	c->in_len += n;
	if (result != TLS_EOF && result != TLS_FAILED)
		return result;
	c->is_deaf = 1;
	return TLS_EOF;
}

enum connection_line
connection_line(
    const struct connection *c, size_t limit, size_t *len, size_t *used)
{
	const char *newline = memchr(c->in, '\n', c->in_len);

	*len = newline != NULL ? (size_t)(newline - c->in) : c->in_len;
	*used = newline != NULL ? *len + 1 : c->in_len;
	if (*len > 0 && c->in[*len - 1] == '\r')
		(*len)--;
	if (*len > limit)
		return LINE_TOO_LONG;
	return newline != NULL ? LINE_WHOLE : LINE_NONE;
}

void
connection_consume(struct connection *c, size_t n)
{
	memmove(c->in, c->in + n, c->in_len - n);
	explicit_bzero(c->in + c->in_len - n, n);
	c->in_len -= n;
}

enum tls_result
connection_peek(const struct connection *c, char *byte)
{
	ssize_t n = recv(c->fd, byte, 1, MSG_PEEK);

	return result_of_clear(n, TLS_WANTS_READ);
}

enum tls_result
connection_peek_more(struct connection *c, size_t limit, size_t *len)
{
	ssize_t n = recv(c->fd, c->in + c->in_len, limit - c->in_len, MSG_PEEK);

	*len = n > 0 ? (size_t)n : 0;
	return result_of_clear(n, TLS_WANTS_READ);
}

int
connection_take(struct connection *c, size_t n)
{
	if (recv(c->fd, c->in + c->in_len, n, 0) != (ssize_t)n)
		return -1;
	c->in_len += n;
	return 0;
}

int
connection_has_more(const struct connection *c)
{
	char byte;

	return c->in_len > 0 || connection_peek(c, &byte) == TLS_DONE;
}

int
connection_begin_tls(struct connection *c, struct tls_server *server,
    enum listen_client_cert client_cert)
{
	connection_consume(c, c->in_len);
	c->tls = tls_session_new(server, c->fd);
	if (c->tls == NULL)
		return -1;
	if (client_cert != LISTEN_CLIENT_CERT_OFF)
		tls_session_ask_certificate(
		    c->tls, client_cert == LISTEN_CLIENT_CERT_REQUIRED);
	return 0;
}

void
connection_finish(struct connection *c, int tls_is_up)
{
	if (tls_is_up && !c->is_mute)
		(void)tls_shutdown(c->tls);
	(void)shutdown(c->fd, SHUT_WR);
	explicit_bzero(c->in, sizeof(c->in));
	c->in_len = 0;
}

enum tls_result
connection_discard(struct connection *c, size_t limit)
{
	enum tls_result result;
	size_t n;

	result = read_clear(c, c->in, sizeof(c->in), &n);
	c->n_discarded += n;
	return c->n_discarded < limit ? result : TLS_EOF;
}

void
connection_close(struct connection *c)
{
	tls_session_free(c->tls);
	(void)close(c->fd);
	explicit_bzero(c, sizeof(*c));
}
