/*
 * The usual steps of a session with a network process, for its tests, and what
 * it says.
 */
#ifndef TESTS_UNIT_NET_DIALOGUE_H
#define TESTS_UNIT_NET_DIALOGUE_H

#include "tests/unit/net_peer.h"

#define ASK_OLD   "200 Your password please.\r\n"
#define ASK_NEW   "200 Your new password please.\r\n"
#define CHANGED   "200 Password changed, thank-you.\r\n"
#define BYE       "200 Bye.\r\n"
#define WRONG     "500 Old password is incorrect.\r\n"
#define BUSY      "500 Server busy, try again later.\r\n"
#define TEMPORARY "500 Temporary failure, try again later.\r\n"
#define REFUSED   "500 Password not changed.\r\n"
#define STOPPING  "500 Server is shutting down, try again later.\r\n"
#define TIMED_OUT "500 Timed out.\r\n"
#define UNKNOWN                                                                \
	"500 The result is unknown: either your old or your new password "     \
	"works now.\r\n"

#define FAIL_DELAY_MS 300
#define STEP_MS       500
/* QUICK is for what comes to its end, and long enough for a busy machine. */
#define QUICK   "fail-delay 300ms\nchange-timeout 3s\n"
#define PATIENT "fail-delay 300ms\nchange-timeout 1m\n"

/* A client that has said USER and PASS; net asks for admission. */
struct peer_client *dialogue_pass(const char *user_line);

/* It is admitted; *helper is its helper, which has not yet the password. */
struct peer_client *dialogue_admitted(
    const char *user_line, const char *user, int *helper);

/* The same of bob, and the helper has the password. */
struct peer_client *dialogue_heard(int *helper);

/* Its password was right. */
struct peer_client *dialogue_logged_in(int *helper);

/* Its helper has the new password. */
struct peer_client *dialogue_changing(int *helper);

#endif
