/* The one spelling of a name, and which names a domain rule allows. */
#include "daemon/username.h"

#include <string.h>

#include "tests/unit/suite.h"

struct spelling {
	enum username_domain domain;
	enum username_case letter_case;
	const char *given;
	const char *canonical;
	int is_allowed;
};

static const struct spelling spellings[] = {
	{ USERNAME_DOMAIN_KEEP, USERNAME_CASE_KEEP, "bob", "bob", 1 },
	{ USERNAME_DOMAIN_KEEP, USERNAME_CASE_KEEP, "a.b+c@Example.ORG",
	    "a.b+c@Example.ORG", 1 },
	{ USERNAME_DOMAIN_KEEP, USERNAME_CASE_LOWER, "Bob@Example.ORG",
	    "bob@example.org", 1 },
	{ USERNAME_DOMAIN_KEEP, USERNAME_CASE_LOWER, "\xc3\x9c[Z]\xdc",
	    "\xc3\x9c[z]\xdc", 1 },
	{ USERNAME_DOMAIN_KEEP, USERNAME_CASE_KEEP, "@", "@", 1 },
	{ USERNAME_DOMAIN_STRIP, USERNAME_CASE_KEEP, "Bob", "Bob", 1 },
	{ USERNAME_DOMAIN_STRIP, USERNAME_CASE_KEEP, "Bob@Example.org", "Bob",
	    1 },
	{ USERNAME_DOMAIN_STRIP, USERNAME_CASE_LOWER, "Bob@example.org", "bob",
	    1 },
	{ USERNAME_DOMAIN_STRIP, USERNAME_CASE_KEEP, "bob@", "bob", 1 },
	{ USERNAME_DOMAIN_STRIP, USERNAME_CASE_KEEP, "@example.org",
	    "@example.org", 0 },
	{ USERNAME_DOMAIN_STRIP, USERNAME_CASE_KEEP, "@", "@", 0 },
	{ USERNAME_DOMAIN_STRIP, USERNAME_CASE_KEEP, "a@b@c", "a@b", 0 },
	{ USERNAME_DOMAIN_STRIP, USERNAME_CASE_KEEP, "@@c", "@", 0 },
	{ USERNAME_DOMAIN_REQUIRE, USERNAME_CASE_KEEP, "bob@example.org",
	    "bob@example.org", 1 },
	{ USERNAME_DOMAIN_REQUIRE, USERNAME_CASE_LOWER, "BOB@example.org",
	    "bob@example.org", 1 },
	{ USERNAME_DOMAIN_REQUIRE, USERNAME_CASE_KEEP, "bob", "bob", 0 },
	{ USERNAME_DOMAIN_REQUIRE, USERNAME_CASE_KEEP, "bob@", "bob@", 0 },
	{ USERNAME_DOMAIN_REQUIRE, USERNAME_CASE_KEEP, "@example.org",
	    "@example.org", 0 },
};

START_TEST(test_canonicalise)
{
	const struct spelling *s = &spellings[_i];
	struct config config;
	char name[WIRE_USER_SIZE];

	memset(&config, 0, sizeof(config));
	config.username_domain = s->domain;
	config.username_case = s->letter_case;
	wire_string_set(name, sizeof(name), s->given);
	username_canonicalise(&config, name);
	ck_assert_str_eq(name, s->canonical);
	ck_assert_int_eq(username_is_allowed(&config, name), s->is_allowed);
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("username");

	tcase_add_loop_test(tcase, test_canonicalise, 0, N_OF(spellings));
	return suite_run("username", tcase);
}
