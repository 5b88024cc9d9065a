/*
 * One password change: messages in, PAM, an answer out. Runs with the user's
 * real uid and effective root, as passwd(1) does; handles two passwords.
 */
#include "pam/transaction.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <crypt.h>
#include <security/pam_appl.h>

#include "common/clock.h"
#include "common/log.h"
#include "pam/answers.h"
#include "pam/conversation.h"
#include "pam/outcome.h"

/* Between two tries at a database that somebody else has locked. */
#define RETRY_PAUSE_MS 100

/* For a check of the old password, and the answer, after the last try. */
#define RETRY_MARGIN_MS 2000

enum transaction_state {
	STATE_START,
	STATE_IDENTIFIED,
	STATE_AUTHENTICATED,
	STATE_ENDED
};

/* All of it in secret memory. */
struct transaction {
	struct secret old_secret;
	struct secret new_secret;
	struct txn_begin begin;
	enum transaction_state state;
	enum outcome outcome;
	int is_admitted;
	int may_be_written; /* a module was given the new password */
	struct answers *answers;
	struct conversation *conversation;
	pam_handle_t *pam;
};

static void
tell_phase(enum helper_phase phase)
{
	const struct status_phase m = { .type = STATUS_PHASE, .phase = phase };

	/* A monitor that is gone is no reason not to finish. */
	(void)wire_send(WIRE_HELPER_STATUS_FD, &m, sizeof(m), -1);
}

static void
tell_reason(const char *reason)
{
	struct status_reason m = { .type = STATUS_REASON };

	wire_string_set(m.reason, sizeof(m.reason), reason);
	(void)wire_send(WIRE_HELPER_STATUS_FD, &m, sizeof(m), -1);
}

/* For --test-login. A module may show what it was given. */
static void
on_dialogue(void *context, enum dialogue_style style, enum answer answer,
    const char *text)
{
	static const enum dialogue_answer answers[] = {
		[ANSWER_REFUSED] = DIALOGUE_NONE,
		[ANSWER_OLD] = DIALOGUE_OLD,
		[ANSWER_NEW] = DIALOGUE_NEW,
	};
	const struct transaction *t = context;
	struct status_dialogue m = { .type = STATUS_DIALOGUE,
		.style = style,
		.answer = answers[answer] };

	outcome_reason(m.text, sizeof(m.text), text,
	    *text != '\0' ? "(a text with the password in it)" : "",
	    &t->old_secret, &t->new_secret);
	(void)wire_send(WIRE_HELPER_STATUS_FD, &m, sizeof(m), -1);
}

/* What PAM said of itself, and what its modules said. */
static void
tell_pam_reason(const struct transaction *t, const char *what, int code)
{
	const char *text = conversation_error(t->conversation);
	const char *unplaced = answers_unplaced(t->answers);
	/* Whole, so that no password is cut before it is looked for. */
	char reason[CONVERSATION_ERROR_SIZE + 512];
	char cleaned[WIRE_DETAIL_SIZE];

	if (*unplaced != '\0')
		(void)snprintf(reason, sizeof(reason),
		    "%s: no answer for the prompt \"%s\", see pam-prompt", what,
		    unplaced);
	else
		(void)snprintf(reason, sizeof(reason), "%s: %s%s%s", what,
		    pam_strerror(t->pam, code), *text != '\0' ? ": " : "",
		    text);
	outcome_reason(cleaned, sizeof(cleaned), reason, what, &t->old_secret,
	    &t->new_secret);
	explicit_bzero(reason, sizeof(reason));
	tell_reason(cleaned);
}

static void
send_answer(enum outcome outcome, const char *reason)
{
	struct txn_answer m = { .type = TXN_ANSWER, .outcome = outcome };

	wire_string_set(m.reason, sizeof(m.reason), reason);
	/* A client that left has not undone the change. */
	(void)wire_send(WIRE_HELPER_TRANSACTION_FD, &m, sizeof(m), -1);
}

/* The last word: PAM is ended before it is said, so that a module that fails
 * in its cleanup cannot turn a said success into something else. */
static enum wire_result
conclude(struct transaction *t, enum outcome outcome, const char *reason)
{
	if (t->pam != NULL)
		(void)pam_end(t->pam, PAM_SUCCESS);
	t->pam = NULL;
	t->outcome = outcome;
	t->state = STATE_ENDED;
	send_answer(outcome, reason);
	return WIRE_OK;
}

/* The delay after a failure is net's, on a timer that costs no process: see
 * pam_fail_delay(3). */
static void
on_fail_delay(int code, unsigned usec, void *context)
{
	(void)code;
	(void)usec;
	(void)context;
}

static int
set_items(pam_handle_t *pam, const struct txn_begin *begin)
{
	union {
		void (*function)(int code, unsigned usec, void *context);
		const void *item;
	} delay = { .function = on_fail_delay };
	int code = pam_set_item(pam, PAM_TTY, "poppassd");

	if (code == PAM_SUCCESS && begin->rhost[0] != '\0')
		code = pam_set_item(pam, PAM_RHOST, begin->rhost);
	if (code == PAM_SUCCESS)
		code = pam_set_item(pam, PAM_FAIL_DELAY, delay.item);
	return code;
}

static int
start_pam(const struct transaction *t, pam_handle_t **pam)
{
	const struct txn_begin *b = &t->begin;
	const struct pam_conv *conv = conversation_pam(t->conversation);
	const char *confdir = b->confdir[0] != '\0' ? b->confdir : NULL;
	int code;

	*pam = NULL;
	code = pam_start_confdir(b->service, b->user, conv, confdir, pam);
	if (code == PAM_SUCCESS)
		code = set_items(*pam, b);
	return code;
}

static int
user_is_unchanged(const struct transaction *t, pam_handle_t *pam)
{
	const void *user = NULL;

	return pam_get_item(pam, PAM_USER, &user) == PAM_SUCCESS &&
	    user != NULL && strcmp(user, t->begin.user) == 0;
}

static int
authenticate(struct transaction *t, pam_handle_t *pam)
{
	conversation_begin(t->conversation, ANSWERS_AUTH, &t->old_secret, NULL);
	return pam_authenticate(pam, PAM_DISALLOW_NULL_AUTHTOK);
}

static enum outcome
judge_authentication(struct transaction *t)
{
	int code = authenticate(t, t->pam);
	enum outcome outcome = outcome_of_authenticate(code);

	if (outcome != OUTCOME_AUTHENTICATED) {
		tell_pam_reason(t, "authentication", code);
		return outcome;
	}
	if (!user_is_unchanged(t, t->pam)) {
		tell_reason("authentication: a module changed the user name");
		return OUTCOME_TEMPORARY;
	}
	/* pam_rootok, pam_permit and their like succeed for anybody. */
	if (!answers_gave(t->answers, ANSWER_OLD)) {
		tell_reason(
		    "authentication: the stack succeeded without asking for "
		    "the password");
		return OUTCOME_AUTH_FAILED;
	}
	return outcome;
}

static enum outcome
judge_account(struct transaction *t)
{
	int code = pam_acct_mgmt(t->pam, PAM_DISALLOW_NULL_AUTHTOK);
	enum outcome outcome = outcome_of_account(code);

	if (outcome != OUTCOME_AUTHENTICATED) {
		tell_pam_reason(t, "account", code);
		return outcome;
	}
	if (user_is_unchanged(t, t->pam))
		return outcome;
	tell_reason("account: a module changed the user name");
	return OUTCOME_TEMPORARY;
}

/* As much work as a check of the password, and PAM hears nothing of it. */
static void
spend_the_time(const struct secret *secret)
{
	char salt[CRYPT_GENSALT_OUTPUT_SIZE];
	struct crypt_data *data = calloc(1, sizeof(*data));

	if (data != NULL &&
	    crypt_gensalt_rn(NULL, 0, NULL, 0, salt, sizeof(salt)) != NULL)
		(void)crypt_r(secret->bytes, salt, data);
	if (data != NULL)
		explicit_bzero(data, sizeof(*data));
	free(data);
}

static enum wire_result
take_secret(const struct txn_secret *m, struct secret *secret)
{
	if (!secret_valid(&m->secret))
		return WIRE_BAD;
	*secret = m->secret;
	return WIRE_OK;
}

static enum wire_result
on_auth(void *context, const void *message, int passed_fd)
{
	struct transaction *t = context;
	enum outcome outcome;
	int code;

	(void)passed_fd;
	if (take_secret(message, &t->old_secret) != WIRE_OK)
		return WIRE_BAD;
	tell_phase(PHASE_AUTH);
	if (!t->is_admitted) {
		spend_the_time(&t->old_secret);
		return conclude(t, OUTCOME_POLICY_REFUSED, "");
	}
	code = start_pam(t, &t->pam);
	if (code != PAM_SUCCESS) {
		tell_pam_reason(t, "pam_start", code);
		return conclude(t, OUTCOME_TEMPORARY, "");
	}
	outcome = judge_authentication(t);
	if (outcome == OUTCOME_AUTHENTICATED)
		outcome = judge_account(t);
	if (outcome != OUTCOME_AUTHENTICATED)
		return conclude(t, outcome, "");
	t->outcome = OUTCOME_AUTHENTICATED;
	t->state = STATE_AUTHENTICATED;
	tell_phase(PHASE_IDLE);
	send_answer(OUTCOME_AUTHENTICATED, "");
	return WIRE_OK;
}

/* The module that found its database busy has written nothing: asking again is
 * safe, as long as there is time for a try as long as the last one, and for an
 * answer. One before it may have. */
static int
change_token(struct transaction *t)
{
	uint64_t now = clock_now_ms();
	const uint64_t end = now + t->begin.change_timeout_ms;
	int code;

	for (;;) {
		const uint64_t start = now;

		conversation_begin(t->conversation, ANSWERS_CHANGE,
		    &t->old_secret, &t->new_secret);
		code = pam_chauthtok(t->pam, 0);
		t->may_be_written |= answers_gave(t->answers, ANSWER_NEW);
		now = clock_now_ms();
		if (!outcome_may_retry(code) ||
		    now + (now - start) + RETRY_MARGIN_MS > end)
			return code;
		(void)poll(NULL, 0, RETRY_PAUSE_MS);
		now = clock_now_ms();
	}
}

/* Asks the whole stack anew, as the next login would. */
static int
old_password_works(struct transaction *t)
{
	pam_handle_t *pam;
	int code = start_pam(t, &pam);

	if (code == PAM_SUCCESS)
		code = authenticate(t, pam);
	if (pam != NULL)
		(void)pam_end(pam, code);
	return code == PAM_SUCCESS && answers_gave(t->answers, ANSWER_OLD);
}

static enum wire_result
conclude_refusal(struct transaction *t, int code)
{
	enum outcome outcome = outcome_may_retry(code) ? OUTCOME_TEMPORARY
						       : OUTCOME_CHANGE_REFUSED;
	const char *text = conversation_error(t->conversation);
	char reason[WIRE_REASON_SIZE];

	tell_pam_reason(t, "change", code);
	outcome_reason(reason, sizeof(reason),
	    *text != '\0' ? text : outcome_text(code), outcome_text(code),
	    &t->old_secret, &t->new_secret);
	/* A stack may fail after one of its modules has stored the password.
	 * Only the stack itself can say which one works now. */
	if (t->may_be_written && !old_password_works(t)) {
		outcome = OUTCOME_UNKNOWN;
		reason[0] = '\0';
	}
	return conclude(t, outcome, reason);
}

static enum wire_result
on_change(void *context, const void *message, int passed_fd)
{
	struct transaction *t = context;
	int code;

	(void)passed_fd;
	if (take_secret(message, &t->new_secret) != WIRE_OK)
		return WIRE_BAD;
	tell_phase(PHASE_CHANGE);
	code = change_token(t);
	if (code != PAM_SUCCESS)
		return conclude_refusal(t, code);
	if (!answers_gave(t->answers, ANSWER_NEW)) {
		tell_reason("change: the stack succeeded without asking for "
			    "the new password");
		return conclude(t,
		    t->may_be_written ? OUTCOME_UNKNOWN
				      : OUTCOME_CHANGE_REFUSED,
		    "");
	}
	if (!user_is_unchanged(t, t->pam)) {
		tell_reason("change: a module changed the user name");
		return conclude(t, OUTCOME_UNKNOWN, "");
	}
	return conclude(t, OUTCOME_CHANGED, "");
}

static int
begin_ok(const struct txn_begin *b)
{
	return b->version == WIRE_VERSION && b->n_prompts <= WIRE_PROMPTS_MAX &&
	    wire_string_ok(b->user, sizeof(b->user)) && b->user[0] != '\0' &&
	    wire_string_ok(b->service, sizeof(b->service)) &&
	    wire_string_ok(b->confdir, sizeof(b->confdir)) &&
	    wire_string_ok(b->rhost, sizeof(b->rhost));
}

static enum wire_result
on_begin(void *context, const void *message, int passed_fd)
{
	struct transaction *t = context;

	(void)passed_fd;
	memcpy(&t->begin, message, sizeof(t->begin));
	if (!begin_ok(&t->begin))
		return WIRE_BAD;
	t->answers = answers_new(t->begin.prompts, t->begin.n_prompts);
	if (t->answers != NULL)
		t->conversation = conversation_new(t->answers);
	if (t->conversation == NULL)
		return WIRE_BAD;
	if (t->begin.tells_dialogue)
		conversation_tell(t->conversation, on_dialogue, t);
	t->state = STATE_IDENTIFIED;
	return WIRE_OK;
}

static const struct wire_rule rules[] = {
	{ TXN_BEGIN, WIRE_STATE(STATE_START), sizeof(struct txn_begin),
	    on_begin, 0 },
	{ TXN_AUTH, WIRE_STATE(STATE_IDENTIFIED), sizeof(struct txn_secret),
	    on_auth, 0 },
	{ TXN_CHANGE, WIRE_STATE(STATE_AUTHENTICATED),
	    sizeof(struct txn_secret), on_change, 0 },
};

static void
serve(struct transaction *t, void *buf, size_t size)
{
	enum wire_result result = WIRE_OK;

	while (result == WIRE_OK && t->state != STATE_ENDED) {
		result = wire_dispatch(WIRE_HELPER_TRANSACTION_FD, rules,
		    sizeof(rules) / sizeof(*rules), t->state, buf, size, t);
		explicit_bzero(buf, size);
	}
	if (result == WIRE_OK || result == WIRE_EOF)
		return;
	/* The first message is the monitor's: after an upgrade it may be of
	 * another size. */
	tell_reason(t->state == STATE_START
		? "helper and daemon are of different versions; restart it"
		: "net broke the protocol");
	t->outcome = OUTCOME_TEMPORARY;
}

enum outcome
transaction_run(int is_admitted)
{
	size_t buf_size = sizeof(struct txn_begin);
	struct transaction *t = secret_memory_map(sizeof(*t), NULL);
	void *buf = secret_memory_map(buf_size, NULL);
	enum outcome outcome = OUTCOME_TEMPORARY;

	if (t == NULL || buf == NULL) {
		tell_reason(strerror(errno));
		goto out;
	}
	t->is_admitted = is_admitted;
	t->outcome = OUTCOME_CANCELLED;
	serve(t, buf, buf_size);
	outcome = t->outcome;
	if (t->pam != NULL)
		(void)pam_end(t->pam, PAM_SUCCESS);
	conversation_free(t->conversation);
	answers_free(t->answers);
out:
	secret_memory_unmap(t, sizeof(*t));
	secret_memory_unmap(buf, buf_size);
	return outcome;
}
