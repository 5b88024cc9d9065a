/* Starting children, and ending them with all that is below them. */
#include "daemon/process_tree.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/suite.h"

#define N_PROCESSES 4

/* Every process of the tree holds the write end of `alive`: when the last one
 * is gone, the read end says so. Each writes a byte when it is there. */
static int alive[2];

static void
setup(void)
{
	ck_assert_int_eq(pipe(alive), 0);
	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
}

static void
teardown(void)
{
	(void)close(alive[0]);
}

static void
live(void)
{
	(void)!write(alive[1], "x", 1);
	for (;;)
		(void)pause();
}

static void
grow(int is_subreaper)
{
	if (is_subreaper)
		(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	if (fork() == 0)
		live();
	if (fork() == 0) {
		(void)setsid();
		live();
	}
	/* Forked twice: its parent is gone. */
	if (fork() == 0) {
		if (fork() == 0) {
			(void)setsid();
			live();
		}
		_exit(0);
	}
	live();
}

static void
wait_until_grown(void)
{
	char c;

	(void)close(alive[1]);
	for (int i = 0; i < N_PROCESSES; i++)
		ck_assert_int_eq(read(alive[0], &c, 1), 1);
}

static int
all_are_gone(void)
{
	struct pollfd p = { .fd = alive[0], .events = POLLIN };
	char c;

	return poll(&p, 1, 60000) == 1 && read(alive[0], &c, 1) == 0;
}

static void
reap_all(void)
{
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		continue;
}

START_TEST(test_kill_ends_every_descendant_of_a_subreaper)
{
	pid_t pid = process_fork();

	if (pid == 0)
		grow(1);
	wait_until_grown();
	process_tree_kill(pid);
	ck_assert_int_eq(all_are_gone(), 1);
	reap_all();
}
END_TEST

static int
is_nobody_known(void *context, pid_t pid)
{
	(void)context;
	(void)pid;
	return 0;
}

START_TEST(test_kill_orphans_ends_what_a_dead_child_left)
{
	int status;
	pid_t pid = process_fork();

	if (pid == 0)
		grow(1);
	wait_until_grown();
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	process_tree_kill_orphans(is_nobody_known, NULL);
	ck_assert_int_eq(all_are_gone(), 1);
	reap_all();
}
END_TEST

static int
is_the_pid(void *context, pid_t pid)
{
	return *(pid_t *)context == pid;
}

START_TEST(test_kill_orphans_spares_the_known)
{
	int status;
	pid_t pid = process_fork();

	if (pid == 0)
		live();
	process_tree_kill_orphans(is_the_pid, &pid);
	ck_assert_int_eq(waitpid(pid, &status, WNOHANG), 0);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	(void)close(alive[1]);
}
END_TEST

static void
on_signal(int number)
{
	(void)number;
}

START_TEST(test_fork_gives_signals_back)
{
	struct sigaction action;
	sigset_t mask;
	int status;
	pid_t pid;

	(void)signal(SIGTERM, on_signal);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigemptyset(&mask);
	(void)sigaddset(&mask, SIGHUP);
	(void)sigprocmask(SIG_SETMASK, &mask, NULL);
	pid = process_fork();
	if (pid == 0) {
		int ok = sigaction(SIGTERM, NULL, &action) == 0 &&
		    action.sa_handler == SIG_DFL &&
		    sigaction(SIGPIPE, NULL, &action) == 0 &&
		    action.sa_handler == SIG_DFL &&
		    sigprocmask(SIG_SETMASK, NULL, &mask) == 0 &&
		    !sigismember(&mask, SIGHUP);

		_exit(ok ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	(void)sigprocmask(SIG_SETMASK, NULL, &mask);
	ck_assert_int_eq(sigismember(&mask, SIGHUP), 1);
	ck_assert_int_eq(sigismember(&mask, SIGTERM), 0);
	(void)close(alive[1]);
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("process_tree");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, test_kill_ends_every_descendant_of_a_subreaper);
	tcase_add_test(tcase, test_kill_orphans_ends_what_a_dead_child_left);
	tcase_add_test(tcase, test_kill_orphans_spares_the_known);
	tcase_add_test(tcase, test_fork_gives_signals_back);
	return suite_run("process_tree", tcase);
}
