/*
 * The helper's transaction with a liar in net's place: the real objects and a
 * real PAM stack in one process, whose calls of PAM are counted. The monitor's
 * word is believed, so the first message is its own or comes too late.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <crypt.h>
#include <security/pam_appl.h>

#include "pam/transaction.h"
#include "tests/hostile/abuse.h"
#include "tests/unit/suite.h"

#define STACK                                                                  \
	"auth required " PAM_MATRIX " passdb=%s/accounts\n"                    \
	"account required pam_permit.so\n"                                     \
	"password required " PAM_MATRIX " passdb=%s/accounts\n"
#define ACCOUNTS "demo:%s:service\nvictim:victims:service\n"

static char folder[64];
static struct abuse_message message;

/* The account as it must be, and what PAM may be asked for. */
static struct {
	char password[16];
	int n_auth; /* calls allowed in all */
	int n_change;
	int n_hashes; /* for those who are refused */
	uint64_t n_messages;
} model;

static struct {
	int n_start;
	int n_auth;
	int n_change;
	int n_hashes;
} seen;

int __wrap_pam_start_confdir(const char *service, const char *user,
    const struct pam_conv *conv, const char *confdir, pam_handle_t **pam);
int __real_pam_start_confdir(const char *service, const char *user,
    const struct pam_conv *conv, const char *confdir, pam_handle_t **pam);
int __wrap_pam_authenticate(pam_handle_t *pam, int flags);
int __real_pam_authenticate(pam_handle_t *pam, int flags);
int __wrap_pam_chauthtok(pam_handle_t *pam, int flags);
int __real_pam_chauthtok(pam_handle_t *pam, int flags);
char *__wrap_crypt_r(
    const char *phrase, const char *setting, struct crypt_data *data);
char *__real_crypt_r(
    const char *phrase, const char *setting, struct crypt_data *data);

char *
__wrap_crypt_r(const char *phrase, const char *setting, struct crypt_data *data)
{
	seen.n_hashes++;
	return __real_crypt_r(phrase, setting, data);
}

int
__wrap_pam_start_confdir(const char *service, const char *user,
    const struct pam_conv *conv, const char *confdir, pam_handle_t **pam)
{
	ck_assert_str_eq(user, "demo");
	seen.n_start++;
	return __real_pam_start_confdir(service, user, conv, confdir, pam);
}

int
__wrap_pam_authenticate(pam_handle_t *pam, int flags)
{
	seen.n_auth++;
	return __real_pam_authenticate(pam, flags);
}

/* pam_matrix does not close its file: no harm in a process that ends after one
 * change. */
static void
close_what_matrix_leaves(void)
{
	char path[PATH_MAX], target[PATH_MAX];

	for (int fd = 0; fd < 64; fd++) {
		ssize_t n;

		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, target, sizeof(target));
		if (n > 0 && strncmp(target, folder, strlen(folder)) == 0)
			(void)close(fd);
	}
}

int
__wrap_pam_chauthtok(pam_handle_t *pam, int flags)
{
	int code = __real_pam_chauthtok(pam, flags);

	close_what_matrix_leaves();
	seen.n_change++;
	return code;
}

static void
path_of(char path[PATH_MAX], const char *name)
{
	(void)snprintf(path, PATH_MAX, "%s/%s", folder, name);
}

static void
write_file(const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *f;

	path_of(path, name);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

static void
setup(void)
{
	char text[1024];

	(void)strcpy(folder, "/tmp/test_helper.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	(void)snprintf(text, sizeof(text), STACK, folder, folder);
	write_file("service", text);
	(void)strcpy(model.password, "old");
	(void)snprintf(text, sizeof(text), ACCOUNTS, model.password);
	write_file("accounts", text);
	abuse_start();
}

static void
teardown(void)
{
	static const char *const names[] = { "service", "accounts" };
	char path[PATH_MAX];

	for (int i = 0; i < N_OF(names); i++) {
		path_of(path, names[i]);
		(void)remove(path);
	}
	(void)remove(folder);
}

static void
assert_accounts(void)
{
	char path[PATH_MAX], text[256] = "", wanted[256];
	FILE *f;

	path_of(path, "accounts");
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_gt(fread(text, 1, sizeof(text) - 1, f), 0);
	(void)fclose(f);
	(void)snprintf(wanted, sizeof(wanted), ACCOUNTS, model.password);
	ck_assert_str_eq(text, wanted);
}

static void
make_begin(const char *user)
{
	struct txn_begin m;

	memset(&m, 0, sizeof(m));
	m.type = TXN_BEGIN;
	m.version = WIRE_VERSION;
	wire_string_set(m.user, sizeof(m.user), user);
	wire_string_set(m.service, sizeof(m.service), "service");
	wire_string_set(m.confdir, sizeof(m.confdir), folder);
	abuse_set(&message, &m, sizeof(m));
}

static void
make_secret(uint32_t type, const char *text)
{
	struct txn_secret m = { .type = type };

	ck_assert_int_eq(secret_set(&m.secret, text, strlen(text)), 0);
	abuse_set(&message, &m, sizeof(m));
}

/* Its length says one thing and its bytes another. */
static void
make_broken_secret(uint32_t type)
{
	struct txn_secret *m = (void *)message.bytes;

	make_secret(type, model.password);
	switch (abuse_below(3)) {
	case 0:
		m->secret.len = (uint32_t)abuse_random() | 0x80000000U;
		break;
	case 1:
		m->secret.len++;
		break;
	default:
		memset(m->secret.bytes, 'A', sizeof(m->secret.bytes));
	}
}

static const struct abuse_string secret_strings[] = {
	{ offsetof(struct txn_secret, secret.bytes), SECRET_MAX + 1 },
};

/* What nobody may say at this point: 0 after TXN_BEGIN, 1 after TXN_AUTH. */
static void
lie(int is_authenticated)
{
	static const uint32_t types[] = { CTL_LOAD, CTL_ADMIT_ANSWER, CTL_DRAIN,
		CTL_READY, CTL_ADMIT_REQUEST, CTL_EVENT, TXN_ANSWER,
		STATUS_IDENTITY, STATUS_PHASE, STATUS_DIALOGUE, STATUS_REASON };
	const uint32_t right = is_authenticated ? TXN_CHANGE : TXN_AUTH;
	const uint32_t wrong = is_authenticated ? TXN_AUTH : TXN_CHANGE;

	switch (abuse_below(6)) {
	case 0:
		abuse_misdirect(&message, types, (size_t)N_OF(types));
		break;
	case 1:
		make_begin("victim");
		break;
	case 2:
		make_secret(wrong, model.password);
		break;
	case 3:
		make_broken_secret(right);
		break;
	case 4:
		make_begin("victim");
		abuse_spoil(&message, NULL, 0);
		break;
	default:
		make_secret(right, model.password);
		abuse_spoil(
		    &message, secret_strings, (size_t)N_OF(secret_strings));
	}
}

static void
send_on(int fd)
{
	ck_assert_int_eq(abuse_send(fd, &message), 0);
	model.n_messages++;
}

/* After the one message that ends it, nothing is heard. */
static void
send_unheard(int fd)
{
	for (uint32_t n = abuse_below(6); n > 0; n--) {
		make_secret(
		    abuse_below(2) == 0 ? TXN_AUTH : TXN_CHANGE, "unheard");
		if (abuse_below(2) == 0)
			make_begin("victim");
		send_on(fd);
	}
}

static enum outcome
end_with_lie(int fd, int is_authenticated)
{
	lie(is_authenticated);
	send_on(fd);
	if (message.len != 0)
		return OUTCOME_TEMPORARY;
	/* One without bytes is the end. */
	return is_authenticated ? OUTCOME_AUTHENTICATED : OUTCOME_CANCELLED;
}

static enum outcome
change_in_earnest(int fd)
{
	static const char *const passwords[] = { "first", "second" };
	const char *next =
	    passwords[strcmp(model.password, passwords[0]) == 0 ? 1 : 0];

	make_secret(TXN_CHANGE, next);
	send_on(fd);
	model.n_change++;
	(void)strcpy(model.password, next);
	return OUTCOME_CHANGED;
}

/* What net says behind the monitor's TXN_BEGIN, and what must come of it. */
static enum outcome
speak_as_net(int fd, int is_admitted)
{
	int is_right;

	if (!is_admitted) {
		make_secret(TXN_AUTH, model.password);
		send_on(fd);
		return OUTCOME_POLICY_REFUSED;
	}
	if (abuse_below(10) != 0)
		return end_with_lie(fd, 0);
	is_right = abuse_below(4) != 0;
	make_secret(TXN_AUTH, is_right ? model.password : "guess");
	send_on(fd);
	model.n_auth++;
	if (!is_right)
		return OUTCOME_AUTH_FAILED;
	if (abuse_below(4) != 0)
		return end_with_lie(fd, 1);
	return change_in_earnest(fd);
}

/* Phases come in order, reasons end. */
static void
assert_status(int fd)
{
	struct status_reason m;
	uint32_t phase = PHASE_STARTING;
	size_t len;

	while (wire_recv(fd, &m, sizeof(m), &len, NULL) == WIRE_OK) {
		if (m.type == STATUS_PHASE) {
			const struct status_phase *p = (const void *)&m;

			ck_assert_uint_eq(len, sizeof(*p));
			ck_assert_uint_gt(p->phase, phase);
			phase = p->phase;
			continue;
		}
		ck_assert_uint_eq(m.type, STATUS_REASON);
		ck_assert_uint_eq(len, sizeof(m));
		ck_assert_int_eq(wire_string_ok(m.reason, sizeof(m.reason)), 1);
	}
}

static void
place(int fd, int number)
{
	ck_assert_int_eq(dup2(fd, number), number);
	(void)close(fd);
}

static void
live(void)
{
	/* A refused user costs a hash. */
	const int is_admitted = abuse_below(500) != 0;
	enum outcome wanted;
	int txn[2], status[2];

	ck_assert_int_eq(wire_pair(txn), 0);
	ck_assert_int_eq(wire_pair(status), 0);
	make_begin("demo");
	send_on(txn[0]);
	wanted = speak_as_net(txn[0], is_admitted);
	send_unheard(txn[0]);
	(void)shutdown(txn[0], SHUT_WR);
	place(txn[1], WIRE_HELPER_TRANSACTION_FD);
	place(status[1], WIRE_HELPER_STATUS_FD);
	ck_assert_int_eq(transaction_run(is_admitted), wanted);
	if (wanted == OUTCOME_POLICY_REFUSED)
		model.n_hashes++;
	(void)shutdown(WIRE_HELPER_STATUS_FD, SHUT_WR);
	assert_status(status[0]);
	(void)close(txn[0]);
	(void)close(status[0]);
	ck_assert_int_eq(seen.n_auth, model.n_auth);
	ck_assert_int_eq(seen.n_start, model.n_auth);
	ck_assert_int_eq(seen.n_change, model.n_change);
	ck_assert_int_eq(seen.n_hashes, model.n_hashes);
	if (abuse_below(100) == 0)
		assert_accounts();
}

START_TEST(test_net_lies)
{
	const uint64_t n = abuse_count(20000);
	uint64_t n_lives = 0;
	int n_fds;

	for (int i = 0; i < 50; i++)
		live();
	n_fds = abuse_count_fds();
	for (model.n_messages = 0; model.n_messages < n; n_lives++)
		live();
	(void)printf("%ju messages, %ju helpers, PAM asked %d times, %d "
		     "changes\n",
	    (uintmax_t)model.n_messages, (uintmax_t)n_lives, seen.n_auth,
	    seen.n_change);
	assert_accounts();
	ck_assert_int_gt(seen.n_change, 0);
	ck_assert_int_eq(abuse_count_fds(), n_fds);
}
END_TEST

/* The monitor's own message, broken as an upgrade might break it. */
START_TEST(test_begin_is_broken)
{
	const struct abuse_string strings[] = {
		{ offsetof(struct txn_begin, user), WIRE_USER_SIZE },
		{ offsetof(struct txn_begin, service), WIRE_SERVICE_SIZE },
		{ offsetof(struct txn_begin, confdir), WIRE_PATH_SIZE },
		{ offsetof(struct txn_begin, rhost), WIRE_ADDRESS_SIZE },
	};

	for (int i = 0; i < 1000; i++) {
		int txn[2], status[2];
		enum outcome wanted;

		ck_assert_int_eq(wire_pair(txn), 0);
		ck_assert_int_eq(wire_pair(status), 0);
		make_begin("demo");
		abuse_spoil(&message, strings, (size_t)N_OF(strings));
		send_on(txn[0]);
		wanted =
		    message.len == 0 ? OUTCOME_CANCELLED : OUTCOME_TEMPORARY;
		send_unheard(txn[0]);
		(void)shutdown(txn[0], SHUT_WR);
		place(txn[1], WIRE_HELPER_TRANSACTION_FD);
		place(status[1], WIRE_HELPER_STATUS_FD);
		ck_assert_int_eq(transaction_run(1), wanted);
		(void)close(txn[0]);
		(void)close(status[0]);
	}
	ck_assert_int_eq(seen.n_start, 0);
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("helper");

	/* The helper's own numbers, before anything else takes them. */
	while (open("/dev/null", O_RDWR) < WIRE_HELPER_STATUS_FD)
		continue;
	tcase_set_timeout(tcase, 1200);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_net_lies);
	tcase_add_test(tcase, test_begin_is_broken);
	return suite_run("helper", tcase);
}
