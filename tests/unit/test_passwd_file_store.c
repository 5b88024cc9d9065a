/* A passwd-file in its folder: what is refused, what is kept, who waits. */
#include "pam/passwd_file/store.h"

#include <sys/file.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <security/_pam_types.h>

#include "pam/passwd_file/lock.h"
#include "tests/unit/suite.h"

#define TEXT "# users\nann:old:1\nbob:x\n"
#define AT   12 /* of "old" */

static char folder[64];
static struct complaint complaint;

static const char *
path_of(const char *name)
{
	static char paths[2][128];
	static unsigned n;
	char *path = paths[n++ % 2];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static void
write_file(const char *name, const char *text)
{
	FILE *f = fopen(path_of(name), "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

static void
assert_text(const char *name, const char *text)
{
	char found[256];
	FILE *f = fopen(path_of(name), "r");
	size_t n;

	ck_assert_ptr_nonnull(f);
	n = fread(found, 1, sizeof(found) - 1, f);
	found[n] = '\0';
	(void)fclose(f);
	ck_assert_str_eq(found, text);
}

static void
setup(void)
{
	(void)strcpy(folder, "/tmp/passwd-file-test.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	write_file("users", TEXT);
	ck_assert_int_eq(chmod(path_of("users"), 0640), 0);
}

static void
teardown(void)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf %s", folder);
	ck_assert_int_eq(system(command), 0);
}

static int
open_users(struct store *s)
{
	const char *path = path_of("users");

	return store_open(s, path, strlen(path), &complaint);
}

static enum store_result
replace(struct store *s, const char *field)
{
	ck_assert_int_eq(open_users(s), 0);
	ck_assert_int_eq(store_lock(s, &complaint), 0);
	return store_replace(s, AT, 3, field, &complaint);
}

START_TEST(test_replace_changes_one_field)
{
	struct store s;

	ck_assert_int_eq(replace(&s, "brandnew"), STORE_REPLACED);
	store_close(&s);
	assert_text("users", "# users\nann:brandnew:1\nbob:x\n");
	ck_assert_int_eq(access(path_of(".users.tmp"), F_OK), -1);
}
END_TEST

START_TEST(test_replace_keeps_rights)
{
	struct stat before, after;
	struct store s;
	char label[8] = "";

	if (geteuid() == 0)
		ck_assert_int_eq(chown(path_of("users"), 65534, 7), 0);
	ck_assert_int_eq(stat(path_of("users"), &before), 0);
	(void)setxattr(path_of("users"), "user.label", "kept", 4, 0);
	ck_assert_int_eq(replace(&s, "new"), STORE_REPLACED);
	store_close(&s);
	ck_assert_int_eq(stat(path_of("users"), &after), 0);
	ck_assert_uint_eq(after.st_mode, before.st_mode);
	ck_assert_uint_eq(after.st_uid, before.st_uid);
	ck_assert_uint_eq(after.st_gid, before.st_gid);
	if (getxattr(path_of("users"), "user.label", label, 7) != -1)
		ck_assert_str_eq(label, "kept");
	else
		ck_assert_int_eq(errno, ENOTSUP);
}
END_TEST

/* By whole seconds, whatever the clock says. */
START_TEST(test_replace_makes_a_later_time)
{
	struct stat before, after;

	for (int i = 0; i < 3; i++) {
		struct store s;

		ck_assert_int_eq(stat(path_of("users"), &before), 0);
		ck_assert_int_eq(replace(&s, "abc"), STORE_REPLACED);
		store_close(&s);
		ck_assert_int_eq(stat(path_of("users"), &after), 0);
		ck_assert_int_gt(after.st_mtime, before.st_mtime);
	}
}
END_TEST

/* Killed just before the rename: the next one is not in its way. */
START_TEST(test_replace_passes_over_what_was_left)
{
	struct store s;

	write_file(".users.tmp", "left behind");
	ck_assert_int_eq(replace(&s, "new"), STORE_REPLACED);
	store_close(&s);
	assert_text("users", "# users\nann:new:1\nbob:x\n");
}
END_TEST

START_TEST(test_replace_sees_an_editor)
{
	struct store s;

	ck_assert_int_eq(open_users(&s), 0);
	ck_assert_int_eq(store_lock(&s, &complaint), 0);
	write_file("users", TEXT "cyd:y\n");
	ck_assert_int_eq(
	    store_replace(&s, AT, 3, "new", &complaint), STORE_CHANGED);
	store_close(&s);
	assert_text("users", TEXT "cyd:y\n");
	ck_assert_int_eq(access(path_of(".users.tmp"), F_OK), -1);
}
END_TEST

START_TEST(test_replace_sees_another_file_of_that_name)
{
	struct store s;

	ck_assert_int_eq(open_users(&s), 0);
	ck_assert_int_eq(store_lock(&s, &complaint), 0);
	write_file("other", TEXT);
	ck_assert_int_eq(rename(path_of("other"), path_of("users")), 0);
	ck_assert_int_eq(
	    store_replace(&s, AT, 3, "new", &complaint), STORE_CHANGED);
	store_close(&s);
	assert_text("users", TEXT);
}
END_TEST

/* A process that waits for the lock of the file, as Roundcube's driver does;
 * it says through the pipe that it has it, and exits with the size of what it
 * finds. */
static pid_t
start_waiter(int said[2])
{
	const int fd = open(path_of("users"), O_RDONLY);
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

	ck_assert_int_eq(open_users(&s), 0);
	ck_assert_int_eq(store_lock(&s, &complaint), 0);
	pid = start_waiter(said);
	while (!lock_is_wanted(s.data_fd, s.lock_fd))
		lock_pause(1);
	ck_assert_int_eq(
	    store_replace(&s, AT, 3, "new", &complaint), STORE_CHANGED);
	ck_assert_int_eq(read(said[0], &byte, 1), 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, (int)strlen(TEXT) << 8);
	ck_assert_int_eq(store_lock(&s, &complaint), 0);
	ck_assert_int_eq(
	    store_replace(&s, AT, 3, "new", &complaint), STORE_REPLACED);
	store_close(&s);
}
END_TEST

/* Not at the lock yet: it could come there when the file has lost its name. */
START_TEST(test_replace_lets_one_go_first_that_has_opened_the_file)
{
	struct store s;
	int fd;

	ck_assert_int_eq(open_users(&s), 0);
	ck_assert_int_eq(store_lock(&s, &complaint), 0);
	fd = open(path_of("users"), O_RDONLY);
	ck_assert_int_eq(
	    store_replace(&s, AT, 3, "new", &complaint), STORE_CHANGED);
	ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
	assert_text("users", TEXT);
	ck_assert_int_eq(access(path_of(".users.tmp"), F_OK), -1);
	(void)close(fd);
	ck_assert_int_eq(store_lock(&s, &complaint), 0);
	ck_assert_int_eq(
	    store_replace(&s, AT, 3, "new", &complaint), STORE_REPLACED);
	store_close(&s);
}
END_TEST

/* As Dovecot has it. */
START_TEST(test_replace_passes_over_one_that_keeps_it_open)
{
	const int fd = open(path_of("users"), O_RDONLY);
	struct store s;

	ck_assert_int_eq(replace(&s, "new"), STORE_REPLACED);
	store_close(&s);
	(void)close(fd);
}
END_TEST

/* While the password is checked, or typed, others write. */
START_TEST(test_release_unlocks)
{
	const int fd = open(path_of("users"), O_RDONLY);
	struct store s;

	ck_assert_int_eq(open_users(&s), 0);
	ck_assert_int_eq(store_read(&s, &complaint), 0);
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
	const int fd = open(path_of(".users.lock"), O_RDWR | O_CREAT, 0600);
	const uint64_t start = lock_now_ms();
	struct store s;

	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	ck_assert_int_eq(open_users(&s), 0);
	ck_assert_int_eq(store_read(&s, &complaint), 0);
	ck_assert_uint_ge(lock_now_ms() - start, 500);
	store_close(&s);
	(void)close(fd);
}
END_TEST

START_TEST(test_lock_follows_the_name)
{
	struct store s;
	struct stat named;

	ck_assert_int_eq(replace(&s, "new"), STORE_REPLACED);
	ck_assert_int_eq(store_lock(&s, &complaint), 0);
	ck_assert_int_eq(stat(path_of("users"), &named), 0);
	ck_assert_uint_eq(s.data.st_ino, named.st_ino);
	store_close(&s);
}
END_TEST

START_TEST(test_lock_is_busy_while_another_has_it)
{
	struct store s;
	const int fd = open(path_of("users"), O_RDONLY);

	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	ck_assert_int_eq(open_users(&s), 0);
	ck_assert_int_eq(store_lock(&s, &complaint), -1);
	ck_assert_int_eq(complaint.code, PAM_AUTHTOK_LOCK_BUSY);
	store_close(&s);
	(void)close(fd);
}
END_TEST

START_TEST(test_read_does_not_wait_for_ever)
{
	struct store s;
	const int fd = open(path_of("users"), O_RDONLY);

	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	ck_assert_int_eq(open_users(&s), 0);
	ck_assert_int_eq(store_read(&s, &complaint), 0);
	store_close(&s);
	(void)close(fd);
}
END_TEST

static void
make_link_inside(void)
{
	ck_assert_int_eq(rename(path_of("users"), path_of("real")), 0);
	ck_assert_int_eq(symlink("real", path_of("users")), 0);
}

START_TEST(test_open_follows_a_link_to_a_neighbour)
{
	struct store s;
	struct stat st;

	make_link_inside();
	ck_assert_int_eq(replace(&s, "new"), STORE_REPLACED);
	store_close(&s);
	assert_text("real", "# users\nann:new:1\nbob:x\n");
	ck_assert_int_eq(lstat(path_of("users"), &st), 0);
	ck_assert_int_eq(S_ISLNK(st.st_mode), 1);
}
END_TEST

static void
make_link_out(void)
{
	ck_assert_int_eq(unlink(path_of("users")), 0);
	ck_assert_int_eq(symlink("/etc/passwd", path_of("users")), 0);
}

static void
make_link_up(void)
{
	ck_assert_int_eq(unlink(path_of("users")), 0);
	ck_assert_int_eq(symlink("..", path_of("users")), 0);
}

static void
make_link_to_link(void)
{
	make_link_inside();
	ck_assert_int_eq(unlink(path_of("real")), 0);
	ck_assert_int_eq(symlink("/etc/passwd", path_of("real")), 0);
}

static void
make_group_writable(void)
{
	ck_assert_int_eq(chmod(path_of("users"), 0660), 0);
}

static void
make_folder_writable(void)
{
	ck_assert_int_eq(chmod(folder, 0757), 0);
}

static void
make_hard_link(void)
{
	ck_assert_int_eq(link(path_of("users"), path_of("copy")), 0);
}

static void
make_fifo(void)
{
	ck_assert_int_eq(unlink(path_of("users")), 0);
	ck_assert_int_eq(mkfifo(path_of("users"), 0600), 0);
}

static void
make_folder(void)
{
	ck_assert_int_eq(unlink(path_of("users")), 0);
	ck_assert_int_eq(mkdir(path_of("users"), 0700), 0);
}

static void
make_nothing(void)
{
	ck_assert_int_eq(unlink(path_of("users")), 0);
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
	    open_users(&s) == -1 || store_read(&s, &complaint) == -1, 1);
	ck_assert_int_eq(complaint.code, PAM_AUTHINFO_UNAVAIL);
	ck_assert_ptr_nonnull(strstr(complaint.log, unsafe[_i].log));
	ck_assert_ptr_nonnull(strstr(complaint.log, "/users"));
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

	ck_assert_int_eq(mkdir(path_of("sub"), 0755), 0);
	write_file("sub/users", TEXT);
	ck_assert_int_eq(symlink("sub", path_of("linked")), 0);
	path = path_of(u->rest);
	if (store_open(&s, path, strlen(folder) + 1, &complaint) == -1 ||
	    store_read(&s, &complaint) == -1)
		code = complaint.code;
	store_close(&s);
	ck_assert_int_eq(code, u->code);
}
END_TEST

int
main(void)
{
	TCase *t = tcase_create("passwd_file_store");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_replace_changes_one_field);
	tcase_add_test(t, test_replace_keeps_rights);
	tcase_add_test(t, test_replace_makes_a_later_time);
	tcase_add_test(t, test_replace_passes_over_what_was_left);
	tcase_add_test(t, test_replace_sees_an_editor);
	tcase_add_test(t, test_replace_sees_another_file_of_that_name);
	tcase_add_test(t, test_replace_lets_others_go_first);
	tcase_add_test(
	    t, test_replace_lets_one_go_first_that_has_opened_the_file);
	tcase_add_test(t, test_replace_passes_over_one_that_keeps_it_open);
	tcase_add_test(t, test_release_unlocks);
	tcase_add_test(t, test_read_waits_for_a_writer);
	tcase_add_test(t, test_lock_follows_the_name);
	tcase_add_test(t, test_lock_is_busy_while_another_has_it);
	tcase_add_test(t, test_read_does_not_wait_for_ever);
	tcase_add_test(t, test_open_follows_a_link_to_a_neighbour);
	tcase_add_loop_test(
	    t, test_read_refuses_what_is_not_safe, 0, N_OF(unsafe));
	tcase_add_loop_test(
	    t, test_open_stays_in_the_folder, 0, N_OF(users_paths));
	return suite_run("passwd_file_store", t);
}
