/*
 * A connection to a poppassd. Runs as the user; what the server sends is
 * bounded and made printable before it is shown.
 */
#include "client/connection.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct connection {
	const struct connection_target *target;
	int fd;
	SSL_CTX *ctx;
	SSL *ssl; /* NULL while in clear */
};

static void
complain(const struct connection_target *t, const char *what, const char *why)
{
	(void)fprintf(stderr, "poppasswd: %s port %s: %s%s%s\n", t->host,
	    t->port, what, *why != '\0' ? ": " : "", why);
}

static int
connect_address(
    const struct addrinfo *address, const struct connection_target *t)
{
	const struct timeval limit = { .tv_sec = (time_t)t->timeout_sec };
	int fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC,
	    address->ai_protocol);

	if (fd == -1)
		return -1;
	/* The time limit of connect(2) is that of sending, socket(7). */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, address->ai_addr, address->ai_addrlen) == 0)
		return fd;
	if (errno == EINPROGRESS)
		errno = ETIMEDOUT;
	(void)close(fd);
	return -1;
}

static int
connect_any(const struct connection_target *t, int *status)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *list;
	int fd = -1, code = getaddrinfo(t->host, t->port, &hints, &list);

	if (code != 0) {
		complain(t, "unknown host", gai_strerror(code));
		*status = EX_NOHOST;
		return -1;
	}
	for (const struct addrinfo *a = list; fd == -1 && a != NULL;
	     a = a->ai_next)
		fd = connect_address(a, t);
	if (fd == -1) {
		complain(t, "cannot connect", strerror(errno));
		*status = EX_UNAVAILABLE;
	}
	freeaddrinfo(list);
	return fd;
}

static int
is_address(const char *host)
{
	unsigned char address[16];

	return inet_pton(AF_INET, host, address) == 1 ||
	    inet_pton(AF_INET6, host, address) == 1;
}

static int
set_expected_name(SSL *ssl, char *host)
{
	if (is_address(host))
		return X509_VERIFY_PARAM_set1_ip_asc(
			   SSL_get0_param(ssl), host) == 1
		    ? 0
		    : -1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, host) == 1 &&
		SSL_set_tlsext_host_name(ssl, host) == 1
	    ? 0
	    : -1;
}

struct advice {
	long result;
	const char *text;
};

static const struct advice advices[] = {
	{ X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
	    "if this certificate is yours, name it with --ca" },
	{ X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
	    "name the root certificate of your own authority with --ca" },
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
	    "does the server send its chain? name a private authority with "
	    "--ca" },
	{ X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE,
	    "does the server send its chain? name a private authority with "
	    "--ca" },
	{ X509_V_ERR_CERT_HAS_EXPIRED,
	    "the administrator of the server must renew it" },
	{ X509_V_ERR_CERT_NOT_YET_VALID, "is this machine's clock right?" },
	{ X509_V_ERR_HOSTNAME_MISMATCH,
	    "use one of the names it was made for" },
	{ X509_V_ERR_IP_ADDRESS_MISMATCH,
	    "use one of the names it was made for" },
};

/* Printable, and no longer than a line. */
static void
print_clean(const char *label, const char *text, size_t len)
{
	(void)fprintf(stderr, "  %s", label);
	for (size_t i = 0; i < len && i < 200; i++)
		(void)fputc(
		    text[i] > ' ' && text[i] <= '~' ? text[i] : '?', stderr);
	(void)fputc('\n', stderr);
}

static void
print_names(const X509 *x)
{
	GENERAL_NAMES *names =
	    X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	int n = names != NULL ? sk_GENERAL_NAME_num(names) : 0;

	for (int i = 0; i < n && i < 20; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_DNS)
			print_clean("the certificate is for: ",
			    (const char *)ASN1_STRING_get0_data(
				name->d.dNSName),
			    (size_t)ASN1_STRING_length(name->d.dNSName));
	}
	GENERAL_NAMES_free(names);
}

static void
print_end(const X509 *x)
{
	char text[64];
	struct tm tm;

	if (ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) == 1 &&
	    strftime(text, sizeof(text), "  it ends on: %Y-%m-%d\n", &tm) > 0)
		(void)fputs(text, stderr);
}

/* OpenSSL forgets the certificate of a handshake that failed. */
static int
on_tls_verify(int is_ok, X509_STORE_CTX *store)
{
	if (!is_ok) {
		print_names(X509_STORE_CTX_get0_cert(store));
		print_end(X509_STORE_CTX_get0_cert(store));
	}
	return is_ok;
}

static void
explain_certificate(const struct connection *c, long result)
{
	complain(
	    c->target, "certificate", X509_verify_cert_error_string(result));
	for (size_t i = 0; i < sizeof(advices) / sizeof(*advices); i++) {
		if (advices[i].result == result)
			(void)fprintf(stderr, "  %s\n", advices[i].text);
	}
}

static void
explain_handshake(const struct connection *c)
{
	long result = SSL_get_verify_result(c->ssl);
	const char *why = ERR_reason_error_string(ERR_peek_last_error());

	if (result != X509_V_OK)
		explain_certificate(c, result);
	else
		complain(c->target, "no TLS",
		    why != NULL ? why : "the server closed the connection");
}

static int
make_context(struct connection *c)
{
	const char *ca = c->target->ca_file;

	c->ctx = SSL_CTX_new(TLS_client_method());
	if (c->ctx == NULL ||
	    SSL_CTX_set_min_proto_version(c->ctx, TLS1_2_VERSION) != 1)
		return -1;
	(void)SSL_CTX_set_options(c->ctx, SSL_OP_CLEANSE_PLAINTEXT);
	SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, on_tls_verify);
	if (ca == NULL)
		return SSL_CTX_set_default_verify_paths(c->ctx) == 1 ? 0 : -1;
	return SSL_CTX_load_verify_file(c->ctx, ca) == 1 ? 0 : -1;
}

static int
start_tls(struct connection *c, int *status)
{
	*status = EX_NOPERM;
	if (make_context(c) == -1) {
		complain(c->target,
		    c->target->ca_file != NULL ? c->target->ca_file
					       : "trust store",
		    ERR_reason_error_string(ERR_peek_last_error()));
		return -1;
	}
	c->ssl = SSL_new(c->ctx);
	if (c->ssl == NULL || SSL_set_fd(c->ssl, c->fd) != 1 ||
	    set_expected_name(c->ssl, c->target->host) == -1) {
		complain(c->target, "TLS", "cannot be set up");
		return -1;
	}
	if (SSL_connect(c->ssl) == 1) {
		if (c->target->is_verbose)
			(void)fprintf(stderr, "(%s, %s)\n",
			    SSL_get_version(c->ssl), SSL_get_cipher(c->ssl));
		return 0;
	}
	explain_handshake(c);
	return -1;
}

static int
read_byte(struct connection *c, char *byte)
{
	if (c->ssl != NULL)
		return SSL_read(c->ssl, byte, 1) == 1 ? 0 : -1;
	return recv(c->fd, byte, 1, 0) == 1 ? 0 : -1;
}

int
connection_receive(
    struct connection *connection, char line[CONNECTION_LINE_MAX])
{
	size_t len = 0;
	char c;

	for (;;) {
		if (read_byte(connection, &c) == -1) {
			complain(connection->target, "no answer",
			    errno == EAGAIN ? "timed out" : "connection lost");
			return -1;
		}
		if (c == '\n')
			break;
		if (len == CONNECTION_LINE_MAX - 1) {
			complain(connection->target,
			    "an answer without end; is it a poppassd?", "");
			return -1;
		}
		line[len++] = (unsigned char)c < ' ' || c == 0x7f ? ' ' : c;
	}
	while (len > 0 && line[len - 1] == ' ')
		len--;
	line[len] = '\0';
	if (connection->target->is_verbose)
		(void)fprintf(stderr, "S: %s\n", line);
	return 0;
}

int
connection_send(struct connection *connection, const char *bytes, size_t len,
    const char *shown)
{
	int ok;

	if (connection->target->is_verbose)
		(void)fprintf(stderr, "C: %s", shown != NULL ? shown : bytes);
	if (connection->ssl != NULL)
		ok = SSL_write(connection->ssl, bytes, (int)len) == (int)len;
	else
		ok = send(connection->fd, bytes, len, MSG_NOSIGNAL) ==
		    (ssize_t)len;
	if (ok)
		return 0;
	complain(connection->target, "cannot send", "connection lost");
	return -1;
}

static int
expect(struct connection *c, int *status)
{
	char line[CONNECTION_LINE_MAX];

	*status = EX_PROTOCOL;
	if (connection_receive(c, line) == -1)
		return -1;
	if (strncmp(line, "200 ", 4) == 0)
		return 0;
	complain(c->target, "the server says", line);
	return -1;
}

static int
ask_for_tls(struct connection *c, int *status)
{
	static const char command[] = "STARTTLS\r\n";

	if (expect(c, status) == -1 ||
	    connection_send(c, command, sizeof(command) - 1, NULL) == -1)
		return -1;
	return expect(c, status);
}

/* After STARTTLS there is no second greeting. */
static int
set_up(struct connection *c, int *status)
{
	if (c->target->tls == CONNECTION_STARTTLS)
		return ask_for_tls(c, status) == 0 ? start_tls(c, status) : -1;
	return start_tls(c, status) == 0 ? expect(c, status) : -1;
}

struct connection *
connection_open(const struct connection_target *target, int *status)
{
	struct connection *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		complain(target, "memory", strerror(errno));
		*status = EX_OSERR;
		return NULL;
	}
	c->target = target;
	c->fd = connect_any(target, status);
	if (c->fd != -1 && set_up(c, status) == 0)
		return c;
	connection_close(c);
	return NULL;
}

void
connection_close(struct connection *connection)
{
	if (connection == NULL)
		return;
	if (connection->ssl != NULL)
		(void)SSL_shutdown(connection->ssl);
	SSL_free(connection->ssl);
	SSL_CTX_free(connection->ctx);
	if (connection->fd != -1)
		(void)close(connection->fd);
	free(connection);
}
