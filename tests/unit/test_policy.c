/* Whom the daemon lets change a password at all. Looks names up in the user
 * database of the machine that runs the test, where root and daemon are. */
#include "daemon/policy.h"

#include <pwd.h>
#include <stdio.h>
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
	config.virtual_user_account = network_user;
	config.min_uid = 1;
	return config;
}

static int
resolve(const struct config *config, const char *user,
    struct policy_identity *identity)
{
	return policy_resolve(config, user, "192.0.2.1", identity);
}

START_TEST(test_resolve_refuses_root)
{
	struct config config = make_config();
	struct policy_identity identity;

	config.min_uid = 0;
	config.virtual_users = 1;
	ck_assert_int_eq(resolve(&config, "root", &identity), 0);
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
	ck_assert_int_eq(resolve(&config, "daemon", &identity), 0);
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
	ck_assert_int_eq(resolve(&config, "daemon", &identity), 0);
	ck_assert_int_eq(identity.admitted, 1);
	ck_assert_uint_eq(identity.uid, pw->pw_uid);
	ck_assert_uint_eq(identity.gid, pw->pw_gid);
}
END_TEST

START_TEST(test_resolve_refuses_unknown_users)
{
	struct config config = make_config();
	struct policy_identity identity;

	ck_assert_int_eq(resolve(&config, NOBODY_KNOWS, &identity), 0);
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
	ck_assert_int_eq(resolve(&config, "demo@example.org", &identity), 0);
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
	ck_assert_int_eq(resolve(&config, implausible[_i], &identity), 0);
	ck_assert_int_eq(identity.admitted, 0);
}
END_TEST

/* The lists, with the user daemon of the group daemon, from 192.0.2.1. */
struct list_case {
	const char *directives;
	const char *refused_by; /* NULL: admitted */
};

static const struct list_case list_cases[] = {
	{ "", NULL },
	{ "allow-users daemon\n", NULL },
	{ "allow-users alice daem*\n", NULL },
	{ "allow-users alice\nallow-users daemon\n", NULL },
	{ "allow-users alice\n", "allow-users" },
	{ "allow-users daemo\n", "allow-users" },
	{ "allow-users Daemon\n", "allow-users" },
	{ "deny-users alice\n", NULL },
	{ "deny-users d?emon\n", "deny-users" },
	{ "deny-users daemon\nallow-users daemon\n", "deny-users" },
	{ "allow-groups daemon\n", NULL },
	{ "allow-groups *mon\n", NULL },
	{ "allow-groups sudo\n", "allow-groups" },
	{ "deny-groups daemon\n", "deny-groups" },
	{ "deny-groups sudo\n", NULL },
	{ "deny-groups daemon\nallow-groups daemon\n", "deny-groups" },
	{ "allow-users daemon\nallow-groups sudo\n", "allow-groups" },
	{ "deny-groups daemon\nallow-users daemon\n", "deny-groups" },
	{ "allow-from 192.0.2.0/24\n", NULL },
	{ "allow-from ::ffff:192.0.2.0/120\n", NULL },
	{ "allow-from 198.51.100.0/24 unix\n", "allow-from" },
	{ "deny-from 192.0.2.1\n", "deny-from" },
	{ "deny-from 192.0.2.2 unix\n", NULL },
	{ "allow-from 192.0.2.0/24\ndeny-from 192.0.2.1\n", "deny-from" },
	{ "username-domain strip\n", NULL },
	{ "username-domain require\n", "username-domain" },
};

START_TEST(test_resolve_obeys_the_lists)
{
	const struct list_case *c = &list_cases[_i];
	struct config_errors errors = { .out = stderr };
	struct policy_identity identity;
	struct config *config;
	char text[512];

	(void)snprintf(text, sizeof(text),
	    "tls-certificate /c.pem\nuser nobody\nmin-uid 1\n%s",
	    c->directives);
	config = config_parse("test", text, strlen(text), &errors);
	ck_assert_ptr_nonnull(config);
	ck_assert_int_eq(resolve(config, "daemon", &identity), 0);
	ck_assert_int_eq(identity.admitted, c->refused_by == NULL);
	if (c->refused_by != NULL)
		ck_assert_str_eq(identity.refused_by, c->refused_by);
	else
		ck_assert_ptr_null(identity.refused_by);
	config_free(config);
}
END_TEST

/* What PAM asks in place of NSS may not mind the case: no other spelling gets
 * past a refusal. */
START_TEST(test_resolve_refuses_virtual_users_in_any_case)
{
	static char pattern[] = "Demo@*";
	static char *words[] = { pattern };
	const struct word_list list = { .words = words, .n = 1 };
	struct config config = make_config();
	struct policy_identity identity;

	config.virtual_users = 1;
	config.deny_users = list;
	ck_assert_int_eq(resolve(&config, "dEMO@example.org", &identity), 0);
	ck_assert_str_eq(identity.refused_by, "deny-users");
	config.deny_users.n = 0;
	config.allow_users = list;
	ck_assert_int_eq(resolve(&config, "dEMO@example.org", &identity), 0);
	ck_assert_str_eq(identity.refused_by, "allow-users");
}
END_TEST

/* Who is no account is in no group. */
START_TEST(test_resolve_has_no_groups_for_virtual_users)
{
	static char pattern[] = "*";
	static char *words[] = { pattern };
	const struct word_list all = { .words = words, .n = 1 };
	struct config config = make_config();
	struct policy_identity identity;

	config.virtual_users = 1;
	config.deny_groups = all;
	ck_assert_int_eq(resolve(&config, NOBODY_KNOWS, &identity), 0);
	ck_assert_int_eq(identity.admitted, 1);
	config.allow_groups = all;
	ck_assert_int_eq(resolve(&config, NOBODY_KNOWS, &identity), 0);
	ck_assert_str_eq(identity.refused_by, "allow-groups");
}
END_TEST

START_TEST(test_resolve_runs_virtual_users_as_their_account)
{
	static char account[] = "daemon";
	struct config config = make_config();
	const struct passwd *pw = getpwnam(account);
	const uid_t uid = pw->pw_uid;
	const gid_t gid = pw->pw_gid;
	struct policy_identity identity;

	config.virtual_users = 1;
	config.virtual_user_account = account;
	ck_assert_int_eq(resolve(&config, NOBODY_KNOWS, &identity), 0);
	ck_assert_uint_eq(identity.uid, geteuid() == 0 ? uid : geteuid());
	ck_assert_uint_eq(identity.gid, geteuid() == 0 ? gid : getegid());
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
	tcase_add_loop_test(
	    tcase, test_resolve_obeys_the_lists, 0, N_OF(list_cases));
	tcase_add_test(tcase, test_resolve_refuses_virtual_users_in_any_case);
	tcase_add_test(tcase, test_resolve_has_no_groups_for_virtual_users);
	tcase_add_test(tcase, test_resolve_runs_virtual_users_as_their_account);
	tcase_add_test(tcase, test_wants_dac_override_obeys_yes_and_no);
	return suite_run("policy", tcase);
}
