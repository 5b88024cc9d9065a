/*
 * poppassd-pam: the helper. Started by the monitor as root for one password
 * change; takes the user's real uid before it does anything else.
 */
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/log.h"
#include "pam/transaction.h"

/* LeakSanitizer traces the process at its end. That takes one that is dumpable
 * and whose uids are the same: one that was not started as root. */
#ifdef POPPASSD_SANITIZE
#define IS_DUMPABLE 1

int __lsan_is_turned_off(void);

int
__lsan_is_turned_off(void)
{
	return getuid() != geteuid();
}
#else
#define IS_DUMPABLE 0
#endif

static int
is_message_socket(int fd)
{
	int type;
	socklen_t len = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	    type == SOCK_SEQPACKET;
}

static void
check_descriptors(void)
{
	if (!is_message_socket(WIRE_HELPER_TRANSACTION_FD) ||
	    !is_message_socket(WIRE_HELPER_STATUS_FD))
		fatal(EX_USAGE,
		    "poppassd-pam: is started by poppassd, not by hand");
	/* What a module starts is not to hold them open. */
	(void)fcntl(WIRE_HELPER_TRANSACTION_FD, F_SETFD, FD_CLOEXEC);
	(void)fcntl(WIRE_HELPER_STATUS_FD, F_SETFD, FD_CLOEXEC);
}

/* Real uid the user's and effective uid 0 is what passwd(1) has: by the real
 * one the modules know that they must ask and refuse, not only warn. */
static void
become_user(const char *text)
{
	unsigned uid;
	char rest;

	if (sscanf(text, "%u%c", &uid, &rest) != 1)
		fatal(EX_USAGE, "poppassd-pam: %s: not a uid", text);
	if (geteuid() == 0 && setresuid((uid_t)uid, 0, 0) == -1)
		fatal(
		    EX_OSERR, "poppassd-pam: uid %u: %s", uid, strerror(errno));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		fatal(EX_OSERR, "poppassd-pam: no_new_privs: %s",
		    strerror(errno));
}

static void
on_unwanted_signal(int number)
{
	(void)number;
}

/* As for passwd(1): nothing but the monitor's SIGKILL ends a commit. Not by
 * SIG_IGN, which what a module starts would inherit. */
static void
outlive_signals(void)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGPIPE,
		SIGTERM, SIGTSTP, SIGXFSZ };
	const struct sigaction action = { .sa_handler = on_unwanted_signal,
		.sa_flags = SA_RESTART };

	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		(void)sigaction(signals[i], &action, NULL);
}

/* The monitor has raised it for net. Modules use select(), and programs close
 * every number below the limit before they do anything else. */
static void
limit_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1 || limit.rlim_cur <= 1024)
		return;
	limit.rlim_cur = 1024;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static void
prepare_process(void)
{
	const struct rlimit none = { .rlim_cur = 0, .rlim_max = 0 };

	outlive_signals();
	limit_files();
	(void)umask(077);
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, IS_DUMPABLE, 0, 0, 0);
	/* What forks twice below us stays below us, and ends with us if our
	 * time is over. */
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	/* No LANG, LC_* or LANGUAGE: they would change the prompts. */
	if (clearenv() != 0 ||
	    setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1) == -1 ||
	    chdir("/") == -1)
		fatal(EX_OSERR, "poppassd-pam: %s", strerror(errno));
}

int
main(int argc, char *argv[])
{
	int is_admitted;

	check_descriptors();
	if (argc != 3)
		fatal(EX_USAGE, "poppassd-pam: wants a verdict and a uid");
	is_admitted = strcmp(argv[1], "admitted") == 0;
	become_user(argv[2]);
	prepare_process();
	return (int)transaction_run(is_admitted);
}
