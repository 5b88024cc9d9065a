/* Which bytes are a command, and what is answered, to the byte. */
#include "daemon/protocol.h"

#include <string.h>

#include "tests/unit/suite.h"

struct step_case {
	enum protocol_state state;
	const char *line;
	enum protocol_action action;
	const char *reply;    /* or NULL */
	const char *argument; /* or NULL: not looked at */
};

#define TLS  STATE_TLS
#define IDED STATE_IDENTIFIED
#define AUTH STATE_AUTHENTICATED

static const struct step_case cases[] = {
	/* verbs in any case; the argument verbatim behind one space */
	{ TLS, "USER bob", ACTION_USER, NULL, "bob" },
	{ TLS, "user bob", ACTION_USER, NULL, "bob" },
	{ TLS, "uSeR a.b+c@Example.ORG", ACTION_USER, NULL,
	    "a.b+c@Example.ORG" },
	{ TLS, " user bob", ACTION_USER, NULL, "bob" },
	{ TLS, "user  bob ", ACTION_USER, NULL, " bob " },
	{ TLS, "user quit", ACTION_USER, NULL, "quit" },
	{ IDED, "pass   old ", ACTION_PASS, NULL, "  old " },
	{ IDED, "pass user root", ACTION_PASS, NULL, "user root" },
	{ IDED, "pass \t\"'\\%s%n$`", ACTION_PASS, NULL, "\t\"'\\%s%n$`" },
	{ IDED, "pass a\rb", ACTION_PASS, NULL, "a\rb" },
	{ IDED, "pass \xfc\xf0\x9f\x98\x80", ACTION_PASS, NULL,
	    "\xfc\xf0\x9f\x98\x80" },
	{ IDED, "PASS ", ACTION_PASS, NULL, "" },
	{ AUTH, "newpass quit", ACTION_NEWPASS, NULL, "quit" },
	/* what is missing */
	{ TLS, "USER", ACTION_CLOSE, "500 Syntax: USER name\r\n", NULL },
	{ TLS, "USER ", ACTION_CLOSE, "500 Syntax: USER name\r\n", NULL },
	{ IDED, "PASS", ACTION_CLOSE, "500 Syntax: PASS password\r\n", NULL },
	{ AUTH, "NEWPASS", ACTION_CLOSE, "500 Syntax: NEWPASS password\r\n",
	    NULL },
	{ AUTH, "NEWPASS ", ACTION_CLOSE, "500 Syntax: NEWPASS password\r\n",
	    NULL },
	/* everywhere */
	{ STATE_CLEAR, "QUIT", ACTION_CLOSE, "200 Bye.\r\n", NULL },
	{ STATE_CHANGED, "quit  ", ACTION_CLOSE, "200 Bye.\r\n", NULL },
	{ TLS, "NOOP", ACTION_REPLY, "200 OK.\r\n", NULL },
	{ STATE_CLEAR, "noop", ACTION_REPLY, "200 OK.\r\n", NULL },
	{ TLS, "HELP", ACTION_REPLY,
	    "200 Verbs: USER PASS NEWPASS QUIT STARTTLS STLS HELP NOOP\r\n",
	    NULL },
	/* in clear */
	{ STATE_CLEAR, "USER bob", ACTION_CLOSE, "500 TLS required.\r\n",
	    NULL },
	{ STATE_CLEAR, "pass x", ACTION_CLOSE, "500 TLS required.\r\n", NULL },
	{ STATE_CLEAR, "NEWPASS x", ACTION_CLOSE, "500 TLS required.\r\n",
	    NULL },
	{ STATE_CLEAR, "STARTTLS", ACTION_STARTTLS, "200 Begin TLS now.\r\n",
	    NULL },
	{ STATE_CLEAR, "stls", ACTION_STARTTLS, "200 Begin TLS now.\r\n",
	    NULL },
	{ STATE_CLEAR, "STARTTLS now", ACTION_MISTAKE,
	    "500 Unknown command.\r\n", NULL },
	/* out of order */
	{ TLS, "STARTTLS", ACTION_MISTAKE, "500 Already inside TLS.\r\n",
	    NULL },
	{ TLS, "PASS x", ACTION_MISTAKE, "500 Send USER first.\r\n", NULL },
	{ TLS, "NEWPASS x", ACTION_MISTAKE, "500 Send USER first.\r\n", NULL },
	{ IDED, "USER x", ACTION_MISTAKE, "500 Send PASS next.\r\n", NULL },
	{ IDED, "NEWPASS x", ACTION_MISTAKE, "500 Send PASS next.\r\n", NULL },
	{ AUTH, "USER x", ACTION_MISTAKE, "500 Send NEWPASS next.\r\n", NULL },
	{ AUTH, "PASS x", ACTION_MISTAKE, "500 Send NEWPASS next.\r\n", NULL },
	{ STATE_CHANGED, "USER x", ACTION_MISTAKE,
	    "500 Nothing left but QUIT.\r\n", NULL },
	/* nothing we know */
	{ TLS, "", ACTION_MISTAKE, "500 Unknown command.\r\n", NULL },
	{ TLS, "getuser u", ACTION_MISTAKE, "500 Unknown command.\r\n", NULL },
	{ TLS, "EHLO x", ACTION_MISTAKE, "500 Unknown command.\r\n", NULL },
	{ TLS, "USERbob", ACTION_MISTAKE, "500 Unknown command.\r\n", NULL },
	{ TLS, "USER\tbob", ACTION_MISTAKE, "500 Unknown command.\r\n", NULL },
	{ TLS, "QUIT now", ACTION_MISTAKE, "500 Unknown command.\r\n", NULL },
	/* a browser */
	{ TLS, "GET / HTTP/1.1", ACTION_CLOSE, "500 Unknown command.\r\n",
	    NULL },
	{ TLS, "POST /x HTTP/1.1", ACTION_CLOSE, "500 Unknown command.\r\n",
	    NULL },
};

START_TEST(test_step_follows_the_table)
{
	const struct step_case *c = &cases[_i];
	const struct protocol_step step =
	    protocol_step(c->state, c->line, strlen(c->line));

	ck_assert_int_eq(step.action, c->action);
	if (c->reply == NULL)
		ck_assert_ptr_null(step.reply);
	else
		ck_assert_str_eq(step.reply, c->reply);
	if (c->argument == NULL)
		return;
	ck_assert_uint_eq(step.argument_len, strlen(c->argument));
	ck_assert_mem_eq(step.argument, c->argument, step.argument_len);
}
END_TEST

struct limit {
	enum protocol_state state;
	const char *verb;
	size_t longest;
	const char *reply;
};

static const struct limit limits[] = {
	{ TLS, "USER ", 255, "500 User name too long (limit 255 bytes).\r\n" },
	{ IDED, "PASS ", 511, "500 Password too long (limit 511 bytes).\r\n" },
	{ AUTH, "NEWPASS ", 511,
	    "500 Password too long (limit 511 bytes).\r\n" },
};

START_TEST(test_step_never_cuts)
{
	const struct limit *l = &limits[_i];
	size_t verb_len = strlen(l->verb);
	char line[1024];
	struct protocol_step step;

	memset(line, 'x', sizeof(line));
	memcpy(line, l->verb, verb_len);
	step = protocol_step(l->state, line, verb_len + l->longest);
	ck_assert_uint_eq(step.argument_len, l->longest);
	ck_assert_ptr_null(step.reply);
	step = protocol_step(l->state, line, verb_len + l->longest + 1);
	ck_assert_int_eq(step.action, ACTION_CLOSE);
	ck_assert_str_eq(step.reply, l->reply);
}
END_TEST

START_TEST(test_step_refuses_nul)
{
	const struct protocol_step step =
	    protocol_step(STATE_IDENTIFIED, "PASS a\0b", 8);

	ck_assert_int_eq(step.action, ACTION_CLOSE);
	ck_assert_str_eq(step.reply, "500 NUL bytes are not allowed.\r\n");
}
END_TEST

struct refusal {
	const char *reason;
	const char *reply;
};

static const struct refusal refusals[] = {
	{ "BAD PASSWORD: too short", "500 BAD PASSWORD: too short\r\n" },
	{ "a\r\n200 b", "500 a  200 b\r\n" },
	{ "\x1b[0m\x7f", "500  [0m \r\n" },
};

START_TEST(test_refusal_is_one_line)
{
	char reply[PROTOCOL_REPLY_MAX];

	protocol_refusal(reply, refusals[_i].reason);
	ck_assert_str_eq(reply, refusals[_i].reply);
}
END_TEST

START_TEST(test_refusal_is_short)
{
	char reason[2000], reply[PROTOCOL_REPLY_MAX];

	memset(reason, 'x', sizeof(reason));
	reason[sizeof(reason) - 1] = '\0';
	protocol_refusal(reply, reason);
	ck_assert_uint_lt(strlen(reply), PROTOCOL_REPLY_MAX);
	ck_assert_str_eq(reply + strlen(reply) - 3, "x\r\n");
}
END_TEST

/* As the clients compare them. */
START_TEST(test_replies_are_these_bytes)
{
	ck_assert_str_eq(
	    protocol_ask_password, "200 Your password please.\r\n");
	ck_assert_str_eq(
	    protocol_ask_new_password, "200 Your new password please.\r\n");
	ck_assert_str_eq(
	    protocol_changed, "200 Password changed, thank-you.\r\n");
	ck_assert_str_eq(
	    protocol_wrong_password, "500 Old password is incorrect.\r\n");
	ck_assert_str_eq(protocol_bye, "200 Bye.\r\n");
	ck_assert_str_eq(
	    protocol_busy, "500 Server busy, try again later.\r\n");
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("protocol");

	tcase_add_loop_test(tcase, test_step_follows_the_table, 0, N_OF(cases));
	tcase_add_loop_test(tcase, test_step_never_cuts, 0, N_OF(limits));
	tcase_add_test(tcase, test_step_refuses_nul);
	tcase_add_loop_test(tcase, test_refusal_is_one_line, 0, N_OF(refusals));
	tcase_add_test(tcase, test_refusal_is_short);
	tcase_add_test(tcase, test_replies_are_these_bytes);
	return suite_run("protocol", tcase);
}
