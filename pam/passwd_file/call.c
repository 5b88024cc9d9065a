/*
 * One call of the module: its arguments, its user, and the user's line. Runs
 * with the privilege of the program that loads the module.
 */
#include "pam/passwd_file/call.h"

#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include <security/pam_ext.h>

#include "pam/passwd_file/variables.h"

void
call_free(struct call *c)
{
	if (c == NULL)
		return;
	store_close(&c->store);
	explicit_bzero(c, sizeof(*c));
	free(c);
}

int
call_report(const struct call *c)
{
	const struct complaint *complaint = &c->complaint;

	if (complaint->priority == LOG_NOTICE)
		pam_syslog(
		    c->pam, LOG_NOTICE, "user %s: %s", c->user, complaint->log);
	else if (complaint->code != PAM_USER_UNKNOWN)
		pam_syslog(c->pam, complaint->priority, "%s", complaint->log);
	else if (c->options.wants_debug)
		pam_syslog(c->pam, LOG_DEBUG, "%s", complaint->log);
	return complaint->code;
}

int
call_refuse(struct call *c, int code, const char *user_text, const char *log)
{
	(void)complain(&c->complaint, code, user_text, "%s", log);
	c->complaint.priority = LOG_NOTICE;
	return -1;
}

int
call_has_flag(int flags, int flag)
{
	return ((unsigned)flags & (unsigned)flag) != 0;
}

struct call *
call_new(pam_handle_t *pam, int argc, const char **argv, int *code)
{
	struct call *c = calloc(1, sizeof(*c));

	*code = PAM_BUF_ERR;
	if (c == NULL)
		return NULL;
	c->pam = pam;
	c->store.dir_fd = c->store.lock_fd = c->store.data_fd = -1;
	c->store.watch = -1;
	if (options_parse(&c->options, argc, argv, &c->complaint) == -1) {
		*code = call_report(c);
		call_free(c);
		return NULL;
	}
	*code = pam_get_user(pam, &c->user, NULL);
	if (*code == PAM_SUCCESS)
		return c;
	call_free(c);
	return NULL;
}

/* A value becomes part of a path: it is to be one name there, and none of those
 * of the module's own files. */
static int
may_be_path(const char *user)
{
	const char *at = strrchr(user, '@');

	return strchr(user, '/') == NULL && *user != '.' &&
	    (at == NULL || at[1] != '.');
}

int
call_find_file(struct call *c)
{
	char path[PATH_MAX];
	size_t fixed_len;

	if (variables_expand(c->options.user_format, c->user, c->name,
		sizeof(c->name), NULL) == -1 ||
	    !entry_name_ok(c->name))
		return complain(&c->complaint, PAM_USER_UNKNOWN, NULL,
		    "the user's name cannot stand in a passwd-file");
	if (variables_expand(c->options.file, c->user, path, sizeof(path),
		&fixed_len) == -1 ||
	    (path[fixed_len] != '\0' && !may_be_path(c->user)))
		return complain(&c->complaint, PAM_USER_UNKNOWN, NULL,
		    "the user's name cannot be part of a path");
	return store_open(&c->store, path, fixed_len, &c->complaint);
}

int
call_find_entry(struct call *c)
{
	const char *path = c->store.path;

	switch (entry_find(c->store.data_fd, c->name, &c->entry)) {
	case ENTRY_FOUND:
		return 0;
	case ENTRY_MISSING:
		return complain(&c->complaint, PAM_USER_UNKNOWN, NULL,
		    "%s: no such user", path);
	case ENTRY_TWICE:
		return complain(&c->complaint, PAM_AUTHINFO_UNAVAIL, NULL,
		    "%s:%lu: a second line of the same user; remove one of "
		    "them",
		    path, c->entry.line);
	case ENTRY_BROKEN:
		return complain(&c->complaint, PAM_AUTHINFO_UNAVAIL, NULL,
		    "%s:%lu: cannot be read: a NUL byte, a line or a field "
		    "that is too long, or a user without a password field",
		    path, c->entry.line);
	case ENTRY_ERROR:
		break;
	}
	return complain_errno(&c->complaint, 0, "cannot read", path);
}

int
call_look_up(struct call *c)
{
	int result;

	if (call_find_file(c) == -1 ||
	    store_read(&c->store, &c->complaint) == -1)
		return -1;
	result = call_find_entry(c);
	/* Writers wait neither for a hash nor for somebody who types. */
	store_release(&c->store);
	return result;
}

void
call_spend(const struct call *c, const char *password)
{
	const struct method *method = c->options.method;

	scheme_spend(method != NULL ? method : method_default(),
	    c->options.cost, password);
}

int
call_check_password(struct call *c, const char *password, int may_be_empty)
{
	const char *field = c->entry.password;
	/* A hash of nothing is no password either. */
	const int is_refused = *password == '\0' && !may_be_empty;
	enum scheme_verdict verdict = SCHEME_MISMATCH;
	char name[64];

	if (field[0] == '\0' && may_be_empty && *password == '\0')
		return 0;
	if (!scheme_is_slow(field))
		call_spend(c, password);
	if (field[0] != '\0')
		verdict = scheme_verify(field, password);
	if (verdict == SCHEME_MATCH && !is_refused)
		return 0;
	if (verdict != SCHEME_UNSUPPORTED)
		return call_refuse(c, PAM_AUTH_ERR, NULL, "wrong password");
	scheme_name(field, name, sizeof(name));
	return complain(&c->complaint, PAM_AUTHINFO_UNAVAIL,
	    "The password is stored in a way that the server cannot check.",
	    "%s:%lu: {%s} is a scheme that cannot be checked here; set the "
	    "password once with doveadm pw -s BLF-CRYPT",
	    c->store.path, c->entry.line, name);
}
