/*
 * Lines of the log that a flood must not multiply. Pure; runs in the monitor
 * and in net.
 */
#include "daemon/summary.h"

#include <stdio.h>

/* What the number may take of a text. */
#define SUFFIX_SIZE 40

const char *
summary_line(struct summary *s, const char *what, uint64_t now_ms)
{
	if (now_ms >= s->next_ms) {
		s->next_ms = now_ms + SUMMARY_EVERY_MS;
		s->n_written = 0;
	}
	if (s->n_written > s->n_extra) {
		s->n_left_out++;
		return NULL;
	}
	s->n_written++;
	if (s->n_left_out == 0)
		(void)snprintf(s->text, sizeof(s->text), "%s", what);
	else
		(void)snprintf(s->text, sizeof(s->text),
		    "%.*s%s%u more since the last line",
		    SUMMARY_TEXT_SIZE - SUFFIX_SIZE, what,
		    *what != '\0' ? "; " : "", s->n_left_out);
	s->n_left_out = 0;
	return s->text;
}
