/*
 * What the monitor sends a net process at its start. Runs in net, before it
 * has given up privilege; handles keys, no client bytes.
 */
#include "daemon/load.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "common/log.h"
#include "common/secret.h"

/* Four lists of 1024 networks and four of 256 names fit; a chain with a few
 * intermediates is below 20 KiB. */
#define BLOB_MAX (1024 * 1024)

struct blob {
	char *bytes; /* BLOB_MAX of secret memory */
	size_t len;
	uint32_t kind;
	uint32_t index;
};

struct loader {
	struct net *net;
	struct blob current;
	struct blob certificate; /* waits for its key */
	int is_done;
};

static enum wire_result
use_config(struct loader *loader)
{
	struct config_errors errors = { .out = stderr };
	struct config *config;

	config = config_parse("configuration", loader->current.bytes,
	    loader->current.len, &errors);
	if (config == NULL)
		return WIRE_BAD;
	loader->net->config = config;
	loader->net->tls = tls_server_new(config->tls_minimum_version);
	return loader->net->tls != NULL ? WIRE_OK : WIRE_ERROR;
}

static enum wire_result
use_client_ca(struct loader *loader)
{
	const char *why;

	if (loader->net->tls == NULL)
		return WIRE_BAD;
	if (tls_server_set_client_ca(loader->net->tls, loader->current.bytes,
		loader->current.len, &why) == 0)
		return WIRE_OK;
	log_message(LOG_LEVEL_ERROR, "net: tls-client-ca: %s", why);
	return WIRE_BAD;
}

static enum wire_result
use_certificate(struct loader *loader)
{
	struct blob spare = loader->certificate;

	loader->certificate = loader->current;
	loader->current = spare;
	return WIRE_OK;
}

static enum wire_result
use_key(struct loader *loader)
{
	const char *why;

	if (loader->net->tls == NULL ||
	    loader->certificate.index != loader->current.index)
		return WIRE_BAD;
	if (tls_server_add(loader->net->tls, loader->certificate.bytes,
		loader->certificate.len, loader->current.bytes,
		loader->current.len, &why) == 0)
		return WIRE_OK;
	log_message(LOG_LEVEL_ERROR, "net: certificate %u: %s",
	    loader->current.index + 1, why);
	return WIRE_BAD;
}

struct load_rule {
	uint32_t kind;
	enum wire_result (*use)(struct loader *loader);
};

static const struct load_rule load_rules[] = {
	{ LOAD_CONFIG, use_config },
	{ LOAD_CLIENT_CA, use_client_ca },
	{ LOAD_CERTIFICATE, use_certificate },
	{ LOAD_KEY, use_key },
};

/* A blob is whole when the next one begins. */
static enum wire_result
finish_blob(struct loader *loader)
{
	enum wire_result result = WIRE_BAD;

	for (size_t i = 0; i < sizeof(load_rules) / sizeof(*load_rules); i++) {
		if (load_rules[i].kind == loader->current.kind)
			result = load_rules[i].use(loader);
	}
	explicit_bzero(loader->current.bytes, loader->current.len);
	loader->current.len = 0;
	return result;
}

static int
begins_blob(const struct loader *loader, const struct ctl_load *m)
{
	return m->kind != loader->current.kind ||
	    m->index != loader->current.index;
}

static enum wire_result
on_load(void *context, const void *message, int passed_fd)
{
	struct loader *loader = context;
	const struct ctl_load *m = message;
	struct blob *b = &loader->current;

	(void)passed_fd;
	if (m->len > sizeof(m->bytes))
		return WIRE_BAD;
	if (b->kind != 0 && begins_blob(loader, m) &&
	    finish_blob(loader) != WIRE_OK)
		return WIRE_BAD;
	b->kind = m->kind;
	b->index = m->index;
	loader->is_done = m->kind == LOAD_END;
	if (m->len > BLOB_MAX - b->len)
		return WIRE_BAD;
	memcpy(b->bytes + b->len, m->bytes, m->len);
	b->len += m->len;
	return WIRE_OK;
}

static const struct wire_rule rules[] = {
	{ CTL_LOAD, WIRE_ANY_STATE, sizeof(struct ctl_load), on_load, 0 },
};

static void
receive_all(struct loader *loader, void *buf)
{
	while (!loader->is_done) {
		if (wire_dispatch(WIRE_NET_CONTROL_FD, rules, 1, 0, buf,
			sizeof(struct ctl_load), loader) != WIRE_OK)
			fatal(EX_SOFTWARE,
			    "net: no configuration on descriptor %d; this "
			    "process is started by poppassd, not by hand",
			    WIRE_NET_CONTROL_FD);
	}
}

void
load_from_monitor(struct net *net)
{
	struct loader loader = { .net = net };
	void *buf = secret_memory_map(sizeof(struct ctl_load), NULL);

	loader.current.bytes = secret_memory_map(BLOB_MAX, NULL);
	loader.certificate.bytes = secret_memory_map(BLOB_MAX, NULL);
	if (buf == NULL || loader.current.bytes == NULL ||
	    loader.certificate.bytes == NULL)
		fatal(EX_OSERR, "net: memory for keys: %s", strerror(errno));
	receive_all(&loader, buf);
	if (net->config == NULL || tls_server_warm_up(net->tls) == -1)
		fatal(EX_SOFTWARE, "net: TLS does not work: %s", tls_reason());
	secret_memory_unmap(buf, sizeof(struct ctl_load));
	secret_memory_unmap(loader.current.bytes, BLOB_MAX);
	secret_memory_unmap(loader.certificate.bytes, BLOB_MAX);
}
