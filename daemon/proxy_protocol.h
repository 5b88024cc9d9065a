/*
 * The header of the PROXY protocol, version 1 and 2, by which a proxy tells for
 * whom it connects. Pure; net only.
 */
#ifndef DAEMON_PROXY_PROTOCOL_H
#define DAEMON_PROXY_PROTOCOL_H

#include <sys/socket.h>
#include <stddef.h>

#define PROXY_V1_MAX 107 /* with its CRLF */
#define PROXY_V2_MAX 536 /* 16 and 520 for addresses and TLVs */

enum proxy_result {
	PROXY_MORE, /* so far good; all these bytes are the header's */
	PROXY_DONE,
	PROXY_BAD
};

struct proxy_header {
	size_t len; /* of the header; what follows is the client's */
	/* The client's; ss_family is AF_UNSPEC if the proxy speaks for itself
	 * (LOCAL, a health check) or does not say (UNKNOWN): then it is the
	 * peer's own address that counts. */
	struct sockaddr_storage client;
};

/* Looks at what a connection begins with. PROXY_BAD and *why (static) if that
 * can be no header, or is one that is too long or makes no sense; never more
 * than PROXY_V2_MAX bytes are asked for. */
enum proxy_result proxy_parse(const char *bytes, size_t len,
    struct proxy_header *header, const char **why);

#endif
