/*
 * poppasswd: changes the user's own password on a poppassd, over TLS. Runs as
 * the user.
 */
#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "client/connection.h"
#include "client/terminal.h"
#include "common/secret.h"
#include "common/wire.h"

#define EXIT_CHANGED 0
#define EXIT_REFUSED 1
#define EXIT_UNKNOWN 2

static const char usage_text[] =
    "usage: poppasswd [-u USER] [--starttls] [--ca FILE] [--stdin]\n"
    "           [--timeout SEC] [--verbose] HOST[:PORT]\n"
    "  -u, --user USER  the account; default: your login name\n"
    "  --starttls       begin in clear and ask for TLS; default: TLS at once\n"
    "  --ca FILE        trust the certificates in FILE instead of the "
    "system's\n"
    "  --stdin          read the current and the new password from two lines\n"
    "  --timeout SEC    wait so long for each answer; default: 20\n"
    "  --verbose        show the dialogue, without the passwords\n";

/* All that a change needs; in secret memory. */
struct change {
	struct secret old_secret;
	struct secret new_secret;
	struct secret again;
	char line[SECRET_MAX + 32];
};

struct options {
	struct connection_target target;
	const char *user;
	int reads_stdin;
};

static int
complain(const char *what)
{
	(void)fprintf(stderr, "poppasswd: %s\n", what);
	return -1;
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
ask_passwords(struct change *c)
{
	if (report_terminal(
		terminal_ask("Current password: ", &c->old_secret)) == -1 ||
	    report_terminal(terminal_ask("New password: ", &c->new_secret)) ==
		-1 ||
	    report_terminal(terminal_ask("Retype new password: ", &c->again)) ==
		-1)
		return -1;
	if (strcmp(c->new_secret.bytes, c->again.bytes) != 0)
		return complain("the new passwords are not the same");
	return 0;
}

static int
read_passwords(struct change *c)
{
	if (report_terminal(terminal_read_line(STDIN_FILENO, &c->old_secret)) ==
	    -1)
		return -1;
	return report_terminal(
	    terminal_read_line(STDIN_FILENO, &c->new_secret));
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
		return EXIT_UNKNOWN;
	if (strstr(line, "try again later") != NULL)
		return EX_TEMPFAIL;
	return EXIT_REFUSED;
}

/* EXIT_CHANGED for "200 text"; the reason, for the user, for "500 text". */
static int
receive_reply(struct connection *connection, int lost_status)
{
	char line[CONNECTION_LINE_MAX];

	if (connection_receive(connection, line) == -1)
		return lost_status;
	if (strncmp(line, "200 ", 4) == 0)
		return EXIT_CHANGED;
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
	{ "NEWPASS", 1, EXIT_UNKNOWN },
};

static int
talk(struct connection *connection, struct change *c, const char *user)
{
	const char *const arguments[] = { user, c->old_secret.bytes,
		c->new_secret.bytes };
	static const char quit[] = "QUIT\r\n";
	char line[CONNECTION_LINE_MAX];

	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		int status;

		if (send_command(connection, c, commands[i].verb, arguments[i],
			commands[i].is_secret) == -1)
			return commands[i].lost_status;
		status = receive_reply(connection, commands[i].lost_status);
		if (status != EXIT_CHANGED)
			return status;
	}
	/* The change counts already: nothing that QUIT meets undoes it. */
	if (connection_send(connection, quit, sizeof(quit) - 1, NULL) == 0)
		(void)connection_receive(connection, line);
	return EXIT_CHANGED;
}

static int
run(const struct options *o)
{
	struct change *c = secret_memory_map(sizeof(*c), NULL);
	struct connection *connection = NULL;
	int status = EX_DATAERR;

	if (c == NULL) {
		(void)complain(strerror(errno));
		return EX_OSERR;
	}
	if ((o->reads_stdin ? read_passwords(c) : ask_passwords(c)) == -1)
		goto out;
	connection = connection_open(&o->target, &status);
	if (connection == NULL)
		goto out;
	status = talk(connection, c, o->user);
	if (status == EXIT_CHANGED)
		(void)printf("Password changed.\n");
	if (status == EXIT_UNKNOWN)
		(void)complain("it is not known which password works now: try "
			       "the new one, then the old one");
out:
	connection_close(connection);
	secret_memory_unmap(c, sizeof(*c));
	return status;
}

/* "host", "host:port", "[v6]:port", "v6". Cuts the text. */
static int
split_target(char *text, struct connection_target *target)
{
	char *colon = strrchr(text, ':');

	target->host = text;
	target->port = "106";
	if (*text == '[') {
		char *end = strchr(text, ']');

		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return -1;
		if (end[1] == ':')
			target->port = end + 2;
		*end = '\0';
		target->host = text + 1;
	} else if (colon != NULL && strchr(text, ':') == colon) {
		*colon = '\0';
		target->port = colon + 1;
	}
	return *target->host != '\0' && *target->port != '\0' ? 0 : -1;
}

static const struct option long_options[] = {
	{ "user", required_argument, NULL, 'u' },
	{ "starttls", no_argument, NULL, 's' },
	{ "implicit", no_argument, NULL, 'i' },
	{ "ca", required_argument, NULL, 'a' },
	{ "stdin", no_argument, NULL, 'n' },
	{ "timeout", required_argument, NULL, 't' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int
parse_timeout(const char *text, unsigned *seconds)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || value < 1 ||
	    value > 3600)
		return complain("--timeout: wants 1 to 3600 seconds");
	*seconds = (unsigned)value;
	return 0;
}

static int
apply_option(struct options *o, int letter)
{
	switch (letter) {
	case 'u':
		o->user = optarg;
		return 0;
	case 's':
		o->target.tls = CONNECTION_STARTTLS;
		return 0;
	case 'i':
		o->target.tls = CONNECTION_IMPLICIT;
		return 0;
	case 'a':
		o->target.ca_file = optarg;
		return 0;
	case 'n':
		o->reads_stdin = 1;
		return 0;
	case 't':
		return parse_timeout(optarg, &o->target.timeout_sec);
	case 'v':
		o->target.is_verbose = 1;
		return 0;
	case 'V':
		(void)printf("poppasswd %s\n", POPPASSD_VERSION);
		exit(EX_OK);
	case 'h':
		(void)fputs(usage_text, stdout);
		exit(EX_OK);
	default:
		return -1;
	}
}

static int
check_user(struct options *o)
{
	const struct passwd *pw;

	if (o->user == NULL) {
		pw = getpwuid(getuid());
		if (pw == NULL)
			return complain("who are you? name yourself with -u");
		o->user = pw->pw_name;
	}
	if (*o->user == '\0' || strlen(o->user) >= WIRE_USER_SIZE ||
	    strpbrk(o->user, "\r\n") != NULL)
		return complain("-u: wants a name of 1 to 255 bytes");
	return 0;
}

int
main(int argc, char *argv[])
{
	struct options o = { .target = { .timeout_sec = 20 } };
	int letter;

	(void)signal(SIGPIPE, SIG_IGN);
	while ((letter = getopt_long(argc, argv, "u:", long_options, NULL)) !=
	    -1) {
		if (apply_option(&o, letter) == -1) {
			(void)fputs(usage_text, stderr);
			return EX_USAGE;
		}
	}
	if (optind != argc - 1 || split_target(argv[optind], &o.target) == -1) {
		(void)fputs(usage_text, stderr);
		return EX_USAGE;
	}
	if (check_user(&o) == -1)
		return EX_USAGE;
	return run(&o);
}
