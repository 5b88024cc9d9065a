/*
 * Lines of the log that a flood must not multiply. Pure; monitor and net.
 */
#ifndef DAEMON_SUMMARY_H
#define DAEMON_SUMMARY_H

#include <stddef.h>
#include <stdint.h>

#define SUMMARY_EVERY_MS  10000
#define SUMMARY_TEXT_SIZE 192 /* as WIRE_DETAIL_SIZE */

/* Zeroed at first; then n_extra set, if there are to be more lines than one. */
struct summary {
	unsigned n_extra;   /* lines in 10 s beside the first */
	unsigned n_written; /* of these 10 s */
	uint64_t next_ms;   /* when the next 10 s may begin */
	unsigned n_left_out;
	char text[SUMMARY_TEXT_SIZE];
};

/* What to write: what itself, with the number of times that there was nothing
 * to write since the last; NULL if as many lines as there may be were written
 * in these 10 s. Holds until the next call. */
const char *summary_line(
    struct summary *summary, const char *what, uint64_t now_ms);

#endif
