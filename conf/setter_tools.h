/*
 * What several setters do. Pure; for the setters alone.
 */
#ifndef CONF_SETTER_TOOLS_H
#define CONF_SETTER_TOOLS_H

#include <stddef.h>

#include "conf/directives.h"

/* The member of struct config that a directive sets. */
#define MEMBER(type, config, directive)                                        \
	((type *)(void *)((char *)(config) + (directive)->offset))
#define CONST_MEMBER(type, config, directive)                                  \
	((type const *)(const void *)((const char *)(config) +                 \
	    (directive)->offset))

/* Reports `directive: what`. */
void setter_complain(const struct directive_use *use, const char *what);

/* A copy of the word, to free; NULL after a report if there is no memory. */
char *setter_copy(const struct directive_use *use, const char *word);

/* A list of n elements of so many bytes each, with room for one more, zeroed;
 * NULL after a report, and the list as it was, if there is no memory. */
void *setter_grow(
    const struct directive_use *use, void *list, size_t n, size_t size);

/* The value of a word, or -1 after a report that names all n of them. */
int setter_look_up(const struct directive_use *use,
    const struct word_value *values, size_t n, const char *word, int *value);

/* The word of a value; "" if it has none. */
const char *setter_word_of(
    const struct word_value *values, size_t n, int value);

/* Writes the line `name "word"`, or nothing for NULL. */
void setter_dump_word(const char *name, const char *word, FILE *out);

/* Makes *to a copy of *from; what it held is freed. */
void setter_set_place(struct config_place *to, const struct config_place *from);

#endif
