/*
 * Client addresses as limits count them. Pure; runs in the monitor and in net.
 */
#include "daemon/client_key.h"

#include <string.h>

#include "conf/cidr.h"

static void
set(struct client_key *key, const struct cidr *address, size_t len)
{
	key->family = address->family == CIDR_IPV4 ? 4 : 6;
	key->len = (uint8_t)len;
	memcpy(key->bytes, address->bytes, len);
}

int
client_keys_of(const char *address, struct client_keys *keys)
{
	struct cidr cidr;

	memset(keys, 0, sizeof(*keys));
	if (!cidr_is_peer(address) || cidr_parse(address, &cidr) != CIDR_OK)
		return 0;
	if (cidr.family == CIDR_IPV4) {
		set(&keys->one, &cidr, 4);
		return 1;
	}
	if (cidr.family != CIDR_IPV6)
		return 0;
	set(&keys->one, &cidr, 8);
	set(&keys->wide, &cidr, 6);
	return 1;
}

int
client_key_is_none(const struct client_key *key)
{
	return key->family == 0;
}

int
client_key_equal(const struct client_key *a, const struct client_key *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}
