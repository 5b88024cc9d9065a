/*
 * Why a step did not work: an exit status and a line of text.
 */
#ifndef CLIENT_FAILURE_H
#define CLIENT_FAILURE_H

struct failure {
	int status; /* of poppasswd(1); 0: nothing failed */
	char text[2048];
};

/* Notes a failure, in place of an earlier one; too long a text is cut.
 * Returns -1, for `return failure_set(...)`. */
int failure_set(struct failure *failure, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
