/*
 * The directive listen: an address and its options. Any process that reads a
 * configuration; pure.
 */
#include <stdlib.h>
#include <string.h>

#include "conf/address.h"
#include "conf/lexer.h"
#include "conf/setter_tools.h"
#include "conf/setters.h"

static const struct word_value tls_modes[] = {
	{ "auto", LISTEN_TLS_AUTO },
	{ "implicit", LISTEN_TLS_IMPLICIT },
	{ "starttls", LISTEN_TLS_STARTTLS },
};

static int
set_tls(const struct directive_use *use, struct config_listen *listen,
    const char *value)
{
	int mode;

	if (setter_look_up(use, tls_modes, 3, value, &mode) == -1)
		return -1;
	listen->tls = (enum listen_tls)mode;
	return 0;
}

static const struct word_value yes_no[] = { { "yes", 1 }, { "no", 0 } };

static int
set_proxy(const struct directive_use *use, struct config_listen *listen,
    const char *value)
{
	return setter_look_up(use, yes_no, 2, value, &listen->is_proxied);
}

static const struct word_value client_certs[] = {
	{ "off", LISTEN_CLIENT_CERT_OFF },
	{ "optional", LISTEN_CLIENT_CERT_OPTIONAL },
	{ "required", LISTEN_CLIENT_CERT_REQUIRED },
};

static int
set_client_cert(const struct directive_use *use, struct config_listen *listen,
    const char *value)
{
	int choice;

	if (setter_look_up(use, client_certs, 3, value, &choice) == -1)
		return -1;
	listen->client_cert = (enum listen_client_cert)choice;
	return 0;
}

static int
set_mode(const struct directive_use *use, struct config_listen *listen,
    const char *value)
{
	const size_t len = strlen(value);

	if (len < 3 || len > 4 || strspn(value, "01234567") != len ||
	    (len == 4 && value[0] != '0')) {
		config_error(use->errors, use->place,
		    "listen: \"%s\" is no mode; write it as 0660", value);
		return -1;
	}
	listen->mode = (mode_t)strtoul(value, NULL, 8);
	return 0;
}

static int
set_name(const struct directive_use *use, char **name, const char *value)
{
	if (*value == '\0') {
		setter_complain(use, "owner= and group= want a name");
		return -1;
	}
	*name = setter_copy(use, value);
	return *name != NULL ? 0 : -1;
}

static int
set_owner(const struct directive_use *use, struct config_listen *listen,
    const char *value)
{
	return set_name(use, &listen->owner, value);
}

static int
set_group(const struct directive_use *use, struct config_listen *listen,
    const char *value)
{
	return set_name(use, &listen->group, value);
}

struct listen_option {
	const char *name;
	int is_for_unix; /* or for addresses */
	int (*set)(const struct directive_use *use,
	    struct config_listen *listen, const char *value);
};

static const struct listen_option options[] = {
	{ "tls=", 0, set_tls },
	{ "proxy=", 0, set_proxy },
	{ "client-cert=", 0, set_client_cert },
	{ "mode=", 1, set_mode },
	{ "owner=", 1, set_owner },
	{ "group=", 1, set_group },
};

#define N_OPTIONS (sizeof(options) / sizeof(*options))

static size_t
find_option(const char *word)
{
	size_t i;

	for (i = 0; i < N_OPTIONS; i++) {
		if (strncmp(options[i].name, word, strlen(options[i].name)) ==
		    0)
			break;
	}
	return i;
}

static int
set_option(const struct directive_use *use, struct config_listen *listen,
    const char *word, unsigned *seen)
{
	const size_t i = find_option(word);
	const struct listen_option *option = &options[i];

	if (i == N_OPTIONS)
		config_error(use->errors, use->place,
		    "listen: \"%s\" is no option; see poppassd.conf(5)", word);
	else if (option->is_for_unix != listen->is_unix)
		config_error(use->errors, use->place, "listen %s: %s is %s",
		    listen->address, option->name,
		    listen->is_unix ? "for addresses; a unix: socket is no "
				      "network"
				    : "for unix: sockets");
	else if ((*seen & (1U << i)) != 0)
		config_error(use->errors, use->place,
		    "listen %s: %s is there twice", listen->address,
		    option->name);
	else {
		*seen |= 1U << i;
		return option->set(use, listen, word + strlen(option->name));
	}
	return -1;
}

static int
is_listening_already(
    const struct config *config, const struct config_listen *listen)
{
	for (size_t i = 0; i < config->n_listens; i++) {
		if (config->listens[i].sockaddr_len == listen->sockaddr_len &&
		    memcmp(&config->listens[i].sockaddr, &listen->sockaddr,
			listen->sockaddr_len) == 0)
			return 1;
	}
	return 0;
}

static int
set_address(const struct directive_use *use, struct config_listen *listen)
{
	const char *word = use->words[1];

	if (address_parse(word, &listen->sockaddr, &listen->sockaddr_len) ==
	    -1) {
		config_error(use->errors, use->place,
		    "listen: \"%s\" is no address with a port; write it as "
		    "192.0.2.1:106, [2001:db8::1]:106, *:106 or unix:/path",
		    word);
		return -1;
	}
	listen->is_unix = listen->sockaddr.ss_family == AF_UNIX;
	if (is_listening_already(use->config, listen)) {
		config_error(
		    use->errors, use->place, "listen: %s is there twice", word);
		return -1;
	}
	listen->address = setter_copy(use, word);
	return listen->address != NULL ? 0 : -1;
}

static int
set_all(const struct directive_use *use, struct config_listen *listen)
{
	unsigned seen = 0;

	if (set_address(use, listen) == -1)
		return -1;
	for (size_t i = 2; i < use->n_words; i++) {
		if (set_option(use, listen, use->words[i], &seen) == -1)
			return -1;
	}
	return 0;
}

void
setter_listen(
    const struct directive *directive, const struct directive_use *use)
{
	struct config *config = use->config;
	struct config_listen listen = { .directive = directive->name,
		.mode = LISTEN_DEFAULT_MODE };
	void *list;

	if (set_all(use, &listen) == -1) {
		config_listen_clear(&listen);
		return;
	}
	list = setter_grow(
	    use, config->listens, config->n_listens, sizeof(listen));
	if (list == NULL) {
		config_listen_clear(&listen);
		return;
	}
	config->listens = list;
	setter_set_place(&listen.place, use->place);
	config->listens[config->n_listens++] = listen;
}

/* `name=value`, if there is one, as one word. */
static void
dump_name(const char *name, const char *value, FILE *out)
{
	char word[LEXER_WORD_MAX + 1], quoted[2 * LEXER_WORD_MAX + 3];

	if (value == NULL)
		return;
	(void)snprintf(word, sizeof(word), "%s=%s", name, value);
	lexer_quote(quoted, sizeof(quoted), word);
	(void)fprintf(out, " %s", quoted);
}

static void
dump_options(const struct config_listen *listen, FILE *out)
{
	if (!listen->is_unix) {
		(void)fprintf(out, " tls=%s proxy=%s client-cert=%s",
		    setter_word_of(tls_modes, 3, (int)listen->tls),
		    setter_word_of(yes_no, 2, listen->is_proxied),
		    setter_word_of(client_certs, 3, (int)listen->client_cert));
		return;
	}
	(void)fprintf(out, " mode=%04o", (unsigned)listen->mode);
	dump_name("owner", listen->owner, out);
	dump_name("group", listen->group, out);
}

void
dumper_listen(
    const struct directive *directive, const struct config *config, FILE *out)
{
	char quoted[2 * LEXER_WORD_MAX + 3];

	for (size_t i = 0; i < config->n_listens; i++) {
		const struct config_listen *listen = &config->listens[i];

		lexer_quote(quoted, sizeof(quoted), listen->address);
		(void)fprintf(out, "%s %s", directive->name, quoted);
		dump_options(listen, out);
		(void)fputc('\n', out);
	}
}
