/*
 * pam_passwd_file.so: auth and account for the users of a Dovecot passwd-file.
 * Runs with the privilege of the program that loads it.
 */
#include <time.h>

#include <security/pam_ext.h>
#include <security/pam_modules.h>

#include "pam/passwd_file/call.h"

#define FAIL_DELAY_USEC 2000000

static int
authenticate(struct call *c, const char *password, int may_be_empty)
{
	if (call_look_up(c) == -1) {
		if (c->complaint.code == PAM_USER_UNKNOWN)
			call_spend(c, password);
		return -1;
	}
	return call_check_password(c, password, may_be_empty);
}

int
pam_sm_authenticate(pam_handle_t *pam, int flags, int argc, const char **argv)
{
	const char *password;
	struct call *c;
	int code;

	c = call_new(pam, argc, argv, &code);
	if (c == NULL)
		return code;
	(void)pam_fail_delay(pam, FAIL_DELAY_USEC);
	code = pam_get_authtok(pam, PAM_AUTHTOK, &password, NULL);
	if (code == PAM_SUCCESS &&
	    authenticate(c, password,
		c->options.allows_empty &&
		    !call_has_flag(flags, PAM_DISALLOW_NULL_AUTHTOK)) == -1)
		code = call_report(c);
	call_free(c);
	return code;
}

int
pam_sm_setcred(pam_handle_t *pam, int flags, int argc, const char **argv)
{
	(void)pam;
	(void)flags;
	(void)argc;
	(void)argv;
	return PAM_SUCCESS;
}

static int
judge_account(struct call *c)
{
	if (call_look_up(c) == -1)
		return -1;
	switch (entry_login(&c->entry, time(NULL))) {
	case ENTRY_LOGIN_OK:
		return 0;
	case ENTRY_LOGIN_NEVER:
		return complain(&c->complaint, PAM_PERM_DENIED, NULL,
		    "%s:%lu: nologin, fail or noauthenticate", c->store.path,
		    c->entry.line);
	case ENTRY_LOGIN_EXPIRED:
		return complain(&c->complaint, PAM_ACCT_EXPIRED, NULL,
		    "%s:%lu: expires= is over", c->store.path, c->entry.line);
	case ENTRY_LOGIN_UNCLEAR:
		break;
	}
	return complain(&c->complaint, PAM_PERM_DENIED, NULL,
	    "%s:%lu: expires= wants a date, YYYY-MM-DD", c->store.path,
	    c->entry.line);
}

int
pam_sm_acct_mgmt(pam_handle_t *pam, int flags, int argc, const char **argv)
{
	struct call *c;
	int code;

	(void)flags;
	c = call_new(pam, argc, argv, &code);
	if (c == NULL)
		return code;
	if (judge_account(c) == -1)
		code = call_report(c);
	call_free(c);
	return code;
}
