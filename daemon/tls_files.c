/*
 * The certificates and keys on disk. Runs as root in the monitor; handles no
 * client bytes.
 */
#include "daemon/tls_files.h"

#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "common/secret.h"
#include "daemon/tls.h"
#include "daemon/tls_clients.h"

/* A chain with a few intermediates is below 20 KiB. */
#define FILE_MAX (256 * 1024)

struct tls_file {
	char *bytes; /* FILE_MAX of secret memory */
	size_t len;
};

struct tls_pair {
	struct tls_file certificate;
	struct tls_file key;
	int is_self_signed;
};

struct tls_files {
	struct tls_file client_ca; /* no bytes if there is none */
	size_t n;
	struct tls_pair pairs[];
};

/* One file of a pair, and where to complain about it. */
struct subject {
	struct config_errors *errors;
	const struct config_place *place;
	const char *directive;
	const char *path;
};

static int
complain(const struct subject *s, const char *what, const char *advice)
{
	config_error(s->errors, s->place, "%s %s: %s; %s", s->directive,
	    s->path, what, advice);
	return -1;
}

static int
read_all(int fd, struct tls_file *file)
{
	for (;;) {
		ssize_t n =
		    read(fd, file->bytes + file->len, FILE_MAX - file->len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		if (n == 0)
			return 0;
		file->len += (size_t)n;
		if (file->len == FILE_MAX) {
			errno = EFBIG;
			return -1;
		}
	}
}

static int
check_mode(const struct subject *s, int fd, mode_t forbidden)
{
	struct stat st;

	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode))
		return complain(s, "not a regular file", "name a PEM file");
	if ((st.st_mode & forbidden) == 0)
		return 0;
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return complain(s, "is writable by others", "chmod go-w");
	return complain(s, "everybody can read it", "chmod o-rwx");
}

static int
load_file(const struct subject *s, mode_t forbidden, struct tls_file *file)
{
	int fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int result = -1;

	if (fd == -1)
		return complain(s, strerror(errno),
		    "it must be there and readable for the user that starts "
		    "poppassd");
	file->bytes = secret_memory_map(FILE_MAX, NULL);
	if (file->bytes == NULL)
		result = complain(s, strerror(errno), "free some memory");
	else if (check_mode(s, fd, forbidden) == 0)
		result = read_all(fd, file) == 0
		    ? 0
		    : complain(s, strerror(errno), "name a PEM file");
	(void)close(fd);
	return result;
}

static X509 *
parse_certificate(const struct subject *s, const struct tls_file *file)
{
	BIO *bio = BIO_new_mem_buf(file->bytes, (int)file->len);
	X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	BIO_free(bio);
	if (x == NULL)
		(void)complain(s, "no certificate in it",
		    "name a PEM file with the certificate first and then its "
		    "chain");
	return x;
}

static int
refuse_passphrase(char *buf, int size, int is_writing, void *context)
{
	(void)buf;
	(void)size;
	(void)is_writing;
	*(int *)context = 1;
	return -1;
}

static EVP_PKEY *
parse_key(const struct subject *s, const struct tls_file *file)
{
	BIO *bio = BIO_new_mem_buf(file->bytes, (int)file->len);
	int is_encrypted = 0;
	EVP_PKEY *key = PEM_read_bio_PrivateKey(
	    bio, NULL, refuse_passphrase, &is_encrypted);

	BIO_free(bio);
	if (key == NULL && is_encrypted)
		(void)complain(s, "the key is encrypted",
		    "store it without a passphrase: openssl pkey -in OLD -out "
		    "NEW");
	else if (key == NULL)
		(void)complain(s, "no private key in it",
		    "name the PEM file with the key of the certificate");
	return key;
}

static int
check_dates(const struct subject *s, X509 *x)
{
	const ASN1_TIME *from = X509_get0_notBefore(x);
	const ASN1_TIME *until = X509_get0_notAfter(x);
	int is_early = X509_cmp_current_time(from) > 0;
	char what[96] = { 0 };
	struct tm tm;

	if (!is_early && X509_cmp_current_time(until) > 0)
		return 0;
	if (ASN1_TIME_to_tm(is_early ? from : until, &tm) != 1)
		return complain(s, "its dates cannot be read", "renew it");
	if (is_early) {
		(void)strftime(what, sizeof(what),
		    "not valid before %Y-%m-%d %H:%M:%S UTC", &tm);
		return complain(s, what, "is the clock right?");
	}
	(void)strftime(
	    what, sizeof(what), "expired on %Y-%m-%d %H:%M:%S UTC", &tm);
	return complain(s, what, "renew it");
}

static int
check_pair(const struct subject *certificate, const struct subject *key,
    struct tls_pair *pair)
{
	X509 *x = parse_certificate(certificate, &pair->certificate);
	EVP_PKEY *k = parse_key(key, &pair->key);
	int result = -1;

	if (x == NULL || k == NULL || check_dates(certificate, x) == -1)
		goto out;
	pair->is_self_signed = X509_self_signed(x, 0) == 1;
	if (X509_check_private_key(x, k) == 1)
		result = 0;
	else
		config_error(key->errors, key->place,
		    "tls-key %s: is not the key of %s; name the key that the "
		    "certificate was made for",
		    key->path, certificate->path);
out:
	ERR_clear_error();
	X509_free(x);
	EVP_PKEY_free(k);
	return result;
}

/* What net will do with it, so that what OpenSSL has against it (a key that is
 * too short, a weak digest) is said here, with the file's name. */
static int
check_use(const struct subject *certificate, const struct tls_pair *pair,
    int minimum_version)
{
	struct tls_server *server = tls_server_new(minimum_version);
	const char *why = strerror(errno);
	int result = -1;

	if (server != NULL)
		result = tls_server_add(server, pair->certificate.bytes,
		    pair->certificate.len, pair->key.bytes, pair->key.len,
		    &why);
	if (result == -1)
		(void)complain(certificate, why,
		    "OpenSSL does not serve it; make a new key and "
		    "certificate");
	tls_server_free(server);
	return result;
}

static int
load_pair(const struct config *config, const struct config_pair *directive,
    struct config_errors *errors, struct tls_pair *pair)
{
	const struct subject certificate = { errors, &directive->place,
		"tls-certificate", directive->certificate };
	const struct subject key = { errors, &directive->key_place, "tls-key",
		directive->key };
	int is_one_file = strcmp(directive->certificate, directive->key) == 0;
	const mode_t writable = S_IWGRP | S_IWOTH;
	int result;

	result = load_file(&certificate,
	    is_one_file ? writable | S_IROTH : writable, &pair->certificate);
	/* One file is complained about once. */
	if (is_one_file && result == -1)
		return -1;
	if (load_file(&key, writable | S_IROTH, &pair->key) == -1 ||
	    result == -1)
		return -1;
	if (check_pair(&certificate, &key, pair) == -1)
		return -1;
	return check_use(&certificate, pair, config->tls_minimum_version);
}

static int
load_client_ca(const struct config *config, struct config_errors *errors,
    struct tls_file *file)
{
	const struct subject s = { errors, &config->tls_client_ca_place,
		"tls-client-ca", config->tls_client_ca };
	struct tls_clients *clients;
	const char *why;

	if (config->tls_client_ca == NULL)
		return 0;
	if (load_file(&s, S_IWGRP | S_IWOTH, file) == -1)
		return -1;
	clients = tls_clients_new(file->bytes, file->len, &why);
	if (clients == NULL)
		return complain(&s, why,
		    "name a PEM file with the certificates that issue those "
		    "of clients");
	tls_clients_free(clients);
	return 0;
}

struct tls_files *
tls_files_load(const struct config *config, struct config_errors *errors)
{
	struct tls_files *files = calloc(
	    1, sizeof(*files) + config->n_pairs * sizeof(struct tls_pair));
	int failed = 0;

	if (files == NULL) {
		config_error(errors, NULL, "certificates: %s", strerror(errno));
		return NULL;
	}
	files->n = config->n_pairs;
	for (size_t i = 0; i < files->n; i++) {
		if (load_pair(config, &config->pairs[i], errors,
			&files->pairs[i]) == -1)
			failed = 1;
	}
	if (load_client_ca(config, errors, &files->client_ca) == -1)
		failed = 1;
	if (!failed)
		return files;
	tls_files_free(files);
	return NULL;
}

size_t
tls_files_count(const struct tls_files *files)
{
	return files->n;
}

const char *
tls_files_certificate(const struct tls_files *files, size_t i, size_t *len)
{
	*len = files->pairs[i].certificate.len;
	return files->pairs[i].certificate.bytes;
}

const char *
tls_files_key(const struct tls_files *files, size_t i, size_t *len)
{
	*len = files->pairs[i].key.len;
	return files->pairs[i].key.bytes;
}

int
tls_files_is_self_signed(const struct tls_files *files, size_t i)
{
	return files->pairs[i].is_self_signed;
}

const char *
tls_files_client_ca(const struct tls_files *files, size_t *len)
{
	*len = files->client_ca.len;
	return files->client_ca.bytes;
}

void
tls_files_free(struct tls_files *files)
{
	if (files == NULL)
		return;
	for (size_t i = 0; i < files->n; i++) {
		secret_memory_unmap(
		    files->pairs[i].certificate.bytes, FILE_MAX);
		secret_memory_unmap(files->pairs[i].key.bytes, FILE_MAX);
	}
	secret_memory_unmap(files->client_ca.bytes, FILE_MAX);
	free(files);
}
