/*
 * pam_passwd_file.so: the password of a user of a Dovecot passwd-file. Runs
 * with the privilege of the program that loads it.
 */
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include <security/pam_ext.h>
#include <security/pam_modules.h>

#include "pam/passwd_file/call.h"
#include "pam/passwd_file/lock.h"

/* How long a change waits for the locks, and tries again after somebody else's,
 * in all. */
#define CHANGE_WAIT_MS 5000

/* The field that the user's current password was checked against, from the
 * first pass of pam_sm_chauthtok() to the second. */
#define CHECKED_FIELD "pam_passwd_file:field"

static void
on_field_cleanup(pam_handle_t *pam, void *data, int status)
{
	char *field = data;

	(void)pam;
	(void)status;
	explicit_bzero(field, strlen(field));
	free(field);
}

static int
remember_field(struct call *c)
{
	char *field = strdup(c->entry.password);

	if (field != NULL &&
	    pam_set_data(c->pam, CHECKED_FIELD, field, on_field_cleanup) ==
		PAM_SUCCESS)
		return 0;
	free(field);
	return complain(&c->complaint, PAM_BUF_ERR, NULL, "no memory");
}

/* As passwd(1) has it: root need not know the current password. */
static int
check_current(struct call *c)
{
	const char *password;
	int code;

	if (getuid() == 0)
		return 0;
	code = pam_get_authtok(c->pam, PAM_OLDAUTHTOK, &password, NULL);
	if (code != PAM_SUCCESS)
		return call_refuse(c, code, NULL, "no current password");
	return call_check_password(c, password, c->options.allows_empty);
}

/* Before any module of the stack writes: all that can be known now. */
static int
prepare_change(struct call *c)
{
	if (call_look_up(c) == -1 ||
	    store_probe(&c->store, &c->complaint) == -1 ||
	    check_current(c) == -1)
		return -1;
	return remember_field(c);
}

static int
check_new(struct call *c, const struct method *method, const char *password)
{
	const size_t len = strlen(password);
	const void *old = NULL;

	(void)pam_get_item(c->pam, PAM_OLDAUTHTOK, &old);
	if (len == 0)
		return call_refuse(c, PAM_AUTHTOK_ERR,
		    "The new password is empty.", "the new password is empty");
	if (len < c->options.min_len)
		return call_refuse(c, PAM_AUTHTOK_ERR,
		    "The new password is too short.",
		    "the new password is shorter than minlen");
	if (len > method->max_len)
		return call_refuse(c, PAM_AUTHTOK_ERR,
		    method->max_len < 100
			? "The new password is too long: 72 bytes are the most."
			: "The new password is too long.",
		    "the new password is longer than its scheme can hash");
	if (old != NULL && strcmp(old, password) == 0)
		return call_refuse(c, PAM_AUTHTOK_ERR,
		    "The new password is the same as the old one.",
		    "the new password is the old one");
	return 0;
}

/* Under the locks: the line may stand elsewhere by now, and the password of
 * before may have been changed by someone who knew it. */
static enum store_result
replace_field(
    struct call *c, uint64_t deadline, const char *checked, const char *field)
{
	if (store_lock(&c->store, deadline, &c->complaint) == -1 ||
	    call_find_entry(c) == -1)
		return STORE_FAILED;
	if (strcmp(c->entry.password, checked) != 0) {
		(void)call_refuse(c, PAM_AUTHTOK_ERR,
		    "The password was changed by somebody else meanwhile.",
		    "the password was changed by somebody else meanwhile");
		return STORE_FAILED;
	}
	return store_replace(&c->store, c->entry.password_at,
	    c->entry.password_len, field, &c->complaint);
}

static int
store_field(struct call *c, const char *checked, const char *field)
{
	const uint64_t deadline = lock_now_ms() + CHANGE_WAIT_MS;

	for (;;) {
		enum store_result result =
		    replace_field(c, deadline, checked, field);

		if (result == STORE_REPLACED)
			return 0;
		if (result == STORE_FAILED)
			return -1;
		if (lock_now_ms() >= deadline)
			return complain(&c->complaint, PAM_AUTHTOK_LOCK_BUSY,
			    "The password file is busy, try again later.",
			    "%s: others write it all the time", c->store.path);
	}
}

static int
change(struct call *c, const char *checked, const char *password)
{
	const struct method *method = c->options.method;
	char field[SCHEME_FIELD_SIZE];
	int result;

	if (method == NULL)
		method = scheme_method(checked);
	if (check_new(c, method, password) == -1)
		return -1;
	/* The hash before the locks: writers wait for the file, and not for
	 * each other's hashing. */
	if (scheme_make(checked, method, c->options.cost, password, field) ==
	    -1)
		return complain_errno(
		    &c->complaint, 1, "cannot hash a password", c->store.path);
	if (call_find_file(c) == -1)
		result = -1;
	else
		result = store_field(c, checked, field);
	/* Nobody waits for a line in the log. */
	store_close(&c->store);
	explicit_bzero(field, sizeof(field));
	return result;
}

static int
make_change(struct call *c)
{
	const void *checked = NULL;
	const char *password;
	int code;

	if (pam_get_data(c->pam, CHECKED_FIELD, &checked) != PAM_SUCCESS)
		return complain(&c->complaint, PAM_SYSTEM_ERR, NULL,
		    "asked for a change before the check of it");
	code = pam_get_authtok(c->pam, PAM_AUTHTOK, &password, NULL);
	if (code != PAM_SUCCESS)
		return call_refuse(c, code, NULL, "no new password");
	return change(c, checked, password);
}

static int
run_pass(struct call *c, int flags)
{
	int result;

	if (call_has_flag(flags, PAM_PRELIM_CHECK))
		result = prepare_change(c);
	else
		result = make_change(c);
	if (result == 0)
		return PAM_SUCCESS;
	if (c->complaint.user != NULL && !call_has_flag(flags, PAM_SILENT))
		(void)pam_error(c->pam, "%s", c->complaint.user);
	return call_report(c);
}

int
pam_sm_chauthtok(pam_handle_t *pam, int flags, int argc, const char **argv)
{
	struct call *c;
	int code;

	/* Passwords do not age here, so none of them is an expired one. */
	if (call_has_flag(flags, PAM_CHANGE_EXPIRED_AUTHTOK))
		return PAM_IGNORE;
	c = call_new(pam, argc, argv, &code);
	if (c == NULL)
		return code;
	code = run_pass(c, flags);
	if (code == PAM_SUCCESS && call_has_flag(flags, PAM_UPDATE_AUTHTOK))
		pam_syslog(
		    pam, LOG_NOTICE, "password changed for user %s", c->user);
	call_free(c);
	return code;
}
