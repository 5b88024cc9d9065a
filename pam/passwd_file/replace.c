/*
 * Putting a new passwd-file in the place of the old one. Runs with the
 * privilege of the program that loads the module, and as the folder's owner.
 */
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <security/_pam_types.h>

#include "pam/passwd_file/actor.h"
#include "pam/passwd_file/lock.h"
#include "pam/passwd_file/store.h"
#include "pam/passwd_file/watch.h"

#define COPY_SIZE      (256 * 1024)
#define HAND_OVER_MS   1000
#define CLOSE_WAIT_MS  200
#define HAND_OVER_STEP 2
#define LET_GO_MS      5 /* for who waits to get the lock, and not we again */

/* The new file while it has no name of its own. */
struct successor {
	char name[NAME_MAX + 16];
	int fd;
	int folder_fd; /* for fsync(): store's own is for its path alone */
};

static int
write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		const ssize_t n = write(fd, bytes, len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Bytes [from, to) of one file to the end of the other. */
static int
copy_through(int in, off_t from, off_t to, int out, char *buffer)
{
	while (from < to) {
		size_t want =
		    to - from < COPY_SIZE ? (size_t)(to - from) : COPY_SIZE;
		const ssize_t n = pread(in, buffer, want, from);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == 0)
			errno = EIO;
		if (n <= 0 || write_all(out, buffer, (size_t)n) == -1)
			return -1;
		from += n;
	}
	return 0;
}

/* What is copied is everybody's hashes. */
static int
copy(int in, off_t from, off_t to, int out)
{
	char *buffer = malloc(COPY_SIZE);
	int result;

	if (buffer == NULL)
		return -1;
	result = copy_through(in, from, to, out, buffer);
	explicit_bzero(buffer, COPY_SIZE);
	free(buffer);
	return result;
}

/* Access lists, labels, and what the administrator has noted. Not what speaks
 * of the content: a signature of the old one would be wrong for the new. */
static int
is_kept(const char *name)
{
	static const char *const kept[] = { "system.", "security.selinux",
		"security.SMACK64", "user." };

	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++) {
		if (strncmp(name, kept[i], strlen(kept[i])) == 0)
			return 1;
	}
	return 0;
}

static int
keep_attribute(int from, int to, const char *name)
{
	char value[4096], there[4096];
	const ssize_t n = fgetxattr(from, name, value, sizeof(value));

	if (n == -1)
		return errno == ENODATA || errno == ENOTSUP ? 0 : -1;
	if (fgetxattr(to, name, there, sizeof(there)) == n &&
	    memcmp(value, there, (size_t)n) == 0)
		return 0;
	return fsetxattr(to, name, value, (size_t)n, 0);
}

static int
keep_attributes(int from, int to)
{
	char names[4096];
	const ssize_t n = flistxattr(from, names, sizeof(names));

	if (n == -1)
		return errno == ENOTSUP ? 0 : -1;
	for (const char *p = names; p < names + n; p += strlen(p) + 1) {
		if (is_kept(p) && keep_attribute(from, to, p) == -1)
			return -1;
	}
	return 0;
}

/* An access list that the folder gives to new files, and the old one has not:
 * with it, fchmod() would let others read. */
static int
drop_inherited_list(int from, int to)
{
	static const char name[] = "system.posix_acl_access";

	if (fgetxattr(from, name, NULL, 0) != -1)
		return 0;
	if (errno != ENODATA && errno != ENOTSUP)
		return -1;
	if (fremovexattr(to, name) == 0 || errno == ENODATA || errno == ENOTSUP)
		return 0;
	return -1;
}

/* Dovecot sees a change by whole seconds of this time. */
static int
set_later_time(int fd, const struct stat *old)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };

	(void)clock_gettime(CLOCK_REALTIME, &times[1]);
	if (times[1].tv_sec <= old->st_mtim.tv_sec)
		times[1] =
		    (struct timespec){ .tv_sec = old->st_mtim.tv_sec + 1 };
	return futimens(fd, times);
}

/* As root again, for CAP_CHOWN: a descriptor cannot be led astray. */
static int
keep_owner(int fd, const struct stat *old)
{
	struct stat st;
	uid_t before;
	int result;

	if (fstat(fd, &st) == -1)
		return -1;
	if (st.st_uid == old->st_uid && st.st_gid == old->st_gid)
		return 0;
	before = actor_become(geteuid());
	result = fchown(fd, old->st_uid, old->st_gid);
	actor_return(before);
	return result;
}

/* As the owner that it has now. */
static int
keep_rights(int fd, const struct store *s)
{
	const uid_t before = actor_become(s->data.st_uid);
	int result = -1;

	if (drop_inherited_list(s->data_fd, fd) == 0 &&
	    keep_attributes(s->data_fd, fd) == 0 &&
	    fchmod(fd, s->data.st_mode & 07777) == 0)
		result = set_later_time(fd, &s->data);
	actor_return(before);
	return result;
}

/* A name that is always the same: what a killed change left behind goes with
 * the next one. */
static int
create(struct successor *new, const struct store *s)
{
	(void)snprintf(new->name, sizeof(new->name), ".%s.tmp", s->name);
	new->folder_fd =
	    openat(s->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (new->folder_fd == -1)
		return -1;
	if (unlinkat(s->dir_fd, new->name, 0) == -1 && errno != ENOENT)
		return -1;
	new->fd = openat(s->dir_fd, new->name,
	    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return new->fd == -1 ? -1 : 0;
}

static int
fill(const struct successor *new, const struct store *s, off_t at, size_t len,
    const char *field)
{
	const off_t rest = at + (off_t)len;

	if (copy(s->data_fd, 0, at, new->fd) == -1 ||
	    write_all(new->fd, field, strlen(field)) == -1 ||
	    copy(s->data_fd, rest, s->data.st_size, new->fd) == -1)
		return -1;
	return keep_owner(new->fd, &s->data) == 0 &&
		keep_rights(new->fd, s) == 0 && fsync(new->fd) == 0
	    ? 0
	    : -1;
}

/* Somebody who takes no lock, an editor say, may have been here. */
static int
is_untouched(const struct store *s)
{
	struct stat st, named;

	return fstat(s->data_fd, &st) == 0 && st.st_nlink == 1 &&
	    st.st_size == s->data.st_size &&
	    memcmp(&st.st_mtim, &s->data.st_mtim, sizeof(st.st_mtim)) == 0 &&
	    memcmp(&st.st_ctim, &s->data.st_ctim, sizeof(st.st_ctim)) == 0 &&
	    fstatat(s->dir_fd, s->name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	    named.st_dev == st.st_dev && named.st_ino == st.st_ino;
}

static enum store_result
failed(const struct store *s, const char *what, struct complaint *complaint)
{
	(void)complain_errno(complaint, 1, what, s->path);
	return STORE_FAILED;
}

/*
 * Roundcube's driver opens the file, waits for its lock, and then reads what it
 * has opened and writes it to the name. Whoever is on that way would write the
 * old text over the new one: let them go first.
 */
static int
somebody_is_at_it(const struct store *s)
{
	return !is_untouched(s) || (watch_take(s->watch) & IN_OPEN) != 0 ||
	    lock_is_wanted(s->data_fd, s->lock_fd);
}

static enum store_result
put_in_place(
    struct store *s, const struct successor *new, struct complaint *complaint)
{
	if (somebody_is_at_it(s))
		return STORE_CHANGED;
	if (flock(new->fd, LOCK_EX | LOCK_NB) == -1)
		return failed(s, "cannot lock the new file", complaint);
	if (renameat(s->dir_fd, new->name, s->dir_fd, s->name) == -1)
		return failed(s, "cannot rename the new file", complaint);
	return STORE_REPLACED;
}

static enum store_result
replace(struct store *s, struct successor *new, off_t at, size_t len,
    const char *field, struct complaint *complaint)
{
	enum store_result result;

	if (create(new, s) == -1)
		return failed(s, "cannot make a new file beside it", complaint);
	if (fill(new, s, at, len, field) == -1)
		result = failed(s, "cannot write the new file", complaint);
	else
		result = put_in_place(s, new, complaint);
	if (result != STORE_REPLACED)
		(void)unlinkat(s->dir_fd, new->name, 0);
	return result;
}

static enum store_result
sync_folder(const struct store *s, const struct successor *new,
    struct complaint *complaint)
{
	if (fsync(new->folder_fd) == 0)
		return STORE_REPLACED;
	(void)complain(complaint, PAM_AUTHTOK_ERR,
	    "The password was changed, but a power failure may undo it.",
	    "%s: changed, but its folder could not be synced: %s", s->path,
	    strerror(errno));
	return STORE_FAILED;
}

/* The text of the new file, for who has opened the old one. */
static int
copy_back(const struct store *s, const struct successor *new)
{
	struct stat st;

	return lseek(s->data_fd, 0, SEEK_SET) == 0 &&
		fstat(new->fd, &st) == 0 &&
		copy(new->fd, 0, st.st_size, s->data_fd) == 0 &&
		ftruncate(s->data_fd, st.st_size) == 0
	    ? 0
	    : -1;
}

/*
 * One that came in the very last moment has opened what is the old file now: it
 * is to find the new text there, and nobody gets the lock on the new file
 * before it is done. One that does not want the lock may keep the file open, as
 * Dovecot does: it is not waited for as long.
 */
static void
hand_over(const struct store *s, const struct successor *new)
{
	int is_open = (watch_take(s->watch) & IN_OPEN) != 0;
	const int is_wanted = lock_is_wanted(s->data_fd, s->lock_fd);
	const uint64_t deadline =
	    lock_now_ms() + (is_wanted ? HAND_OVER_MS : CLOSE_WAIT_MS);

	if ((!is_open && !is_wanted) || copy_back(s, new) == -1)
		return;
	(void)flock(s->data_fd, LOCK_UN);
	while ((is_open || lock_is_wanted(s->data_fd, s->lock_fd)) &&
	    lock_now_ms() < deadline) {
		lock_pause(HAND_OVER_STEP);
		if ((watch_take(s->watch) & IN_CLOSE) != 0)
			is_open = 0;
	}
}

enum store_result
store_replace(struct store *store, off_t at, size_t len, const char *field,
    struct complaint *complaint)
{
	const uid_t before = actor_become(store->dir_owner);
	struct successor new = { .fd = -1, .folder_fd = -1 };
	enum store_result result;

	result = replace(store, &new, at, len, field, complaint);
	actor_return(before);
	if (result == STORE_REPLACED) {
		result = sync_folder(store, &new, complaint);
		hand_over(store, &new);
	}
	if (result == STORE_CHANGED) {
		(void)flock(store->data_fd, LOCK_UN);
		lock_pause(LET_GO_MS);
	}
	if (new.folder_fd != -1)
		(void)close(new.folder_fd);
	if (new.fd != -1)
		(void)close(new.fd);
	return result;
}
