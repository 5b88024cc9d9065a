/*
 * Lists of networks, as of allow-from. Pure; any process.
 */
#ifndef CONF_CIDR_H
#define CONF_CIDR_H

#include <stddef.h>
#include <stdint.h>

#define CIDR_TEXT_SIZE 64

enum cidr_family {
	CIDR_UNIX = 1, /* all that connect to unix: sockets */
	CIDR_IPV4,
	CIDR_IPV6
};

struct cidr {
	enum cidr_family family;
	unsigned bits;     /* of the network; 32 or 128 for one address */
	uint8_t bytes[16]; /* 4 of them for IPv4, in network order */
};

struct cidr_list {
	struct cidr *all;
	size_t n;
};

enum cidr_parsed {
	CIDR_OK,
	CIDR_BAD,      /* no address, or no number of bits that it can have */
	CIDR_HOST_BITS /* bits are set behind the network's */
};

/*
 * Reads "192.0.2.0/24", "2001:db8::/32", either without its bits for the one
 * address, or "unix". Numeric only. IPv4-mapped IPv6 is IPv4. With
 * CIDR_HOST_BITS, *cidr is the network that was probably meant.
 */
enum cidr_parsed cidr_parse(const char *word, struct cidr *cidr);

/* Writes it so that cidr_parse() reads it back. */
void cidr_format(const struct cidr *cidr, char text[CIDR_TEXT_SIZE]);

/*
 * Is the peer in one of the networks? address is that of a wire_origin: "unix"
 * is in the list only if that says "unix". What is no address is in no list:
 * ask cidr_is_peer() first where that matters.
 */
int cidr_list_has(const struct cidr_list *list, const char *address);

/* Is it one address, or "unix"? */
int cidr_is_peer(const char *address);

#endif
