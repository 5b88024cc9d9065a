/*
 * The directives: one table. Any process that reads a configuration; pure.
 */
#include "conf/directives.h"

#include <limits.h>
#include <string.h>

#include "common/control_protocol.h"
#include "conf/lexer.h"
#include "conf/setters.h"

#define GREETING_MAX 500

#define AT(member) .offset = offsetof(struct config, member)
#define DURATION   .set = setter_duration, .dump = dumper_duration
#define NUMBER     .set = setter_number, .dump = dumper_number
#define STRING     .dump = dumper_string
#define WORDS      .set = setter_words, .dump = dumper_words
#define RATE       .set = setter_rate, .dump = dumper_rate
#define NETWORKS   .set = setter_cidrs, .dump = dumper_cidrs

/* As many as a line has room for, beside the name. */
#define MANY (LEXER_WORDS_MAX - 1)

#define CHOICE(of)                                                             \
	.choices = (of), .n_choices = sizeof(of) / sizeof(*(of)),              \
	.set = setter_choice, .dump = dumper_choice

static const struct word_value yes_no[] = { { "yes", 1 }, { "no", 0 } };

static const struct word_value yes_no_auto[] = {
	{ "auto", CONFIG_CHOICE_AUTO },
	{ "yes", CONFIG_CHOICE_YES },
	{ "no", CONFIG_CHOICE_NO },
};

static const struct word_value tls_versions[] = {
	{ "1.2", 0x0303 },
	{ "1.3", 0x0304 },
};

static const struct word_value username_domains[] = {
	{ "keep", USERNAME_DOMAIN_KEEP },
	{ "strip", USERNAME_DOMAIN_STRIP },
	{ "require", USERNAME_DOMAIN_REQUIRE },
};

static const struct word_value username_cases[] = {
	{ "keep", USERNAME_CASE_KEEP },
	{ "lower", USERNAME_CASE_LOWER },
};

static const struct word_value log_targets[] = {
	{ "auto", LOG_TARGET_AUTO },
	{ "stderr", LOG_TARGET_STDERR },
	{ "syslog", LOG_TARGET_SYSLOG },
};

static const struct word_value log_levels[] = {
	{ "error", LOG_LEVEL_ERROR },
	{ "warning", LOG_LEVEL_WARNING },
	{ "notice", LOG_LEVEL_NOTICE },
	{ "info", LOG_LEVEL_INFO },
	{ "debug", LOG_LEVEL_DEBUG },
};

const struct directive directives[] = {
	{ "listen", 1, MANY, 1, "[::]:106 tls=auto", .set = setter_listen,
	    .dump = dumper_listen },
	{ "tls-certificate", 1, 1, 1, NULL, .set = setter_certificate,
	    .dump = dumper_pairs },
	{ "tls-key", 1, 1, 1, NULL, .set = setter_key },
	{ "tls-minimum-version", 1, 1, 0, "1.2", AT(tls_minimum_version),
	    CHOICE(tls_versions) },
	{ "tls-client-ca", 1, 1, 0, NULL, 1, LEXER_WORD_MAX, AT(tls_client_ca),
	    STRING, .set = setter_client_ca },
	{ "user", 1, 1, 0, "poppassd", 1, 255, AT(user), STRING,
	    .set = setter_user },
	{ "pam-service", 1, 1, 0, "poppassd", 1, WIRE_SERVICE_SIZE - 1,
	    AT(pam_service), STRING, .set = setter_pam_service },
	{ "pam-confdir", 1, 1, 0, NULL, 1, WIRE_PATH_SIZE - 1, AT(pam_confdir),
	    STRING, .set = setter_path },
	{ "pam-prompt", 2, 2, 1, NULL, .set = setter_prompt,
	    .dump = dumper_prompts },
	{ "pam-dac-override", 1, 1, 0, "auto", AT(pam_dac_override),
	    CHOICE(yes_no_auto) },
	{ "min-uid", 1, 1, 0, "1000", 1, INT_MAX, AT(min_uid), NUMBER },
	{ "virtual-users", 1, 1, 0, "no", AT(virtual_users), CHOICE(yes_no) },
	{ "virtual-user-account", 1, 1, 0, NULL, 1, 255,
	    AT(virtual_user_account), STRING,
	    .set = setter_virtual_user_account },
	{ "username-domain", 1, 1, 0, "keep", AT(username_domain),
	    CHOICE(username_domains) },
	{ "username-case", 1, 1, 0, "keep", AT(username_case),
	    CHOICE(username_cases) },
	{ "allow-users", 1, MANY, 1, NULL, AT(allow_users), WORDS },
	{ "deny-users", 1, MANY, 1, NULL, AT(deny_users), WORDS },
	{ "allow-groups", 1, MANY, 1, NULL, AT(allow_groups), WORDS },
	{ "deny-groups", 1, MANY, 1, NULL, AT(deny_groups), WORDS },
	{ "allow-from", 1, MANY, 1, NULL, AT(allow_from), NETWORKS },
	{ "deny-from", 1, MANY, 1, NULL, AT(deny_from), NETWORKS },
	{ "trusted-clients", 1, MANY, 1, NULL, AT(trusted_clients), NETWORKS },
	{ "proxy-trust", 1, MANY, 1, NULL, AT(proxy_trust), NETWORKS },
	{ "greeting", 1, 1, 0, NULL, 1, GREETING_MAX, AT(greeting), STRING,
	    .set = setter_greeting },
	{ "greeting-delay", 1, 1, 0, "500ms", 0, 5000, AT(greeting_delay_ms),
	    DURATION },
	{ "handshake-timeout", 1, 1, 0, "10s", 1000, 60000,
	    AT(handshake_timeout_ms), DURATION },
	{ "command-timeout", 1, 1, 0, "60s", 1000, 3600000,
	    AT(command_timeout_ms), DURATION },
	{ "session-timeout", 1, 1, 0, "3m", 1000, 3600000,
	    AT(session_timeout_ms), DURATION },
	{ "change-timeout", 1, 1, 0, "9s", 1000, 60000, AT(change_timeout_ms),
	    DURATION },
	{ "drain-timeout", 1, 1, 0, "30s", 0, 3600000, AT(drain_timeout_ms),
	    DURATION },
	{ "fail-delay", 1, 1, 0, "2s", 0, 8000, AT(fail_delay_ms), DURATION },
	{ "user-failures", 2, 2, 0, "5 10m", 1, 10000, AT(user_failures),
	    RATE },
	{ "client-failures", 2, 2, 0, "20 10m", 1, 10000, AT(client_failures),
	    RATE },
	{ "max-sessions", 1, 1, 0, "1000", 1, 100000, AT(max_sessions),
	    NUMBER },
	{ "max-sessions-per-client", 1, 1, 0, "20", 1, 100000,
	    AT(max_sessions_per_client), NUMBER },
	{ "max-helpers", 1, 1, 0, "64", 1, 10000, AT(max_helpers), NUMBER },
	{ "run-slots", 1, 1, 0, "auto", 1, 10000, AT(run_slots),
	    .set = setter_run_slots, .dump = dumper_number },
	{ "log-target", 1, 1, 0, "auto", AT(log_target), CHOICE(log_targets) },
	{ "log-level", 1, 1, 0, "info", AT(log_level), CHOICE(log_levels) },
	{ "control-socket", 1, 1, 0, CONTROL_SOCKET,
	    .set = setter_control_socket, .dump = dumper_control_socket },
};

const size_t directives_count = sizeof(directives) / sizeof(*directives);

const struct directive *
directive_find(const char *name)
{
	for (size_t i = 0; i < directives_count; i++) {
		if (strcmp(directives[i].name, name) == 0)
			return &directives[i];
	}
	return NULL;
}
