/* The password field of a passwd-file: what is checked, what is written. The
 * hashes are doveadm's (argon2's with less memory), of the password "secret".
 */
#include "pam/passwd_file/scheme.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/suite.h"

#define PASSWORD "secret"

static const char *const checked[] = {
	"{CRYPT}$2y$05$zg5noWlODyS3OqpEz9rnuOvWjwvakRHxoaAxn75lmImL3w"
	"86IgQWS",
	"{BLF-CRYPT}$2y$05$qbjXtNkOvJNW1FR4JjXuzuBpWo7WcvNFqmIry0NsWL"
	"d/H3gqDBXXK",
	"{SHA512-CRYPT}$6$Vix9De5zqKqteK3r$kvvh9VXd5DfvzZ6qdd5jgOkXJM"
	"vBy7/XA4cH.Svi.tbDjw07IGfM2DvSIw.yjZPzBgoQ.3wxcU8mCor3.h2QM0",
	"{SHA256-CRYPT}$5$t6pyrGGNXCtrPXEa$WyStA01WMGXBWOQOU12am.xqcO"
	"fdR/DktaF4jj0VMS.",
	"{MD5-CRYPT}$1$H58Mlmzj$fKbTnR5XauHp0XNMWgc7b0",
	"{DES-CRYPT}.vG.YEKgE9sbM",
	"{PLAIN}secret",
	"{CLEARTEXT}secret",
	"{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
	"{SHA1}5en6G6MezRroT3XKqkdPOmY/BfQ=",
	"{SSHA}fDcaeaUd1EQSMpz83Gc+CGY26ad12Tl0",
	"{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=",
	"{SSHA256}5QkeEQqPDp1zFq3endlFbD0lbejTE4abmtctcX3OOsp5DoRA",
	"{SHA512}vSsar3708Jvp9Szi2NWZZ02Bqp1qRCFpbcTZPdBhnWgs5WtNZKnv"
	"CXdhztmeD2cmW192CF5bDufKRpayrW/isg==",
	"{SSHA512}bcTPYHuAqqlw3hsgd47ZgZ85X30d7QoQXhvlkK2UvvuTh1O7IGu"
	"rTbteqRBaHJG6Om+Xoiu0KWZiWnLzjO8KX81Ycfs=",
	"{PLAIN-MD5}5ebe2294ecd0e0f08eab7690d2a6ee69",
	"{LDAP-MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ==",
	"{SMD5}f0NSksZIPOZo4KurKAtZGqt7T+k=",
	"{SHA256.HEX}2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6"
	"a25fe97bf527a25b",
	"{SSHA512.HEX}c8132dcbc06a4bcc2cd1363dc9166c39461d8b208f62c1d"
	"1d3ef036e51ee1cdcc0cde89ab6da8ddd06051d86433f6b45b8e68ff8d29"
	"2a6683433f2979473a2778aea8eb7",
	"{SHA}e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4",
	"{SHA256}2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe"
	"97bf527a25b",
	"{LDAP-MD5}5ebe2294ecd0e0f08eab7690d2a6ee69",
	"{PLAIN-MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ==",
	"{PLAIN.B64}c2VjcmV0",
	"{PLAIN.HEX}736563726574",
	"$6$EjjdJ42Ee4mg607U$/nFRqbVFj0UO87Z9wdNK5PTy2tgjRY4hERGUED1h"
	"ap5UmPo4nFAIhl4ChXP18UWX5MNb62PbMdNrMjs6E79ZV0",
	"{blf-crypt}$2y$04$b4zc9Zpd.VN0MI32/d8tlObb30bMXl8cXZxLs1xQ3e"
	"UPOsGwjZjyK",
#ifdef POPPASSD_HAVE_SODIUM
	"{ARGON2ID}$argon2id$v=19$m=1024,t=2,p=1$nmni0kxJQ4J7tI/I9T"
	"v8ww$F3DXR17k50QhHSq/HJiX6zVvPqGWR2O0OD6n1KU7idk",
	"{ARGON2I}$argon2i$v=19$m=1024,t=3,p=1$fugpE9BC1+Bf9WPznO9"
	"8+g$cosHwQUQUrtuSglHAme+9T9+A+h4ot/Yq6WYyy6qnZI",
#endif
};

START_TEST(test_verify_knows_the_password)
{
	ck_assert_int_eq(scheme_verify(checked[_i], PASSWORD), SCHEME_MATCH);
	ck_assert_int_eq(scheme_verify(checked[_i], "secreT"), SCHEME_MISMATCH);
	ck_assert_int_eq(
	    scheme_verify(checked[_i], "secret "), SCHEME_MISMATCH);
	ck_assert_int_eq(scheme_verify(checked[_i], ""), SCHEME_MISMATCH);
}
END_TEST

static const char *const strange[] = { "", "!", "*", "*0", "*1", "x", "{CRYPT}",
	"{CRYPT}*0", "{PLAIN", "{SSHA}", "{SSHA}####", "{SHA}c2VjcmV0",
	"{PLAIN-MD5}xyz", "{PLAIN-MD5}00", "{PLAIN.HEX}73656372657", "$y$",
	"{BLF-CRYPT}$2y$05$" };

START_TEST(test_verify_matches_nothing_strange)
{
	ck_assert_int_eq(scheme_verify(strange[_i], PASSWORD), SCHEME_MISMATCH);
	ck_assert_int_eq(
	    scheme_verify(strange[_i], strange[_i]), SCHEME_MISMATCH);
}
END_TEST

struct unsupported {
	const char *field;
	const char *name;
};

static const struct unsupported unsupported[] = {
	{ "{SCRAM-SHA-256}4096,a,b,c", "SCRAM-SHA-256" },
	{ "{CRAM-MD5}00", "CRAM-MD5" },
	{ "{}x", "" },
	{ "{a\x1b b}x", "a??b" },
	{ "{CRYPT.HEX}00", "CRYPT.HEX" },
};

START_TEST(test_verify_names_what_it_cannot_check)
{
	char name[64];

	ck_assert_int_eq(
	    scheme_verify(unsupported[_i].field, PASSWORD), SCHEME_UNSUPPORTED);
	scheme_name(unsupported[_i].field, name, sizeof(name));
	ck_assert_str_eq(name, unsupported[_i].name);
}
END_TEST

struct made {
	const char *old_field;
	const char *scheme; /* of the option, or NULL */
	unsigned long cost;
	const char *start;
};

static const struct made made[] = {
	{ "", NULL, 1, "{CRYPT}$y$" },
	{ "{PLAIN}x", NULL, 1, "{CRYPT}$y$" },
	{ "{ssha512}x", NULL, 1, "{CRYPT}$y$" },
	{ "$1$a$b", NULL, 1, "$y$" },
	{ "{MD5-CRYPT}$1$a$b", NULL, 1, "{CRYPT}$y$" },
	{ "{crypt}$y$x", NULL, 1, "{crypt}$y$" },
	{ "$y$x", NULL, 1, "$y$" },
	{ "{Blf-Crypt}$2y$05$x", NULL, 4, "{Blf-Crypt}$2y$04$" },
	{ "{CRYPT}$2b$05$x", NULL, 4, "{CRYPT}$2y$04$" },
	{ "{sha512-crypt}$6$x", NULL, 1000, "{sha512-crypt}$6$rounds=1000$" },
	{ "$6$x", NULL, 1000, "$6$rounds=1000$" },
	{ "{BLF-CRYPT}$2y$05$x", "CRYPT", 1, "{CRYPT}$y$" },
	{ "{CRYPT}$y$x", "blf-crypt", 4, "{CRYPT}$2y$04$" },
	{ "{PLAIN}x", "BLF-CRYPT", 4, "{BLF-CRYPT}$2y$04$" },
	{ "{SHA512-CRYPT.B64}$6$x", "SHA512-CRYPT", 1000,
	    "{SHA512-CRYPT}$6$rounds=1000$" },
#ifdef POPPASSD_HAVE_SODIUM
	{ "{argon2id}$argon2id$x", NULL, 1, "{argon2id}$argon2id$" },
	{ "{CRYPT}$y$x", "ARGON2ID", 1, "{ARGON2ID}$argon2id$" },
	{ "{ARGON2ID}$argon2id$x", "CRYPT", 1, "{CRYPT}$y$" },
#endif
};

START_TEST(test_make_keeps_what_is_true)
{
	const struct made *m = &made[_i];
	const struct method *method = m->scheme != NULL
	    ? method_find(m->scheme)
	    : scheme_method(m->old_field);
	char field[SCHEME_FIELD_SIZE];

	ck_assert_ptr_nonnull(method);
	ck_assert_int_eq(
	    scheme_make(m->old_field, method, m->cost, PASSWORD, field), 0);
	ck_assert_int_eq(strncmp(field, m->start, strlen(m->start)), 0);
	ck_assert_uint_eq(strcspn(field, ":\r\n"), strlen(field));
	ck_assert_int_eq(scheme_verify(field, PASSWORD), SCHEME_MATCH);
	ck_assert_int_eq(scheme_verify(field, "Secret"), SCHEME_MISMATCH);
}
END_TEST

START_TEST(test_make_salts)
{
	const struct method *method = method_default();
	char a[SCHEME_FIELD_SIZE], b[SCHEME_FIELD_SIZE];

	ck_assert_int_eq(scheme_make("", method, 1, PASSWORD, a), 0);
	ck_assert_int_eq(scheme_make("", method, 1, PASSWORD, b), 0);
	ck_assert_str_ne(a, b);
}
END_TEST

/* Not the library's 5. */
START_TEST(test_make_bcrypt_at_cost_12)
{
	char field[SCHEME_FIELD_SIZE];

	ck_assert_int_eq(
	    scheme_make("", method_find("BLF-CRYPT"), 0, PASSWORD, field), 0);
	ck_assert_int_eq(strncmp(field, "{BLF-CRYPT}$2y$12$", 18), 0);
}
END_TEST

START_TEST(test_make_holds_long_passwords)
{
	char password[512], field[SCHEME_FIELD_SIZE];

	memset(password, 'x', 511);
	password[511] = '\0';
	ck_assert_int_eq(
	    scheme_make("", method_default(), 1, password, field), 0);
	ck_assert_int_eq(scheme_verify(field, password), SCHEME_MATCH);
	password[510] = 'y';
	ck_assert_int_eq(scheme_verify(field, password), SCHEME_MISMATCH);
}
END_TEST

START_TEST(test_is_slow_tells_hashes_from_digests)
{
	ck_assert_int_eq(scheme_is_slow("{CRYPT}$y$x"), 1);
	ck_assert_int_eq(scheme_is_slow("$2y$05$x"), 1);
	ck_assert_int_eq(scheme_is_slow("{MD5-CRYPT}$1$x"), 0);
	ck_assert_int_eq(scheme_is_slow("$5$x"), 0);
	ck_assert_int_eq(scheme_is_slow("$"), 0);
	ck_assert_int_eq(scheme_is_slow("{PLAIN}x"), 0);
	ck_assert_int_eq(scheme_is_slow("{SSHA}x"), 0);
	ck_assert_int_eq(scheme_is_slow("!"), 0);
	ck_assert_int_eq(scheme_is_slow(""), 0);
	ck_assert_int_eq(scheme_is_slow("{SCRAM-SHA-1}x"), 0);
}
END_TEST

int
main(void)
{
	TCase *t = tcase_create("passwd_file_scheme");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(
	    t, test_verify_knows_the_password, 0, N_OF(checked));
	tcase_add_loop_test(
	    t, test_verify_matches_nothing_strange, 0, N_OF(strange));
	tcase_add_loop_test(
	    t, test_verify_names_what_it_cannot_check, 0, N_OF(unsupported));
	tcase_add_loop_test(t, test_make_keeps_what_is_true, 0, N_OF(made));
	tcase_add_test(t, test_make_salts);
	tcase_add_test(t, test_make_bcrypt_at_cost_12);
	tcase_add_test(t, test_make_holds_long_passwords);
	tcase_add_test(t, test_is_slow_tells_hashes_from_digests);
	return suite_run("passwd_file_scheme", t);
}
