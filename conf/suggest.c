/*
 * Which directive may have been meant. Pure.
 */
#include "conf/directives.h"

#include <string.h>

#define NAME_MAX_LEN 32

static size_t
min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

/* Levenshtein's distance, one row at a time. */
static size_t
distance(const char *a, const char *b)
{
	size_t row[NAME_MAX_LEN + 1];
	size_t n = strnlen(b, NAME_MAX_LEN);

	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 0; a[i] != '\0'; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 1; j <= n; j++) {
			size_t above = row[j];

			row[j] = min3(row[j] + 1, row[j - 1] + 1,
			    diagonal + (a[i] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[n];
}

const char *
directive_suggest(const char *name)
{
	const char *best = NULL;
	size_t best_distance = 4;

	for (size_t i = 0; i < directives_count; i++) {
		size_t d = distance(directives[i].name, name);

		if (d < best_distance && d < strlen(name)) {
			best = directives[i].name;
			best_distance = d;
		}
	}
	return best;
}
