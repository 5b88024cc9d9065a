/*
 * A connection to a poppassd. Runs as the user; what the server sends is
 * bounded in length and time.
 */
#include "client/connection.h"

#include <sys/socket.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "client/dial.h"
#include "client/stream.h"
#include "common/clock.h"

#define TLS_RECORD_ALERT     0x15
#define TLS_RECORD_HANDSHAKE 0x16

struct connection {
	const struct connection_target *target;
	struct stream stream;
	SSL_CTX *ctx;
	struct failure failure;
	struct connection_facts facts;
};

const struct failure *
connection_failure(const struct connection *connection)
{
	return &connection->failure;
}

const struct connection_facts *
connection_facts(const struct connection *connection)
{
	return &connection->facts;
}

static void
begin_step(struct connection *c)
{
	c->stream.until_ms =
	    clock_now_ms() + (uint64_t)c->target->timeout_sec * 1000;
}

/* Of the call of OpenSSL that just failed: an alert of the server, say. NULL if
 * the connection only ended. */
static const char *
tls_reason(void)
{
	const unsigned long code = ERR_peek_last_error();

	return ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING
	    ? NULL
	    : ERR_reason_error_string(code);
}

/* After errno, and in TLS OpenSSL's queue of errors. */
static int
fail_lost(struct connection *c, int status, const char *what)
{
	const char *why = NULL;

	if (errno == ETIMEDOUT)
		return failure_set(&c->failure, status,
		    "%s: timed out after %u s", what, c->target->timeout_sec);
	if (errno == 0 && c->stream.ssl != NULL)
		why = tls_reason();
	else if (errno != 0 && errno != ECONNRESET && errno != EPIPE)
		why = strerror(errno);
	return failure_set(&c->failure, status, "%s: %s", what,
	    why != NULL ? why : "connection lost");
}

/* C1 controls too, bare or as UTF-8 writes them: a terminal obeys them. */
static size_t
append_printable(char *line, size_t len, char byte)
{
	const unsigned char c = (unsigned char)byte;
	const unsigned char last = len > 0 ? (unsigned char)line[len - 1] : 0;
	const int is_c1 = c >= 0x80 && c < 0xa0;

	if (c < ' ' || c == 0x7f || (is_c1 && last < 0x80))
		byte = ' ';
	if (is_c1 && last == 0xc2)
		line[len - 1] = byte = ' ';
	line[len] = byte;
	return len + 1;
}

int
connection_receive(
    struct connection *connection, char line[CONNECTION_LINE_MAX])
{
	struct connection *c = connection;
	size_t len = 0;
	char byte;

	begin_step(c);
	for (;;) {
		if (stream_read_byte(&c->stream, &byte) == -1)
			return fail_lost(c, EX_PROTOCOL, "no answer");
		if (byte == '\n')
			break;
		if (len == CONNECTION_LINE_MAX - 1)
			return failure_set(&c->failure, EX_PROTOCOL,
			    "an answer without end; is it a poppassd?");
		len = append_printable(line, len, byte);
	}
	while (len > 0 && line[len - 1] == ' ')
		len--;
	line[len] = '\0';
	if (c->target->is_verbose)
		(void)fprintf(stderr, "S: %s\n", line);
	return 0;
}

int
connection_send(struct connection *connection, const char *bytes, size_t len,
    const char *shown)
{
	if (connection->target->is_verbose)
		(void)fprintf(stderr, "C: %s", shown != NULL ? shown : bytes);
	begin_step(connection);
	if (stream_write(&connection->stream, bytes, len) == 0)
		return 0;
	return fail_lost(connection, EX_PROTOCOL, "cannot send");
}

static int
expect(struct connection *c)
{
	char line[CONNECTION_LINE_MAX];

	if (connection_receive(c, line) == -1)
		return -1;
	if (strncmp(line, "200 ", 4) == 0)
		return 0;
	return failure_set(
	    &c->failure, EX_PROTOCOL, "the server says: %s", line);
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

/* OpenSSL forgets the certificate of a handshake that failed. */
static int
on_tls_verify(int is_ok, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(
	    store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct connection *c = SSL_get_app_data(ssl);

	if (!is_ok)
		certificate_note(&c->facts.certificate, store, c->target->host);
	return is_ok || c->target->is_examination;
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

/* Before anybody waits for us: a trust store is large. */
static int
load_trust(struct connection *c)
{
	if (make_context(c) == 0)
		return 0;
	return failure_set(&c->failure, EX_NOINPUT, "%s: %s",
	    c->target->ca_file != NULL ? c->target->ca_file : "trust store",
	    ERR_reason_error_string(ERR_peek_last_error()));
}

/* Until it is known that what comes is TLS. */
static int
give_nothing_to_read(SSL *ssl)
{
	BIO *nothing = BIO_new(BIO_s_mem());

	if (nothing == NULL)
		return -1;
	SSL_set0_rbio(ssl, nothing);
	return 0;
}

static int
prepare_tls(struct connection *c)
{
	c->stream.ssl = SSL_new(c->ctx);
	if (c->stream.ssl == NULL ||
	    SSL_set_wfd(c->stream.ssl, c->stream.fd) != 1 ||
	    give_nothing_to_read(c->stream.ssl) == -1 ||
	    SSL_set_app_data(c->stream.ssl, c) != 1 ||
	    set_expected_name(c->stream.ssl, c->target->host) == -1)
		return failure_set(
		    &c->failure, EX_NOPERM, "TLS cannot be set up");
	return 0;
}

/* A server that does not speak TLS says in clear what it wants. */
static int
look_for_clear_text(struct connection *c)
{
	char line[CONNECTION_LINE_MAX];
	unsigned char first;

	if (recv(c->stream.fd, &first, 1, MSG_PEEK) != 1 ||
	    first == TLS_RECORD_HANDSHAKE || first == TLS_RECORD_ALERT)
		return 0;
	SSL_free(c->stream.ssl);
	c->stream.ssl = NULL;
	if (connection_receive(c, line) == -1)
		(void)snprintf(line, sizeof(line), "nothing readable");
	return failure_set(&c->failure, EX_NOPERM,
	    "no TLS: the server says in clear: %s", line);
}

static int
explain_handshake(struct connection *c)
{
	const struct certificate_report *report = &c->facts.certificate;

	if (report->n_problems > 0 && !c->target->is_examination)
		return failure_set(
		    &c->failure, EX_NOPERM, "%s", report->problems[0].what);
	return fail_lost(c, EX_NOPERM, "no TLS");
}

static int
handshake(struct connection *c)
{
	int has_looked = 0;

	begin_step(c);
	for (;;) {
		int error, result;

		ERR_clear_error();
		errno = 0;
		result = SSL_connect(c->stream.ssl);
		if (result == 1)
			return 0;
		error = SSL_get_error(c->stream.ssl, result);
		if (stream_wait_tls(&c->stream, result) == -1)
			return explain_handshake(c);
		if (has_looked || error != SSL_ERROR_WANT_READ)
			continue;
		has_looked = 1;
		if (look_for_clear_text(c) == -1)
			return -1;
		if (stream_feed_tls(&c->stream) == -1)
			return failure_set(
			    &c->failure, EX_OSERR, "no memory for TLS");
	}
}

static int
start_tls(struct connection *c)
{
	uint64_t start_ms;

	if (prepare_tls(c) == -1)
		return -1;
	start_ms = clock_now_ms();
	if (handshake(c) == -1)
		return -1;
	c->facts.handshake_ms = (unsigned)(clock_now_ms() - start_ms);
	c->facts.version = SSL_get_version(c->stream.ssl);
	c->facts.cipher = SSL_get_cipher_name(c->stream.ssl);
	certificate_describe(&c->facts.certificate, c->stream.ssl);
	if (c->target->is_verbose)
		(void)fprintf(
		    stderr, "(%s, %s)\n", c->facts.version, c->facts.cipher);
	return 0;
}

static int
ask_for_tls(struct connection *c)
{
	static const char command[] = "STARTTLS\r\n";

	if (expect(c) == -1 ||
	    connection_send(c, command, sizeof(command) - 1, NULL) == -1)
		return -1;
	return expect(c);
}

static int
reach(struct connection *c)
{
	const struct connection_target *t = c->target;
	const uint64_t start_ms = clock_now_ms();

	if (t->kind == CONNECTION_UNIX)
		c->stream.fd = dial_unix(t->host, t->timeout_sec, &c->failure);
	else
		c->stream.fd =
		    dial_tcp(t->host, t->port, t->timeout_sec, &c->failure);
	c->facts.connect_ms = (unsigned)(clock_now_ms() - start_ms);
	return c->stream.fd == -1 ? -1 : 0;
}

/* After STARTTLS there is no second greeting. */
int
connection_open(struct connection *connection)
{
	struct connection *c = connection;

	if (c->target->kind != CONNECTION_UNIX && load_trust(c) == -1)
		return -1;
	if (reach(c) == -1)
		return -1;
	if (c->target->kind == CONNECTION_STARTTLS)
		return ask_for_tls(c) == 0 ? start_tls(c) : -1;
	if (c->target->kind == CONNECTION_IMPLICIT && start_tls(c) == -1)
		return -1;
	return expect(c);
}

struct connection *
connection_new(const struct connection_target *target)
{
	struct connection *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->target = target;
	c->stream.fd = -1;
	return c;
}

void
connection_close(struct connection *connection)
{
	if (connection == NULL)
		return;
	stream_close(&connection->stream);
	SSL_CTX_free(connection->ctx);
	free(connection);
}
