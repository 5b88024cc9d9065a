/*
 * Why something was not done. Runs with the privilege of the program that
 * loads the module; pure.
 */
#include "pam/passwd_file/complaint.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include <security/_pam_types.h>

int
complain(struct complaint *complaint, int code, const char *user,
    const char *format, ...)
{
	va_list args;

	complaint->code = code;
	complaint->priority = LOG_ERR;
	complaint->user = user;
	va_start(args, format);
	(void)vsnprintf(complaint->log, sizeof(complaint->log), format, args);
	va_end(args);
	return -1;
}

struct error_text {
	int error;
	const char *user;
	const char *advice;
};

static const struct error_text error_texts[] = {
	{ ENOSPC, "The server's disk is full; the password is unchanged.",
	    "; make room" },
	{ EDQUOT, "The server's disk is full; the password is unchanged.",
	    "; raise the quota of the folder's owner" },
	{ EFBIG, "The server's disk is full; the password is unchanged.",
	    "; raise the limit for the size of files" },
	{ EROFS, "The password file is read-only; the password is unchanged.",
	    "; mount the file system for writing, or with systemd add the "
	    "folder to ReadWritePaths" },
	{ EACCES,
	    "The server may not write the password file; the password is "
	    "unchanged.",
	    "; see pam_passwd_file(8) for owners and modes that work" },
	{ EPERM,
	    "The server may not write the password file; the password is "
	    "unchanged.",
	    "; see pam_passwd_file(8) for owners and modes that work" },
};

static const struct error_text other_error = { 0,
	"The password file cannot be written; the password is unchanged.", "" };

static const struct error_text *
find_text(int error)
{
	for (size_t i = 0; i < sizeof(error_texts) / sizeof(*error_texts);
	     i++) {
		if (error_texts[i].error == error)
			return &error_texts[i];
	}
	return &other_error;
}

int
complain_errno(
    struct complaint *complaint, int change, const char *what, const char *path)
{
	const struct error_text *text = find_text(errno);

	return complain(complaint,
	    change ? PAM_AUTHTOK_ERR : PAM_AUTHINFO_UNAVAIL, text->user,
	    "%s: %s: %s%s", path, what, strerror(errno), text->advice);
}
