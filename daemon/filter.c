/*
 * The system calls that each process may make, as seccomp filters. Runs as root
 * in the monitor, without privilege in net; handles no client bytes.
 */
#include "daemon/filter.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sysexits.h>

#include <seccomp.h>

#include "common/log.h"

#define N_OF(array)   (sizeof(array) / sizeof(*(array)))
#define FUTEX_COMMAND 0x7f /* without the flags */

/* What serving takes, and nothing else. tests/integration/test_syscalls.py
 * compares this with what strace sees. */
static const int allowed[] = {
	SCMP_SYS(accept4),
	SCMP_SYS(brk),
	SCMP_SYS(close),
	SCMP_SYS(epoll_ctl),
#ifdef SYS_epoll_wait
	SCMP_SYS(epoll_wait),
#else
	SCMP_SYS(epoll_pwait),
#endif
	SCMP_SYS(exit_group),
	SCMP_SYS(getpid), /* OpenSSL: has it been forked? */
	SCMP_SYS(read),
	SCMP_SYS(write),
};

/* The same, not seen while the tests run. Each says why it is here. */
static const int allowed_unseen[] = {
	SCMP_SYS(clock_gettime), /* where the vDSO cannot read the clock */
	SCMP_SYS(getrandom),     /* OpenSSL seeds itself anew after an hour */
	SCMP_SYS(gettimeofday),  /* as clock_gettime, by libevent */
	SCMP_SYS(mremap),        /* the allocator's large blocks */
	SCMP_SYS(munmap),        /* the same, given back */
	SCMP_SYS(time),          /* as clock_gettime, by OpenSSL */
};

/* Those whose arguments can be told; any one line that fits lets it through. */
struct checked_call {
	int call;
	struct scmp_arg_cmp arguments[2];
	unsigned n_arguments;
};

#define EQUALS(n, value)                                                       \
	{                                                                      \
		.arg = (n), .op = SCMP_CMP_EQ, .datum_a = (value)              \
	}
#define MASKED(n, mask, value)                                                 \
	{                                                                      \
		.arg = (n), .op = SCMP_CMP_MASKED_EQ, .datum_a = (mask),       \
		.datum_b = (value)                                             \
	}

static const struct checked_call checked[] = {
	/* The listening sockets are the next net's, too: one that blocks would
	 * hang it. An int's upper half is nobody's. */
	{ SCMP_SYS(fcntl),
	    { EQUALS(1, F_SETFL), MASKED(2, UINT32_MAX, O_NONBLOCK) }, 2 },
	{ SCMP_SYS(futex), { MASKED(1, FUTEX_COMMAND, FUTEX_WAKE) }, 1 },
	{ SCMP_SYS(getsockopt),
	    { EQUALS(1, SOL_SOCKET), EQUALS(2, SO_PEERCRED) }, 2 },
	/* Memory is never code. */
	{ SCMP_SYS(mmap),
	    { MASKED(2, PROT_EXEC, 0),
		MASKED(3, MAP_ANONYMOUS, MAP_ANONYMOUS) },
	    2 },
	/* Who is connected needs no address; nobody else is to be sent to. */
	{ SCMP_SYS(recvfrom), { EQUALS(4, 0) }, 1 },
	{ SCMP_SYS(sendto), { EQUALS(4, 0) }, 1 },
	{ SCMP_SYS(recvmsg), { EQUALS(2, MSG_TRUNC | MSG_CMSG_CLOEXEC) }, 1 },
	{ SCMP_SYS(sendmsg), { EQUALS(2, MSG_NOSIGNAL) }, 1 },
	{ SCMP_SYS(setsockopt),
	    { EQUALS(1, IPPROTO_TCP), EQUALS(2, TCP_NODELAY) }, 2 },
	{ SCMP_SYS(shutdown), { EQUALS(1, SHUT_WR) }, 1 },
};

/* What signing takes, compared in the same way. */
static const int keeper_allowed[] = {
	SCMP_SYS(getpid), /* OpenSSL: has it been forked? */
};

static const int keeper_allowed_unseen[] = {
	SCMP_SYS(brk),           /* the allocator, if a signature takes more */
	SCMP_SYS(clock_gettime), /* where the vDSO cannot read the clock */
	SCMP_SYS(exit_group),    /* if the monitor does not end it first */
	SCMP_SYS(getrandom),     /* OpenSSL seeds itself anew after an hour */
	SCMP_SYS(mremap),        /* the allocator's large blocks */
	SCMP_SYS(munmap),        /* the same, given back */
	SCMP_SYS(time),          /* as clock_gettime, by OpenSSL */
};

static const struct checked_call keeper_checked[] = {
	{ SCMP_SYS(recvmsg), { EQUALS(2, MSG_TRUNC | MSG_CMSG_CLOEXEC) }, 1 },
	{ SCMP_SYS(sendmsg), { EQUALS(2, MSG_NOSIGNAL) }, 1 },
};

static const struct checked_call keeper_checked_unseen[] = {
	/* OpenSSL's set-ups that are done once wake who waits for them. */
	{ SCMP_SYS(futex), { MASKED(1, FUTEX_COMMAND, FUTEX_WAKE) }, 1 },
	/* the allocator's large blocks */
	{ SCMP_SYS(mmap),
	    { MASKED(2, PROT_EXEC, 0),
		MASKED(3, MAP_ANONYMOUS, MAP_ANONYMOUS) },
	    2 },
};

#ifdef POPPASSD_SANITIZE
/* The sanitizers' runtime needs these to report and to end; they fail where
 * failing is enough. */
static const int sanitizer_allowed[] = { SCMP_SYS(futex), SCMP_SYS(gettid),
	SCMP_SYS(madvise), SCMP_SYS(mmap), SCMP_SYS(mprotect), SCMP_SYS(prctl),
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(sched_yield),
	SCMP_SYS(sigaltstack) };
static const int sanitizer_failed[] = { SCMP_SYS(openat), SCMP_SYS(readlink),
	SCMP_SYS(readlinkat), SCMP_SYS(clone), SCMP_SYS(clone3),
	SCMP_SYS(newfstatat), SCMP_SYS(pipe2), SCMP_SYS(pipe) };

static int
allow_sanitizer(scmp_filter_ctx filter)
{
	int failed = 0;

	for (size_t i = 0; i < N_OF(sanitizer_allowed); i++)
		failed |= seccomp_rule_add(
		    filter, SCMP_ACT_ALLOW, sanitizer_allowed[i], 0);
	for (size_t i = 0; i < N_OF(sanitizer_failed); i++)
		failed |= seccomp_rule_add(
		    filter, SCMP_ACT_ERRNO(EPERM), sanitizer_failed[i], 0);
	return failed;
}

/* LeakSanitizer stops the process with ptrace, which a confined process cannot
 * allow; leaks in net are looked for in the unit tests of its modules. */
int __lsan_is_turned_off(void);

int
__lsan_is_turned_off(void)
{
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
}
#else
static int
allow_sanitizer(scmp_filter_ctx filter)
{
	(void)filter;
	return 0;
}
#endif

static scmp_filter_ctx
make_filter(uint32_t otherwise)
{
	scmp_filter_ctx filter = seccomp_init(otherwise);

	/* The kernel's own word for what is wrong. */
	if (filter == NULL ||
	    seccomp_attr_set(filter, SCMP_FLTATR_API_SYSRAWRC, 1) != 0)
		fatal(EX_OSERR, "seccomp: cannot make a filter");
	return filter;
}

static int
load(scmp_filter_ctx filter)
{
	int result = seccomp_load(filter);

	if (result == 0)
		seccomp_release(filter);
	return result;
}

static void
give_up(int failed)
{
	fatal(EX_OSERR, "seccomp: %s; the kernel needs CONFIG_SECCOMP_FILTER",
	    strerror(-failed));
}

static int
allow_all(scmp_filter_ctx filter, const int *calls, size_t n)
{
	int failed = 0;

	for (size_t i = 0; i < n; i++)
		failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
	return failed;
}

static int
allow_checked(
    scmp_filter_ctx filter, const struct checked_call *calls, size_t n)
{
	int failed = 0;

	for (size_t i = 0; i < n; i++)
		failed |= seccomp_rule_add_array(filter, SCMP_ACT_ALLOW,
		    calls[i].call, calls[i].n_arguments, calls[i].arguments);
	return failed;
}

static void
load_rules(scmp_filter_ctx filter, int failed)
{
	if (failed != 0)
		fatal(EX_OSERR, "seccomp: a rule was refused");
	failed = load(filter);
	if (failed != 0)
		give_up(failed);
}

void
filter_net(void)
{
	scmp_filter_ctx filter = make_filter(SCMP_ACT_KILL_PROCESS);

	load_rules(filter,
	    allow_all(filter, allowed, N_OF(allowed)) |
		allow_all(filter, allowed_unseen, N_OF(allowed_unseen)) |
		allow_checked(filter, checked, N_OF(checked)) |
		allow_sanitizer(filter));
}

void
filter_keeper(void)
{
	scmp_filter_ctx filter = make_filter(SCMP_ACT_KILL_PROCESS);

	load_rules(filter,
	    allow_all(filter, keeper_allowed, N_OF(keeper_allowed)) |
		allow_all(filter, keeper_allowed_unseen,
		    N_OF(keeper_allowed_unseen)) |
		allow_checked(filter, keeper_checked, N_OF(keeper_checked)) |
		allow_checked(filter, keeper_checked_unseen,
		    N_OF(keeper_checked_unseen)) |
		allow_sanitizer(filter));
}

/*
 * By name, so that what this libseccomp does not know yet is left out. Keys
 * (pam_keyinit, Kerberos), netlink sockets (NSS, audit), chroot (net's start)
 * and signals are not among them.
 */
static const char *const denied[] = {
	/* other processes' memory and descriptors */
	"kcmp", "move_pages", "migrate_pages", "pidfd_getfd", "process_madvise",
	"process_mrelease", "process_vm_readv", "process_vm_writev",
#ifndef POPPASSD_SANITIZE
	"ptrace", /* LeakSanitizer's */
#endif
	/* the kernel itself */
	"bpf", "delete_module", "finit_module", "init_module",
	"kexec_file_load", "kexec_load", "lookup_dcookie", "perf_event_open",
	"reboot", "syslog", "userfaultfd", "io_uring_enter",
	"io_uring_register", "io_uring_setup",
	/* mounts and namespaces */
	"fsconfig", "fsmount", "fsopen", "fspick", "mount", "mount_setattr",
	"move_mount", "open_by_handle_at", "open_tree", "pivot_root",
	"quotactl", "quotactl_fd", "setns", "swapoff", "swapon", "umount2",
	"unshare",
	/* the machine */
	"acct", "adjtimex", "clock_adjtime", "clock_settime", "fanotify_init",
	"ioperm", "iopl", "modify_ldt", "setdomainname", "sethostname",
	"settimeofday", "uselib", "vhangup", "vm86", "vm86old"
};

static int
deny_all(scmp_filter_ctx filter)
{
	int failed = 0;

	for (size_t i = 0; i < N_OF(denied); i++) {
		int call = seccomp_syscall_resolve_name(denied[i]);

		if (call != __NR_SCMP_ERROR)
			failed |= seccomp_rule_add(
			    filter, SCMP_ACT_ERRNO(EPERM), call, 0);
	}
	return failed;
}

/* A user namespace hands out the capabilities that were dropped. The flags of
 * clone3() cannot be looked at: without it, libc falls back to clone(). */
static int
deny_namespaces(scmp_filter_ctx filter)
{
#ifdef __s390__
	const unsigned flags = 1;
#else
	const unsigned flags = 0;
#endif
	const struct scmp_arg_cmp new_user =
	    MASKED(flags, CLONE_NEWUSER, CLONE_NEWUSER);

	return seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM),
		   SCMP_SYS(clone), 1, &new_user) |
	    seccomp_rule_add(
		filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

/* A hook may be a program of the other kind. */
static int
add_compatible(scmp_filter_ctx filter)
{
	switch (seccomp_arch_native()) {
	case SCMP_ARCH_X86_64:
		return seccomp_arch_add(filter, SCMP_ARCH_X86);
	case SCMP_ARCH_AARCH64:
		return seccomp_arch_add(filter, SCMP_ARCH_ARM);
	default:
		return 0;
	}
}

void
filter_monitor(void)
{
	scmp_filter_ctx filter = make_filter(SCMP_ACT_ALLOW);
	int failed = add_compatible(filter) | deny_all(filter) |
	    deny_namespaces(filter) |
	    seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);

	if (failed != 0)
		fatal(EX_OSERR, "seccomp: a rule was refused");
	failed = load(filter);
	if (failed == -EACCES || failed == -EPERM) {
		(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 1);
		failed = load(filter);
	}
	if (failed != 0)
		give_up(failed);
}
