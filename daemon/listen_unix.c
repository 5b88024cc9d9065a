/*
 * Sockets that have a name in the file system. Runs as root in the monitor,
 * which never accepts on them.
 */
#include "daemon/listen_unix.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/listen_set.h"

struct socket_file {
	unsigned n_users;
	dev_t device;
	ino_t inode;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
};

struct access {
	uid_t uid;
	gid_t gid;
};

static const char folder_advice[] =
    "; the folder must be there and writable for the user that starts "
    "poppassd";

static const char *
path_of(const struct config_listen *listen)
{
	return ((const struct sockaddr_un *)&listen->sockaddr)->sun_path;
}

static int
fail(struct config_errors *errors, const struct config_listen *listen,
    const char *what, const char *advice)
{
	config_error(errors, &listen->place, "%s %s: %s%s", listen->directive,
	    listen->address, what, advice);
	return -1;
}

/* 0, or -1 and in *missing the option that names nobody. */
static int
find_access(const struct config_listen *listen, struct access *access,
    const char **missing)
{
	access->uid = geteuid();
	access->gid = getegid();
	if (listen->owner != NULL) {
		const struct passwd *pw = getpwnam(listen->owner);

		*missing = "owner=: no such user";
		if (pw == NULL)
			return -1;
		access->uid = pw->pw_uid;
	}
	if (listen->group != NULL) {
		const struct group *group = getgrnam(listen->group);

		*missing = "group=: no such group";
		if (group == NULL)
			return -1;
		access->gid = group->gr_gid;
	}
	return 0;
}

void
listen_unix_check(const struct config *config, struct config_errors *errors)
{
	for (size_t i = 0; i < config->n_listens; i++) {
		const struct config_listen *listen = &config->listens[i];
		const char *missing;
		struct access access;

		if (find_access(listen, &access, &missing) == -1)
			(void)fail(errors, listen, missing,
			    "; make it, or name another");
	}
}

/* Clients send passwords to whoever has the name: it must stay ours. */
int
listen_unix_check_folder(
    const struct config_listen *listen, struct config_errors *errors)
{
	char folder[sizeof(((struct socket_file *)NULL)->path)];
	struct stat st;

	wire_string_set(folder, sizeof(folder), path_of(listen));
	*(strrchr(folder, '/') + 1) = '\0';
	if (stat(folder, &st) == -1)
		return fail(errors, listen, strerror(errno), folder_advice);
	if ((st.st_mode & S_IWOTH) == 0 || (st.st_mode & S_ISVTX) != 0)
		return 0;
	return fail(errors, listen,
	    "everybody can write to its folder, and put another socket there",
	    "; chmod o-w the folder");
}

enum occupant {
	OCCUPANT_NONE,
	OCCUPANT_STALE,   /* a socket that nobody serves */
	OCCUPANT_LIVE,    /* one that somebody does */
	OCCUPANT_FOREIGN, /* no socket */
	OCCUPANT_UNCLEAR  /* errno says why */
};

static enum occupant
find_occupant(const struct config_listen *listen)
{
	struct stat st;
	int fd, failed;

	if (lstat(path_of(listen), &st) == -1)
		return errno == ENOENT ? OCCUPANT_NONE : OCCUPANT_UNCLEAR;
	if (!S_ISSOCK(st.st_mode))
		return OCCUPANT_FOREIGN;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return OCCUPANT_UNCLEAR;
	failed = connect(fd, (const struct sockaddr *)&listen->sockaddr,
	    listen->sockaddr_len);
	if (failed == -1)
		failed = errno;
	(void)close(fd);
	errno = failed;
	/* EAGAIN: its queue is full. EPROTOTYPE: it is no stream. */
	if (failed == 0 || failed == EAGAIN || failed == EPROTOTYPE)
		return OCCUPANT_LIVE;
	return failed == ECONNREFUSED ? OCCUPANT_STALE : OCCUPANT_UNCLEAR;
}

static int
make_room(const struct config_listen *listen, struct config_errors *errors)
{
	switch (find_occupant(listen)) {
	case OCCUPANT_NONE:
		return 0;
	case OCCUPANT_STALE:
		if (unlink(path_of(listen)) == 0 || errno == ENOENT)
			return 0;
		break;
	case OCCUPANT_LIVE:
		return fail(errors, listen, "another process serves it",
		    "; find it with `ss -lxp`, stop it or name another path");
	case OCCUPANT_FOREIGN:
		return fail(errors, listen, "is there and is no socket",
		    "; remove it or name another path");
	case OCCUPANT_UNCLEAR:
		break;
	}
	return fail(errors, listen, strerror(errno), folder_advice);
}

/* The socket's own mode is the one that its name is made with: there is no
 * moment with another one. */
static int
bind_with_mode(int fd, const struct config_listen *listen)
{
	const mode_t mask = umask(0);
	int result = -1;

	if (fchmod(fd, listen->mode) == 0)
		result = bind(fd, (const struct sockaddr *)&listen->sockaddr,
		    listen->sockaddr_len);
	(void)umask(mask);
	return result;
}

static struct socket_file *
new_file(const struct config_listen *listen)
{
	struct socket_file *file = calloc(1, sizeof(*file));
	struct stat st;

	if (file == NULL)
		return NULL;
	file->n_users = 1;
	wire_string_set(file->path, sizeof(file->path), path_of(listen));
	if (lstat(file->path, &st) == -1) {
		free(file);
		return NULL;
	}
	file->device = st.st_dev;
	file->inode = st.st_ino;
	return file;
}

/* Not before it listens does anybody get in. */
static int
name_and_listen(int fd, const struct config_listen *directive,
    struct socket_file **file, struct config_errors *errors)
{
	if (bind_with_mode(fd, directive) == -1)
		return fail(errors, directive, strerror(errno), folder_advice);
	*file = new_file(directive);
	if (*file == NULL)
		return fail(errors, directive, strerror(errno), "");
	if (socket_file_set_access(*file, directive) == -1)
		return fail(errors, directive, strerror(errno),
		    "; only root can give it to another owner or group");
	if (listen(fd, LISTEN_BACKLOG) == -1)
		return fail(errors, directive, strerror(errno), "");
	return 0;
}

int
listen_unix_open(const struct config_listen *listen, struct socket_file **file,
    struct config_errors *errors)
{
	int fd;

	*file = NULL;
	if (listen_unix_check_folder(listen, errors) == -1 ||
	    make_room(listen, errors) == -1)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return fail(errors, listen, strerror(errno), "");
	if (name_and_listen(fd, listen, file, errors) == 0)
		return fd;
	(void)close(fd);
	socket_file_release(*file);
	*file = NULL;
	return -1;
}

struct socket_file *
socket_file_share(struct socket_file *file)
{
	file->n_users++;
	return file;
}

static int
is_ours(const struct socket_file *file, const struct stat *st)
{
	return S_ISSOCK(st->st_mode) && st->st_dev == file->device &&
	    st->st_ino == file->inode;
}

int
socket_file_is_there(const struct socket_file *file)
{
	struct stat st;

	return lstat(file->path, &st) == 0 && is_ours(file, &st);
}

/* Only an owner may change the mode, and the monitor has not the capability
 * that would let it do so for others. */
static int
change_access(int fd, const struct access *access, mode_t mode)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fchownat(fd, "", geteuid(), (gid_t)-1, AT_EMPTY_PATH) == -1 ||
	    chmod(path, mode) == -1)
		return -1;
	return fchownat(fd, "", access->uid, access->gid, AT_EMPTY_PATH);
}

int
socket_file_set_access(
    const struct socket_file *file, const struct config_listen *listen)
{
	const char *missing;
	struct access access;
	struct stat st;
	int fd, result = -1;

	/* By descriptor: the name may be somebody's link by now. */
	fd = open(file->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return -1;
	errno = ENOENT;
	if (fstat(fd, &st) == 0 && is_ours(file, &st) &&
	    find_access(listen, &access, &missing) == 0) {
		if (st.st_uid == access.uid && st.st_gid == access.gid &&
		    (st.st_mode & 07777) == listen->mode)
			result = 0;
		else
			result = change_access(fd, &access, listen->mode);
	}
	(void)close(fd);
	return result;
}

void
socket_file_release(struct socket_file *file)
{
	if (file == NULL || --file->n_users > 0)
		return;
	if (socket_file_is_there(file))
		(void)unlink(file->path);
	free(file);
}
