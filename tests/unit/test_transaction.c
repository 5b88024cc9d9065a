/*
 * The real helper program between a monitor and a net process that the test
 * plays, with PAM stacks of the test's own. Runs without root as well.
 */
#include <sys/stat.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/wire.h"
#include "tests/unit/suite.h"

#define STACK_MATRIX                                                           \
	"auth required " PAM_MATRIX " passdb=%s/accounts\n"                    \
	"account required pam_permit.so\n"                                     \
	"password required " PAM_MATRIX " passdb=%s/accounts\n"

static char folder[64];
static int transaction = -1;
static int status = -1;
static pid_t helper = -1;
static char last_words[WIRE_REASON_SIZE]; /* to the client */

static void
write_file(const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

static void
write_matrix_stack(void)
{
	char text[1024];

	(void)snprintf(text, sizeof(text), STACK_MATRIX, folder, folder);
	write_file("service", text);
	write_file("accounts", "demo:old:service\n");
}

static void
setup(void)
{
	(void)strcpy(folder, "/tmp/test_transaction.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	write_matrix_stack();
}

static void
teardown(void)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/service", folder);
	(void)remove(path);
	(void)snprintf(path, sizeof(path), "%s/accounts", folder);
	(void)remove(path);
	(void)remove(folder);
}

/* The helper finds its sockets where the monitor puts them. */
static void
start(const char *verdict)
{
	int txn[2], sta[2];
	char uid[16];

	(void)snprintf(uid, sizeof(uid), "%u", (unsigned)getuid());
	ck_assert_int_eq(wire_pair(txn), 0);
	ck_assert_int_eq(wire_pair(sta), 0);
	helper = fork();
	if (helper == 0) {
		int a = fcntl(txn[1], F_DUPFD_CLOEXEC, 20);
		int b = fcntl(sta[1], F_DUPFD_CLOEXEC, 20);

		(void)dup2(a, WIRE_HELPER_TRANSACTION_FD);
		(void)dup2(b, WIRE_HELPER_STATUS_FD);
		(void)execl(HELPER, "poppassd-pam", verdict, uid, NULL);
		_exit(EX_OSERR);
	}
	(void)close(txn[1]);
	(void)close(sta[1]);
	transaction = txn[0];
	status = sta[0];
}

static void
begin(void)
{
	struct txn_begin m;

	memset(&m, 0, sizeof(m));
	m.type = TXN_BEGIN;
	m.version = WIRE_VERSION;
	m.change_timeout_ms = 9000;
	wire_string_set(m.user, sizeof(m.user), "demo");
	wire_string_set(m.service, sizeof(m.service), "service");
	wire_string_set(m.confdir, sizeof(m.confdir), folder);
	ck_assert_int_eq(wire_send(transaction, &m, sizeof(m), -1), WIRE_OK);
}

static void
send_secret(enum wire_type type, const char *text)
{
	struct txn_secret m = { .type = type };

	ck_assert_int_eq(secret_set(&m.secret, text, strlen(text)), 0);
	ck_assert_int_eq(wire_send(transaction, &m, sizeof(m), -1), WIRE_OK);
}

static enum outcome
answer(void)
{
	struct txn_answer m;
	size_t len;

	ck_assert_int_eq(
	    wire_recv(transaction, &m, sizeof(m), &len, NULL), WIRE_OK);
	ck_assert_uint_eq(len, sizeof(m));
	ck_assert_uint_eq(m.type, TXN_ANSWER);
	memcpy(last_words, m.reason, sizeof(last_words));
	return (enum outcome)m.outcome;
}

static enum outcome
ask(enum wire_type type, const char *text)
{
	send_secret(type, text);
	return answer();
}

static int
exit_status(void)
{
	int code;

	(void)close(transaction);
	ck_assert_int_eq(waitpid(helper, &code, 0), helper);
	ck_assert(WIFEXITED(code));
	return WEXITSTATUS(code);
}

/* The last reason that the monitor was told. */
static const char *
reason(void)
{
	static char text[WIRE_DETAIL_SIZE];
	struct status_reason m;
	size_t len;

	text[0] = '\0';
	while (wire_recv(status, &m, sizeof(m), &len, NULL) == WIRE_OK) {
		if (m.type == STATUS_REASON)
			memcpy(text, m.reason, sizeof(text));
	}
	return text;
}

static void
assert_account(const char *wanted)
{
	char path[PATH_MAX], line[128] = "";
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/accounts", folder);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), f));
	(void)fclose(f);
	line[strcspn(line, "\n")] = '\0';
	ck_assert_str_eq(line, wanted);
}

struct visit {
	const char *verdict;
	const char *old_secret; /* NULL: net leaves before it */
	const char *new_secret; /* NULL: net leaves before it */
	enum outcome outcome;
	const char *account; /* afterwards */
};

static const struct visit visits[] = {
	{ "admitted", "old", "new", OUTCOME_CHANGED, "demo:new:service" },
	{ "admitted", "wrong", NULL, OUTCOME_AUTH_FAILED, "demo:old:service" },
	/* PAM must not hear of it: the password would be right. */
	{ "refused", "old", NULL, OUTCOME_POLICY_REFUSED, "demo:old:service" },
	{ "admitted", NULL, NULL, OUTCOME_CANCELLED, "demo:old:service" },
	{ "admitted", "old", NULL, OUTCOME_AUTHENTICATED, "demo:old:service" },
};

START_TEST(test_exit_status_is_the_last_answer)
{
	const struct visit *v = &visits[_i];

	start(v->verdict);
	begin();
	if (v->old_secret != NULL)
		ck_assert_int_eq(ask(TXN_AUTH, v->old_secret),
		    v->new_secret != NULL ? OUTCOME_AUTHENTICATED : v->outcome);
	if (v->new_secret != NULL)
		ck_assert_int_eq(ask(TXN_CHANGE, v->new_secret), v->outcome);
	ck_assert_int_eq(exit_status(), v->outcome);
	assert_account(v->account);
}
END_TEST

START_TEST(test_change_before_auth_breaks_the_protocol)
{
	start("admitted");
	begin();
	send_secret(TXN_CHANGE, "new");
	ck_assert_int_eq(exit_status(), OUTCOME_TEMPORARY);
	ck_assert_str_eq(reason(), "net broke the protocol");
	assert_account("demo:old:service");
}
END_TEST

/* The user is the monitor's to say, once. */
START_TEST(test_second_begin_breaks_the_protocol)
{
	start("admitted");
	begin();
	begin();
	ck_assert_int_eq(exit_status(), OUTCOME_TEMPORARY);
}
END_TEST

START_TEST(test_auth_without_begin)
{
	start("admitted");
	send_secret(TXN_AUTH, "old");
	ck_assert_int_eq(exit_status(), OUTCOME_TEMPORARY);
	ck_assert_ptr_nonnull(strstr(reason(), "different versions"));
}
END_TEST

START_TEST(test_broken_secret_breaks_the_protocol)
{
	struct txn_secret m = { .type = TXN_AUTH };

	m.secret.len = 0xffffffffU;
	start("admitted");
	begin();
	ck_assert_int_eq(wire_send(transaction, &m, sizeof(m), -1), WIRE_OK);
	ck_assert_int_eq(exit_status(), OUTCOME_TEMPORARY);
}
END_TEST

struct stack {
	const char *auth; /* NULL: pam_matrix */
	const char *account;
	enum outcome outcome;
	const char *reason;
};

static const struct stack stacks[] = {
	{ "pam_permit.so", "pam_permit.so", OUTCOME_AUTH_FAILED,
	    "the stack succeeded without asking for the password" },
	{ "pam_deny.so", "pam_permit.so", OUTCOME_AUTH_FAILED,
	    "authentication: " },
	{ "pam_no_such_module.so", "pam_permit.so", OUTCOME_TEMPORARY,
	    "authentication: " },
	{ "pam_debug.so auth=authinfo_unavail", "pam_permit.so",
	    OUTCOME_TEMPORARY, "authentication: " },
	{ "pam_debug.so auth=user_unknown", "pam_permit.so",
	    OUTCOME_AUTH_FAILED, "authentication: " },
	{ NULL, "pam_debug.so acct=acct_expired", OUTCOME_ACCOUNT_REFUSED,
	    "account: " },
	{ NULL, "pam_debug.so acct=new_authtok_reqd", OUTCOME_AUTHENTICATED,
	    "" },
	{ NULL, "pam_debug.so acct=authinfo_unavail", OUTCOME_TEMPORARY,
	    "account: " },
};

START_TEST(test_auth_obeys_the_stack)
{
	char auth[256], text[1024];

	if (stacks[_i].auth == NULL)
		(void)snprintf(auth, sizeof(auth),
		    PAM_MATRIX " passdb=%s/accounts", folder);
	else
		(void)snprintf(auth, sizeof(auth), "%s", stacks[_i].auth);
	(void)snprintf(text, sizeof(text),
	    "auth required %s\naccount required %s\n", auth,
	    stacks[_i].account);
	write_file("service", text);
	start("admitted");
	begin();
	ck_assert_int_eq(ask(TXN_AUTH, "old"), stacks[_i].outcome);
	ck_assert_int_eq(exit_status(), stacks[_i].outcome);
	ck_assert_ptr_nonnull(strstr(reason(), stacks[_i].reason));
}
END_TEST

struct odd {
	const char *type; /* of the stack that pam_odd ends */
	const char *trick;
	enum outcome auth;
	enum outcome change; /* if it comes to that */
	const char *reason;
};

static const struct odd odds[] = {
	{ "auth", "two", OUTCOME_AUTHENTICATED, OUTCOME_CHANGED, "" },
	{ "auth", "none", OUTCOME_AUTHENTICATED, OUTCOME_CHANGED, "" },
	{ "auth", "null", OUTCOME_AUTHENTICATED, OUTCOME_CHANGED, "" },
	{ "auth", "user", OUTCOME_TEMPORARY, OUTCOME_NONE, "user name" },
	{ "account", "user", OUTCOME_TEMPORARY, OUTCOME_NONE, "user name" },
	{ "auth", "code", OUTCOME_TEMPORARY, OUTCOME_NONE,
	    "no answer for the prompt \"One-time code: \"" },
	{ "auth", "radio", OUTCOME_TEMPORARY, OUTCOME_NONE, "Conversation" },
	{ "auth", "binary", OUTCOME_TEMPORARY, OUTCOME_NONE, "Conversation" },
	{ "auth", "unsaid", OUTCOME_TEMPORARY, OUTCOME_NONE, "Conversation" },
	/* pam_matrix has written: nobody knows. */
	{ "password", "user", OUTCOME_AUTHENTICATED, OUTCOME_UNKNOWN,
	    "user name" },
	{ "password", "radio", OUTCOME_AUTHENTICATED, OUTCOME_UNKNOWN,
	    "Conversation" },
	{ "password", "null", OUTCOME_AUTHENTICATED, OUTCOME_CHANGED, "" },
};

static void
append_odd(const char *type, const char *trick)
{
	char text[1024];

	(void)snprintf(text, sizeof(text),
	    STACK_MATRIX "%s required " PAM_ODD " %s\n", folder, folder, type,
	    trick);
	write_file("service", text);
}

START_TEST(test_odd_modules_are_survived)
{
	const struct odd *odd = &odds[_i];
	enum outcome last = odd->auth;

	append_odd(odd->type, odd->trick);
	start("admitted");
	begin();
	ck_assert_int_eq(ask(TXN_AUTH, "old"), odd->auth);
	if (odd->auth == OUTCOME_AUTHENTICATED) {
		last = odd->change;
		ck_assert_int_eq(ask(TXN_CHANGE, "new"), last);
	}
	ck_assert_int_eq(exit_status(), last);
	ck_assert_ptr_nonnull(strstr(reason(), odd->reason));
	assert_account(odd->change == OUTCOME_NONE ? "demo:old:service"
						   : "demo:new:service");
}
END_TEST

/* The exit status of a module is none of the verdicts. */
START_TEST(test_module_that_exits_says_nothing)
{
	struct txn_answer m;
	size_t len;

	append_odd("auth", "exit");
	start("admitted");
	begin();
	send_secret(TXN_AUTH, "old");
	ck_assert_int_eq(
	    wire_recv(transaction, &m, sizeof(m), &len, NULL), WIRE_EOF);
	ck_assert_int_eq(exit_status(), OUTCOME_NONE);
}
END_TEST

struct refusal {
	const char *module;
	const char *words;
};

static const struct refusal refusals[] = {
	{ "pam_permit.so", "" },
	{ PAM_ODD " silent", "The new password was not accepted." },
	{ PAM_ODD " text",
	    "Password change failed. Server message: Too short." },
};

/* Nothing is stored, whatever the module says of that. */
START_TEST(test_change_that_stores_nothing_is_none)
{
	char text[1024];

	(void)snprintf(text, sizeof(text),
	    "auth required " PAM_MATRIX " passdb=%s/accounts\n"
	    "account required pam_permit.so\n"
	    "password required %s\n",
	    folder, refusals[_i].module);
	write_file("service", text);
	start("admitted");
	begin();
	ck_assert_int_eq(ask(TXN_AUTH, "old"), OUTCOME_AUTHENTICATED);
	ck_assert_int_eq(ask(TXN_CHANGE, "new"), OUTCOME_CHANGE_REFUSED);
	ck_assert_str_eq(last_words, refusals[_i].words);
	ck_assert_int_eq(exit_status(), OUTCOME_CHANGE_REFUSED);
}
END_TEST

START_TEST(test_started_by_hand)
{
	int code;
	pid_t pid = fork();

	if (pid == 0) {
		(void)close(WIRE_HELPER_TRANSACTION_FD);
		(void)close(WIRE_HELPER_STATUS_FD);
		(void)execl(HELPER, "poppassd-pam", NULL);
		_exit(EX_OSERR);
	}
	ck_assert_int_eq(waitpid(pid, &code, 0), pid);
	ck_assert(WIFEXITED(code));
	ck_assert_int_eq(WEXITSTATUS(code), EX_USAGE);
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("transaction");

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(
	    tcase, test_exit_status_is_the_last_answer, 0, N_OF(visits));
	tcase_add_test(tcase, test_change_before_auth_breaks_the_protocol);
	tcase_add_test(tcase, test_second_begin_breaks_the_protocol);
	tcase_add_test(tcase, test_auth_without_begin);
	tcase_add_test(tcase, test_broken_secret_breaks_the_protocol);
	tcase_add_loop_test(tcase, test_auth_obeys_the_stack, 0, N_OF(stacks));
	tcase_add_loop_test(
	    tcase, test_odd_modules_are_survived, 0, N_OF(odds));
	tcase_add_test(tcase, test_module_that_exits_says_nothing);
	tcase_add_loop_test(
	    tcase, test_change_that_stores_nothing_is_none, 0, N_OF(refusals));
	tcase_add_test(tcase, test_started_by_hand);
	return suite_run("transaction", tcase);
}
