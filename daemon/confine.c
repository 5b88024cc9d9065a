/*
 * Giving up privilege, for good, and making sure that it is gone. Runs as root
 * and ends without it; handles no client bytes.
 */
#include "daemon/confine.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <cap-ng.h>

#include "common/log.h"
#include "common/wire.h"
#include "daemon/filter.h"
#include "daemon/landlock.h"

static int
started_as_root(void)
{
	return geteuid() == 0;
}

static void
limit_resources(rlim_t n_files)
{
	const struct rlimit files = { .rlim_cur = n_files,
		.rlim_max = n_files };
	const struct rlimit none = { .rlim_cur = 0, .rlim_max = 0 };

	if (setrlimit(RLIMIT_NOFILE, &files) == -1)
		fatal(EX_OSERR,
		    "confine: cannot have %ju open files: %s; raise the hard "
		    "limit (ulimit -Hn) or lower max-sessions",
		    (uintmax_t)n_files, strerror(errno));
	if (setrlimit(RLIMIT_CORE, &none) == -1 ||
	    setrlimit(RLIMIT_FSIZE, &none) == -1 ||
	    setrlimit(RLIMIT_NPROC, &none) == -1)
		fatal(
		    EX_OSERR, "confine: resource limits: %s", strerror(errno));
}

/* A folder that has lost its name can hold nothing, not even for root. */
static int
make_nameless_folder(const char *parent)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/poppassd.XXXXXX", parent);
	if (mkdtemp(path) == NULL)
		return -1;
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (rmdir(path) == -1 && fd != -1) {
		(void)close(fd);
		fd = -1;
	}
	return fd;
}

static void
enter_empty_root(void)
{
	static const char *const parents[] = { "/run/poppassd", "/run", "/tmp",
		"/var/tmp" };
	int fd = -1;

	for (size_t i = 0; fd == -1 && i < sizeof(parents) / sizeof(*parents);
	     i++)
		fd = make_nameless_folder(parents[i]);
	if (fd == -1)
		fatal(EX_OSERR,
		    "confine: cannot make an empty folder in /run/poppassd, "
		    "/run or /tmp: %s; make one of them writable for root",
		    strerror(errno));
	if (fchdir(fd) == -1 || chroot(".") == -1)
		fatal(EX_OSERR, "confine: chroot: %s", strerror(errno));
	(void)close(fd);
}

static void
become_user(const char *name)
{
	const struct passwd *pw = getpwnam(name);

	if (pw == NULL)
		fatal(EX_NOUSER, "confine: user %s: no such user", name);
	if (pw->pw_uid == 0)
		fatal(EX_CONFIG, "confine: user %s: is root", name);
	enter_empty_root();
	/* The bounding set first: that takes CAP_SETPCAP. */
	capng_clear(CAPNG_SELECT_BOUNDS);
	if (capng_apply(CAPNG_SELECT_BOUNDS) != 0)
		fatal(EX_OSERR, "confine: cannot empty the bounding set");
	if (setgroups(0, NULL) == -1 ||
	    setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) == -1 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) == -1)
		fatal(EX_OSERR, "confine: user %s: %s", name, strerror(errno));
	capng_clear(CAPNG_SELECT_CAPS);
	if (capng_apply(CAPNG_SELECT_CAPS) != 0)
		fatal(EX_OSERR, "confine: cannot drop capabilities");
}

static void
fail_if_root_comes_back(void)
{
	if (setresuid(0, 0, 0) == 0 || seteuid(0) == 0 || setegid(0) == 0 ||
	    setgroups(0, NULL) == 0)
		fatal(EX_SOFTWARE, "confine: root could be regained");
	if (chroot("/") == 0)
		fatal(EX_SOFTWARE, "confine: chroot is still allowed");
	if (capng_get_caps_process() != 0 ||
	    capng_have_capabilities(CAPNG_SELECT_BOTH) != CAPNG_NONE)
		fatal(EX_SOFTWARE, "confine: capabilities are left");
}

static void
confine(const struct config *config, unsigned n_files, void (*filter)(void))
{
	if (started_as_root()) {
		become_user(config->user);
		fail_if_root_comes_back();
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		fatal(EX_OSERR, "confine: no_new_privs: %s", strerror(errno));
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		fatal(EX_OSERR, "confine: dumpable: %s", strerror(errno));
	limit_resources(n_files);
	/* A log line to a file is lost then; that is not worth dying for. */
	(void)signal(SIGXFSZ, SIG_IGN);
	if (landlock_restrict() == -1)
		fatal(EX_OSERR, "confine: Landlock: %s", strerror(errno));
	filter();
}

void
confine_net(const struct config *config, unsigned n_files)
{
	confine(config, n_files, filter_net);
}

void
confine_keeper(const struct config *config)
{
	confine(config, WIRE_KEEPER_KEYS_FD + 4, filter_keeper);
}

/* What the monitor uses itself, then what it hands on to helpers. */
static const unsigned monitor_capabilities[] = { CAP_KILL, CAP_SETUID,
	CAP_SETGID, CAP_SETPCAP, CAP_SYS_CHROOT, CAP_NET_BIND_SERVICE,
	CAP_CHOWN, CAP_AUDIT_WRITE, CAP_DAC_OVERRIDE };

static const unsigned helper_capabilities[] = { CAP_SETUID, CAP_CHOWN,
	CAP_AUDIT_WRITE };

/* Keeps those of the list that are there: a service manager may have given
 * fewer. */
static int
keep_capabilities(const unsigned *list, size_t n, int with_dac_override)
{
	unsigned present = 0;

	if (capng_get_caps_process() != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (capng_have_capability(CAPNG_PERMITTED, list[i]))
			present |= 1U << list[i];
	}
	if (with_dac_override &&
	    capng_have_capability(CAPNG_PERMITTED, CAP_DAC_OVERRIDE))
		present |= 1U << CAP_DAC_OVERRIDE;
	capng_clear(CAPNG_SELECT_BOTH);
	for (unsigned c = 0; c < 32; c++) {
		if ((present & (1U << c)) != 0)
			capng_update(CAPNG_ADD,
			    CAPNG_EFFECTIVE | CAPNG_PERMITTED |
				CAPNG_BOUNDING_SET,
			    c);
	}
	return capng_apply(CAPNG_SELECT_BOTH) == 0 ? 0 : -1;
}

void
confine_monitor(void)
{
	filter_monitor();
	if (landlock_version() == 0)
		log_message(LOG_LEVEL_DEBUG,
		    "confine: this kernel has no Landlock; net goes without");
	if (!started_as_root())
		return;
	if (keep_capabilities(monitor_capabilities,
		sizeof(monitor_capabilities) / sizeof(unsigned), 0) == -1)
		fatal(EX_OSERR, "confine: cannot cut the capabilities");
}

int
confine_helper(gid_t gid, const char *user, int with_dac_override)
{
	if (!started_as_root())
		return 0;
	if (user != NULL ? initgroups(user, gid) == -1
			 : setgroups(0, NULL) == -1)
		return -1;
	if (setresgid(gid, gid, gid) == -1)
		return -1;
	return keep_capabilities(helper_capabilities,
	    sizeof(helper_capabilities) / sizeof(unsigned), with_dac_override);
}
