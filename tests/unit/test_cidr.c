/* Networks: what is one, what is in it, and back to text. */
#include "conf/cidr.h"

#include <string.h>

#include "tests/unit/suite.h"

struct good_word {
	const char *word;
	const char *text;
};

static const struct good_word good_words[] = {
	{ "192.0.2.0/24", "192.0.2.0/24" },
	{ "192.0.2.1", "192.0.2.1/32" },
	{ "0.0.0.0/0", "0.0.0.0/0" },
	{ "128.0.0.0/1", "128.0.0.0/1" },
	{ "192.0.2.254/31", "192.0.2.254/31" },
	{ "2001:DB8::/32", "2001:db8::/32" },
	{ "2001:db8::1", "2001:db8::1/128" },
	{ "2001:db8:8000::/33", "2001:db8:8000::/33" },
	{ "::/0", "::/0" },
	{ "::ffff:192.0.2.0/120", "192.0.2.0/24" },
	{ "::ffff:192.0.2.1", "192.0.2.1/32" },
	{ "::ffff:0:0/96", "0.0.0.0/0" },
	{ "unix", "unix" },
};

START_TEST(test_parse_and_format_agree)
{
	char text[CIDR_TEXT_SIZE];
	struct cidr cidr, again;

	ck_assert_int_eq(cidr_parse(good_words[_i].word, &cidr), CIDR_OK);
	cidr_format(&cidr, text);
	ck_assert_str_eq(text, good_words[_i].text);
	ck_assert_int_eq(cidr_parse(text, &again), CIDR_OK);
	ck_assert_mem_eq(&cidr, &again, sizeof(cidr));
}
END_TEST

static const char *const bad_words[] = { "", "/", "/8", "192.0.2.0/",
	"192.0.2.0/33", "192.0.2.0/-1", "192.0.2.0/+8", "192.0.2.0/08",
	"192.0.2.0/8 ", "192.0.2.0/1K", "192.0.2.0/4294967304", "192.0.2/24",
	"192.0.2.256", "010.0.0.0/8", "2001:db8::/129", "2001:db8:::1",
	"[2001:db8::]/32", "fe80::1%eth0", "unix/8", "Unix", "localhost",
	"::ffff:192.0.2.1/129",
	"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000/8" };

START_TEST(test_parse_refuses)
{
	struct cidr cidr;

	ck_assert_int_eq(cidr_parse(bad_words[_i], &cidr), CIDR_BAD);
}
END_TEST

static const struct good_word meant_words[] = {
	{ "192.0.2.1/24", "192.0.2.0/24" },
	{ "192.0.2.1/0", "0.0.0.0/0" },
	{ "2001:db8::1/64", "2001:db8::/64" },
	{ "::ffff:192.0.2.1/112", "192.0.0.0/16" },
};

START_TEST(test_parse_tells_what_was_meant)
{
	char text[CIDR_TEXT_SIZE];
	struct cidr cidr;

	ck_assert_int_eq(
	    cidr_parse(meant_words[_i].word, &cidr), CIDR_HOST_BITS);
	cidr_format(&cidr, text);
	ck_assert_str_eq(text, meant_words[_i].text);
}
END_TEST

struct membership {
	const char *network;
	const char *address;
	int is_in;
};

static const struct membership memberships[] = {
	{ "192.0.2.0/24", "192.0.2.0", 1 },
	{ "192.0.2.0/24", "192.0.2.255", 1 },
	{ "192.0.2.0/24", "192.0.3.0", 0 },
	{ "192.0.2.0/24", "192.0.1.255", 0 },
	{ "192.0.2.0/24", "::ffff:192.0.2.7", 1 },
	{ "192.0.2.128/25", "192.0.2.127", 0 },
	{ "192.0.2.128/25", "192.0.2.128", 1 },
	{ "192.0.2.1", "192.0.2.1", 1 },
	{ "192.0.2.1", "192.0.2.2", 0 },
	{ "0.0.0.0/0", "203.0.113.9", 1 },
	{ "0.0.0.0/0", "2001:db8::1", 0 },
	{ "::/0", "2001:db8::1", 1 },
	{ "::/0", "203.0.113.9", 0 },
	{ "::/0", "::ffff:203.0.113.9", 0 },
	{ "::ffff:0:0/96", "203.0.113.9", 1 },
	{ "2001:db8::/32", "2001:db8:ffff::", 1 },
	{ "2001:db8::/32", "2001:db9::", 0 },
	{ "2001:db8:8000::/33", "2001:db8:7fff::", 0 },
	{ "2001:db8:8000::/33", "2001:db8:8000::1", 1 },
	{ "2001:db8::1", "2001:db8::1", 1 },
	{ "unix", "unix", 1 },
	{ "unix", "192.0.2.1", 0 },
	{ "unix", "::", 0 },
	{ "0.0.0.0/0", "unix", 0 },
	{ "::/0", "unix", 0 },
	{ "0.0.0.0/0", "", 0 },
	{ "0.0.0.0/0", "192.0.2.1/24", 0 },
	{ "::/0", "nonsense", 0 },
};

START_TEST(test_list_has)
{
	const struct membership *m = &memberships[_i];
	struct cidr cidr;
	const struct cidr_list list = { .all = &cidr, .n = 1 };

	ck_assert_int_eq(cidr_parse(m->network, &cidr), CIDR_OK);
	ck_assert_int_eq(cidr_list_has(&list, m->address), m->is_in);
}
END_TEST

START_TEST(test_list_has_looks_at_all)
{
	struct cidr all[3];
	const struct cidr_list list = { .all = all, .n = 3 };
	const struct cidr_list empty = { .all = NULL };

	(void)cidr_parse("192.0.2.0/24", &all[0]);
	(void)cidr_parse("2001:db8::/32", &all[1]);
	(void)cidr_parse("unix", &all[2]);
	ck_assert_int_eq(cidr_list_has(&list, "192.0.2.1"), 1);
	ck_assert_int_eq(cidr_list_has(&list, "2001:db8::1"), 1);
	ck_assert_int_eq(cidr_list_has(&list, "unix"), 1);
	ck_assert_int_eq(cidr_list_has(&list, "198.51.100.1"), 0);
	ck_assert_int_eq(cidr_list_has(&empty, "192.0.2.1"), 0);
}
END_TEST

START_TEST(test_is_peer)
{
	ck_assert_int_eq(cidr_is_peer("192.0.2.1"), 1);
	ck_assert_int_eq(cidr_is_peer("::1"), 1);
	ck_assert_int_eq(cidr_is_peer("unix"), 1);
	ck_assert_int_eq(cidr_is_peer(""), 0);
	ck_assert_int_eq(cidr_is_peer("192.0.2.0/24"), 0);
	ck_assert_int_eq(cidr_is_peer("x"), 0);
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("cidr");

	tcase_add_loop_test(
	    tcase, test_parse_and_format_agree, 0, N_OF(good_words));
	tcase_add_loop_test(tcase, test_parse_refuses, 0, N_OF(bad_words));
	tcase_add_loop_test(
	    tcase, test_parse_tells_what_was_meant, 0, N_OF(meant_words));
	tcase_add_loop_test(tcase, test_list_has, 0, N_OF(memberships));
	tcase_add_test(tcase, test_list_has_looks_at_all);
	tcase_add_test(tcase, test_is_peer);
	return suite_run("cidr", tcase);
}
