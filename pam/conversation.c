/*
 * The conversation function that PAM's modules talk to. Runs in the helper,
 * with effective root; hands passwords to modules.
 */
#include "pam/conversation.h"

#include <stdlib.h>
#include <string.h>

#include "common/wire.h"

struct conversation {
	struct pam_conv pam;
	struct answers *answers;
	const struct secret *old_secret;
	const struct secret *new_secret;
	char error[CONVERSATION_ERROR_SIZE];
	int was_asked;                      /* in this phase */
	char text[CONVERSATION_ERROR_SIZE]; /* since the last question */
	void (*told)(void *context, enum dialogue_style style,
	    enum answer answer, const char *text);
	void *context;
};

static void
tell(const struct conversation *c, enum dialogue_style style,
    enum answer answer, const char *text)
{
	if (c->told != NULL)
		c->told(c->context, style, answer, text != NULL ? text : "");
}

/* A refusal is a PAM_ERROR_MSG, and the first one is the reason. */
static void
note_error(struct conversation *c, const char *text)
{
	answers_note_error(c->answers);
	if (c->error[0] == '\0' && text != NULL)
		wire_string_set(c->error, sizeof(c->error), text);
}

/* PAM_TEXT_INFO is chatter ("Changing password for bob.") while questions
 * follow. Behind the last one it is where pam_sss says why it refused. */
static void
note_text(struct conversation *c, const char *text)
{
	if (c->was_asked && text != NULL)
		wire_string_set(c->text, sizeof(c->text), text);
}

static void
note_question(struct conversation *c)
{
	c->was_asked = 1;
	c->text[0] = '\0';
}

static int
give(struct conversation *c, int style, const char *prompt, char **out)
{
	const int has_echo = style == PAM_PROMPT_ECHO_ON;
	const struct secret *s = NULL;
	const enum answer answer = answers_choose(c->answers,
	    has_echo ? STYLE_ECHO_ON : STYLE_ECHO_OFF,
	    prompt != NULL ? prompt : "");

	note_question(c);
	tell(c, has_echo ? DIALOGUE_PROMPT_ECHO : DIALOGUE_PROMPT, answer,
	    prompt);
	switch (answer) {
	case ANSWER_OLD:
		s = c->old_secret;
		break;
	case ANSWER_NEW:
		s = c->new_secret;
		break;
	case ANSWER_REFUSED:
		break;
	}
	if (s == NULL)
		return PAM_CONV_ERR;
	/* The module frees it, and PAM has taught modules to wipe it. */
	*out = strdup(s->bytes);
	return *out != NULL ? PAM_SUCCESS : PAM_BUF_ERR;
}

static int
handle_message(
    struct conversation *c, const struct pam_message *message, char **out)
{
	switch (message->msg_style) {
	case PAM_PROMPT_ECHO_OFF:
	case PAM_PROMPT_ECHO_ON:
		return give(c, message->msg_style, message->msg, out);
	case PAM_ERROR_MSG:
		tell(c, DIALOGUE_ERROR, ANSWER_REFUSED, message->msg);
		note_error(c, message->msg);
		return PAM_SUCCESS;
	case PAM_TEXT_INFO:
		tell(c, DIALOGUE_TEXT, ANSWER_REFUSED, message->msg);
		note_text(c, message->msg);
		return PAM_SUCCESS;
	default:
		/* PAM_RADIO_TYPE, PAM_BINARY_PROMPT: nobody is here to choose,
		 * and what there is may be no text. */
		tell(c, DIALOGUE_OTHER, ANSWER_REFUSED, "");
		return PAM_CONV_ERR;
	}
}

static void
free_responses(struct pam_response *responses, int n)
{
	for (int i = 0; i < n; i++) {
		if (responses[i].resp == NULL)
			continue;
		explicit_bzero(responses[i].resp, strlen(responses[i].resp));
		free(responses[i].resp);
	}
	free(responses);
}

static int
on_pam_messages(int n, const struct pam_message **messages,
    struct pam_response **out, void *context)
{
	struct conversation *c = context;
	struct pam_response *responses;
	int code = PAM_SUCCESS;

	if (n <= 0 || n > PAM_MAX_NUM_MSG || messages == NULL || out == NULL)
		return PAM_CONV_ERR;
	*out = NULL;
	responses = calloc((size_t)n, sizeof(*responses));
	if (responses == NULL)
		return PAM_BUF_ERR;
	for (int i = 0; i < n && code == PAM_SUCCESS; i++)
		code = messages[i] != NULL
		    ? handle_message(c, messages[i], &responses[i].resp)
		    : PAM_CONV_ERR;
	if (code != PAM_SUCCESS) {
		free_responses(responses, n);
		return code;
	}
	*out = responses;
	return PAM_SUCCESS;
}

struct conversation *
conversation_new(struct answers *answers)
{
	struct conversation *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->pam.conv = on_pam_messages;
	c->pam.appdata_ptr = c;
	c->answers = answers;
	return c;
}

const struct pam_conv *
conversation_pam(struct conversation *conversation)
{
	return &conversation->pam;
}

void
conversation_tell(struct conversation *conversation,
    void (*told)(void *context, enum dialogue_style style, enum answer answer,
	const char *text),
    void *context)
{
	conversation->told = told;
	conversation->context = context;
}

void
conversation_begin(struct conversation *conversation, enum answers_phase phase,
    const struct secret *old_secret, const struct secret *new_secret)
{
	answers_begin(conversation->answers, phase);
	conversation->old_secret = old_secret;
	conversation->new_secret = new_secret;
	conversation->error[0] = '\0';
	conversation->was_asked = 0;
	conversation->text[0] = '\0';
}

const char *
conversation_error(const struct conversation *conversation)
{
	return conversation->error[0] != '\0' ? conversation->error
					      : conversation->text;
}

void
conversation_free(struct conversation *conversation)
{
	if (conversation == NULL)
		return;
	explicit_bzero(conversation, sizeof(*conversation));
	free(conversation);
}
