/* One user's line of a passwd-file. */
#include "pam/passwd_file/entry.h"

#include <sys/mman.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/suite.h"

/* A file without a name that holds len bytes. */
static int
file_of(const void *bytes, size_t len)
{
	int fd = memfd_create("passwd-file", MFD_CLOEXEC);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(write(fd, bytes, len), (ssize_t)len);
	return fd;
}

static enum entry_result
find_in(const void *bytes, size_t len, const char *name, struct entry *entry)
{
	const int fd = file_of(bytes, len);
	enum entry_result result = entry_find(fd, name, entry);

	(void)close(fd);
	return result;
}

struct found {
	const char *text;
	const char *name;
	unsigned long line;
	off_t at;
	const char *password;
	const char *extra;
};

static const struct found found[] = {
	{ "u:p", "u", 1, 2, "p", "" },
	{ "u:p\n", "u", 1, 2, "p", "" },
	{ "u:p\r\n", "u", 1, 2, "p", "" },
	{ "u:\n", "u", 1, 2, "", "" },
	{ "u::1:2\n", "u", 1, 2, "", "" },
	{ "# u:x\n\n  \nu:p:1\n", "u", 4, 12, "p", "" },
	{ "uu:x\nu:p:1\n", "u", 2, 7, "p", "" },
	{ "u:p:1:2:g:h:s:a=b:c d\n", "u", 1, 2, "p", "a=b:c d" },
	{ "u:p:1:2:g:h:s:e\r\n", "u", 1, 2, "p", "e" },
	{ "u:p:1:2:g:h:s:", "u", 1, 2, "p", "" },
	{ "a@b.c:{PLAIN}p\nu:x\n", "a@b.c", 1, 6, "{PLAIN}p", "" },
	{ "\xfc:p\n", "\xfc", 1, 2, "p", "" },
	{ "x\nu:p\n", "u", 2, 4, "p", "" },
};

START_TEST(test_find_takes_the_line_apart)
{
	const struct found *f = &found[_i];
	struct entry entry;

	ck_assert_int_eq(
	    find_in(f->text, strlen(f->text), f->name, &entry), ENTRY_FOUND);
	ck_assert_uint_eq(entry.line, f->line);
	ck_assert_int_eq(entry.password_at, f->at);
	ck_assert_uint_eq(entry.password_len, strlen(f->password));
	ck_assert_str_eq(entry.password, f->password);
	ck_assert_str_eq(entry.extra, f->extra);
}
END_TEST

struct other {
	const char *text;
	size_t len;
	enum entry_result result;
	unsigned long line; /* 0: does not matter */
};

#define TEXT(text) text, sizeof(text) - 1

static const struct other others[] = {
	{ TEXT(""), ENTRY_MISSING, 0 },
	{ TEXT("\n\n"), ENTRY_MISSING, 0 },
	{ TEXT("U:p\n"), ENTRY_MISSING, 0 },
	{ TEXT(" u:p\n"), ENTRY_MISSING, 0 },
	{ TEXT("#u:p\n"), ENTRY_MISSING, 0 },
	{ TEXT("user:p\n"), ENTRY_MISSING, 0 },
	{ TEXT("x:u:p\n"), ENTRY_MISSING, 0 },
	{ TEXT("u:p\nv:q\nu:p\n"), ENTRY_TWICE, 3 },
	{ TEXT("u:p\nu:p"), ENTRY_TWICE, 2 },
	{ TEXT("v:q\nu\n"), ENTRY_BROKEN, 2 },
	{ TEXT("u\r\n"), ENTRY_BROKEN, 1 },
	{ TEXT("u:p\nv:\0q\n"), ENTRY_BROKEN, 2 },
	{ TEXT("\0"), ENTRY_BROKEN, 1 },
};

START_TEST(test_find_says_why_not)
{
	struct entry entry;

	ck_assert_int_eq(find_in(others[_i].text, others[_i].len, "u", &entry),
	    others[_i].result);
	if (others[_i].line != 0)
		ck_assert_uint_eq(entry.line, others[_i].line);
}
END_TEST

START_TEST(test_find_refuses_a_long_line)
{
	static char text[ENTRY_LINE_MAX + 16];
	struct entry entry;

	memset(text, 'x', sizeof(text));
	memcpy(text, "u:p\n", 4);
	ck_assert_int_eq(
	    find_in(text, 4 + ENTRY_LINE_MAX - 1, "u", &entry), ENTRY_FOUND);
	ck_assert_int_eq(
	    find_in(text, 4 + ENTRY_LINE_MAX, "u", &entry), ENTRY_BROKEN);
	ck_assert_uint_eq(entry.line, 2);
}
END_TEST

/* Lines of every length cross the reader's buffer at every place. */
START_TEST(test_find_in_a_large_file)
{
	static char text[3 * 1024 * 1024];
	size_t len = 0, at = 0, line = 0, n = 0;
	struct entry entry;

	while (len + 2000 < sizeof(text)) {
		if (len > sizeof(text) / 2 && at == 0) {
			at = len;
			line = n + 1;
			len += (size_t)sprintf(text + len, "u:{CRYPT}x:1\n");
		}
		memset(text + len, 'v', n % 997);
		len += n++ % 997;
		len += (size_t)sprintf(text + len, "w:p:%zu\n", n);
	}
	ck_assert_int_eq(find_in(text, len, "u", &entry), ENTRY_FOUND);
	ck_assert_int_eq(entry.password_at, (off_t)at + 2);
	ck_assert_str_eq(entry.password, "{CRYPT}x");
	ck_assert_uint_eq(entry.line, line);
}
END_TEST

START_TEST(test_find_tells_of_an_error)
{
	struct entry entry;

	ck_assert_int_eq(entry_find(-1, "u", &entry), ENTRY_ERROR);
	ck_assert_int_eq(errno, EBADF);
}
END_TEST

struct sizes {
	size_t password;
	size_t extra;
	enum entry_result result;
};

static const struct sizes sizes[] = {
	{ SCHEME_FIELD_SIZE - 1, ENTRY_EXTRA_SIZE - 1, ENTRY_FOUND },
	{ SCHEME_FIELD_SIZE, 0, ENTRY_BROKEN },
	{ 0, ENTRY_EXTRA_SIZE, ENTRY_BROKEN },
};

START_TEST(test_find_never_cuts_a_field)
{
	static char text[ENTRY_LINE_MAX];
	struct entry entry;
	size_t len = 2;

	memcpy(text, "u:", 2);
	memset(text + len, 'p', sizes[_i].password);
	len += sizes[_i].password;
	memcpy(text + len, "::::::", 6);
	len += 6;
	memset(text + len, 'e', sizes[_i].extra);
	len += sizes[_i].extra;
	ck_assert_int_eq(find_in(text, len, "u", &entry), sizes[_i].result);
}
END_TEST

struct named {
	const char *name;
	int is_ok;
};

static const struct named names[] = {
	{ "u", 1 },
	{ "u@example.org", 1 },
	{ "\xc3\xbc", 1 },
	{ "a b", 1 },
	{ "", 0 },
	{ "#u", 0 },
	{ "u:x", 0 },
	{ "u\n", 0 },
	{ "u\r", 0 },
};

START_TEST(test_name_ok_knows_what_a_line_can_hold)
{
	ck_assert_int_eq(entry_name_ok(names[_i].name), names[_i].is_ok);
}
END_TEST

struct login {
	const char *extra;
	enum entry_login login;
};

/* On 2026-07-01, at noon. */
static const struct login logins[] = {
	{ "", ENTRY_LOGIN_OK },
	{ "userdb_quota=1G", ENTRY_LOGIN_OK },
	{ "nologin", ENTRY_LOGIN_NEVER },
	{ "a=b  nologin=moved c", ENTRY_LOGIN_NEVER },
	{ "fail", ENTRY_LOGIN_NEVER },
	{ "fail=moved", ENTRY_LOGIN_NEVER },
	{ "noauthenticate", ENTRY_LOGIN_NEVER },
	{ "failure=1 userdb_fail", ENTRY_LOGIN_OK },
	{ "nologins", ENTRY_LOGIN_OK },
	{ "x_nologin", ENTRY_LOGIN_OK },
	{ "x=nologin", ENTRY_LOGIN_OK },
	{ "expires=2026-07-02", ENTRY_LOGIN_OK },
	{ "expires=2026-07-01", ENTRY_LOGIN_EXPIRED },
	{ "expires=1999-12-31 a", ENTRY_LOGIN_EXPIRED },
	{ "expires=2027-01-01 nologin", ENTRY_LOGIN_NEVER },
	{ "expires=", ENTRY_LOGIN_UNCLEAR },
	{ "expires", ENTRY_LOGIN_UNCLEAR },
	{ "expires=never", ENTRY_LOGIN_UNCLEAR },
	{ "expires=2026-13-01", ENTRY_LOGIN_UNCLEAR },
	{ "expires=2026-7-1", ENTRY_LOGIN_UNCLEAR },
	{ "expires=2027-01-01x", ENTRY_LOGIN_UNCLEAR },
};

START_TEST(test_login_reads_the_extra_fields)
{
	struct tm noon = {
		.tm_year = 126, .tm_mon = 6, .tm_mday = 1, .tm_hour = 12
	};
	struct entry entry;

	(void)strcpy(entry.extra, logins[_i].extra);
	ck_assert_int_eq(entry_login(&entry, timegm(&noon)), logins[_i].login);
}
END_TEST

int
main(void)
{
	TCase *t = tcase_create("passwd_file_entry");

	tcase_add_loop_test(t, test_find_takes_the_line_apart, 0, N_OF(found));
	tcase_add_loop_test(t, test_find_says_why_not, 0, N_OF(others));
	tcase_add_test(t, test_find_refuses_a_long_line);
	tcase_add_test(t, test_find_in_a_large_file);
	tcase_add_test(t, test_find_tells_of_an_error);
	tcase_add_loop_test(t, test_find_never_cuts_a_field, 0, N_OF(sizes));
	tcase_add_loop_test(
	    t, test_name_ok_knows_what_a_line_can_hold, 0, N_OF(names));
	tcase_add_loop_test(
	    t, test_login_reads_the_extra_fields, 0, N_OF(logins));
	return suite_run("passwd_file_entry", t);
}
