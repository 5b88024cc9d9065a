/*
 * The keeper of the keys in a process of its own, behind its filter of system
 * calls, and OpenSSL here, which signs through it: handshakes with every kind
 * of key, and what the keeper refuses.
 */
#include "daemon/keeper.h"

#include <sys/wait.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>

#include "common/wire.h"
#include "daemon/filter.h"
#include "daemon/remote_key.h"
#include "tests/unit/self_signed.h"
#include "tests/unit/suite.h"

enum key_index {
	EC_256,
	EC_384,
	RSA_2048,
	N_KEYS
};

static struct {
	EVP_PKEY *keys[N_KEYS];
	pid_t pid;
	int fd;
} keeper;

static void
add_key(struct keeper *k, EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *pem;
	long len;

	ck_assert_int_eq(
	    PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
	len = BIO_get_mem_data(bio, &pem);
	ck_assert_int_eq(keeper_add(k, pem, (size_t)len), 0);
	(void)BIO_free(bio);
}

/* As if an hour had passed between any two signatures, after which OpenSSL asks
 * the kernel for a new seed: under the filter too. */
static void
seed_anew_each_time(void)
{
	EVP_RAND_CTX *generators[] = { RAND_get0_primary(NULL),
		RAND_get0_public(NULL), RAND_get0_private(NULL) };
	unsigned once = 1;
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_uint(
		    OSSL_DRBG_PARAM_RESEED_REQUESTS, &once),
		OSSL_PARAM_construct_end(),
	};

	for (size_t i = 0; i < N_OF(generators); i++)
		ck_assert_int_eq(
		    EVP_RAND_CTX_set_params(generators[i], params), 1);
}

static void
setup(void)
{
	struct keeper *k = keeper_new();
	int fd[2];

	for (int i = 0; i < N_KEYS; i++)
		add_key(k, keeper.keys[i]);
	ck_assert_int_eq(wire_pair(fd), 0);
	keeper.pid = fork();
	ck_assert_int_ne(keeper.pid, -1);
	if (keeper.pid == 0) {
		(void)close(fd[0]);
		keeper_warm_up(k);
		seed_anew_each_time();
		filter_keeper();
		_exit(keeper_serve(k, fd[1]) == 0 ? 0 : 1);
	}
	(void)close(fd[1]);
	keeper.fd = fd[0];
	keeper_free(k);
}

static int
keeper_status(void)
{
	int status;

	ck_assert_int_eq(waitpid(keeper.pid, &status, 0), keeper.pid);
	keeper.pid = 0;
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
teardown(void)
{
	if (keeper.pid > 0) {
		(void)kill(keeper.pid, SIGKILL);
		(void)waitpid(keeper.pid, NULL, 0);
	}
}

struct request_case {
	uint32_t index;
	uint32_t padding;
	uint32_t digest_len;
	int is_signed;
};

/* Raw RSA, another digest, the padding of another kind of key: none of it is
 * TLS. */
static const struct request_case request_cases[] = {
	{ EC_256, KEY_PADDING_NONE, 32, 1 },
	{ EC_384, KEY_PADDING_NONE, 48, 1 },
	{ RSA_2048, KEY_PADDING_PKCS1, 32, 1 },
	{ RSA_2048, KEY_PADDING_PKCS1, 64, 1 },
	{ RSA_2048, KEY_PADDING_PSS, 48, 1 },
	{ RSA_2048, KEY_PADDING_NONE, 32, 0 },
	{ RSA_2048, 0, 32, 0 },
	{ RSA_2048, KEY_PADDING_PSS + 1, 32, 0 },
	{ RSA_2048, KEY_PADDING_PSS, 20, 0 },
	{ RSA_2048, KEY_PADDING_PKCS1, 36, 0 },
	{ RSA_2048, KEY_PADDING_PKCS1, 0, 0 },
	{ RSA_2048, KEY_PADDING_PKCS1, 0xffffffffU, 0 },
	{ EC_256, KEY_PADDING_PKCS1, 32, 0 },
	{ EC_256, KEY_PADDING_NONE, 31, 0 },
	{ N_KEYS, KEY_PADDING_NONE, 32, 0 },
	{ 0xffffffffU, KEY_PADDING_NONE, 32, 0 },
};

START_TEST(test_request)
{
	const struct request_case *c = &request_cases[_i];
	struct key_request request = { .type = KEY_REQUEST,
		.index = c->index,
		.number = 7,
		.padding = c->padding,
		.digest_len = c->digest_len };
	struct key_answer answer;
	size_t len;

	ck_assert_int_eq(
	    wire_send(keeper.fd, &request, sizeof(request), -1), WIRE_OK);
	ck_assert_int_eq(
	    wire_recv(keeper.fd, &answer, sizeof(answer), &len, NULL), WIRE_OK);
	ck_assert_uint_eq(len, sizeof(answer));
	ck_assert_uint_eq(answer.number, 7);
	ck_assert_int_eq(answer.len > 0, c->is_signed);
	(void)close(keeper.fd);
	ck_assert_int_eq(keeper_status(), 0);
}
END_TEST

START_TEST(test_keeper_ends_what_breaks_the_protocol)
{
	const struct ctl_order order = { .type = CTL_STOP };

	ck_assert_int_eq(
	    wire_send(keeper.fd, &order, sizeof(order), -1), WIRE_OK);
	ck_assert_int_eq(keeper_status(), 1);
}
END_TEST

/* A server that has the certificate, and the key only by the keeper. */
static SSL_CTX *
make_server(int index)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	X509 *x = self_signed_for(keeper.keys[index]);
	EVP_PKEY *key = remote_key_new(x, (uint32_t)index);

	ck_assert_ptr_nonnull(key);
	ck_assert_int_eq(SSL_CTX_use_certificate(ctx, x), 1);
	ck_assert_int_eq(SSL_CTX_use_PrivateKey(ctx, key), 1);
	EVP_PKEY_free(key);
	X509_free(x);
	return ctx;
}

/* Whether client and server come to an end of their handshake. The client
 * verifies the signature. */
static int
shake_hands(SSL_CTX *server_ctx, int version, const char *signature)
{
	SSL_CTX *client_ctx = SSL_CTX_new(TLS_client_method());
	SSL *client = SSL_new(client_ctx), *server = SSL_new(server_ctx);
	/* OpenSSL's macro would cast const away. */
	char *list = signature != NULL ? strdup(signature) : NULL;
	BIO *a, *b;
	int done = 0;

	ck_assert_int_eq(SSL_set_min_proto_version(client, version), 1);
	ck_assert_int_eq(SSL_set_max_proto_version(client, version), 1);
	if (list != NULL)
		ck_assert_int_eq(SSL_set1_sigalgs_list(client, list), 1);
	free(list);
	ck_assert_int_eq(BIO_new_bio_pair(&a, 65536, &b, 65536), 1);
	SSL_set_bio(client, a, a);
	SSL_set_bio(server, b, b);
	SSL_set_connect_state(client);
	SSL_set_accept_state(server);
	for (int i = 0; i < 16 && !done; i++) {
		int client_done = SSL_do_handshake(client) == 1;

		done = SSL_do_handshake(server) == 1 && client_done;
	}
	SSL_free(client);
	SSL_free(server);
	SSL_CTX_free(client_ctx);
	return done;
}

struct handshake_case {
	int index;
	int version;
	const char *signature; /* that the client takes, or NULL */
	int is_possible;
};

static const struct handshake_case handshake_cases[] = {
	{ EC_256, TLS1_2_VERSION, NULL, 1 },
	{ EC_256, TLS1_3_VERSION, NULL, 1 },
	{ EC_384, TLS1_2_VERSION, NULL, 1 },
	{ EC_384, TLS1_3_VERSION, NULL, 1 },
	{ RSA_2048, TLS1_2_VERSION, "RSA+SHA256", 1 },
	{ RSA_2048, TLS1_2_VERSION, "RSA+SHA512", 1 },
	{ RSA_2048, TLS1_2_VERSION, "rsa_pss_rsae_sha384", 1 },
	{ RSA_2048, TLS1_3_VERSION, "rsa_pss_rsae_sha256", 1 },
	{ RSA_2048, TLS1_3_VERSION, "rsa_pss_rsae_sha512", 1 },
	/* OpenSSL itself would, at a lower level of security. */
	{ RSA_2048, TLS1_2_VERSION, "RSA+SHA224:ECDSA+SHA256", 0 },
};

START_TEST(test_handshake)
{
	const struct handshake_case *c = &handshake_cases[_i];
	SSL_CTX *server;

	ck_assert_int_eq(remote_key_init(keeper.fd), 0);
	server = make_server(c->index);
	ck_assert_int_eq(
	    shake_hands(server, c->version, c->signature), c->is_possible);
	SSL_CTX_free(server);
}
END_TEST

/* A key of another certificate is seen before anybody connects. */
START_TEST(test_key_of_another_certificate)
{
	X509 *right = self_signed_for(keeper.keys[EC_256]);
	X509 *wrong = self_signed_for(keeper.keys[EC_384]);
	EVP_PKEY *key;

	ck_assert_int_eq(remote_key_init(keeper.fd), 0);
	key = remote_key_new(right, EC_256);
	ck_assert_int_eq(X509_check_private_key(right, key), 1);
	ck_assert_int_eq(X509_check_private_key(wrong, key), 0);
	EVP_PKEY_free(key);
	X509_free(right);
	X509_free(wrong);
}
END_TEST

/* No private half comes out, and none is taken for OpenSSL's own. */
START_TEST(test_key_has_no_private_half)
{
	X509 *x = self_signed_for(keeper.keys[RSA_2048]);
	BIO *bio = BIO_new(BIO_s_mem());
	BIGNUM *d = NULL;
	EVP_PKEY *key;

	ck_assert_int_eq(remote_key_init(keeper.fd), 0);
	key = remote_key_new(x, RSA_2048);
	ck_assert_int_eq(EVP_PKEY_get_bn_param(key, "d", &d), 0);
	ck_assert_int_eq(
	    PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 0);
	(void)BIO_free(bio);
	EVP_PKEY_free(key);
	X509_free(x);
}
END_TEST

START_TEST(test_keeper_is_gone)
{
	SSL_CTX *server;

	ck_assert_int_eq(remote_key_init(keeper.fd), 0);
	server = make_server(EC_256);
	(void)kill(keeper.pid, SIGKILL);
	(void)waitpid(keeper.pid, NULL, 0);
	keeper.pid = 0;
	ck_assert_int_eq(shake_hands(server, TLS1_3_VERSION, NULL), 0);
	ck_assert_int_eq(shake_hands(server, TLS1_2_VERSION, NULL), 0);
	SSL_CTX_free(server);
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("keeper");
	int status;

	/* Once: it takes its time. */
	keeper.keys[EC_256] = EVP_EC_gen("P-256");
	keeper.keys[EC_384] = EVP_EC_gen("P-384");
	keeper.keys[RSA_2048] = EVP_RSA_gen(2048);
	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, test_request, 0, N_OF(request_cases));
	tcase_add_test(tcase, test_keeper_ends_what_breaks_the_protocol);
	tcase_add_loop_test(tcase, test_handshake, 0, N_OF(handshake_cases));
	tcase_add_test(tcase, test_key_of_another_certificate);
	tcase_add_test(tcase, test_key_has_no_private_half);
	tcase_add_test(tcase, test_keeper_is_gone);
	status = suite_run("keeper", tcase);
	for (int i = 0; i < N_KEYS; i++)
		EVP_PKEY_free(keeper.keys[i]);
	return status;
}
