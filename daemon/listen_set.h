/*
 * The listening sockets, which outlive every net process. Monitor only.
 */
#ifndef DAEMON_LISTEN_SET_H
#define DAEMON_LISTEN_SET_H

#include <stddef.h>

#include "conf/config.h"

#define LISTEN_BACKLOG 512

struct listen_set;

/* A socket that a service manager opened; name is its name there. */
struct listen_passed {
	int fd;
	const char *name;
};

/*
 * A set of passed sockets, for the `old` of listen_set_open(). Takes the
 * descriptors over. What does not listen for streams goes to errors, and then
 * NULL is returned. Free with listen_set_free().
 */
struct listen_set *listen_set_adopt(
    const struct listen_passed *passed, size_t n, struct config_errors *errors);

/* Adds a listener for each passed socket of old (may be NULL) whose address no
 * directive names: what was passed is served. */
void listen_set_complete(const struct listen_set *old, struct config *config,
    struct config_errors *errors);

/*
 * Opens a socket for each listen directive, in their order; where old (may be
 * NULL) has one on the same address, it is shared with that one instead, so
 * that no connection is lost; a unix: socket then gets the owner, group and
 * mode of the new directive. What cannot be opened goes to errors with the
 * directive's place. NULL if anything could not. old stays as it is and the
 * caller's. Free with listen_set_free().
 */
struct listen_set *listen_set_open(const struct config *config,
    const struct listen_set *old, struct config_errors *errors);

size_t listen_set_count(const struct listen_set *set);

/* Was socket i opened here, though a service manager has passed others? Under a
 * manager that gives the service no network, it serves nobody. */
int listen_set_is_apart(const struct listen_set *set, size_t i);

/* The descriptor of directive i; owned by set. */
int listen_set_fd(const struct listen_set *set, size_t i);

/* Gives the unix: sockets owner, group and mode of their directives again: a
 * newer set that shared them has come to nothing. */
void listen_set_restore_access(
    const struct listen_set *set, const struct config *config);

/* Closes and frees; a unix: socket's name goes with the last set that has it.
 * May be NULL. */
void listen_set_free(struct listen_set *set);

#endif
