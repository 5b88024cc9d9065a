/*
 * The real monitor, with a liar for its net: what the monitor executes is this
 * program again. usage: broken_net -c FILE. The greeting of the configuration
 * names a file and a seed; what the liar does is counted in the file, and once
 * `behave` in it is not 0, the real net takes over.
 */
#include <sys/mman.h>
#include <sys/socket.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "daemon/keeper_process.h"
#include "daemon/monitor.h"
#include "daemon/net.h"
#include "daemon/worker.h"
#include "tests/hostile/abuse.h"

#define N_GUESSES    3
#define N_EVENTS_MAX 1000
#define WAIT_MS      20000

/* Read by the test as 64-bit numbers. */
struct record {
	_Atomic uint64_t behave;
	_Atomic uint64_t n_lives;
	_Atomic uint64_t n_messages;
	_Atomic uint64_t n_granted;
	_Atomic uint64_t n_answered; /* by helpers */
};

static struct record *record;
static struct abuse_message message;

static const char *const users[] = { "virt.user", "virt.user", "virt.user",
	"victim", "victim", "victim", "root", "daemon", "no such user",
	"../../etc/shadow", "-froot" };

static const struct abuse_string request_strings[] = {
	{ offsetof(struct ctl_admit_request, origin.address),
	    WIRE_ADDRESS_SIZE },
	{ offsetof(struct ctl_admit_request, user), WIRE_USER_SIZE },
};

/* From the first message of the monitor's, which is left for the real net. */
static int
open_record(uint64_t *seed)
{
	static struct ctl_load load;
	char path[PATH_MAX];
	const char *greeting;
	int fd;

	if (recv(WIRE_NET_CONTROL_FD, &load, sizeof(load), MSG_PEEK) !=
	    sizeof(load))
		return -1;
	load.bytes[sizeof(load.bytes) - 1] = '\0';
	greeting = strstr(load.bytes, "greeting ");
	if (greeting == NULL ||
	    sscanf(greeting, "greeting \"%4095s %ju", path, seed) != 2)
		return -1;
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd == -1)
		return -1;
	record = mmap(
	    NULL, sizeof(*record), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	(void)close(fd);
	return record != MAP_FAILED ? 0 : -1;
}

static void
take_load(void)
{
	static struct ctl_load load;

	do {
		if (recv(WIRE_NET_CONTROL_FD, &load, sizeof(load), 0) !=
		    sizeof(load))
			_exit(EX_OSERR);
	} while (load.kind != LOAD_END);
}

static void
say(int fd)
{
	if (abuse_send(fd, &message) == -1)
		_exit(EX_OSERR);
	(void)atomic_fetch_add(&record->n_messages, 1);
}

static void
say_ready(void)
{
	const struct ctl_order ready = { .type = CTL_READY };

	abuse_set(&message, &ready, sizeof(ready));
	say(WIRE_NET_CONTROL_FD);
}

static void
make_event(void)
{
	struct ctl_event m;

	memset(&m, 0, sizeof(m));
	m.type = CTL_EVENT;
	m.event = NET_EVENT_CLEAR_REFUSED + abuse_below(NET_EVENT_NOTE);
	abuse_name(m.origin.listener, sizeof(m.origin.listener));
	abuse_name(m.detail, sizeof(m.detail));
	abuse_set(&message, &m, sizeof(m));
}

static void
make_request(const char *user)
{
	struct ctl_admit_request m;

	memset(&m, 0, sizeof(m));
	m.type = CTL_ADMIT_REQUEST;
	m.cookie = abuse_random();
	/* Without one it would not be looked at. */
	wire_string_set(
	    m.origin.address, sizeof(m.origin.address), "192.0.2.1");
	wire_string_set(m.user, sizeof(m.user), user);
	abuse_set(&message, &m, sizeof(m));
}

static void
make_secret(uint32_t type, const char *text)
{
	struct txn_secret m = { .type = type };

	(void)secret_set(&m.secret, text, strlen(text));
	abuse_set(&message, &m, sizeof(m));
}

static void
make_begin(const char *user)
{
	struct txn_begin m;

	memset(&m, 0, sizeof(m));
	m.type = TXN_BEGIN;
	m.version = WIRE_VERSION;
	wire_string_set(m.user, sizeof(m.user), user);
	wire_string_set(m.service, sizeof(m.service), "poppassd");
	abuse_set(&message, &m, sizeof(m));
}

/* The end of a transaction, or -1 if it was not granted. */
static int
take_answer(void)
{
	struct pollfd p = { .fd = WIRE_NET_CONTROL_FD, .events = POLLIN };
	struct ctl_admit_answer m;
	size_t len;
	int fd = -1;

	if (poll(&p, 1, WAIT_MS) != 1 ||
	    wire_recv(WIRE_NET_CONTROL_FD, &m, sizeof(m), &len, &fd) != WIRE_OK)
		_exit(EX_OSERR);
	if (fd != -1)
		(void)atomic_fetch_add(&record->n_granted, 1);
	return fd;
}

/* Another user than the admitted one, a change without the old password, a
 * broken message, our end of the control socket; then a guess at last, which
 * may find nobody. */
static void
abuse_helper(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	switch (abuse_below(4)) {
	case 0:
		make_begin("bystander");
		break;
	case 1:
		make_secret(TXN_CHANGE, "changed-by-net");
		break;
	case 2:
		make_secret(TXN_AUTH, "guess");
		abuse_spoil(&message, NULL, 0);
		break;
	default:
		make_secret(TXN_AUTH, "guessed-by-net");
	}
	(void)abuse_send(fd, &message);
	make_secret(TXN_AUTH, "guessed-by-net");
	(void)abuse_send(fd, &message);
	make_secret(TXN_CHANGE, "changed-by-net");
	message.n_fds = abuse_below(3);
	(void)abuse_send(fd, &message);
	(void)atomic_fetch_add(&record->n_messages, 3);
	/* Mostly to its end; sometimes it is left at work. */
	if (abuse_below(4) != 0 && poll(&p, 1, WAIT_MS) == 1)
		(void)atomic_fetch_add(&record->n_answered, 1);
	if (abuse_below(2) == 0)
		(void)close(fd);
}

static void
end_badly(void)
{
	make_request("victim");
	abuse_spoil(&message, request_strings,
	    sizeof(request_strings) / sizeof(*request_strings));
	if (abuse_below(4) == 0)
		(void)shutdown(WIRE_NET_CONTROL_FD, SHUT_RDWR);
	else
		(void)abuse_send(WIRE_NET_CONTROL_FD, &message);
	/* Until somebody ends it. */
	for (;;)
		(void)pause();
}

static void
lie(void)
{
	take_load();
	/* The first one must serve: the daemon would not start without. */
	if (atomic_fetch_add(&record->n_lives, 1) > 0 && abuse_below(8) == 0)
		end_badly();
	say_ready();
	for (uint32_t n = abuse_below(N_GUESSES + 1); n > 0; n--) {
		int fd;

		make_request(
		    users[abuse_below(sizeof(users) / sizeof(*users))]);
		say(WIRE_NET_CONTROL_FD);
		fd = take_answer();
		if (fd != -1)
			abuse_helper(fd);
	}
	for (uint32_t n = abuse_below(N_EVENTS_MAX); n > 0; n--) {
		make_event();
		say(WIRE_NET_CONTROL_FD);
	}
	end_badly();
}

int
main(int argc, char *argv[])
{
	uint64_t seed;

	if (strcmp(argv[0], KEEPER_NAME) == 0)
		return keeper_process_main();
	if (strcmp(argv[0], WORKER_NAME) != 0)
		return argc == 3 ? monitor_main(argv[2]) : EX_USAGE;
	if (open_record(&seed) == -1)
		return EX_SOFTWARE;
	if (record->behave != 0)
		return net_main();
	abuse_seed(seed + record->n_lives);
	lie();
	return EX_SOFTWARE;
}
