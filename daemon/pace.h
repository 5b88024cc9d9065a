/*
 * How fast passwords may be found wrong, over all users. Pure; monitor only.
 *
 * A failure costs a tenth of a second of pace, and a minute may be spent ahead:
 * 600 failures at once, then ten a second. A site of 100,000 users of whom each
 * mistypes once a day, all within one hour, has 28 a second for that hour if
 * nobody spreads them and none waits; it is slowed down, never refused. For a
 * net process that was broken into it is the bound on all that it can guess:
 * 864,000 passwords a day, and of those one user's share is bounded as well.
 */
#ifndef DAEMON_PACE_H
#define DAEMON_PACE_H

#include <stdint.h>

#define PACE_MS       100
#define PACE_AHEAD_MS 60000

struct pace {
	uint64_t spent_ms; /* up to when all is spent */
};

/* How long the next attempt has to wait; 0 if it may begin. */
uint64_t pace_wait_ms(const struct pace *pace, uint64_t now_ms);

/* An attempt begins: it costs as much as a failure until it has proved to be
 * none. */
void pace_spend(struct pace *pace, uint64_t now_ms);

/* It was no failure. */
void pace_give_back(struct pace *pace);

#endif
