/* What a client can make TLS do to net: two ends in one process. */
#include "daemon/tls.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "daemon/tls_session.h"
#include "tests/unit/self_signed.h"
#include "tests/unit/suite.h"

static struct {
	int fd[2]; /* client, server */
	struct tls_server *server;
	struct tls_session *session;
	SSL_CTX *ctx;
	SSL *ssl;
} ends;

static void
setup(void)
{
	BIO *certificate, *key;
	char *c, *k;
	const char *why;
	long c_len, k_len;

	self_signed(&certificate, &key);
	c_len = BIO_get_mem_data(certificate, &c);
	k_len = BIO_get_mem_data(key, &k);
	ends.server = tls_server_new(TLS1_2_VERSION);
	ck_assert_ptr_nonnull(ends.server);
	ck_assert_int_eq(tls_server_add(ends.server, c, (size_t)c_len, k,
			     (size_t)k_len, &why),
	    0);
	(void)BIO_free(certificate);
	(void)BIO_free(key);
	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.fd), 0);
	ends.session = tls_session_new(ends.server, ends.fd[1]);
	ck_assert_ptr_nonnull(ends.session);
	ends.ctx = SSL_CTX_new(TLS_client_method());
	ends.ssl = SSL_new(ends.ctx);
	ck_assert_int_eq(SSL_set_fd(ends.ssl, ends.fd[0]), 1);
}

static void
teardown(void)
{
	SSL_free(ends.ssl);
	SSL_CTX_free(ends.ctx);
	tls_session_free(ends.session);
	tls_server_free(ends.server);
	(void)close(ends.fd[0]);
	(void)close(ends.fd[1]);
}

static void
shake_hands(int version)
{
	enum tls_result result = TLS_WANTS_READ;
	int done = 0;

	ck_assert_int_eq(SSL_set_min_proto_version(ends.ssl, version), 1);
	ck_assert_int_eq(SSL_set_max_proto_version(ends.ssl, version), 1);
	for (int i = 0; i < 10 && (!done || result != TLS_DONE); i++) {
		done = SSL_connect(ends.ssl) == 1;
		if (result != TLS_DONE)
			result = tls_handshake(ends.session);
	}
	ck_assert_int_eq(done, 1);
	ck_assert_int_eq(result, TLS_DONE);
}

static enum tls_result
read_some(char *buf, size_t size, size_t *len)
{
	memset(buf, 0, size);
	return tls_read(ends.session, buf, size, len);
}

START_TEST(test_read_gives_what_the_client_wrote)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	char buf[16];
	size_t len;

	shake_hands(versions[_i]);
	ck_assert_str_eq(tls_version(ends.session),
	    versions[_i] == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3");
	ck_assert_int_eq(SSL_write(ends.ssl, "hello", 5), 5);
	ck_assert_int_eq(read_some(buf, sizeof(buf), &len), TLS_DONE);
	ck_assert_uint_eq(len, 5);
	ck_assert_str_eq(buf, "hello");
	ck_assert_int_eq(read_some(buf, sizeof(buf), &len), TLS_WANTS_READ);
	ck_assert_uint_eq(len, 0);
}
END_TEST

/* Whoever has many sessions to look after must not be kept by one of them. */
START_TEST(test_read_returns_after_one_key_update)
{
	int n_waiting = 0;
	char buf[16];
	size_t len;

	shake_hands(TLS1_3_VERSION);
	for (int i = 0; i < 50; i++) {
		ck_assert_int_eq(
		    SSL_key_update(ends.ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
		ck_assert_int_eq(SSL_do_handshake(ends.ssl), 1);
	}
	ck_assert_int_eq(SSL_write(ends.ssl, "hello", 5), 5);
	ck_assert_int_eq(read_some(buf, sizeof(buf), &len), TLS_WANTS_READ);
	ck_assert_int_eq(ioctl(ends.fd[1], FIONREAD, &n_waiting), 0);
	ck_assert_int_gt(n_waiting, 0);
	for (int i = 0; i < 50 && len == 0; i++)
		(void)read_some(buf, sizeof(buf), &len);
	ck_assert_str_eq(buf, "hello");
}
END_TEST

/* It is told no, and not asked how often it wants to hear that. */
START_TEST(test_renegotiation_is_the_end)
{
	char buf[16];
	size_t len;

	shake_hands(TLS1_2_VERSION);
	ck_assert_int_eq(SSL_renegotiate(ends.ssl), 1);
	ck_assert_int_le(SSL_do_handshake(ends.ssl), 0);
	ck_assert_int_ne(read_some(buf, sizeof(buf), &len), TLS_DONE);
	ck_assert_int_eq(read_some(buf, sizeof(buf), &len), TLS_EOF);
	ck_assert_int_le(SSL_do_handshake(ends.ssl), 0);
	ck_assert_str_eq(
	    ERR_reason_error_string(ERR_peek_error()), "no renegotiation");
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("tls");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, test_read_gives_what_the_client_wrote, 0, 2);
	tcase_add_test(tcase, test_read_returns_after_one_key_update);
	tcase_add_test(tcase, test_renegotiation_is_the_end);
	return suite_run("tls", tcase);
}
