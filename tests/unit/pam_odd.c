/*
 * A PAM module that does what modules may do and few do. Its first argument
 * says what.
 */
#include <stdlib.h>
#include <string.h>

#include <security/pam_modules.h>

static int
converse(pam_handle_t *pam, int n, const struct pam_message **messages,
    struct pam_response **responses)
{
	const void *item = NULL;
	const struct pam_conv *conv;

	if (pam_get_item(pam, PAM_CONV, &item) != PAM_SUCCESS || item == NULL)
		return PAM_SYSTEM_ERR;
	conv = item;
	return conv->conv(n, messages, responses, conv->appdata_ptr);
}

/* One message, whose answer is thrown away. */
static int
say(pam_handle_t *pam, int style, const char *text)
{
	const struct pam_message message = { .msg_style = style, .msg = text };
	const struct pam_message *messages[] = { &message };
	struct pam_response *responses = NULL;
	int code = converse(pam, 1, messages, &responses);

	if (responses != NULL)
		free(responses->resp);
	free(responses);
	return code;
}

/* Asks, and shows the answer to everybody. */
static int
ask_and_say(pam_handle_t *pam, int style)
{
	const struct pam_message prompt = { PAM_PROMPT_ECHO_OFF, "Password: " };
	const struct pam_message *messages[] = { &prompt };
	struct pam_response *responses = NULL;
	int code = converse(pam, 1, messages, &responses);

	if (code == PAM_SUCCESS && responses != NULL && responses->resp != NULL)
		code = say(pam, style, responses->resp);
	if (responses != NULL)
		free(responses->resp);
	free(responses);
	return code;
}

static int
tell_the_password(pam_handle_t *pam)
{
	return ask_and_say(pam, PAM_TEXT_INFO);
}

static int
blame_the_password(pam_handle_t *pam)
{
	(void)ask_and_say(pam, PAM_ERROR_MSG);
	return PAM_AUTHTOK_ERR;
}

static int
change_user(pam_handle_t *pam)
{
	return pam_set_item(pam, PAM_USER, "somebody-else");
}

static int
ask_in_two_messages(pam_handle_t *pam)
{
	const struct pam_message text = { PAM_TEXT_INFO, "Welcome." };
	const struct pam_message prompt = { PAM_PROMPT_ECHO_OFF, "Password: " };
	const struct pam_message *messages[] = { &text, &prompt };
	struct pam_response *responses = NULL;
	int code = converse(pam, 2, messages, &responses);

	if (code != PAM_SUCCESS)
		return code;
	if (responses == NULL || responses[0].resp != NULL ||
	    responses[1].resp == NULL || strcmp(responses[1].resp, "old") != 0)
		code = PAM_AUTH_ERR;
	if (responses != NULL)
		free(responses[1].resp);
	free(responses);
	return code;
}

static int
ask_for_nothing(pam_handle_t *pam)
{
	struct pam_response *responses = NULL;

	return converse(pam, 0, NULL, &responses) == PAM_CONV_ERR
	    ? PAM_SUCCESS
	    : PAM_SYSTEM_ERR;
}

static int
want_no_response(pam_handle_t *pam)
{
	const struct pam_message text = { PAM_TEXT_INFO, "Welcome." };
	const struct pam_message *messages[] = { &text };

	return converse(pam, 1, messages, NULL) == PAM_CONV_ERR
	    ? PAM_SUCCESS
	    : PAM_SYSTEM_ERR;
}

static int
ask_for_a_code(pam_handle_t *pam)
{
	return say(pam, PAM_PROMPT_ECHO_OFF, "One-time code: ");
}

static int
offer_a_choice(pam_handle_t *pam)
{
	return say(pam, PAM_RADIO_TYPE, "Yes or no?");
}

static int
speak_binary(pam_handle_t *pam)
{
	return say(pam, PAM_BINARY_PROMPT, "\x01\x02");
}

static int
ask_without_a_prompt(pam_handle_t *pam)
{
	return say(pam, PAM_PROMPT_ECHO_OFF, NULL);
}

/* What would be two more lines in a log, and is for terminals. */
static int
forge_a_line(pam_handle_t *pam)
{
	(void)say(pam, PAM_ERROR_MSG,
	    "no\"\nevent=auth_failed peer=192.0.2.66 port=1\r\n"
	    "event=auth_failed peer=192.0.2.66 port=1 \x1b[2K\xe2\x80\xae");
	return PAM_AUTH_ERR;
}

/* As passwd(1) shows what it does, and then no reason. */
static int
refuse_in_silence(pam_handle_t *pam)
{
	(void)say(pam, PAM_TEXT_INFO, "Changing password for demo.");
	(void)say(pam, PAM_PROMPT_ECHO_OFF, "New password: ");
	return PAM_AUTHTOK_ERR;
}

/* As pam_sss does. */
static int
refuse_in_a_text(pam_handle_t *pam)
{
	(void)refuse_in_silence(pam);
	(void)say(pam, PAM_TEXT_INFO,
	    "Password change failed. Server message: Too short.");
	return PAM_AUTHTOK_ERR;
}

static int
leave(pam_handle_t *pam)
{
	(void)pam;
	exit(0);
}

struct trick {
	const char *name;
	int (*play)(pam_handle_t *pam);
};

static const struct trick tricks[] = {
	{ "user", change_user },
	{ "two", ask_in_two_messages },
	{ "none", ask_for_nothing },
	{ "null", want_no_response },
	{ "code", ask_for_a_code },
	{ "radio", offer_a_choice },
	{ "binary", speak_binary },
	{ "unsaid", ask_without_a_prompt },
	{ "forge", forge_a_line },
	{ "tell", tell_the_password },
	{ "silent", refuse_in_silence },
	{ "text", refuse_in_a_text },
	{ "blame", blame_the_password },
	{ "exit", leave },
};

static int
play(pam_handle_t *pam, int argc, const char **argv)
{
	for (size_t i = 0; i < sizeof(tricks) / sizeof(*tricks); i++) {
		if (argc > 0 && strcmp(tricks[i].name, argv[0]) == 0)
			return tricks[i].play(pam);
	}
	return PAM_SERVICE_ERR;
}

int
pam_sm_authenticate(pam_handle_t *pam, int flags, int argc, const char **argv)
{
	(void)flags;
	return play(pam, argc, argv);
}

int
pam_sm_setcred(pam_handle_t *pam, int flags, int argc, const char **argv)
{
	(void)pam;
	(void)flags;
	(void)argc;
	(void)argv;
	return PAM_SUCCESS;
}

int
pam_sm_acct_mgmt(pam_handle_t *pam, int flags, int argc, const char **argv)
{
	(void)flags;
	return play(pam, argc, argv);
}

/* Only in the second of the two passes, which writes. */
int
pam_sm_chauthtok(pam_handle_t *pam, int flags, int argc, const char **argv)
{
	if ((flags & PAM_PRELIM_CHECK) != 0)
		return PAM_SUCCESS;
	return play(pam, argc, argv);
}
