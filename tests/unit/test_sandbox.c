/*
 * What the sandboxes stop. The attempts are made inside the real network
 * process while it serves: the order to drain makes it call the function that
 * this program puts in the place of one of its own.
 */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "daemon/filter.h"
#include "daemon/landlock.h"
#include "daemon/listener.h"
#include "tests/unit/net_peer.h"
#include "tests/unit/suite.h"

#define DIRECTIVES "change-timeout 5s\n"

static char page[4096] __attribute__((aligned(4096)));
static const struct sockaddr_in elsewhere = { .sin_family = AF_INET };

static void
try_open(void)
{
	(void)open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

static void
try_socket(void)
{
	(void)socket(AF_INET, SOCK_STREAM, 0);
}

static void
try_connect(void)
{
	(void)connect(WIRE_NET_LISTEN_FD, (const struct sockaddr *)&elsewhere,
	    sizeof(elsewhere));
}

static void
try_bind(void)
{
	(void)bind(WIRE_NET_LISTEN_FD, (const struct sockaddr *)&elsewhere,
	    sizeof(elsewhere));
}

static void
try_sendto(void)
{
	(void)sendto(WIRE_NET_LISTEN_FD, page, 1, 0,
	    (const struct sockaddr *)&elsewhere, sizeof(elsewhere));
}

static void
try_socket_option(void)
{
	(void)setsockopt(WIRE_NET_LISTEN_FD, SOL_SOCKET, SO_LINGER, page, 8);
}

static void
try_execve(void)
{
	static char name[] = "sh";
	char *argv[] = { name, NULL };

	(void)execve("/bin/sh", argv, argv + 1);
}

static void
try_fork(void)
{
	(void)fork();
}

static void
try_vfork(void)
{
	(void)syscall(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0);
}

static void
try_ptrace(void)
{
	(void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static void
try_kill(void)
{
	(void)kill(getppid(), 0);
}

static void
try_code_from_data(void)
{
	(void)mprotect(page, sizeof(page), PROT_READ | PROT_EXEC);
}

static void
try_new_code(void)
{
	(void)mmap(NULL, sizeof(page), PROT_READ | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void
try_mapping_a_descriptor(void)
{
	(void)mmap(NULL, sizeof(page), PROT_READ, MAP_SHARED, 0, 0);
}

static void
try_memory_of_another(void)
{
	(void)syscall(SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0);
}

static void
try_setuid(void)
{
	(void)syscall(SYS_setresuid, 0, 0, 0);
}

static void
try_descriptor_flags(void)
{
	(void)fcntl(WIRE_NET_CONTROL_FD, F_DUPFD, 0);
}

/* The next net would hang in accept(): the flag is the socket's, and shared. */
static void
try_blocking_listener(void)
{
	(void)fcntl(WIRE_NET_LISTEN_FD, F_SETFL, 0);
}

struct attempt {
	const char *name;
	void (*function)(void);
};

/* The first ones are let through, or fail, where the sanitizers' runtime needs
 * them. */
#ifdef POPPASSD_SANITIZE
#define FIRST_ATTEMPT 6
#else
#define FIRST_ATTEMPT 0
#endif

static const struct attempt attempts[] = {
	{ "open", try_open },
	{ "fork", try_fork },
	{ "vfork", try_vfork },
	{ "mprotect", try_code_from_data },
	{ "mmap of code", try_new_code },
	{ "mmap of a descriptor", try_mapping_a_descriptor },
	{ "socket", try_socket },
	{ "connect", try_connect },
	{ "bind", try_bind },
	{ "sendto with an address", try_sendto },
	{ "setsockopt", try_socket_option },
	{ "execve", try_execve },
	{ "ptrace", try_ptrace },
	{ "kill", try_kill },
	{ "process_vm_readv", try_memory_of_another },
	{ "setresuid", try_setuid },
	{ "fcntl", try_descriptor_flags },
	{ "fcntl of a listener", try_blocking_listener },
};

static const struct attempt *chosen;

void __wrap_listener_stop_all(struct net *net);
void __real_listener_stop_all(struct net *net);

void
__wrap_listener_stop_all(struct net *net)
{
	if (chosen != NULL)
		chosen->function();
	__real_listener_stop_all(net);
}

START_TEST(test_net_dies_of_an_attempt)
{
	chosen = &attempts[_i];
	peer_start(DIRECTIVES);
	peer_order(CTL_DRAIN);
	ck_assert_msg(
	    peer_wait_death() == SIGSYS, "%s: net lives", chosen->name);
}
END_TEST

/* It is the attempt that kills, not the order. */
START_TEST(test_net_without_an_attempt)
{
	chosen = NULL;
	peer_start(DIRECTIVES);
	peer_order(CTL_DRAIN);
	ck_assert_int_eq(peer_wait_exit(), 0);
}
END_TEST

static void
fork_and_expect(int (*function)(void), int result)
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ne(pid, -1);
	if (pid == 0)
		_exit(function());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), result);
}

/* Behind the filter of system calls, which would not let it come to this. */
static int
open_under_landlock(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
	    landlock_restrict() == -1)
		return 255;
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC) == -1 ? errno : 0;
}

static int
bind_under_landlock(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
	    landlock_restrict() == -1)
		return 255;
	return bind(fd, (const struct sockaddr *)&elsewhere,
		   sizeof(elsewhere)) == -1
	    ? errno
	    : 0;
}

/* 0: without it, net has an empty root and its filter. */
START_TEST(test_landlock)
{
	const int version = landlock_version();

	(void)printf("Landlock version %d\n", version);
	fork_and_expect(open_under_landlock, version >= 1 ? EACCES : 0);
	fork_and_expect(bind_under_landlock, version >= 4 ? EACCES : 0);
}
END_TEST

static long
call_clone(void)
{
	return syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
}

static long
call_clone3(void)
{
	return syscall(SYS_clone3, NULL, 0);
}

static long
call_mount(void)
{
	return syscall(SYS_mount, "none", "/", "tmpfs", 0, NULL);
}

static long
call_unshare(void)
{
	return syscall(SYS_unshare, CLONE_NEWUSER);
}

static long
call_bpf(void)
{
	return syscall(SYS_bpf, 0, NULL, 0);
}

static long
call_module(void)
{
	return syscall(SYS_finit_module, -1, "", 0);
}

static long
call_reboot(void)
{
	return syscall(SYS_reboot, 0, 0, 0, NULL);
}

static long
call_ring(void)
{
	return syscall(SYS_io_uring_setup, 1, NULL);
}

static long
call_process_vm(void)
{
	return syscall(SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0);
}

static long
call_netlink(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
}

/* What pam_keyinit does; a kernel without keys says so itself. */
static long
call_keyctl(void)
{
	long result = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID,
	    KEY_SPEC_SESSION_KEYRING, 0, 0, 0);

	return result == -1 && errno == EPERM ? -1 : 0;
}

static long
call_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return waitpid(pid, NULL, 0) == pid ? 0 : -1;
}

static long
call_kill(void)
{
	return kill(getpid(), 0);
}

struct call {
	long (*function)(void);
	int error; /* 0: goes through */
};

static const struct call calls[] = {
	{ call_clone, EPERM },
	{ call_clone3, ENOSYS },
	{ call_mount, EPERM },
	{ call_unshare, EPERM },
	{ call_bpf, EPERM },
	{ call_module, EPERM },
	{ call_reboot, EPERM },
	{ call_ring, EPERM },
	{ call_process_vm, EPERM },
	{ call_netlink, 0 },
	{ call_keyctl, 0 },
	{ call_fork, 0 },
	{ call_kill, 0 },
};

static const struct call *chosen_call;

static int
call_under_filter(void)
{
	filter_monitor();
	errno = 0;
	return chosen_call->function() == -1 ? errno : 0;
}

START_TEST(test_monitor_and_helper_are_refused)
{
	chosen_call = &calls[_i];
	fork_and_expect(call_under_filter, chosen_call->error);
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("sandbox");

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, NULL, peer_clean_up);
	tcase_add_loop_test(
	    tcase, test_net_dies_of_an_attempt, FIRST_ATTEMPT, N_OF(attempts));
	tcase_add_test(tcase, test_net_without_an_attempt);
	tcase_add_test(tcase, test_landlock);
	tcase_add_loop_test(
	    tcase, test_monitor_and_helper_are_refused, 0, N_OF(calls));
	return suite_run("sandbox", tcase);
}
