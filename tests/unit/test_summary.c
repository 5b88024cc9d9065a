/* Lines of the log that a flood must not multiply. */
#include "daemon/summary.h"

#include <string.h>

#include "tests/unit/suite.h"

#define START_MS 1000000U

static struct summary summary;

static void
setup(void)
{
	memset(&summary, 0, sizeof(summary));
}

START_TEST(test_line_is_one_in_ten_seconds)
{
	ck_assert_str_eq(summary_line(&summary, "a", START_MS), "a");
	ck_assert_ptr_null(summary_line(&summary, "b", START_MS));
	ck_assert_ptr_null(
	    summary_line(&summary, "c", START_MS + SUMMARY_EVERY_MS - 1));
	ck_assert_str_eq(
	    summary_line(&summary, "d", START_MS + SUMMARY_EVERY_MS),
	    "d; 2 more since the last line");
	ck_assert_ptr_null(
	    summary_line(&summary, "e", START_MS + SUMMARY_EVERY_MS + 1));
}
END_TEST

START_TEST(test_line_has_no_number_when_none_is_left_out)
{
	for (unsigned i = 0; i < 3; i++)
		ck_assert_str_eq(summary_line(&summary, "a",
				     START_MS + i * SUMMARY_EVERY_MS),
		    "a");
}
END_TEST

/* The first of the next ten seconds tells; its fellows are in full again. */
START_TEST(test_extra_lines_are_in_full)
{
	const uint64_t later = START_MS + SUMMARY_EVERY_MS;

	summary.n_extra = 2;
	for (unsigned i = 0; i < 3; i++)
		ck_assert_str_eq(
		    summary_line(&summary, "a", START_MS + i), "a");
	for (unsigned i = 0; i < 70000; i++)
		ck_assert_ptr_null(summary_line(&summary, "b", START_MS + 3));
	ck_assert_str_eq(summary_line(&summary, "c", later),
	    "c; 70000 more since the last line");
	ck_assert_str_eq(summary_line(&summary, "d", later), "d");
	ck_assert_str_eq(summary_line(&summary, "e", later), "e");
	ck_assert_ptr_null(summary_line(&summary, "f", later));
}
END_TEST

START_TEST(test_line_keeps_the_number_of_a_long_text)
{
	char text[SUMMARY_TEXT_SIZE + 8];
	const char *line;

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	(void)summary_line(&summary, "a", START_MS);
	summary.n_left_out = UINT32_MAX;
	line = summary_line(&summary, text, START_MS + SUMMARY_EVERY_MS);
	ck_assert_ptr_nonnull(
	    strstr(line, "x; 4294967295 more since the last line"));
}
END_TEST

START_TEST(test_line_without_a_text)
{
	ck_assert_str_eq(summary_line(&summary, "", START_MS), "");
	(void)summary_line(&summary, "", START_MS);
	ck_assert_str_eq(
	    summary_line(&summary, "", START_MS + SUMMARY_EVERY_MS),
	    "1 more since the last line");
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("summary");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, test_line_is_one_in_ten_seconds);
	tcase_add_test(tcase, test_line_has_no_number_when_none_is_left_out);
	tcase_add_test(tcase, test_extra_lines_are_in_full);
	tcase_add_test(tcase, test_line_keeps_the_number_of_a_long_text);
	tcase_add_test(tcase, test_line_without_a_text);
	return suite_run("summary", tcase);
}
