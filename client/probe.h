/*
 * How a poppassd is, for a monitoring system and its administrator.
 */
#ifndef CLIENT_PROBE_H
#define CLIENT_PROBE_H

#include "client/connection.h"

/* As Nagios and its like number them. */
enum probe_state {
	PROBE_OK,
	PROBE_WARNING,
	PROBE_CRITICAL,
	PROBE_UNKNOWN
};

/* Days before the first certificate of the chain expires. */
struct probe_limits {
	unsigned warning_days;
	unsigned critical_days;
};

/*
 * Connects, looks at the certificate and the greeting, says QUIT, and prints a
 * line and performance data; with target->is_verbose also what else is
 * offered, and advice. Sends no name and no password. Blocks, up to
 * target->timeout_sec a step.
 */
enum probe_state probe_run(
    const struct connection_target *target, const struct probe_limits *limits);

#endif
