/*
 * The monitor: owns configuration, keys, listening sockets, net processes and
 * helpers. See docs/design.md.
 */
#ifndef DAEMON_MONITOR_H
#define DAEMON_MONITOR_H

/*
 * Serves until SIGTERM or SIGINT; SIGHUP reads the configuration and keys
 * anew, all or nothing. Returns the exit status, one of sysexits.h.
 */
int monitor_main(const char *config_path);

#endif
