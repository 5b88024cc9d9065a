/*
 * Why a step did not work. Runs as the user.
 */
#include "client/failure.h"

#include <stdarg.h>
#include <stdio.h>

int
failure_set(struct failure *failure, int status, const char *format, ...)
{
	va_list args;

	failure->status = status;
	va_start(args, format);
	(void)vsnprintf(failure->text, sizeof(failure->text), format, args);
	va_end(args);
	return -1;
}
