/* A passwd-file in a folder of the test's own. */
#include "tests/unit/users_file.h"

#include <stdio.h>
#include <string.h>

#include "pam/passwd_file/lock.h"
#include "tests/unit/suite.h"

#define AT 12 /* of "old" */

char users_folder[64];
struct complaint users_complaint;

const char *
users_path(const char *name)
{
	static char paths[2][128];
	static unsigned n;
	char *path = paths[n++ % 2];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", users_folder, name);
	return path;
}

void
users_write(const char *name, const char *text)
{
	FILE *f = fopen(users_path(name), "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

void
users_assert_text(const char *name, const char *text)
{
	char found[256];
	FILE *f = fopen(users_path(name), "r");
	size_t n;

	ck_assert_ptr_nonnull(f);
	n = fread(found, 1, sizeof(found) - 1, f);
	found[n] = '\0';
	(void)fclose(f);
	ck_assert_str_eq(found, text);
}

void
users_setup(void)
{
	(void)strcpy(users_folder, "/tmp/passwd-file-test.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(users_folder));
	users_write("users", USERS_TEXT);
	ck_assert_int_eq(chmod(users_path("users"), 0640), 0);
}

void
users_teardown(void)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf %s", users_folder);
	ck_assert_int_eq(system(command), 0);
}

int
users_open(struct store *s)
{
	const char *path = users_path("users");

	return store_open(s, path, strlen(path), &users_complaint);
}

int
users_lock(struct store *s)
{
	return store_lock(
	    s, lock_now_ms() + USERS_LOCK_WAIT_MS, &users_complaint);
}

enum store_result
users_replace_locked(struct store *s, const char *field)
{
	return store_replace(s, AT, 3, field, &users_complaint);
}

enum store_result
users_replace(struct store *s, const char *field)
{
	ck_assert_int_eq(users_open(s), 0);
	ck_assert_int_eq(users_lock(s), 0);
	return users_replace_locked(s, field);
}
