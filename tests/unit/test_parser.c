/* Files: includes, conf.d, owners and modes, places of errors. */
#include "conf/config.h"

#include <sys/stat.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/suite.h"

#define CERTIFICATE "tls-certificate /c.pem\n"

static char folder[64];
static char main_file[PATH_MAX];
static char *text;
static size_t text_len;
static struct config_errors errors;

static void
path_of(char path[PATH_MAX], const char *name)
{
	(void)snprintf(path, PATH_MAX, "%s/%s", folder, name);
}

static void
write_file(const char *name, const char *content)
{
	char path[PATH_MAX];
	FILE *f;

	path_of(path, name);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(content, f), 0);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(chmod(path, 0644), 0);
}

static void
setup(void)
{
	char path[PATH_MAX];

	/* No pattern, though it looks like one. */
	(void)strcpy(folder, "/tmp/test_parser[1]\\*.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	path_of(path, "conf.d");
	ck_assert_int_eq(mkdir(path, 0755), 0);
	path_of(main_file, "main.conf");
	errors.n = 0;
	errors.out = open_memstream(&text, &text_len);
}

static void
remove_file(const char *name)
{
	char path[PATH_MAX];

	path_of(path, name);
	(void)remove(path);
}

static void
teardown(void)
{
	static const char *const names[] = { "main.conf", "a.conf", "b.conf",
		"conf.d/1.conf", "conf.d/2.conf", "conf.d/not", "conf.d", "" };

	(void)fclose(errors.out);
	free(text);
	for (size_t i = 0; i < N_OF(names); i++)
		remove_file(names[i]);
}

static struct config *
load(void)
{
	struct config *config = config_load(main_file, &errors);

	(void)fflush(errors.out);
	return config;
}

static void
assert_says(const char *what)
{
	ck_assert_msg(
	    strstr(text, what) != NULL, "\"%s\" is not in:\n%s", what, text);
}

START_TEST(test_load_reads_conf_d_in_order)
{
	struct config *config;

	write_file("main.conf", CERTIFICATE);
	write_file("conf.d/2.conf", "tls-key /2.key\n");
	write_file("conf.d/1.conf", "tls-certificate /1.pem\n");
	write_file("conf.d/not", "nonsense\n");
	config = load();
	ck_assert_ptr_nonnull(config);
	ck_assert_uint_eq(config->n_pairs, 2);
	ck_assert_str_eq(config->pairs[1].certificate, "/1.pem");
	ck_assert_str_eq(config->pairs[1].key, "/2.key");
	config_free(config);
}
END_TEST

START_TEST(test_include_is_relative_to_its_file)
{
	struct config *config;

	write_file("main.conf", CERTIFICATE "include a.conf\n");
	write_file("a.conf", "include \"b*.conf\"\nuser alice\n");
	write_file("b.conf", "max-helpers 7\n");
	config = load();
	ck_assert_ptr_nonnull(config);
	ck_assert_uint_eq(config->max_helpers, 7);
	ck_assert_str_eq(config->user, "alice");
	ck_assert_int_eq(config->user_place.line, 2);
	config_free(config);
}
END_TEST

START_TEST(test_include_of_nothing)
{
	struct config *config;

	write_file("main.conf", CERTIFICATE "include none*.conf\n");
	config = load();
	ck_assert_ptr_nonnull(config);
	config_free(config);
	write_file("main.conf", CERTIFICATE "include none.conf\n");
	ck_assert_ptr_null(load());
	assert_says("main.conf:2: include: ");
	assert_says("none.conf: No such file");
}
END_TEST

START_TEST(test_include_of_itself_ends)
{
	write_file("main.conf", CERTIFICATE "include main.conf\n");
	ck_assert_ptr_null(load());
	assert_says("does one include itself?");
}
END_TEST

START_TEST(test_load_names_a_missing_file)
{
	ck_assert_ptr_null(load());
	assert_says("main.conf: No such file or directory");
}
END_TEST

static const mode_t bad_modes[] = { 0664, 0646, 0666 };

START_TEST(test_load_refuses_files_others_can_write)
{
	write_file("main.conf", CERTIFICATE);
	ck_assert_int_eq(chmod(main_file, bad_modes[_i]), 0);
	ck_assert_ptr_null(load());
	assert_says("writable by others; chmod go-w");
}
END_TEST

START_TEST(test_load_refuses_files_of_others)
{
	if (geteuid() != 0)
		return;
	write_file("main.conf", CERTIFICATE);
	ck_assert_int_eq(chown(main_file, 12345, 0), 0);
	ck_assert_ptr_null(load());
	assert_says("belongs to uid 12345");
}
END_TEST

START_TEST(test_load_refuses_a_folder)
{
	ck_assert_int_eq(mkdir(main_file, 0755), 0);
	ck_assert_ptr_null(load());
	assert_says("not a regular file");
}
END_TEST

START_TEST(test_load_reports_every_error)
{
	write_file("main.conf",
	    "lisen [::]:106\n"
	    "max-helpers 0\n"
	    "user a b\n"
	    "user \"open\n"
	    "fail-delay soon\n");
	ck_assert_ptr_null(load());
	ck_assert_uint_eq(errors.n, 5);
	assert_says("main.conf:1: unknown directive \"lisen\"; did you mean "
		    "\"listen\"?");
	assert_says("main.conf:2: max-helpers: 0 is out of range, 1 to 10000");
	assert_says("main.conf:3: user: wants 1 value, not 2");
	assert_says("main.conf:4: a quote is not closed");
	assert_says("main.conf:5: fail-delay: \"soon\" is no time");
}
END_TEST

START_TEST(test_load_says_where_the_first_one_is)
{
	write_file("main.conf", CERTIFICATE "user a\n");
	write_file("conf.d/1.conf", "\nuser b\n");
	ck_assert_ptr_null(load());
	assert_says("conf.d/1.conf:2: user: is there twice, first at ");
	assert_says("main.conf:2");
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("parser");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_load_reads_conf_d_in_order);
	tcase_add_test(tcase, test_include_is_relative_to_its_file);
	tcase_add_test(tcase, test_include_of_nothing);
	tcase_add_test(tcase, test_include_of_itself_ends);
	tcase_add_test(tcase, test_load_names_a_missing_file);
	tcase_add_loop_test(tcase, test_load_refuses_files_others_can_write, 0,
	    N_OF(bad_modes));
	tcase_add_test(tcase, test_load_refuses_files_of_others);
	tcase_add_test(tcase, test_load_refuses_a_folder);
	tcase_add_test(tcase, test_load_reports_every_error);
	tcase_add_test(tcase, test_load_says_where_the_first_one_is);
	return suite_run("parser", tcase);
}
