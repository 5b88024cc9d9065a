/* The sandboxes of net and of the keeper, from inside: what is left to a
 * process that has been broken into, and that what it needs is among it. */
#include "daemon/confine.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "daemon/landlock.h"
#include "tests/unit/suite.h"

#define IS_ALLOWED 7 /* exit status of a child that came that far */

static char network_user[] = "nobody";

struct call {
	const char *name;
	long number;
	long arguments[4];
	int sanitizer_has_it; /* it needs the call itself, or has it fail */
};

static const struct call forbidden[] = {
	{ "execve", SYS_execve, { 0 }, 0 },
	{ "execveat", SYS_execveat, { 0 }, 0 },
	{ "clone", SYS_clone, { SIGCHLD }, 1 },
	{ "openat", SYS_openat, { AT_FDCWD, 0, O_RDONLY }, 1 },
	{ "unlinkat", SYS_unlinkat, { AT_FDCWD }, 0 },
	{ "socket", SYS_socket, { AF_INET, SOCK_STREAM }, 0 },
	{ "socketpair", SYS_socketpair, { AF_UNIX, SOCK_STREAM }, 0 },
	{ "connect", SYS_connect, { 0 }, 0 },
	{ "bind", SYS_bind, { 0 }, 0 },
	{ "listen", SYS_listen, { 0 }, 0 },
	{ "kill", SYS_kill, { 1 }, 0 },
	{ "tgkill", SYS_tgkill, { 1, 1 }, 0 },
	{ "ptrace", SYS_ptrace, { 0 }, 0 },
	{ "process_vm_readv", SYS_process_vm_readv, { 1 }, 0 },
	{ "setresuid", SYS_setresuid, { 0 }, 0 },
	{ "capset", SYS_capset, { 0 }, 0 },
	{ "prctl", SYS_prctl, { 0 }, 1 },
	{ "seccomp", SYS_seccomp, { 0 }, 0 },
	{ "chroot", SYS_chroot, { 0 }, 0 },
	{ "mount", SYS_mount, { 0 }, 0 },
	{ "unshare", SYS_unshare, { 0 }, 0 },
	{ "setns", SYS_setns, { 0 }, 0 },
	{ "bpf", SYS_bpf, { 0 }, 0 },
	{ "userfaultfd", SYS_userfaultfd, { 0 }, 0 },
	{ "memfd_create", SYS_memfd_create, { 0 }, 0 },
	{ "keyctl", SYS_keyctl, { 0 }, 0 },
	{ "io_uring_setup", SYS_io_uring_setup, { 1 }, 0 },
	{ "ioctl", SYS_ioctl, { 0 }, 0 },
	{ "setrlimit", SYS_prlimit64, { 0 }, 0 },
	{ "fcntl(F_SETOWN)", SYS_fcntl, { 0, F_SETOWN, 1 }, 0 },
	{ "mprotect", SYS_mprotect, { 0, 0, PROT_EXEC }, 1 },
	{ "mmap(PROT_EXEC)", SYS_mmap,
	    { 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS },
	    1 },
};

/* Some of these are only made where the kernel cannot tell the time in user
 * space, as on many virtual machines. */
static const struct call allowed[] = {
	{ "clock_gettime", SYS_clock_gettime, { CLOCK_MONOTONIC }, 0 },
#ifdef SYS_time
	{ "time", SYS_time, { 0 }, 0 },
#endif
	{ "getrandom", SYS_getrandom, { 0 }, 0 },
	{ "getpid", SYS_getpid, { 0 }, 0 },
	{ "mmap", SYS_mmap,
	    { 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS },
	    0 },
};

/* The keeper talks to net alone. */
static const struct call allowed_to_net[] = {
#ifdef SYS_gettimeofday
	{ "gettimeofday", SYS_gettimeofday, { 0 }, 0 },
#endif
	{ "accept4", SYS_accept4, { 0 }, 0 },
	{ "close", SYS_close, { 1000 }, 0 },
	{ "epoll_ctl", SYS_epoll_ctl, { 0 }, 0 },
	{ "read", SYS_read, { 0 }, 0 },
	{ "write", SYS_write, { 0 }, 0 },
};

static void
become_net(const struct config *config)
{
	confine_net(config, 64);
}

/* The wait status of a child that confines itself and then makes the call, if
 * any. */
static int
status_of(void (*confine)(const struct config *config), const struct call *c)
{
	struct config config;
	int status = 0;
	pid_t pid = fork();

	ck_assert_int_ne(pid, -1);
	if (pid == 0) {
		memset(&config, 0, sizeof(config));
		config.user = network_user;
		confine(&config);
		if (c != NULL)
			(void)syscall(c->number, c->arguments[0],
			    c->arguments[1], c->arguments[2], c->arguments[3],
			    -1, 0);
		_exit(IS_ALLOWED);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static void
assert_dies(void (*confine)(const struct config *config), const struct call *c)
{
	int status;

#ifdef POPPASSD_SANITIZE
	if (c->sanitizer_has_it)
		return;
#endif
	status = status_of(confine, c);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS,
	    "%s: wait status %#x", c->name, (unsigned)status);
}

static void
assert_may(void (*confine)(const struct config *config), const struct call *c)
{
	int status = status_of(confine, c);

	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == IS_ALLOWED,
	    "%s: wait status %#x", c->name, (unsigned)status);
}

START_TEST(test_both_are_killed_for_what_they_never_do)
{
	assert_dies(become_net, &forbidden[_i]);
	assert_dies(confine_keeper, &forbidden[_i]);
}
END_TEST

START_TEST(test_both_may_do_what_they_need)
{
	assert_may(become_net, &allowed[_i]);
	assert_may(confine_keeper, &allowed[_i]);
}
END_TEST

START_TEST(test_keeper_may_less_than_net)
{
	assert_may(become_net, &allowed_to_net[_i]);
	assert_dies(confine_keeper, &allowed_to_net[_i]);
}
END_TEST

static int ends_at_landlock;

int __wrap_landlock_restrict(void);
int __real_landlock_restrict(void);

int
__wrap_landlock_restrict(void)
{
	if (ends_at_landlock)
		_exit(EX_OK);
	return __real_landlock_restrict();
}

/* What it does where the kernel has it: test_sandbox. */
START_TEST(test_landlock_is_asked_for)
{
	int status;

	ends_at_landlock = 1;
	status = status_of(become_net, NULL);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == EX_OK);
}
END_TEST

static int n_lies;

int __wrap_setresuid(uid_t ruid, uid_t euid, uid_t suid);
int __real_setresuid(uid_t ruid, uid_t euid, uid_t suid);

int
__wrap_setresuid(uid_t ruid, uid_t euid, uid_t suid)
{
	return n_lies-- > 0 ? 0 : __real_setresuid(ruid, euid, suid);
}

/* A change of user that was none is seen, though the call said that it was.
 * (LeakSanitizer has a status of its own for who ends there.) */
START_TEST(test_root_that_is_left_is_seen)
{
	int status;

	if (geteuid() != 0)
		return;
	n_lies = 1;
	status = status_of(become_net, NULL);
	ck_assert(WIFEXITED(status));
#ifdef POPPASSD_SANITIZE
	ck_assert_int_ne(WEXITSTATUS(status), IS_ALLOWED);
#else
	ck_assert_int_eq(WEXITSTATUS(status), EX_SOFTWARE);
#endif
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("confine");

	tcase_add_loop_test(tcase, test_both_are_killed_for_what_they_never_do,
	    0, N_OF(forbidden));
	tcase_add_loop_test(
	    tcase, test_both_may_do_what_they_need, 0, N_OF(allowed));
	tcase_add_loop_test(
	    tcase, test_keeper_may_less_than_net, 0, N_OF(allowed_to_net));
	tcase_add_test(tcase, test_landlock_is_asked_for);
	tcase_add_test(tcase, test_root_that_is_left_is_seen);
	return suite_run("confine", tcase);
}
