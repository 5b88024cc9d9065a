/*
 * The directives: one table of names, ranges, defaults, setters and dumpers.
 * poppassd.conf(5) and the sample file are checked against it.
 */
#ifndef CONF_DIRECTIVES_H
#define CONF_DIRECTIVES_H

#include <stddef.h>

#include "conf/config.h"

/* A directive as it was read: words[0] is its name. */
struct directive_use {
	struct config *config;
	struct config_errors *errors;
	const struct config_place *place;
	char **words;
	size_t n_words;
};

/* A word that is one of a few. */
struct word_value {
	const char *word;
	int value;
};

struct directive {
	const char *name;
	size_t min_arguments;
	size_t max_arguments;
	int is_repeatable;
	const char *standard; /* its default as text; NULL if it has none */
	unsigned low;         /* of numbers and times */
	unsigned high;
	size_t offset; /* of the member of struct config, for plain values */
	const struct word_value *choices; /* if it is one of a few words */
	size_t n_choices;
	/* Reports what is wrong through use->errors. */
	void (*set)(
	    const struct directive *directive, const struct directive_use *use);
	/* Writes whole lines. NULL: never dumped. */
	void (*dump)(const struct directive *directive,
	    const struct config *config, FILE *out);
};

extern const struct directive directives[];
extern const size_t directives_count;

/* By name, or NULL. */
const struct directive *directive_find(const char *name);

/* The name that is nearest to a mistyped one, or NULL if none is near. */
const char *directive_suggest(const char *name);

#endif
