/*
 * What the directives do with their values, and how they are dumped. Any
 * process that reads a configuration; pure.
 */
#include "conf/setters.h"

#include <errno.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/address.h"
#include "conf/lexer.h"

#define MEMBER(type, config, directive)                                        \
	((type *)(void *)((char *)(config) + (directive)->offset))
#define CONST_MEMBER(type, config, directive)                                  \
	((type const *)(const void *)((const char *)(config) +                 \
	    (directive)->offset))

/* A word of a directive that is one of a few. */
struct word_value {
	const char *word;
	int value;
};

static void
complain(const struct directive_use *use, const char *what)
{
	config_error(use->errors, use->place, "%s: %s", use->words[0], what);
}

/* Is memory there? It is rare enough that saying so is all. */
static char *
copy(const struct directive_use *use, const char *word)
{
	char *p = strdup(word);

	if (p == NULL)
		complain(use, strerror(errno));
	return p;
}

static int
look_up(const struct directive_use *use, const struct word_value *values,
    size_t n, const char *word, int *value)
{
	char list[128] = "";

	for (size_t i = 0; i < n; i++) {
		if (strcmp(values[i].word, word) == 0) {
			*value = values[i].value;
			return 0;
		}
		(void)strncat(
		    list, i == 0 ? "" : ", ", sizeof(list) - strlen(list) - 1);
		(void)strncat(
		    list, values[i].word, sizeof(list) - strlen(list) - 1);
	}
	config_error(use->errors, use->place, "%s: \"%s\" is none of: %s",
	    use->words[0], word, list);
	return -1;
}

static const char *
word_of(const struct word_value *values, size_t n, int value)
{
	for (size_t i = 0; i < n; i++) {
		if (values[i].value == value)
			return values[i].word;
	}
	return "";
}

static void
format_duration(char *out, size_t size, unsigned ms)
{
	if (ms % 60000 == 0 && ms > 0)
		(void)snprintf(out, size, "%um", ms / 60000);
	else if (ms % 1000 == 0)
		(void)snprintf(out, size, "%us", ms / 1000);
	else
		(void)snprintf(out, size, "%ums", ms);
}

void
setter_duration(
    const struct directive *directive, const struct directive_use *use)
{
	unsigned *member = MEMBER(unsigned, use->config, directive);
	char low[16], high[16];
	unsigned ms;

	if (lexer_duration(use->words[1], &ms) == -1) {
		config_error(use->errors, use->place,
		    "%s: \"%s\" is no time; write it as 500ms, 10s, 5m or 2h",
		    use->words[0], use->words[1]);
		return;
	}
	if (ms >= directive->low && ms <= directive->high) {
		*member = ms;
		return;
	}
	format_duration(low, sizeof(low), directive->low);
	format_duration(high, sizeof(high), directive->high);
	config_error(use->errors, use->place,
	    "%s: %s is out of range, %s to %s are allowed", use->words[0],
	    use->words[1], low, high);
}

void
dumper_duration(
    const struct directive *directive, const struct config *config, FILE *out)
{
	char text[16];

	format_duration(
	    text, sizeof(text), *CONST_MEMBER(unsigned, config, directive));
	(void)fprintf(out, "%s %s\n", directive->name, text);
}

static int
parse_number(const struct directive *directive, const struct directive_use *use,
    unsigned *number)
{
	if (lexer_number(use->words[1], number) == -1) {
		config_error(use->errors, use->place, "%s: \"%s\" is no number",
		    use->words[0], use->words[1]);
		return -1;
	}
	if (*number >= directive->low && *number <= directive->high)
		return 0;
	config_error(use->errors, use->place,
	    "%s: %s is out of range, %u to %u are allowed", use->words[0],
	    use->words[1], directive->low, directive->high);
	return -1;
}

void
setter_number(
    const struct directive *directive, const struct directive_use *use)
{
	unsigned number;

	if (parse_number(directive, use, &number) == 0)
		*MEMBER(unsigned, use->config, directive) = number;
}

void
dumper_number(
    const struct directive *directive, const struct config *config, FILE *out)
{
	(void)fprintf(out, "%s %u\n", directive->name,
	    *CONST_MEMBER(unsigned, config, directive));
}

void
setter_run_slots(
    const struct directive *directive, const struct directive_use *use)
{
	long n_cpus;

	if (strcmp(use->words[1], "auto") != 0) {
		setter_number(directive, use);
		return;
	}
	n_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	use->config->run_slots = n_cpus < 1 ? 1 : (unsigned)n_cpus;
}

static const struct word_value yes_no[] = { { "yes", 1 }, { "no", 0 } };

void
setter_yes_no(
    const struct directive *directive, const struct directive_use *use)
{
	(void)look_up(
	    use, yes_no, 2, use->words[1], MEMBER(int, use->config, directive));
}

void
dumper_yes_no(
    const struct directive *directive, const struct config *config, FILE *out)
{
	(void)fprintf(out, "%s %s\n", directive->name,
	    word_of(yes_no, 2, *CONST_MEMBER(int, config, directive)));
}

static const struct word_value dac_choices[] = {
	{ "auto", CONFIG_CHOICE_AUTO },
	{ "yes", CONFIG_CHOICE_YES },
	{ "no", CONFIG_CHOICE_NO },
};

void
setter_dac_override(
    const struct directive *directive, const struct directive_use *use)
{
	int value;

	(void)directive;
	if (look_up(use, dac_choices, 3, use->words[1], &value) == 0)
		use->config->pam_dac_override = (enum config_choice)value;
}

void
dumper_dac_override(
    const struct directive *directive, const struct config *config, FILE *out)
{
	(void)fprintf(out, "%s %s\n", directive->name,
	    word_of(dac_choices, 3, (int)config->pam_dac_override));
}

static const struct word_value tls_versions[] = { { "1.2", 0x0303 },
	{ "1.3", 0x0304 } };

void
setter_tls_version(
    const struct directive *directive, const struct directive_use *use)
{
	(void)look_up(use, tls_versions, 2, use->words[1],
	    MEMBER(int, use->config, directive));
}

void
dumper_tls_version(
    const struct directive *directive, const struct config *config, FILE *out)
{
	(void)fprintf(out, "%s %s\n", directive->name,
	    word_of(tls_versions, 2, config->tls_minimum_version));
}

static const struct word_value log_targets[] = {
	{ "auto", LOG_TARGET_AUTO },
	{ "stderr", LOG_TARGET_STDERR },
	{ "syslog", LOG_TARGET_SYSLOG },
};

void
setter_log_target(
    const struct directive *directive, const struct directive_use *use)
{
	int value;

	(void)directive;
	if (look_up(use, log_targets, 3, use->words[1], &value) == 0)
		use->config->log_target = (enum log_target)value;
}

void
dumper_log_target(
    const struct directive *directive, const struct config *config, FILE *out)
{
	(void)fprintf(out, "%s %s\n", directive->name,
	    word_of(log_targets, 3, (int)config->log_target));
}

static const struct word_value log_levels[] = {
	{ "error", LOG_LEVEL_ERROR },
	{ "warning", LOG_LEVEL_WARNING },
	{ "notice", LOG_LEVEL_NOTICE },
	{ "info", LOG_LEVEL_INFO },
	{ "debug", LOG_LEVEL_DEBUG },
};

void
setter_log_level(
    const struct directive *directive, const struct directive_use *use)
{
	int value;

	(void)directive;
	if (look_up(use, log_levels, 5, use->words[1], &value) == 0)
		use->config->log_level = (enum log_level)value;
}

void
dumper_log_level(
    const struct directive *directive, const struct config *config, FILE *out)
{
	(void)fprintf(out, "%s %s\n", directive->name,
	    word_of(log_levels, 5, (int)config->log_level));
}

static void
dump_word(const char *name, const char *word, FILE *out)
{
	char quoted[2 * LEXER_LINE_MAX + 3];

	if (word == NULL)
		return;
	lexer_quote(quoted, sizeof(quoted), word);
	(void)fprintf(out, "%s %s\n", name, quoted);
}

/* A string whose length some message of common/wire.h bounds by `high`. */
static int
set_string(const struct directive *directive, const struct directive_use *use)
{
	char **member = MEMBER(char *, use->config, directive);

	if (use->words[1][0] == '\0') {
		complain(use, "is empty");
		return -1;
	}
	if (strlen(use->words[1]) > directive->high) {
		config_error(use->errors, use->place,
		    "%s: is longer than %u bytes", use->words[0],
		    directive->high);
		return -1;
	}
	free(*member);
	*member = copy(use, use->words[1]);
	return *member != NULL ? 0 : -1;
}

void
dumper_string(
    const struct directive *directive, const struct config *config, FILE *out)
{
	dump_word(
	    directive->name, *CONST_MEMBER(char *, config, directive), out);
}

static void
place_set(struct config_place *to, const struct config_place *from)
{
	free(to->file);
	to->file = from->file != NULL ? strdup(from->file) : NULL;
	to->line = from->line;
}

void
setter_user(const struct directive *directive, const struct directive_use *use)
{
	if (set_string(directive, use) == 0)
		place_set(&use->config->user_place, use->place);
}

void
setter_pam_service(
    const struct directive *directive, const struct directive_use *use)
{
	if (strchr(use->words[1], '/') != NULL)
		complain(use, "is a name, not a path; see pam-confdir");
	else if (set_string(directive, use) == 0)
		place_set(&use->config->pam_service_place, use->place);
}

void
setter_path(const struct directive *directive, const struct directive_use *use)
{
	if (use->words[1][0] != '/')
		complain(use, "is no absolute path");
	else
		(void)set_string(directive, use);
}

void
setter_greeting(
    const struct directive *directive, const struct directive_use *use)
{
	for (const char *p = use->words[1]; *p != '\0'; p++) {
		if ((unsigned char)*p >= 0x7f || (unsigned char)*p < ' ') {
			complain(use,
			    "holds a byte that is not printable "
			    "ASCII");
			return;
		}
	}
	(void)set_string(directive, use);
}

/* Room for one more, of so many bytes each. */
static void *
grow(const struct directive_use *use, void *list, size_t n, size_t size)
{
	char *p = reallocarray(list, n + 1, size);

	if (p == NULL)
		complain(use, strerror(errno));
	else
		memset(p + n * size, 0, size);
	return p;
}

static const struct word_value tls_modes[] = {
	{ "tls=auto", LISTEN_TLS_AUTO },
	{ "tls=implicit", LISTEN_TLS_IMPLICIT },
	{ "tls=starttls", LISTEN_TLS_STARTTLS },
};

static int
is_listening_already(
    const struct config *config, const struct config_listen *listen)
{
	for (size_t i = 0; i < config->n_listens; i++) {
		if (config->listens[i].sockaddr_len == listen->sockaddr_len &&
		    memcmp(&config->listens[i].sockaddr, &listen->sockaddr,
			listen->sockaddr_len) == 0)
			return 1;
	}
	return 0;
}

void
setter_listen(
    const struct directive *directive, const struct directive_use *use)
{
	struct config *config = use->config;
	struct config_listen listen;
	int mode = LISTEN_TLS_AUTO;
	void *list;

	(void)directive;
	memset(&listen, 0, sizeof(listen));
	if (address_parse(
		use->words[1], &listen.sockaddr, &listen.sockaddr_len) == -1) {
		config_error(use->errors, use->place,
		    "listen: \"%s\" is no address with a port; write it as "
		    "192.0.2.1:106, [2001:db8::1]:106 or *:106",
		    use->words[1]);
		return;
	}
	if (is_listening_already(config, &listen)) {
		config_error(use->errors, use->place,
		    "listen: %s is there twice", use->words[1]);
		return;
	}
	if (use->n_words > 2 &&
	    look_up(use, tls_modes, 3, use->words[2], &mode) == -1)
		return;
	listen.tls = (enum listen_tls)mode;
	list = grow(use, config->listens, config->n_listens, sizeof(listen));
	if (list == NULL)
		return;
	config->listens = list;
	listen.address = copy(use, use->words[1]);
	place_set(&listen.place, use->place);
	config->listens[config->n_listens++] = listen;
}

void
dumper_listen(
    const struct directive *directive, const struct config *config, FILE *out)
{
	for (size_t i = 0; i < config->n_listens; i++)
		(void)fprintf(out, "%s %s %s\n", directive->name,
		    config->listens[i].address,
		    word_of(tls_modes, 3, (int)config->listens[i].tls));
}

void
setter_certificate(
    const struct directive *directive, const struct directive_use *use)
{
	struct config *config = use->config;
	struct config_pair *pair;
	void *list;

	(void)directive;
	if (use->words[1][0] != '/') {
		complain(use, "is no absolute path");
		return;
	}
	list = grow(use, config->pairs, config->n_pairs, sizeof(*pair));
	if (list == NULL)
		return;
	config->pairs = list;
	pair = &config->pairs[config->n_pairs++];
	pair->certificate = copy(use, use->words[1]);
	place_set(&pair->place, use->place);
}

void
setter_key(const struct directive *directive, const struct directive_use *use)
{
	struct config *config = use->config;
	struct config_pair *pair;

	(void)directive;
	if (use->words[1][0] != '/') {
		complain(use, "is no absolute path");
		return;
	}
	if (config->n_pairs == 0) {
		complain(use, "has no tls-certificate before it");
		return;
	}
	pair = &config->pairs[config->n_pairs - 1];
	if (pair->key != NULL) {
		config_error(use->errors, use->place,
		    "tls-key: the tls-certificate before it has a key already");
		return;
	}
	pair->key = copy(use, use->words[1]);
}

/* Also writes the keys: their order is what ties them together. */
void
dumper_pairs(
    const struct directive *directive, const struct config *config, FILE *out)
{
	for (size_t i = 0; i < config->n_pairs; i++) {
		dump_word(directive->name, config->pairs[i].certificate, out);
		dump_word("tls-key", config->pairs[i].key, out);
	}
}

static const struct word_value prompt_kinds[] = {
	{ "password", PROMPT_PASSWORD },
	{ "current", PROMPT_CURRENT },
	{ "new", PROMPT_NEW },
	{ "retype", PROMPT_RETYPE },
	{ "refuse", PROMPT_REFUSE },
};

static int
check_pattern(const struct directive_use *use, const char *pattern)
{
	char why[128];
	regex_t regex;
	int code;

	if (strncmp(pattern, "(?i)", 4) == 0)
		pattern += 4;
	code = regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB);
	if (code == 0) {
		regfree(&regex);
		return 0;
	}
	(void)regerror(code, NULL, why, sizeof(why));
	config_error(use->errors, use->place,
	    "pam-prompt: \"%s\": %s; it is a POSIX extended regular "
	    "expression, with (?i) before it to ignore case",
	    pattern, why);
	return -1;
}

void
setter_prompt(
    const struct directive *directive, const struct directive_use *use)
{
	struct config *config = use->config;
	struct wire_prompt *prompt = &config->prompts[config->n_prompts];
	int kind;

	(void)directive;
	if (config->n_prompts == WIRE_PROMPTS_MAX) {
		complain(use, "there are 16 already, no more are allowed");
		return;
	}
	if (strlen(use->words[2]) >= WIRE_PATTERN_SIZE) {
		complain(use, "the pattern is longer than 127 bytes");
		return;
	}
	if (look_up(use, prompt_kinds, 5, use->words[1], &kind) == -1 ||
	    check_pattern(use, use->words[2]) == -1)
		return;
	prompt->kind = (uint32_t)kind;
	wire_string_set(
	    prompt->pattern, sizeof(prompt->pattern), use->words[2]);
	config->n_prompts++;
}

void
dumper_prompts(
    const struct directive *directive, const struct config *config, FILE *out)
{
	for (size_t i = 0; i < config->n_prompts; i++) {
		char name[64];

		(void)snprintf(name, sizeof(name), "%s %s", directive->name,
		    word_of(prompt_kinds, 5, (int)config->prompts[i].kind));
		dump_word(name, config->prompts[i].pattern, out);
	}
}
