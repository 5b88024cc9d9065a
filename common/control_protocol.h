/*
 * What poppassctl and the monitor say to each other over the control socket.
 *
 * One request a connection, a line that ends in LF: a verb, and a blank and an
 * argument if the verb takes one. The answer is lines that end in LF. Those
 * that tell something begin with a blank; the last begins with none and is
 * either `ok` or `error: ` and why. Then the monitor closes. Every byte is
 * printable ASCII.
 *
 *   status           what runs and since when, certificates and their days
 *   stats            numbers since the start: `NAME VALUE`, or
 *                    `NAME LABEL VALUE`
 *   openmetrics      the same as OpenMetrics text
 *   sessions         one line a session, of every net process
 *   reload           as SIGHUP; answered when it is in force or has failed
 *   unlock ARGUMENT  forgets the failures of an address, or else of a user
 *
 * Only root, and the user that the monitor runs as, is answered.
 */
#ifndef COMMON_CONTROL_PROTOCOL_H
#define COMMON_CONTROL_PROTOCOL_H

/* Where poppassctl looks, and the default of the directive control-socket. */
#define CONTROL_SOCKET "/run/poppassd/control"

/* Of a request, with its LF. */
#define CONTROL_REQUEST_MAX 512

/* A client that sends nothing, or does not read, is closed after so long; what
 * needs a net process fails after it. */
#define CONTROL_PATIENCE_SEC 10

#define CONTROL_OK    "ok"
#define CONTROL_ERROR "error: "

#endif
