/*
 * Is there everything that the configuration names? Runs as root in the
 * monitor, before anything is served.
 */
#include "daemon/preflight.h"

#include <sys/stat.h>
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/listen_unix.h"

const char *
preflight_helper_path(void)
{
	static char path[PATH_MAX];
	char exe[PATH_MAX];
	const char *slash;
	ssize_t n;

	if (path[0] != '\0')
		return path;
	n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (n == -1)
		return NULL;
	exe[n] = '\0';
	slash = strrchr(exe, '/');
	if (slash == NULL)
		return NULL;
	n = snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - exe), exe,
	    POPPASSD_HELPER_FROM_SBIN);
	if (n < 0 || (size_t)n >= sizeof(path))
		path[0] = '\0';
	return path[0] != '\0' ? path : NULL;
}

static void
check_account(const char *directive, const char *name,
    const struct config_place *place, struct config_errors *errors)
{
	const struct passwd *pw;

	if (geteuid() != 0)
		return;
	pw = getpwnam(name);
	if (pw == NULL)
		config_error(errors, place,
		    "%s %s: no such user; make it with `useradd --system "
		    "--shell /usr/sbin/nologin %s`, or name another with the "
		    "directive `%s`",
		    directive, name, name, directive);
	else if (pw->pw_uid == 0)
		config_error(errors, place,
		    "%s %s: is root; name an account without privilege",
		    directive, name);
}

static void
check_accounts(const struct config *config, struct config_errors *errors)
{
	check_account("user", config->user, &config->user_place, errors);
	if (strcmp(config->virtual_user_account, config->user) != 0)
		check_account("virtual-user-account",
		    config->virtual_user_account,
		    &config->virtual_user_account_place, errors);
}

static int
service_exists(const char *folder, const char *service, char path[PATH_MAX])
{
	(void)snprintf(path, PATH_MAX, "%s/%s", folder, service);
	return access(path, R_OK) == 0;
}

static void
check_service(const struct config *config, struct config_errors *errors)
{
	const char *folder = config->pam_confdir;
	char path[PATH_MAX];

	/* libpam's own second place, see pam.d(5). */
	if (folder == NULL &&
	    service_exists("/usr/lib/pam.d", config->pam_service, path))
		return;
	if (service_exists(folder != NULL ? folder : "/etc/pam.d",
		config->pam_service, path))
		return;
	config_error(errors, &config->pam_service_place,
	    "pam-service %s: %s: %s; write the file (an example is in "
	    "poppassd(8)), or PAM would use the service `other`",
	    config->pam_service, path, strerror(errno));
}

static void
check_helper(struct config_errors *errors)
{
	const char *path = preflight_helper_path();
	struct stat st;

	if (path == NULL) {
		config_error(errors, NULL,
		    "cannot find poppassd-pam: /proc/self/exe: %s; is /proc "
		    "mounted?",
		    strerror(errno));
		return;
	}
	if (stat(path, &st) == -1 || access(path, X_OK) == -1)
		config_error(errors, NULL, "%s: %s; install poppassd again",
		    path, strerror(errno));
	else if (geteuid() == 0 &&
	    (st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0))
		config_error(errors, NULL,
		    "%s: must belong to root and be writable by nobody else",
		    path);
}

void
preflight_check(const struct config *config, struct config_errors *errors)
{
	check_accounts(config, errors);
	listen_unix_check(config, errors);
	if (config->control.place.file != NULL &&
	    config->control.address != NULL)
		(void)listen_unix_check_folder(&config->control, errors);
	check_service(config, errors);
	check_helper(errors);
}
