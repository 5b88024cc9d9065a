/*
 * Setters and dumpers of directives that may be repeated: the pairs of
 * certificate and key, prompts, networks, names. Pure.
 */
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "conf/setter_tools.h"
#include "conf/setters.h"

void
setter_certificate(
    const struct directive *directive, const struct directive_use *use)
{
	struct config *config = use->config;
	struct config_pair *pair;
	void *list;

	(void)directive;
	if (use->words[1][0] != '/') {
		setter_complain(use, "is no absolute path");
		return;
	}
	list = setter_grow(use, config->pairs, config->n_pairs, sizeof(*pair));
	if (list == NULL)
		return;
	config->pairs = list;
	pair = &config->pairs[config->n_pairs++];
	pair->certificate = setter_copy(use, use->words[1]);
	setter_set_place(&pair->place, use->place);
}

void
setter_key(const struct directive *directive, const struct directive_use *use)
{
	struct config *config = use->config;
	struct config_pair *pair;

	(void)directive;
	if (use->words[1][0] != '/') {
		setter_complain(use, "is no absolute path");
		return;
	}
	if (config->n_pairs == 0) {
		setter_complain(use, "has no tls-certificate before it");
		return;
	}
	pair = &config->pairs[config->n_pairs - 1];
	if (pair->key != NULL) {
		config_error(use->errors, use->place,
		    "tls-key: the tls-certificate before it has a key already");
		return;
	}
	pair->key = setter_copy(use, use->words[1]);
	setter_set_place(&pair->key_place, use->place);
}

/* Also writes the keys: their order is what ties them together. */
void
dumper_pairs(
    const struct directive *directive, const struct config *config, FILE *out)
{
	for (size_t i = 0; i < config->n_pairs; i++) {
		setter_dump_word(
		    directive->name, config->pairs[i].certificate, out);
		setter_dump_word("tls-key", config->pairs[i].key, out);
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
		setter_complain(
		    use, "there are 16 already, no more are allowed");
		return;
	}
	if (strlen(use->words[2]) >= WIRE_PATTERN_SIZE) {
		setter_complain(use, "the pattern is longer than 127 bytes");
		return;
	}
	if (setter_look_up(use, prompt_kinds, 5, use->words[1], &kind) == -1 ||
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
		    setter_word_of(
			prompt_kinds, 5, (int)config->prompts[i].kind));
		setter_dump_word(name, config->prompts[i].pattern, out);
	}
}

/* The whole configuration has to fit what the monitor sends net at once. */
#define CIDRS_MAX 1024

static int
parse_cidr(const struct directive_use *use, const char *word, struct cidr *cidr)
{
	char text[CIDR_TEXT_SIZE];

	switch (cidr_parse(word, cidr)) {
	case CIDR_OK:
		return 0;
	case CIDR_HOST_BITS:
		cidr_format(cidr, text);
		config_error(use->errors, use->place,
		    "%s: %s: bits are set behind the network's; did you mean "
		    "%s?",
		    use->words[0], word, text);
		break;
	case CIDR_BAD:
		config_error(use->errors, use->place,
		    "%s: \"%s\" is no network; write it as 192.0.2.0/24, "
		    "2001:db8::/32, one address or unix",
		    use->words[0], word);
		break;
	}
	return -1;
}

void
setter_cidrs(const struct directive *directive, const struct directive_use *use)
{
	struct cidr_list *list =
	    MEMBER(struct cidr_list, use->config, directive);

	for (size_t i = 1; i < use->n_words; i++) {
		struct cidr cidr;
		struct cidr *all;

		if (parse_cidr(use, use->words[i], &cidr) == -1)
			continue;
		if (list->n == CIDRS_MAX) {
			setter_complain(
			    use, "there are 1024 already, no more are allowed");
			return;
		}
		all = setter_grow(use, list->all, list->n, sizeof(cidr));
		if (all == NULL)
			return;
		list->all = all;
		list->all[list->n++] = cidr;
	}
}

void
dumper_cidrs(
    const struct directive *directive, const struct config *config, FILE *out)
{
	const struct cidr_list *list =
	    CONST_MEMBER(struct cidr_list, config, directive);
	char text[CIDR_TEXT_SIZE];

	for (size_t i = 0; i < list->n; i++) {
		cidr_format(&list->all[i], text);
		(void)fprintf(out, "%s %s\n", directive->name, text);
	}
}

#define WORDS_MAX 256

void
setter_words(const struct directive *directive, const struct directive_use *use)
{
	struct word_list *list =
	    MEMBER(struct word_list, use->config, directive);

	for (size_t i = 1; i < use->n_words; i++) {
		char *word;
		char **words;

		if (strlen(use->words[i]) >= WIRE_USER_SIZE ||
		    use->words[i][0] == '\0') {
			setter_complain(use, "a name must have 1 to 255 bytes");
			continue;
		}
		if (list->n == WORDS_MAX) {
			setter_complain(use,
			    "there are 256 already, no more are allowed; a "
			    "pattern or a group can stand for many");
			return;
		}
		words = setter_grow(use, list->words, list->n, sizeof(*words));
		if (words == NULL)
			return;
		list->words = words;
		word = setter_copy(use, use->words[i]);
		if (word == NULL)
			return;
		list->words[list->n++] = word;
	}
}

void
dumper_words(
    const struct directive *directive, const struct config *config, FILE *out)
{
	const struct word_list *list =
	    CONST_MEMBER(struct word_list, config, directive);

	for (size_t i = 0; i < list->n; i++)
		setter_dump_word(directive->name, list->words[i], out);
}
