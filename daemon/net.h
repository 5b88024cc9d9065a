/*
 * The network process: start-up, its end of the control socket, drain and stop.
 */
#ifndef DAEMON_NET_H
#define DAEMON_NET_H

#include <sys/queue.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "common/wire.h"
#include "conf/config.h"
#include "daemon/slots.h"
#include "daemon/summary.h"
#include "daemon/tls.h"

struct clients;
struct listener;
struct session;
struct transaction;

TAILQ_HEAD(transaction_list, transaction);

/* What the parts of the process share. */
struct net {
	struct event_base *base;
	const struct config *config;
	struct tls_server *tls;
	struct slots slots;
	struct transaction_list transactions;
	struct clients *clients;
	struct session *sessions; /* one more than max_sessions, see
	                             daemon/session.h; in secret memory */
	unsigned max_sessions;    /* as configured, or fewer */
	struct summary refusals;
	struct summary drops;
	struct summary throttled;
	struct summary strangers;                 /* on listeners for proxies */
	struct summary ended[NET_EVENT_NOTE + 1]; /* sessions, by what for */
	struct listener *listeners;
	uint64_t next_cookie;
	size_t n_sessions;
	int has_lost_keys;
	int is_draining;
	int is_stopping;
};

/*
 * Runs the network process on the descriptors that the monitor left open (see
 * common/wire.h): reads configuration and keys from the control socket, builds
 * the TLS contexts, confines itself, says CTL_READY and serves until it is told
 * to stop or the monitor is gone. Returns the exit status.
 */
int net_main(void);

/* Sends a message to the monitor, or queues it. -1 if the queue is full. */
int net_send(struct net *net, const void *message, size_t len);

/* A line for the log; lost if the queue is full. origin may be NULL. */
void net_report(struct net *net, enum net_event event,
    const struct wire_origin *origin, const char *detail);

/* The same, but only every 10 s: for what a flood can bring about. */
void net_report_some(struct net *net, struct summary *summary,
    enum net_event event, const struct wire_origin *origin, const char *detail);

/* The same for what a session is ended for: each client decides how many those
 * are. 50 lines of each event every 10 s. */
void net_report_ended(struct net *net, enum net_event event,
    const struct wire_origin *origin, const char *detail);

/* No handshake can succeed any more: stops accepting, and has the monitor start
 * another net. Sessions that are inside TLS go on. */
void net_lose_keys(struct net *net);

/* A session or a transaction has ended: leaves the event loop if nothing is
 * left to wait for. */
void net_finish_if_done(struct net *net);

/* A timeval of so many milliseconds from now. */
struct timeval net_interval(uint64_t ms);

#endif
