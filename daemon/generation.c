/*
 * All that one reading of the configuration yields. Runs as root in the
 * monitor.
 */
#include "daemon/generation.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/preflight.h"

static void
read_and_check(
    struct generation *g, const char *path, struct config_errors *errors)
{
	g->config = config_load(path, errors);
	if (g->config == NULL)
		return;
	preflight_check(g->config, errors);
	g->files = tls_files_load(g->config, errors);
}

static int
report(const char *path, const struct config_errors *errors)
{
	if (errors->n == 0)
		return 0;
	(void)fprintf(errors->out, "%s: %u error%s\n", path, errors->n,
	    errors->n == 1 ? "" : "s");
	return -1;
}

struct generation *
generation_load(const char *path, const struct generation *old, FILE *out)
{
	struct config_errors errors = { .out = out };
	const struct listen_set *inherited = old != NULL ? old->listens : NULL;
	struct generation *g = calloc(1, sizeof(*g));

	if (g == NULL) {
		(void)fprintf(out, "%s: %s\n", path, strerror(errno));
		return NULL;
	}
	read_and_check(g, path, &errors);
	if (errors.n == 0)
		listen_set_complete(inherited, g->config, &errors);
	if (errors.n == 0)
		g->listens = listen_set_open(g->config, inherited, &errors);
	if (report(path, &errors) == 0)
		return g;
	generation_free(g);
	return NULL;
}

/* A line for each of the text. */
static void
log_lines(const char *text)
{
	while (*text != '\0') {
		const size_t len = strcspn(text, "\n");

		log_message(LOG_LEVEL_ERROR, "%.*s", (int)len, text);
		text += len + (text[len] == '\n');
	}
}

struct generation *
generation_load_logged(
    const char *path, const struct generation *old, char **said)
{
	size_t len = 0;
	FILE *out;
	struct generation *g;

	*said = NULL;
	out = open_memstream(said, &len);
	if (out == NULL) {
		log_message(LOG_LEVEL_ERROR, "%s: %s", path, strerror(errno));
		return NULL;
	}
	g = generation_load(path, old, out);
	(void)fclose(out);
	if (*said != NULL)
		log_lines(*said);
	return g;
}

int
generation_check(const char *path, FILE *out)
{
	struct config_errors errors = { .out = out };
	struct generation g = { .config = NULL };

	read_and_check(&g, path, &errors);
	tls_files_free(g.files);
	config_free(g.config);
	return report(path, &errors);
}

static void
warn_of_certificates(const struct generation *generation)
{
	for (size_t i = 0; i < tls_files_count(generation->files); i++) {
		char reason[PATH_MAX + 64];
		const struct log_subject subject = { .reason = reason };

		if (!tls_files_is_self_signed(generation->files, i))
			continue;
		(void)snprintf(reason, sizeof(reason),
		    "%s: clients that verify it must be given it",
		    generation->config->pairs[i].certificate);
		log_event(LOG_LEVEL_WARNING, "self_signed", &subject);
	}
}

static void
warn_of_listeners(const struct generation *generation)
{
	const struct config *config = generation->config;

	for (size_t i = 0; i < config->n_listens; i++) {
		char reason[PATH_MAX + 128];
		const struct log_subject subject = { .reason = reason };

		if (!listen_set_is_apart(generation->listens, i))
			continue;
		(void)snprintf(reason, sizeof(reason),
		    "%s: is none of the sockets that the service manager "
		    "passed; if it gives the service no network, name it in "
		    "poppassd.socket",
		    config->listens[i].address);
		log_event(LOG_LEVEL_WARNING, "listens_apart", &subject);
	}
}

void
generation_warn(const struct generation *generation)
{
	warn_of_certificates(generation);
	warn_of_listeners(generation);
}

void
generation_close_listens(struct generation *generation)
{
	if (generation == NULL)
		return;
	listen_set_free(generation->listens);
	generation->listens = NULL;
}

void
generation_free(struct generation *generation)
{
	if (generation == NULL)
		return;
	generation_close_listens(generation);
	tls_files_free(generation->files);
	config_free(generation->config);
	free(generation);
}
