/* A line into words, a word into a value. */
#include "conf/lexer.h"

#include <string.h>

#include "tests/unit/suite.h"

struct line {
	const char *text;
	const char *words; /* joined with '|', or NULL if it is wrong */
};

static const struct line lines[] = {
	{ "", "" },
	{ "   \t ", "" },
	{ "# comment", "" },
	{ "  # comment", "" },
	{ "user poppassd", "user|poppassd" },
	{ "\tuser\t poppassd  ", "user|poppassd" },
	{ "user poppassd # comment", "user|poppassd" },
	{ "user pop#passd", "user|pop#passd" },
	{ "user \"pop passd\"", "user|pop passd" },
	{ "user \"a # b\" c", "user|a # b|c" },
	{ "user \"\"", "user|" },
	{ "user \"a\\\"b\\\\c\"", "user|a\"b\\c" },
	{ "user \"a\\b\"", "user|a\\b" },
	{ "user a\\b", "user|a\\b" },
	{ "user poppassd\n", "user|poppassd" },
	{ "user poppassd\r\n", "user|poppassd" },
	{ "greeting \"\xc3\xbc\"", "greeting|\xc3\xbc" },
	{ "user \"open", NULL },
	{ "user \"", NULL },
	{ "user \"a\"b", NULL },
	{ "user a\"b\"", NULL },
	{ "user \x01", NULL },
	{ "user a\rb", NULL },
	{ "user \x7f", NULL },
	{ "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
	    "1|2|3|4|5|6|7|8|9|10|11|12|13|14|15|16" },
	{ "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17", NULL },
};

static void
join(const struct lexer_line *line, char *out, size_t size)
{
	out[0] = '\0';
	for (size_t i = 0; i < line->n_words; i++) {
		if (i > 0)
			(void)strncat(out, "|", size - strlen(out) - 1);
		(void)strncat(out, line->words[i], size - strlen(out) - 1);
	}
}

START_TEST(test_split_makes_words)
{
	const struct line *l = &lines[_i];
	struct lexer_line out;
	char joined[2048];
	const char *why;
	int result = lexer_split(&out, l->text, strlen(l->text), &why);

	ck_assert_int_eq(result, l->words != NULL ? 0 : -1);
	if (l->words == NULL) {
		ck_assert_ptr_nonnull(why);
		return;
	}
	join(&out, joined, sizeof(joined));
	ck_assert_str_eq(joined, l->words);
}
END_TEST

START_TEST(test_split_refuses_nul)
{
	struct lexer_line out;
	const char *why;

	ck_assert_int_eq(lexer_split(&out, "user a\0b", 8, &why), -1);
	ck_assert_str_eq(why, "a NUL byte");
}
END_TEST

START_TEST(test_split_bounds_a_word)
{
	char text[LEXER_WORD_MAX + 1];
	struct lexer_line out;
	const char *why;

	memset(text, 'x', sizeof(text));
	ck_assert_int_eq(lexer_split(&out, text, LEXER_WORD_MAX, &why), 0);
	ck_assert_uint_eq(strlen(out.words[0]), LEXER_WORD_MAX);
	ck_assert_int_eq(lexer_split(&out, text, LEXER_WORD_MAX + 1, &why), -1);
	ck_assert_str_eq(why, "a word is longer than 1000 bytes");
}
END_TEST

START_TEST(test_split_bounds_the_line)
{
	char text[2 * LEXER_LINE_MAX];
	struct lexer_line out;
	const char *why;

	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < sizeof(text); i += 800)
		text[i] = ' ';
	ck_assert_int_eq(lexer_split(&out, text, sizeof(text), &why), -1);
	ck_assert_int_eq(
	    lexer_split(&out, text, LEXER_LINE_MAX - LEXER_WORDS_MAX - 1, &why),
	    0);
	ck_assert_int_eq(
	    lexer_split(&out, text, LEXER_LINE_MAX - LEXER_WORDS_MAX, &why),
	    -1);
}
END_TEST

struct value {
	const char *word;
	int result;
	unsigned value;
};

static const struct value durations[] = {
	{ "0ms", 0, 0 },
	{ "500ms", 0, 500 },
	{ "10s", 0, 10000 },
	{ "5m", 0, 300000 },
	{ "2h", 0, 7200000 },
	{ "007s", 0, 7000 },
	{ "10", -1, 0 },
	{ "s", -1, 0 },
	{ "", -1, 0 },
	{ "-1s", -1, 0 },
	{ "+1s", -1, 0 },
	{ "1.5s", -1, 0 },
	{ "10 s", -1, 0 },
	{ "10S", -1, 0 },
	{ "1d", -1, 0 },
	{ "4294967295ms", 0, 4294967295U },
	{ "4294967296ms", -1, 0 },
	{ "4294967295h", -1, 0 },
	{ "99999999999999999999999s", -1, 0 },
};

START_TEST(test_duration_reads_units)
{
	unsigned ms = 0;

	ck_assert_int_eq(
	    lexer_duration(durations[_i].word, &ms), durations[_i].result);
	ck_assert_uint_eq(ms, durations[_i].value);
}
END_TEST

static const struct value numbers[] = {
	{ "0", 0, 0 },
	{ "106", 0, 106 },
	{ "4K", 0, 4096 },
	{ "1M", 0, 1048576 },
	{ "", -1, 0 },
	{ "K", -1, 0 },
	{ "-1", -1, 0 },
	{ "0x10", -1, 0 },
	{ "4k", -1, 0 },
	{ "4KB", -1, 0 },
	{ "4294967295", 0, 4294967295U },
	{ "4294967296", -1, 0 },
	{ "4294967295M", -1, 0 },
};

START_TEST(test_number_reads_units)
{
	unsigned number = 0;

	ck_assert_int_eq(
	    lexer_number(numbers[_i].word, &number), numbers[_i].result);
	ck_assert_uint_eq(number, numbers[_i].value);
}
END_TEST

static const char *const quotables[] = { "", "plain", "with blank", "a\"b",
	"a\\b", "\\", "\"", "\\\"", "a\\", "# no comment", "\t" };

START_TEST(test_quote_is_read_back)
{
	char quoted[64], joined[64];
	struct lexer_line out;
	const char *why;

	lexer_quote(quoted, sizeof(quoted), quotables[_i]);
	ck_assert_int_eq(lexer_split(&out, quoted, strlen(quoted), &why), 0);
	join(&out, joined, sizeof(joined));
	ck_assert_str_eq(joined, quotables[_i]);
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("lexer");

	tcase_add_loop_test(tcase, test_split_makes_words, 0, N_OF(lines));
	tcase_add_test(tcase, test_split_refuses_nul);
	tcase_add_test(tcase, test_split_bounds_a_word);
	tcase_add_test(tcase, test_split_bounds_the_line);
	tcase_add_loop_test(
	    tcase, test_duration_reads_units, 0, N_OF(durations));
	tcase_add_loop_test(tcase, test_number_reads_units, 0, N_OF(numbers));
	tcase_add_loop_test(tcase, test_quote_is_read_back, 0, N_OF(quotables));
	return suite_run("lexer", tcase);
}
