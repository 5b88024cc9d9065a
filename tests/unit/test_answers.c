/* Which password answers which prompt. */
#include "pam/answers.h"

#include <string.h>

#include "tests/unit/suite.h"

static struct answers *answers;

static void
setup(void)
{
	answers = answers_new(NULL, 0);
	ck_assert_ptr_nonnull(answers);
}

static void
teardown(void)
{
	answers_free(answers);
}

static enum answer
ask(const char *prompt)
{
	return answers_choose(answers, STYLE_ECHO_OFF, prompt);
}

struct wording {
	enum answers_phase phase;
	const char *prompt;
	enum answer answer;
};

/* As the modules write them: Linux-PAM 1.0 to 1.7, nss-pam-ldapd, pam_ldap,
 * pam_krb5, pam_sss, pam_winbind, pam_yubico, pam_matrix. */
static const struct wording wordings[] = {
	{ ANSWERS_AUTH, "Password: ", ANSWER_OLD },
	{ ANSWERS_AUTH, "LDAP Password: ", ANSWER_OLD },
	{ ANSWERS_AUTH, "Password for alice@EXAMPLE.ORG: ", ANSWER_OLD },
	{ ANSWERS_AUTH, "Enter passphrase: ", ANSWER_OLD },
	{ ANSWERS_AUTH, "Verification code: ", ANSWER_REFUSED },
	{ ANSWERS_AUTH,
	    "One-time password (OATH) for `bob': ", ANSWER_REFUSED },
	{ ANSWERS_AUTH, "Enter your OTP: ", ANSWER_REFUSED },
	{ ANSWERS_AUTH, "Enter PIN for 'token': ", ANSWER_REFUSED },
	{ ANSWERS_AUTH, "Passcode or option (1-3): ", ANSWER_REFUSED },
	{ ANSWERS_AUTH, "Second Factor (optional): ", ANSWER_REFUSED },
	{ ANSWERS_AUTH, "YubiKey for `bob': ", ANSWER_REFUSED },
	{ ANSWERS_AUTH, "Press ENTER to continue.", ANSWER_REFUSED },
	{ ANSWERS_AUTH, "New password: ", ANSWER_REFUSED },
	{ ANSWERS_CHANGE, "Current password: ", ANSWER_OLD },
	{ ANSWERS_CHANGE, "(current) UNIX password: ", ANSWER_OLD },
	{ ANSWERS_CHANGE, "(current) LDAP Password: ", ANSWER_OLD },
	{ ANSWERS_CHANGE, "Enter login(LDAP) password: ", ANSWER_OLD },
	{ ANSWERS_CHANGE, "Current Kerberos password: ", ANSWER_OLD },
	{ ANSWERS_CHANGE, "(current) NT password: ", ANSWER_OLD },
	{ ANSWERS_CHANGE, "Old password: ", ANSWER_OLD },
	{ ANSWERS_CHANGE, "New password: ", ANSWER_NEW },
	{ ANSWERS_CHANGE, "Enter new UNIX password: ", ANSWER_NEW },
	{ ANSWERS_CHANGE, "Enter new Kerberos password: ", ANSWER_NEW },
	{ ANSWERS_CHANGE, "New Password :", ANSWER_NEW },
	{ ANSWERS_CHANGE, "Retype new password: ", ANSWER_NEW },
	{ ANSWERS_CHANGE, "Retype new UNIX password: ", ANSWER_NEW },
	{ ANSWERS_CHANGE, "Re-enter new password: ", ANSWER_NEW },
	{ ANSWERS_CHANGE, "Reenter new Password: ", ANSWER_NEW },
	{ ANSWERS_CHANGE, "Repeat the new password", ANSWER_NEW },
	{ ANSWERS_CHANGE, "Verify New Password :", ANSWER_NEW },
	{ ANSWERS_CHANGE, "New password (again): ", ANSWER_NEW },
	{ ANSWERS_CHANGE, "Verification code: ", ANSWER_REFUSED },
};

START_TEST(test_choose_knows_the_wordings)
{
	answers_begin(answers, wordings[_i].phase);
	ck_assert_int_eq(ask(wordings[_i].prompt), wordings[_i].answer);
}
END_TEST

START_TEST(test_choose_goes_by_order_where_no_wording_fits)
{
	answers_begin(answers, ANSWERS_CHANGE);
	ck_assert_int_eq(ask("Derzeitiges Kennwort: "), ANSWER_OLD);
	ck_assert_int_eq(ask("Neues Kennwort: "), ANSWER_NEW);
	ck_assert_int_eq(ask("Kennwort wiederholen: "), ANSWER_NEW);
	ck_assert_int_eq(ask("Lieblingsfarbe: "), ANSWER_REFUSED);
	ck_assert_str_eq(answers_unplaced(answers), "Lieblingsfarbe: ");
}
END_TEST

/* The second might be a second factor. */
START_TEST(test_choose_refuses_a_second_unknown_prompt_in_auth)
{
	answers_begin(answers, ANSWERS_AUTH);
	ck_assert_int_eq(ask("Kennwort: "), ANSWER_OLD);
	ck_assert_int_eq(ask("Kennung: "), ANSWER_REFUSED);
	ck_assert_str_eq(answers_unplaced(answers), "Kennung: ");
}
END_TEST

START_TEST(test_choose_refuses_echoed_prompts_without_wording)
{
	answers_begin(answers, ANSWERS_AUTH);
	ck_assert_int_eq(
	    answers_choose(answers, STYLE_ECHO_ON, "Realm: "), ANSWER_REFUSED);
	ck_assert_int_eq(
	    answers_choose(answers, STYLE_ECHO_ON, "Password: "), ANSWER_OLD);
}
END_TEST

START_TEST(test_choose_refuses_to_be_asked_again_after_an_error)
{
	answers_begin(answers, ANSWERS_CHANGE);
	ck_assert_int_eq(ask("Current password: "), ANSWER_OLD);
	ck_assert_int_eq(ask("New password: "), ANSWER_NEW);
	ck_assert_int_eq(ask("Retype new password: "), ANSWER_NEW);
	answers_note_error(answers);
	ck_assert_int_eq(ask("New password: "), ANSWER_REFUSED);
	ck_assert_str_eq(answers_unplaced(answers), "");
}
END_TEST

/* An error before the first question refuses nothing yet. */
START_TEST(test_choose_answers_first_time_after_an_error)
{
	answers_begin(answers, ANSWERS_CHANGE);
	answers_note_error(answers);
	ck_assert_int_eq(ask("Current password: "), ANSWER_OLD);
	answers_note_error(answers);
	ck_assert_int_eq(ask("New password: "), ANSWER_NEW);
}
END_TEST

/* pam_cracklib, then pam_unix without use_authtok. */
START_TEST(test_choose_answers_two_modules_with_one_question)
{
	answers_begin(answers, ANSWERS_CHANGE);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(ask("New password: "), ANSWER_NEW);
		ck_assert_int_eq(ask("Retype new password: "), ANSWER_NEW);
	}
}
END_TEST

START_TEST(test_choose_ends_a_module_that_asks_for_ever)
{
	enum answer answer = ANSWER_OLD;
	int n = 0;

	answers_begin(answers, ANSWERS_AUTH);
	for (; n < 100 && answer == ANSWER_OLD; n++)
		answer = ask("Password: ");
	ck_assert_int_eq(answer, ANSWER_REFUSED);
	ck_assert_int_le(n, 10);
}
END_TEST

START_TEST(test_begin_forgets)
{
	answers_begin(answers, ANSWERS_CHANGE);
	ck_assert_int_eq(ask("New password: "), ANSWER_NEW);
	ck_assert_int_eq(ask("Verification code: "), ANSWER_REFUSED);
	answers_note_error(answers);
	answers_begin(answers, ANSWERS_CHANGE);
	ck_assert_int_eq(answers_gave(answers, ANSWER_NEW), 0);
	ck_assert_str_eq(answers_unplaced(answers), "");
	ck_assert_int_eq(ask("New password: "), ANSWER_NEW);
}
END_TEST

START_TEST(test_gave_tells_which)
{
	answers_begin(answers, ANSWERS_CHANGE);
	ck_assert_int_eq(answers_gave(answers, ANSWER_OLD), 0);
	ck_assert_int_eq(ask("Current password: "), ANSWER_OLD);
	ck_assert_int_eq(answers_gave(answers, ANSWER_OLD), 1);
	ck_assert_int_eq(answers_gave(answers, ANSWER_NEW), 0);
	ck_assert_int_eq(ask("Retype new password: "), ANSWER_NEW);
	ck_assert_int_eq(answers_gave(answers, ANSWER_NEW), 1);
}
END_TEST

START_TEST(test_new_lets_the_administrator_win)
{
	static const struct wire_prompt prompts[] = {
		{ PROMPT_NEW, "(?i)^neues KENNWORT" },
		{ PROMPT_REFUSE, "^Password: $" },
	};

	answers_free(answers);
	answers = answers_new(prompts, 2);
	ck_assert_ptr_nonnull(answers);
	answers_begin(answers, ANSWERS_CHANGE);
	ck_assert_int_eq(ask("Neues Kennwort: "), ANSWER_NEW);
	ck_assert_int_eq(ask("Password: "), ANSWER_REFUSED);
	ck_assert_int_eq(ask("password: "), ANSWER_OLD);
}
END_TEST

static const struct wire_prompt wrong_prompts[] = {
	{ PROMPT_NEW, "(" },
	{ 0, "x" },
	{ PROMPT_REFUSE + 1, "x" },
};

START_TEST(test_new_refuses_what_is_no_prompt)
{
	ck_assert_ptr_null(answers_new(&wrong_prompts[_i], 1));
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("answers");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(
	    tcase, test_choose_knows_the_wordings, 0, N_OF(wordings));
	tcase_add_test(tcase, test_choose_goes_by_order_where_no_wording_fits);
	tcase_add_test(
	    tcase, test_choose_refuses_a_second_unknown_prompt_in_auth);
	tcase_add_test(
	    tcase, test_choose_refuses_echoed_prompts_without_wording);
	tcase_add_test(
	    tcase, test_choose_refuses_to_be_asked_again_after_an_error);
	tcase_add_test(tcase, test_choose_answers_first_time_after_an_error);
	tcase_add_test(
	    tcase, test_choose_answers_two_modules_with_one_question);
	tcase_add_test(tcase, test_choose_ends_a_module_that_asks_for_ever);
	tcase_add_test(tcase, test_begin_forgets);
	tcase_add_test(tcase, test_gave_tells_which);
	tcase_add_test(tcase, test_new_lets_the_administrator_win);
	tcase_add_loop_test(
	    tcase, test_new_refuses_what_is_no_prompt, 0, N_OF(wrong_prompts));
	return suite_run("answers", tcase);
}
