/*
 * Certificates of clients. Runs in net, without privilege, and for the check of
 * a file in the monitor.
 */
#include "daemon/tls_clients.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

struct tls_clients {
	X509_STORE *store;
	STACK_OF(X509_NAME) * names; /* that a client may choose by */
};

static int
add_issuer(struct tls_clients *clients, X509 *issuer)
{
	X509_NAME *name = X509_NAME_dup(X509_get_subject_name(issuer));

	if (name != NULL && sk_X509_NAME_push(clients->names, name) > 0)
		return X509_STORE_add_cert(clients->store, issuer) == 1 ? 0
									: -1;
	X509_NAME_free(name);
	return -1;
}

/* The end of the text is an error as any other to OpenSSL. */
static int
is_end(void)
{
	const unsigned long error = ERR_peek_last_error();
	const int is_it = ERR_GET_LIB(error) == ERR_LIB_PEM &&
	    ERR_GET_REASON(error) == PEM_R_NO_START_LINE;

	ERR_clear_error();
	return is_it;
}

static int
add_issuers(struct tls_clients *clients, BIO *bio, const char **why)
{
	X509 *issuer;

	while ((issuer = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		const int result = add_issuer(clients, issuer);

		X509_free(issuer);
		if (result == -1) {
			*why = "no memory";
			return -1;
		}
	}
	*why = "a certificate in it is broken";
	if (!is_end())
		return -1;
	*why = "no certificate in it";
	return sk_X509_NAME_num(clients->names) > 0 ? 0 : -1;
}

struct tls_clients *
tls_clients_new(const char *pem, size_t len, const char **why)
{
	struct tls_clients *clients = calloc(1, sizeof(*clients));
	BIO *bio = BIO_new_mem_buf(pem, (int)len);
	int result = -1;

	*why = "no memory";
	if (clients == NULL || bio == NULL)
		goto out;
	clients->store = X509_STORE_new();
	clients->names = sk_X509_NAME_new_null();
	if (clients->store == NULL || clients->names == NULL)
		goto out;
	/* Who is in the file is trusted, be it a root or not. */
	(void)X509_STORE_set_flags(clients->store, X509_V_FLAG_PARTIAL_CHAIN);
	result = add_issuers(clients, bio, why);
out:
	BIO_free(bio);
	if (result == 0)
		return clients;
	tls_clients_free(clients);
	return NULL;
}

int
tls_clients_warm_up(const struct tls_clients *clients)
{
	STACK_OF(X509) *issuers = X509_STORE_get1_all_certs(clients->store);
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	int result = -1;

	if (issuers != NULL && ctx != NULL &&
	    X509_STORE_CTX_init(
		ctx, clients->store, sk_X509_value(issuers, 0), NULL) == 1) {
		/* Whatever it says: it may have expired. */
		(void)X509_verify_cert(ctx);
		result = 0;
	}
	X509_STORE_CTX_free(ctx);
	sk_X509_pop_free(issuers, X509_free);
	ERR_clear_error();
	return result;
}

int
tls_clients_apply(const struct tls_clients *clients, SSL_CTX *ctx)
{
	STACK_OF(X509_NAME) *names = SSL_dup_CA_list(clients->names);

	if (names == NULL)
		return -1;
	SSL_CTX_set_client_CA_list(ctx, names);
	/* For verifying alone: our own chain is not completed from it. */
	return SSL_CTX_set1_verify_cert_store(ctx, clients->store) == 1 ? 0
									: -1;
}

void
tls_clients_subject(const SSL *ssl, char *out, size_t size)
{
	const X509 *x = SSL_get0_peer_certificate(ssl);
	BIO *bio = x != NULL ? BIO_new(BIO_s_mem()) : NULL;
	int len = 0;

	if (bio != NULL &&
	    X509_NAME_print_ex(bio, X509_get_subject_name(x), 0,
		XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) != -1)
		len = BIO_read(bio, out, (int)size - 1);
	out[len > 0 ? len : 0] = '\0';
	BIO_free(bio);
}

const char *
tls_clients_reason(const SSL *ssl)
{
	const long result = SSL_get_verify_result(ssl);

	return result != X509_V_OK ? X509_verify_cert_error_string(result)
				   : NULL;
}

void
tls_clients_free(struct tls_clients *clients)
{
	if (clients == NULL)
		return;
	X509_STORE_free(clients->store);
	sk_X509_NAME_pop_free(clients->names, X509_NAME_free);
	free(clients);
}
