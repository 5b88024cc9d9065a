/* The protocol: which bytes are which command, in which order, answered how. */
#include "daemon/protocol.h"

#include <string.h>

#include "tests/unit/suite.h"

#define ALL_STATES      5
#define UNKNOWN         "500 Unknown command.\r\n"
#define USER_SYNTAX     "500 Syntax: USER name\r\n"
#define PASS_SYNTAX     "500 Syntax: PASS password\r\n"
#define NEWPASS_SYNTAX  "500 Syntax: NEWPASS password\r\n"
#define USER_TOO_LONG   "500 User name too long (limit 255 bytes).\r\n"
#define SECRET_TOO_LONG "500 Password too long (limit 511 bytes).\r\n"
#define NUL_BYTE        "500 NUL bytes are not allowed.\r\n"

static struct protocol_step
take(enum protocol_state state, const char *line)
{
	return protocol_step(state, line, strlen(line));
}

/* Every verb in every state: what happens, and what is answered. */
struct order_case {
	enum protocol_state state;
	const char *line;
	enum protocol_action action;
	const char *reply; /* NULL if the answer takes a while */
};

static const struct order_case order_cases[] = {
	{ STATE_CLEAR, "USER x", ACTION_CLOSE, "500 TLS required.\r\n" },
	{ STATE_CLEAR, "PASS x", ACTION_CLOSE, "500 TLS required.\r\n" },
	{ STATE_CLEAR, "NEWPASS x", ACTION_CLOSE, "500 TLS required.\r\n" },
	{ STATE_CLEAR, "USER", ACTION_CLOSE, "500 TLS required.\r\n" },
	{ STATE_CLEAR, "STARTTLS", ACTION_STARTTLS, "200 Begin TLS now.\r\n" },
	{ STATE_CLEAR, "STLS", ACTION_STARTTLS, "200 Begin TLS now.\r\n" },

	{ STATE_TLS, "USER x", ACTION_USER, NULL },
	{ STATE_TLS, "PASS x", ACTION_MISTAKE, "500 Send USER first.\r\n" },
	{ STATE_TLS, "NEWPASS x", ACTION_MISTAKE, "500 Send USER first.\r\n" },
	{ STATE_TLS, "STARTTLS", ACTION_MISTAKE,
	    "500 Already inside TLS.\r\n" },

	{ STATE_IDENTIFIED, "USER x", ACTION_MISTAKE,
	    "500 Send PASS next.\r\n" },
	{ STATE_IDENTIFIED, "PASS x", ACTION_PASS, NULL },
	{ STATE_IDENTIFIED, "NEWPASS x", ACTION_MISTAKE,
	    "500 Send PASS next.\r\n" },
	{ STATE_IDENTIFIED, "STLS", ACTION_MISTAKE,
	    "500 Already inside TLS.\r\n" },

	{ STATE_AUTHENTICATED, "USER x", ACTION_MISTAKE,
	    "500 Send NEWPASS next.\r\n" },
	{ STATE_AUTHENTICATED, "PASS x", ACTION_MISTAKE,
	    "500 Send NEWPASS next.\r\n" },
	{ STATE_AUTHENTICATED, "NEWPASS x", ACTION_NEWPASS, NULL },
	{ STATE_AUTHENTICATED, "STARTTLS", ACTION_MISTAKE,
	    "500 Already inside TLS.\r\n" },

	{ STATE_CHANGED, "USER x", ACTION_MISTAKE,
	    "500 Nothing left but QUIT.\r\n" },
	{ STATE_CHANGED, "PASS x", ACTION_MISTAKE,
	    "500 Nothing left but QUIT.\r\n" },
	{ STATE_CHANGED, "NEWPASS x", ACTION_MISTAKE,
	    "500 Nothing left but QUIT.\r\n" },
	{ STATE_CHANGED, "STARTTLS", ACTION_MISTAKE,
	    "500 Already inside TLS.\r\n" },
};

START_TEST(test_step_follows_the_order)
{
	const struct order_case *c = &order_cases[_i];
	const struct protocol_step step = take(c->state, c->line);

	ck_assert_int_eq(step.action, c->action);
	if (c->reply == NULL)
		ck_assert_ptr_null(step.reply);
	else
		ck_assert_str_eq(step.reply, c->reply);
}
END_TEST

struct line_case {
	const char *line;
	enum protocol_action action;
	const char *reply;
};

/* The same in every state. */
static const struct line_case anywhere_cases[] = {
	{ "QUIT", ACTION_CLOSE, "200 Bye.\r\n" },
	{ "NOOP", ACTION_REPLY, "200 OK.\r\n" },
	{ "HELP", ACTION_REPLY,
	    "200 Verbs: USER PASS NEWPASS QUIT STARTTLS STLS HELP NOOP\r\n" },
	{ "QUIT  ", ACTION_CLOSE, "200 Bye.\r\n" },
	{ "NOOP ", ACTION_REPLY, "200 OK.\r\n" },
	{ "  quit", ACTION_CLOSE, "200 Bye.\r\n" },
	{ "qUiT", ACTION_CLOSE, "200 Bye.\r\n" },
	{ "QUIT now", ACTION_MISTAKE, UNKNOWN },
	{ "QUITS", ACTION_MISTAKE, UNKNOWN },
	{ "QUI", ACTION_MISTAKE, UNKNOWN },
	{ "QUIT\t", ACTION_MISTAKE, UNKNOWN },
	{ "QUIT\r", ACTION_MISTAKE, UNKNOWN },
	{ "STARTTLS now", ACTION_MISTAKE, UNKNOWN },
	{ "USERx", ACTION_MISTAKE, UNKNOWN },
	{ "", ACTION_MISTAKE, UNKNOWN },
	{ "   ", ACTION_MISTAKE, UNKNOWN },
	{ "getuser x", ACTION_MISTAKE, UNKNOWN },
	{ "EHLO mail.example.com", ACTION_MISTAKE, UNKNOWN },
	{ "USER\tx", ACTION_MISTAKE, UNKNOWN },
	{ "GET / HTTP/1.1", ACTION_CLOSE, UNKNOWN },
	{ "POST / HTTP/1.1", ACTION_CLOSE, UNKNOWN },
	{ "PUT / HTTP/1.1", ACTION_CLOSE, UNKNOWN },
	{ "HEAD / HTTP/1.1", ACTION_CLOSE, UNKNOWN },
	{ "OPTIONS * HTTP/1.1", ACTION_CLOSE, UNKNOWN },
	{ "CONNECT x:1 HTTP/1.1", ACTION_CLOSE, UNKNOWN },
	{ "PATCH / HTTP/1.1", ACTION_CLOSE, UNKNOWN },
	{ "DELETE / HTTP/1.1", ACTION_CLOSE, UNKNOWN },
	{ "PRI * HTTP/2.0", ACTION_CLOSE, UNKNOWN },
};

START_TEST(test_step_is_the_same_in_every_state)
{
	const struct line_case *c = &anywhere_cases[_i];

	for (int state = 0; state < ALL_STATES; state++) {
		const struct protocol_step step =
		    take((enum protocol_state)state, c->line);

		ck_assert_int_eq(step.action, c->action);
		ck_assert_str_eq(step.reply, c->reply);
	}
}
END_TEST

/* Where each verb with an argument is waited for. */
struct argument_case {
	enum protocol_state state;
	const char *line;
	const char *argument;
};

static const struct argument_case argument_cases[] = {
	{ STATE_TLS, "USER bob", "bob" },
	{ STATE_TLS, "user bob", "bob" },
	{ STATE_TLS, "  UsEr bob", "bob" },
	{ STATE_TLS, "USER  bob ", " bob " },
	{ STATE_TLS, "USER a.b+c@Example.ORG", "a.b+c@Example.ORG" },
	{ STATE_TLS, "user quit", "quit" },
	{ STATE_TLS, "USER \r", "\r" },
	{ STATE_IDENTIFIED, "pass   old ", "  old " },
	{ STATE_IDENTIFIED, "pass user root", "user root" },
	{ STATE_IDENTIFIED, "PASS \"quoted\" \\ '%s%n' $`x`\t",
	    "\"quoted\" \\ '%s%n' $`x`\t" },
	{ STATE_IDENTIFIED, "PASS a\rb", "a\rb" },
	{ STATE_IDENTIFIED, "PASS \xfc\xc3\xbc\xf0\x9f\x94\x91",
	    "\xfc\xc3\xbc\xf0\x9f\x94\x91" },
	/* An empty password is a wrong one, not a wrong command. */
	{ STATE_IDENTIFIED, "PASS ", "" },
	{ STATE_AUTHENTICATED, "newpass quit", "quit" },
	{ STATE_AUTHENTICATED, "NEWPASS  ", " " },
};

START_TEST(test_step_takes_the_argument_verbatim)
{
	const struct argument_case *c = &argument_cases[_i];
	const struct protocol_step step = take(c->state, c->line);
	char argument[64] = { 0 };

	ck_assert_uint_lt(step.argument_len, sizeof(argument));
	memcpy(argument, step.argument, step.argument_len);
	ck_assert_ptr_null(step.reply);
	ck_assert_str_eq(argument, c->argument);
}
END_TEST

static const struct order_case syntax_cases[] = {
	{ STATE_TLS, "USER", ACTION_CLOSE, USER_SYNTAX },
	{ STATE_TLS, "USER ", ACTION_CLOSE, USER_SYNTAX },
	{ STATE_IDENTIFIED, "PASS", ACTION_CLOSE, PASS_SYNTAX },
	{ STATE_AUTHENTICATED, "NEWPASS", ACTION_CLOSE, NEWPASS_SYNTAX },
	{ STATE_AUTHENTICATED, "NEWPASS ", ACTION_CLOSE, NEWPASS_SYNTAX },
};

START_TEST(test_step_closes_without_an_argument)
{
	const struct order_case *c = &syntax_cases[_i];
	const struct protocol_step step = take(c->state, c->line);

	ck_assert_int_eq(step.action, c->action);
	ck_assert_str_eq(step.reply, c->reply);
}
END_TEST

struct limit_case {
	enum protocol_state state;
	const char *verb;
	size_t limit;
	enum protocol_action action;
	const char *reply; /* to one byte more */
};

static const struct limit_case limit_cases[] = {
	{ STATE_TLS, "USER ", 255, ACTION_USER, USER_TOO_LONG },
	{ STATE_IDENTIFIED, "PASS ", 511, ACTION_PASS, SECRET_TOO_LONG },
	{ STATE_AUTHENTICATED, "NEWPASS ", 511, ACTION_NEWPASS,
	    SECRET_TOO_LONG },
};

START_TEST(test_step_keeps_the_limits)
{
	const struct limit_case *c = &limit_cases[_i];
	const size_t verb_len = strlen(c->verb);
	char line[1024];
	struct protocol_step step;

	memset(line, 'x', sizeof(line));
	memcpy(line, c->verb, verb_len);
	step = protocol_step(c->state, line, verb_len + c->limit);
	ck_assert_int_eq(step.action, c->action);
	ck_assert_uint_eq(step.argument_len, c->limit);
	step = protocol_step(c->state, line, verb_len + c->limit + 1);
	ck_assert_int_eq(step.action, ACTION_CLOSE);
	ck_assert_str_eq(step.reply, c->reply);
}
END_TEST

static const char *const nul_lines[] = { "USER b?b", "PASS old?", "?QUIT",
	"NOOP ?", "?" };

START_TEST(test_step_refuses_nul_bytes)
{
	for (int state = 0; state < ALL_STATES; state++) {
		char line[16];
		size_t len = strlen(nul_lines[_i]);
		struct protocol_step step;

		memcpy(line, nul_lines[_i], len);
		*(char *)memchr(line, '?', len) = '\0';
		step = protocol_step((enum protocol_state)state, line, len);
		ck_assert_int_eq(step.action, ACTION_CLOSE);
		ck_assert_str_eq(step.reply, NUL_BYTE);
	}
}
END_TEST

struct text_case {
	const char *is;
	const char *must_be;
};

static const struct text_case text_cases[] = {
	{ protocol_bye, "200 Bye.\r\n" },
	{ protocol_ask_password, "200 Your password please.\r\n" },
	{ protocol_ask_new_password, "200 Your new password please.\r\n" },
	{ protocol_changed, "200 Password changed, thank-you.\r\n" },
	{ protocol_begin_tls, "200 Begin TLS now.\r\n" },
	{ protocol_wrong_password, "500 Old password is incorrect.\r\n" },
	{ protocol_tls_required, "500 TLS required.\r\n" },
	{ protocol_port_requires_tls, "500 This port requires TLS.\r\n" },
	{ protocol_clear_text_here,
	    "500 This port speaks clear text until STARTTLS.\r\n" },
	{ protocol_line_too_long, "500 Line too long (limit 4096 bytes).\r\n" },
	{ protocol_clear_line_too_long,
	    "500 Line too long (limit 512 bytes before TLS).\r\n" },
	{ protocol_busy, "500 Server busy, try again later.\r\n" },
	{ protocol_temporary, "500 Temporary failure, try again later.\r\n" },
	{ protocol_unknown_result,
	    "500 The result is unknown: either your old or your new password "
	    "works now.\r\n" },
	{ protocol_not_changed, "500 Password not changed.\r\n" },
	{ protocol_timed_out, "500 Timed out.\r\n" },
	{ protocol_shutting_down,
	    "500 Server is shutting down, try again later.\r\n" },
};

START_TEST(test_texts_are_to_the_byte)
{
	ck_assert_str_eq(text_cases[_i].is, text_cases[_i].must_be);
}
END_TEST

static const struct text_case refusal_cases[] = {
	{ "BAD PASSWORD: it is too short",
	    "500 BAD PASSWORD: it is too short\r\n" },
	{ "two\r\nlines", "500 two  lines\r\n" },
	{ "tab\tand\x1b[31mcolour\x7f", "500 tab and [31mcolour \r\n" },
	{ "\n", "500  \r\n" },
	{ "\xc3\xbc is kept", "500 \xc3\xbc is kept\r\n" },
	{ "%s%n", "500 %s%n\r\n" },
};

START_TEST(test_refusal_is_one_clean_line)
{
	char reply[PROTOCOL_REPLY_MAX];

	protocol_refusal(reply, refusal_cases[_i].is);
	ck_assert_str_eq(reply, refusal_cases[_i].must_be);
}
END_TEST

START_TEST(test_refusal_is_cut_below_512_bytes)
{
	char reply[PROTOCOL_REPLY_MAX];
	char reason[1024];

	memset(reason, 'x', sizeof(reason));
	reason[sizeof(reason) - 1] = '\0';
	protocol_refusal(reply, reason);
	ck_assert_uint_eq(strlen(reply), PROTOCOL_REPLY_MAX - 1);
	ck_assert_str_eq(reply + PROTOCOL_REPLY_MAX - 4, "x\r\n");
}
END_TEST

START_TEST(test_greeting_is_one_200_line)
{
	char reply[PROTOCOL_REPLY_MAX];

	protocol_greeting(reply, "mail poppassd v2 hello, who are you?");
	ck_assert_str_eq(reply, "200 mail poppassd v2 hello, who are you?\r\n");
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("protocol");

	tcase_add_loop_test(
	    tcase, test_step_follows_the_order, 0, N_OF(order_cases));
	tcase_add_loop_test(tcase, test_step_is_the_same_in_every_state, 0,
	    N_OF(anywhere_cases));
	tcase_add_loop_test(tcase, test_step_takes_the_argument_verbatim, 0,
	    N_OF(argument_cases));
	tcase_add_loop_test(
	    tcase, test_step_closes_without_an_argument, 0, N_OF(syntax_cases));
	tcase_add_loop_test(
	    tcase, test_step_keeps_the_limits, 0, N_OF(limit_cases));
	tcase_add_loop_test(
	    tcase, test_step_refuses_nul_bytes, 0, N_OF(nul_lines));
	tcase_add_loop_test(
	    tcase, test_texts_are_to_the_byte, 0, N_OF(text_cases));
	tcase_add_loop_test(
	    tcase, test_refusal_is_one_clean_line, 0, N_OF(refusal_cases));
	tcase_add_test(tcase, test_refusal_is_cut_below_512_bytes);
	tcase_add_test(tcase, test_greeting_is_one_200_line);
	return suite_run("protocol", tcase);
}
