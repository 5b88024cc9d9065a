/* Who opens a file, seen with inotify. */
#include "pam/passwd_file/watch.h"

#include <sys/inotify.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/suite.h"

static char path[64];
static int file = -1;
static int watch = -1;

static void
setup(void)
{
	(void)strcpy(path, "/tmp/passwd-file-test.XXXXXX");
	file = mkstemp(path);
	ck_assert_int_ne(file, -1);
	watch = watch_begin(file);
	ck_assert_int_ne(watch, -1);
}

static void
teardown(void)
{
	(void)close(watch);
	(void)close(file);
	(void)unlink(path);
}

START_TEST(test_take_nothing)
{
	ck_assert_uint_eq(watch_take(watch), 0);
}
END_TEST

START_TEST(test_take_tells_once)
{
	const int fd = open(path, O_RDONLY);

	ck_assert_uint_eq(watch_take(watch), IN_OPEN);
	ck_assert_uint_eq(watch_take(watch), 0);
	(void)close(fd);
	ck_assert_uint_eq(watch_take(watch), IN_CLOSE_NOWRITE);
}
END_TEST

/* More than one read of them. */
START_TEST(test_take_many)
{
	for (int i = 0; i < 100; i++)
		(void)close(open(path, i % 2 == 0 ? O_RDONLY : O_WRONLY));
	ck_assert_uint_eq(watch_take(watch), IN_OPEN | IN_CLOSE);
	ck_assert_uint_eq(watch_take(watch), 0);
}
END_TEST

/* The file, and not its name. */
START_TEST(test_take_after_a_rename)
{
	char other[80];
	int fd;

	(void)snprintf(other, sizeof(other), "%s.old", path);
	ck_assert_int_eq(rename(path, other), 0);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	ck_assert_int_ne(fd, -1);
	ck_assert_uint_eq(watch_take(watch), 0);
	(void)close(fd);
	fd = open(other, O_RDONLY);
	ck_assert_uint_eq(watch_take(watch), IN_OPEN);
	(void)close(fd);
	(void)unlink(other);
}
END_TEST

START_TEST(test_take_without_a_watch)
{
	ck_assert_int_eq(watch_begin(-1), -1);
	ck_assert_uint_eq(watch_take(-1), 0);
}
END_TEST

int
main(void)
{
	TCase *t = tcase_create("passwd_file_watch");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_take_nothing);
	tcase_add_test(t, test_take_tells_once);
	tcase_add_test(t, test_take_many);
	tcase_add_test(t, test_take_after_a_rename);
	tcase_add_test(t, test_take_without_a_watch);
	return suite_run("passwd_file_watch", t);
}
