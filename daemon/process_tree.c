/*
 * Starting a child, and ending one with everything that it started. Runs as
 * root in the monitor; handles no client bytes.
 */
#include "daemon/process_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A tree that grows faster than this many looks is killed as far as it was
 * seen; what is left becomes an orphan of the monitor's. */
#define MAX_ROUNDS 16

struct process {
	pid_t pid;
	pid_t parent;
	int marked;
};

struct snapshot {
	struct process *list;
	size_t n;
	size_t room;
};

pid_t
process_fork(void)
{
	struct sigaction action = { .sa_handler = SIG_DFL };
	sigset_t all, before, none;
	pid_t pid;

	(void)sigfillset(&all);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_BLOCK, &all, &before);
	pid = fork();
	if (pid != 0) {
		(void)sigprocmask(SIG_SETMASK, &before, NULL);
		return pid;
	}
	for (int s = 1; s < NSIG; s++)
		(void)sigaction(s, &action, NULL);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	return 0;
}

/* Field 4 of /proc/PID/stat, counted behind the last parenthesis: the name in
 * field 2 may hold any byte. -1 if the process has gone. */
static pid_t
parent_of(pid_t pid)
{
	char path[32], text[512];
	const char *p;
	int fd, parent;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	p = strrchr(text, ')');
	if (p == NULL || sscanf(p, ") %*c %d", &parent) != 1)
		return -1;
	return parent;
}

static int
snapshot_add(struct snapshot *s, pid_t pid, pid_t parent)
{
	struct process *list;

	if (s->n == s->room) {
		size_t room = s->room == 0 ? 256 : 2 * s->room;

		list = reallocarray(s->list, room, sizeof(*list));
		if (list == NULL)
			return -1;
		s->list = list;
		s->room = room;
	}
	s->list[s->n++] = (struct process){ .pid = pid, .parent = parent };
	return 0;
}

static int
snapshot_take(struct snapshot *s)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	int result = 0;

	s->n = 0;
	if (proc == NULL)
		return -1;
	while (result == 0 && (entry = readdir(proc)) != NULL) {
		char *end;
		long pid = strtol(entry->d_name, &end, 10);
		pid_t parent;

		if (*end != '\0' || pid <= 0)
			continue;
		parent = parent_of((pid_t)pid);
		if (parent != -1)
			result = snapshot_add(s, (pid_t)pid, parent);
	}
	(void)closedir(proc);
	return result;
}

/* The caller's own children, which the kernel names even where /proc is mounted
 * with hidepid, and a helper that has the real uid of a user is not to be seen.
 */
static int
snapshot_add_children(struct snapshot *s)
{
	FILE *file = fopen("/proc/thread-self/children", "re");
	int result = 0;
	int pid;

	if (file == NULL)
		return 0;
	while (result == 0 && fscanf(file, "%d", &pid) == 1)
		result = snapshot_add(s, (pid_t)pid, getpid());
	(void)fclose(file);
	return result;
}

static int
is_marked(const struct snapshot *s, pid_t pid)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->list[i].pid == pid)
			return s->list[i].marked;
	}
	return 0;
}

/* Marks what is below the marked ones. */
static void
mark_descendants(struct snapshot *s)
{
	int more = 1;

	while (more) {
		more = 0;
		for (size_t i = 0; i < s->n; i++) {
			struct process *p = &s->list[i];

			if (!p->marked && is_marked(s, p->parent)) {
				p->marked = 1;
				more = 1;
			}
		}
	}
}

static size_t
signal_marked(const struct snapshot *s, int signal)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++) {
		if (s->list[i].marked && kill(s->list[i].pid, signal) == 0)
			n++;
	}
	return n;
}

struct selection {
	pid_t root; /* or 0: orphans of the caller */
	int (*is_known)(void *context, pid_t pid);
	void *context;
};

static int
selects(const struct selection *sel, const struct process *p)
{
	if (sel->root != 0)
		return p->pid == sel->root;
	return p->parent == getpid() && !sel->is_known(sel->context, p->pid);
}

/* 0 once a look has found no process that the one before had not stopped. */
static int
stop_tree(struct snapshot *s, const struct selection *sel)
{
	size_t n, n_before = 0;

	for (int round = 0; round < MAX_ROUNDS; round++) {
		if (snapshot_take(s) == -1 || snapshot_add_children(s) == -1)
			return -1;
		for (size_t i = 0; i < s->n; i++)
			s->list[i].marked = selects(sel, &s->list[i]);
		mark_descendants(s);
		n = signal_marked(s, SIGSTOP);
		if (n == n_before)
			return 0;
		n_before = n;
	}
	return 0;
}

static int
kill_selected(const struct selection *sel)
{
	struct snapshot s = { .list = NULL };
	int result = stop_tree(&s, sel);

	if (result == 0)
		(void)signal_marked(&s, SIGKILL);
	free(s.list);
	return result;
}

void
process_tree_kill(pid_t root)
{
	const struct selection sel = { .root = root };

	if (kill_selected(&sel) == -1) {
		(void)killpg(root, SIGKILL);
		(void)kill(root, SIGKILL);
	}
}

void
process_tree_kill_orphans(
    int (*is_known)(void *context, pid_t pid), void *context)
{
	const struct selection sel = { .is_known = is_known,
		.context = context };

	(void)kill_selected(&sel);
}
