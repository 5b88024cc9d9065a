/*
 * "ADDRESS:PORT" into a socket address. Pure.
 */
#include "conf/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "conf/lexer.h"

static int
parse_port(const char *text, in_port_t *port)
{
	unsigned number;

	if (lexer_number(text, &number) == -1 || number == 0 ||
	    number > 65535 || strpbrk(text, "KM") != NULL)
		return -1;
	*port = htons((uint16_t)number);
	return 0;
}

int
address_parse(
    const char *word, struct sockaddr_storage *sockaddr, socklen_t *len_out)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)sockaddr;
	struct sockaddr_in *in = (struct sockaddr_in *)sockaddr;
	char host[INET6_ADDRSTRLEN + 2];
	const char *colon = strrchr(word, ':');
	size_t len = colon != NULL ? (size_t)(colon - word) : 0;
	in_port_t port;

	if (len == 0 || len >= sizeof(host) ||
	    parse_port(colon + 1, &port) == -1)
		return -1;
	memcpy(host, word, len);
	host[len] = '\0';
	if (strcmp(host, "*") == 0)
		(void)strcpy(host, "[::]");
	if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = port;
		*len_out = sizeof(*in);
		return 0;
	}
	len = strlen(host);
	if (host[0] != '[' || host[len - 1] != ']')
		return -1;
	host[len - 1] = '\0';
	if (inet_pton(AF_INET6, host + 1, &in6->sin6_addr) != 1)
		return -1;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = port;
	*len_out = sizeof(*in6);
	return 0;
}
