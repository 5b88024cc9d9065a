/*
 * The configuration as the processes see it. Monitor and net.
 */
#include "conf/config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/directives.h"
#include "conf/parser.h"
#include "conf/setter_tools.h"

void
config_error(struct config_errors *errors, const struct config_place *place,
    const char *format, ...)
{
	va_list args;

	errors->n++;
	if (errors->out == NULL)
		return;
	if (place != NULL && place->file != NULL)
		(void)fprintf(errors->out, "%s:%d: ", place->file, place->line);
	va_start(args, format);
	(void)vfprintf(errors->out, format, args);
	va_end(args);
	(void)fputc('\n', errors->out);
}

/* The kernel takes any bytes for the host's name, the protocol does not. */
static void
get_host_name(char *host, size_t size)
{
	int is_fine = gethostname(host, size) == 0 && *host != '\0';

	for (const char *p = host; is_fine && *p != '\0'; p++)
		is_fine = *p > ' ' && *p <= '~';
	if (!is_fine)
		(void)snprintf(host, size, "localhost");
}

/* The one default that is not a constant. */
static void
set_default_greeting(struct config *config)
{
	char host[256];
	char *text;

	if (config->greeting != NULL)
		return;
	get_host_name(host, sizeof(host));
	if (asprintf(&text, "%s poppassd v2 hello, who are you?", host) != -1)
		config->greeting = text;
}

static void
share_keys(struct config *config)
{
	for (size_t i = 0; i < config->n_pairs; i++) {
		struct config_pair *pair = &config->pairs[i];

		if (pair->key != NULL)
			continue;
		pair->key = strdup(pair->certificate);
		setter_set_place(&pair->key_place, &pair->place);
	}
}

static void
share_account(struct config *config)
{
	if (config->virtual_user_account == NULL && config->user != NULL)
		config->virtual_user_account = strdup(config->user);
}

static void
check_listen(const struct config *config, const struct config_listen *listen,
    struct config_errors *errors)
{
	if (listen->is_proxied && config->proxy_trust.n == 0)
		config_error(errors, &listen->place,
		    "listen %s: proxy=yes trusts nobody; name the proxies with "
		    "proxy-trust",
		    listen->address);
	if (listen->client_cert != LISTEN_CLIENT_CERT_OFF &&
	    config->tls_client_ca == NULL)
		config_error(errors, &listen->place,
		    "listen %s: client-cert= trusts nobody; name the file with "
		    "those who issue certificates of clients with "
		    "tls-client-ca",
		    listen->address);
}

static void
check_whole(const struct config *config, struct config_errors *errors)
{
	if (config->n_pairs == 0)
		config_error(errors, NULL,
		    "tls-certificate: is missing; name the PEM file with the "
		    "certificate and its chain");
	if (config->fail_delay_ms >= config->change_timeout_ms)
		config_error(errors, NULL,
		    "fail-delay: must be less than change-timeout");
	if (config->handshake_timeout_ms > config->session_timeout_ms)
		config_error(errors, NULL,
		    "handshake-timeout: must not be more than "
		    "session-timeout");
	for (size_t i = 0; i < config->n_listens; i++)
		check_listen(config, &config->listens[i], errors);
}

static struct config *
finish(
    struct config *config, struct parser *parser, struct config_errors *errors)
{
	parser_apply_defaults(parser);
	set_default_greeting(config);
	share_keys(config);
	share_account(config);
	if (errors->n == 0)
		check_whole(config, errors);
	parser_free(parser);
	if (errors->n == 0)
		return config;
	config_free(config);
	return NULL;
}

static struct config *
begin(struct config_errors *errors, struct parser **parser)
{
	struct config *config = calloc(1, sizeof(*config));

	*parser = config != NULL ? parser_new(config, errors) : NULL;
	if (*parser != NULL)
		return config;
	config_error(errors, NULL, "%s", strerror(errno));
	free(config);
	return NULL;
}

struct config *
config_load(const char *path, struct config_errors *errors)
{
	struct parser *parser;
	struct config *config = begin(errors, &parser);

	if (config == NULL)
		return NULL;
	parser_read_file(parser, path);
	return finish(config, parser, errors);
}

struct config *
config_parse(const char *name, const char *text, size_t len,
    struct config_errors *errors)
{
	struct parser *parser;
	struct config *config = begin(errors, &parser);

	if (config == NULL)
		return NULL;
	parser_read_text(parser, name, text, len);
	return finish(config, parser, errors);
}

/* The default has neither file nor line; what takes its place has a line, so
 * that it is not replaced in turn. */
void
config_listen_too(
    struct config *config, const char *address, struct config_errors *errors)
{
	const struct directive *listen = directive_find("listen");
	const struct config_place place = { .line = 1 };
	char *words[] = { strdup("listen"), strdup(address) };
	const struct directive_use use = { config, errors, &place, words, 2 };

	if (config->n_listens == 1 && config->listens[0].place.file == NULL &&
	    config->listens[0].place.line == 0)
		config_listen_clear(&config->listens[--config->n_listens]);
	if (words[0] != NULL && words[1] != NULL)
		listen->set(listen, &use);
	else
		config_error(errors, NULL, "listen: %s", strerror(errno));
	free(words[0]);
	free(words[1]);
}

int
config_dump(const struct config *config, FILE *out)
{
	for (size_t i = 0; i < directives_count; i++) {
		if (directives[i].dump != NULL)
			directives[i].dump(&directives[i], config, out);
	}
	return ferror(out) ? -1 : 0;
}

static void
free_words(struct word_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->words[i]);
	free(list->words);
}

void
config_listen_clear(struct config_listen *listen)
{
	free(listen->address);
	free(listen->owner);
	free(listen->group);
	free(listen->place.file);
}

void
config_free(struct config *config)
{
	if (config == NULL)
		return;
	for (size_t i = 0; i < config->n_listens; i++)
		config_listen_clear(&config->listens[i]);
	for (size_t i = 0; i < config->n_pairs; i++) {
		free(config->pairs[i].certificate);
		free(config->pairs[i].key);
		free(config->pairs[i].place.file);
		free(config->pairs[i].key_place.file);
	}
	free(config->listens);
	free(config->pairs);
	free(config->tls_client_ca);
	free(config->tls_client_ca_place.file);
	free(config->user);
	free(config->user_place.file);
	free(config->pam_service);
	free(config->pam_service_place.file);
	free(config->pam_confdir);
	free(config->greeting);
	free(config->allow_from.all);
	free(config->deny_from.all);
	free(config->trusted_clients.all);
	free(config->proxy_trust.all);
	free_words(&config->allow_users);
	free_words(&config->deny_users);
	free_words(&config->allow_groups);
	free_words(&config->deny_groups);
	config_listen_clear(&config->control);
	free(config->virtual_user_account);
	free(config->virtual_user_account_place.file);
	free(config);
}
