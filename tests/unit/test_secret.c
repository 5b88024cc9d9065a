/* Passwords and their memory. */
#include "common/secret.h"

#include <sys/wait.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/suite.h"

START_TEST(test_secret_set_keeps_bytes)
{
	struct secret s;

	ck_assert_int_eq(secret_set(&s, "p\xfc \t%s", 6), 0);
	ck_assert_uint_eq(s.len, 6);
	ck_assert_mem_eq(s.bytes, "p\xfc \t%s", 7);
}
END_TEST

START_TEST(test_secret_set_takes_the_longest)
{
	char bytes[SECRET_MAX];
	struct secret s;

	memset(bytes, 'x', sizeof(bytes));
	ck_assert_int_eq(secret_set(&s, bytes, sizeof(bytes)), 0);
	ck_assert_uint_eq(s.len, SECRET_MAX);
	ck_assert_int_eq(s.bytes[SECRET_MAX], '\0');
}
END_TEST

START_TEST(test_secret_set_refuses_one_more)
{
	char bytes[SECRET_MAX + 1];
	struct secret s;

	memset(bytes, 'x', sizeof(bytes));
	ck_assert_int_eq(secret_set(&s, bytes, sizeof(bytes)), -1);
	ck_assert_uint_eq(s.len, 0);
	ck_assert_int_eq(s.bytes[0], '\0');
}
END_TEST

START_TEST(test_secret_set_refuses_nul)
{
	struct secret s;

	ck_assert_int_eq(secret_set(&s, "a\0b", 3), -1);
	ck_assert_int_eq(s.bytes[0], '\0');
}
END_TEST

START_TEST(test_secret_wipe_clears_all_bytes)
{
	struct secret s, zero;

	memset(&zero, 0, sizeof(zero));
	memset(&s, 'x', sizeof(s));
	secret_wipe(&s);
	ck_assert_mem_eq(&s, &zero, sizeof(s));
}
END_TEST

struct validity {
	uint32_t len;
	const char *bytes;
	int is_valid;
};

static const struct validity validities[] = {
	{ 0, "", 1 },
	{ 3, "abc", 1 },
	{ 2, "abc", 0 },
	{ 4, "abc", 0 },
	{ SECRET_MAX + 1, "abc", 0 },
	{ 0xffffffffU, "abc", 0 },
};

START_TEST(test_secret_valid_checks_length)
{
	const struct validity *v = &validities[_i];
	struct secret s;

	memset(&s, 0, sizeof(s));
	memcpy(s.bytes, v->bytes, strlen(v->bytes));
	s.len = v->len;
	ck_assert_int_eq(secret_valid(&s), v->is_valid);
}
END_TEST

START_TEST(test_secret_memory_map_is_zeroed_and_writable)
{
	int locked = -1;
	char *p = secret_memory_map(10000, &locked);

	ck_assert_ptr_nonnull(p);
	for (size_t i = 0; i < 10000; i++)
		ck_assert_int_eq(p[i], 0);
	memset(p, 'x', 10000);
	ck_assert(locked == 0 || locked == 1);
	secret_memory_unmap(p, 10000);
}
END_TEST

/* A child that the monitor forks must not inherit what is in there. */
START_TEST(test_secret_memory_map_is_empty_after_fork)
{
	char *p = secret_memory_map(100, NULL);
	int status;
	pid_t pid;

	ck_assert_ptr_nonnull(p);
	memcpy(p, "hidden", 7);
	pid = fork();
	if (pid == 0)
		_exit(p[0] == '\0' ? 0 : 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_str_eq(p, "hidden");
	secret_memory_unmap(p, 100);
}
END_TEST

/* AddressSanitizer makes mlock() do nothing and say that it did. */
#ifdef __SANITIZE_ADDRESS__
#define MLOCK_WORKS 0
#else
#define MLOCK_WORKS 1
#endif

/* VmFlags of the mapping: dd is MADV_DONTDUMP, lo is mlock. */
START_TEST(test_secret_memory_map_stays_out_of_dumps)
{
	int locked;
	char *p = secret_memory_map(100, &locked);
	char line[512];
	FILE *smaps = fopen("/proc/self/smaps", "r");
	int is_ours = 0, found = 0;

	ck_assert_ptr_nonnull(p);
	ck_assert_ptr_nonnull(smaps);
	while (fgets(line, sizeof(line), smaps) != NULL) {
		uintptr_t from, to;

		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2)
			is_ours = (uintptr_t)p >= from && (uintptr_t)p < to;
		if (!is_ours || strncmp(line, "VmFlags:", 8) != 0)
			continue;
		ck_assert_ptr_nonnull(strstr(line, " dd"));
		if (locked && MLOCK_WORKS)
			ck_assert_ptr_nonnull(strstr(line, " lo"));
		found = 1;
		break;
	}
	(void)fclose(smaps);
	ck_assert_int_eq(found, 1);
	secret_memory_unmap(p, 100);
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("secret");

	tcase_add_test(tcase, test_secret_set_keeps_bytes);
	tcase_add_test(tcase, test_secret_set_takes_the_longest);
	tcase_add_test(tcase, test_secret_set_refuses_one_more);
	tcase_add_test(tcase, test_secret_set_refuses_nul);
	tcase_add_test(tcase, test_secret_wipe_clears_all_bytes);
	tcase_add_loop_test(tcase, test_secret_valid_checks_length, 0,
	    sizeof(validities) / sizeof(*validities));
	tcase_add_test(tcase, test_secret_memory_map_is_zeroed_and_writable);
	tcase_add_test(tcase, test_secret_memory_map_is_empty_after_fork);
	tcase_add_test(tcase, test_secret_memory_map_stays_out_of_dumps);
	return suite_run("secret", tcase);
}
