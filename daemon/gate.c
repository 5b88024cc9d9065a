/*
 * What earlier failures let be tried now. Runs as root in the monitor; sees
 * user names and outcomes, never a password.
 */
#include "daemon/gate.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "daemon/pace.h"
#include "daemon/summary.h"
#include "daemon/user_throttle.h"

struct gate {
	struct user_throttle *users;
	struct pace pace;
	struct summary refusals;
};

struct gate *
gate_new(void)
{
	struct gate *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return NULL;
	g->users = user_throttle_new();
	if (g->users != NULL)
		return g;
	gate_free(g);
	return NULL;
}

void
gate_configure(struct gate *g, const struct config *config)
{
	user_throttle_set_limit(g->users, &config->user_failures);
}

int
gate_lets_try(struct gate *g, const struct helper *helper)
{
	return user_throttle_may_try(g->users, helper_user(helper),
	    helper_origin(helper)->address, clock_now_ms());
}

/* Not one line for each: whoever guesses decides how many they are. */
void
gate_report_refusal(struct gate *g, const struct helper *helper)
{
	const char *line =
	    summary_line(&g->refusals, "attempt not checked", clock_now_ms());
	const struct log_subject subject = { .origin = helper_origin(helper),
		.reason = line };

	if (line != NULL)
		log_event(LOG_LEVEL_NOTICE, "throttled", &subject);
}

enum gate_rank
gate_rank(struct gate *g, const struct helper *helper)
{
	const char *user = helper_user(helper);

	if (user_throttle_is_known(
		g->users, user, helper_origin(helper)->address))
		return GATE_RANK_KNOWN;
	return user_throttle_is_clean(g->users, user, clock_now_ms())
	    ? GATE_RANK_CLEAN
	    : GATE_RANK_FAILED;
}

uint64_t
gate_wait_ms(const struct gate *g)
{
	return pace_wait_ms(&g->pace, clock_now_ms());
}

void
gate_begin(struct gate *g)
{
	pace_spend(&g->pace, clock_now_ms());
}

static void
count_failure(struct gate *g, const struct helper *helper)
{
	const unsigned ms =
	    user_throttle_failed(g->users, helper_user(helper), clock_now_ms());
	char reason[64];
	struct log_subject subject = { .origin = helper_origin(helper),
		.reason = reason };

	if (ms == 0)
		return;
	if (helper_user_is_loggable(helper))
		subject.user = helper_user(helper);
	(void)snprintf(
	    reason, sizeof(reason), "delay of %u s for the user", ms / 1000);
	log_event(LOG_LEVEL_NOTICE, "throttled", &subject);
}

/* What was never checked is neither. */
void
gate_learn(struct gate *g, const struct helper *helper, enum outcome outcome)
{
	if (outcome_is_wrong_password(outcome)) {
		count_failure(g, helper);
		return;
	}
	pace_give_back(&g->pace);
	if (outcome_is_right_password(outcome))
		user_throttle_succeeded(g->users, helper_user(helper),
		    helper_origin(helper)->address, clock_now_ms());
}

int
gate_unlock(struct gate *g, const char *user)
{
	return user_throttle_forget(g->users, user);
}

void
gate_free(struct gate *g)
{
	if (g == NULL)
		return;
	user_throttle_free(g->users);
	free(g);
}
