/*
 * poppassctl: asks the running poppassd over its control socket. Runs as the
 * administrator.
 */
#include <sys/socket.h>
#include <sys/un.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/control_protocol.h"
#include "common/descriptors.h"

#define EXIT_REFUSED 1

/* Longer than the monitor lets a reload take. */
#define TIMEOUT_SEC 60

static const char usage_text[] =
    "usage: poppassctl [-s SOCKET] COMMAND\n"
    "  -s, --socket SOCKET    ask there; default: " CONTROL_SOCKET "\n"
    "  --version              print the version\n"
    "Commands:\n"
    "  status                 what runs and since when, certificates\n"
    "  stats [--openmetrics]  counters since the start\n"
    "  sessions               one line for each\n"
    "  reload                 read the configuration anew, and wait for it\n"
    "  unlock USER|ADDRESS    forget the failures of a user or an address\n"
    "See poppassctl(8).\n";

static int
complain(const char *subject, const char *what, int status)
{
	(void)fprintf(stderr, "poppassctl: %s: %s\n", subject, what);
	return status;
}

/* What to do about it, if it is one of the usual. */
static int
complain_connect(const char *path)
{
	if (errno == ENOENT || errno == ECONNREFUSED)
		return complain(path,
		    "nobody serves it; is poppassd running, and is this its "
		    "control-socket?",
		    EX_UNAVAILABLE);
	if (errno == EACCES)
		return complain(path,
		    "only root and the user that poppassd runs as may ask",
		    EX_NOPERM);
	return complain(path, strerror(errno), EX_OSERR);
}

/* The descriptor, or -1 and *status. */
static int
open_socket(const char *path, int *status)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const struct timeval timeout = { .tv_sec = TIMEOUT_SEC };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		*status = complain(path, "longer than 107 bytes", EX_USAGE);
		return -1;
	}
	(void)strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd != -1 &&
	    setsockopt(
		fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0 &&
	    setsockopt(
		fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) == 0 &&
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)) ==
		0)
		return fd;
	*status = complain_connect(path);
	if (fd != -1)
		(void)close(fd);
	return -1;
}

/* Writes what the answer tells, up to its last line. */
static int
print_answer(FILE *in, const char *path)
{
	const size_t n_error = sizeof(CONTROL_ERROR) - 1;
	char line[2048];

	errno = 0;
	while (fgets(line, sizeof(line), in) != NULL) {
		if (line[0] == ' ') {
			(void)fputs(line + 1, stdout);
			continue;
		}
		line[strcspn(line, "\n")] = '\0';
		if (strcmp(line, CONTROL_OK) == 0)
			return EX_OK;
		if (strncmp(line, CONTROL_ERROR, n_error) == 0)
			return complain(path, line + n_error, EXIT_REFUSED);
		return complain(path, "not an answer of poppassd", EX_PROTOCOL);
	}
	if (ferror(in) && errno == EAGAIN)
		return complain(path, "no answer in time", EX_TEMPFAIL);
	return complain(path, "the answer ended early", EX_PROTOCOL);
}

static int
ask(const char *path, const char *request)
{
	int status, fd = open_socket(path, &status);
	FILE *in;

	if (fd == -1)
		return status;
	in = fdopen(fd, "r");
	if (in == NULL) {
		(void)close(fd);
		return complain(path, strerror(errno), EX_OSERR);
	}
	/* Who may not ask is told so before, and that can be read. */
	if (send(fd, request, strlen(request), MSG_NOSIGNAL) == -1 &&
	    errno != EPIPE)
		status = complain(path, strerror(errno), EX_OSERR);
	else
		status = print_answer(in, path);
	(void)fclose(in);
	if (fflush(stdout) == EOF && status == EX_OK)
		status = complain("standard output", strerror(errno), EX_IOERR);
	return status;
}

struct command {
	const char *words; /* on the command line */
	const char *request;
	int takes_argument;
};

static const struct command commands[] = {
	{ "status", "status", 0 },
	{ "stats", "stats", 0 },
	{ "stats --openmetrics", "openmetrics", 0 },
	{ "sessions", "sessions", 0 },
	{ "reload", "reload", 0 },
	{ "unlock", "unlock", 1 },
};

/* The words of a command line, but for its argument. */
static const struct command *
find_command(int argc, char *argv[], int is_openmetrics)
{
	char words[64];

	(void)snprintf(words, sizeof(words), "%s%s", argc > 0 ? argv[0] : "",
	    is_openmetrics ? " --openmetrics" : "");
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		if (strcmp(commands[i].words, words) == 0 &&
		    argc == 1 + commands[i].takes_argument)
			return &commands[i];
	}
	return NULL;
}

static int
run(const char *path, const struct command *command, const char *argument)
{
	char request[CONTROL_REQUEST_MAX];
	int len;

	if (command->takes_argument &&
	    (*argument == '\0' || strpbrk(argument, "\n") != NULL))
		return complain(
		    command->words, "wants a user or an address", EX_USAGE);
	len = snprintf(request, sizeof(request),
	    command->takes_argument ? "%s %s\n" : "%s\n", command->request,
	    argument);
	if (len < 0 || (size_t)len >= sizeof(request))
		return complain(
		    command->words, "the name is too long", EX_USAGE);
	return ask(path, request);
}

static const struct option long_options[] = {
	{ "socket", required_argument, NULL, 's' },
	{ "openmetrics", no_argument, NULL, 'o' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int
complain_usage(void)
{
	(void)fputs(usage_text, stderr);
	return EX_USAGE;
}

int
main(int argc, char *argv[])
{
	const char *path = CONTROL_SOCKET;
	const struct command *command;
	int letter, is_openmetrics = 0;

	descriptors_fill_standard();
	while ((letter = getopt_long(argc, argv, "s:", long_options, NULL)) !=
	    -1) {
		if (letter == 's')
			path = optarg;
		else if (letter == 'o')
			is_openmetrics = 1;
		else if (letter == 'V')
			return printf("poppassctl %s\n", POPPASSD_VERSION) < 0;
		else if (letter == 'h')
			return fputs(usage_text, stdout) == EOF;
		else
			return complain_usage();
	}
	command = find_command(argc - optind, argv + optind, is_openmetrics);
	if (command == NULL)
		return complain_usage();
	return run(
	    path, command, command->takes_argument ? argv[optind + 1] : "");
}
