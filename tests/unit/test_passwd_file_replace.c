/* A new passwd-file in the place of the old one: what is kept, who goes first.
 */
#include <sys/file.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pam/passwd_file/lock.h"
#include "pam/passwd_file/store.h"
#include "tests/unit/suite.h"
#include "tests/unit/users_file.h"

START_TEST(test_replace_changes_one_field)
{
	struct store s;

	ck_assert_int_eq(users_replace(&s, "brandnew"), STORE_REPLACED);
	store_close(&s);
	users_assert_text("users", "# users\nann:brandnew:1\nbob:x\n");
	ck_assert_int_eq(access(users_path(".users.tmp"), F_OK), -1);
}
END_TEST

START_TEST(test_replace_keeps_rights)
{
	struct stat before, after;
	struct store s;
	char label[8] = "";

	if (geteuid() == 0)
		ck_assert_int_eq(chown(users_path("users"), 65534, 7), 0);
	ck_assert_int_eq(stat(users_path("users"), &before), 0);
	(void)setxattr(users_path("users"), "user.label", "kept", 4, 0);
	ck_assert_int_eq(users_replace(&s, "new"), STORE_REPLACED);
	store_close(&s);
	ck_assert_int_eq(stat(users_path("users"), &after), 0);
	ck_assert_uint_eq(after.st_mode, before.st_mode);
	ck_assert_uint_eq(after.st_uid, before.st_uid);
	ck_assert_uint_eq(after.st_gid, before.st_gid);
	if (getxattr(users_path("users"), "user.label", label, 7) != -1)
		ck_assert_str_eq(label, "kept");
	else
		ck_assert_int_eq(errno, ENOTSUP);
}
END_TEST

/* An access list as acl(5) has it: its owner may read and write, its group and
 * uid 65533 may read. */
struct acl {
	uint32_t version;
	struct {
		uint16_t tag, rights;
		uint32_t id;
	} entries[5];
};

static const struct acl acl = { 2,
	{ { 0x01, 6, UINT32_MAX }, { 0x02, 4, 65533 }, { 0x04, 4, UINT32_MAX },
	    { 0x10, 4, UINT32_MAX }, { 0x20, 0, UINT32_MAX } } };

#define ACL_OF_FILE   "system.posix_acl_access"
#define ACL_OF_FOLDER "system.posix_acl_default"

/* And not the one that the folder gives to new files. */
START_TEST(test_replace_keeps_the_access_list)
{
	const int has_list = _i == 1;
	struct acl found;
	struct store s;

	if (setxattr(users_folder, ACL_OF_FOLDER, &acl, sizeof(acl), 0) == -1) {
		ck_assert_int_eq(errno, ENOTSUP);
		return;
	}
	if (has_list)
		ck_assert_int_eq(setxattr(users_path("users"), ACL_OF_FILE,
				     &acl, sizeof(acl), 0),
		    0);
	ck_assert_int_eq(users_replace(&s, "new"), STORE_REPLACED);
	store_close(&s);
	if (has_list) {
		ck_assert_int_eq(getxattr(users_path("users"), ACL_OF_FILE,
				     &found, sizeof(found)),
		    sizeof(acl));
		ck_assert_mem_eq(&found, &acl, sizeof(acl));
		return;
	}
	ck_assert_int_eq(
	    getxattr(users_path("users"), ACL_OF_FILE, NULL, 0), -1);
	ck_assert_int_eq(errno, ENODATA);
}
END_TEST

/* By whole seconds, whatever the clock says. */
START_TEST(test_replace_makes_a_later_time)
{
	struct stat before, after;

	for (int i = 0; i < 3; i++) {
		struct store s;

		ck_assert_int_eq(stat(users_path("users"), &before), 0);
		ck_assert_int_eq(users_replace(&s, "abc"), STORE_REPLACED);
		store_close(&s);
		ck_assert_int_eq(stat(users_path("users"), &after), 0);
		ck_assert_int_gt(after.st_mtime, before.st_mtime);
	}
}
END_TEST

/* Killed just before the rename: the next one is not in its way. */
START_TEST(test_replace_passes_over_what_was_left)
{
	struct store s;

	users_write(".users.tmp", "left behind");
	ck_assert_int_eq(users_replace(&s, "new"), STORE_REPLACED);
	store_close(&s);
	users_assert_text("users", "# users\nann:new:1\nbob:x\n");
}
END_TEST

START_TEST(test_replace_sees_an_editor)
{
	struct store s;

	ck_assert_int_eq(users_open(&s), 0);
	ck_assert_int_eq(users_lock(&s), 0);
	users_write("users", USERS_TEXT "cyd:y\n");
	ck_assert_int_eq(users_replace_locked(&s, "new"), STORE_CHANGED);
	store_close(&s);
	users_assert_text("users", USERS_TEXT "cyd:y\n");
	ck_assert_int_eq(access(users_path(".users.tmp"), F_OK), -1);
}
END_TEST

START_TEST(test_replace_sees_another_file_of_that_name)
{
	struct store s;

	ck_assert_int_eq(users_open(&s), 0);
	ck_assert_int_eq(users_lock(&s), 0);
	users_write("other", USERS_TEXT);
	ck_assert_int_eq(rename(users_path("other"), users_path("users")), 0);
	ck_assert_int_eq(users_replace_locked(&s, "new"), STORE_CHANGED);
	store_close(&s);
	users_assert_text("users", USERS_TEXT);
}
END_TEST

/* A process that waits for the lock of the file, as Roundcube's driver does;
 * it says through the pipe that it has it, and exits with the size of what it
 * finds. */
static pid_t
start_waiter(int said[2])
{
	const int fd = open(users_path("users"), O_RDONLY);
	pid_t pid;

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(pipe(said), 0);
	pid = fork();
	ck_assert_int_ne(pid, -1);
	if (pid != 0) {
		(void)close(fd);
		return pid;
	}
	if (flock(fd, LOCK_EX) == -1 || write(said[1], "", 1) != 1)
		_exit(1);
	_exit((int)lseek(fd, 0, SEEK_END));
}

START_TEST(test_replace_lets_others_go_first)
{
	struct store s;
	int said[2], status;
	char byte;
	pid_t pid;

	ck_assert_int_eq(users_open(&s), 0);
	ck_assert_int_eq(users_lock(&s), 0);
	pid = start_waiter(said);
	while (!lock_is_wanted(s.data_fd, s.lock_fd))
		lock_pause(1);
	ck_assert_int_eq(users_replace_locked(&s, "new"), STORE_CHANGED);
	ck_assert_int_eq(read(said[0], &byte, 1), 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, (int)strlen(USERS_TEXT) << 8);
	ck_assert_int_eq(users_lock(&s), 0);
	ck_assert_int_eq(users_replace_locked(&s, "new"), STORE_REPLACED);
	store_close(&s);
}
END_TEST

/* Not at the lock yet: it could come there when the file has lost its name. */
START_TEST(test_replace_lets_one_go_first_that_has_opened_the_file)
{
	struct store s;
	int fd;

	ck_assert_int_eq(users_open(&s), 0);
	ck_assert_int_eq(users_lock(&s), 0);
	fd = open(users_path("users"), O_RDONLY);
	ck_assert_int_eq(users_replace_locked(&s, "new"), STORE_CHANGED);
	ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
	users_assert_text("users", USERS_TEXT);
	ck_assert_int_eq(access(users_path(".users.tmp"), F_OK), -1);
	(void)close(fd);
	ck_assert_int_eq(users_lock(&s), 0);
	ck_assert_int_eq(users_replace_locked(&s, "new"), STORE_REPLACED);
	store_close(&s);
}
END_TEST

/* As Dovecot has it. */
START_TEST(test_replace_passes_over_one_that_keeps_it_open)
{
	const int fd = open(users_path("users"), O_RDONLY);
	struct store s;

	ck_assert_int_eq(users_replace(&s, "new"), STORE_REPLACED);
	store_close(&s);
	(void)close(fd);
}
END_TEST

int
main(void)
{
	TCase *t = tcase_create("passwd_file_replace");

	tcase_add_checked_fixture(t, users_setup, users_teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_replace_changes_one_field);
	tcase_add_test(t, test_replace_keeps_rights);
	tcase_add_loop_test(t, test_replace_keeps_the_access_list, 0, 2);
	tcase_add_test(t, test_replace_makes_a_later_time);
	tcase_add_test(t, test_replace_passes_over_what_was_left);
	tcase_add_test(t, test_replace_sees_an_editor);
	tcase_add_test(t, test_replace_sees_another_file_of_that_name);
	tcase_add_test(t, test_replace_lets_others_go_first);
	tcase_add_test(
	    t, test_replace_lets_one_go_first_that_has_opened_the_file);
	tcase_add_test(t, test_replace_passes_over_one_that_keeps_it_open);
	return suite_run("passwd_file_replace", t);
}
