/*
 * Run slots. Runs in net, without privilege; pure.
 */
#include "daemon/slots.h"

#include <stddef.h>

void
slots_init(struct slots *slots, unsigned n)
{
	slots->n_free = n;
	TAILQ_INIT(&slots->waiting);
}

void
slots_claim(struct slots *slots, struct slot_claim *claim)
{
	if (slots->n_free == 0) {
		claim->state = SLOT_WAITING;
		TAILQ_INSERT_TAIL(&slots->waiting, claim, entry);
		return;
	}
	slots->n_free--;
	claim->state = SLOT_HELD;
	claim->granted(claim->context);
}

void
slots_release(struct slots *slots, struct slot_claim *claim)
{
	enum slot_state state = claim->state;
	struct slot_claim *next = TAILQ_FIRST(&slots->waiting);

	claim->state = SLOT_NONE;
	if (state == SLOT_WAITING)
		TAILQ_REMOVE(&slots->waiting, claim, entry);
	if (state != SLOT_HELD)
		return;
	if (next == NULL) {
		slots->n_free++;
		return;
	}
	/* The slot changes hands without being free in between. */
	TAILQ_REMOVE(&slots->waiting, next, entry);
	next->state = SLOT_HELD;
	next->granted(next->context);
}
