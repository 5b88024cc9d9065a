/* The manual page and the sample file name the directives of the table, with
 * the table's defaults. */
#include <stdio.h>
#include <string.h>

#include "conf/config.h"
#include "conf/directives.h"
#include "conf/lexer.h"
#include "tests/unit/suite.h"

#define PAGE   SOURCE_DIR "/man/poppassd.conf.5"
#define SAMPLE SOURCE_DIR "/conf/poppassd.conf"

static char page[64 * 1024];
static char sample[64 * 1024];

static void
read_text(const char *path, char *text, size_t size)
{
	FILE *f = fopen(path, "r");
	size_t n;

	ck_assert_msg(f != NULL, "%s", path);
	n = fread(text, 1, size - 1, f);
	ck_assert_uint_lt(n, size - 1);
	text[n] = '\0';
	(void)fclose(f);
}

static void
setup(void)
{
	read_text(PAGE, page, sizeof(page));
	read_text(SAMPLE, sample, sizeof(sample));
}

/* The text of a directive's item, up to the next one. */
static const char *
item_of(const char *name)
{
	static char item[4096];
	char head[64];
	const char *start, *end;

	(void)snprintf(head, sizeof(head), "\n.It Ic %s ", name);
	start = strstr(page, head);
	if (start == NULL)
		return NULL;
	end = strstr(start + 1, "\n.It Ic ");
	(void)snprintf(item, sizeof(item), "%.*s",
	    end != NULL ? (int)(end - start) : (int)sizeof(item) - 1, start);
	return item;
}

START_TEST(test_page_has_the_directive)
{
	const struct directive *d = &directives[_i];
	const char *item = item_of(d->name);
	char wanted[128];

	ck_assert_msg(item != NULL, "%s is not in the page", d->name);
	if (d->standard == NULL)
		return;
	/* `auto` is told of where the values are. */
	(void)snprintf(wanted, sizeof(wanted), ".Li %s", d->standard);
	if (strstr(item, wanted) == NULL)
		(void)snprintf(wanted, sizeof(wanted), ".Cm %s ,\nthe default",
		    d->standard);
	ck_assert_msg(strstr(item, wanted) != NULL,
	    "%s: the page does not tell its default, %s", d->name, d->standard);
}
END_TEST

START_TEST(test_sample_has_the_directive)
{
	const struct directive *d = &directives[_i];
	char wanted[128];

	if (d->standard != NULL)
		(void)snprintf(
		    wanted, sizeof(wanted), "\n#%s %s\n", d->name, d->standard);
	else
		(void)snprintf(wanted, sizeof(wanted), "%s ", d->name);
	ck_assert_msg(
	    strstr(sample, wanted) != NULL, "not in the sample: %s", wanted);
}
END_TEST

START_TEST(test_page_has_no_other_directive)
{
	char name[64];

	for (const char *p = strstr(page, "\n.It Ic "); p != NULL;
	     p = strstr(p + 1, "\n.It Ic ")) {
		ck_assert_int_eq(sscanf(p, "\n.It Ic %63s", name), 1);
		ck_assert_msg(strcmp(name, "include") == 0 ||
			directive_find(name) != NULL,
		    "%s", name);
	}
}
END_TEST

/* With every comment of one word taken off its mark, it is a configuration. */
START_TEST(test_sample_is_valid)
{
	struct config_errors errors = { .out = stderr };
	struct config *config;

	for (char *p = strstr(sample, "\n#"); p != NULL; p = strstr(p, "\n#")) {
		p++;
		if (p[1] != ' ' && p[1] != '\n')
			*p = ' ';
	}
	config = config_parse(SAMPLE, sample, strlen(sample), &errors);
	ck_assert_uint_eq(errors.n, 0);
	ck_assert_ptr_nonnull(config);
	config_free(config);
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("pages");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_loop_test(
	    tcase, test_page_has_the_directive, 0, (int)directives_count);
	tcase_add_loop_test(
	    tcase, test_sample_has_the_directive, 0, (int)directives_count);
	tcase_add_test(tcase, test_page_has_no_other_directive);
	tcase_add_test(tcase, test_sample_is_valid);
	return suite_run("pages", tcase);
}
