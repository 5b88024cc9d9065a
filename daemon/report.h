/*
 * What the monitor tells of itself: state, counters, certificates. Monitor
 * only.
 */
#ifndef DAEMON_REPORT_H
#define DAEMON_REPORT_H

#include <sys/types.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "conf/config.h"
#include "daemon/control.h"
#include "daemon/tls_files.h"

/* The monitor at this moment; the pointers stay its own. */
struct report_view {
	time_t started;
	uint64_t uptime_sec;
	unsigned generation; /* 1 is the one of the start */
	time_t loaded;
	const struct config *config;
	const struct tls_files *files;
	pid_t net_pid; /* of the one that serves; 0 if none does */
	time_t net_started;
	size_t n_nets; /* those that drain among them */
	size_t n_helpers;
	size_t n_waiting;
};

enum report_format {
	REPORT_PLAIN,
	REPORT_OPENMETRICS
};

/* Both say lines to the client, as common/control_protocol.h tells, and do not
 * end the answer. */
void report_status(
    const struct report_view *view, struct control_client *client);
void report_stats(const struct report_view *view, struct control_client *client,
    enum report_format format);

#endif
