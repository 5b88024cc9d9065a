/*
 * The one spelling of a user's name. Pure; runs as root in the monitor and its
 * forked child.
 */
#include "daemon/username.h"

#include <string.h>

/* Not tolower(): which bytes are letters is not the locale's to say. */
static void
lower(char *name)
{
	for (char *p = name; *p != '\0'; p++) {
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	}
}

/* What would leave nothing stays, to be refused. */
static void
strip_domain(char *name)
{
	char *at = strrchr(name, '@');

	if (at != NULL && at != name)
		*at = '\0';
}

void
username_canonicalise(const struct config *config, char *name)
{
	if (config->username_domain == USERNAME_DOMAIN_STRIP)
		strip_domain(name);
	if (config->username_case == USERNAME_CASE_LOWER)
		lower(name);
}

static int
has_domain(const char *name)
{
	const char *at = strrchr(name, '@');

	return at != NULL && at != name && at[1] != '\0';
}

int
username_is_allowed(const struct config *config, const char *name)
{
	switch (config->username_domain) {
	case USERNAME_DOMAIN_KEEP:
		break;
	case USERNAME_DOMAIN_STRIP:
		return strchr(name, '@') == NULL;
	case USERNAME_DOMAIN_REQUIRE:
		return has_domain(name);
	}
	return 1;
}
