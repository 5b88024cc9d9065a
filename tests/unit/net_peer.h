/*
 * The peers of a network process, for its test: the monitor at the other end of
 * the control socket, the helper at that of a transaction, a client over TCP.
 * Each waits a minute at most and fails the test then.
 */
#ifndef TESTS_UNIT_NET_PEER_H
#define TESTS_UNIT_NET_PEER_H

#include <sys/types.h>
#include <stdint.h>

#include "common/wire.h"
#include "tests/unit/net_client.h"

/* Starts net_main() in a child with these lines of configuration beside its
 * listeners (implicit, then auto), and waits until it is ready. */
void peer_start(const char *directives);

/* Waits for its end and returns the exit status. */
int peer_wait_exit(void);

/* Waits for its end and returns the signal that it died of. */
int peer_wait_death(void);

/* Kills what is left; for a test's teardown. */
void peer_clean_up(void);

/* The monitor's orders; any bytes, too. */
void peer_order(enum wire_type order);
void peer_send_raw(const void *bytes, size_t len);
void peer_hang_up(void);

/* Net's next word that is no event is this one. */
void peer_expect_order(enum wire_type type);

/* The next request for admission, which must be for user. Returns its cookie.
 * Events that come before it are kept. */
uint64_t peer_expect_request(const char *user);

/* Answers; ADMISSION_GRANTED makes a transaction and returns the helper's end,
 * else -1. */
int peer_admit(uint64_t cookie, enum admission admission);

/* Waits for an event of this kind whose detail begins so. */
void peer_expect_event(enum net_event event, const char *detail);

/* Has an event of this kind come so far? */
int peer_has_event(enum net_event event);

/* The helper's side. */
void peer_expect_secret(int helper, enum wire_type type, const char *secret);
void peer_expect_nothing(int helper, int ms);
void peer_expect_eof(int helper);
void peer_answer(int helper, enum outcome outcome, const char *reason);

/* Connects; inside TLS, and past the greeting, or in clear. */
struct peer_client *peer_connect(void);
struct peer_client *peer_connect_clear(void);

/* Waits until net has answered this client, or has asked for admission: 0. */
int peer_is_answered(struct peer_client *c);

int64_t peer_now_ms(void);

#endif
