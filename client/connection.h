/*
 * A connection to a poppassd: TCP, TLS with a verified certificate, lines.
 */
#ifndef CLIENT_CONNECTION_H
#define CLIENT_CONNECTION_H

#include <stddef.h>

#define CONNECTION_LINE_MAX 512

enum connection_tls {
	CONNECTION_IMPLICIT,
	CONNECTION_STARTTLS
};

struct connection_target {
	char *host; /* name or address literal; also what is verified */
	const char *port;
	enum connection_tls tls;
	const char *ca_file; /* or NULL: the system's trust store */
	unsigned timeout_sec;
	int is_verbose; /* the dialogue goes to stderr, without secrets */
};

struct connection;

/*
 * Connects, makes TLS and reads the greeting. NULL after one message on stderr;
 * then *status is an exit status of poppasswd(1). Blocks, up to timeout_sec a
 * step. Free with connection_close().
 */
struct connection *connection_open(
    const struct connection_target *target, int *status);

/* Sends bytes, a whole line. shown, or NULL for itself, is what --verbose
 * prints. 0, or -1 after a message. */
int connection_send(struct connection *connection, const char *bytes,
    size_t len, const char *shown);

/* Receives a line without its end, printable. 0, or -1 after a message. */
int connection_receive(
    struct connection *connection, char line[CONNECTION_LINE_MAX]);

/* Sends close_notify, closes and frees; may be NULL. */
void connection_close(struct connection *connection);

#endif
