/* A client of a network process, for its tests. */
#include "tests/unit/net_client.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "tests/unit/suite.h"

struct peer_client {
	int fd;
	SSL *ssl;
};

struct peer_client *
peer_client_new(in_port_t port, SSL_CTX *ctx)
{
	const struct timeval limit = { .tv_sec = PEER_WAIT_MS / 1000 };
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = port,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct peer_client *c = calloc(1, sizeof(*c));

	ck_assert_ptr_nonnull(c);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	ck_assert_int_eq(
	    connect(c->fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	if (ctx == NULL)
		return c;
	c->ssl = SSL_new(ctx);
	ck_assert_int_eq(SSL_set_fd(c->ssl, c->fd), 1);
	ck_assert_int_eq(SSL_connect(c->ssl), 1);
	return c;
}

int
peer_client_fd(const struct peer_client *c)
{
	return c->fd;
}

void
peer_say(struct peer_client *c, const char *bytes)
{
	const int len = (int)strlen(bytes);

	if (c->ssl != NULL)
		ck_assert_int_eq(SSL_write(c->ssl, bytes, len), len);
	else
		ck_assert_int_eq(
		    send(c->fd, bytes, (size_t)len, MSG_NOSIGNAL), len);
}

static int
read_byte(struct peer_client *c, char *byte)
{
	if (c->ssl != NULL)
		return SSL_read(c->ssl, byte, 1);
	return (int)recv(c->fd, byte, 1, 0);
}

void
peer_expect(struct peer_client *c, const char *line)
{
	char got[1024];
	size_t len = 0;

	do {
		ck_assert_uint_lt(len, sizeof(got) - 1);
		if (read_byte(c, &got[len]) != 1)
			break;
	} while (got[len++] != '\n');
	got[len] = '\0';
	ck_assert_str_eq(got, line);
}

void
peer_expect_close(struct peer_client *c)
{
	char byte;

	ck_assert_int_eq(read_byte(c, &byte), 0);
	if (c->ssl != NULL)
		ck_assert_int_eq(
		    SSL_get_shutdown(c->ssl), SSL_RECEIVED_SHUTDOWN);
	peer_leave(c);
}

void
peer_ask(struct peer_client *c, const char *bytes, const char *line)
{
	peer_say(c, bytes);
	peer_expect(c, line);
}

void
peer_leave(struct peer_client *c)
{
	SSL_free(c->ssl);
	(void)close(c->fd);
	free(c);
}
