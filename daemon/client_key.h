/*
 * Client addresses as limits count them. Pure; monitor and net.
 */
#ifndef DAEMON_CLIENT_KEY_H
#define DAEMON_CLIENT_KEY_H

#include <stddef.h>
#include <stdint.h>

/* A wide network is an organisation's rather than a customer's: it may have so
 * many times as much of everything. */
#define CLIENT_KEY_WIDE 8

/* What to hash and compare: all of it. */
struct client_key {
	uint8_t family; /* 4, 6, or 0 for none */
	uint8_t len;    /* of the network, in bytes */
	uint8_t bytes[8];
};

struct client_keys {
	struct client_key one;  /* an IPv4 address, or an IPv6 /64 */
	struct client_key wide; /* an IPv6 /48; none for IPv4 */
};

/*
 * Reads the address of a wire_origin. Returns 0 if it is none, as that of a
 * unix: listener's peer: then *keys is zeroed, and no limit by address applies.
 */
int client_keys_of(const char *address, struct client_keys *keys);

int client_key_is_none(const struct client_key *key);
int client_key_equal(const struct client_key *a, const struct client_key *b);

#endif
