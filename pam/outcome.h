/*
 * What PAM's codes and texts mean for the client and the log. Pure; helper
 * only.
 */
#ifndef PAM_OUTCOME_H
#define PAM_OUTCOME_H

#include <stddef.h>

#include "common/secret.h"
#include "common/wire.h"

/* Of pam_authenticate(). */
enum outcome outcome_of_authenticate(int code);

/* Of pam_acct_mgmt(): PAM_NEW_AUTHTOK_REQD is AUTHENTICATED, a user who must
 * change is the very one this daemon is for. */
enum outcome outcome_of_account(int code);

/* Did pam_chauthtok() find the database busy, so that nothing was written and
 * asking again may help? */
int outcome_may_retry(int code);

/* Words for a mail user, where no module had any. Static. */
const char *outcome_text(int code);

/*
 * Makes text fit a reply: one line, control characters and broken UTF-8 out,
 * cut at a character to size, blanks at the ends off. If it holds one of the
 * passwords (either may be NULL), fallback takes its place.
 */
void outcome_reason(char *out, size_t size, const char *text,
    const char *fallback, const struct secret *a, const struct secret *b);

#endif
