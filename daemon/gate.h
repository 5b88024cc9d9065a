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

/* Has the user failures that count? */
int gate_user_is_clean(struct gate *gate, const struct helper *helper);

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
