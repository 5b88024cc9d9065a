/*
 * The start of a poppassd-pam. Runs as root in the monitor, and in the child
 * that becomes the helper.
 */
#include "daemon/helper_process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/confine.h"
#include "daemon/policy.h"
#include "daemon/preflight.h"
#include "daemon/process_tree.h"

static void
prompts_copy(struct txn_begin *begin, const struct config *config)
{
	begin->n_prompts = (uint32_t)config->n_prompts;
	memcpy(begin->prompts, config->prompts, sizeof(begin->prompts));
}

int
helper_process_begin(const struct config *config,
    const struct ctl_admit_request *request, enum helper_manner manner, int fd)
{
	struct txn_begin begin;

	memset(&begin, 0, sizeof(begin));
	begin.type = TXN_BEGIN;
	begin.version = WIRE_VERSION;
	begin.change_timeout_ms = config->change_timeout_ms;
	begin.tells_dialogue = manner == HELPER_TELLS_DIALOGUE;
	wire_string_set(begin.user, sizeof(begin.user), request->user);
	wire_string_set(
	    begin.service, sizeof(begin.service), config->pam_service);
	wire_string_set(begin.confdir, sizeof(begin.confdir),
	    config->pam_confdir != NULL ? config->pam_confdir : "");
	if (strcmp(request->origin.address, WIRE_UNIX_ADDRESS) != 0)
		wire_string_set(
		    begin.rhost, sizeof(begin.rhost), request->origin.address);
	prompts_copy(&begin, config);
	return wire_send(fd, &begin, sizeof(begin), -1) == WIRE_OK ? 0 : -1;
}

static void
send_refusal(int status_fd, const struct policy_identity *identity)
{
	struct status_reason m = { .type = STATUS_REASON };

	if (identity->admitted)
		return;
	wire_string_set(m.reason, sizeof(m.reason), identity->refused_by);
	(void)wire_send(status_fd, &m, sizeof(m), -1);
}

static void
send_identity(int status_fd, const struct policy_identity *identity)
{
	const struct status_identity m = { .type = STATUS_IDENTITY,
		.known = (uint32_t)identity->known };

	(void)wire_send(status_fd, &m, sizeof(m), -1);
}

static int
place_descriptors(int transaction_fd, int status_fd)
{
	int above = WIRE_HELPER_STATUS_FD + 1;

	transaction_fd = fcntl(transaction_fd, F_DUPFD_CLOEXEC, above);
	status_fd = fcntl(status_fd, F_DUPFD_CLOEXEC, above);
	if (transaction_fd == -1 || status_fd == -1)
		return -1;
	if (dup2(transaction_fd, WIRE_HELPER_TRANSACTION_FD) == -1 ||
	    dup2(status_fd, WIRE_HELPER_STATUS_FD) == -1)
		return -1;
	return 0;
}

static void
exec_helper(const struct policy_identity *identity)
{
	static char name[] = "poppassd-pam";
	static char admitted[] = "admitted";
	static char refused[] = "refused";
	static char *environment[] = { NULL };
	char uid[16];
	char *argv[] = { name, identity->admitted ? admitted : refused, uid,
		NULL };

	(void)snprintf(uid, sizeof(uid), "%u", (unsigned)identity->uid);
	(void)execve(preflight_helper_path(), argv, environment);
}

/* What a kernel before 5.9 does not do. */
static void
close_between(int first, int last)
{
	if (first <= last)
		(void)close_range((unsigned)first, (unsigned)last, 0);
}

/* NSS may hang, and nobody would see the monitor's end, or that of an address,
 * while this process has their sockets as well. They keep their numbers: a
 * library of NSS may close what it had open in the monitor. */
static void
close_all_but(int a, int b)
{
	const int low = a < b ? a : b;
	const int high = a < b ? b : a;

	closelog();
	close_between(STDERR_FILENO + 1, low - 1);
	close_between(low + 1, high - 1);
	close_between(high + 1, INT_MAX);
}

/* From here to execve() it is the monitor's own code in a process of its own:
 * NSS may take its time, the deadline is already running. */
static void
become_helper(const struct config *config,
    const struct ctl_admit_request *request, int transaction_fd, int status_fd)
{
	struct policy_identity identity;

	(void)setsid();
	close_all_but(transaction_fd, status_fd);
	if (policy_resolve(config, request->user, request->origin.address,
		&identity) == -1) {
		log_message(LOG_LEVEL_ERROR, "helper: user database: %s",
		    strerror(errno));
		_exit(OUTCOME_TEMPORARY);
	}
	send_identity(status_fd, &identity);
	send_refusal(status_fd, &identity);
	if (confine_helper(identity.gid, identity.known ? request->user : NULL,
		policy_wants_dac_override(config)) == 0 &&
	    place_descriptors(transaction_fd, status_fd) == 0)
		exec_helper(&identity);
	log_message(
	    LOG_LEVEL_ERROR, "helper: cannot start: %s", strerror(errno));
	_exit(OUTCOME_TEMPORARY);
}

pid_t
helper_process_fork(const struct config *config,
    const struct ctl_admit_request *request, int transaction_fd, int status_fd)
{
	pid_t pid = process_fork();

	if (pid == 0)
		become_helper(config, request, transaction_fd, status_fd);
	return pid > 0 ? pid : 0;
}
