/*
 * What earlier failures let be tried now, of one user and over all, and what
 * the log says about it. Monitor only.
 */
#ifndef DAEMON_GATE_H
#define DAEMON_GATE_H

#include <stdint.h>

#include "common/wire.h"
#include "conf/config.h"
#include "daemon/helper.h"

struct gate;

/* NULL if there is no memory; no more is taken later. Free with gate_free(). */
struct gate *gate_new(void);

/* Limits of user-failures, also for failures of before. */
void gate_configure(struct gate *gate, const struct config *config);

/* May an attempt of this helper's user, from its address, be checked now? */
int gate_lets_try(struct gate *gate, const struct helper *helper);

/* One that may not: a line for the log, if none was written just now. */
void gate_report_refusal(struct gate *gate, const struct helper *helper);

/*
 * Who goes first where not all can go at once. Names without failures can be
 * made up, as many as are wanted; a right password cannot.
 */
enum gate_rank {
	GATE_RANK_KNOWN,  /* the password was right, from this network */
	GATE_RANK_CLEAN,  /* no failure of the user counts */
	GATE_RANK_FAILED, /* one does */
	GATE_N_RANKS
};

enum gate_rank gate_rank(struct gate *gate, const struct helper *helper);

/* How long the next attempt of anybody has to wait; 0 if it may begin. */
uint64_t gate_wait_ms(const struct gate *gate);

/* An attempt begins; each is followed by gate_learn(). */
void gate_begin(struct gate *gate);

/* How it has ended. */
void gate_learn(
    struct gate *gate, const struct helper *helper, enum outcome outcome);

/* Forgets the user's failures. 0 if there were none. */
int gate_unlock(struct gate *gate, const char *user);

/* May be NULL. */
void gate_free(struct gate *gate);

#endif
