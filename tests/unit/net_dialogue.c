/* The usual steps of a session with a network process, for its tests. */
#include "tests/unit/net_dialogue.h"

struct peer_client *
dialogue_pass(const char *user_line)
{
	struct peer_client *c = peer_connect();

	peer_ask(c, user_line, ASK_OLD);
	peer_say(c, "PASS old\r\n");
	return c;
}

struct peer_client *
dialogue_admitted(const char *user_line, const char *user, int *helper)
{
	struct peer_client *c = dialogue_pass(user_line);

	*helper = peer_admit(peer_expect_request(user), ADMISSION_GRANTED);
	return c;
}

struct peer_client *
dialogue_heard(int *helper)
{
	struct peer_client *c =
	    dialogue_admitted("USER bob\r\n", "bob", helper);

	peer_expect_secret(*helper, TXN_AUTH, "old");
	return c;
}

struct peer_client *
dialogue_logged_in(int *helper)
{
	struct peer_client *c = dialogue_heard(helper);

	peer_answer(*helper, OUTCOME_AUTHENTICATED, "");
	peer_expect(c, ASK_NEW);
	return c;
}

struct peer_client *
dialogue_changing(int *helper)
{
	struct peer_client *c = dialogue_logged_in(helper);

	peer_say(c, "NEWPASS new\r\n");
	peer_expect_secret(*helper, TXN_CHANGE, "new");
	return c;
}
