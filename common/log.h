/*
 * The log of the monitor: one line an event. Monitor only; net sends it
 * CTL_EVENT, a helper STATUS_REASON.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "common/wire.h"

enum log_target {
	LOG_TARGET_AUTO, /* the journal or stderr; syslog if stderr is closed */
	LOG_TARGET_STDERR,
	LOG_TARGET_SYSLOG
};

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_NOTICE,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

/* Chooses where lines go and which are written. May be called again. Lines
 * before the first call go to stderr. */
void log_open(enum log_target target, enum log_level level);

/* What a line is about, beside its event. */
struct log_subject {
	const struct wire_origin *origin; /* or NULL */
	const char *user;   /* or NULL: only a known name may be logged */
	const char *reason; /* or NULL: text from outside, last on the line */
};

/* Writes `event=NAME peer=... uid=... pid=... port=... proxy=... listener=...
 * tls=... certificate="..." user="..." reason="..."`, each only if there is
 * one. */
void log_event(
    enum log_level level, const char *event, const struct log_subject *subject);

/* How often an event has come since the start, written or not. */
struct log_count {
	const char *event;
	uint64_t n;
};

/* Of every event that poppassd(8) lists, and of "other" for those that it does
 * not. */
const struct log_count *log_counts(size_t *n_counts);

/* Writes `what: subject: reason`, lower case, no full stop. */
void log_message(enum log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* log_message() at LOG_LEVEL_ERROR, then exit(status), one of sysexits.h. For
 * start-up and for a peer process that breaks protocol; nothing that a client
 * sends may reach it. */
void fatal(int status, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

/* Makes text safe for a line: printable ASCII as it is, any other byte, `"`
 * and `\` as \xHH. Always ends with a NUL; cut where out is full, never inside
 * an escape. Returns the length. */
size_t log_escape(char *out, size_t size, const char *text);

#endif
