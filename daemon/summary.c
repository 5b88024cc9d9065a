/*
 * Lines of the log that a flood must not multiply. Pure; runs in the monitor
 * and in net.
 */
#include "daemon/summary.h"

#include <stdio.h>

const char *
summary_line(struct summary *s, const char *what, uint64_t now_ms)
{
	if (now_ms < s->next_ms) {
		s->n_left_out++;
		return NULL;
	}
	if (s->n_left_out == 0)
		(void)snprintf(s->text, sizeof(s->text), "%s", what);
	else
		(void)snprintf(s->text, sizeof(s->text),
		    "%s; %u more since the last line", what, s->n_left_out);
	s->next_ms = now_ms + SUMMARY_EVERY_MS;
	s->n_left_out = 0;
	return s->text;
}
