/*
 * Which attempt to log in as a user is checked, and which is answered as if the
 * password were wrong. Pure; monitor only.
 *
 * Failures are counted by user alone: the address comes from net, and a net
 * that was broken into names any. So once a user is over the limit one guess a
 * delay is checked, whoever asks.
 *
 * Who asks decides only whose attempt that is, so that those who guess do not
 * keep the owner out. Each network's attempts are counted, once a delay at
 * most: an owner who tries every few seconds looks no worse than one who waits.
 * During a delay the network that has asked in the fewest delays so far, the
 * first of those, reserves the turn after it. The turn is kept for it for 10 s
 * unless one that has asked less often comes; then anybody may have it. A
 * network from which the password was right comes before one that is new.
 *
 * So an owner who tries every few seconds gets in within 35 s (a delay and one
 * retry), whatever goes on, if those who guess have asked from their networks
 * before, or if this is where the password was right last. Who comes from more
 * networks than there are turns, all of them new, cannot be told from the
 * owner.
 *
 * A success makes its network known, and takes nothing from the user's
 * failures: or who guesses would get a fresh handful each time that the owner
 * logs in. Names are compared without case and blanks, which directories
 * ignore.
 */
#ifndef DAEMON_USER_THROTTLE_H
#define DAEMON_USER_THROTTLE_H

#include <stdint.h>

#include "common/wire.h"
#include "daemon/throttle.h"

struct user_throttle;

/* NULL if there is no memory; no more is taken later. Free with
 * user_throttle_free(). */
struct user_throttle *user_throttle_new(void);

/* Holds from now on, for failures of before as well. */
void user_throttle_set_limit(
    struct user_throttle *throttle, const struct config_rate *limit);

/* What names that are the same user have in common. */
void user_throttle_name(char name[WIRE_USER_SIZE], const char *user);

/* May an attempt from this address (of a wire_origin) be checked now? If not,
 * it counts as asked. Asking again in the same delay changes nothing. */
int user_throttle_may_try(struct user_throttle *throttle, const char *user,
    const char *address, uint64_t now_ms);

/* Has there been no failure that counts? */
int user_throttle_is_clean(
    struct user_throttle *throttle, const char *user, uint64_t now_ms);

/* Was the password right when it was last checked for this network, and has
 * nobody from there asked in a delay since then? */
int user_throttle_is_known(
    struct user_throttle *throttle, const char *user, const char *address);

/* A check has failed. Returns the milliseconds of the delay that this begins,
 * or 0. */
unsigned user_throttle_failed(
    struct user_throttle *throttle, const char *user, uint64_t now_ms);

void user_throttle_succeeded(struct user_throttle *throttle, const char *user,
    const char *address, uint64_t now_ms);

/* Forgets the user's failures. 0 if there were none. */
int user_throttle_forget(struct user_throttle *throttle, const char *user);

/* May be NULL. */
void user_throttle_free(struct user_throttle *throttle);

#endif
