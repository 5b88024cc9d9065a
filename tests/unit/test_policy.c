/* Whom the daemon lets change a password at all. Looks names up in the user
 * database of the machine that runs the test, where root and daemon are. */
#include "daemon/policy.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/suite.h"

#define NOBODY_KNOWS "no-such-user-here"

static char network_user[] = "nobody";

static struct config
make_config(void)
{
	struct config config;

	memset(&config, 0, sizeof(config));
	config.user = network_user;
	config.min_uid = 1;
	return config;
}

START_TEST(test_resolve_refuses_root)
{
	struct config config = make_config();
	struct policy_identity identity;

	config.min_uid = 0;
	config.virtual_users = 1;
	ck_assert_int_eq(policy_resolve(&config, "root", &identity), 0);
	ck_assert_int_eq(identity.known, 1);
	ck_assert_int_eq(identity.admitted, 0);
}
END_TEST

START_TEST(test_resolve_refuses_below_the_floor)
{
	struct config config = make_config();
	const struct passwd *pw = getpwnam("daemon");
	struct policy_identity identity;

	ck_assert_ptr_nonnull(pw);
	config.min_uid = pw->pw_uid + 1;
	ck_assert_int_eq(policy_resolve(&config, "daemon", &identity), 0);
	ck_assert_int_eq(identity.known, 1);
	ck_assert_int_eq(identity.admitted, 0);
}
END_TEST

START_TEST(test_resolve_admits_at_the_floor)
{
	struct config config = make_config();
	const struct passwd *pw = getpwnam("daemon");
	struct policy_identity identity;

	ck_assert_ptr_nonnull(pw);
	config.min_uid = pw->pw_uid;
	ck_assert_int_eq(policy_resolve(&config, "daemon", &identity), 0);
	ck_assert_int_eq(identity.admitted, 1);
	ck_assert_uint_eq(identity.uid, pw->pw_uid);
	ck_assert_uint_eq(identity.gid, pw->pw_gid);
}
END_TEST

START_TEST(test_resolve_refuses_unknown_users)
{
	struct config config = make_config();
	struct policy_identity identity;

	ck_assert_int_eq(policy_resolve(&config, NOBODY_KNOWS, &identity), 0);
	ck_assert_int_eq(identity.known, 0);
	ck_assert_int_eq(identity.admitted, 0);
	if (geteuid() == 0)
		ck_assert_uint_ne(identity.uid, 0);
}
END_TEST

START_TEST(test_resolve_admits_virtual_users_without_privilege)
{
	struct config config = make_config();
	struct policy_identity identity;

	config.virtual_users = 1;
	ck_assert_int_eq(
	    policy_resolve(&config, "demo@example.org", &identity), 0);
	ck_assert_int_eq(identity.known, 0);
	ck_assert_int_eq(identity.admitted, 1);
	if (geteuid() == 0)
		ck_assert_uint_ne(identity.uid, 0);
}
END_TEST

static const char *const implausible[] = { "../../etc/passwd", "a/b", "-rf",
	".hidden", "a b", "a:b", "a\nb", "a\x7f" };

START_TEST(test_resolve_refuses_virtual_names_that_are_paths)
{
	struct config config = make_config();
	struct policy_identity identity;

	config.virtual_users = 1;
	ck_assert_int_eq(
	    policy_resolve(&config, implausible[_i], &identity), 0);
	ck_assert_int_eq(identity.admitted, 0);
}
END_TEST

START_TEST(test_wants_dac_override_obeys_yes_and_no)
{
	struct config config = make_config();

	config.pam_dac_override = CONFIG_CHOICE_YES;
	ck_assert_int_eq(policy_wants_dac_override(&config), 1);
	config.pam_dac_override = CONFIG_CHOICE_NO;
	ck_assert_int_eq(policy_wants_dac_override(&config), 0);
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("policy");

	tcase_add_test(tcase, test_resolve_refuses_root);
	tcase_add_test(tcase, test_resolve_refuses_below_the_floor);
	tcase_add_test(tcase, test_resolve_admits_at_the_floor);
	tcase_add_test(tcase, test_resolve_refuses_unknown_users);
	tcase_add_test(
	    tcase, test_resolve_admits_virtual_users_without_privilege);
	tcase_add_loop_test(tcase,
	    test_resolve_refuses_virtual_names_that_are_paths, 0,
	    sizeof(implausible) / sizeof(*implausible));
	tcase_add_test(tcase, test_wants_dac_override_obeys_yes_and_no);
	return suite_run("policy", tcase);
}
