/*
 * Failures in a window, and the delay that they bring. Pure; monitor and net,
 * the one for users, the other for addresses.
 *
 * From the limit-th failure within a window on, each failure begins a delay: 2
 * s, doubled with each more, 30 s at most. Until it has passed nothing is to be
 * checked, and what is asked meanwhile does not prolong it: this slows guessing
 * down and locks nobody out.
 */
#ifndef DAEMON_THROTTLE_H
#define DAEMON_THROTTLE_H

#include <stdint.h>

#include "conf/config.h"
#include "daemon/keyed_table.h"

#define THROTTLE_PARTS    4
#define THROTTLE_FIRST_MS 2000
#define THROTTLE_LAST_MS  30000

/*
 * Plain data, zeroed for a key without failures. The bytes may have been
 * written by a process that was broken into: whatever they are, no delay ends
 * later than 30 s from now, and all is forgotten within a window and a third.
 */
struct throttle_entry {
	struct keyed_head head;            /* touched at the last failure */
	uint64_t until_ms;                 /* end of the delay */
	uint16_t failures[THROTTLE_PARTS]; /* by thirds of a window, last
	                                      first */
};

/* Failures that count now. Each does for a window, and for no longer than a
 * third more. */
unsigned throttle_failures(const struct throttle_entry *entry,
    const struct config_rate *limit, uint64_t now_ms);

/* When the delay ends; 0 or a time that has passed for none. */
uint64_t throttle_until(const struct throttle_entry *entry, uint64_t now_ms);

/* Are there as many failures as the limit? Then one attempt a delay is to be
 * checked, not more. */
int throttle_is_over(const struct throttle_entry *entry,
    const struct config_rate *limit, uint64_t now_ms);

/* Counts a failure and begins the delay, if it brings one. Returns the
 * milliseconds, or 0. */
unsigned throttle_fail(struct throttle_entry *entry,
    const struct config_rate *limit, uint64_t now_ms);

/* Begins the delay that the next failure would bring, without one, if the limit
 * is reached: for a caller that may have several attempts checked at once. */
void throttle_take(struct throttle_entry *entry,
    const struct config_rate *limit, uint64_t now_ms);

#endif
