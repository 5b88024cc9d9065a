/*
 * TLS contexts for net, and what they heed of what a client asks for. Made
 * before net gives up privilege, from bytes that the monitor has sent.
 */
#include "daemon/tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "daemon/remote_key.h"
#include "daemon/tls_clients.h"
#include "daemon/tls_names.h"

#define ALPN_NAME "poppassd"

/* One context per set of names. */
struct name_set {
	struct name_set *next;
	SSL_CTX *ctx;
	X509 *leaf; /* any certificate of the set; the names are in it */
};

struct tls_server {
	int minimum_version;
	struct tls_clients *clients; /* NULL: nobody is asked */
	struct name_set *sets;       /* the first is the default */
};

const char *
tls_reason(void)
{
	static char text[128];
	unsigned long error = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(error);

	if (error == 0)
		return "connection lost";
	(void)snprintf(text, sizeof(text), "%s",
	    reason != NULL ? reason : "unknown OpenSSL error");
	return text;
}

/* A client that offers only other protocols was sent here by somebody who
 * wants our answer taken for another's. */
static int
on_tls_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
    const unsigned char *in, unsigned in_len, void *context)
{
	static const unsigned char ours[] = "\x08" ALPN_NAME;
	unsigned char *selected;

	(void)ssl;
	(void)context;
	if (SSL_select_next_proto(&selected, out_len, ours, sizeof(ours) - 1,
		in, in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = selected;
	return SSL_TLSEXT_ERR_OK;
}

static int
on_tls_server_name(SSL *ssl, int *alert, void *context)
{
	const struct tls_server *server = context;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	(void)alert;
	if (name == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	for (const struct name_set *s = server->sets; s != NULL; s = s->next) {
		if (!tls_names_have(s->leaf, name))
			continue;
		(void)SSL_set_SSL_CTX(ssl, s->ctx);
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_NOACK;
}

/* A renegotiation is refused with a warning, and SSL_read() goes on with what
 * comes next: another one, for a client that would keep us busy. Its first is
 * its last word. */
static void
on_tls_message(int is_written, int version, int type, const void *bytes,
    size_t len, SSL *ssl, void *context)
{
	(void)version;
	(void)context;
	if (is_written && type == SSL3_RT_ALERT && len == 2 &&
	    ((const unsigned char *)bytes)[1] == SSL_AD_NO_RENEGOTIATION)
		SSL_set_shutdown(
		    ssl, SSL_get_shutdown(ssl) | SSL_RECEIVED_SHUTDOWN);
}

/* Mozilla's intermediate configuration; what this OpenSSL does not know is
 * left out. */
static int
set_algorithms(SSL_CTX *ctx)
{
	static char with_hybrid[] = "X25519MLKEM768:X25519:P-256:P-384";
	static char classical[] = "X25519:P-256:P-384";
	static char *const groups[] = { with_hybrid, classical };
	size_t i;

	if (SSL_CTX_set_cipher_list(ctx,
		"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
		"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
		"ECDHE-ECDSA-CHACHA20-POLY1305:"
		"ECDHE-RSA-CHACHA20-POLY1305") != 1)
		return -1;
	for (i = 0; i < sizeof(groups) / sizeof(*groups); i++) {
		if (SSL_CTX_ctrl(ctx, SSL_CTRL_SET_GROUPS_LIST, 0, groups[i]) ==
		    1)
			break;
	}
	ERR_clear_error();
	return i < sizeof(groups) / sizeof(*groups) ? 0 : -1;
}

static SSL_CTX *
make_context(struct tls_server *server)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (ctx == NULL)
		return NULL;
	(void)SSL_CTX_set_options(ctx,
	    SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
		SSL_OP_CLEANSE_PLAINTEXT);
	(void)SSL_CTX_set_mode(ctx,
	    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* Or SSL_read() would not return while key updates come. */
	(void)SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_msg_callback(ctx, on_tls_message);
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_alpn_select_cb(ctx, on_tls_alpn, NULL);
	(void)SSL_CTX_set_tlsext_servername_callback(ctx, on_tls_server_name);
	(void)SSL_CTX_set_tlsext_servername_arg(ctx, server);
	if (SSL_CTX_set_min_proto_version(ctx, server->minimum_version) == 1 &&
	    set_algorithms(ctx) == 0 &&
	    (server->clients == NULL ||
		tls_clients_apply(server->clients, ctx) == 0))
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

struct tls_server *
tls_server_new(int minimum_version)
{
	struct tls_server *server = calloc(1, sizeof(*server));

	if (server != NULL)
		server->minimum_version = minimum_version;
	return server;
}

int
tls_server_set_client_ca(
    struct tls_server *server, const char *pem, size_t len, const char **why)
{
	server->clients = tls_clients_new(pem, len, why);
	return server->clients != NULL ? 0 : -1;
}

static struct name_set *
find_or_add_set(struct tls_server *server, X509 *leaf)
{
	struct name_set **end = &server->sets;
	struct name_set *set;

	for (; *end != NULL; end = &(*end)->next) {
		if (tls_names_are_equal((*end)->leaf, leaf))
			return *end;
	}
	set = calloc(1, sizeof(*set));
	if (set == NULL)
		return NULL;
	set->ctx = make_context(server);
	if (set->ctx == NULL) {
		free(set);
		return NULL;
	}
	(void)X509_up_ref(leaf);
	set->leaf = leaf;
	*end = set;
	return set;
}

/* The issuers of the certificate that the context was given last. Those of one
 * that it replaces, of the same names and the same kind of key, go with it. */
static int
add_chain(SSL_CTX *ctx, BIO *bio)
{
	X509 *issuer;

	(void)SSL_CTX_clear_chain_certs(ctx);
	while ((issuer = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		if (SSL_CTX_add0_chain_cert(ctx, issuer) != 1) {
			X509_free(issuer);
			return -1;
		}
	}
	ERR_clear_error();
	return 0;
}

int
tls_no_passphrase(char *buf, int size, int is_writing, void *context)
{
	(void)buf;
	(void)size;
	(void)is_writing;
	(void)context;
	return -1;
}

static int
add_pair(struct tls_server *server, BIO *chain, X509 *leaf, EVP_PKEY *pkey)
{
	const struct name_set *set = NULL;

	if (leaf != NULL && pkey != NULL)
		set = find_or_add_set(server, leaf);
	if (set != NULL && SSL_CTX_use_certificate(set->ctx, leaf) == 1 &&
	    SSL_CTX_use_PrivateKey(set->ctx, pkey) == 1 &&
	    add_chain(set->ctx, chain) == 0)
		return 0;
	return -1;
}

int
tls_server_add(struct tls_server *server, const char *certificate,
    size_t certificate_len, const char *key, size_t key_len, const char **why)
{
	BIO *chain = BIO_new_mem_buf(certificate, (int)certificate_len);
	BIO *secret = BIO_new_mem_buf(key, (int)key_len);
	X509 *leaf = PEM_read_bio_X509(chain, NULL, NULL, NULL);
	EVP_PKEY *pkey =
	    PEM_read_bio_PrivateKey(secret, NULL, tls_no_passphrase, NULL);
	int result = add_pair(server, chain, leaf, pkey);

	if (result == -1)
		*why = tls_reason();
	EVP_PKEY_free(pkey);
	X509_free(leaf);
	BIO_free(secret);
	BIO_free(chain);
	return result;
}

int
tls_server_add_remote(struct tls_server *server, const char *certificate,
    size_t len, uint32_t index, const char **why)
{
	BIO *chain = BIO_new_mem_buf(certificate, (int)len);
	X509 *leaf = PEM_read_bio_X509(chain, NULL, NULL, NULL);
	EVP_PKEY *pkey = leaf != NULL ? remote_key_new(leaf, index) : NULL;
	int result = add_pair(server, chain, leaf, pkey);

	if (result == -1)
		*why = tls_reason();
	EVP_PKEY_free(pkey);
	X509_free(leaf);
	BIO_free(chain);
	return result;
}

SSL_CTX *
tls_server_context(const struct tls_server *server)
{
	return server->sets->ctx;
}

void
tls_server_free(struct tls_server *server)
{
	struct name_set *set;

	if (server == NULL)
		return;
	while ((set = server->sets) != NULL) {
		server->sets = set->next;
		SSL_CTX_free(set->ctx);
		X509_free(set->leaf);
		free(set);
	}
	tls_clients_free(server->clients);
	free(server);
}

/* Both ends in turn, until the client's is done. */
static int
talk(SSL *client, SSL *server)
{
	char byte = 'x';

	for (int i = 0; i < 16; i++) {
		int done = SSL_do_handshake(client) == 1;

		if (SSL_do_handshake(server) == 1 && done)
			return SSL_write(server, &byte, 1) == 1 &&
				SSL_read(client, &byte, 1) == 1 &&
				SSL_write(client, &byte, 1) == 1 &&
				SSL_read(server, &byte, 1) == 1
			    ? 0
			    : -1;
	}
	return -1;
}

static int
rehearse(SSL_CTX *server_ctx, SSL_CTX *client_ctx, int version)
{
	SSL *client = SSL_new(client_ctx);
	SSL *peer = SSL_new(server_ctx);
	BIO *a = NULL, *b = NULL;
	int result = -1;

	if (client != NULL && peer != NULL &&
	    SSL_set_min_proto_version(client, version) == 1 &&
	    SSL_set_max_proto_version(client, version) == 1 &&
	    BIO_new_bio_pair(&a, 65536, &b, 65536) == 1) {
		SSL_set_bio(client, a, a);
		SSL_set_bio(peer, b, b);
		SSL_set_connect_state(client);
		SSL_set_accept_state(peer);
		result = talk(client, peer);
	}
	SSL_free(client);
	SSL_free(peer);
	ERR_clear_error();
	return result;
}

int
tls_server_warm_up(struct tls_server *server)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	const struct name_set *set = server->sets;
	int result = ctx != NULL && set != NULL ? 0 : -1;

	for (; result == 0 && set != NULL; set = set->next) {
		result = rehearse(set->ctx, ctx, TLS1_3_VERSION);
		if (result == 0 && server->minimum_version <= TLS1_2_VERSION)
			result = rehearse(set->ctx, ctx, TLS1_2_VERSION);
	}
	if (result == 0 && server->clients != NULL)
		result = tls_clients_warm_up(server->clients);
	SSL_CTX_free(ctx);
	return result;
}
