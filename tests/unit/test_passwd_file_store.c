/* A passwd-file in its folder: what is refused, who waits. */
#include "pam/passwd_file/store.h"

#include <sys/file.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <security/_pam_types.h>

#include "pam/passwd_file/lock.h"
#include "tests/unit/suite.h"
#include "tests/unit/users_file.h"

/* While the password is checked, or typed, others write. */
START_TEST(test_release_unlocks)
{
	const int fd = open(users_path("users"), O_RDONLY);
	struct store s;

	ck_assert_int_eq(users_open(&s), 0);
	ck_assert_int_eq(store_read(&s, &users_complaint), 0);
	ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), -1);
	store_release(&s);
	ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
	store_close(&s);
	(void)close(fd);
}
END_TEST

/* What we open ourselves is opened between two writers, as long as they do not
 * take for ever. */
START_TEST(test_read_waits_for_a_writer)
{
	const int fd = open(users_path(".users.lock"), O_RDWR | O_CREAT, 0600);
	const uint64_t start = lock_now_ms();
	struct store s;

	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	ck_assert_int_eq(users_open(&s), 0);
	ck_assert_int_eq(store_read(&s, &users_complaint), 0);
	ck_assert_uint_ge(lock_now_ms() - start, 500);
	store_close(&s);
	(void)close(fd);
}
END_TEST

/* Whoever reads the log does not know of it. */
START_TEST(test_probe_names_the_lock_file)
{
	struct store s;

	ck_assert_int_eq(mkdir(users_path(".users.lock"), 0700), 0);
	ck_assert_int_eq(users_open(&s), 0);
	ck_assert_int_eq(store_probe(&s, &users_complaint), -1);
	ck_assert_ptr_nonnull(strstr(users_complaint.log, " .users.lock"));
	store_close(&s);
}
END_TEST

START_TEST(test_lock_follows_the_name)
{
	struct store s;
	struct stat named;

	ck_assert_int_eq(users_replace(&s, "new"), STORE_REPLACED);
	ck_assert_int_eq(users_lock(&s), 0);
	ck_assert_int_eq(stat(users_path("users"), &named), 0);
	ck_assert_uint_eq(s.data.st_ino, named.st_ino);
	store_close(&s);
}
END_TEST

START_TEST(test_lock_is_busy_while_another_has_it)
{
	struct store s;
	const int fd = open(users_path("users"), O_RDONLY);

	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	ck_assert_int_eq(users_open(&s), 0);
	ck_assert_int_eq(users_lock(&s), -1);
	ck_assert_int_eq(users_complaint.code, PAM_AUTHTOK_LOCK_BUSY);
	store_close(&s);
	(void)close(fd);
}
END_TEST

START_TEST(test_read_does_not_wait_for_ever)
{
	struct store s;
	const int fd = open(users_path("users"), O_RDONLY);

	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	ck_assert_int_eq(users_open(&s), 0);
	ck_assert_int_eq(store_read(&s, &users_complaint), 0);
	store_close(&s);
	(void)close(fd);
}
END_TEST

/* In place, as a webmail's driver does. Once nobody has the lock, it is just a
 * file without users. */
START_TEST(test_read_of_a_file_that_is_rewritten)
{
	struct store s;
	const int fd = open(users_path("users"), O_RDWR);

	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	ck_assert_int_eq(users_open(&s), 0);
	ck_assert_int_eq(store_read(&s, &users_complaint), -1);
	ck_assert_int_eq(users_complaint.code, PAM_AUTHINFO_UNAVAIL);
	ck_assert_int_eq(flock(fd, LOCK_UN), 0);
	ck_assert_int_eq(store_read(&s, &users_complaint), 0);
	store_close(&s);
	(void)close(fd);
}
END_TEST

static void
make_link_inside(void)
{
	ck_assert_int_eq(rename(users_path("users"), users_path("real")), 0);
	ck_assert_int_eq(symlink("real", users_path("users")), 0);
}

START_TEST(test_open_follows_a_link_to_a_neighbour)
{
	struct store s;
	struct stat st;

	make_link_inside();
	ck_assert_int_eq(users_replace(&s, "new"), STORE_REPLACED);
	store_close(&s);
	users_assert_text("real", "# users\nann:new:1\nbob:x\n");
	ck_assert_int_eq(lstat(users_path("users"), &st), 0);
	ck_assert_int_eq(S_ISLNK(st.st_mode), 1);
}
END_TEST

static void
make_link_out(void)
{
	ck_assert_int_eq(unlink(users_path("users")), 0);
	ck_assert_int_eq(symlink("/etc/passwd", users_path("users")), 0);
}

static void
make_link_up(void)
{
	ck_assert_int_eq(unlink(users_path("users")), 0);
	ck_assert_int_eq(symlink("..", users_path("users")), 0);
}

static void
make_link_to_link(void)
{
	make_link_inside();
	ck_assert_int_eq(unlink(users_path("real")), 0);
	ck_assert_int_eq(symlink("/etc/passwd", users_path("real")), 0);
}

static void
make_group_writable(void)
{
	ck_assert_int_eq(chmod(users_path("users"), 0660), 0);
}

static void
make_folder_writable(void)
{
	ck_assert_int_eq(chmod(users_folder, 0757), 0);
}

static void
make_hard_link(void)
{
	ck_assert_int_eq(link(users_path("users"), users_path("copy")), 0);
}

static void
make_fifo(void)
{
	ck_assert_int_eq(unlink(users_path("users")), 0);
	ck_assert_int_eq(mkfifo(users_path("users"), 0600), 0);
}

static void
make_folder(void)
{
	ck_assert_int_eq(unlink(users_path("users")), 0);
	ck_assert_int_eq(mkdir(users_path("users"), 0700), 0);
}

static void
make_nothing(void)
{
	ck_assert_int_eq(unlink(users_path("users")), 0);
}

struct unsafe {
	void (*make)(void);
	const char *log;
};

static const struct unsafe unsafe[] = {
	{ make_link_out, "link that leaves" },
	{ make_link_up, "link that leaves" },
	{ make_link_to_link, "Too many levels" },
	{ make_group_writable, "chmod go-w" },
	{ make_folder_writable, "chmod go-w" },
	{ make_hard_link, "hard link" },
	{ make_fifo, "no regular file" },
	{ make_folder, "no regular file" },
	{ make_nothing, "No such file" },
};

START_TEST(test_read_refuses_what_is_not_safe)
{
	struct store s;

	unsafe[_i].make();
	ck_assert_int_eq(
	    users_open(&s) == -1 || store_read(&s, &users_complaint) == -1, 1);
	ck_assert_int_eq(users_complaint.code, PAM_AUTHINFO_UNAVAIL);
	ck_assert_ptr_nonnull(strstr(users_complaint.log, unsafe[_i].log));
	ck_assert_ptr_nonnull(strstr(users_complaint.log, "/users"));
	store_close(&s);
}
END_TEST

struct users_path {
	const char *rest; /* behind the folder and a slash */
	int code;         /* 0: found */
};

/* The folder is the administrator's, all behind it a user's name. */
static const struct users_path users_paths[] = {
	{ "users", 0 },
	{ "sub/users", 0 },
	{ "nobody", PAM_USER_UNKNOWN },
	{ "nowhere/users", PAM_USER_UNKNOWN },
	{ "..", PAM_USER_UNKNOWN },
	{ "../users", PAM_USER_UNKNOWN },
	{ "sub/../users", PAM_USER_UNKNOWN },
	{ "sub//users", PAM_USER_UNKNOWN },
	{ "sub/", PAM_USER_UNKNOWN },
	{ ".", PAM_USER_UNKNOWN },
	{ "linked/users", PAM_AUTHINFO_UNAVAIL },
	{ "users/users", PAM_AUTHINFO_UNAVAIL },
};

START_TEST(test_open_stays_in_the_folder)
{
	const struct users_path *u = &users_paths[_i];
	const char *path;
	struct store s;
	int code = 0;

	ck_assert_int_eq(mkdir(users_path("sub"), 0755), 0);
	users_write("sub/users", USERS_TEXT);
	ck_assert_int_eq(symlink("sub", users_path("linked")), 0);
	path = users_path(u->rest);
	if (store_open(&s, path, strlen(users_folder) + 1, &users_complaint) ==
		-1 ||
	    store_read(&s, &users_complaint) == -1)
		code = users_complaint.code;
	store_close(&s);
	ck_assert_int_eq(code, u->code);
}
END_TEST

int
main(void)
{
	TCase *t = tcase_create("passwd_file_store");

	tcase_add_checked_fixture(t, users_setup, users_teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_release_unlocks);
	tcase_add_test(t, test_read_waits_for_a_writer);
	tcase_add_test(t, test_probe_names_the_lock_file);
	tcase_add_test(t, test_lock_follows_the_name);
	tcase_add_test(t, test_lock_is_busy_while_another_has_it);
	tcase_add_test(t, test_read_does_not_wait_for_ever);
	tcase_add_test(t, test_read_of_a_file_that_is_rewritten);
	tcase_add_test(t, test_open_follows_a_link_to_a_neighbour);
	tcase_add_loop_test(
	    t, test_read_refuses_what_is_not_safe, 0, N_OF(unsafe));
	tcase_add_loop_test(
	    t, test_open_stays_in_the_folder, 0, N_OF(users_paths));
	return suite_run("passwd_file_store", t);
}
