/*
 * A connection to a poppassd: TLS with a verified certificate, or a socket in
 * the file system; then lines.
 */
#ifndef CLIENT_CONNECTION_H
#define CLIENT_CONNECTION_H

#include <stddef.h>

#include "client/certificate.h"
#include "client/failure.h"

#define CONNECTION_LINE_MAX 512

enum connection_kind {
	CONNECTION_IMPLICIT,
	CONNECTION_STARTTLS,
	CONNECTION_UNIX /* no network, no TLS */
};

struct connection_target {
	char *host; /* name or address literal, also what is verified;
	             * for CONNECTION_UNIX the path */
	const char *port;
	enum connection_kind kind;
	const char *ca_file; /* or NULL: the system's trust store */
	unsigned timeout_sec;
	int is_verbose; /* the dialogue goes to stderr, without secrets */
	/* For who sends no secret: go on whatever the certificate is like, and
	 * only tell of it in the report. */
	int is_examination;
};

/* What a connection showed. */
struct connection_facts {
	unsigned connect_ms;   /* to find the host and to connect */
	unsigned handshake_ms; /* TLS alone */
	const char *version;   /* of TLS, or NULL */
	const char *cipher;    /* or NULL */
	struct certificate_report certificate;
};

struct connection;

/* NULL with errno if there is no memory. The target must outlive it. Free with
 * connection_close(). */
struct connection *connection_new(const struct connection_target *target);

/*
 * Connects, makes TLS and reads the greeting, once. 0, or -1 with a failure.
 * Blocks, up to timeout_sec a step.
 */
int connection_open(struct connection *connection);

/* Why the last call did not work; valid until the next. */
const struct failure *connection_failure(const struct connection *connection);

/* What was found out so far, also after a failure; valid until the end. */
const struct connection_facts *connection_facts(
    const struct connection *connection);

/* Sends bytes, a whole line. shown, or NULL for itself, is what is_verbose
 * prints. 0, or -1 with a failure. Blocks up to timeout_sec. */
int connection_send(struct connection *connection, const char *bytes,
    size_t len, const char *shown);

/* Receives a line without its end and without control characters. 0, or -1
 * with a failure. Blocks up to timeout_sec, however slowly it comes. */
int connection_receive(
    struct connection *connection, char line[CONNECTION_LINE_MAX]);

/* Sends close_notify, closes and frees; may be NULL. */
void connection_close(struct connection *connection);

#endif
