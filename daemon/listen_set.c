/*
 * The listening sockets, which outlive every net process. Runs as root in the
 * monitor, which never accepts on them.
 */
#include "daemon/listen_set.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/listen_unix.h"

#define PASSED_NAME_SIZE 64

struct listen_socket {
	struct sockaddr_storage sockaddr;
	socklen_t sockaddr_len;
	int is_v6_only;
	int fd;
	struct socket_file *file; /* of a unix: socket of our own, else NULL */
	char passed_as[PASSED_NAME_SIZE]; /* by a service manager, or "" */
};

struct listen_set {
	size_t n;
	struct listen_socket sockets[];
};

static const char *
advice_for(int error)
{
	switch (error) {
	case EADDRINUSE:
		return "; find who serves it with `ss -ltnp` (an old poppassd "
		       "in inetd.conf?)";
	case EACCES:
		return "; ports below 1024 need root or CAP_NET_BIND_SERVICE";
	case EADDRNOTAVAIL:
		return "; this machine does not have the address";
	case EAFNOSUPPORT:
		return "; under systemd poppassd.socket opens it (has that "
		       "failed?), without IPv6 use `listen 0.0.0.0:106`";
	case EBUSY:
		return "; whether it serves IPv4 too changes only at a "
		       "restart";
	default:
		return "";
	}
}

/* An IPv6 wildcard serves IPv4 as well, unless IPv4 has a directive of its own
 * on that port. */
static int
wants_v6_only(const struct config *config, const struct config_listen *listen)
{
	const struct sockaddr_in6 *in6 =
	    (const struct sockaddr_in6 *)&listen->sockaddr;

	if (in6->sin6_family != AF_INET6)
		return 0;
	if (!IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr))
		return 1;
	for (size_t i = 0; i < config->n_listens; i++) {
		const struct sockaddr_in *in =
		    (const struct sockaddr_in *)&config->listens[i].sockaddr;

		if (in->sin_family == AF_INET && in->sin_port == in6->sin6_port)
			return 1;
	}
	return 0;
}

static int
set_options(
    int fd, const struct config *config, const struct config_listen *listen)
{
	int on = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1)
		return -1;
	if (listen->sockaddr.ss_family != AF_INET6)
		return 0;
	on = wants_v6_only(config, listen);
	return setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
}

static int
open_socket(const struct config *config, const struct config_listen *directive)
{
	int fd = socket(directive->sockaddr.ss_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int error;

	if (fd == -1)
		return -1;
	if (set_options(fd, config, directive) == 0 &&
	    bind(fd, (const struct sockaddr *)&directive->sockaddr,
		directive->sockaddr_len) == 0 &&
	    listen(fd, LISTEN_BACKLOG) == 0)
		return fd;
	error = errno;
	(void)close(fd);
	errno = error;
	return -1;
}

static int
open_tcp(const struct config *config, const struct config_listen *directive,
    struct config_errors *errors)
{
	int fd = open_socket(config, directive);

	if (fd == -1)
		config_error(errors, &directive->place, "listen %s: %s%s",
		    directive->address, strerror(errno), advice_for(errno));
	return fd;
}

static const struct listen_socket *
find_socket(const struct listen_set *set,
    const struct sockaddr_storage *sockaddr, socklen_t len)
{
	for (size_t i = 0; set != NULL && i < set->n; i++) {
		const struct listen_socket *s = &set->sockets[i];

		if (s->sockaddr_len == len &&
		    memcmp(&s->sockaddr, sockaddr, len) == 0 &&
		    (s->file == NULL || socket_file_is_there(s->file)))
			return s;
	}
	return NULL;
}

static int
is_passed(const struct listen_socket *s)
{
	return s->passed_as[0] != '\0';
}

static int
share(struct listen_socket *s, const struct listen_socket *old,
    const struct config_listen *directive)
{
	/* A socket that is bound keeps IPV6_V6ONLY as it is. */
	if (!is_passed(old) && s->is_v6_only != old->is_v6_only) {
		errno = EBUSY;
		return -1;
	}
	memcpy(s->passed_as, old->passed_as, sizeof(s->passed_as));
	s->fd = fcntl(old->fd, F_DUPFD_CLOEXEC, 3);
	if (s->fd == -1 || old->file == NULL)
		return s->fd;
	s->file = socket_file_share(old->file);
	return socket_file_set_access(s->file, directive);
}

static void
share_socket(struct listen_socket *s, const struct listen_socket *old,
    const struct config_listen *directive, struct config_errors *errors)
{
	if (share(s, old, directive) == -1)
		config_error(errors, &directive->place, "listen %s: %s%s",
		    directive->address, strerror(errno), advice_for(errno));
}

static void
format_address(const struct listen_socket *s, char *out, size_t size)
{
	const struct sockaddr *sa = (const struct sockaddr *)&s->sockaddr;
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if (sa->sa_family == AF_UNIX)
		(void)snprintf(out, size, "unix:%s",
		    ((const struct sockaddr_un *)sa)->sun_path);
	else if (getnameinfo(sa, s->sockaddr_len, host, sizeof(host), port,
		     sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		(void)snprintf(out, size, "ADDRESS");
	else
		(void)snprintf(out, size,
		    sa->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host,
		    port);
}

static int
is_configured(const struct config *config, const struct listen_socket *s)
{
	for (size_t i = 0; i < config->n_listens; i++) {
		const struct config_listen *listen = &config->listens[i];

		if (listen->sockaddr_len == s->sockaddr_len &&
		    memcmp(&listen->sockaddr, &s->sockaddr, s->sockaddr_len) ==
			0)
			return 1;
	}
	return 0;
}

void
listen_set_complete(const struct listen_set *old, struct config *config,
    struct config_errors *errors)
{
	char address[NI_MAXHOST + NI_MAXSERV];

	for (size_t i = 0; old != NULL && i < old->n; i++) {
		const struct listen_socket *s = &old->sockets[i];

		if (!is_passed(s) || is_configured(config, s))
			continue;
		format_address(s, address, sizeof(address));
		config_listen_too(config, address, errors);
	}
}

struct listen_set *
listen_set_open(const struct config *config, const struct listen_set *old,
    struct config_errors *errors)
{
	struct listen_set *set = calloc(
	    1, sizeof(*set) + config->n_listens * sizeof(struct listen_socket));
	const unsigned n_before = errors->n;

	if (set == NULL) {
		config_error(errors, NULL, "listen: %s", strerror(errno));
		return NULL;
	}
	for (size_t i = 0; i < config->n_listens; i++) {
		const struct config_listen *directive = &config->listens[i];
		const struct listen_socket *shared = find_socket(
		    old, &directive->sockaddr, directive->sockaddr_len);
		struct listen_socket *s = &set->sockets[set->n++];

		s->sockaddr = directive->sockaddr;
		s->sockaddr_len = directive->sockaddr_len;
		s->is_v6_only = wants_v6_only(config, directive);
		s->fd = -1;
		if (shared != NULL)
			share_socket(s, shared, directive, errors);
		else if (directive->is_unix)
			s->fd = listen_unix_open(directive, &s->file, errors);
		else
			s->fd = open_tcp(config, directive, errors);
	}
	if (errors->n == n_before)
		return set;
	listen_set_free(set);
	return NULL;
}

static int
is_listening_stream(int fd)
{
	int type = 0, listens = 0;
	socklen_t len = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 &&
	    type == SOCK_STREAM && listens == 1;
}

/* In the form that directives have it in. */
static int
get_address(struct listen_socket *s)
{
	s->sockaddr_len = sizeof(s->sockaddr);
	if (getsockname(
		s->fd, (struct sockaddr *)&s->sockaddr, &s->sockaddr_len) == -1)
		return -1;
	if (s->sockaddr.ss_family == AF_UNIX)
		s->sockaddr_len = sizeof(struct sockaddr_un);
	return 0;
}

static void
adopt(struct listen_socket *s, const struct listen_passed *passed,
    struct config_errors *errors)
{
	s->fd = passed->fd;
	(void)snprintf(s->passed_as, sizeof(s->passed_as), "%s", passed->name);
	if (!is_listening_stream(s->fd))
		config_error(errors, NULL,
		    "the service manager passes the socket %s (descriptor %d), "
		    "which does not listen for streams; the socket unit needs "
		    "ListenStream= and Accept=no",
		    s->passed_as, s->fd);
	else if (get_address(s) == -1 ||
	    fcntl(s->fd, F_SETFD, FD_CLOEXEC) == -1 ||
	    fcntl(s->fd, F_SETFL, O_NONBLOCK) == -1)
		config_error(errors, NULL, "socket %s: %s", s->passed_as,
		    strerror(errno));
}

struct listen_set *
listen_set_adopt(
    const struct listen_passed *passed, size_t n, struct config_errors *errors)
{
	struct listen_set *set =
	    calloc(1, sizeof(*set) + n * sizeof(struct listen_socket));
	const unsigned n_before = errors->n;

	if (set == NULL) {
		config_error(errors, NULL, "listen: %s", strerror(errno));
		return NULL;
	}
	set->n = n;
	for (size_t i = 0; i < n; i++)
		adopt(&set->sockets[i], &passed[i], errors);
	if (errors->n == n_before)
		return set;
	listen_set_free(set);
	return NULL;
}

void
listen_set_restore_access(
    const struct listen_set *set, const struct config *config)
{
	for (size_t i = 0; set != NULL && i < set->n; i++) {
		if (set->sockets[i].file != NULL)
			(void)socket_file_set_access(
			    set->sockets[i].file, &config->listens[i]);
	}
}

size_t
listen_set_count(const struct listen_set *set)
{
	return set->n;
}

int
listen_set_is_apart(const struct listen_set *set, size_t i)
{
	int some_are_passed = 0;

	for (size_t k = 0; k < set->n; k++)
		some_are_passed |= is_passed(&set->sockets[k]);
	return some_are_passed && !is_passed(&set->sockets[i]) &&
	    set->sockets[i].file == NULL;
}

int
listen_set_fd(const struct listen_set *set, size_t i)
{
	return set->sockets[i].fd;
}

void
listen_set_free(struct listen_set *set)
{
	if (set == NULL)
		return;
	for (size_t i = 0; i < set->n; i++) {
		if (set->sockets[i].fd != -1)
			(void)close(set->sockets[i].fd);
		socket_file_release(set->sockets[i].file);
	}
	free(set);
}
