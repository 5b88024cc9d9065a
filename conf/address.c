/*
 * "ADDRESS:PORT" and "unix:/path" into socket addresses, and back. Pure.
 */
#include "conf/address.h"

#include <sys/un.h>
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

static int
parse_path(
    const char *path, struct sockaddr_storage *sockaddr, socklen_t *len_out)
{
	struct sockaddr_un *un = (struct sockaddr_un *)sockaddr;

	if (*path != '/' || strlen(path) >= sizeof(un->sun_path))
		return -1;
	un->sun_family = AF_UNIX;
	(void)strcpy(un->sun_path, path);
	*len_out = sizeof(*un);
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

	if (strncmp(word, "unix:", 5) == 0)
		return parse_path(word + 5, sockaddr, len_out);
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

void
address_format(const struct sockaddr_storage *sockaddr, char *text, size_t size,
    uint16_t *port)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sockaddr;
	const struct sockaddr_in *in = (const struct sockaddr_in *)sockaddr;
	const socklen_t room = (socklen_t)size;

	if (sockaddr->ss_family == AF_INET) {
		*port = ntohs(in->sin_port);
		(void)inet_ntop(AF_INET, &in->sin_addr, text, room);
		return;
	}
	*port = ntohs(in6->sin6_port);
	if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		(void)inet_ntop(
		    AF_INET, in6->sin6_addr.s6_addr + 12, text, room);
	else
		(void)inet_ntop(AF_INET6, &in6->sin6_addr, text, room);
}
