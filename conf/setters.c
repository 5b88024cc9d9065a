/*
 * Setters and dumpers of directives with one value. Any process that reads a
 * configuration; pure.
 */
#include "conf/setters.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/lexer.h"
#include "conf/setter_tools.h"

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

/* The table's range is of the number; a window is as long as an attack that is
 * worth remembering. */
#define WINDOW_LOW_MS  1000
#define WINDOW_HIGH_MS (24 * 3600 * 1000)

void
setter_rate(const struct directive *directive, const struct directive_use *use)
{
	struct config_rate *rate =
	    MEMBER(struct config_rate, use->config, directive);
	unsigned n, ms;

	if (parse_number(directive, use, &n) == -1)
		return;
	if (lexer_duration(use->words[2], &ms) == -1 || ms < WINDOW_LOW_MS ||
	    ms > WINDOW_HIGH_MS) {
		config_error(use->errors, use->place,
		    "%s: \"%s\" is no window; write a time from 1s to 24h",
		    use->words[0], use->words[2]);
		return;
	}
	rate->n = n;
	rate->window_ms = ms;
}

void
dumper_rate(
    const struct directive *directive, const struct config *config, FILE *out)
{
	const struct config_rate *rate =
	    CONST_MEMBER(struct config_rate, config, directive);
	char text[16];

	format_duration(text, sizeof(text), rate->window_ms);
	(void)fprintf(out, "%s %u %s\n", directive->name, rate->n, text);
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

/* Enumerations and ints alike: one member type for all choices. */
_Static_assert(sizeof(enum log_level) == sizeof(int), "an enum is no int");

void
setter_choice(
    const struct directive *directive, const struct directive_use *use)
{
	(void)setter_look_up(use, directive->choices, directive->n_choices,
	    use->words[1], MEMBER(int, use->config, directive));
}

void
dumper_choice(
    const struct directive *directive, const struct config *config, FILE *out)
{
	(void)fprintf(out, "%s %s\n", directive->name,
	    setter_word_of(directive->choices, directive->n_choices,
		*CONST_MEMBER(int, config, directive)));
}

/* A string whose length some message of common/wire.h bounds by `high`. */
static int
set_string(const struct directive *directive, const struct directive_use *use)
{
	char **member = MEMBER(char *, use->config, directive);

	if (use->words[1][0] == '\0') {
		setter_complain(use, "is empty");
		return -1;
	}
	if (strlen(use->words[1]) > directive->high) {
		config_error(use->errors, use->place,
		    "%s: is longer than %u bytes", use->words[0],
		    directive->high);
		return -1;
	}
	free(*member);
	*member = setter_copy(use, use->words[1]);
	return *member != NULL ? 0 : -1;
}

void
dumper_string(
    const struct directive *directive, const struct config *config, FILE *out)
{
	setter_dump_word(
	    directive->name, *CONST_MEMBER(char *, config, directive), out);
}

void
setter_user(const struct directive *directive, const struct directive_use *use)
{
	if (set_string(directive, use) == 0)
		setter_set_place(&use->config->user_place, use->place);
}

void
setter_virtual_user_account(
    const struct directive *directive, const struct directive_use *use)
{
	if (set_string(directive, use) == 0)
		setter_set_place(
		    &use->config->virtual_user_account_place, use->place);
}

void
setter_pam_service(
    const struct directive *directive, const struct directive_use *use)
{
	if (strchr(use->words[1], '/') != NULL)
		setter_complain(use, "is a name, not a path; see pam-confdir");
	else if (set_string(directive, use) == 0)
		setter_set_place(&use->config->pam_service_place, use->place);
}

static int
set_path(const struct directive *directive, const struct directive_use *use)
{
	if (use->words[1][0] == '/')
		return set_string(directive, use);
	setter_complain(use, "is no absolute path");
	return -1;
}

void
setter_path(const struct directive *directive, const struct directive_use *use)
{
	(void)set_path(directive, use);
}

void
setter_client_ca(
    const struct directive *directive, const struct directive_use *use)
{
	if (set_path(directive, use) == 0)
		setter_set_place(&use->config->tls_client_ca_place, use->place);
}

void
setter_greeting(
    const struct directive *directive, const struct directive_use *use)
{
	for (const char *p = use->words[1]; *p != '\0'; p++) {
		if ((unsigned char)*p >= 0x7f || (unsigned char)*p < ' ') {
			setter_complain(use,
			    "holds a byte that is not printable "
			    "ASCII");
			return;
		}
	}
	(void)set_string(directive, use);
}
