/*
 * Failures in a window, and the delay that they bring. Pure; runs in the
 * monitor and in net.
 */
#include "daemon/throttle.h"

#include <string.h>

static uint64_t
part_ms(const struct config_rate *limit)
{
	return limit->window_ms / (THROTTLE_PARTS - 1) + 1;
}

/* How many parts of a window have begun since the last failure. */
static uint64_t
parts_since(const struct throttle_entry *entry, const struct config_rate *limit,
    uint64_t now_ms)
{
	const uint64_t part = part_ms(limit);

	if (entry->head.touched_ms > now_ms)
		return THROTTLE_PARTS;
	return now_ms / part - entry->head.touched_ms / part;
}

unsigned
throttle_failures(const struct throttle_entry *entry,
    const struct config_rate *limit, uint64_t now_ms)
{
	const uint64_t since = parts_since(entry, limit, now_ms);
	unsigned n = 0;

	for (uint64_t i = 0; i + since < THROTTLE_PARTS; i++)
		n += entry->failures[i];
	return n;
}

/* A later end than any delay has was not written by this code: to cut it to the
 * latest one, again with each look, would keep it for ever. */
uint64_t
throttle_until(const struct throttle_entry *entry, uint64_t now_ms)
{
	const uint64_t last = now_ms + THROTTLE_LAST_MS;

	return entry->until_ms <= last ? entry->until_ms : 0;
}

int
throttle_is_over(const struct throttle_entry *entry,
    const struct config_rate *limit, uint64_t now_ms)
{
	return throttle_failures(entry, limit, now_ms) >= limit->n;
}

/* That n failures bring. */
static unsigned
delay_ms(const struct config_rate *limit, unsigned n)
{
	unsigned ms = THROTTLE_FIRST_MS;

	if (n < limit->n)
		return 0;
	for (unsigned i = limit->n; i < n && ms < THROTTLE_LAST_MS; i++)
		ms *= 2;
	return ms < THROTTLE_LAST_MS ? ms : THROTTLE_LAST_MS;
}

static void
begin_delay(struct throttle_entry *entry, unsigned ms, uint64_t now_ms)
{
	if (ms > 0)
		entry->until_ms = now_ms + ms;
}

/* Makes room for the failures of this part of a window. */
static void
move_parts(struct throttle_entry *entry, uint64_t n)
{
	for (size_t i = THROTTLE_PARTS; i-- > 0;)
		entry->failures[i] = i >= n ? entry->failures[i - n] : 0;
}

unsigned
throttle_fail(struct throttle_entry *entry, const struct config_rate *limit,
    uint64_t now_ms)
{
	unsigned ms;

	move_parts(entry, parts_since(entry, limit, now_ms));
	if (entry->failures[0] < UINT16_MAX)
		entry->failures[0]++;
	entry->head.touched_ms = now_ms;
	ms = delay_ms(limit, throttle_failures(entry, limit, now_ms));
	begin_delay(entry, ms, now_ms);
	return ms;
}

void
throttle_take(struct throttle_entry *entry, const struct config_rate *limit,
    uint64_t now_ms)
{
	const unsigned n = throttle_failures(entry, limit, now_ms);

	if (n >= limit->n)
		begin_delay(entry, delay_ms(limit, n + 1), now_ms);
}
