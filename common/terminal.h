/*
 * Passwords from a terminal or from standard input.
 */
#ifndef COMMON_TERMINAL_H
#define COMMON_TERMINAL_H

#include "common/secret.h"

enum terminal_result {
	TERMINAL_OK,
	TERMINAL_EOF,
	TERMINAL_TOO_LONG, /* more than SECRET_MAX bytes, or a NUL */
	TERMINAL_NONE,     /* there is no terminal to ask on */
	TERMINAL_ERROR     /* errno says which */
};

/*
 * Prompts on /dev/tty and reads a line without echo. A signal that ends or
 * stops the program gives the terminal its echo back first; when it goes on, it
 * prompts again, without echo. One that is ignored stays so. Blocks.
 */
enum terminal_result terminal_ask(const char *prompt, struct secret *out);

/* Reads one line from the descriptor, verbatim, without its newline; byte by
 * byte, so that the next call gets the next line. Blocks. */
enum terminal_result terminal_read_line(int fd, struct secret *out);

#endif
