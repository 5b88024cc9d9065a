/*
 * Passwords from a terminal or from standard input. Runs as the user.
 */
#include "client/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum terminal_result
terminal_read_line(int fd, struct secret *out)
{
	enum terminal_result result = TERMINAL_OK;
	int any = 0;

	secret_wipe(out);
	for (;;) {
		char c;
		ssize_t n = read(fd, &c, 1);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return TERMINAL_ERROR;
		if (n == 0)
			return any ? result : TERMINAL_EOF;
		any = 1;
		if (c == '\n')
			return result;
		/* The rest of a line that is too long is read all the same. */
		if (c == '\0' || out->len == SECRET_MAX) {
			result = TERMINAL_TOO_LONG;
			continue;
		}
		out->bytes[out->len++] = c;
	}
}

static const int fatal_signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM,
	SIGTSTP };

#define N_SIGNALS (sizeof(fatal_signals) / sizeof(*fatal_signals))

static int tty = -1;
static struct termios with_echo;

/* tcsetattr() is async-signal-safe, POSIX.1-2008. */
static void
on_signal(int number)
{
	(void)tcsetattr(tty, TCSAFLUSH, &with_echo);
	(void)signal(number, SIG_DFL);
	(void)raise(number);
}

static void
catch_signals(struct sigaction before[N_SIGNALS])
{
	struct sigaction action = { .sa_handler = on_signal };

	for (size_t i = 0; i < N_SIGNALS; i++)
		(void)sigaction(fatal_signals[i], &action, &before[i]);
}

static void
release_signals(const struct sigaction before[N_SIGNALS])
{
	for (size_t i = 0; i < N_SIGNALS; i++)
		(void)sigaction(fatal_signals[i], &before[i], NULL);
}

static enum terminal_result
ask_without_echo(const char *prompt, struct secret *out)
{
	struct termios without_echo = with_echo;
	struct sigaction before[N_SIGNALS];
	enum terminal_result result = TERMINAL_ERROR;

	without_echo.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	catch_signals(before);
	if (tcsetattr(tty, TCSAFLUSH, &without_echo) == 0) {
		if (write(tty, prompt, strlen(prompt)) != -1)
			result = terminal_read_line(tty, out);
		(void)tcsetattr(tty, TCSAFLUSH, &with_echo);
		(void)!write(tty, "\n", 1);
	}
	release_signals(before);
	return result;
}

enum terminal_result
terminal_ask(const char *prompt, struct secret *out)
{
	enum terminal_result result = TERMINAL_NONE;

	tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (tty == -1)
		return TERMINAL_NONE;
	if (tcgetattr(tty, &with_echo) == 0)
		result = ask_without_echo(prompt, out);
	(void)close(tty);
	tty = -1;
	return result;
}
