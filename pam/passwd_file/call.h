/*
 * One call of the module: its arguments, its user, and the user's line. Any
 * process that loads the module.
 */
#ifndef PAM_PASSWD_FILE_CALL_H
#define PAM_PASSWD_FILE_CALL_H

#include <limits.h>

#include <security/pam_modules.h>

#include "pam/passwd_file/complaint.h"
#include "pam/passwd_file/entry.h"
#include "pam/passwd_file/options.h"
#include "pam/passwd_file/store.h"

struct call {
	pam_handle_t *pam;
	const char *user; /* PAM's */
	struct options options;
	struct complaint complaint;
	struct store store;
	struct entry entry;
	char name[NAME_MAX + 1]; /* of the user, in the file */
};

/* Reads the arguments and asks PAM for the user. NULL after a line in the log,
 * with the code for PAM in *code. Free with call_free(). */
struct call *call_new(
    pam_handle_t *pam, int argc, const char **argv, int *code);

/* Is this one of PAM's flags set? */
int call_has_flag(int flags, int flag);

/* Makes a complaint of what a user did who is in the file; always -1. */
int call_refuse(
    struct call *c, int code, const char *user_text, const char *log);

/* Finds folder and file, without opening the file: c->store. -1 with a
 * complaint. */
int call_find_file(struct call *c);

/* Searches the open file for the user: c->entry. -1 with a complaint. */
int call_find_entry(struct call *c);

/* Both, and the opening for reading between them. */
int call_look_up(struct call *c);

/* Spends the time of a hash. */
void call_spend(const struct call *c, const char *password);

/* Checks against c->entry; takes as long as a hash, whatever the answer and the
 * scheme. Unless it may be empty, an empty one is wrong. -1 with a complaint;
 * PAM_AUTH_ERR if it is wrong. */
int call_check_password(struct call *c, const char *password, int may_be_empty);

/* Writes the complaint to the log and returns its code. Names that nobody has
 * are what people type for a password: only debug shows that there was one, and
 * a path that is made of it. */
int call_report(const struct call *c);

/* Unlocks, wipes and frees; may be NULL. */
void call_free(struct call *c);

#endif
