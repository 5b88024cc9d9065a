/*
 * The log of the monitor: one line an event. Monitor only.
 */
#include "common/log.h"

#include <sys/stat.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#define LINE_SIZE 4096 /* more than all fields at their longest */

static struct {
	enum log_level level;
	int to_syslog;
	int with_prefix; /* the journal reads `<n>` as the priority */
} log_state = { .level = LOG_LEVEL_INFO };

/* In the order of poppassd(8). */
static struct log_count counts[] = {
	{ "start", 0 },
	{ "ready", 0 },
	{ "stop", 0 },
	{ "not_root", 0 },
	{ "listens_apart", 0 },
	{ "self_signed", 0 },
	{ "reload_ok", 0 },
	{ "reload_failed", 0 },
	{ "net_died", 0 },
	{ "change_ok", 0 },
	{ "change_refused", 0 },
	{ "change_unknown", 0 },
	{ "login_ok", 0 },
	{ "auth_failed", 0 },
	{ "account_refused", 0 },
	{ "policy_refused", 0 },
	{ "temporary_failure", 0 },
	{ "cancelled", 0 },
	{ "throttled", 0 },
	{ "unlocked", 0 },
	{ "session_refused", 0 },
	{ "session_dropped", 0 },
	{ "tls_failed", 0 },
	{ "clear_refused", 0 },
	{ "proxy_refused", 0 },
	{ "starttls_injection", 0 },
	{ "protocol_error", 0 },
	{ "timeout", 0 },
	{ "accept_paused", 0 },
	{ "net_note", 0 },
	{ "other", 0 },
};

#define N_COUNTS (sizeof(counts) / sizeof(*counts))

static const int priorities[] = {
	[LOG_LEVEL_ERROR] = LOG_ERR,
	[LOG_LEVEL_WARNING] = LOG_WARNING,
	[LOG_LEVEL_NOTICE] = LOG_NOTICE,
	[LOG_LEVEL_INFO] = LOG_INFO,
	[LOG_LEVEL_DEBUG] = LOG_DEBUG,
};

/* JOURNAL_STREAM names the device and inode of the journal's own stderr, see
 * systemd.exec(5): only if ours is that one does the prefix mean anything. */
static int
stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	uintmax_t device, inode;
	struct stat st;

	if (stream == NULL || fstat(STDERR_FILENO, &st) == -1)
		return 0;
	if (sscanf(stream, "%" SCNuMAX ":%" SCNuMAX, &device, &inode) != 2)
		return 0;
	return st.st_dev == (dev_t)device && st.st_ino == (ino_t)inode;
}

static int
stderr_is_open(void)
{
	struct stat st, null;

	if (fstat(STDERR_FILENO, &st) == -1)
		return 0;
	return stat("/dev/null", &null) == -1 || st.st_rdev != null.st_rdev ||
	    !S_ISCHR(st.st_mode);
}

void
log_open(enum log_target target, enum log_level level)
{
	log_state.level = level;
	log_state.with_prefix = stderr_is_journal();
	log_state.to_syslog = target == LOG_TARGET_SYSLOG ||
	    (target == LOG_TARGET_AUTO && !stderr_is_open());
	if (log_state.to_syslog)
		openlog("poppassd", LOG_PID | LOG_NDELAY, LOG_AUTH);
}

static void
write_line(enum log_level level, const char *line)
{
	char out[LINE_SIZE + 8];
	int len;

	if (level > log_state.level)
		return;
	if (log_state.to_syslog) {
		syslog(priorities[level], "%s", line);
		return;
	}
	/* One write, so that lines of several processes do not mix. */
	if (log_state.with_prefix)
		len = snprintf(
		    out, sizeof(out), "<%d>%s\n", priorities[level], line);
	else
		len = snprintf(out, sizeof(out), "%s\n", line);
	/* A log that cannot be written has nobody left to be told. */
	if (write(STDERR_FILENO, out, (size_t)len) == -1)
		return;
}

size_t
log_escape(char *out, size_t size, const char *text)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = 0;

	for (const char *p = text; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;

		if (c >= ' ' && c <= '~' && c != '"' && c != '\\') {
			if (n + 1 >= size)
				break;
			out[n++] = *p;
			continue;
		}
		if (n + 4 >= size)
			break;
		out[n++] = '\\';
		out[n++] = 'x';
		out[n++] = hex[c >> 4];
		out[n++] = hex[c & 0xf];
	}
	out[n] = '\0';
	return n;
}

struct line {
	char text[LINE_SIZE];
	size_t len;
};

static void line_add(struct line *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
line_add(struct line *line, const char *format, ...)
{
	size_t room = sizeof(line->text) - line->len;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line->text + line->len, room, format, args);
	va_end(args);
	if (n < 0)
		return;
	line->len += (size_t)n < room ? (size_t)n : room - 1;
}

static void
line_add_quoted(struct line *line, const char *name, const char *text)
{
	char escaped[4 * WIRE_USER_SIZE];

	log_escape(escaped, sizeof(escaped), text);
	line_add(line, " %s=\"%s\"", name, escaped);
}

/* An origin comes from net: its strings are escaped like any other text, and
 * need no quotes because they never hold a blank in a line we wrote. */
static void
line_add_bare(struct line *line, const char *name, const char *text)
{
	char escaped[4 * WIRE_LISTENER_SIZE];

	if (*text == '\0')
		return;
	log_escape(escaped, sizeof(escaped), text);
	for (char *p = escaped; *p != '\0'; p++) {
		if (*p == ' ')
			*p = '_';
	}
	line_add(line, " %s=%s", name, escaped);
}

static void
line_add_origin(struct line *line, const struct wire_origin *origin)
{
	line_add_bare(line, "peer", origin->address);
	if (strcmp(origin->address, WIRE_UNIX_ADDRESS) == 0)
		line_add(line, " uid=%" PRIu32 " pid=%" PRIu32, origin->uid,
		    origin->pid);
	if (origin->port != 0)
		line_add(line, " port=%u", origin->port);
	line_add_bare(line, "proxy", origin->proxy);
	line_add_bare(line, "listener", origin->listener);
	line_add_bare(line, "tls", origin->tls);
	if (origin->certificate[0] != '\0')
		line_add_quoted(line, "certificate", origin->certificate);
}

static void
count(const char *event)
{
	size_t i;

	for (i = 0; i < N_COUNTS - 1; i++) {
		if (strcmp(counts[i].event, event) == 0)
			break;
	}
	counts[i].n++;
}

const struct log_count *
log_counts(size_t *n_counts)
{
	*n_counts = N_COUNTS;
	return counts;
}

void
log_event(
    enum log_level level, const char *event, const struct log_subject *subject)
{
	static const struct log_subject nothing;
	const struct log_subject *s = subject != NULL ? subject : &nothing;
	struct line line = { .len = 0 };

	count(event);
	line_add(&line, "event=%s", event);
	if (s->origin != NULL)
		line_add_origin(&line, s->origin);
	if (s->user != NULL)
		line_add_quoted(&line, "user", s->user);
	if (s->reason != NULL && *s->reason != '\0')
		line_add_quoted(&line, "reason", s->reason);
	write_line(level, line.text);
}

static void log_format(enum log_level level, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void
log_format(enum log_level level, const char *format, va_list args)
{
	char line[LINE_SIZE];

	(void)vsnprintf(line, sizeof(line), format, args);
	for (char *p = line; *p != '\0'; p++) {
		if ((unsigned char)*p < ' ' || (unsigned char)*p > '~')
			*p = '?';
	}
	write_line(level, line);
}

void
log_message(enum log_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_format(level, format, args);
	va_end(args);
}

void
fatal(int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_format(LOG_LEVEL_ERROR, format, args);
	va_end(args);
	exit(status);
}
