/*
 * Why something was not done. Any process that loads the module; pure.
 */
#ifndef PAM_PASSWD_FILE_COMPLAINT_H
#define PAM_PASSWD_FILE_COMPLAINT_H

struct complaint {
	int code;         /* what PAM is told, see pam(3) */
	int priority;     /* syslog(3)'s */
	const char *user; /* static, for the mail user; or NULL */
	char log[512];    /* what, where and how to mend it */
};

/* Fills it in, for LOG_ERR; always -1, so that it can be returned. */
int complain(struct complaint *complaint, int code, const char *user,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The same for a system call that failed with errno on what: the code and the
 * user's text come from the error. change says whether the password was to be
 * changed, or only read. */
int complain_errno(struct complaint *complaint, int change, const char *what,
    const char *path);

#endif
