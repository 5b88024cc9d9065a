/*
 * What a certificate says of itself. Pure; monitor only.
 */
#ifndef DAEMON_TLS_ABOUT_H
#define DAEMON_TLS_ABOUT_H

#include <stddef.h>
#include <time.h>

#define TLS_ABOUT_NAMES_SIZE 256

struct tls_about {
	time_t expires;
	char names[TLS_ABOUT_NAMES_SIZE]; /* with blanks between; cut with
	                                     "..." */
};

/* Reads the first certificate of a PEM text. Without alternative names, names
 * is the subject's common name or "". 0, or -1 if there is none or its end
 * cannot be read. */
int tls_about_read(const char *pem, size_t len, struct tls_about *about);

#endif
