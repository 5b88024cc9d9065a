/*
 * The header of the PROXY protocol. Pure; runs in net, without privilege.
 */
#include "daemon/proxy_protocol.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#define V2_FIXED 16

static const char v1_start[] = "PROXY ";
static const char v2_start[12] = { '\r', '\n', '\r', '\n', '\0', '\r', '\n',
	'Q', 'U', 'I', 'T', '\n' };

static enum proxy_result
bad(const char **why, const char *text)
{
	*why = text;
	return PROXY_BAD;
}

/* Are the bytes there are those that it begins with? */
static int
begins(const char *bytes, size_t len, const char *start, size_t start_len)
{
	return memcmp(bytes, start, len < start_len ? len : start_len) == 0;
}

/* Digits alone, no zero before others. */
static int
parse_port(const char *word, in_port_t *port)
{
	unsigned n = 0;

	if (*word == '\0' || strlen(word) > 5 ||
	    (word[0] == '0' && word[1] != '\0'))
		return -1;
	for (; *word != '\0'; word++) {
		if (*word < '0' || *word > '9')
			return -1;
		n = 10 * n + (unsigned)(*word - '0');
	}
	*port = htons((uint16_t)n);
	return n <= UINT16_MAX ? 0 : -1;
}

static int
parse_address(int family, const char *address, const char *port,
    struct sockaddr_storage *out)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
	struct sockaddr_in *in = (struct sockaddr_in *)out;
	in_port_t number;

	memset(out, 0, sizeof(*out));
	if (parse_port(port, &number) == -1)
		return -1;
	out->ss_family = (sa_family_t)family;
	if (family == AF_INET) {
		in->sin_port = number;
		return inet_pton(AF_INET, address, &in->sin_addr) == 1 ? 0 : -1;
	}
	in6->sin6_port = number;
	return inet_pton(AF_INET6, address, &in6->sin6_addr) == 1 ? 0 : -1;
}

enum {
	V1_PROXY,
	V1_FAMILY,
	V1_SOURCE,
	V1_DESTINATION,
	V1_SOURCE_PORT,
	V1_DESTINATION_PORT,
	V1_WORDS
};

/* Exactly one space between words; returns how many there are. */
static size_t
split(char *line, char *words[V1_WORDS])
{
	size_t n = 0;

	while (n < V1_WORDS) {
		words[n++] = line;
		line = strchr(line, ' ');
		if (line == NULL)
			return n;
		*line++ = '\0';
	}
	return V1_WORDS + 1;
}

struct family {
	const char *name;
	int family;
};

static const struct family v1_families[] = {
	{ "TCP4", AF_INET },
	{ "TCP6", AF_INET6 },
};

/* line is without its CRLF. */
static int
parse_v1_line(char *line, struct sockaddr_storage *client)
{
	struct sockaddr_storage destination;
	char *words[V1_WORDS];
	size_t n = split(line, words);

	/* What follows it, if anything, is to be ignored. */
	if (n > 1 && strcmp(words[V1_FAMILY], "UNKNOWN") == 0)
		return 0;
	if (n != V1_WORDS)
		return -1;
	for (size_t i = 0; i < sizeof(v1_families) / sizeof(*v1_families);
	     i++) {
		const int family = v1_families[i].family;

		if (strcmp(words[V1_FAMILY], v1_families[i].name) != 0)
			continue;
		if (parse_address(family, words[V1_DESTINATION],
			words[V1_DESTINATION_PORT], &destination) == -1)
			return -1;
		return parse_address(
		    family, words[V1_SOURCE], words[V1_SOURCE_PORT], client);
	}
	return -1;
}

static enum proxy_result
parse_v1(const char *bytes, size_t len, struct proxy_header *header,
    const char **why)
{
	const size_t limit = len < PROXY_V1_MAX ? len : PROXY_V1_MAX;
	const char *newline = memchr(bytes, '\n', limit);
	char line[PROXY_V1_MAX];
	size_t line_len;

	if (newline == NULL)
		return limit < PROXY_V1_MAX
		    ? PROXY_MORE
		    : bad(why, "no end of line within 107 bytes");
	line_len = (size_t)(newline - bytes);
	if (bytes[line_len - 1] != '\r')
		return bad(why, "the line does not end in CRLF");
	memcpy(line, bytes, line_len);
	line[line_len - 1] = '\0';
	if (strlen(line) != line_len - 1 ||
	    parse_v1_line(line, &header->client) == -1)
		return bad(why, "the line makes no sense");
	header->len = line_len + 1;
	return PROXY_DONE;
}

enum {
	V2_LOCAL = 0x20,
	V2_PROXY = 0x21
};

/* Source and destination address, source and destination port. */
static void
copy_ipv4(const uint8_t *bytes, struct sockaddr_storage *client)
{
	struct sockaddr_in *in = (struct sockaddr_in *)client;

	in->sin_family = AF_INET;
	memcpy(&in->sin_addr, bytes, 4);
	memcpy(&in->sin_port, bytes + 8, 2);
}

static void
copy_ipv6(const uint8_t *bytes, struct sockaddr_storage *client)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)client;

	in6->sin6_family = AF_INET6;
	memcpy(&in6->sin6_addr, bytes, 16);
	memcpy(&in6->sin6_port, bytes + 32, 2);
}

struct v2_rule {
	uint8_t family; /* and transport */
	size_t size;    /* of the addresses; TLVs may follow */
	void (*copy)(const uint8_t *bytes, struct sockaddr_storage *client);
};

/* What came over no stream is not in it: it cannot have come to us. */
static const struct v2_rule v2_rules[] = {
	{ 0x00, 0, NULL }, /* unspecified */
	{ 0x11, 12, copy_ipv4 }, { 0x21, 36, copy_ipv6 },
	{ 0x31, 216, NULL }, /* a unix: socket of the proxy's */
};

static enum proxy_result
take_addresses(uint8_t family, const uint8_t *bytes, size_t len,
    struct proxy_header *header, const char **why)
{
	for (size_t i = 0; i < sizeof(v2_rules) / sizeof(*v2_rules); i++) {
		const struct v2_rule *rule = &v2_rules[i];

		if (rule->family != family)
			continue;
		if (len < rule->size)
			return bad(why, "too short for its addresses");
		if (rule->copy != NULL)
			rule->copy(bytes, &header->client);
		return PROXY_DONE;
	}
	return bad(why, "an address family or transport that is not TCP's");
}

static enum proxy_result
parse_v2(const char *bytes, size_t len, struct proxy_header *header,
    const char **why)
{
	uint8_t fixed[V2_FIXED];
	size_t rest;

	if (len < V2_FIXED)
		return PROXY_MORE;
	memcpy(fixed, bytes, sizeof(fixed));
	if (fixed[12] != V2_LOCAL && fixed[12] != V2_PROXY)
		return bad(why, "neither LOCAL nor PROXY of version 2");
	rest = (size_t)fixed[14] << 8 | fixed[15];
	if (rest > PROXY_V2_MAX - V2_FIXED)
		return bad(why, "longer than 536 bytes");
	if (len < V2_FIXED + rest)
		return PROXY_MORE;
	header->len = V2_FIXED + rest;
	if (fixed[12] == V2_LOCAL)
		return PROXY_DONE;
	return take_addresses(
	    fixed[13], (const uint8_t *)bytes + V2_FIXED, rest, header, why);
}

enum proxy_result
proxy_parse(const char *bytes, size_t len, struct proxy_header *header,
    const char **why)
{
	memset(header, 0, sizeof(*header));
	if (begins(bytes, len, v2_start, sizeof(v2_start)))
		return parse_v2(bytes, len, header, why);
	if (!begins(bytes, len, v1_start, sizeof(v1_start) - 1))
		return bad(why, "no PROXY header");
	return parse_v1(bytes, len, header, why);
}
