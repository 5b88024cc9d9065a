/*
 * One change of a password over a connection. Runs as the user.
 */
#include "client/change.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/secret.h"
#include "common/terminal.h"

#define TRIES 3 /* to type a new password, as passwd(1) has them */

/* All that a change needs; in secret memory. */
struct change {
	struct secret old_secret;
	struct secret new_secret;
	struct secret again;
	char line[SECRET_MAX + 32];
};

static int
complain(const char *what)
{
	(void)fprintf(stderr, "poppasswd: %s\n", what);
	return -1;
}

static void
report_failure(
    const struct connection_target *t, const struct connection *connection)
{
	const struct certificate_report *certificate =
	    &connection_facts(connection)->certificate;

	(void)fprintf(stderr, "poppasswd: %s%s%s: %s\n", t->host,
	    t->kind == CONNECTION_UNIX ? "" : " port ",
	    t->kind == CONNECTION_UNIX ? "" : t->port,
	    connection_failure(connection)->text);
	for (unsigned i = 0; i < certificate->n_problems; i++)
		(void)fprintf(
		    stderr, "  %s\n", certificate->problems[i].advice);
}

static int
report_terminal(enum terminal_result result)
{
	switch (result) {
	case TERMINAL_OK:
		return 0;
	case TERMINAL_EOF:
		return complain("a password is missing");
	case TERMINAL_TOO_LONG:
		return complain(
		    "a password may have 511 bytes and no NUL byte");
	case TERMINAL_NONE:
		return complain("there is no terminal to ask on; use --stdin");
	case TERMINAL_ERROR:
		break;
	}
	return complain(strerror(errno));
}

static int
ask(const char *prompt, struct secret *out)
{
	return report_terminal(terminal_ask(prompt, out));
}

/* Why the server need not even be asked; NULL if it must. */
static const char *
objection(const struct change *c)
{
	if (c->new_secret.len == 0)
		return "the new password is empty";
	if (strcmp(c->new_secret.bytes, c->again.bytes) != 0)
		return "the new passwords are not the same";
	if (strcmp(c->new_secret.bytes, c->old_secret.bytes) == 0)
		return "the new password is the current one";
	return NULL;
}

static int
ask_passwords(struct change *c)
{
	const char *why = NULL;

	if (ask("Current password: ", &c->old_secret) == -1)
		return -1;
	for (int i = 0; i < TRIES; i++) {
		if (ask("New password: ", &c->new_secret) == -1 ||
		    (c->new_secret.len > 0 &&
			ask("Retype new password: ", &c->again) == -1))
			return -1;
		why = objection(c);
		if (why == NULL)
			return 0;
		(void)complain(why);
	}
	return complain("nothing was changed");
}

static int
read_passwords(struct change *c)
{
	if (report_terminal(terminal_read_line(STDIN_FILENO, &c->old_secret)) ==
		-1 ||
	    report_terminal(terminal_read_line(STDIN_FILENO, &c->new_secret)) ==
		-1)
		return -1;
	if (c->new_secret.len == 0)
		return complain("the new password is empty");
	return 0;
}

/* "VERB argument CRLF", built where no other memory sees it. */
static int
send_command(struct connection *connection, struct change *c, const char *verb,
    const char *argument, int is_secret)
{
	char shown[16];
	int len =
	    snprintf(c->line, sizeof(c->line), "%s %s\r\n", verb, argument);
	int result;

	(void)snprintf(shown, sizeof(shown), "%s ****\n", verb);
	result = connection_send(
	    connection, c->line, (size_t)len, is_secret ? shown : NULL);
	explicit_bzero(c->line, sizeof(c->line));
	return result;
}

static int
status_of_refusal(const char *line)
{
	if (strstr(line, "result is unknown") != NULL)
		return CHANGE_UNKNOWN;
	if (strstr(line, "try again later") != NULL)
		return EX_TEMPFAIL;
	return CHANGE_REFUSED;
}

/* CHANGE_DONE for "200 text"; the reason, for the user, for "500 text". */
static int
judge_reply(const char *line, int lost_status)
{
	if (strncmp(line, "200 ", 4) == 0)
		return CHANGE_DONE;
	if (strncmp(line, "500 ", 4) != 0) {
		(void)fprintf(stderr, "poppasswd: not a reply: %s\n", line);
		return lost_status;
	}
	(void)fprintf(stderr, "poppasswd: %s\n", line + 4);
	return status_of_refusal(line);
}

struct command {
	const char *verb;
	int is_secret;
	int lost_status; /* if no answer comes */
};

static const struct command commands[] = {
	{ "USER", 0, EX_PROTOCOL },
	{ "PASS", 1, EX_PROTOCOL },
	{ "NEWPASS", 1, CHANGE_UNKNOWN },
};

static int
talk(struct connection *connection, struct change *c,
    const struct connection_target *target, const char *user)
{
	const char *const arguments[] = { user, c->old_secret.bytes,
		c->new_secret.bytes };
	static const char quit[] = "QUIT\r\n";
	char line[CONNECTION_LINE_MAX];

	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		int status;

		if (send_command(connection, c, commands[i].verb, arguments[i],
			commands[i].is_secret) == -1 ||
		    connection_receive(connection, line) == -1) {
			report_failure(target, connection);
			return commands[i].lost_status;
		}
		status = judge_reply(line, commands[i].lost_status);
		if (status != CHANGE_DONE)
			return status;
	}
	/* Whatever QUIT meets, and however long that takes. */
	(void)printf("Password changed.\n");
	(void)fflush(stdout);
	if (connection_send(connection, quit, sizeof(quit) - 1, NULL) == 0)
		(void)connection_receive(connection, line);
	return CHANGE_DONE;
}

static int
connect_and_talk(
    struct change *c, const struct connection_target *target, const char *user)
{
	struct connection *connection = connection_new(target);
	int status;

	if (connection == NULL) {
		(void)complain(strerror(errno));
		return EX_OSERR;
	}
	if (connection_open(connection) == 0) {
		status = talk(connection, c, target, user);
	} else {
		report_failure(target, connection);
		status = connection_failure(connection)->status;
	}
	connection_close(connection);
	return status;
}

int
change_run(
    const struct connection_target *target, const char *user, int reads_stdin)
{
	struct change *c = secret_memory_map(sizeof(*c), NULL);
	int status = EX_DATAERR;

	if (c == NULL) {
		(void)complain(strerror(errno));
		return EX_OSERR;
	}
	if ((reads_stdin ? read_passwords(c) : ask_passwords(c)) == 0)
		status = connect_and_talk(c, target, user);
	if (status == CHANGE_UNKNOWN)
		(void)complain("it is not known which password works now: try "
			       "the new one, then the old one");
	secret_memory_unmap(c, sizeof(*c));
	return status;
}
