/*
 * The command line of poppasswd. Runs as the user.
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

#include "client/change.h"
#include "client/probe.h"
#include "common/descriptors.h"
#include "common/wire.h"

#define CHANGE_TIMEOUT_SEC 20
#define PROBE_TIMEOUT_SEC  10

static const char usage_text[] =
    "usage: poppasswd [-u USER] [--starttls] [--ca FILE] [--stdin]\n"
    "           [--timeout SEC] [--verbose] HOST[:PORT]\n"
    "       poppasswd [-u USER] [--stdin] [--timeout SEC] [--verbose]\n"
    "           --unix PATH\n"
    "       poppasswd --probe [--starttls] [--ca FILE] [--warning DAYS]\n"
    "           [--critical DAYS] [--timeout SEC] [--verbose] HOST[:PORT]\n"
    "       poppasswd --probe [--timeout SEC] [--verbose] --unix PATH\n"
    "  -u, --user USER  the account; default: your login name\n"
    "  --starttls       begin in clear and ask for TLS; default: TLS at once\n"
    "  --implicit       TLS at once\n"
    "  --unix PATH      connect to a socket on this machine, without TLS\n"
    "  --ca FILE        trust the certificates in FILE instead of the "
    "system's\n"
    "  --stdin          read the current and the new password from two lines\n"
    "  --timeout SEC    wait so long for each answer; default: 20, --probe: "
    "10\n"
    "  --verbose        show the dialogue, without the passwords\n"
    "  --probe          change nothing; tell a monitoring system how it is\n"
    "  --warning DAYS   before a certificate expires; default: 21\n"
    "  --critical DAYS  the same; default: 7\n"
    "  --version        print the version\n"
    "  --help           print this\n";

struct options {
	struct connection_target target;
	struct probe_limits limits;
	const char *user;
	int reads_stdin;
	int is_probe;
};

static int
complain(const char *what)
{
	(void)fprintf(stderr, "poppasswd: %s\n", what);
	return -1;
}

static int
parse_number(const char *text, const char *complaint, unsigned low,
    unsigned high, unsigned *out)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno != 0 || *text < '0' || *text > '9' || *end != '\0' ||
	    value < low || value > high)
		return complain(complaint);
	*out = (unsigned)value;
	return 0;
}

static int
set_user(struct options *o, char *argument)
{
	o->user = argument;
	return 0;
}

static int
set_starttls(struct options *o, char *argument)
{
	(void)argument;
	o->target.kind = CONNECTION_STARTTLS;
	return 0;
}

static int
set_implicit(struct options *o, char *argument)
{
	(void)argument;
	o->target.kind = CONNECTION_IMPLICIT;
	return 0;
}

static int
set_unix(struct options *o, char *argument)
{
	o->target.kind = CONNECTION_UNIX;
	o->target.host = argument;
	return *argument != '\0' ? 0 : complain("--unix: wants a path");
}

static int
set_ca(struct options *o, char *argument)
{
	o->target.ca_file = argument;
	return 0;
}

static int
set_stdin(struct options *o, char *argument)
{
	(void)argument;
	o->reads_stdin = 1;
	return 0;
}

static int
set_timeout(struct options *o, char *argument)
{
	return parse_number(argument, "--timeout: wants 1 to 3600 seconds", 1,
	    3600, &o->target.timeout_sec);
}

static int
set_verbose(struct options *o, char *argument)
{
	(void)argument;
	o->target.is_verbose = 1;
	return 0;
}

static int
set_probe(struct options *o, char *argument)
{
	(void)argument;
	o->is_probe = 1;
	return 0;
}

static int
set_warning(struct options *o, char *argument)
{
	return parse_number(argument, "--warning: wants 0 to 3650 days", 0,
	    3650, &o->limits.warning_days);
}

static int
set_critical(struct options *o, char *argument)
{
	return parse_number(argument, "--critical: wants 0 to 3650 days", 0,
	    3650, &o->limits.critical_days);
}

static int
print_version(struct options *o, char *argument)
{
	(void)o;
	(void)argument;
	(void)printf("poppasswd %s\n", POPPASSD_VERSION);
	exit(EX_OK);
}

static int
print_help(struct options *o, char *argument)
{
	(void)o;
	(void)argument;
	(void)fputs(usage_text, stdout);
	exit(EX_OK);
}

struct option_rule {
	int letter;
	int (*apply)(struct options *o, char *argument);
};

static const struct option_rule option_rules[] = {
	{ 'u', set_user },
	{ 's', set_starttls },
	{ 'i', set_implicit },
	{ 'x', set_unix },
	{ 'a', set_ca },
	{ 'n', set_stdin },
	{ 't', set_timeout },
	{ 'v', set_verbose },
	{ 'p', set_probe },
	{ 'w', set_warning },
	{ 'c', set_critical },
	{ 'V', print_version },
	{ 'h', print_help },
};

static const struct option long_options[] = {
	{ "user", required_argument, NULL, 'u' },
	{ "starttls", no_argument, NULL, 's' },
	{ "implicit", no_argument, NULL, 'i' },
	{ "unix", required_argument, NULL, 'x' },
	{ "ca", required_argument, NULL, 'a' },
	{ "stdin", no_argument, NULL, 'n' },
	{ "timeout", required_argument, NULL, 't' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "probe", no_argument, NULL, 'p' },
	{ "warning", required_argument, NULL, 'w' },
	{ "critical", required_argument, NULL, 'c' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int
apply_option(struct options *o, int letter)
{
	for (size_t i = 0; i < sizeof(option_rules) / sizeof(*option_rules);
	     i++) {
		if (option_rules[i].letter == letter)
			return option_rules[i].apply(o, optarg);
	}
	return -1;
}

/* The resolver would take 65642 for 106. */
static int
check_port(const char *port)
{
	unsigned number;

	if (port[strspn(port, "0123456789")] != '\0')
		return 0;
	return parse_number(port,
	    "the port: wants 1 to 65535 or the name of a service", 1, 65535,
	    &number);
}

/* "host", "host:port", "[v6]:port", "v6". Cuts the text. */
static int
split_target(char *text, struct connection_target *target)
{
	char *colon = strrchr(text, ':');

	target->host = text;
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
	return *target->host != '\0' ? check_port(target->port) : -1;
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

/* All options are looked at even after a wrong one, so that a probe ends with
 * a status that is one. */
static int
parse_options(struct options *o, int argc, char *argv[])
{
	int letter, result = 0;

	while ((letter = getopt_long(argc, argv, "u:", long_options, NULL)) !=
	    -1) {
		if (apply_option(o, letter) == -1)
			result = -1;
	}
	return result;
}

/* A host, or a socket that was named already. */
static int
parse_arguments(struct options *o, int n, char *argv[])
{
	if (o->target.kind == CONNECTION_UNIX)
		return n == 0 ? 0 : -1;
	return n == 1 ? split_target(argv[0], &o->target) : -1;
}

static int
check_probe(const struct options *o)
{
	if (o->limits.warning_days < o->limits.critical_days)
		return complain("--warning: wants no fewer days than "
				"--critical");
	return 0;
}

int
main(int argc, char *argv[])
{
	struct options o = {
		.target = { .port = "106" },
		.limits = { .warning_days = 21, .critical_days = 7 },
	};
	int is_wrong;

	descriptors_fill_standard();
	is_wrong = parse_options(&o, argc, argv) == -1;
	(void)signal(SIGPIPE, SIG_IGN);
	if (parse_arguments(&o, argc - optind, argv + optind) == -1)
		is_wrong = 1;
	if (is_wrong) {
		(void)fputs(usage_text, stderr);
		return o.is_probe ? PROBE_UNKNOWN : EX_USAGE;
	}
	if (o.target.timeout_sec == 0)
		o.target.timeout_sec =
		    o.is_probe ? PROBE_TIMEOUT_SEC : CHANGE_TIMEOUT_SEC;
	if (o.is_probe)
		return check_probe(&o) == -1
		    ? PROBE_UNKNOWN
		    : (int)probe_run(&o.target, &o.limits);
	if (check_user(&o) == -1)
		return EX_USAGE;
	return change_run(&o.target, o.user, o.reads_stdin);
}
