/*
 * Reaching a server, each step within a time limit.
 */
#ifndef CLIENT_DIAL_H
#define CLIENT_DIAL_H

#include <stdint.h>

#include "client/failure.h"

/*
 * Finds the addresses of host and connects to the first that answers. Finding
 * and connecting may take limit_sec each, whatever the resolver is set to. A
 * descriptor that does not block, or -1 with *failure set. Blocks; host and
 * port must live as long as the process.
 */
int dial_tcp(const char *host, const char *port, unsigned limit_sec,
    struct failure *failure);

/* The same for a socket in the file system. */
int dial_unix(const char *path, unsigned limit_sec, struct failure *failure);

/* Waits for poll(2) events until that time of clock_now_ms(). 0, or -1 with
 * errno; ETIMEDOUT when the time is over. */
int dial_wait(int fd, short events, uint64_t until_ms);

#endif
