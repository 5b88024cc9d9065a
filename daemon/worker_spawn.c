/*
 * The start of a net process and of its keeper. Runs as root in the monitor;
 * handles keys, and nothing that comes from either.
 */
#include "daemon/worker_spawn.h"

#include <stdlib.h>
#include <unistd.h>

#include "daemon/keeper_process.h"
#include "daemon/start.h"
#include "daemon/worker.h"

#define SEND_SEC 5 /* a message */

static int
send_certificates(int fd, const struct tls_files *files)
{
	const char *bytes;
	size_t len;

	bytes = tls_files_client_ca(files, &len);
	if (bytes != NULL &&
	    start_send_blob(fd, LOAD_CLIENT_CA, 0, bytes, len) == -1)
		return -1;
	for (size_t i = 0; i < tls_files_count(files); i++) {
		bytes = tls_files_certificate(files, i, &len);
		if (start_send_blob(fd, LOAD_CERTIFICATE, i, bytes, len) == -1)
			return -1;
	}
	return start_send_blob(fd, LOAD_END, 0, "", 0);
}

static int
send_keys(int fd, const struct tls_files *files)
{
	for (size_t i = 0; i < tls_files_count(files); i++) {
		size_t len;
		const char *bytes = tls_files_key(files, i, &len);

		if (start_send_blob(fd, LOAD_KEY, i, bytes, len) == -1)
			return -1;
	}
	return start_send_blob(fd, LOAD_END, 0, "", 0);
}

/* Net's end of the keys socket, or -1. */
static int
spawn_keeper(struct worker_processes *p, const struct config *config,
    const struct tls_files *files)
{
	int control[2] = { -1, -1 }, keys[2] = { -1, -1 }, fds[2];
	const struct start_files start = { .fds = fds, .n = 2 };
	int result = -1;

	if (wire_pair(control) == -1 || wire_pair(keys) == -1)
		goto out;
	fds[WIRE_KEEPER_CONTROL_FD - WIRE_KEEPER_CONTROL_FD] = control[1];
	fds[WIRE_KEEPER_KEYS_FD - WIRE_KEEPER_CONTROL_FD] = keys[1];
	start_limit_sending(control[0], SEND_SEC);
	p->keeper_pid = start_process(KEEPER_NAME, &start);
	if (p->keeper_pid > 0 && start_send_config(control[0], config) == 0 &&
	    send_keys(control[0], files) == 0)
		result = keys[0];
out:
	for (int i = 0; i < 2; i++) {
		if (control[i] != -1)
			(void)close(control[i]);
		if (keys[i] != -1 && keys[i] != result)
			(void)close(keys[i]);
	}
	return result;
}

static int
spawn_net(struct worker_processes *p, int clients_fd, int keys_fd,
    const struct listen_set *listens)
{
	const int n = (int)listen_set_count(listens);
	struct start_files start = { .n = WIRE_NET_LISTEN_FD -
		    WIRE_NET_CONTROL_FD + n };
	int *fds = calloc((size_t)start.n, sizeof(*fds));
	int fd[2];

	if (fds == NULL || wire_pair(fd) == -1) {
		free(fds);
		return -1;
	}
	p->control_fd = fd[0];
	start_limit_sending(fd[0], SEND_SEC);
	fds[0] = fd[1];
	fds[WIRE_NET_CLIENTS_FD - WIRE_NET_CONTROL_FD] = clients_fd;
	fds[WIRE_NET_KEYS_FD - WIRE_NET_CONTROL_FD] = keys_fd;
	for (int i = 0; i < n; i++)
		fds[WIRE_NET_LISTEN_FD - WIRE_NET_CONTROL_FD + i] =
		    listen_set_fd(listens, (size_t)i);
	start.fds = fds;
	p->net_pid = start_process(WORKER_NAME, &start);
	(void)close(fd[1]);
	free(fds);
	return p->net_pid == -1 ? -1 : 0;
}

/* Both at once: the keeper reads its keys while net reads its certificates. */
int
worker_spawn(struct worker_processes *p, const struct config *config,
    const struct tls_files *files, const struct listen_set *listens,
    int clients_fd)
{
	int keys_fd, result;

	*p = (struct worker_processes){ .control_fd = -1 };
	keys_fd = spawn_keeper(p, config, files);
	if (keys_fd == -1)
		return -1;
	result = spawn_net(p, clients_fd, keys_fd, listens);
	(void)close(keys_fd);
	if (result == 0)
		result = start_send_config(p->control_fd, config);
	if (result == 0)
		result = send_certificates(p->control_fd, files);
	return result;
}
