/*
 * flock(2) with a limit, and who else is at a lock. Any process that loads the
 * module.
 */
#ifndef PAM_PASSWD_FILE_LOCK_H
#define PAM_PASSWD_FILE_LOCK_H

#include <stdint.h>

/* Milliseconds of the monotonic clock. */
uint64_t lock_now_ms(void);

/* Sleeps for so long; signals do not shorten it. */
void lock_pause(unsigned ms);

/*
 * LOCK_SH or LOCK_EX, tried until the clock of lock_now_ms() is at deadline_ms.
 * No signal and no thread of the program is touched. 0, or -1 with errno,
 * EWOULDBLOCK if the time is over.
 */
int lock_take(int fd, int operation, uint64_t deadline_ms);

/*
 * Does another process hold the flock(2) of this inode, or wait for it? held_fd
 * is a file of the same file system whose flock this process has: its line in
 * /proc/locks tells the file system from others, which have the same inodes. As
 * far as that file tells: where it cannot be read, the answer is no.
 */
int lock_is_wanted(int fd, int held_fd);

#endif
