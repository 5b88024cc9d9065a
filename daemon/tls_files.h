/*
 * The certificates and keys on disk. Monitor only: net gets their bytes over
 * the control socket and opens no file.
 */
#ifndef DAEMON_TLS_FILES_H
#define DAEMON_TLS_FILES_H

#include <stddef.h>

#include "conf/config.h"

struct tls_files;

/*
 * Reads every pair that the configuration names and checks it: readable, PEM,
 * not encrypted, key of this certificate, valid now, good enough for OpenSSL,
 * key file not readable or writable by others. Also reads tls-client-ca, if it
 * is set. What is wrong goes to errors, each with the file, the date where it
 * is about one, and what to do. NULL if anything was. The keys live in secret
 * memory. Blocks on the disk. Free with tls_files_free().
 */
struct tls_files *tls_files_load(
    const struct config *config, struct config_errors *errors);

size_t tls_files_count(const struct tls_files *files);

/* The PEM text of a pair; owned by files. */
const char *tls_files_certificate(
    const struct tls_files *files, size_t i, size_t *len);
const char *tls_files_key(const struct tls_files *files, size_t i, size_t *len);

/* Has nobody but itself signed the certificate of the pair? */
int tls_files_is_self_signed(const struct tls_files *files, size_t i);

/* The PEM text of tls-client-ca; NULL if it is not set. Owned by files. */
const char *tls_files_client_ca(const struct tls_files *files, size_t *len);

/* Wipes and frees; may be NULL. */
void tls_files_free(struct tls_files *files);

#endif
