/* The log: one line an event, and nothing in it that could be another. */
#include "common/log.h"

#include <sys/stat.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/suite.h"

static FILE *file;
static int saved_stderr;

/* The log writes to descriptor 2: let that be a file for a while. */
static void
setup(void)
{
	file = tmpfile();
	ck_assert_ptr_nonnull(file);
	saved_stderr = dup(STDERR_FILENO);
	ck_assert_int_eq(dup2(fileno(file), STDERR_FILENO), STDERR_FILENO);
	log_open(LOG_TARGET_STDERR, LOG_LEVEL_INFO);
}

static void
teardown(void)
{
	(void)dup2(saved_stderr, STDERR_FILENO);
	(void)close(saved_stderr);
	(void)fclose(file);
}

static const char *
written(void)
{
	static char text[8192];
	size_t n;

	rewind(file);
	n = fread(text, 1, sizeof(text) - 1, file);
	text[n] = '\0';
	return text;
}

struct escape {
	const char *in;
	const char *out;
};

static const struct escape escapes[] = {
	{ "bob", "bob" },
	{ "a b=c", "a b=c" },
	{ "a\nevent=x", "a\\x0aevent=x" },
	{ "\"\\", "\\x22\\x5c" },
	{ "\x1b[2J\r\x7f", "\\x1b[2J\\x0d\\x7f" },
	{ "\xe2\x80\xae", "\\xe2\\x80\\xae" },
	{ "", "" },
};

START_TEST(test_escape_leaves_printable_ascii_only)
{
	char out[64];

	ck_assert_uint_eq(log_escape(out, sizeof(out), escapes[_i].in),
	    strlen(escapes[_i].out));
	ck_assert_str_eq(out, escapes[_i].out);
}
END_TEST

START_TEST(test_escape_is_not_cut_inside)
{
	char out[6];

	ck_assert_uint_eq(log_escape(out, sizeof(out), "ab\n\n"), 2);
	ck_assert_str_eq(out, "ab");
}
END_TEST

START_TEST(test_event_writes_fields_in_order)
{
	const struct wire_origin origin = { .address = "192.0.2.8",
		.port = 4313,
		.listener = "[::]:106",
		.tls = "TLSv1.3" };
	const struct log_subject subject = { .origin = &origin,
		.user = "bob",
		.reason = "BAD PASSWORD: \"too\" short" };

	log_event(LOG_LEVEL_INFO, "change_refused", &subject);
	ck_assert_str_eq(written(),
	    "event=change_refused peer=192.0.2.8 port=4313 "
	    "listener=[::]:106 tls=TLSv1.3 user=\"bob\" "
	    "reason=\"BAD PASSWORD: \\x22too\\x22 short\"\n");
}
END_TEST

START_TEST(test_event_tells_who_spoke_for_the_peer)
{
	const struct wire_origin origin = { .address = "192.0.2.8",
		.proxy = "198.51.100.1",
		.listener = "[::]:106" };
	const struct log_subject subject = { .origin = &origin };

	log_event(LOG_LEVEL_INFO, "x", &subject);
	ck_assert_str_eq(written(),
	    "event=x peer=192.0.2.8 proxy=198.51.100.1 listener=[::]:106\n");
}
END_TEST

/* A subject is text from outside, as a reason is. */
START_TEST(test_event_quotes_the_certificate)
{
	const struct wire_origin origin = { .address = "::1",
		.tls = "TLSv1.3",
		.certificate = "CN=a\" user=\"root\n" };
	const struct log_subject subject = { .origin = &origin, .user = "bob" };

	log_event(LOG_LEVEL_INFO, "x", &subject);
	ck_assert_str_eq(written(),
	    "event=x peer=::1 tls=TLSv1.3 "
	    "certificate=\"CN=a\\x22 user=\\x22root\\x0a\" "
	    "user=\"bob\"\n");
}
END_TEST

START_TEST(test_event_tells_credentials_of_local_peers)
{
	const struct wire_origin origin = { .address = WIRE_UNIX_ADDRESS,
		.listener = "unix:/run/with blank",
		.uid = 33,
		.pid = 0 };
	const struct log_subject subject = { .origin = &origin };

	log_event(LOG_LEVEL_INFO, "x", &subject);
	ck_assert_str_eq(written(),
	    "event=x peer=unix uid=33 pid=0 listener=unix:/run/with_blank\n");
}
END_TEST

START_TEST(test_event_leaves_out_what_is_not_there)
{
	const struct wire_origin origin = { .address = "::1" };
	const struct log_subject subject = { .origin = &origin };

	log_event(LOG_LEVEL_INFO, "auth_failed", &subject);
	log_event(LOG_LEVEL_INFO, "ready", NULL);
	ck_assert_str_eq(
	    written(), "event=auth_failed peer=::1\nevent=ready\n");
}
END_TEST

/* A user name that tries to be a line of its own, or another peer. */
START_TEST(test_event_keeps_one_line)
{
	const struct log_subject subject = {
		.user = "x\" peer=203.0.113.1\nevent=change_ok user=\"root"
	};
	const char *text;

	log_event(LOG_LEVEL_INFO, "auth_failed", &subject);
	text = written();
	ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
	ck_assert_ptr_null(strstr(text, "x\" peer"));
}
END_TEST

START_TEST(test_event_bounds_long_text)
{
	char user[WIRE_USER_SIZE], reason[WIRE_DETAIL_SIZE];
	const struct log_subject subject = { .user = user, .reason = reason };
	const char *text;

	memset(user, 0x01, sizeof(user) - 1);
	user[sizeof(user) - 1] = '\0';
	memset(reason, 0x02, sizeof(reason) - 1);
	reason[sizeof(reason) - 1] = '\0';
	log_event(LOG_LEVEL_INFO, "auth_failed", &subject);
	text = written();
	ck_assert_uint_le(strlen(text), 2048);
	ck_assert_int_eq(text[strlen(text) - 1], '\n');
}
END_TEST

/* Only if JOURNAL_STREAM names the very file: a service may have redirected its
 * standard error. */
START_TEST(test_lines_have_priorities_in_the_journal)
{
	char stream[64];
	struct stat st;

	ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
	(void)snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev,
	    (uintmax_t)st.st_ino);
	ck_assert_int_eq(setenv("JOURNAL_STREAM", stream, 1), 0);
	log_open(LOG_TARGET_AUTO, LOG_LEVEL_DEBUG);
	for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++)
		log_event((enum log_level)level, "x", NULL);
	(void)strcat(stream, "0");
	ck_assert_int_eq(setenv("JOURNAL_STREAM", stream, 1), 0);
	log_open(LOG_TARGET_AUTO, LOG_LEVEL_DEBUG);
	log_event(LOG_LEVEL_INFO, "x", NULL);
	ck_assert_str_eq(written(),
	    "<3>event=x\n<4>event=x\n<5>event=x\n<6>event=x\n<7>event=x\n"
	    "event=x\n");
}
END_TEST

START_TEST(test_level_hides_lines)
{
	log_open(LOG_TARGET_STDERR, LOG_LEVEL_WARNING);
	log_event(LOG_LEVEL_NOTICE, "hidden", NULL);
	log_message(LOG_LEVEL_INFO, "hidden too");
	log_message(LOG_LEVEL_WARNING, "net: %s", "shown");
	ck_assert_str_eq(written(), "net: shown\n");
}
END_TEST

START_TEST(test_message_has_no_control_characters)
{
	log_message(LOG_LEVEL_ERROR, "file\n: %s", "\x1b[m");
	ck_assert_str_eq(written(), "file?: ?[m\n");
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("log");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, test_escape_leaves_printable_ascii_only, 0,
	    sizeof(escapes) / sizeof(*escapes));
	tcase_add_test(tcase, test_escape_is_not_cut_inside);
	tcase_add_test(tcase, test_event_writes_fields_in_order);
	tcase_add_test(tcase, test_event_tells_who_spoke_for_the_peer);
	tcase_add_test(tcase, test_event_quotes_the_certificate);
	tcase_add_test(tcase, test_event_tells_credentials_of_local_peers);
	tcase_add_test(tcase, test_event_leaves_out_what_is_not_there);
	tcase_add_test(tcase, test_event_keeps_one_line);
	tcase_add_test(tcase, test_event_bounds_long_text);
	tcase_add_test(tcase, test_lines_have_priorities_in_the_journal);
	tcase_add_test(tcase, test_level_hides_lines);
	tcase_add_test(tcase, test_message_has_no_control_characters);
	return suite_run("log", tcase);
}
