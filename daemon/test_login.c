/*
 * --test-login: a login as the daemon would have it checked, shown step by
 * step. Runs with the monitor's privilege; handles one password, which the
 * administrator types.
 */
#include "daemon/test_login.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/terminal.h"
#include "daemon/confine.h"
#include "daemon/helper_process.h"
#include "daemon/preflight.h"
#include "daemon/process_tree.h"
#include "daemon/username.h"

#define EXIT_REFUSED 1

/* Messages that are still read when the helper has ended. */
#define LAST_WORDS_MAX 64

struct trial {
	struct config *config;
	struct ctl_admit_request request;
	int transaction_fd;
	int status_fd;
	pid_t pid;
	int has_ended; /* the helper has closed its end */
};

static void
print(const char *what, const char *text, const char *then)
{
	char escaped[4 * WIRE_DETAIL_SIZE];

	log_escape(escaped, sizeof(escaped), text);
	(void)printf("%s: \"%s\"%s\n", what, escaped, then);
}

static const char *const style_names[] = {
	[DIALOGUE_PROMPT] = "prompt",
	[DIALOGUE_PROMPT_ECHO] = "prompt (with echo)",
	[DIALOGUE_TEXT] = "text",
	[DIALOGUE_ERROR] = "error",
	[DIALOGUE_OTHER] = "question of another kind",
};

static const char *
answer_text(const struct status_dialogue *m)
{
	if (m->style == DIALOGUE_TEXT || m->style == DIALOGUE_ERROR)
		return "";
	if (m->answer == DIALOGUE_OLD)
		return "\n  answered with the current password";
	if (m->answer == DIALOGUE_NEW)
		return "\n  answered with the new password";
	return "\n  refused: asked again, or not to be placed; see pam-prompt "
	       "in poppassd.conf(5)";
}

static enum wire_result
on_status_dialogue(void *context, const void *message, int passed_fd)
{
	const struct status_dialogue *m = message;

	(void)context;
	(void)passed_fd;
	if (!wire_string_ok(m->text, sizeof(m->text)) ||
	    m->style < DIALOGUE_PROMPT || m->style > DIALOGUE_OTHER)
		return WIRE_BAD;
	print(style_names[m->style], m->text, answer_text(m));
	return WIRE_OK;
}

static enum wire_result
on_status_identity(void *context, const void *message, int passed_fd)
{
	const struct status_identity *m = message;

	(void)context;
	(void)passed_fd;
	(void)printf(m->known == 1 ? "account: on this system\n"
				   : "account: none on this system\n");
	return WIRE_OK;
}

static enum wire_result
on_status_phase(void *context, const void *message, int passed_fd)
{
	(void)context;
	(void)message;
	(void)passed_fd;
	return WIRE_OK;
}

static enum wire_result
on_status_reason(void *context, const void *message, int passed_fd)
{
	const struct status_reason *m = message;

	(void)context;
	(void)passed_fd;
	if (!wire_string_ok(m->reason, sizeof(m->reason)))
		return WIRE_BAD;
	print("reason", m->reason, "");
	return WIRE_OK;
}

static const struct wire_rule status_rules[] = {
	{ STATUS_IDENTITY, WIRE_ANY_STATE, sizeof(struct status_identity),
	    on_status_identity, 0 },
	{ STATUS_PHASE, WIRE_ANY_STATE, sizeof(struct status_phase),
	    on_status_phase, 0 },
	{ STATUS_DIALOGUE, WIRE_ANY_STATE, sizeof(struct status_dialogue),
	    on_status_dialogue, 0 },
	{ STATUS_REASON, WIRE_ANY_STATE, sizeof(struct status_reason),
	    on_status_reason, 0 },
};

/* There is nothing more to ask of it: it ends, and says in its status how. */
static enum wire_result
on_transaction_answer(void *context, const void *message, int passed_fd)
{
	const struct trial *t = context;

	(void)message;
	(void)passed_fd;
	(void)shutdown(t->transaction_fd, SHUT_WR);
	return WIRE_OK;
}

static const struct wire_rule transaction_rules[] = {
	{ TXN_ANSWER, WIRE_ANY_STATE, sizeof(struct txn_answer),
	    on_transaction_answer, 0 },
};

static enum wire_result
read_status(struct trial *t)
{
	uint64_t buf[512 / sizeof(uint64_t)];

	return wire_dispatch(t->status_fd, status_rules,
	    sizeof(status_rules) / sizeof(*status_rules), 0, buf, sizeof(buf),
	    t);
}

static enum wire_result
read_transaction(struct trial *t)
{
	uint64_t buf[1024 / sizeof(uint64_t)];

	return wire_dispatch(
	    t->transaction_fd, transaction_rules, 1, 0, buf, sizeof(buf), t);
}

/* Of one that has ended; what it left behind may hold the socket open. */
static void
read_last_words(struct trial *t)
{
	(void)fcntl(t->status_fd, F_SETFL, O_NONBLOCK);
	for (int i = 0; i < LAST_WORDS_MAX && read_status(t) == WIRE_OK; i++)
		continue;
}

/* What the helper says, until it has ended or its time is over. */
static void
listen_to_helper(struct trial *t)
{
	const uint64_t end = clock_now_ms() + t->config->change_timeout_ms;
	struct pollfd fds[] = { { .fd = t->status_fd, .events = POLLIN },
		{ .fd = t->transaction_fd, .events = POLLIN } };

	while (!t->has_ended) {
		const uint64_t now = clock_now_ms();
		const int n = now < end ? poll(fds, 2, (int)(end - now)) : 0;

		if (n == 0)
			break;
		if (n == -1)
			continue;
		/* What it says before its last word is shown before. */
		if (fds[0].revents != 0 && read_status(t) != WIRE_OK)
			fds[0].fd = -1;
		else if (fds[0].revents == 0)
			t->has_ended = read_transaction(t) != WIRE_OK;
	}
	read_last_words(t);
}

struct verdict {
	enum outcome outcome;
	int exit_status;
	const char *text;
};

static const struct verdict verdicts[] = {
	{ OUTCOME_AUTHENTICATED, EX_OK,
	    "the password is right, and the account may change it" },
	{ OUTCOME_AUTH_FAILED, EXIT_REFUSED,
	    "wrong password, or no such user" },
	{ OUTCOME_ACCOUNT_REFUSED, EXIT_REFUSED,
	    "the password is right, but the account stack refuses" },
	{ OUTCOME_POLICY_REFUSED, EXIT_REFUSED,
	    "the configuration refuses this user; PAM was not asked" },
	{ OUTCOME_TEMPORARY, EX_TEMPFAIL, "could not be decided" },
};

static int
report_verdict(const struct trial *t, int status)
{
	for (size_t i = 0; i < sizeof(verdicts) / sizeof(*verdicts); i++) {
		if (!WIFEXITED(status) ||
		    WEXITSTATUS(status) != (int)verdicts[i].outcome)
			continue;
		(void)printf("result: %s\n", verdicts[i].text);
		return verdicts[i].exit_status;
	}
	if (!t->has_ended)
		(void)printf(
		    "result: killed, its time was over (change-timeout)\n");
	else if (WIFSIGNALED(status))
		(void)printf(
		    "result: the helper died of signal %d\n", WTERMSIG(status));
	else
		(void)printf("result: the helper ended with status %d and no "
			     "verdict\n",
		    WEXITSTATUS(status));
	return EX_TEMPFAIL;
}

/* The password is wiped where it was, once it is sent. */
static int
send_password(const struct trial *t, struct txn_secret *m)
{
	enum wire_result result;

	m->type = TXN_AUTH;
	result = wire_send(t->transaction_fd, m, sizeof(*m), -1);
	secret_wipe(&m->secret);
	return result == WIRE_OK ? 0 : -1;
}

/* Our ends are in *t; the helper's own are closed. */
static int
start_helper(struct trial *t)
{
	int txn[2] = { -1, -1 }, status[2] = { -1, -1 };

	if (wire_pair(txn) == 0 && wire_pair(status) == 0 &&
	    helper_process_begin(
		t->config, &t->request, HELPER_TELLS_DIALOGUE, txn[1]) == 0)
		t->pid = helper_process_fork(
		    t->config, &t->request, txn[0], status[1]);
	t->transaction_fd = txn[1];
	t->status_fd = status[0];
	if (txn[0] != -1)
		(void)close(txn[0]);
	if (status[1] != -1)
		(void)close(status[1]);
	return t->pid > 0 ? 0 : -1;
}

static int
run(struct trial *t, struct txn_secret *m)
{
	int status = 0, result = EX_OSERR;

	if (start_helper(t) == -1)
		(void)fprintf(stderr, "poppassd: helper: cannot start: %s\n",
		    strerror(errno));
	else {
		/* If it is gone already, its status tells why. */
		(void)send_password(t, m);
		listen_to_helper(t);
		if (!t->has_ended)
			process_tree_kill(t->pid);
		(void)waitpid(t->pid, &status, 0);
		result = report_verdict(t, status);
	}
	if (t->transaction_fd != -1)
		(void)close(t->transaction_fd);
	if (t->status_fd != -1)
		(void)close(t->status_fd);
	return result;
}

static int
ask_password(struct secret *secret)
{
	switch (terminal_ask("Current password: ", secret)) {
	case TERMINAL_OK:
		return EX_OK;
	case TERMINAL_NONE:
		(void)fprintf(stderr,
		    "poppassd: there is no terminal to ask for the password\n");
		return EX_NOINPUT;
	case TERMINAL_TOO_LONG:
		(void)fprintf(stderr,
		    "poppassd: a password may have 511 bytes and no NUL "
		    "byte\n");
		return EX_DATAERR;
	case TERMINAL_EOF:
		(void)fprintf(stderr, "poppassd: the password is missing\n");
		return EX_DATAERR;
	case TERMINAL_ERROR:
		break;
	}
	(void)fprintf(stderr, "poppassd: %s\n", strerror(errno));
	return EX_OSERR;
}

/* As the monitor's, or what is shown would not be true. */
static void
prepare_process(void)
{
	(void)signal(SIGPIPE, SIG_IGN);
	(void)umask(077);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	confine_monitor();
	if (geteuid() != 0)
		(void)fprintf(stderr,
		    "poppassd: not started as root: what is shown is what a "
		    "daemon of this user would do\n");
}

static struct config *
load(const char *path)
{
	struct config_errors errors = { .out = stderr };
	struct config *config = config_load(path, &errors);

	if (config != NULL)
		preflight_check(config, &errors);
	if (errors.n > 0) {
		config_free(config);
		return NULL;
	}
	/* Nobody has connected from anywhere. */
	config->allow_from.n = config->deny_from.n = 0;
	return config;
}

int
test_login_main(const char *config_path, const char *user)
{
	struct trial t = { .transaction_fd = -1, .status_fd = -1 };
	struct txn_secret *m;
	int status;

	if (*user == '\0' || strlen(user) >= WIRE_USER_SIZE) {
		(void)fprintf(stderr,
		    "poppassd: --test-login wants a name of 1 to 255 bytes\n");
		return EX_USAGE;
	}
	t.config = load(config_path);
	if (t.config == NULL)
		return EX_CONFIG;
	wire_string_set(t.request.user, sizeof(t.request.user), user);
	wire_string_set(t.request.origin.address,
	    sizeof(t.request.origin.address), WIRE_UNIX_ADDRESS);
	username_canonicalise(t.config, t.request.user);
	m = secret_memory_map(sizeof(*m), NULL);
	status = m != NULL ? ask_password(&m->secret) : EX_OSERR;
	if (status == EX_OK) {
		prepare_process();
		print("user", t.request.user, "");
		(void)printf("service: %s\n", t.config->pam_service);
		(void)fflush(stdout);
		status = run(&t, m);
	}
	secret_memory_unmap(m, sizeof(*m));
	config_free(t.config);
	return status;
}
