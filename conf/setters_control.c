/*
 * The directive control-socket. Any process that reads a configuration; pure.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/address.h"
#include "conf/lexer.h"
#include "conf/setter_tools.h"
#include "conf/setters.h"

#define CONTROL_MODE 0600

void
setter_control_socket(
    const struct directive *directive, const struct directive_use *use)
{
	struct config_listen control = {
		.directive = directive->name, .mode = CONTROL_MODE, .is_unix = 1
	};
	char name[LEXER_WORD_MAX + sizeof("unix:")];

	(void)snprintf(name, sizeof(name), "unix:%s", use->words[1]);
	setter_set_place(&control.place, use->place);
	if (strcmp(use->words[1], "none") == 0)
		use->config->control = control;
	else if (address_parse(
		     name, &control.sockaddr, &control.sockaddr_len) == -1) {
		setter_complain(
		    use, "is no absolute path of a socket, or none");
		config_listen_clear(&control);
	} else {
		control.address = setter_copy(use, use->words[1]);
		use->config->control = control;
	}
}

void
dumper_control_socket(
    const struct directive *directive, const struct config *config, FILE *out)
{
	const char *address = config->control.address;

	setter_dump_word(
	    directive->name, address != NULL ? address : "none", out);
}
