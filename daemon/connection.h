/*
 * The bytes of one connection, in clear or inside TLS: lines in, replies out.
 * Knows no verb. Net only; nothing here blocks.
 */
#ifndef DAEMON_CONNECTION_H
#define DAEMON_CONNECTION_H

#include <stddef.h>

#include "conf/config.h"
#include "daemon/protocol.h"
#include "daemon/tls_session.h"

struct tls_server;

/* Room for the longest line with its CRLF, and for what came behind it. */
#define CONNECTION_IN_SIZE (PROTOCOL_LINE_MAX + 64)

/* Lives in secret memory: passwords pass through in. Zeroed, then fd set. */
struct connection {
	char in[CONNECTION_IN_SIZE];
	size_t in_len;
	char out[2 * PROTOCOL_REPLY_MAX];
	size_t out_len;
	int fd;
	struct tls_session *tls; /* NULL while in clear */
	size_t n_discarded;
	int is_deaf; /* the peer's last byte has been read */
	int is_mute; /* the peer reads no more */
};

/* Adds a reply to what goes out. Lost if the peer reads no more. */
void connection_say(struct connection *c, const char *line);

/* Sends what connection_say() left. TLS_DONE if nothing is left, or nobody
 * reads it. */
enum tls_result connection_flush(struct connection *c);

/* Reads once, at most limit bytes. TLS_DONE if something came; TLS_EOF for any
 * end of the peer's bytes, clean or not. What came before the end is there. */
enum tls_result connection_fill(struct connection *c, size_t limit);

enum connection_line {
	LINE_NONE, /* not whole yet */
	LINE_WHOLE,
	LINE_TOO_LONG
};

/* The first line in c->in, if it is whole: *len without its LF or CRLF, which
 * *used has. It stays until connection_consume(). */
enum connection_line connection_line(
    const struct connection *c, size_t limit, size_t *len, size_t *used);

/* Drops the first n bytes and wipes them, and the copies that moving the others
 * up leaves. */
void connection_consume(struct connection *c, size_t n);

/* Looks at the next byte without taking it out of the socket. TLS_EOF if there
 * is none to come. */
enum tls_result connection_peek(const struct connection *c, char *byte);

/* Reads on behind what is in c->in, up to limit bytes in all, but leaves it in
 * the socket and c->in_len as it is; *len is what came. Results as of
 * connection_fill(). In clear only. */
enum tls_result connection_peek_more(
    struct connection *c, size_t limit, size_t *len);

/* Takes n bytes that were peeked at out of the socket. 0, or -1 if they are not
 * there any more. */
int connection_take(struct connection *c, size_t n);

/* Has the peer sent anything that was not consumed yet? */
int connection_has_more(const struct connection *c);

/* Begins TLS; what was read in clear is forgotten. -1 without memory. */
int connection_begin_tls(struct connection *c, struct tls_server *server,
    enum listen_client_cert client_cert);

/* All is said: close_notify if TLS is up, then the end of what we send. Wipes
 * what was read. */
void connection_finish(struct connection *c, int tls_is_up);

/* Reads and throws away, so that no reset destroys what was said. TLS_EOF at
 * the peer's end or after limit bytes. */
enum tls_result connection_discard(struct connection *c, size_t limit);

/* Wipes and closes. */
void connection_close(struct connection *c);

#endif
