/*
 * Dovecot's variables %u, %n and %d in a path or a name. Runs with the
 * privilege of the program that loads the module; pure.
 */
#include "pam/passwd_file/variables.h"

#include <string.h>

/* One `%` and what belongs to it. */
struct variable {
	char name; /* u, n, d, % */
	int is_lower;
	size_t len; /* in the template */
};

static int
read_variable(const char *p, struct variable *v)
{
	v->is_lower = p[1] == 'L';
	v->len = v->is_lower ? 3 : 2;
	v->name = p[v->len - 1];
	if (v->name == '%' && !v->is_lower)
		return 0;
	return v->name != '\0' && strchr("und", v->name) != NULL ? 0 : -1;
}

int
variables_ok(const char *template)
{
	struct variable v;

	for (const char *p = template; (p = strchr(p, '%')) != NULL;
	     p += v.len) {
		if (read_variable(p, &v) == -1)
			return 0;
	}
	return 1;
}

struct value {
	const char *bytes;
	size_t len;
};

static struct value
value_of(char name, const char *user)
{
	const char *at = strrchr(user, '@');
	const size_t len = strlen(user);

	switch (name) {
	case '%':
		return (struct value){ "%", 1 };
	case 'n':
		return (struct value){ user,
			at != NULL ? (size_t)(at - user) : len };
	case 'd':
		if (at == NULL)
			return (struct value){ user, 0 };
		return (struct value){ at + 1, strlen(at + 1) };
	default:
		return (struct value){ user, len };
	}
}

/* ASCII only, as Dovecot's: no locale has a say in who is who. */
static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static int
append(char *out, size_t size, size_t *len, struct value value, int is_lower)
{
	if (value.len >= size - *len)
		return -1;
	for (size_t i = 0; i < value.len; i++)
		out[*len + i] =
		    is_lower ? lower(value.bytes[i]) : value.bytes[i];
	*len += value.len;
	out[*len] = '\0';
	return 0;
}

int
variables_expand(const char *template, const char *user, char *out, size_t size,
    size_t *first)
{
	size_t len = 0, start = (size_t)-1;

	out[0] = '\0';
	for (const char *p = template; *p != '\0';) {
		struct variable v = { .len = 1 };
		struct value value = { p, 1 };

		if (*p == '%') {
			if (read_variable(p, &v) == -1)
				return -1;
			value = value_of(v.name, user);
			if (v.name != '%' && start == (size_t)-1)
				start = len;
		}
		if (value.len == 0 ||
		    append(out, size, &len, value, v.is_lower) == -1)
			return -1;
		p += v.len;
	}
	if (first != NULL)
		*first = start == (size_t)-1 ? len : start;
	return 0;
}
