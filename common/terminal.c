/*
 * Passwords from a terminal or from standard input. Runs as the user.
 */
#include "common/terminal.h"

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

static int tty = -1;
static struct termios with_echo;
static struct termios without_echo;
static const char *prompt_shown;

/* Who is in the background is stopped by the first call; on_continue() has
 * done it all by the time that it comes back. */
static int
hide_and_prompt(void)
{
	if (tcsetattr(tty, TCSAFLUSH, &without_echo) == -1)
		return errno == EINTR ? 0 : -1;
	return write(tty, prompt_shown, strlen(prompt_shown)) == -1 ? -1 : 0;
}

/* All that these call is async-signal-safe, POSIX.1-2008. SIGTSTP alone comes
 * back from raise(), behind SIGCONT. */
static void
on_ending_signal(int number)
{
	const int error = errno;
	struct sigaction ours, standard = { .sa_handler = SIG_DFL };

	(void)tcsetattr(tty, TCSAFLUSH, &with_echo);
	(void)sigaction(number, &standard, &ours);
	(void)raise(number);
	(void)sigaction(number, &ours, NULL);
	errno = error;
}

/* Whoever was stopped has shown its terminal to others. */
static void
on_continue(int number)
{
	const int error = errno;

	(void)number;
	(void)hide_and_prompt();
	errno = error;
}

struct signal_rule {
	int number;
	void (*handler)(int number);
};

static const struct signal_rule signal_rules[] = {
	{ SIGHUP, on_ending_signal },
	{ SIGINT, on_ending_signal },
	{ SIGQUIT, on_ending_signal },
	{ SIGTERM, on_ending_signal },
	{ SIGTSTP, on_ending_signal },
	{ SIGCONT, on_continue },
};

#define N_SIGNALS (sizeof(signal_rules) / sizeof(*signal_rules))

static void
catch_signals(struct sigaction before[N_SIGNALS])
{
	for (size_t i = 0; i < N_SIGNALS; i++) {
		/* So that raise() does it at once. */
		const struct sigaction action = {
			.sa_handler = signal_rules[i].handler,
			.sa_flags = SA_NODEFER,
		};

		(void)sigaction(signal_rules[i].number, &action, &before[i]);
		/* Our caller's wish, and it shows the terminal to nobody. */
		if (before[i].sa_handler == SIG_IGN &&
		    action.sa_handler == on_ending_signal)
			(void)sigaction(
			    signal_rules[i].number, &before[i], NULL);
	}
}

static void
release_signals(const struct sigaction before[N_SIGNALS])
{
	for (size_t i = 0; i < N_SIGNALS; i++)
		(void)sigaction(signal_rules[i].number, &before[i], NULL);
}

static enum terminal_result
ask_without_echo(struct secret *out)
{
	struct sigaction before[N_SIGNALS];
	enum terminal_result result = TERMINAL_ERROR;

	without_echo = with_echo;
	without_echo.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	catch_signals(before);
	if (hide_and_prompt() == 0)
		result = terminal_read_line(tty, out);
	(void)tcsetattr(tty, TCSAFLUSH, &with_echo);
	(void)!write(tty, "\n", 1);
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
	prompt_shown = prompt;
	if (tcgetattr(tty, &with_echo) == 0)
		result = ask_without_echo(out);
	(void)close(tty);
	tty = -1;
	return result;
}
