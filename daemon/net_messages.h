/*
 * What the fields of a net process's messages must be, and what its events are
 * in the log. Monitor only; nothing here trusts net.
 */
#ifndef DAEMON_NET_MESSAGES_H
#define DAEMON_NET_MESSAGES_H

#include "common/wire.h"
#include "daemon/summary.h"

/* Does it name a user, and an address that it comes from? Every field that is a
 * string is one. */
int net_message_admit_ok(const struct ctl_admit_request *request);

/* Is the number of sessions one that fits, and each of them readable? */
int net_message_listed_ok(const struct ctl_listed *listed);

/* Writes the line of an event, or counts it where net has had its share of
 * lines. -1, and no line, if it is none or a field is broken. */
int net_message_log_event(
    const struct ctl_event *event, struct summary *share, uint64_t now_ms);

#endif
