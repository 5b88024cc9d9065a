/*
 * The protocol of poppassd(7). Runs in net, without privilege; pure.
 */
#include "daemon/protocol.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/secret.h"
#include "common/wire.h"

#define OK(text)     "200 " text "\r\n"
#define FAILED(text) "500 " text "\r\n"

const char protocol_bye[] = OK("Bye.");
const char protocol_ask_password[] = OK("Your password please.");
const char protocol_ask_new_password[] = OK("Your new password please.");
const char protocol_changed[] = OK("Password changed, thank-you.");
const char protocol_begin_tls[] = OK("Begin TLS now.");
const char protocol_wrong_password[] = FAILED("Old password is incorrect.");
const char protocol_tls_required[] = FAILED("TLS required.");
const char protocol_port_requires_tls[] = FAILED("This port requires TLS.");
const char protocol_clear_text_here[] =
    FAILED("This port speaks clear text until STARTTLS.");
const char protocol_no_tls_here[] = FAILED("No TLS on a local socket.");
const char protocol_line_too_long[] =
    FAILED("Line too long (limit 4096 bytes).");
const char protocol_clear_line_too_long[] =
    FAILED("Line too long (limit 512 bytes before TLS).");
const char protocol_busy[] = FAILED("Server busy, try again later.");
const char protocol_temporary[] = FAILED("Temporary failure, try again later.");
const char protocol_unknown_result[] = FAILED(
    "The result is unknown: either your old or your new password works now.");
const char protocol_not_changed[] = FAILED("Password not changed.");
const char protocol_timed_out[] = FAILED("Timed out.");
const char protocol_shutting_down[] =
    FAILED("Server is shutting down, try again later.");

static const char noop_reply[] = OK("OK.");
static const char help_reply[] =
    OK("Verbs: USER PASS NEWPASS QUIT STARTTLS STLS HELP NOOP");
static const char unknown_command[] = FAILED("Unknown command.");
static const char already_tls[] = FAILED("Already inside TLS.");
static const char nul_byte[] = FAILED("NUL bytes are not allowed.");
static const char send_user_first[] = FAILED("Send USER first.");
static const char send_pass_next[] = FAILED("Send PASS next.");
static const char send_newpass_next[] = FAILED("Send NEWPASS next.");
static const char only_quit_left[] = FAILED("Nothing left but QUIT.");
static const char user_syntax[] = FAILED("Syntax: USER name");
static const char pass_syntax[] = FAILED("Syntax: PASS password");
static const char newpass_syntax[] = FAILED("Syntax: NEWPASS password");
static const char user_too_long[] =
    FAILED("User name too long (limit 255 bytes).");
static const char password_too_long[] =
    FAILED("Password too long (limit 511 bytes).");

struct verb_rule {
	const char *name;
	enum protocol_verb verb;
	int takes_argument;
};

static const struct verb_rule verb_rules[] = {
	{ "USER", VERB_USER, 1 },
	{ "PASS", VERB_PASS, 1 },
	{ "NEWPASS", VERB_NEWPASS, 1 },
	{ "QUIT", VERB_QUIT, 0 },
	{ "STARTTLS", VERB_STARTTLS, 0 },
	{ "STLS", VERB_STARTTLS, 0 },
	{ "HELP", VERB_HELP, 0 },
	{ "NOOP", VERB_NOOP, 0 },
	{ "GET", VERB_HTTP, 1 },
	{ "POST", VERB_HTTP, 1 },
	{ "PUT", VERB_HTTP, 1 },
	{ "HEAD", VERB_HTTP, 1 },
	{ "OPTIONS", VERB_HTTP, 1 },
	{ "CONNECT", VERB_HTTP, 1 },
	{ "PATCH", VERB_HTTP, 1 },
	{ "DELETE", VERB_HTTP, 1 },
	{ "PRI", VERB_HTTP, 1 },
};

struct command {
	enum protocol_verb verb;
	const char *argument; /* NULL if no space follows the verb */
	size_t argument_len;
};

static int
is_blank(const char *p, size_t len)
{
	while (len > 0 && p[len - 1] == ' ')
		len--;
	return len == 0;
}

static struct command
parse(const char *line, size_t len)
{
	struct command c = { .verb = VERB_UNKNOWN };
	size_t n;

	for (; len > 0 && *line == ' '; len--)
		line++;
	for (n = 0; n < len && line[n] != ' '; n++)
		continue;
	if (n < len) {
		c.argument = line + n + 1;
		c.argument_len = len - n - 1;
	}
	for (size_t i = 0; i < sizeof(verb_rules) / sizeof(*verb_rules); i++) {
		const struct verb_rule *rule = &verb_rules[i];

		if (strlen(rule->name) != n ||
		    strncasecmp(rule->name, line, n) != 0)
			continue;
		if (rule->takes_argument || is_blank(line + n, len - n))
			c.verb = rule->verb;
		break;
	}
	return c;
}

struct order_rule {
	enum protocol_state state;
	enum protocol_verb verb;
	enum protocol_action action;
	const char *reply;
};

/* The protocol as a table: what is not in it is an unknown command. */
static const struct order_rule order_rules[] = {
	{ STATE_CLEAR, VERB_USER, ACTION_CLOSE, protocol_tls_required },
	{ STATE_CLEAR, VERB_PASS, ACTION_CLOSE, protocol_tls_required },
	{ STATE_CLEAR, VERB_NEWPASS, ACTION_CLOSE, protocol_tls_required },
	{ STATE_CLEAR, VERB_STARTTLS, ACTION_STARTTLS, protocol_begin_tls },

	{ STATE_TLS, VERB_USER, ACTION_USER, NULL },
	{ STATE_TLS, VERB_PASS, ACTION_MISTAKE, send_user_first },
	{ STATE_TLS, VERB_NEWPASS, ACTION_MISTAKE, send_user_first },
	{ STATE_TLS, VERB_STARTTLS, ACTION_MISTAKE, already_tls },

	{ STATE_IDENTIFIED, VERB_USER, ACTION_MISTAKE, send_pass_next },
	{ STATE_IDENTIFIED, VERB_PASS, ACTION_PASS, NULL },
	{ STATE_IDENTIFIED, VERB_NEWPASS, ACTION_MISTAKE, send_pass_next },
	{ STATE_IDENTIFIED, VERB_STARTTLS, ACTION_MISTAKE, already_tls },

	{ STATE_AUTHENTICATED, VERB_USER, ACTION_MISTAKE, send_newpass_next },
	{ STATE_AUTHENTICATED, VERB_PASS, ACTION_MISTAKE, send_newpass_next },
	{ STATE_AUTHENTICATED, VERB_NEWPASS, ACTION_NEWPASS, NULL },
	{ STATE_AUTHENTICATED, VERB_STARTTLS, ACTION_MISTAKE, already_tls },

	{ STATE_CHANGED, VERB_USER, ACTION_MISTAKE, only_quit_left },
	{ STATE_CHANGED, VERB_PASS, ACTION_MISTAKE, only_quit_left },
	{ STATE_CHANGED, VERB_NEWPASS, ACTION_MISTAKE, only_quit_left },
	{ STATE_CHANGED, VERB_STARTTLS, ACTION_MISTAKE, already_tls },
};

/* Those that are the same in every state. */
static const struct order_rule any_rules[] = {
	{ STATE_CLEAR, VERB_QUIT, ACTION_CLOSE, protocol_bye },
	{ STATE_CLEAR, VERB_HELP, ACTION_REPLY, help_reply },
	{ STATE_CLEAR, VERB_NOOP, ACTION_REPLY, noop_reply },
	{ STATE_CLEAR, VERB_HTTP, ACTION_CLOSE, unknown_command },
};

static const struct order_rule *
find_rule(enum protocol_state state, enum protocol_verb verb)
{
	static const struct order_rule unknown = { STATE_CLEAR, VERB_UNKNOWN,
		ACTION_MISTAKE, unknown_command };

	for (size_t i = 0; i < sizeof(any_rules) / sizeof(*any_rules); i++) {
		if (any_rules[i].verb == verb)
			return &any_rules[i];
	}
	for (size_t i = 0; i < sizeof(order_rules) / sizeof(*order_rules);
	     i++) {
		if (order_rules[i].state == state &&
		    order_rules[i].verb == verb)
			return &order_rules[i];
	}
	return &unknown;
}

struct argument_rule {
	enum protocol_action action;
	size_t min;
	size_t max;
	const char *missing;
	const char *too_long;
};

static const struct argument_rule argument_rules[] = {
	{ ACTION_USER, 1, WIRE_USER_SIZE - 1, user_syntax, user_too_long },
	{ ACTION_PASS, 0, SECRET_MAX, pass_syntax, password_too_long },
	{ ACTION_NEWPASS, 1, SECRET_MAX, newpass_syntax, password_too_long },
};

/* NULL if the argument will do. */
static const char *
complain_of_argument(const struct protocol_step *step)
{
	for (size_t i = 0; i < sizeof(argument_rules) / sizeof(*argument_rules);
	     i++) {
		const struct argument_rule *rule = &argument_rules[i];

		if (rule->action != step->action)
			continue;
		if (step->argument == NULL || step->argument_len < rule->min)
			return rule->missing;
		if (step->argument_len > rule->max)
			return rule->too_long;
	}
	return NULL;
}

struct protocol_step
protocol_step(enum protocol_state state, const char *line, size_t len)
{
	const struct command command = parse(line, len);
	const struct order_rule *rule = find_rule(state, command.verb);
	struct protocol_step step = { .action = rule->action,
		.verb = command.verb,
		.reply = rule->reply,
		.argument = command.argument,
		.argument_len = command.argument_len };
	const char *complaint;

	if (memchr(line, '\0', len) != NULL) {
		step.action = ACTION_CLOSE;
		step.reply = nul_byte;
		return step;
	}
	complaint = complain_of_argument(&step);
	if (complaint != NULL) {
		step.action = ACTION_CLOSE;
		step.reply = complaint;
	}
	return step;
}

void
protocol_greeting(char reply[PROTOCOL_REPLY_MAX], const char *text)
{
	(void)snprintf(reply, PROTOCOL_REPLY_MAX, "200 %.*s\r\n",
	    PROTOCOL_REPLY_MAX - 7, text);
}

void
protocol_refusal(char reply[PROTOCOL_REPLY_MAX], const char *reason)
{
	(void)snprintf(reply, PROTOCOL_REPLY_MAX, "500 %.*s\r\n",
	    PROTOCOL_REPLY_MAX - 7, reason);
	for (char *p = reply; p[0] != '\0' && p[2] != '\0'; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	}
}
