/*
 * The command line of poppassd. Runs with the caller's privilege until a role
 * is chosen: monitor, or, started by the monitor, net.
 */
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/descriptors.h"
#include "common/log.h"
#include "conf/config.h"
#include "daemon/generation.h"
#include "daemon/keeper_process.h"
#include "daemon/monitor.h"
#include "daemon/net.h"
#include "daemon/notify.h"
#include "daemon/test_login.h"
#include "daemon/worker.h"

#define DEFAULT_CONFIG POPPASSD_SYSCONFDIR "/poppassd.conf"

static const char usage_text[] =
    "usage: poppassd [-c FILE] [--check-config | --dump-config | --reload |\n"
    "                --test-login USER | --version]\n"
    "  -c, --config FILE  read FILE instead of " DEFAULT_CONFIG "\n"
    "  --check-config     check the configuration and all that it names\n"
    "  --dump-config      print every directive with the value in effect\n"
    "  --reload           check the configuration, then have the service read "
    "it\n"
    "  --test-login USER  show how PAM checks a password; changes nothing\n"
    "  --version          print the version\n"
    "Stays in the foreground. See poppassd(8) and poppassd.conf(5).\n";

struct command_line {
	const char *path; /* of the configuration */
	const char *user; /* of --test-login */
};

static int
run_check(const struct command_line *line)
{
	const char *path = line->path;

	if (generation_check(path, stderr) == -1)
		return EX_CONFIG;
	(void)printf("%s: no errors\n", path);
	return EX_OK;
}

static int
run_dump(const struct command_line *line)
{
	const char *path = line->path;
	struct config_errors errors = { .out = stderr };
	struct config *config = config_load(path, &errors);
	int status = EX_OK;

	if (config == NULL) {
		(void)fprintf(stderr, "%s: %u error%s\n", path, errors.n,
		    errors.n == 1 ? "" : "s");
		return EX_CONFIG;
	}
	if (config_dump(config, stdout) == -1 || fflush(stdout) == EOF) {
		(void)fprintf(stderr, "standard output: %s\n", strerror(errno));
		status = EX_IOERR;
	}
	config_free(config);
	return status;
}

/*
 * What a service manager runs for a reload; MAINPID is the daemon. The manager
 * has to hear that a reload is under way before this process ends, or it would
 * not wait for it: so that is said here, and not only by the daemon.
 */
static int
run_reload(const struct command_line *line)
{
	const char *text = getenv("MAINPID");
	const intmax_t pid = text != NULL ? strtoimax(text, NULL, 10) : 0;

	if (pid <= 1 || pid > INT_MAX) {
		(void)fprintf(stderr,
		    "--reload: MAINPID names no process; this is for the "
		    "service manager: run `systemctl reload poppassd`\n");
		return EX_USAGE;
	}
	if (generation_check(line->path, stderr) == -1)
		return EX_CONFIG;
	notify_open();
	notify_reloading();
	if (kill((pid_t)pid, SIGHUP) == 0)
		return EX_OK;
	(void)fprintf(
	    stderr, "--reload: process %jd: %s\n", pid, strerror(errno));
	return EX_OSERR;
}

static int
run_version(const struct command_line *line)
{
	(void)line;
	(void)printf("poppassd %s\n", POPPASSD_VERSION);
	return EX_OK;
}

static int
run_usage(const struct command_line *line)
{
	(void)line;
	(void)fputs(usage_text, stderr);
	return EX_USAGE;
}

static int
run_help(const struct command_line *line)
{
	(void)line;
	(void)fputs(usage_text, stdout);
	return EX_OK;
}

static int
run_test_login(const struct command_line *line)
{
	return test_login_main(line->path, line->user);
}

/* Not realpath(): conf.d is beside the name that was given, also if that is a
 * link. */
static char *
absolute_path(const char *path)
{
	char *folder, *absolute = NULL;

	if (*path == '/')
		return strdup(path);
	folder = getcwd(NULL, 0);
	if (folder != NULL && asprintf(&absolute, "%s/%s", folder, path) == -1)
		absolute = NULL;
	free(folder);
	return absolute;
}

/* Each message would go to a client, and each client would start another. */
static int
is_started_for_a_client(void)
{
	struct sockaddr_storage peer = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(peer);

	return getpeername(STDIN_FILENO, (struct sockaddr *)&peer, &len) == 0 &&
	    (peer.ss_family == AF_INET || peer.ss_family == AF_INET6);
}

/* The monitor changes to / and reads the file again at each reload. */
static int
run_daemon(const struct command_line *line)
{
	const char *path = line->path;
	char *absolute;
	int status;

	if (is_started_for_a_client()) {
		log_open(LOG_TARGET_SYSLOG, LOG_LEVEL_NOTICE);
		fatal(EX_USAGE,
		    "standard input is a client's connection: poppassd is "
		    "started once, not by inetd; take it out of inetd.conf or "
		    "xinetd.d");
	}
	absolute = access(path, F_OK) == 0 ? absolute_path(path) : NULL;
	if (absolute == NULL) {
		(void)fprintf(stderr,
		    "%s: %s; write it or name another with -c FILE\n", path,
		    strerror(errno));
		return EX_CONFIG;
	}
	status = monitor_main(absolute);
	free(absolute);
	return status;
}

struct option_rule {
	int letter;
	int (*run)(const struct command_line *line);
};

static const struct option_rule option_rules[] = {
	{ 'k', run_check },
	{ 'd', run_dump },
	{ 'r', run_reload },
	{ 't', run_test_login },
	{ 'v', run_version },
	{ 'h', run_help },
	{ '?', run_usage },
};

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "check-config", no_argument, NULL, 'k' },
	{ "dump-config", no_argument, NULL, 'd' },
	{ "reload", no_argument, NULL, 'r' },
	{ "test-login", required_argument, NULL, 't' },
	{ "version", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* What the monitor starts this program again as. */
static const struct {
	const char *name;
	int (*run)(void);
} roles[] = {
	{ WORKER_NAME, net_main },
	{ KEEPER_NAME, keeper_process_main },
};

int
main(int argc, char *argv[])
{
	int (*run)(const struct command_line *line) = run_daemon;
	struct command_line line = { .path = DEFAULT_CONFIG };
	int letter;

	descriptors_fill_standard();
	for (size_t i = 0; i < sizeof(roles) / sizeof(*roles); i++) {
		if (argc != 1 || strcmp(argv[0], roles[i].name) != 0)
			continue;
		/* For ps and ss, which would call it "exe". */
		(void)prctl(PR_SET_NAME, roles[i].name);
		return roles[i].run();
	}
	while ((letter = getopt_long(argc, argv, "c:", long_options, NULL)) !=
	    -1) {
		size_t i;

		if (letter == 'c') {
			line.path = optarg;
			continue;
		}
		if (letter == 't')
			line.user = optarg;
		for (i = 0; option_rules[i].letter != letter &&
		     option_rules[i].letter != '?';
		     i++)
			continue;
		run = option_rules[i].run;
		if (run == run_usage)
			break;
	}
	if (optind < argc)
		run = run_usage;
	return run(&line);
}
