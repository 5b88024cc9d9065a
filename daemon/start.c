/*
 * Starting the daemon's own processes: this program again, in another role.
 * Runs as root in the monitor and, up to execve(), in its child.
 */
#include "daemon/start.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/process_tree.h"

/* Only what a sanitizer's runtime must be told goes along. */
static char **
make_environment(void)
{
	static char *environment[4];
	static const char *const kept[] = {
		"ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS="
	};
	size_t n = 0;

	for (char **e = environ; *e != NULL; e++) {
		for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++) {
			if (strncmp(*e, kept[i], strlen(kept[i])) == 0 &&
			    n < sizeof(environment) / sizeof(*environment) - 1)
				environment[n++] = *e;
		}
	}
	return environment;
}

/* Puts the descriptors where they are looked for: first out of the way of the
 * target numbers, then onto them. Everything else is close-on-exec. */
static int
place_descriptors(const struct start_files *files)
{
	const int first = WIRE_NET_CONTROL_FD;
	int *high = calloc((size_t)files->n, sizeof(*high));

	if (high == NULL)
		return -1;
	for (int i = 0; i < files->n; i++) {
		high[i] =
		    fcntl(files->fds[i], F_DUPFD_CLOEXEC, first + files->n);
		if (high[i] == -1)
			return -1;
	}
	for (int i = 0; i < files->n; i++) {
		if (dup2(high[i], first + i) == -1)
			return -1;
	}
	free(high);
	return 0;
}

static void
become(const char *name, const struct start_files *files)
{
	char *copy = strdup(name);
	char *argv[] = { copy, NULL };

	if (copy != NULL && place_descriptors(files) == 0)
		(void)execve("/proc/self/exe", argv, make_environment());
	log_message(
	    LOG_LEVEL_ERROR, "%s: cannot start: %s", name, strerror(errno));
	_exit(EX_OSERR);
}

pid_t
start_process(const char *name, const struct start_files *files)
{
	pid_t pid = process_fork();

	if (pid == 0)
		become(name, files);
	return pid;
}

void
start_limit_sending(int fd, time_t sec)
{
	const struct timeval limit = { .tv_sec = sec };

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

int
start_send_blob(
    int fd, enum load_kind kind, size_t index, const char *bytes, size_t len)
{
	struct ctl_load *m = secret_memory_map(sizeof(*m), NULL);
	int result = -1;

	if (m == NULL)
		return -1;
	do {
		size_t n = len < sizeof(m->bytes) ? len : sizeof(m->bytes);

		m->type = CTL_LOAD;
		m->kind = kind;
		m->index = (uint32_t)index;
		m->len = (uint32_t)n;
		memcpy(m->bytes, bytes, n);
		if (wire_send(fd, m, sizeof(*m), -1) != WIRE_OK)
			goto out;
		len -= n;
		bytes += n;
	} while (len > 0);
	result = 0;
out:
	secret_memory_unmap(m, sizeof(*m));
	return result;
}

int
start_send_config(int fd, const struct config *config)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int result = -1;

	if (out == NULL)
		return -1;
	if (config_dump(config, out) == 0 && fflush(out) == 0)
		result = start_send_blob(fd, LOAD_CONFIG, 0, text, len);
	(void)fclose(out);
	free(text);
	return result;
}
