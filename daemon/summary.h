/*
 * Lines of the log that a flood must not multiply. Pure; monitor and net.
 */
#ifndef DAEMON_SUMMARY_H
#define DAEMON_SUMMARY_H

#include <stddef.h>
#include <stdint.h>

#define SUMMARY_EVERY_MS  10000
#define SUMMARY_TEXT_SIZE 160

/* Zeroed at first. */
struct summary {
	uint64_t next_ms;
	unsigned n_left_out;
	char text[SUMMARY_TEXT_SIZE];
};

/* What to write: what itself, with the number of times that there was nothing
 * to write since the last; NULL if a line was written less than 10 s ago. Holds
 * until the next call. */
const char *summary_line(
    struct summary *summary, const char *what, uint64_t now_ms);

#endif
