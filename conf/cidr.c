/*
 * Lists of networks. Pure; any process.
 */
#include "conf/cidr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "common/wire.h"
#include "conf/lexer.h"

#define MAPPED_BITS 96U

static const uint8_t mapped_prefix[12] = { [10] = 0xff, [11] = 0xff };

static unsigned
bits_of_family(enum cidr_family family)
{
	static const unsigned bits[] = {
		[CIDR_UNIX] = 0, [CIDR_IPV4] = 32, [CIDR_IPV6] = 128
	};

	return bits[family];
}

static int
parse_address(const char *text, struct cidr *cidr)
{
	memset(cidr, 0, sizeof(*cidr));
	if (strcmp(text, WIRE_UNIX_ADDRESS) == 0)
		cidr->family = CIDR_UNIX;
	else if (inet_pton(AF_INET, text, cidr->bytes) == 1)
		cidr->family = CIDR_IPV4;
	else if (inet_pton(AF_INET6, text, cidr->bytes) == 1)
		cidr->family = CIDR_IPV6;
	else
		return -1;
	cidr->bits = bits_of_family(cidr->family);
	return 0;
}

static int
parse_bits(const char *text, struct cidr *cidr)
{
	/* No sign, no K, and neither an empty one nor 08. */
	if (cidr->family == CIDR_UNIX || *text == '\0' ||
	    strspn(text, "0123456789") != strlen(text) ||
	    (text[0] == '0' && text[1] != '\0') ||
	    lexer_number(text, &cidr->bits) == -1)
		return -1;
	return cidr->bits <= bits_of_family(cidr->family) ? 0 : -1;
}

static void
unmap(struct cidr *cidr)
{
	if (cidr->family != CIDR_IPV6 || cidr->bits < MAPPED_BITS ||
	    memcmp(cidr->bytes, mapped_prefix, sizeof(mapped_prefix)) != 0)
		return;
	cidr->family = CIDR_IPV4;
	cidr->bits -= MAPPED_BITS;
	memmove(cidr->bytes, cidr->bytes + sizeof(mapped_prefix), 4);
	memset(cidr->bytes + 4, 0, sizeof(cidr->bytes) - 4);
}

/* Those of byte i that belong to the network. */
static uint8_t
mask_of_byte(const struct cidr *cidr, size_t i)
{
	const unsigned before = 8 * (unsigned)i;

	if (cidr->bits <= before)
		return 0;
	if (cidr->bits >= before + 8)
		return 0xff;
	return (uint8_t)(0xff << (before + 8 - cidr->bits));
}

/* Were any set? */
static int
clear_host_bits(struct cidr *cidr)
{
	int found = 0;

	for (size_t i = 0; i < sizeof(cidr->bytes); i++) {
		const uint8_t mask = mask_of_byte(cidr, i);

		found |= (cidr->bytes[i] & ~mask) != 0;
		cidr->bytes[i] &= mask;
	}
	return found;
}

enum cidr_parsed
cidr_parse(const char *word, struct cidr *cidr)
{
	char address[INET6_ADDRSTRLEN];
	const char *slash = strchr(word, '/');
	const size_t len =
	    slash != NULL ? (size_t)(slash - word) : strlen(word);

	if (len >= sizeof(address))
		return CIDR_BAD;
	memcpy(address, word, len);
	address[len] = '\0';
	if (parse_address(address, cidr) == -1 ||
	    (slash != NULL && parse_bits(slash + 1, cidr) == -1))
		return CIDR_BAD;
	unmap(cidr);
	return clear_host_bits(cidr) ? CIDR_HOST_BITS : CIDR_OK;
}

void
cidr_format(const struct cidr *cidr, char text[CIDR_TEXT_SIZE])
{
	char address[INET6_ADDRSTRLEN] = "";

	(void)inet_ntop(cidr->family == CIDR_IPV4 ? AF_INET : AF_INET6,
	    cidr->bytes, address, sizeof(address));
	if (cidr->family == CIDR_UNIX)
		(void)snprintf(text, CIDR_TEXT_SIZE, WIRE_UNIX_ADDRESS);
	else
		(void)snprintf(
		    text, CIDR_TEXT_SIZE, "%s/%u", address, cidr->bits);
}

static int
parse_peer(const char *address, struct cidr *peer)
{
	if (parse_address(address, peer) == -1)
		return -1;
	unmap(peer);
	return 0;
}

static int
contains(const struct cidr *cidr, const struct cidr *peer)
{
	if (cidr->family != peer->family)
		return 0;
	for (size_t i = 0; i < sizeof(cidr->bytes); i++) {
		if ((peer->bytes[i] & mask_of_byte(cidr, i)) != cidr->bytes[i])
			return 0;
	}
	return 1;
}

int
cidr_list_has(const struct cidr_list *list, const char *address)
{
	struct cidr peer;

	if (parse_peer(address, &peer) == -1)
		return 0;
	for (size_t i = 0; i < list->n; i++) {
		if (contains(&list->all[i], &peer))
			return 1;
	}
	return 0;
}

int
cidr_is_peer(const char *address)
{
	struct cidr peer;

	return parse_peer(address, &peer) == 0;
}
