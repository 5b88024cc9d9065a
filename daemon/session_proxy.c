/*
 * For whom a proxy connects. Runs in net, without privilege; only proxies that
 * proxy-trust names get this far.
 */
#include "daemon/session_parts.h"

#include <stdio.h>
#include <string.h>

#include "conf/address.h"
#include "daemon/proxy_protocol.h"

static enum progress
refuse(struct session *s, const char *why)
{
	char detail[WIRE_DETAIL_SIZE];

	(void)snprintf(detail, sizeof(detail), "PROXY header: %s", why);
	/* All of them: it is a trusted proxy that decides how many. */
	net_report(s->net, NET_EVENT_PROXY_REFUSED, &s->origin, detail);
	return session_end(s);
}

/* From here on the client's address is the one that counts. */
static void
adopt(struct wire_origin *origin, const struct sockaddr_storage *client)
{
	if (client->ss_family == AF_UNSPEC)
		return;
	memcpy(origin->proxy, origin->address, sizeof(origin->proxy));
	memset(origin->address, 0, sizeof(origin->address));
	address_format(
	    client, origin->address, sizeof(origin->address), &origin->port);
}

/* n bytes lie in the socket, behind those in c->in. */
static enum progress
take(struct session *s, size_t n)
{
	struct connection *c = &s->connection;
	struct proxy_header header;
	const char *why;

	switch (proxy_parse(c->in, c->in_len + n, &header, &why)) {
	case PROXY_MORE:
		break;
	case PROXY_DONE:
		if (connection_take(c, header.len - c->in_len) == -1)
			return session_end(s);
		connection_consume(c, c->in_len);
		adopt(&s->origin, &header.client);
		return session_begin_network(s);
	case PROXY_BAD:
		return refuse(s, why);
	}
	return connection_take(c, n) == 0 ? PROGRESS_AGAIN : session_end(s);
}

/* Not a byte is taken that is not the header's: what follows may be TLS. */
enum progress
session_read_proxy_header(struct session *s)
{
	struct connection *c = &s->connection;
	size_t n;

	switch (connection_peek_more(c, PROXY_V2_MAX, &n)) {
	case TLS_DONE:
		return take(s, n);
	case TLS_WANTS_READ:
	case TLS_WANTS_WRITE:
		return session_block_on(s, TLS_WANTS_READ);
	case TLS_EOF:
	case TLS_FAILED:
		break;
	}
	/* A health check that connects and leaves is no news. */
	return c->in_len > 0 ? refuse(s, "cut off") : session_end(s);
}
