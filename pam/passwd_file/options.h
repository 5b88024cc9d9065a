/*
 * The module's arguments in a PAM service file. Any process that loads the
 * module; pure.
 */
#ifndef PAM_PASSWD_FILE_OPTIONS_H
#define PAM_PASSWD_FILE_OPTIONS_H

#include <stddef.h>

#include "pam/passwd_file/complaint.h"
#include "pam/passwd_file/method.h"

struct options {
	const char *file;            /* with variables; absolute */
	const char *user_format;     /* the name in the file; "%u" */
	const struct method *method; /* NULL: the present one if it is strong */
	unsigned long cost;          /* 0: the method's own */
	size_t min_len;              /* of a new password, in bytes */
	int allows_empty;            /* nullok */
	int wants_debug;
};

/* Reads them all. The strings stay argv's. -1 with a complaint that names the
 * argument. */
int options_parse(struct options *options, int argc, const char **argv,
    struct complaint *complaint);

#endif
