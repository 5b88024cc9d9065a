/*
 * What several setters do. Pure.
 */
#include "conf/setter_tools.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/lexer.h"

void
setter_complain(const struct directive_use *use, const char *what)
{
	config_error(use->errors, use->place, "%s: %s", use->words[0], what);
}

/* Is memory there? It is rare enough that saying so is all. */
char *
setter_copy(const struct directive_use *use, const char *word)
{
	char *p = strdup(word);

	if (p == NULL)
		setter_complain(use, strerror(errno));
	return p;
}

void *
setter_grow(const struct directive_use *use, void *list, size_t n, size_t size)
{
	char *p = reallocarray(list, n + 1, size);

	if (p == NULL)
		setter_complain(use, strerror(errno));
	else
		memset(p + n * size, 0, size);
	return p;
}

int
setter_look_up(const struct directive_use *use, const struct word_value *values,
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

const char *
setter_word_of(const struct word_value *values, size_t n, int value)
{
	for (size_t i = 0; i < n; i++) {
		if (values[i].value == value)
			return values[i].word;
	}
	return "";
}

void
setter_dump_word(const char *name, const char *word, FILE *out)
{
	char quoted[2 * LEXER_WORD_MAX + 3];

	if (word == NULL)
		return;
	lexer_quote(quoted, sizeof(quoted), word);
	(void)fprintf(out, "%s %s\n", name, quoted);
}

void
setter_set_place(struct config_place *to, const struct config_place *from)
{
	free(to->file);
	to->file = from->file != NULL ? strdup(from->file) : NULL;
	to->line = from->line;
}
