/*
 * The keeper: a process that holds the private keys and only signs.
 */
#ifndef DAEMON_KEEPER_H
#define DAEMON_KEEPER_H

#include <stddef.h>

struct keeper;

/* An empty keeper, or NULL with errno. */
struct keeper *keeper_new(void);

/* Adds the next key, as PEM; its index is the number of those before it. -1 if
 * OpenSSL cannot read it. Keeper process only. */
int keeper_add(struct keeper *keeper, const char *pem, size_t len);

/* Signs once with each key, so that whatever OpenSSL loads late is there before
 * files are out of reach. Keeper process only. */
void keeper_warm_up(const struct keeper *keeper);

/* Answers requests on a socket until its other end is closed (0) or breaks the
 * protocol (-1). Blocks. Keeper process only. */
int keeper_serve(const struct keeper *keeper, int fd);

/* Wipes and frees; may be NULL. */
void keeper_free(struct keeper *keeper);

#endif
