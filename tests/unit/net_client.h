/*
 * A client of a network process, over TCP, for its tests. Each wait fails the
 * test after PEER_WAIT_MS.
 */
#ifndef TESTS_UNIT_NET_CLIENT_H
#define TESTS_UNIT_NET_CLIENT_H

#include <netinet/in.h>

#include <openssl/types.h>

#define PEER_WAIT_MS 60000

struct peer_client;

/* Connects to this port of loopback, in network order; with ctx, makes TLS
 * there. peer_leave() frees it. */
struct peer_client *peer_client_new(in_port_t port, SSL_CTX *ctx);

/* Its socket, which stays its own. */
int peer_client_fd(const struct peer_client *c);

void peer_say(struct peer_client *c, const char *bytes);
void peer_expect(struct peer_client *c, const char *line);

/* No more bytes, and the end as TLS has it. */
void peer_expect_close(struct peer_client *c);

/* Says it and expects the answer. */
void peer_ask(struct peer_client *c, const char *bytes, const char *line);

/* Leaves without a word. */
void peer_leave(struct peer_client *c);

#endif
