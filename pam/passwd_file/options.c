/*
 * The module's arguments in a PAM service file. Runs with the privilege of the
 * program that loads the module; pure.
 */
#include "pam/passwd_file/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <security/_pam_types.h>

#include "pam/passwd_file/variables.h"

#define MIN_LEN_MAX 256

static int
set_file(struct options *o, const char *value)
{
	o->file = value;
	return *value == '/' && value[strlen(value) - 1] != '/' &&
		variables_ok(value)
	    ? 0
	    : -1;
}

static int
set_user_format(struct options *o, const char *value)
{
	o->user_format = value;
	return *value != '\0' && variables_ok(value) ? 0 : -1;
}

static int
set_method(struct options *o, const char *value)
{
	o->method = method_find(value);
	return o->method != NULL ? 0 : -1;
}

static int
read_number(const char *value, unsigned long max, unsigned long *number)
{
	char *end;

	errno = 0;
	*number = strtoul(value, &end, 10);
	if (*value < '0' || *value > '9' || *end != '\0' || errno != 0 ||
	    *number > max)
		return -1;
	return 0;
}

static int
set_cost(struct options *o, const char *value)
{
	return read_number(value, METHOD_COST_MAX, &o->cost);
}

static int
set_min_len(struct options *o, const char *value)
{
	unsigned long number;

	if (read_number(value, MIN_LEN_MAX, &number) == -1)
		return -1;
	o->min_len = number;
	return 0;
}

static int
set_null_ok(struct options *o, const char *value)
{
	(void)value;
	o->allows_empty = 1;
	return 0;
}

static int
set_debug(struct options *o, const char *value)
{
	(void)value;
	o->wants_debug = 1;
	return 0;
}

/* pam_get_authtok(3) looks for these itself. */
static int
leave_to_pam(struct options *o, const char *value)
{
	(void)o;
	(void)value;
	return 0;
}

struct rule {
	const char *name; /* with "=" if it has a value */
	int (*set)(struct options *options, const char *value);
	const char *wants;
};

static const struct rule rules[] = {
	{ "file=", set_file,
	    "wants an absolute path to a file, with %u, %n and %d (or %Lu, "
	    "%Ln, %Ld) as "
	    "the only variables" },
	{ "username_format=", set_user_format,
	    "wants a name made of %u, %n and %d (or %Lu, %Ln, %Ld)" },
	{ "scheme=", set_method, "wants one of " METHOD_NAMES },
	{ "cost=", set_cost, "wants a number" },
	{ "minlen=", set_min_len, "wants a number up to 256" },
	{ "nullok", set_null_ok, "" },
	{ "debug", set_debug, "" },
	{ "use_first_pass", leave_to_pam, "" },
	{ "try_first_pass", leave_to_pam, "" },
	{ "use_authtok", leave_to_pam, "" },
	{ "authtok_type=", leave_to_pam, "" },
};

/* The value of the argument, if it is the rule's; or NULL. */
static const char *
match(const struct rule *rule, const char *argument)
{
	const size_t len = strlen(rule->name);

	if (rule->name[len - 1] == '=')
		return strncmp(argument, rule->name, len) == 0 ? argument + len
							       : NULL;
	return strcmp(argument, rule->name) == 0 ? argument + len : NULL;
}

static int
take(struct options *options, const char *argument, struct complaint *complaint)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
		const char *value = match(&rules[i], argument);

		if (value == NULL)
			continue;
		if (rules[i].set(options, value) == 0)
			return 0;
		return complain(complaint, PAM_SERVICE_ERR, NULL,
		    "argument %s: %s", argument, rules[i].wants);
	}
	return complain(complaint, PAM_SERVICE_ERR, NULL,
	    "argument %s: is unknown; see pam_passwd_file(8)", argument);
}

int
options_parse(struct options *options, int argc, const char **argv,
    struct complaint *complaint)
{
	memset(options, 0, sizeof(*options));
	options->user_format = "%u";
	for (int i = 0; i < argc; i++) {
		if (take(options, argv[i], complaint) == -1)
			return -1;
	}
	if (options->file == NULL)
		return complain(complaint, PAM_SERVICE_ERR, NULL,
		    "argument file=PATH: is missing");
	if (options->cost != 0 && options->method == NULL)
		return complain(complaint, PAM_SERVICE_ERR, NULL,
		    "argument cost=: means nothing without scheme=");
	if (options->cost != 0 &&
	    !method_cost_ok(options->method, options->cost))
		return complain(complaint, PAM_SERVICE_ERR, NULL,
		    "argument cost=%lu: is out of range for scheme=%s",
		    options->cost, options->method->scheme);
	return 0;
}
