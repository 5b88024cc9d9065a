/*
 * What the service manager is told: the protocol of sd_notify(3). Monitor, and
 * the command that asks it for a reload.
 *
 * Without NOTIFY_SOCKET in the environment every call does nothing. None waits
 * longer than a second; what cannot be said is a warning in the log.
 */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

/*
 * Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment,
 * so that no child finds them. Once, before everything else here.
 */
void notify_open(void);

/* Within how many milliseconds the manager expects each notify_alive(); 0 if it
 * does not. */
unsigned notify_watchdog_ms(void);

/* The daemon serves: the end of a start or of a reload, whatever that ended
 * with. status is for the administrator, one line. */
void notify_ready(const char *status);

/* Another line for the administrator, nothing else. */
void notify_status(const char *status);

/* A reload has begun; notify_ready() ends it. */
void notify_reloading(void);

/* The daemon stops, and may take limit_ms for it. */
void notify_stopping(unsigned limit_ms);

/* The watchdog is to be quiet for another interval. */
void notify_alive(void);

#endif
