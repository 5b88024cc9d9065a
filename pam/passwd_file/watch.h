/*
 * Who opens a file while it is being replaced. Any process that loads the
 * module.
 */
#ifndef PAM_PASSWD_FILE_WATCH_H
#define PAM_PASSWD_FILE_WATCH_H

#include <stdint.h>

/*
 * Watches the file of an open descriptor, which must be readable for the
 * caller by its own name too. Returns what watch_take() wants, to be closed
 * with close(2), or -1 if it cannot be watched. Does not block.
 */
int watch_begin(int fd);

/*
 * What happened since the call before: IN_OPEN and IN_CLOSE of inotify(7), by
 * anybody, the caller too. 0 if nothing did, or watch is -1. How often does not
 * show: the kernel makes one of several that are alike. Does not block.
 */
uint32_t watch_take(int watch);

#endif
