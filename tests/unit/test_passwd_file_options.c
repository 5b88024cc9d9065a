/* The module's arguments, and Dovecot's variables in them. */
#include "pam/passwd_file/options.h"

#include <string.h>

#include "pam/passwd_file/variables.h"
#include "tests/unit/suite.h"

struct expanded {
	const char *template;
	const char *user;
	const char *text; /* NULL: refused */
	size_t first;
};

static const struct expanded expanded[] = {
	{ "/etc/users", "bob", "/etc/users", 10 },
	{ "/m/%d/users", "bob@x.org", "/m/x.org/users", 3 },
	{ "/m/%u", "bob@x.org", "/m/bob@x.org", 3 },
	{ "/m/%n-%d", "a@b@c", "/m/a@b-c", 3 },
	{ "/m/%Ld/%Ln", "Bob@X.Org", "/m/x.org/bob", 3 },
	{ "/m/%Lu", "B\xc3\x96@X", "/m/b\xc3\x96@x", 3 },
	{ "/m/100%%/%n", "bob", "/m/100%/bob", 8 },
	{ "%n", "bob", "bob", 0 },
	{ "/m/%d/users", "bob", NULL, 0 },
	{ "/m/%d/users", "bob@", NULL, 0 },
	{ "/m/%n", "@x", NULL, 0 },
	{ "/m/%u", "", NULL, 0 },
	{ "/m/%u", "0123456789012345678901234567",
	    "/m/0123456789012345678901234567", 3 },
	{ "/m/%u", "01234567890123456789012345678", NULL, 0 },
};

START_TEST(test_expand_writes_values)
{
	const struct expanded *e = &expanded[_i];
	size_t first = 99;
	char out[32];
	int result =
	    variables_expand(e->template, e->user, out, sizeof(out), &first);

	ck_assert_int_eq(result, e->text != NULL ? 0 : -1);
	if (e->text == NULL)
		return;
	ck_assert_str_eq(out, e->text);
	ck_assert_uint_eq(first, e->first);
}
END_TEST

struct arguments {
	const char *argv[4];
	const char *complaint; /* NULL: accepted */
};

static const struct arguments arguments[] = {
	{ { "file=/etc/users" }, NULL },
	{ { "file=/m/%d/%n", "username_format=%n", "nullok", "debug" }, NULL },
	{ { "file=/m/%Ld/100%%", "use_authtok", "try_first_pass" }, NULL },
	{ { "file=/u", "scheme=blf-crypt", "cost=10", "minlen=8" }, NULL },
	{ { "file=/u", "scheme=CRYPT", "cost=11" }, NULL },
	{ { "file=/u", "use_first_pass", "authtok_type=mail" }, NULL },
	{ { "debug" }, "file=PATH" },
	{ { "file=users" }, "file=users" },
	{ { "file=" }, "file=" },
	{ { "file=/etc/" }, "file=/etc/" },
	{ { "file=/m/%h" }, "file=/m/%h" },
	{ { "file=/m/%" }, "file=/m/%" },
	{ { "file=/m/%L" }, "file=/m/%L" },
	{ { "file=/m/%L%" }, "file=/m/%L%" },
	{ { "file=/u", "username_format=" }, "username_format=" },
	{ { "file=/u", "username_format=%x" }, "username_format=%x" },
	{ { "file=/u", "scheme=PLAIN" }, "BLF-CRYPT" },
	{ { "file=/u", "scheme=MD5-CRYPT" }, "scheme=MD5-CRYPT" },
	{ { "file=/u", "cost=5" }, "scheme=" },
	{ { "file=/u", "scheme=BLF-CRYPT", "cost=3" }, "out of range" },
	{ { "file=/u", "scheme=BLF-CRYPT", "cost=21" }, "out of range" },
	{ { "file=/u", "scheme=CRYPT", "cost=12" }, "out of range" },
	{ { "file=/u", "scheme=CRYPT", "cost=-1" }, "cost=-1" },
	{ { "file=/u", "scheme=CRYPT", "cost=1x" }, "cost=1x" },
	{ { "file=/u", "scheme=CRYPT", "cost=99999999999999999999" }, "cost=" },
	{ { "file=/u", "minlen=257" }, "minlen=257" },
	{ { "file=/u", "minlen= 8" }, "minlen= 8" },
	{ { "file=/u", "nullok=yes" }, "nullok=yes" },
	{ { "file=/u", "retry=3" }, "retry=3" },
};

START_TEST(test_parse_takes_arguments)
{
	const struct arguments *a = &arguments[_i];
	struct complaint complaint = { .log = "" };
	struct options options;
	const char *argv[4];
	int argc = 0, result;

	while (argc < 4 && a->argv[argc] != NULL) {
		argv[argc] = a->argv[argc];
		argc++;
	}
	result = options_parse(&options, argc, argv, &complaint);
	ck_assert_int_eq(result, a->complaint == NULL ? 0 : -1);
	if (a->complaint != NULL)
		ck_assert_ptr_nonnull(strstr(complaint.log, a->complaint));
}
END_TEST

START_TEST(test_parse_keeps_values)
{
	const char *argv[] = { "file=/u", "scheme=BLF-CRYPT", "cost=10",
		"minlen=8", "nullok" };
	struct complaint complaint;
	struct options options;

	ck_assert_int_eq(
	    options_parse(&options, N_OF(argv), argv, &complaint), 0);
	ck_assert_str_eq(options.file, "/u");
	ck_assert_str_eq(options.user_format, "%u");
	ck_assert_str_eq(options.method->scheme, "BLF-CRYPT");
	ck_assert_uint_eq(options.cost, 10);
	ck_assert_uint_eq(options.min_len, 8);
	ck_assert_int_eq(options.allows_empty, 1);
	ck_assert_int_eq(options.wants_debug, 0);
}
END_TEST

int
main(void)
{
	TCase *t = tcase_create("passwd_file_options");

	tcase_add_loop_test(t, test_expand_writes_values, 0, N_OF(expanded));
	tcase_add_loop_test(t, test_parse_takes_arguments, 0, N_OF(arguments));
	tcase_add_test(t, test_parse_keeps_values);
	return suite_run("passwd_file_options", t);
}
