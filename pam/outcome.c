/*
 * What PAM's codes and texts mean. Runs in the helper; pure.
 */
#include "pam/outcome.h"

#include <stdint.h>
#include <string.h>

#include <security/pam_appl.h>

struct code_rule {
	int code;
	enum outcome authenticate;
	enum outcome account;
	const char *text;
};

#define REFUSED_TEXT   "Password not changed."
#define TEMPORARY_TEXT "Temporary failure, try again later."

/* What is not here is a fault of the system, not of the user. */
static const struct code_rule code_rules[] = {
	{ PAM_SUCCESS, OUTCOME_AUTHENTICATED, OUTCOME_AUTHENTICATED,
	    REFUSED_TEXT },
	{ PAM_NEW_AUTHTOK_REQD, OUTCOME_AUTH_FAILED, OUTCOME_AUTHENTICATED,
	    REFUSED_TEXT },
	{ PAM_AUTH_ERR, OUTCOME_AUTH_FAILED, OUTCOME_ACCOUNT_REFUSED,
	    REFUSED_TEXT },
	{ PAM_USER_UNKNOWN, OUTCOME_AUTH_FAILED, OUTCOME_ACCOUNT_REFUSED,
	    REFUSED_TEXT },
	{ PAM_MAXTRIES, OUTCOME_AUTH_FAILED, OUTCOME_ACCOUNT_REFUSED,
	    REFUSED_TEXT },
	{ PAM_CRED_INSUFFICIENT, OUTCOME_AUTH_FAILED, OUTCOME_ACCOUNT_REFUSED,
	    REFUSED_TEXT },
	{ PAM_CRED_EXPIRED, OUTCOME_AUTH_FAILED, OUTCOME_ACCOUNT_REFUSED,
	    REFUSED_TEXT },
	{ PAM_CRED_ERR, OUTCOME_AUTH_FAILED, OUTCOME_ACCOUNT_REFUSED,
	    REFUSED_TEXT },
	{ PAM_PERM_DENIED, OUTCOME_AUTH_FAILED, OUTCOME_ACCOUNT_REFUSED,
	    "You are not allowed to change this password." },
	{ PAM_ACCT_EXPIRED, OUTCOME_AUTH_FAILED, OUTCOME_ACCOUNT_REFUSED,
	    REFUSED_TEXT },
	{ PAM_AUTHTOK_EXPIRED, OUTCOME_AUTH_FAILED, OUTCOME_ACCOUNT_REFUSED,
	    REFUSED_TEXT },
	{ PAM_IGNORE, OUTCOME_AUTH_FAILED, OUTCOME_ACCOUNT_REFUSED,
	    REFUSED_TEXT },
	{ PAM_AUTHTOK_ERR, OUTCOME_TEMPORARY, OUTCOME_TEMPORARY,
	    "The new password was not accepted." },
	{ PAM_AUTHTOK_RECOVERY_ERR, OUTCOME_TEMPORARY, OUTCOME_TEMPORARY,
	    "The current password was not accepted." },
	{ PAM_AUTHTOK_DISABLE_AGING, OUTCOME_TEMPORARY, OUTCOME_TEMPORARY,
	    "This password may not be changed." },
	{ PAM_AUTHTOK_LOCK_BUSY, OUTCOME_TEMPORARY, OUTCOME_TEMPORARY,
	    "The password database is busy, try again later." },
	{ PAM_TRY_AGAIN, OUTCOME_TEMPORARY, OUTCOME_TEMPORARY,
	    "The password database is busy, try again later." },
	{ PAM_AUTHINFO_UNAVAIL, OUTCOME_TEMPORARY, OUTCOME_TEMPORARY,
	    TEMPORARY_TEXT },
};

static const struct code_rule *
find(int code)
{
	static const struct code_rule fault = { PAM_SYSTEM_ERR,
		OUTCOME_TEMPORARY, OUTCOME_TEMPORARY, TEMPORARY_TEXT };

	for (size_t i = 0; i < sizeof(code_rules) / sizeof(*code_rules); i++) {
		if (code_rules[i].code == code)
			return &code_rules[i];
	}
	return &fault;
}

enum outcome
outcome_of_authenticate(int code)
{
	return find(code)->authenticate;
}

enum outcome
outcome_of_account(int code)
{
	return find(code)->account;
}

int
outcome_may_retry(int code)
{
	return code == PAM_AUTHTOK_LOCK_BUSY || code == PAM_TRY_AGAIN;
}

const char *
outcome_text(int code)
{
	return find(code)->text;
}

/* The length of the UTF-8 character at p, or 0 if it is not one, RFC 3629. */
static size_t
character_len(const unsigned char *p)
{
	size_t n;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		n = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		n = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		n = 4;
	else
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

/* Blanks, of which one is enough, C0 and C1 controls, and the marks that turn
 * the direction of writing: U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to
 * U+2069. */
static int
is_gap(const unsigned char *p, size_t n)
{
	if (n == 1)
		return p[0] <= ' ' || p[0] == 0x7f;
	if (n == 2)
		return (p[0] == 0xc2 && p[1] < 0xa0) ||
		    (p[0] == 0xd8 && p[1] == 0x9c);
	if (n != 3 || p[0] != 0xe2)
		return 0;
	return (p[1] == 0x80 &&
		   (p[2] == 0x8e || p[2] == 0x8f ||
		       (p[2] >= 0xa8 && p[2] <= 0xae))) ||
	    (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9);
}

static void
clean(char *out, size_t size, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t len = 0;

	while (*p != '\0') {
		size_t n = character_len(p);
		int is_text = n > 0 && !is_gap(p, n);

		if (len + (is_text ? n : 1) >= size)
			break;
		if (is_text) {
			memcpy(out + len, p, n);
			len += n;
		} else if (len > 0 && out[len - 1] != ' ') {
			out[len++] = ' ';
		}
		p += n > 0 ? n : 1;
	}
	while (len > 0 && out[len - 1] == ' ')
		len--;
	out[len] = '\0';
}

static int
holds(const char *text, const struct secret *s)
{
	return s != NULL && s->len > 0 && strstr(text, s->bytes) != NULL;
}

void
outcome_reason(char *out, size_t size, const char *text, const char *fallback,
    const struct secret *a, const struct secret *b)
{
	memset(out, 0, size);
	clean(out, size, text);
	/* Looked for before and after: cleaning may take a password apart, or
	 * put one together. */
	if (out[0] == '\0' || holds(text, a) || holds(text, b) ||
	    holds(out, a) || holds(out, b)) {
		explicit_bzero(out, size);
		clean(out, size, fallback);
	}
}
