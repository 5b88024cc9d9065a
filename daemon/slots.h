/*
 * Run slots: how many helpers may hash at once, first come, first served. Pure;
 * net only.
 */
#ifndef DAEMON_SLOTS_H
#define DAEMON_SLOTS_H

#include <sys/queue.h>

enum slot_state {
	SLOT_NONE,
	SLOT_WAITING,
	SLOT_HELD
};

/* Part of whoever wants to run; zeroed, then granted and context set. */
struct slot_claim {
	TAILQ_ENTRY(slot_claim) entry;
	enum slot_state state;
	void (*granted)(void *context);
	void *context;
};

TAILQ_HEAD(slot_queue, slot_claim);

struct slots {
	unsigned n_free;
	struct slot_queue waiting;
};

void slots_init(struct slots *slots, unsigned n);

/* Calls granted() at once if a slot is free, or later in the order of claims.
 * The claim must be in no state but SLOT_NONE. */
void slots_claim(struct slots *slots, struct slot_claim *claim);

/* Gives the slot back, or leaves the queue; nothing to do is fine. The next in
 * the queue is granted before this returns. */
void slots_release(struct slots *slots, struct slot_claim *claim);

#endif
