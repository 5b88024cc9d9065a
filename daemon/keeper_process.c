/*
 * The process that holds the private keys: start-up and end. Starts with the
 * monitor's privilege, takes nothing from net before it has given that up.
 */
#include "daemon/keeper_process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/log.h"
#include "conf/config.h"
#include "daemon/blobs.h"
#include "daemon/confine.h"
#include "daemon/keeper.h"

struct start {
	struct config *config;
	struct keeper *keeper;
};

static enum wire_result
use_config(void *context, const struct blob *blob)
{
	struct start *s = context;
	struct config_errors errors = { .out = stderr };

	s->config =
	    config_parse("configuration", blob->bytes, blob->len, &errors);
	return s->config != NULL ? WIRE_OK : WIRE_BAD;
}

static enum wire_result
use_key(void *context, const struct blob *blob)
{
	struct start *s = context;

	return keeper_add(s->keeper, blob->bytes, blob->len) == 0 ? WIRE_OK
								  : WIRE_BAD;
}

static const struct blob_rule rules[] = {
	{ LOAD_CONFIG, use_config },
	{ LOAD_KEY, use_key },
};

int
keeper_process_main(void)
{
	static const int ignored[] = { SIGPIPE, SIGHUP, SIGINT, SIGTERM };
	struct start s = { .keeper = keeper_new() };

	for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
		(void)signal(ignored[i], SIG_IGN);
	if (s.keeper == NULL)
		fatal(EX_OSERR, "keys: no memory");
	blobs_receive(WIRE_KEEPER_CONTROL_FD, "keys", rules,
	    sizeof(rules) / sizeof(*rules), &s);
	if (s.config == NULL)
		fatal(EX_SOFTWARE, "keys: no configuration");
	(void)close(WIRE_KEEPER_CONTROL_FD);
	keeper_warm_up(s.keeper);
	confine_keeper(s.config);
	return keeper_serve(s.keeper, WIRE_KEEPER_KEYS_FD) == 0 ? EX_OK
								: EX_PROTOCOL;
}
