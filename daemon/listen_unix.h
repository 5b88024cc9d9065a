/*
 * Sockets that have a name in the file system. Monitor only.
 */
#ifndef DAEMON_LISTEN_UNIX_H
#define DAEMON_LISTEN_UNIX_H

#include "conf/config.h"

/* The name, which generations share; it is removed with the last of them. */
struct socket_file;

/* Are owner and group of every unix: listener there? Blocks in NSS. */
void listen_unix_check(
    const struct config *config, struct config_errors *errors);

/* Is the folder of its name there, and not everybody's? 0, or -1 and an error
 * at the directive's place. */
int listen_unix_check_folder(
    const struct config_listen *listen, struct config_errors *errors);

/*
 * Makes the socket of a listener, listening, with its owner, group and mode
 * before anybody can connect. A socket that nobody serves is replaced, one that
 * somebody serves is not. Returns the descriptor and *file, to be released, or
 * -1 and an error at the directive's place. Blocks in NSS.
 */
int listen_unix_open(const struct config_listen *listen,
    struct socket_file **file, struct config_errors *errors);

/* One more user of the file. */
struct socket_file *socket_file_share(struct socket_file *file);

/* Is the name still that of our socket? Nobody can connect otherwise. */
int socket_file_is_there(const struct socket_file *file);

/* Gives a socket that is there owner, group and mode of the directive. 0 or
 * -1 with errno. */
int socket_file_set_access(
    const struct socket_file *file, const struct config_listen *listen);

/* The last user removes the name, unless it is another socket's by now. May be
 * NULL. */
void socket_file_release(struct socket_file *file);

#endif
