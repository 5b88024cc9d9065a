/* What PAM's codes and texts mean for the client. */
#include "pam/outcome.h"

#include <string.h>

#include <security/pam_appl.h>

#include "tests/unit/suite.h"

struct code {
	int code;
	enum outcome authenticate;
	enum outcome account;
};

static const struct code codes[] = {
	{ PAM_SUCCESS, OUTCOME_AUTHENTICATED, OUTCOME_AUTHENTICATED },
	{ PAM_NEW_AUTHTOK_REQD, OUTCOME_AUTH_FAILED, OUTCOME_AUTHENTICATED },
	{ PAM_AUTH_ERR, OUTCOME_AUTH_FAILED, OUTCOME_ACCOUNT_REFUSED },
	{ PAM_USER_UNKNOWN, OUTCOME_AUTH_FAILED, OUTCOME_ACCOUNT_REFUSED },
	{ PAM_MAXTRIES, OUTCOME_AUTH_FAILED, OUTCOME_ACCOUNT_REFUSED },
	{ PAM_PERM_DENIED, OUTCOME_AUTH_FAILED, OUTCOME_ACCOUNT_REFUSED },
	{ PAM_ACCT_EXPIRED, OUTCOME_AUTH_FAILED, OUTCOME_ACCOUNT_REFUSED },
	{ PAM_AUTHINFO_UNAVAIL, OUTCOME_TEMPORARY, OUTCOME_TEMPORARY },
	{ PAM_SYSTEM_ERR, OUTCOME_TEMPORARY, OUTCOME_TEMPORARY },
	{ PAM_SERVICE_ERR, OUTCOME_TEMPORARY, OUTCOME_TEMPORARY },
	{ PAM_CONV_ERR, OUTCOME_TEMPORARY, OUTCOME_TEMPORARY },
	{ PAM_ABORT, OUTCOME_TEMPORARY, OUTCOME_TEMPORARY },
	{ -1, OUTCOME_TEMPORARY, OUTCOME_TEMPORARY },
	{ 1000, OUTCOME_TEMPORARY, OUTCOME_TEMPORARY },
};

START_TEST(test_of_authenticate_maps_codes)
{
	ck_assert_int_eq(
	    outcome_of_authenticate(codes[_i].code), codes[_i].authenticate);
}
END_TEST

START_TEST(test_of_account_maps_codes)
{
	ck_assert_int_eq(outcome_of_account(codes[_i].code), codes[_i].account);
}
END_TEST

START_TEST(test_may_retry_only_a_busy_database)
{
	ck_assert_int_eq(outcome_may_retry(PAM_AUTHTOK_LOCK_BUSY), 1);
	ck_assert_int_eq(outcome_may_retry(PAM_TRY_AGAIN), 1);
	ck_assert_int_eq(outcome_may_retry(PAM_AUTHTOK_ERR), 0);
	ck_assert_int_eq(outcome_may_retry(PAM_SUCCESS), 0);
}
END_TEST

START_TEST(test_text_says_something_for_every_code)
{
	for (int code = -1; code < 100; code++)
		ck_assert_uint_gt(strlen(outcome_text(code)), 10);
}
END_TEST

struct cleaning {
	const char *in;
	const char *out;
};

static const struct cleaning cleanings[] = {
	{ "BAD PASSWORD: too short", "BAD PASSWORD: too short" },
	{ "one\r\n500 two", "one 500 two" },
	{ "one\n\n\ntwo\n", "one two" },
	{ "\x1b[31mred\x1b[0m", "[31mred [0m" },
	{ "bell\x07", "bell" },
	{ "zu kurz: \xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80",
	    "zu kurz: \xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80" },
	{ "latin \xfc one", "latin one" },
	{ "cut \xe2\x82", "cut" },
	{ "overlong \xc0\xaf x", "overlong x" },
	{ "surrogate \xed\xa0\x80 x", "surrogate x" },
	{ "c1 \xc2\x85 x", "c1 x" },
	{ "turned \xe2\x80\xae x", "turned x" },
	{ "turned \xd8\x9c x", "turned x" },
	{ "", "fallback" },
	{ "\n\n", "fallback" },
};

START_TEST(test_reason_is_one_clean_line)
{
	char out[WIRE_REASON_SIZE];

	outcome_reason(
	    out, sizeof(out), cleanings[_i].in, "fallback", NULL, NULL);
	ck_assert_str_eq(out, cleanings[_i].out);
}
END_TEST

START_TEST(test_reason_is_cut_at_a_character)
{
	char out[8];

	outcome_reason(
	    out, sizeof(out), "12345\xe2\x82\xac", "fallback", NULL, NULL);
	ck_assert_str_eq(out, "12345");
	outcome_reason(
	    out, sizeof(out), "1234\xe2\x82\xac", "fallback", NULL, NULL);
	ck_assert_str_eq(out, "1234\xe2\x82\xac");
}
END_TEST

START_TEST(test_reason_fits_whatever_comes)
{
	char text[2000], out[WIRE_REASON_SIZE];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	outcome_reason(out, sizeof(out), text, "fallback", NULL, NULL);
	ck_assert_uint_eq(strlen(out), sizeof(out) - 1);
}
END_TEST

struct leak {
	const char *text;
	const char *password;
	const char *out;
};

static const struct leak leaks[] = {
	{ "your password hunter2 is weak", "hunter2", "fallback" },
	{ "your password is weak", "hunter2", "your password is weak" },
	/* Cleaning must not put it together... */
	{ "hunter\x01 2", "hunter 2", "fallback" },
	/* ...nor hide it from the search. */
	{ "a\tb", "a\tb", "fallback" },
	{ "an empty one is in every text", "",
	    "an empty one is in every text" },
};

START_TEST(test_reason_never_holds_a_password)
{
	struct secret s, other;
	char out[WIRE_REASON_SIZE];

	ck_assert_int_eq(
	    secret_set(&s, leaks[_i].password, strlen(leaks[_i].password)), 0);
	ck_assert_int_eq(secret_set(&other, "zzz", 3), 0);
	outcome_reason(
	    out, sizeof(out), leaks[_i].text, "fallback", &s, &other);
	ck_assert_str_eq(out, leaks[_i].out);
	outcome_reason(
	    out, sizeof(out), leaks[_i].text, "fallback", &other, &s);
	ck_assert_str_eq(out, leaks[_i].out);
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("outcome");

	tcase_add_loop_test(
	    tcase, test_of_authenticate_maps_codes, 0, N_OF(codes));
	tcase_add_loop_test(tcase, test_of_account_maps_codes, 0, N_OF(codes));
	tcase_add_test(tcase, test_may_retry_only_a_busy_database);
	tcase_add_test(tcase, test_text_says_something_for_every_code);
	tcase_add_loop_test(
	    tcase, test_reason_is_one_clean_line, 0, N_OF(cleanings));
	tcase_add_test(tcase, test_reason_is_cut_at_a_character);
	tcase_add_test(tcase, test_reason_fits_whatever_comes);
	tcase_add_loop_test(
	    tcase, test_reason_never_holds_a_password, 0, N_OF(leaks));
	return suite_run("outcome", tcase);
}
