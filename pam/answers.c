/*
 * Which password answers which prompt. Runs in the helper; sees prompts, no
 * passwords.
 */
#include "pam/answers.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

/* The same question from several modules is normal; without end it is a
 * module that has gone astray. */
#define MAX_TIMES 4

#define N_KINDS (PROMPT_REFUSE + 1)

struct wording {
	enum prompt_kind kind;
	regex_t regex;
};

struct answers {
	struct wording *wordings;
	size_t n_wordings;
	enum answers_phase phase;
	unsigned n_asked;
	unsigned times[N_KINDS];
	int error_since[N_KINDS];
	char unplaced[WIRE_PATTERN_SIZE];
};

/* In this order: "Retype new" is a retype, "one-time password" is none of
 * ours, and every "current password" is also a password. */
static const struct wire_prompt built_in[] = {
	{ PROMPT_REFUSE,
	    "(?i)one[- ]?time|verification|token|yubikey|press enter|"
	    "\\<(otp|totp|pin|code|challenge|response|passcode|captcha|duo|"
	    "factor)\\>" },
	{ PROMPT_RETYPE,
	    "(?i)re-?(type|enter|peat)|again|confirm|verify|once more" },
	{ PROMPT_NEW, "(?i)\\<new\\>" },
	{ PROMPT_CURRENT, "(?i)current|\\<old\\>|existing|\\(ldap\\)" },
	{ PROMPT_PASSWORD, "(?i)pass(word|phrase)" },
};

static int
compile(struct wording *wording, const struct wire_prompt *prompt)
{
	const char *pattern = prompt->pattern;
	int flags = REG_EXTENDED | REG_NOSUB;

	if (strncmp(pattern, "(?i)", 4) == 0) {
		pattern += 4;
		flags |= REG_ICASE;
	}
	wording->kind = (enum prompt_kind)prompt->kind;
	return regcomp(&wording->regex, pattern, flags) == 0 ? 0 : -1;
}

static int
add(struct answers *a, const struct wire_prompt *prompts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (prompts[i].kind < PROMPT_PASSWORD ||
		    prompts[i].kind > PROMPT_REFUSE ||
		    compile(&a->wordings[a->n_wordings], &prompts[i]) == -1)
			return -1;
		a->n_wordings++;
	}
	return 0;
}

struct answers *
answers_new(const struct wire_prompt *prompts, size_t n)
{
	size_t n_built_in = sizeof(built_in) / sizeof(*built_in);
	struct answers *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->wordings = calloc(n + n_built_in, sizeof(*a->wordings));
	if (a->wordings != NULL && add(a, prompts, n) == 0 &&
	    add(a, built_in, n_built_in) == 0)
		return a;
	answers_free(a);
	return NULL;
}

void
answers_begin(struct answers *answers, enum answers_phase phase)
{
	answers->phase = phase;
	answers->n_asked = 0;
	memset(answers->times, 0, sizeof(answers->times));
	memset(answers->error_since, 0, sizeof(answers->error_since));
	answers->unplaced[0] = '\0';
}

void
answers_note_error(struct answers *answers)
{
	for (size_t i = 0; i < N_KINDS; i++)
		answers->error_since[i] = answers->times[i] > 0;
}

static enum prompt_kind
kind_by_wording(const struct answers *a, const char *prompt)
{
	for (size_t i = 0; i < a->n_wordings; i++) {
		if (regexec(&a->wordings[i].regex, prompt, 0, NULL, 0) == 0)
			return a->wordings[i].kind;
	}
	return 0;
}

/* Only the first of the phase while authenticating: a second question that
 * nothing places is more likely a second factor. */
static enum prompt_kind
kind_by_order(const struct answers *a)
{
	static const enum prompt_kind change_order[] = { PROMPT_CURRENT,
		PROMPT_NEW, PROMPT_RETYPE };

	if (a->phase == ANSWERS_AUTH)
		return a->n_asked == 0 ? PROMPT_PASSWORD : PROMPT_REFUSE;
	if (a->n_asked < sizeof(change_order) / sizeof(*change_order))
		return change_order[a->n_asked];
	return PROMPT_REFUSE;
}

static enum prompt_kind
place(const struct answers *a, enum answers_style style, const char *prompt)
{
	enum prompt_kind kind = kind_by_wording(a, prompt);

	if (kind != 0)
		return kind;
	return style == STYLE_ECHO_OFF ? kind_by_order(a) : PROMPT_REFUSE;
}

static enum answer
answer_for(const struct answers *a, enum prompt_kind kind)
{
	switch (kind) {
	case PROMPT_PASSWORD:
	case PROMPT_CURRENT:
		return ANSWER_OLD;
	case PROMPT_NEW:
	case PROMPT_RETYPE:
		/* There is no new password yet. */
		return a->phase == ANSWERS_CHANGE ? ANSWER_NEW : ANSWER_REFUSED;
	case PROMPT_REFUSE:
		break;
	}
	return ANSWER_REFUSED;
}

enum answer
answers_choose(
    struct answers *answers, enum answers_style style, const char *prompt)
{
	enum prompt_kind kind = place(answers, style, prompt);
	enum answer answer = answer_for(answers, kind);

	answers->n_asked++;
	if (answer == ANSWER_REFUSED) {
		if (answers->unplaced[0] == '\0')
			wire_string_set(answers->unplaced,
			    sizeof(answers->unplaced), prompt);
		return ANSWER_REFUSED;
	}
	if (answers->error_since[kind] || answers->times[kind] >= MAX_TIMES)
		return ANSWER_REFUSED;
	answers->times[kind]++;
	return answer;
}

int
answers_gave(const struct answers *answers, enum answer answer)
{
	if (answer == ANSWER_NEW)
		return answers->times[PROMPT_NEW] > 0 ||
		    answers->times[PROMPT_RETYPE] > 0;
	return answer == ANSWER_OLD &&
	    (answers->times[PROMPT_PASSWORD] > 0 ||
		answers->times[PROMPT_CURRENT] > 0);
}

const char *
answers_unplaced(const struct answers *answers)
{
	return answers->unplaced;
}

void
answers_free(struct answers *answers)
{
	if (answers == NULL)
		return;
	for (size_t i = 0; i < answers->n_wordings; i++)
		regfree(&answers->wordings[i].regex);
	free(answers->wordings);
	free(answers);
}
