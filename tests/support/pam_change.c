/*
 * pam_change: a PAM service by hand, for tests and benchmarks. Runs as whoever
 * starts it; as root, -u takes a real uid as poppassd-pam does.
 *
 * Reads orders, one a line, fields parted by tabs, and answers each with a
 * line: PAM's code, a tab, the first error text of the modules.
 *
 *   user NAME         pam_start(), after the end of the user before
 *   login PASSWORD    pam_authenticate()
 *   account           pam_acct_mgmt()
 *   change OLD NEW    pam_chauthtok()
 *
 * Prompts are answered by the helper's own conversation.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/log.h"
#include "pam/conversation.h"

#define FIELDS_MAX 2

/* In secret memory. */
struct driver {
	struct secret old_secret;
	struct secret new_secret;
	const char *confdir;
	const char *service;
	struct answers *answers;
	struct conversation *conversation;
	pam_handle_t *pam;
};

struct order {
	const char *name;
	int n_fields;
	int (*run)(struct driver *d, char *fields[]);
};

static void
take(struct secret *secret, const char *text)
{
	if (secret_set(secret, text, strlen(text)) == -1)
		errx(
		    EX_DATAERR, "a password of more than %d bytes", SECRET_MAX);
}

static int
run_user(struct driver *d, char *fields[])
{
	if (d->pam != NULL)
		(void)pam_end(d->pam, PAM_SUCCESS);
	d->pam = NULL;
	conversation_begin(d->conversation, ANSWERS_AUTH, NULL, NULL);
	return pam_start_confdir(d->service, fields[0],
	    conversation_pam(d->conversation), d->confdir, &d->pam);
}

static int
run_login(struct driver *d, char *fields[])
{
	take(&d->old_secret, fields[0]);
	conversation_begin(d->conversation, ANSWERS_AUTH, &d->old_secret, NULL);
	return pam_authenticate(d->pam, 0);
}

static int
run_account(struct driver *d, char *fields[])
{
	(void)fields;
	conversation_begin(d->conversation, ANSWERS_AUTH, NULL, NULL);
	return pam_acct_mgmt(d->pam, 0);
}

static int
run_change(struct driver *d, char *fields[])
{
	take(&d->old_secret, fields[0]);
	take(&d->new_secret, fields[1]);
	conversation_begin(
	    d->conversation, ANSWERS_CHANGE, &d->old_secret, &d->new_secret);
	return pam_chauthtok(d->pam, 0);
}

static const struct order orders[] = {
	{ "user", 1, run_user },
	{ "login", 1, run_login },
	{ "account", 0, run_account },
	{ "change", 2, run_change },
};

static const struct order *
find_order(const char *name)
{
	for (size_t i = 0; i < sizeof(orders) / sizeof(*orders); i++) {
		if (strcmp(orders[i].name, name) == 0)
			return &orders[i];
	}
	errx(EX_DATAERR, "no such order: %s", name);
}

static void
obey(struct driver *d, char *line)
{
	const struct order *order = find_order(strsep(&line, "\t"));
	char *fields[FIELDS_MAX];
	char text[CONVERSATION_ERROR_SIZE];
	int code;

	for (int i = 0; i < order->n_fields; i++) {
		fields[i] = strsep(&line, "\t");
		if (fields[i] == NULL)
			errx(EX_DATAERR, "%s: wants %d fields", order->name,
			    order->n_fields);
	}
	if (d->pam == NULL && order->run != run_user)
		errx(EX_DATAERR, "%s: before any user", order->name);
	code = order->run(d, fields);
	(void)log_escape(
	    text, sizeof(text), conversation_error(d->conversation));
	if (printf("%d\t%s\n", code, text) < 0 || fflush(stdout) == EOF)
		err(EX_IOERR, "stdout");
}

static void
obey_all(struct driver *d)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	while ((len = getline(&line, &size, stdin)) > 0) {
		if (line[len - 1] == '\n')
			line[len - 1] = '\0';
		obey(d, line);
		explicit_bzero(line, size);
	}
	free(line);
	if (ferror(stdin))
		err(EX_IOERR, "stdin");
}

static void
take_real_uid(const char *text)
{
	char *end;
	unsigned long uid = strtoul(text, &end, 10);

	if (*end != '\0' || setresuid((uid_t)uid, 0, 0) == -1)
		err(EX_USAGE, "-u %s", text);
}

int
main(int argc, char *argv[])
{
	struct driver *d = secret_memory_map(sizeof(*d), NULL);
	int option;

	while ((option = getopt(argc, argv, "u:")) != -1) {
		if (option != 'u')
			return EX_USAGE;
		take_real_uid(optarg);
	}
	if (argc - optind != 2)
		errx(EX_USAGE, "usage: pam_change [-u UID] CONFDIR SERVICE");
	if (d == NULL || (d->answers = answers_new(NULL, 0)) == NULL ||
	    (d->conversation = conversation_new(d->answers)) == NULL)
		err(EX_OSERR, "start");
	d->confdir = argv[optind];
	d->service = argv[optind + 1];
	obey_all(d);
	if (d->pam != NULL)
		(void)pam_end(d->pam, PAM_SUCCESS);
	conversation_free(d->conversation);
	answers_free(d->answers);
	secret_memory_unmap(d, sizeof(*d));
	return EXIT_SUCCESS;
}
