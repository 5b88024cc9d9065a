/*
 * All that one reading of the configuration yields: directives, keys, listening
 * sockets. Replaced as a whole, or not at all. Monitor only.
 */
#ifndef DAEMON_GENERATION_H
#define DAEMON_GENERATION_H

#include <stdio.h>

#include "conf/config.h"
#include "daemon/listen_set.h"
#include "daemon/tls_files.h"

struct generation {
	struct config *config;
	struct tls_files *files;
	struct listen_set *listens;
};

/*
 * Reads the configuration, checks all that it names and opens its listening
 * sockets, sharing those of old (may be NULL). Every error goes to out, a line
 * each, then their number. NULL if there was one. Blocks on disk and NSS. Free
 * with generation_free().
 */
struct generation *generation_load(
    const char *path, const struct generation *old, FILE *out);

/* The same, but errors go to the log: at a reload nobody looks at stderr. And
 * to *said, which is to be freed; NULL if there is no memory. */
struct generation *generation_load_logged(
    const char *path, const struct generation *old, char **said);

/* Reads and checks, but opens nothing. 0 or -1. */
int generation_check(const char *path, FILE *out);

/* Says in the log what works, but perhaps not as the administrator means it. */
void generation_warn(const struct generation *generation);

/* Closes the listening sockets before the rest; may be NULL. */
void generation_close_listens(struct generation *generation);

/* Closes and frees; may be NULL. */
void generation_free(struct generation *generation);

#endif
