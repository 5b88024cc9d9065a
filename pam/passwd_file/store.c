/*
 * A passwd-file in its folder: finding, checking and locking it. Runs with the
 * privilege of the program that loads the module, and as the folder's owner.
 */
#include "pam/passwd_file/store.h"

#include <sys/file.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <security/_pam_types.h>

#include "pam/passwd_file/actor.h"
#include "pam/passwd_file/lock.h"
#include "pam/passwd_file/watch.h"

#define READ_WAIT_MS 500

#define FOLDER_FLAGS (O_PATH | O_DIRECTORY | O_CLOEXEC)

static void
forget(int *fd)
{
	if (*fd != -1)
		(void)close(*fd);
	*fd = -1;
}

void
store_release(struct store *store)
{
	forget(&store->data_fd);
	forget(&store->watch);
}

void
store_close(struct store *store)
{
	/* The watch comes last: its end takes the kernel some milliseconds. */
	forget(&store->data_fd);
	forget(&store->lock_fd);
	forget(&store->dir_fd);
	forget(&store->watch);
}

/* Not there, and of a user's making: then there is no such user. */
static int
complain_missing(const struct store *s, struct complaint *complaint)
{
	if (s->is_users && errno == ENOENT)
		return complain(complaint, PAM_USER_UNKNOWN, NULL,
		    "%s: no such file", s->path);
	return complain_errno(complaint, 0, "cannot open", s->path);
}

/* The folder that the administrator named, whatever links it goes through.
 * Returns where the rest of the path begins, or NULL. */
static const char *
open_fixed_folder(struct store *s, size_t len)
{
	char folder[PATH_MAX];

	while (s->path[len - 1] != '/')
		len--;
	memcpy(folder, s->path, len);
	folder[len] = '\0';
	s->dir_fd = open(folder, FOLDER_FLAGS);
	return s->dir_fd == -1 ? NULL : s->path + len;
}

/* Neither `.`, nor `..`, nor nothing. */
static int
is_harmless(const char *part, size_t len)
{
	return len > 0 && len <= NAME_MAX && strncmp(part, "..", len) != 0;
}

/* An ACL that lets others write shows as the group's bit. */
static int
check_folder(struct store *s, struct complaint *complaint)
{
	struct stat st;

	if (fstat(s->dir_fd, &st) == -1)
		return complain_errno(complaint, 0, "folder", s->path);
	s->dir_owner = st.st_uid;
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return complain(complaint, PAM_AUTHINFO_UNAVAIL, NULL,
		    "%s: a folder may be written by its group or by others; "
		    "chmod go-w",
		    s->path);
	return 0;
}

static int
step_into(struct store *s, const char *part)
{
	const uid_t before = actor_become(s->dir_owner);
	const int fd = openat(s->dir_fd, part, FOLDER_FLAGS | O_NOFOLLOW);

	actor_return(before);
	forget(&s->dir_fd);
	s->dir_fd = fd;
	return fd == -1 ? -1 : 0;
}

/* The parts below it, one by one: none may lead out. */
static int
walk(struct store *s, const char *rest, struct complaint *complaint)
{
	for (;;) {
		const size_t len = strcspn(rest, "/");

		if (check_folder(s, complaint) == -1)
			return -1;
		if (!is_harmless(rest, len))
			return complain(complaint, PAM_USER_UNKNOWN, NULL,
			    "%s: leaves its folder", s->path);
		memcpy(s->name, rest, len);
		s->name[len] = '\0';
		if (rest[len] == '\0')
			return 0;
		if (step_into(s, s->name) == -1)
			return complain_missing(s, complaint);
		rest += len + 1;
	}
}

/* One link, and only to a neighbour. */
static int
follow_link(struct store *s, struct complaint *complaint)
{
	const uid_t before = actor_become(s->dir_owner);
	char target[NAME_MAX + 1];
	ssize_t n;

	n = readlinkat(s->dir_fd, s->name, target, sizeof(target));
	actor_return(before);
	if (n == -1)
		return 0;
	if ((size_t)n >= sizeof(target) ||
	    memchr(target, '/', (size_t)n) != NULL ||
	    !is_harmless(target, (size_t)n))
		return complain(complaint, PAM_AUTHINFO_UNAVAIL, NULL,
		    "%s: is a link that leaves its folder; name the file "
		    "itself in file=",
		    s->path);
	memcpy(s->name, target, (size_t)n);
	s->name[n] = '\0';
	return 0;
}

int
store_open(struct store *store, const char *path, size_t fixed_len,
    struct complaint *complaint)
{
	const char *rest;

	memset(store, 0, sizeof(*store));
	store->dir_fd = store->lock_fd = store->data_fd = store->watch = -1;
	store->is_users = path[fixed_len] != '\0';
	(void)snprintf(store->path, sizeof(store->path), "%s", path);
	rest = open_fixed_folder(store, fixed_len);
	if (rest == NULL)
		return complain_errno(
		    complaint, 0, "cannot open its folder", store->path);
	if (walk(store, rest, complaint) == -1)
		return -1;
	return follow_link(store, complaint);
}

static int
check_file(const struct store *s, struct complaint *complaint)
{
	const char *fault = NULL;

	if (!S_ISREG(s->data.st_mode))
		fault = "is no regular file";
	else if ((s->data.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		fault = "may be written by its group or by others; chmod go-w";
	else if (s->data.st_nlink > 1)
		fault = "has a second name (a hard link), which would keep the "
			"old password; remove it";
	if (fault == NULL)
		return 0;
	return complain(
	    complaint, PAM_AUTHINFO_UNAVAIL, NULL, "%s: %s", s->path, fault);
}

static int
open_as(const struct store *s, uid_t uid, const char *name, int flags)
{
	const uid_t before = actor_become(uid);
	const int fd = openat(
	    s->dir_fd, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);

	actor_return(before);
	return fd;
}

/* As the folder's owner, or else as the file's own: who may write a folder need
 * not be able to open what is in it. */
static int
open_in_folder(const struct store *s, const char *name, int flags)
{
	const int fd = open_as(s, s->dir_owner, name, flags);
	struct stat st;
	uid_t before;
	int is_there;

	if (fd != -1 || errno != EACCES)
		return fd;
	before = actor_become(s->dir_owner);
	is_there = fstatat(s->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	actor_return(before);
	if (is_there)
		return open_as(s, st.st_uid, name, flags & ~O_CREAT);
	errno = EACCES;
	return -1;
}

static int
open_data(struct store *s, int flags)
{
	store_release(s);
	s->data_fd = open_in_folder(s, s->name, flags);
	return s->data_fd == -1 ? -1 : 0;
}

/* Is the file that was opened still the one of that name? Whoever replaced it
 * meanwhile has left us its predecessor. */
static int
is_current(struct store *s)
{
	const uid_t before = actor_become(s->dir_owner);
	struct stat st;
	int is_same;

	is_same = fstat(s->data_fd, &s->data) == 0 &&
	    fstatat(s->dir_fd, s->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_dev == s->data.st_dev && st.st_ino == s->data.st_ino;
	actor_return(before);
	return is_same;
}

static int
open_lock_file(const struct store *s, int flags)
{
	char name[NAME_MAX + 16];

	(void)snprintf(name, sizeof(name), ".%s.lock", s->name);
	return open_in_folder(s, name, flags);
}

/* Between two writers of ours, so that they see in their watch only those who
 * know nothing of us. */
static int
open_between_writers(struct store *s)
{
	const uint64_t deadline = lock_now_ms() + READ_WAIT_MS;
	int lock_fd = open_lock_file(s, O_RDONLY);
	int result;

	if (lock_fd != -1)
		(void)lock_take(lock_fd, LOCK_SH, deadline);
	result = open_data(s, O_RDONLY);
	forget(&lock_fd);
	return result;
}

int
store_read(struct store *store, struct complaint *complaint)
{
	const uint64_t deadline = lock_now_ms() + READ_WAIT_MS;
	int is_locked;

	do {
		if (open_between_writers(store) == -1)
			return complain_missing(store, complaint);
		/* Without the lock it is read as Dovecot reads it. */
		is_locked = lock_take(store->data_fd, LOCK_SH,
				lock_now_ms() + READ_WAIT_MS) == 0;
	} while (!is_current(store) && lock_now_ms() < deadline);
	/* By who writes in place, and nobody in it is unknown. */
	if (!is_locked && store->data.st_size == 0)
		return complain(complaint, PAM_AUTHINFO_UNAVAIL, NULL,
		    "%s: empty, and locked by a process that writes it",
		    store->path);
	return check_file(store, complaint);
}

int
store_probe(struct store *store, struct complaint *complaint)
{
	char what[NAME_MAX + 64];

	if (store->lock_fd == -1)
		store->lock_fd = open_lock_file(store, O_RDWR | O_CREAT);
	if (store->lock_fd != -1)
		return 0;
	(void)snprintf(what, sizeof(what),
	    "cannot open the lock file .%s.lock beside it", store->name);
	return complain_errno(complaint, 1, what, store->path);
}

static int
complain_lock(const struct store *s, struct complaint *complaint)
{
	if (errno != EWOULDBLOCK)
		return complain_errno(complaint, 1, "cannot lock", s->path);
	return complain(complaint, PAM_AUTHTOK_LOCK_BUSY,
	    "The password file is busy, try again later.",
	    "%s: locked by another process for too long", s->path);
}

/* For writing, so that whoever waits for it can be given the new text; that is
 * no reason to refuse where it may not be. */
static int
open_for_change(struct store *s)
{
	if (open_data(s, O_RDWR) == 0)
		return 0;
	return errno == EACCES ? open_data(s, O_RDONLY) : -1;
}

/* From now on; whoever has opened the file before has time to come to the lock
 * while the new one is written. */
static void
begin_watch(struct store *s)
{
	const uid_t before = actor_become(s->data.st_uid);

	s->watch = watch_begin(s->data_fd);
	actor_return(before);
}

int
store_lock(
    struct store *store, uint64_t deadline_ms, struct complaint *complaint)
{
	if (store_probe(store, complaint) == -1)
		return -1;
	if (lock_take(store->lock_fd, LOCK_EX, deadline_ms) == -1)
		return complain_lock(store, complaint);
	do {
		if (open_for_change(store) == -1)
			return complain_errno(
			    complaint, 1, "cannot open", store->path);
		if (lock_take(store->data_fd, LOCK_EX, deadline_ms) == -1)
			return complain_lock(store, complaint);
	} while (!is_current(store));
	begin_watch(store);
	return check_file(store, complaint);
}
