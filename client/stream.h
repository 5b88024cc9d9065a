/*
 * Bytes over a socket, in clear or in TLS, within a time limit.
 */
#ifndef CLIENT_STREAM_H
#define CLIENT_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

struct stream {
	int fd;            /* does not block; -1: none */
	SSL *ssl;          /* NULL while in clear */
	uint64_t until_ms; /* of clock_now_ms(): when to give up */
};

/* Each blocks until until_ms at the most. 0, or -1 with errno: ETIMEDOUT, 0
 * for the end of the connection, or another. */
int stream_read_byte(struct stream *stream, char *byte);
int stream_write(struct stream *stream, const char *bytes, size_t len);

/* Has ssl read from fd, until until_ms at the most. 0, or -1 if there is no
 * memory. */
int stream_feed_tls(struct stream *stream);

/* After an OpenSSL call that returned result: waits until it is worth calling
 * again. As above; errno 0 also if OpenSSL itself failed. */
int stream_wait_tls(struct stream *stream, int result);

/* Sends close_notify, closes and frees what there is. */
void stream_close(struct stream *stream);

#endif
