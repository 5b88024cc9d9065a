/*
 * What the monitor sends a net process at its start. Runs in net, before it
 * has given up privilege; handles certificates, no keys and no client bytes.
 */
#include "daemon/load.h"

#include <stdio.h>
#include <sysexits.h>

#include "common/log.h"
#include "daemon/blobs.h"
#include "daemon/remote_key.h"

static enum wire_result
use_config(void *context, const struct blob *blob)
{
	struct net *net = context;
	struct config_errors errors = { .out = stderr };
	struct config *config =
	    config_parse("configuration", blob->bytes, blob->len, &errors);

	if (config == NULL)
		return WIRE_BAD;
	net->config = config;
	net->tls = tls_server_new(config->tls_minimum_version);
	return net->tls != NULL ? WIRE_OK : WIRE_ERROR;
}

static enum wire_result
use_client_ca(void *context, const struct blob *blob)
{
	struct net *net = context;
	const char *why;

	if (net->tls == NULL)
		return WIRE_BAD;
	if (tls_server_set_client_ca(net->tls, blob->bytes, blob->len, &why) ==
	    0)
		return WIRE_OK;
	log_message(LOG_LEVEL_ERROR, "net: tls-client-ca: %s", why);
	return WIRE_BAD;
}

static enum wire_result
use_certificate(void *context, const struct blob *blob)
{
	struct net *net = context;
	const char *why;

	if (net->tls == NULL)
		return WIRE_BAD;
	if (tls_server_add_remote(
		net->tls, blob->bytes, blob->len, blob->index, &why) == 0)
		return WIRE_OK;
	log_message(
	    LOG_LEVEL_ERROR, "net: certificate %u: %s", blob->index + 1, why);
	return WIRE_BAD;
}

static const struct blob_rule rules[] = {
	{ LOAD_CONFIG, use_config },
	{ LOAD_CLIENT_CA, use_client_ca },
	{ LOAD_CERTIFICATE, use_certificate },
};

void
load_from_monitor(struct net *net)
{
	if (remote_key_init(WIRE_NET_KEYS_FD) == -1)
		fatal(EX_SOFTWARE, "net: OpenSSL takes no provider: %s",
		    tls_reason());
	blobs_receive(WIRE_NET_CONTROL_FD, "net", rules,
	    sizeof(rules) / sizeof(*rules), net);
	if (net->config == NULL || tls_server_warm_up(net->tls) == -1)
		fatal(EX_SOFTWARE, "net: TLS does not work: %s", tls_reason());
}
