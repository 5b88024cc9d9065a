/* Directives: defaults, ranges, dump and back. */
#include "conf/config.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "conf/directives.h"
#include "conf/lexer.h"
#include "tests/unit/suite.h"

#define CERTIFICATE "tls-certificate /c.pem\n"

static char *said;
static size_t said_len;

/* NULL, and what was said in `said`, if there was an error. */
static struct config *
parse(const char *text)
{
	struct config_errors errors = { .out = NULL };
	struct config *config;

	free(said);
	said = NULL;
	errors.out = open_memstream(&said, &said_len);
	config = config_parse("test", text, strlen(text), &errors);
	(void)fclose(errors.out);
	return config;
}

static char *
dump(const struct config *config)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	ck_assert_int_eq(config_dump(config, out), 0);
	(void)fclose(out);
	return text;
}

START_TEST(test_parse_gives_defaults)
{
	struct config *c = parse(CERTIFICATE);

	ck_assert_ptr_nonnull(c);
	ck_assert_uint_eq(c->n_listens, 1);
	ck_assert_str_eq(c->listens[0].address, "[::]:106");
	ck_assert_int_eq(c->listens[0].tls, LISTEN_TLS_AUTO);
	ck_assert_str_eq(c->pairs[0].key, "/c.pem");
	ck_assert_int_eq(c->tls_minimum_version, 0x0303);
	ck_assert_str_eq(c->user, "poppassd");
	ck_assert_str_eq(c->pam_service, "poppassd");
	ck_assert_ptr_null(c->pam_confdir);
	ck_assert_int_eq(c->pam_dac_override, CONFIG_CHOICE_AUTO);
	ck_assert_uint_eq(c->min_uid, 1000);
	ck_assert_int_eq(c->virtual_users, 0);
	ck_assert_str_eq(c->virtual_user_account, "poppassd");
	ck_assert_int_eq(c->username_domain, USERNAME_DOMAIN_KEEP);
	ck_assert_int_eq(c->username_case, USERNAME_CASE_KEEP);
	ck_assert_uint_eq(c->allow_users.n, 0);
	ck_assert_uint_eq(c->allow_from.n, 0);
	ck_assert_ptr_nonnull(strstr(c->greeting, " poppassd v2 hello"));
	ck_assert_uint_eq(c->greeting_delay_ms, 500);
	ck_assert_uint_eq(c->handshake_timeout_ms, 10000);
	ck_assert_uint_eq(c->command_timeout_ms, 60000);
	ck_assert_uint_eq(c->session_timeout_ms, 180000);
	ck_assert_uint_eq(c->change_timeout_ms, 9000);
	ck_assert_uint_eq(c->drain_timeout_ms, 30000);
	ck_assert_uint_eq(c->fail_delay_ms, 2000);
	ck_assert_uint_eq(c->user_failures.n, 5);
	ck_assert_uint_eq(c->user_failures.window_ms, 600000);
	ck_assert_uint_eq(c->client_failures.n, 20);
	ck_assert_uint_eq(c->client_failures.window_ms, 600000);
	ck_assert_uint_eq(c->max_sessions, 1000);
	ck_assert_uint_eq(c->max_sessions_per_client, 20);
	ck_assert_uint_eq(c->max_helpers, 64);
	ck_assert_uint_ge(c->run_slots, 1);
	ck_assert_int_eq(c->log_target, LOG_TARGET_AUTO);
	ck_assert_int_eq(c->log_level, LOG_LEVEL_INFO);
	config_free(c);
}
END_TEST

static const char *const good_lines[] = {
	"listen 192.0.2.1:106\n",
	"listen [2001:db8::1]:10106 tls=implicit\n",
	"listen *:1 tls=starttls\n",
	"listen 127.0.0.1:65535\nlisten 127.0.0.2:65535\n",
	"listen *:1 proxy=yes tls=starttls\nproxy-trust 192.0.2.1\n",
	"listen *:1 proxy=no client-cert=off\n",
	"listen *:1 client-cert=optional\nlisten *:2 client-cert=required\n"
	"tls-client-ca \"/etc/ssl/client ca.pem\"\n",
	"listen unix:/run/poppassd/webmail.sock\n",
	"listen unix:/s mode=0666 owner=www-data group=mail\n",
	"listen \"unix:/with blank\" \"owner=a \\\"b\\\"\" mode=600\nlisten "
	"*:1\n",
	"tls-certificate /d.pem\ntls-key /d.key\n",
	"tls-minimum-version 1.3\n",
	"user \"mail user\"\n",
	"pam-service other\n",
	"pam-confdir /etc/other\n",
	"pam-prompt new \"(?i)^neues \\\"kennwort\\\"\"\n",
	"pam-prompt refuse x\npam-prompt password y\n",
	"pam-dac-override yes\n",
	"min-uid 1\n",
	"virtual-users yes\n",
	"virtual-user-account vmail\n",
	"username-domain strip\nusername-case lower\n",
	"username-domain require\n",
	"allow-users alice \"bob \\\"b\" *@example.org\n",
	"deny-users a b c d e f g h i j k l m n o\ndeny-users p\n",
	"allow-groups mail\ndeny-groups wheel sudo\n",
	"allow-from 192.0.2.0/24 2001:db8::/32 unix\nallow-from ::1\n",
	"deny-from 203.0.113.7\n",
	"trusted-clients 10.0.0.0/8 unix\n",
	"proxy-trust ::ffff:192.0.2.0/120\n",
	"greeting hi\n",
	"greeting-delay 0ms\n",
	"handshake-timeout 1s\n",
	"command-timeout 1h\n",
	"session-timeout 1h\n",
	"change-timeout 2500ms\n",
	"drain-timeout 0s\n",
	"fail-delay 0s\n",
	"user-failures 1 1s\n",
	"client-failures 10000 24h\n",
	"max-sessions 1K\n",
	"max-sessions-per-client 1\n",
	"max-helpers 10000\n",
	"run-slots 3\n",
	"log-target syslog\n",
	"log-level debug\n",
	"control-socket none\n",
	"control-socket \"/with blank/control\"\n",
};

static int
has_a_good_line(const char *name)
{
	const size_t len = strlen(name);

	for (int i = 0; i < N_OF(good_lines); i++) {
		for (const char *p = good_lines[i]; p != NULL;) {
			if (strncmp(p, name, len) == 0 && p[len] == ' ')
				return 1;
			p = strchr(p, '\n');
			p = p != NULL ? p + 1 : NULL;
		}
	}
	return 0;
}

START_TEST(test_every_directive_has_a_good_line)
{
	for (size_t i = 0; i < directives_count; i++)
		ck_assert_msg(has_a_good_line(directives[i].name),
		    "%s has none", directives[i].name);
}
END_TEST

static struct config *
parse_and_listen_too(const char *text)
{
	struct config_errors errors = { .out = NULL };
	struct config *c = parse(text);

	config_listen_too(c, "127.0.0.1:1106", &errors);
	config_listen_too(c, "unix:/run/x", &errors);
	ck_assert_uint_eq(errors.n, 0);
	return c;
}

START_TEST(test_listen_too_replaces_the_default)
{
	struct config *c = parse_and_listen_too(CERTIFICATE);

	ck_assert_uint_eq(c->n_listens, 2);
	ck_assert_str_eq(c->listens[0].address, "127.0.0.1:1106");
	ck_assert_int_eq(c->listens[0].tls, LISTEN_TLS_AUTO);
	ck_assert_str_eq(c->listens[1].address, "unix:/run/x");
	ck_assert_int_eq(c->listens[1].is_unix, 1);
	config_free(c);
}
END_TEST

START_TEST(test_listen_too_adds_to_directives)
{
	struct config *c =
	    parse_and_listen_too(CERTIFICATE "listen [::]:106 tls=implicit\n");

	ck_assert_uint_eq(c->n_listens, 3);
	ck_assert_str_eq(c->listens[0].address, "[::]:106");
	ck_assert_str_eq(c->listens[2].address, "unix:/run/x");
	config_free(c);
}
END_TEST

/* What is dumped and read again dumps to the same text. */
static void
assert_read_back(const char *line)
{
	struct config *first, *second;
	char text[4096], *a, *b;

	(void)snprintf(text, sizeof(text), "%s%s\n", CERTIFICATE, line);
	first = parse(text);
	ck_assert_msg(first != NULL, "%s", said);
	a = dump(first);
	second = parse(a);
	ck_assert_msg(second != NULL, "%s", said);
	b = dump(second);
	ck_assert_str_eq(a, b);
	ck_assert_uint_eq(first->n_listens, second->n_listens);
	ck_assert_mem_eq(
	    first->prompts, second->prompts, sizeof(first->prompts));
	config_free(first);
	config_free(second);
	free(a);
	free(b);
}

START_TEST(test_dump_is_read_back)
{
	assert_read_back(good_lines[_i]);
}
END_TEST

struct long_word {
	const char *begin;
	size_t len;
};

static const struct long_word long_words[] = {
	{ "tls-certificate /", LEXER_WORD_MAX - 1 },
	{ "tls-key /", LEXER_WORD_MAX - 1 },
	{ "tls-client-ca /", LEXER_WORD_MAX - 1 },
	{ "listen unix:/s owner=", LEXER_WORD_MAX - sizeof("owner=") + 1 },
	{ "greeting ", 500 },
};

/* Backslashes: each is written as two. */
START_TEST(test_dump_of_a_long_word_is_read_back)
{
	char line[2048];
	size_t len = strlen(long_words[_i].begin);

	(void)strcpy(line, long_words[_i].begin);
	memset(line + len, '\\', long_words[_i].len);
	line[len + long_words[_i].len] = '\0';
	assert_read_back(line);
}
END_TEST

struct bad_line {
	const char *text;
	const char *says;
};

static const struct bad_line bad_lines[] = {
	{ "listen 106\n", "test:2: listen: \"106\" is no address" },
	{ "listen localhost:106\n", "is no address" },
	{ "listen 127.0.0.1:0\n", "is no address" },
	{ "listen 127.0.0.1:65536\n", "is no address" },
	{ "listen 127.0.0.1:1K\n", "is no address" },
	{ "listen ::1:106\n", "is no address" },
	{ "listen [127.0.0.1]:106\n", "is no address" },
	{ "listen [::1]:106 tls=none\n",
	    "\"none\" is none of: auto, implicit, starttls" },
	{ "listen *:106\nlisten [::]:106\n", "is there twice" },
	{ "listen\n", "wants 1 to 15 values, not 0" },
	{ "listen *:1 fast\n", "listen: \"fast\" is no option" },
	{ "listen *:1 tls=auto tls=auto\n", "listen *:1: tls= is there twice" },
	{ "listen *:1 mode=0660\n", "listen *:1: mode= is for unix: sockets" },
	{ "listen *:1 owner=bob\n", "owner= is for unix: sockets" },
	{ "listen *:1 group=bob\n", "group= is for unix: sockets" },
	{ "listen unix:/s tls=auto\n",
	    "listen unix:/s: tls= is for addresses; a unix: socket is no "
	    "network" },
	{ "listen unix:/s proxy=yes\n", "proxy= is for addresses" },
	{ "listen unix:/s client-cert=required\n",
	    "client-cert= is for addresses" },
	{ "listen *:1 client-cert=yes\n",
	    "\"yes\" is none of: off, optional, required" },
	{ "listen *:1 client-cert=optional\n",
	    "test:2: listen *:1: client-cert= trusts nobody" },
	{ "tls-client-ca ca.pem\n", "is no absolute path" },
	{ "listen *:1 proxy=v2\n", "\"v2\" is none of: yes, no" },
	{ "listen *:1 proxy=yes\n",
	    "test:2: listen *:1: proxy=yes trusts nobody; name the proxies "
	    "with" },
	{ "listen unix:s\n", "is no address with a port" },
	{ "listen unix:\n", "is no address with a port" },
	{ "listen unix:/a234567890b234567890c234567890d234567890e234567890"
	  "f234567890g234567890h234567890i234567890j234567890k2345678\n",
	    "is no address with a port" },
	{ "listen unix:/s\nlisten unix:/s mode=0600\n", "is there twice" },
	{ "listen unix:/s mode=660x\n", "\"660x\" is no mode" },
	{ "listen unix:/s mode=1660\n", "\"1660\" is no mode" },
	{ "listen unix:/s mode=60\n", "\"60\" is no mode" },
	{ "listen unix:/s mode=0680\n", "\"0680\" is no mode" },
	{ "listen unix:/s mode=\n", "\"\" is no mode" },
	{ "listen unix:/s owner=\n", "owner= and group= want a name" },
	{ "tls-certificate c.pem\n", "is no absolute path" },
	{ "tls-key /a\ntls-key /b\n", "has a key already" },
	{ "tls-minimum-version 1.1\n", "none of: 1.2, 1.3" },
	{ "user \"\"\n", "user: is empty" },
	{ "pam-service a/b\n", "is a name, not a path" },
	{ "pam-confdir pam.d\n", "is no absolute path" },
	{ "pam-prompt old x\n", "\"old\" is none of: password, current" },
	{ "pam-prompt new \"(\"\n", "POSIX extended regular expression" },
	{ "min-uid 0\n", "out of range, 1 to" },
	{ "virtual-users maybe\n", "none of: yes, no" },
	{ "username-domain drop\n", "none of: keep, strip, require" },
	{ "username-case upper\n", "none of: keep, lower" },
	{ "deny-groups \"\"\n", "deny-groups: a name must have 1 to 255" },
	{ "virtual-user-account \"\"\n", "virtual-user-account: is empty" },
	{ "allow-from 192.0.2.0/33\n",
	    "test:2: allow-from: \"192.0.2.0/33\" is no network" },
	{ "deny-from 192.0.2.1/24\n", "did you mean 192.0.2.0/24?" },
	{ "proxy-trust localhost\n", "\"localhost\" is no network" },
	{ "trusted-clients\n", "wants 1 to 15 values, not 0" },
	{ "greeting \"\xc3\xbc\"\n", "not printable ASCII" },
	{ "greeting-delay 6s\n", "out of range, 0s to 5s are allowed" },
	{ "change-timeout 999ms\n", "out of range, 1s to 1m" },
	{ "fail-delay 9s\n", "out of range, 0s to 8s" },
	{ "user-failures 5\n", "wants 2 values, not 1" },
	{ "user-failures 0 10m\n", "out of range, 1 to 10000" },
	{ "client-failures 5 10\n", "\"10\" is no window; write a time" },
	{ "client-failures 5 25h\n", "from 1s to 24h" },
	{ "change-timeout 2s\n", "fail-delay: must be less" },
	{ "session-timeout 5s\n", "handshake-timeout: must not be more" },
	{ "max-helpers many\n", "\"many\" is no number" },
	{ "log-level loud\n", "none of: error, warning" },
	{ "include x\n", "not allowed here" },
	{ "deny-hosts bob\n", "unknown directive \"deny-hosts\"" },
	{ "Listen [::]:106\n", "did you mean \"listen\"?" },
	{ "max-session 5\n", "did you mean \"max-sessions\"?" },
};

START_TEST(test_parse_says_what_is_wrong)
{
	char text[512];

	(void)snprintf(
	    text, sizeof(text), "%s%s", CERTIFICATE, bad_lines[_i].text);
	ck_assert_ptr_null(parse(text));
	ck_assert_msg(strstr(said, bad_lines[_i].says) != NULL,
	    "\"%s\" is not in: %s", bad_lines[_i].says, said);
}
END_TEST

START_TEST(test_parse_wants_a_certificate)
{
	ck_assert_ptr_null(parse("user bob\n"));
	ck_assert_ptr_nonnull(strstr(said, "tls-certificate: is missing"));
}
END_TEST

START_TEST(test_parse_wants_the_certificate_before_its_key)
{
	ck_assert_ptr_null(parse("tls-key /k.pem\n" CERTIFICATE));
	ck_assert_ptr_nonnull(strstr(said, "has no tls-certificate before"));
}
END_TEST

START_TEST(test_parse_bounds_prompts)
{
	char text[2048] = CERTIFICATE;

	for (int i = 0; i < WIRE_PROMPTS_MAX; i++)
		(void)strcat(text, "pam-prompt new x\n");
	config_free(parse(text));
	ck_assert_str_eq(said, "");
	(void)strcat(text, "pam-prompt new x\n");
	ck_assert_ptr_null(parse(text));
}
END_TEST

START_TEST(test_parse_bounds_networks)
{
	static char text[64 * 1024] = CERTIFICATE;
	struct config *c;
	char line[64];

	for (unsigned i = 0; i < 1024; i++) {
		(void)snprintf(line, sizeof(line), "deny-from 10.0.%u.%u\n",
		    i / 256, i % 256);
		(void)strcat(text, line);
	}
	c = parse(text);
	ck_assert_msg(c != NULL, "%s", said);
	ck_assert_uint_eq(c->deny_from.n, 1024);
	config_free(c);
	(void)strcat(text, "deny-from 10.1.0.0\n");
	ck_assert_ptr_null(parse(text));
	ck_assert_ptr_nonnull(strstr(said, "1024 already"));
}
END_TEST

START_TEST(test_parse_maps_addresses)
{
	struct config *c =
	    parse(CERTIFICATE "listen 192.0.2.7:110\nlisten [::1]:111\n");
	const struct sockaddr_in *in;
	const struct sockaddr_in6 *in6;

	ck_assert_ptr_nonnull(c);
	in = (const struct sockaddr_in *)&c->listens[0].sockaddr;
	in6 = (const struct sockaddr_in6 *)&c->listens[1].sockaddr;
	ck_assert_int_eq(in->sin_family, AF_INET);
	ck_assert_int_eq(ntohs(in->sin_port), 110);
	ck_assert_uint_eq(ntohl(in->sin_addr.s_addr), 0xc0000207U);
	ck_assert_int_eq(in6->sin6_family, AF_INET6);
	ck_assert_int_eq(ntohs(in6->sin6_port), 111);
	config_free(c);
}
END_TEST

START_TEST(test_suggest_is_silent_about_what_is_far)
{
	ck_assert_ptr_null(directive_suggest("zzzzzz"));
	ck_assert_ptr_null(directive_suggest("x"));
	ck_assert_str_eq(directive_suggest("usr"), "user");
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("config");

	tcase_add_test(tcase, test_parse_gives_defaults);
	tcase_add_test(tcase, test_listen_too_replaces_the_default);
	tcase_add_test(tcase, test_listen_too_adds_to_directives);
	tcase_add_test(tcase, test_every_directive_has_a_good_line);
	tcase_add_loop_test(tcase, test_dump_is_read_back, 0, N_OF(good_lines));
	tcase_add_loop_test(
	    tcase, test_dump_of_a_long_word_is_read_back, 0, N_OF(long_words));
	tcase_add_loop_test(
	    tcase, test_parse_says_what_is_wrong, 0, N_OF(bad_lines));
	tcase_add_test(tcase, test_parse_wants_a_certificate);
	tcase_add_test(tcase, test_parse_wants_the_certificate_before_its_key);
	tcase_add_test(tcase, test_parse_bounds_prompts);
	tcase_add_test(tcase, test_parse_bounds_networks);
	tcase_add_test(tcase, test_parse_maps_addresses);
	tcase_add_test(tcase, test_suggest_is_silent_about_what_is_far);
	return suite_run("config", tcase);
}
