/*
 * How fast passwords may be found wrong, over all users. Pure; runs in the
 * monitor.
 */
#include "daemon/pace.h"

uint64_t
pace_wait_ms(const struct pace *pace, uint64_t now_ms)
{
	const uint64_t limit = now_ms + PACE_AHEAD_MS - PACE_MS;

	return pace->spent_ms > limit ? pace->spent_ms - limit : 0;
}

void
pace_spend(struct pace *pace, uint64_t now_ms)
{
	if (pace->spent_ms < now_ms)
		pace->spent_ms = now_ms;
	pace->spent_ms += PACE_MS;
}

void
pace_give_back(struct pace *pace)
{
	if (pace->spent_ms >= PACE_MS)
		pace->spent_ms -= PACE_MS;
}
