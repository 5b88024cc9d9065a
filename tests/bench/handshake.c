/*
 * What it costs that the keys are in another process: handshakes with the key
 * at hand and with the keeper's, in turn, in one run. Prints, decides nothing.
 * usage: bench_handshake [ROUNDS]
 */
#include <sys/wait.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>

#include "common/wire.h"
#include "daemon/keeper.h"
#include "daemon/remote_key.h"
#include "tests/unit/self_signed.h"

#define N_KEYS 2

struct end {
	const char *name;
	EVP_PKEY *key;
	SSL_CTX *here;
	SSL_CTX *away;
};

static void
require(int condition, const char *what)
{
	if (condition)
		return;
	(void)fprintf(stderr, "bench_handshake: %s failed\n", what);
	exit(EXIT_FAILURE);
}

static SSL_CTX *
make_server(X509 *x, EVP_PKEY *key)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	(void)SSL_CTX_set_num_tickets(ctx, 0);
	require(key != NULL && SSL_CTX_use_certificate(ctx, x) == 1 &&
		SSL_CTX_use_PrivateKey(ctx, key) == 1,
	    "a server");
	return ctx;
}

/* Net's end of a new keeper's socket. */
static int
start_keeper(struct end ends[N_KEYS])
{
	struct keeper *keeper = keeper_new();
	int fd[2];

	for (int i = 0; i < N_KEYS; i++) {
		BIO *bio = BIO_new(BIO_s_mem());
		char *pem;
		long len;

		(void)PEM_write_bio_PrivateKey(
		    bio, ends[i].key, NULL, NULL, 0, NULL, NULL);
		len = BIO_get_mem_data(bio, &pem);
		require(keeper_add(keeper, pem, (size_t)len) == 0, "a key");
		(void)BIO_free(bio);
	}
	require(wire_pair(fd) == 0, "socketpair");
	if (fork() == 0) {
		(void)close(fd[0]);
		_exit(keeper_serve(keeper, fd[1]) == 0 ? 0 : 1);
	}
	(void)close(fd[1]);
	return fd[0];
}

static double
now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static double
shake_hands(SSL_CTX *server_ctx, SSL_CTX *client_ctx, int version)
{
	SSL *client = SSL_new(client_ctx), *server = SSL_new(server_ctx);
	const double start = now_ms();
	BIO *a, *b;
	int done = 0;

	(void)SSL_set_min_proto_version(client, version);
	(void)SSL_set_max_proto_version(client, version);
	require(BIO_new_bio_pair(&a, 65536, &b, 65536) == 1, "a pair");
	SSL_set_bio(client, a, a);
	SSL_set_bio(server, b, b);
	SSL_set_connect_state(client);
	SSL_set_accept_state(server);
	for (int i = 0; i < 16 && !done; i++) {
		int client_done = SSL_do_handshake(client) == 1;

		done = SSL_do_handshake(server) == 1 && client_done;
	}
	require(done, "a handshake");
	SSL_free(client);
	SSL_free(server);
	return now_ms() - start;
}

static int
compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void
measure(const struct end *end, SSL_CTX *client, int version, size_t n)
{
	double *here = calloc(n, sizeof(*here)),
	       *away = calloc(n, sizeof(*away));

	require(here != NULL && away != NULL, "calloc");
	for (size_t i = 0; i < n; i++) {
		here[i] = shake_hands(end->here, client, version);
		away[i] = shake_hands(end->away, client, version);
	}
	qsort(here, n, sizeof(*here), compare);
	qsort(away, n, sizeof(*away), compare);
	(void)printf("%s TLS 1.%d: median %.3f ms with the key at hand, "
		     "%.3f ms with the keeper: %+.3f ms (p90 %.3f, %.3f)\n",
	    end->name, version - TLS1_VERSION, here[n / 2], away[n / 2],
	    away[n / 2] - here[n / 2], here[n * 9 / 10], away[n * 9 / 10]);
	free(here);
	free(away);
}

int
main(int argc, char *argv[])
{
	struct end ends[N_KEYS] = { { .name = "ECDSA P-256" },
		{ .name = "RSA 2048" } };
	const size_t n = argc > 1 ? (size_t)strtoul(argv[1], NULL, 10) : 500;
	SSL_CTX *client = SSL_CTX_new(TLS_client_method());
	int fd;

	require(n > 0, "counting to ROUNDS");
	ends[0].key = EVP_EC_gen("P-256");
	ends[1].key = EVP_RSA_gen(2048);
	fd = start_keeper(ends);
	require(remote_key_init(fd) == 0, "remote_key_init");
	for (int i = 0; i < N_KEYS; i++) {
		X509 *x = self_signed_for(ends[i].key);
		EVP_PKEY *remote = remote_key_new(x, (uint32_t)i);

		ends[i].here = make_server(x, ends[i].key);
		ends[i].away = make_server(x, remote);
		EVP_PKEY_free(remote);
		X509_free(x);
		measure(&ends[i], client, TLS1_2_VERSION, n);
		measure(&ends[i], client, TLS1_3_VERSION, n);
		SSL_CTX_free(ends[i].here);
		SSL_CTX_free(ends[i].away);
		EVP_PKEY_free(ends[i].key);
	}
	SSL_CTX_free(client);
	(void)close(fd);
	(void)wait(NULL);
	return EXIT_SUCCESS;
}
